/*
 * validate: the rules of backend.h, held against both sides. The caller's: handles that live, views inside their buffers, no
 * overlaps, ops that op_query took with the workspace it asked for. The backend's: whole handles and errors, and nothing
 * written past a buffer's end, where canaries stand.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "plmscale/op_rules.h"
#include "runtime/accepted.h"
#include "runtime/handles.h"
#include "runtime/layering.h"

#define CANARY_BYTES 256u
#define CANARY 0xc5

static struct {
  struct plm_backend next;
  int strict;
  struct plm_handles handles;
  struct plm_accepted accepted;
  uint64_t ops; /* run so far */
  /* The first breach of a call that returns nothing: the next call that can returns it. */
  struct plm_error pending;
  int returned;
} layer;

/* A breach that this call cannot return. */
static void note(const struct plm_error *breach) {
  if (layer.pending.code)
    return;
  layer.pending = *breach;
  plm_log(PLM_LOG_ERROR, "%s", breach->text);
}

static int begin(struct plm_error *err) {
  if (!layer.pending.code || layer.returned)
    return 0;
  layer.returned = 1;
  *err = layer.pending;
  return err->code;
}

/* A failure must say which and why. */
static int end(int code, const char *call, struct plm_error *err) {
  if (!code)
    return 0;
  if (code < PLM_E_INVALID || code > PLM_E_INTERNAL)
    return plm_error_set(err, PLM_E_INVALID, "validate: %s: the backend returns %d, no code of the ABI", call, code);
  if (!err->text[0])
    return plm_error_set(err, PLM_E_INVALID, "validate: %s: the backend fails with %s and gives no reason", call,
                         plm_error_name(code));
  return code;
}

/* ------------------------------------------------------------ canaries */

static int mark(struct plm_queue *queue, struct plm_handle *buffer, struct plm_buffer *which, struct plm_error *err) {
  unsigned char canaries[CANARY_BYTES];
  if (buffer->marked)
    return 0;
  memset(canaries, CANARY, sizeof canaries);
  int code = layer.next.buffer_write(queue, which, buffer->bytes, canaries, sizeof canaries, err);
  buffer->marked = !code;
  return code;
}

/* The entries hold const pointers; the backend's functions want their own back. */
static struct plm_buffer *buffer_of(const struct plm_handle *entry) {
  union {
    const void *noted;
    struct plm_buffer *given;
  } pointer = {entry->pointer};
  return pointer.given;
}

static int check_canary(struct plm_queue *queue, const struct plm_handle *buffer, const char *when, struct plm_error *err) {
  unsigned char found[CANARY_BYTES];
  int code = layer.next.buffer_read(queue, buffer_of(buffer), buffer->bytes, found, sizeof found, err);
  for (uint32_t i = 0; i < sizeof found && !code; i++)
    if (found[i] != CANARY)
      code = plm_error_set(err, PLM_E_INVALID,
                           "validate: %s: byte %u behind the end of buffer %" PRIu64 " (%" PRIu64 " bytes) is written", when,
                           i, buffer->number, buffer->bytes);
  return code;
}

static int check_canaries(struct plm_queue *queue, const void *device, const char *when, struct plm_error *err) {
  int code = 0;
  for (size_t i = 0; i < layer.handles.count && !code; i++) {
    const struct plm_handle *entry = &layer.handles.items[i];
    if (entry->kind == PLM_HANDLE_BUFFER && entry->alive && entry->marked && entry->parent == device)
      code = check_canary(queue, entry, when, err);
  }
  return code;
}

/* ------------------------------------------------------------ devices, buffers, queues */

static int device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  struct plm_device *device = NULL;
  struct plm_handle *entry;
  int code = begin(err);
  if (code || (code = end(layer.next.device_open(index, &device, err), "device_open", err)) ||
      (code = plm_handles_add(&entry, &layer.handles, PLM_HANDLE_DEVICE, device, NULL, err)))
    return code;
  *out = device;
  return 0;
}

