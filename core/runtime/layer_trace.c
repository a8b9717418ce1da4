/* trace: one line a call. The time is that of the call: what an asynchronous backend does later is not in it. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "model/ops.h"
#include "model/program.h"
#include "plmscale/op_rules.h"
#include "runtime/layering.h"

static struct {
  struct plm_backend next;
  char *path; /* NULL: the log */
  FILE *file;
  uint64_t calls;
} layer;

static void __attribute__((format(printf, 5, 6)))
line(const char *slot, double start, int code, const struct plm_error *err, const char *format, ...) {
  char what[1024], end[200] = "ok";
  double microseconds = (plm_layer_clock() - start) * 1e6;
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  if (code)
    snprintf(end, sizeof end, "%s \"%.160s\"", plm_error_name(code), err ? err->text : "");
  layer.calls++;
  if (layer.file)
    fprintf(layer.file, "%" PRIu64 " %s %s -> %s, %.1f us\n", layer.calls, slot, what, end, microseconds);
  else
    plm_log(PLM_LOG_INFO, "trace: %" PRIu64 " %s %s -> %s, %.1f us", layer.calls, slot, what, end, microseconds);
}

/* "x=activations@4096 w=params@0": every view that the op uses, by the slot's name and the offset in it. */
static void views_text(char *out, size_t size, const struct plm_op *op) {
  uint32_t count;
  const struct plm_operand *operands = plm_rules_operands_of(op->kind, &count);
  size_t used = 0;
  *out = 0;
  for (uint32_t i = 0; i < count && used < size; i++) {
    const struct plm_view *view = plm_rules_view(op, &operands[i]);
    if (plm_rules_has(op, &operands[i]))
      used += (size_t)snprintf(out + used, size - used, " %s=%s@%" PRIu64, operands[i].name, plm_slot_name(view->slot),
                               view->offset);
  }
}

static int op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  char title[PLM_OP_TEXT], shape[PLM_OP_TEXT], views[640];
  double start = plm_layer_clock();
  int code = layer.next.op_run(queue, op, err);
  plm_op_title(title, op);
  plm_op_shape(shape, op);
  views_text(views, sizeof views, op);
  line("op_run", start, code, err, "#%u %s %s%s", op->index, title, shape, views);
  return code;
}

static int program_run(struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,
                       struct plm_error *err) {
  return plm_layer_loop(op_run, queue, ops, count, failed, err);
}

static int op_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  char title[PLM_OP_TEXT], shape[PLM_OP_TEXT];
  double start = plm_layer_clock();
  int code = layer.next.op_query(device, op, out, err);
  plm_op_title(title, op);
  plm_op_shape(shape, op);
  if (code)
    line("op_query", start, code, err, "%s %s", title, shape);
  else if (out->status == PLM_VERDICT_SUPPORTED)
    line("op_query", start, 0, NULL, "%s %s: yes, workspace %" PRIu64 " bytes", title, shape, out->workspace_bytes);
  else
    line("op_query", start, 0, NULL, "%s %s: no, %.103s", title, shape, out->text);
  return code;
}

static int device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  double start = plm_layer_clock();
  int code = layer.next.device_open(index, out, err);
  line("device_open", start, code, err, "%u", index);
  return code;
}

static void device_close(struct plm_device *device) {
  double start = plm_layer_clock();
  layer.next.device_close(device);
  line("device_close", start, 0, NULL, "%p", (void *)device);
}

static int buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                         struct plm_error *err) {
  double start = plm_layer_clock();
  int code = layer.next.buffer_create(device, bytes, kind, out, err);
  line("buffer_create", start, code, err, "%" PRIu64 " bytes, %s: %p", bytes,
       kind == PLM_BUFFER_UPLOAD ? "upload" : "device", code ? NULL : (void *)*out);
  return code;
}

static void buffer_destroy(struct plm_buffer *buffer) {
  double start = plm_layer_clock();
  layer.next.buffer_destroy(buffer);
  line("buffer_destroy", start, 0, NULL, "%p", (void *)buffer);
}

static int queue_create(struct plm_device *device, struct plm_queue **out, struct plm_error *err) {
  double start = plm_layer_clock();
  int code = layer.next.queue_create(device, out, err);
  line("queue_create", start, code, err, "%p", code ? NULL : (void *)*out);
  return code;
}

static void queue_destroy(struct plm_queue *queue) {
  double start = plm_layer_clock();
  layer.next.queue_destroy(queue);
  line("queue_destroy", start, 0, NULL, "%p", (void *)queue);
}

static int queue_finish(struct plm_queue *queue, struct plm_error *err) {
  double start = plm_layer_clock();
  int code = layer.next.queue_finish(queue, err);
  line("queue_finish", start, code, err, "%p", (void *)queue);
  return code;
}

static int buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                        uint64_t bytes, struct plm_error *err) {
  double start = plm_layer_clock();
  int code = layer.next.buffer_write(queue, buffer, offset, data, bytes, err);
  line("buffer_write", start, code, err, "%p@%" PRIu64 " %" PRIu64 " bytes", (void *)buffer, offset, bytes);
  return code;
}

static int buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                       struct plm_error *err) {
  double start = plm_layer_clock();
  int code = layer.next.buffer_read(queue, buffer, offset, data, bytes, err);
  line("buffer_read", start, code, err, "%p@%" PRIu64 " %" PRIu64 " bytes", (void *)buffer, offset, bytes);
  return code;
}

static int event_record(struct plm_queue *queue, struct plm_event **out, struct plm_error *err) {
  double start = plm_layer_clock();
  int code = layer.next.event_record(queue, out, err);
  line("event_record", start, code, err, "%p", code ? NULL : (void *)*out);
  return code;
}

static int event_wait(struct plm_event *event, struct plm_error *err) {
  double start = plm_layer_clock();
  int code = layer.next.event_wait(event, err);
  line("event_wait", start, code, err, "%p", (void *)event);
  return code;
}

static void event_destroy(struct plm_event *event) {
  double start = plm_layer_clock();
  layer.next.event_destroy(event);
  line("event_destroy", start, 0, NULL, "%p", (void *)event);
}

static void take_off(void) {
  if (layer.file)
    fclose(layer.file);
  free(layer.path);
  memset(&layer, 0, sizeof layer);
}

static int configure(const char *argument, struct plm_error *err) {
  take_off();
  if (!argument)
    return 0;
  if (!*argument)
    return plm_error_set(err, PLM_E_USAGE, "layer \"trace:\": no file behind the colon (trace, or trace:FILE)");
  layer.path = strdup(argument);
  return layer.path ? 0 : plm_error_memory(err, "reading --layer");
}

static int install(struct plm_backend *table, struct plm_error *err) {
  if (layer.path) {
    layer.file = fopen(layer.path, "ae");
    if (!layer.file)
      return plm_error_set_system(err, errno, "cannot write the trace \"%s\"", layer.path);
    setvbuf(layer.file, NULL, _IOLBF, 0); /* whole lines, also of a process that is killed */
  }
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

const struct plm_layer plm_layer_trace = {
    .name = "trace", .configure = configure, .install = install, .remove = take_off};
