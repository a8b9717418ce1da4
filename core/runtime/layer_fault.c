/* fault: calls that fail as asked, to see what becomes of it. A lost device stays lost. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/number.h"
#include "plmscale/op_rules.h"
#include "runtime/layering.h"

#define FAULTS_MAX 16

enum call {
  CALL_DEVICE_OPEN,
  CALL_BUFFER_CREATE,
  CALL_QUEUE_CREATE,
  CALL_QUEUE_FINISH,
  CALL_BUFFER_WRITE,
  CALL_BUFFER_READ,
  CALL_OP_QUERY,
  CALL_OP_RUN,
  CALLS
};
static const char *const call_names[CALLS] = {"device_open",  "buffer_create", "queue_create", "queue_finish",
                                              "buffer_write", "buffer_read",   "op_query",     "op_run"};

/* What happens, beside the ABI's codes. */
enum { KIND_HANG = 1000, KIND_CRASH, KIND_WRONG, KIND_NAN };
static const char *const kind_names[] = {"hang", "crash", "wrong", "nan"};

struct fault {
  enum call call;
  uint64_t number; /* which call, from 1 */
  int kind;        /* a PLM_E_ code of the ABI, or KIND_ */
};

static struct {
  struct plm_backend next;
  struct fault faults[FAULTS_MAX];
  uint32_t count;
  uint64_t calls[CALLS];
  int lost;
} layer;

/* What is to happen at this call: 0, a code with err filled, KIND_WRONG or KIND_NAN. */
static int meet(enum call call, const char *what, struct plm_error *err) {
  uint64_t number = ++layer.calls[call];
  if (layer.lost)
    return plm_error_set(err, PLM_E_DEVICE_LOST, "%s%s%s: the device is lost (fault layer)", call_names[call],
                         *what ? " of " : "", what);
  for (uint32_t i = 0; i < layer.count; i++) {
    const struct fault *fault = &layer.faults[i];
    if (fault->call != call || fault->number != number)
      continue;
    if (fault->kind == KIND_WRONG || fault->kind == KIND_NAN)
      return fault->kind;
    if (fault->kind == KIND_CRASH)
      __builtin_trap(); /* SIGILL: sanitizers leave it alone */
    while (fault->kind == KIND_HANG)
      pause();
    layer.lost = fault->kind == PLM_E_DEVICE_LOST;
    return plm_error_set(err, fault->kind, "%s%s%s: %s, as the fault layer was asked for call %llu", call_names[call],
                         *what ? " of " : "", what, plm_error_name(fault->kind), (unsigned long long)number);
  }
  return 0;
}

/* Changes the number in the middle of the op's first output. */
static int spoil(struct plm_queue *queue, const struct plm_op *op, int kind, struct plm_error *err) {
  uint32_t count;
  const struct plm_operand *operands = plm_rules_operands_of(op->kind, &count);
  for (uint32_t i = 0; i < count; i++) {
    const struct plm_view *view = plm_rules_view(op, &operands[i]);
    uint64_t bytes = plm_rules_has(op, &operands[i]) ? plm_rules_bytes(op, &operands[i]) : 0;
    if (!(operands[i].access & PLM_OPERAND_WRITE) || !bytes)
      continue;
    float x;
    uint64_t at = view->offset + bytes / 8 * 4;
    int code = layer.next.buffer_read(queue, view->buffer, at, &x, sizeof x, err);
    x = kind == KIND_NAN ? NAN : 1.5f * x + 1;
    return code ? code : layer.next.buffer_write(queue, view->buffer, at, &x, sizeof x, err);
  }
  return 0;
}

static int op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  int kind = meet(CALL_OP_RUN, plm_op_name(op->kind), err);
  if (kind && kind < KIND_HANG) {
    err->op_kind = op->kind;
    return kind;
  }
  int code = layer.next.op_run(queue, op, err);
  return code || !kind ? code : spoil(queue, op, kind, err);
}

static int program_run(struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,
                       struct plm_error *err) {
  return plm_layer_loop(op_run, queue, ops, count, failed, err);
}

static int device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  int code = meet(CALL_DEVICE_OPEN, "", err);
  return code ? code : layer.next.device_open(index, out, err);
}

static int buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                         struct plm_error *err) {
  int code = meet(CALL_BUFFER_CREATE, "", err);
  return code ? code : layer.next.buffer_create(device, bytes, kind, out, err);
}

static int queue_create(struct plm_device *device, struct plm_queue **out, struct plm_error *err) {
  int code = meet(CALL_QUEUE_CREATE, "", err);
  return code ? code : layer.next.queue_create(device, out, err);
}