/* What of a kind is left of a device. */
static void note_leaks(const void *device, enum plm_handle_kind kind) {
  uint64_t left = 0, bytes = 0, first = 0;
  struct plm_error breach = PLM_ERROR_INIT;
  for (size_t i = 0; i < layer.handles.count; i++) {
    const struct plm_handle *entry = &layer.handles.items[i];
    if (entry->kind != kind || !entry->alive || entry->parent != device)
      continue;
    first = left++ ? first : entry->number;
    bytes += entry->bytes;
  }
  if (!left)
    return;
  plm_error_set(&breach, PLM_E_INVALID,
                "validate: device_close: %" PRIu64 " of its %ss are not destroyed (%" PRIu64 " bytes), the first is %s %" PRIu64,
                left, plm_handle_name(kind), bytes, plm_handle_name(kind), first);
  note(&breach);
}

/* Marks a handle as destroyed; NULL is fine. 1: the backend may be called. */
static int bury(enum plm_handle_kind kind, const void *pointer, const char *call, struct plm_handle **out) {
  struct plm_error breach = PLM_ERROR_INIT;
  *out = NULL;
  if (!pointer)
    return 1;
  if (plm_handles_use(out, &layer.handles, kind, pointer, call, &breach)) {
    note(&breach);
    return 0;
  }
  (*out)->alive--;
  return 1;
}

static void device_close(struct plm_device *device) {
  struct plm_handle *entry;
  if (!bury(PLM_HANDLE_DEVICE, device, "device_close", &entry))
    return;
  if (device) {
    note_leaks(device, PLM_HANDLE_BUFFER);
    note_leaks(device, PLM_HANDLE_QUEUE);
  }
  layer.next.device_close(device);
}

static int buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                         struct plm_error *err) {
  struct plm_buffer *buffer = NULL;
  struct plm_handle *entry;
  int code = begin(err);
  if (code || (code = plm_handles_use(&entry, &layer.handles, PLM_HANDLE_DEVICE, device, "buffer_create", err)))
    return code;
  if (!bytes)
    return plm_error_set(err, PLM_E_INVALID, "validate: buffer_create: 0 bytes");
  if (kind != PLM_BUFFER_DEVICE && kind != PLM_BUFFER_UPLOAD)
    return plm_error_set(err, PLM_E_INVALID, "validate: buffer_create: kind %u is unknown", kind);
  if ((code = end(layer.next.buffer_create(device, bytes + CANARY_BYTES, kind, &buffer, err), "buffer_create", err)) ||
      (code = plm_handles_add(&entry, &layer.handles, PLM_HANDLE_BUFFER, buffer, device, err)))
    return code;
  entry->bytes = bytes;
  *out = buffer;
  return 0;
}

/* 1 when ops on this buffer may still be running. */
static int in_use(const struct plm_handle *buffer) {
  const struct plm_handle *queue = buffer->user ? plm_handles_find(&layer.handles, PLM_HANDLE_QUEUE, buffer->user) : NULL;
  return queue && queue->alive && buffer->used > queue->done;
}

static void buffer_destroy(struct plm_buffer *buffer) {
  struct plm_error breach = PLM_ERROR_INIT;
  struct plm_handle *entry;
  if (!bury(PLM_HANDLE_BUFFER, buffer, "buffer_destroy", &entry))
    return;
  if (entry && in_use(entry)) {
    plm_error_set(&breach, PLM_E_INVALID,
                  "validate: buffer_destroy: a queue may still use buffer %" PRIu64 ": finish it, or destroy it first",
                  entry->number);
    note(&breach);
  }
  layer.next.buffer_destroy(buffer);
}

static int queue_create(struct plm_device *device, struct plm_queue **out, struct plm_error *err) {
  struct plm_queue *queue = NULL;
  struct plm_handle *entry;
  int code = begin(err);
  if (code || (code = plm_handles_use(&entry, &layer.handles, PLM_HANDLE_DEVICE, device, "queue_create", err)) ||
      (code = end(layer.next.queue_create(device, &queue, err), "queue_create", err)) ||
      (code = plm_handles_add(&entry, &layer.handles, PLM_HANDLE_QUEUE, queue, device, err)))
    return code;
  *out = queue;
  return 0;
}

