/* Levels 4 and 5: every op is right by itself; what is kept from one call to the next is not. */
#include "broken.h"

/* ---------------------------------------------------------------- training */

static int schedule_captured_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  static float first[3];
  float kept[3];
  if (op->kind != PLM_OP_ADAMW || !usable(&op->u.adamw.schedule, sizeof kept))
    return right.op_run(queue, op, err);
  float *schedule = floats(&op->u.adamw.schedule);
  memcpy(kept, schedule, sizeof kept);
  if (first[0] == 0)
    memcpy(first, schedule, sizeof first);
  memcpy(schedule, first, sizeof first);
  const int code = right.op_run(queue, op, err);
  memcpy(schedule, kept, sizeof kept);
  return code;
}
BROKEN_SLOT(schedule_captured, op_run)

BROKEN_BEFORE(rows_captured, PLM_OP_BIAS_GRAD) {
  static uint32_t first;
  first = first ? first : op->u.bias_grad.rows.count;
  op->u.bias_grad.rows.count = first < op->u.bias_grad.rows.count ? first : op->u.bias_grad.rows.count;
}

static int eighth_update(const struct plm_op *op) {
  static unsigned updates;
  return op->kind == PLM_OP_ADAMW && ++updates % 8 == 0;
}
BROKEN_SKIP(update_lost, eighth_update(op))

static struct plm_view filled[64];
static size_t filled_count;

static int filled_before(const struct plm_op *op) {
  if (op->kind != PLM_OP_FILL)
    return 0;
  for (size_t i = 0; i < filled_count; i++)
    if (filled[i].buffer == op->u.fill.x.buffer && filled[i].offset == op->u.fill.x.offset)
      return 1;
  if (filled_count < sizeof filled / sizeof *filled)
    filled[filled_count++] = op->u.fill.x;
  return 0;
}
static int fill_once_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  return filled_before(op) ? PLM_OK : right.op_run(queue, op, err);
}
/* A later buffer may get the same address. */
static void fill_once_buffer_destroy(struct plm_buffer *buffer) {
  filled_count = 0;
  right.buffer_destroy(buffer);
}
void arm_fill_once(struct broken *self) {
  self->table.op_run = fill_once_op_run;
  self->table.buffer_destroy = fill_once_buffer_destroy;
}

/* ---------------------------------------------------------------- failures */

/* The first failure since the last queue_finish, and the kind of the last op. */
static struct plm_error failure;
static uint32_t last_kind;

static int late_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct plm_error said = *err;
  last_kind = op->kind;
  if (right.op_run(queue, op, &said) && !failure.code)
    failure = said;
  return PLM_OK;
}
static int late_queue_finish(struct plm_queue *queue, struct plm_error *err) {
  const int code = failure.code;
  (void)queue;
  if (code)
    *err = failure;
  failure.code = 0;
  return code;
}
void arm_unbroken_late(struct broken *self) {
  self->table.op_run = late_op_run;
  self->table.queue_finish = late_queue_finish;
}

static int error_op_queue_finish(struct plm_queue *queue, struct plm_error *err) {
  failure.op_kind = last_kind;
  return late_queue_finish(queue, err);
}
void arm_error_op(struct broken *self) {
  self->table.op_run = late_op_run;
  self->table.queue_finish = error_op_queue_finish;
}

static int error_stays_queue_finish(struct plm_queue *queue, struct plm_error *err) {
  const int code = late_queue_finish(queue, err);
  failure.code = code;
  return code;
}
void arm_error_stays(struct broken *self) {
  self->table.op_run = late_op_run;
  self->table.queue_finish = error_stays_queue_finish;
}

static int error_dropped_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  right.op_run(queue, op, err);
  return PLM_OK;
}
BROKEN_SLOT(error_dropped, op_run)

static int error_mute_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const int code = right.op_run(queue, op, err);
  if (code)
    err->text[0] = '\0';
  return code;
}
BROKEN_SLOT(error_mute, op_run)

static int full_keeps_buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                                    struct plm_error *err) {
  const int code = right.buffer_create(device, bytes, kind, out, err);
  if (code == PLM_E_NO_MEMORY)
    broken_host->allocate(broken_host->context, 64 << 10);
  return code;
}
BROKEN_SLOT(full_keeps, buffer_create)

static int full_forever_buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                                      struct plm_error *err) {
  static int full;
  const int code =
      full ? ref_fail(err, PLM_E_NO_MEMORY, NULL, "full") : right.buffer_create(device, bytes, kind, out, err);
  full = code == PLM_E_NO_MEMORY;
  return code;
}
BROKEN_SLOT(full_forever, buffer_create)

static int start_once_start(const struct plm_host *host, struct plm_backend *out, struct plm_error *err) {
  return broken_host ? ref_fail(err, PLM_E_INTERNAL, NULL, "started already") : broken_start(host, out, err);
}
void arm_start_once(struct broken *self) { self->card.start = start_once_start; }