static int queue_finish(struct plm_queue *queue, struct plm_error *err) {
  int code = meet(CALL_QUEUE_FINISH, "", err);
  return code ? code : layer.next.queue_finish(queue, err);
}

static int buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                        uint64_t bytes, struct plm_error *err) {
  int code = meet(CALL_BUFFER_WRITE, "", err);
  return code ? code : layer.next.buffer_write(queue, buffer, offset, data, bytes, err);
}

static int buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                       struct plm_error *err) {
  int code = meet(CALL_BUFFER_READ, "", err);
  return code ? code : layer.next.buffer_read(queue, buffer, offset, data, bytes, err);
}

static int op_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  int code = meet(CALL_OP_QUERY, plm_op_name(op->kind), err);
  return code ? code : layer.next.op_query(device, op, out, err);
}

/* ------------------------------------------------------------ the argument */

static int read_call(enum call *out, const char *name, struct plm_error *err) {
  for (int i = 0; i < CALLS; i++)
    if (!strcmp(name, call_names[i])) {
      *out = (enum call)i;
      return 0;
    }
  const char *near = plm_error_nearest(name, call_names, CALLS);
  return plm_error_set(err, PLM_E_USAGE,
                       "layer \"fault\": call \"%.40s\" is unknown%s%s%s; there are device_open, buffer_create, "
                       "queue_create, queue_finish, buffer_write, buffer_read, op_query, op_run",
                       name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int read_kind(int *out, enum call call, const char *name, struct plm_error *err) {
  for (int i = 0; i < 4; i++)
    if (!strcmp(name, kind_names[i])) {
      *out = KIND_HANG + i;
      if (*out >= KIND_WRONG && call != CALL_OP_RUN)
        return plm_error_set(err, PLM_E_USAGE, "layer \"fault\": %s is for op_run only, not for %s", name,
                             call_names[call]);
      return 0;
    }
  for (int code = PLM_E_INVALID; code <= PLM_E_INTERNAL; code++)
    if (!strcasecmp(name, plm_error_name(code))) {
      *out = code;
      return 0;
    }
  return plm_error_set(err, PLM_E_USAGE,
                       "layer \"fault\": kind \"%.40s\" is unknown; there are INVALID, UNSUPPORTED, NO_MEMORY, "
                       "BUILD_FAILED, DEVICE_LOST, TIMEOUT, ABI, INTERNAL, hang, crash, wrong, nan",
                       name);
}

/* CALL@N=KIND; text is cut up. */
static int read_fault(struct fault *out, char *text, struct plm_error *err) {
  char *at = strchr(text, '@'), *equals = strchr(text, '=');
  int64_t number = 0;
  if (!at || !equals || equals < at)
    return plm_error_set(err, PLM_E_USAGE,
                         "layer \"fault\": \"%.60s\" is not CALL@N=KIND, for example op_run@37=DEVICE_LOST", text);
  *at = *equals = 0;
  if (plm_number_integer(&number, at + 1, NULL) || number < 1)
    return plm_error_set(err, PLM_E_USAGE, "layer \"fault\": call number \"%.40s\": a number from 1 is right", at + 1);
  out->number = (uint64_t)number;
  int code = read_call(&out->call, text, err);
  return code ? code : read_kind(&out->kind, out->call, equals + 1, err);
}

static void take_off(void) { memset(&layer, 0, sizeof layer); }

static int configure(const char *argument, struct plm_error *err) {
  take_off();
  char *copy = strdup(argument ? argument : ""), *rest = copy;
  if (!copy)
    return plm_error_memory(err, "reading --layer");
  int code = 0;
  for (char *part = strsep(&rest, ","); part && !code; part = strsep(&rest, ",")) {
    if (layer.count == FAULTS_MAX)
      code = plm_error_set(err, PLM_E_USAGE, "layer \"fault\": more than %d faults", FAULTS_MAX);
    else
      code = read_fault(&layer.faults[layer.count++], part, err);
  }
  free(copy);
  return code;
}

static int install(struct plm_backend *table, struct plm_error *err) {
  (void)err;
  layer.next = *table;
  table->device_open = device_open;
  table->buffer_create = buffer_create;
  table->queue_create = queue_create;
  table->queue_finish = queue_finish;
  table->buffer_write = buffer_write;
  table->buffer_read = buffer_read;
  table->op_query = op_query;
  table->op_run = op_run;
  table->program_run = program_run;
  return 0;
}

const struct plm_layer plm_layer_fault = {
    .name = "fault", .configure = configure, .install = install, .remove = take_off};