static void queue_destroy(struct plm_queue *queue) {
  struct plm_error breach = PLM_ERROR_INIT;
  struct plm_handle *entry;
  if (!bury(PLM_HANDLE_QUEUE, queue, "queue_destroy", &entry))
    return;
  if (entry && check_canaries(queue, entry->parent, "queue_destroy", &breach))
    note(&breach);
  layer.next.queue_destroy(queue);
}

static int queue_finish(struct plm_queue *queue, struct plm_error *err) {
  struct plm_handle *entry;
  int code = begin(err);
  if (code || (code = plm_handles_use(&entry, &layer.handles, PLM_HANDLE_QUEUE, queue, "queue_finish", err)) ||
      (code = end(layer.next.queue_finish(queue, err), "queue_finish", err)))
    return code;
  entry->done = layer.ops;
  return check_canaries(queue, entry->parent, "queue_finish", err);
}

/* ------------------------------------------------------------ transfers and events */

static int check_transfer(struct plm_handle **out, struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset,
                          const void *data, uint64_t bytes, const char *call, struct plm_error *err) {
  struct plm_handle *of_queue;
  int code = begin(err);
  if (code || (code = plm_handles_use(&of_queue, &layer.handles, PLM_HANDLE_QUEUE, queue, call, err)) ||
      (code = plm_handles_use(out, &layer.handles, PLM_HANDLE_BUFFER, buffer, call, err)))
    return code;
  if ((*out)->parent != of_queue->parent)
    return plm_error_set(err, PLM_E_INVALID, "validate: %s: the queue and buffer %" PRIu64 " are of different devices",
                         call, (*out)->number);
  if (offset > (*out)->bytes || bytes > (*out)->bytes - offset)
    return plm_error_set(err, PLM_E_INVALID,
                         "validate: %s: bytes %" PRIu64 " to %" PRIu64 " of buffer %" PRIu64 ", which has %" PRIu64, call,
                         offset, offset + bytes, (*out)->number, (*out)->bytes);
  if (bytes && !data)
    return plm_error_set(err, PLM_E_INVALID, "validate: %s: %" PRIu64 " bytes, but data is NULL", call, bytes);
  return mark(queue, *out, buffer, err);
}

static int buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                        uint64_t bytes, struct plm_error *err) {
  struct plm_handle *entry;
  int code = check_transfer(&entry, queue, buffer, offset, data, bytes, "buffer_write", err);
  if (code || (code = end(layer.next.buffer_write(queue, buffer, offset, data, bytes, err), "buffer_write", err)))
    return code;
  entry->used = ++layer.ops;
  entry->user = queue;
  return 0;
}

static int buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                       struct plm_error *err) {
  struct plm_handle *entry;
  int code = check_transfer(&entry, queue, buffer, offset, data, bytes, "buffer_read", err);
  if (code || (code = end(layer.next.buffer_read(queue, buffer, offset, data, bytes, err), "buffer_read", err)))
    return code;
  plm_handles_find(&layer.handles, PLM_HANDLE_QUEUE, queue)->done = layer.ops;
  return check_canary(queue, entry, "buffer_read", err);
}

static int event_record(struct plm_queue *queue, struct plm_event **out, struct plm_error *err) {
  struct plm_event *event = NULL;
  struct plm_handle *entry;
  int code = begin(err);
  if (code || (code = plm_handles_use(&entry, &layer.handles, PLM_HANDLE_QUEUE, queue, "event_record", err)) ||
      (code = end(layer.next.event_record(queue, &event, err), "event_record", err)) ||
      (code = plm_handles_add(&entry, &layer.handles, PLM_HANDLE_EVENT, event, queue, err)))
    return code;
  *out = event;
  return 0;
}

