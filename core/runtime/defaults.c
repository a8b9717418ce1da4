#include "runtime/loading.h"

/*
 * A default for program_run or event_record needs the plugin's own op_run or queue_finish, but the slots carry no
 * context (a plugin does not need one). So each plugin that needs a default gets one of a few numbered sets of
 * functions.
 */
#define SETS 8
#define FOR_EACH_SET(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

static struct {
  const void *library; /* NULL: free. A library that is loaded again keeps its set */
  int (*op_run)(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
  int (*queue_finish)(struct plm_queue *queue, struct plm_error *err);
} sets[SETS];

static int loop(int set, struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,
                struct plm_error *err) {
  for (uint32_t i = 0; i < count; i++) {
    int code = sets[set].op_run(queue, &ops[i], err);
    if (code) {
      *failed = i;
      return code;
    }
  }
  return PLM_OK;
}

/* The work is done when event_record returns, so the event has nothing to remember and any queue will do. */
static int finish(int set, struct plm_queue *queue, struct plm_event **out, struct plm_error *err) {
  int code = sets[set].queue_finish(queue, err);
  if (!code)
    *out = (struct plm_event *)(void *)queue;
  return code;
}

#define X(n)                                                                                                           \
  static int loop_##n(struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,             \
                      struct plm_error *err) {                                                                         \
    return loop(n, queue, ops, count, failed, err);                                                                    \
  }                                                                                                                    \
  static int finish_##n(struct plm_queue *queue, struct plm_event **out, struct plm_error *err) {                      \
    return finish(n, queue, out, err);                                                                                 \
  }
FOR_EACH_SET(X)
#undef X

static int event_wait(struct plm_event *event, struct plm_error *err) {
  (void)event;
  (void)err;
  return PLM_OK;
}

static void event_destroy(struct plm_event *event) { (void)event; }

static int memory_info(struct plm_device *device, uint64_t *used, uint64_t *free_bytes, struct plm_error *err) {
  (void)device;
  (void)used;
  (void)free_bytes;
  return plm_error_set(err, PLM_E_UNSUPPORTED, "memory_info: this backend does not tell");
}

static const void *extension(const char *name, uint32_t version) {
  (void)name;
  (void)version;
  return NULL;
}

static int set_take(int *out, const void *library, struct plm_error *err) {
  for (int i = 0; i < SETS; i++)
    if (sets[i].library == library || !sets[i].library) {
      sets[i].library = library;
      *out = i;
      return 0;
    }
  return plm_error_set(err, PLM_E_UNSUPPORTED, "backends: %d that lack program_run or events are loaded already", SETS);
}

int plm_defaults_fill(struct plm_backend *backend, const void *library, struct plm_error *err) {
#define X(n) loop_##n,
  static int (*const loops[SETS])(struct plm_queue *, const struct plm_op *, uint32_t, uint32_t *,
                                  struct plm_error *) = {FOR_EACH_SET(X)};
#undef X
#define X(n) finish_##n,
  static int (*const finishes[SETS])(struct plm_queue *, struct plm_event **, struct plm_error *) = {FOR_EACH_SET(X)};
#undef X
  if (!backend->program_run || !backend->event_record) {
    int set = 0, code = set_take(&set, library, err);
    if (code)
      return code;
    sets[set].op_run = backend->op_run;
    sets[set].queue_finish = backend->queue_finish;
    if (!backend->program_run)
      backend->program_run = loops[set];
    if (!backend->event_record) {
      backend->event_record = finishes[set];
      backend->event_wait = event_wait;
      backend->event_destroy = event_destroy;
    }
  }
  if (!backend->memory_info)
    backend->memory_info = memory_info;
  if (!backend->extension)
    backend->extension = extension;
  backend->struct_size = sizeof *backend;
  return 0;
}