static int event_wait(struct plm_event *event, struct plm_error *err) {
  struct plm_handle *entry, *queue;
  int code = begin(err);
  if (code || (code = plm_handles_use(&entry, &layer.handles, PLM_HANDLE_EVENT, event, "event_wait", err)) ||
      (code = plm_handles_use(&queue, &layer.handles, PLM_HANDLE_QUEUE, entry->parent, "event_wait, its queue", err)))
    return code;
  return end(layer.next.event_wait(event, err), "event_wait", err);
}

static void event_destroy(struct plm_event *event) {
  struct plm_handle *entry;
  if (bury(PLM_HANDLE_EVENT, event, "event_destroy", &entry))
    layer.next.event_destroy(event);
}

/* ------------------------------------------------------------ ops */

static int op_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  struct plm_handle *entry;
  int code = begin(err);
  if (code || (code = plm_handles_use(&entry, &layer.handles, PLM_HANDLE_DEVICE, device, "op_query", err)) ||
      (code = end(layer.next.op_query(device, op, out, err), "op_query", err)))
    return code;
  if (out->status != PLM_VERDICT_SUPPORTED && out->status != PLM_VERDICT_UNSUPPORTED)
    return plm_error_set(err, PLM_E_INVALID, "validate: op_query of %s: status %u, neither supported nor unsupported",
                         plm_op_name(op->kind), out->status);
  return out->status == PLM_VERDICT_SUPPORTED ? plm_accepted_add(&layer.accepted, op, out->workspace_bytes, err) : 0;
}

/* The views of an op that hold something, the workspace among them when it is asked for; returns how many. */
static uint32_t used_views(const struct plm_view *views[PLM_RULES_OPERANDS_MAX],
                           const char *names[PLM_RULES_OPERANDS_MAX], const struct plm_op *op, uint64_t workspace_bytes) {
  uint32_t count, used = 0;
  const struct plm_operand *operands = plm_rules_operands_of(op->kind, &count);
  for (uint32_t i = 0; i < count; i++)
    if (plm_rules_has(op, &operands[i]) && plm_rules_bytes(op, &operands[i])) {
      names[used] = operands[i].name;
      views[used++] = plm_rules_view(op, &operands[i]);
    }
  if (workspace_bytes) {
    names[used] = "workspace";
    views[used++] = &op->workspace;
  }
  return used;
}

static uint64_t buffer_bytes(const struct plm_buffer *buffer) {
  return plm_handles_find(&layer.handles, PLM_HANDLE_BUFFER, buffer)->bytes;
}

/* Buffers of the op's views live and are of the queue's device, and the views lie in them as op_rules.h has it. */
static int check_views(const struct plm_op *op, struct plm_queue *queue, const struct plm_handle *of_queue,
                       uint64_t workspace_bytes, struct plm_error *err) {
  const struct plm_view *views[PLM_RULES_OPERANDS_MAX];
  const char *names[PLM_RULES_OPERANDS_MAX];
  uint32_t count = used_views(views, names, op, workspace_bytes);
  struct plm_error said = PLM_ERROR_INIT;
  int code = 0;
  for (uint32_t i = 0; i < count && !code; i++) {
    struct plm_handle *entry;
    char what[96];
    snprintf(what, sizeof what, "op #%u %s: %s", op->index, plm_op_name(op->kind), names[i]);
    code = plm_handles_use(&entry, &layer.handles, PLM_HANDLE_BUFFER, views[i]->buffer, what, err);
    if (!code && entry->parent != of_queue->parent)
      code = plm_error_set(err, PLM_E_INVALID, "validate: %s: buffer %" PRIu64 " is of another device than the queue", what,
                           entry->number);
    if (!code)
      code = mark(queue, entry, views[i]->buffer, err);
  }
  if (!code && (code = plm_rules_bind(op, workspace_bytes, buffer_bytes, &said)))
    plm_error_set(err, code, "validate: %s", said.text);
  return code;
}

/* After a successful op: what it used is busy; under strict, the canaries are looked at. */
static int after_op(const struct plm_op *op, struct plm_queue *queue, struct plm_handle *of_queue,
                    uint64_t workspace_bytes, struct plm_error *err) {
  const struct plm_view *views[PLM_RULES_OPERANDS_MAX];
  const char *names[PLM_RULES_OPERANDS_MAX];
  char when[64];
  uint32_t count = used_views(views, names, op, workspace_bytes);
  layer.ops++;
  for (uint32_t i = 0; i < count; i++) {
    struct plm_handle *entry = plm_handles_find(&layer.handles, PLM_HANDLE_BUFFER, views[i]->buffer);
    entry->used = layer.ops;
    entry->user = queue;
  }
  if (!layer.strict)
    return 0;
  snprintf(when, sizeof when, "op #%u %s", op->index, plm_op_name(op->kind));
  int code = end(layer.next.queue_finish(queue, err), when, err);
  if (code)
    return code;
  of_queue->done = layer.ops;
  return check_canaries(queue, of_queue->parent, when, err);
}

static int check_op(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct plm_handle *of_queue;
  uint64_t workspace_bytes = 0;
  int code = begin(err);
  if (code || (code = plm_handles_use(&of_queue, &layer.handles, PLM_HANDLE_QUEUE, queue, "op_run", err)))
    return code;
  if (op->struct_size != sizeof *op || op->kind == 0 || op->kind >= PLM_OP_COUNT)
    return plm_error_set(err, PLM_E_INVALID, "validate: an op of kind %u and %" PRIu64 " bytes: 1 to %u and %zu are right",
                         op->kind, op->struct_size, PLM_OP_COUNT - 1, sizeof *op);
  if ((code = plm_accepted_check(&workspace_bytes, &layer.accepted, op, err)) ||
      (code = check_views(op, queue, of_queue, workspace_bytes, err)) ||
      (code = end(layer.next.op_run(queue, op, err), plm_op_name(op->kind), err)))
    return code;
  return after_op(op, queue, of_queue, workspace_bytes, err);
}

static int op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  int code = check_op(queue, op, err);
  if (code)
    err->op_kind = op->kind;
  return code;
}

static int program_run(struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,
                       struct plm_error *err) {
  return plm_layer_loop(op_run, queue, ops, count, failed, err);
}

/* ------------------------------------------------------------ the layer */

static int verdict(struct plm_error *err) {
  if (!layer.pending.code || layer.returned)
    return 0;
  *err = layer.pending;
  return err->code;
}

static void report(FILE *out) {
  fprintf(out, "validate: %" PRIu64 " ops and writes, %" PRIu64 " buffers, %s\n", layer.ops,
          layer.handles.numbers[PLM_HANDLE_BUFFER],
          layer.pending.code ? layer.pending.text : "nothing to complain of");
}

static void take_off(void) {
  plm_handles_fini(&layer.handles);
  plm_accepted_fini(&layer.accepted);
  memset(&layer, 0, sizeof layer);
}

static int configure(const char *argument, struct plm_error *err) {
  take_off();
  layer.strict = argument != NULL;
  if (argument && strcmp(argument, "strict"))
    return plm_error_set(err, PLM_E_USAGE, "layer \"validate\": \"%.40s\" is unknown; validate or validate:strict is right",
                         argument);
  return 0;
}

static int install(struct plm_backend *table, struct plm_error *err) {
  (void)err;
  layer.next = *table;
  table->device_open = device_open;
  table->device_close = device_close;
  table->buffer_create = buffer_create;
  table->buffer_destroy = buffer_destroy;
  table->queue_create = queue_create;
  table->queue_destroy = queue_destroy;
  table->queue_finish = queue_finish;
  table->buffer_write = buffer_write;
  table->buffer_read = buffer_read;
  table->op_query = op_query;
  table->op_run = op_run;
  table->program_run = program_run;
  table->event_record = event_record;
  table->event_wait = event_wait;
  table->event_destroy = event_destroy;
  return 0;
}

const struct plm_layer plm_layer_validate = {.name = "validate",
                                             .configure = configure,
                                             .install = install,
                                             .report = report,
                                             .verdict = verdict,
                                             .remove = take_off};
