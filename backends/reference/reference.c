/* The plugin: one device, queues that run at once, buffers in host memory, and the table of ops. */
#include "reference.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct plm_host *ref_host;

/* ---------------------------------------------------------------- ops */

/* Keeps every product of extents and sizes in this backend below 2^64. */
#define EXTENT_MAX (1u << 24)

#define DIM(path)                                                                                                      \
  { #path, offsetof(struct plm_op, u.path) }

struct ref_kind {
  int (*run)(struct ref_call *call);
  uint32_t flags;     /* all that are known */
  uint32_t exclusive; /* flags that are never asked together, 0: none */
  struct {
    const char *name;
    size_t offset;
  } dims[3]; /* extents that are fixed at build time, each in 1..EXTENT_MAX */
};

#define ATTENTION_FLAGS (PLM_FLAG_CAUSAL | PLM_FLAG_ROTARY)

static const struct ref_kind kinds[PLM_OP_COUNT] = {
    [PLM_OP_FILL] = {ref_fill, 0, 0, {{0}}},
    [PLM_OP_EMBED] = {ref_embed, 0, 0, {DIM(embed.vocabulary), DIM(embed.width)}},
    [PLM_OP_EMBED_GRAD] = {ref_embed_grad, 0, 0, {DIM(embed_grad.vocabulary), DIM(embed_grad.width)}},
    [PLM_OP_LAYER_NORM] = {ref_layer_norm, 0, 0, {DIM(layer_norm.width)}},
    [PLM_OP_LAYER_NORM_GRAD] = {ref_layer_norm_grad, PLM_FLAG_ACCUMULATE, 0, {DIM(layer_norm_grad.width)}},
    [PLM_OP_LINEAR] = {ref_linear,
                       PLM_FLAG_BIAS | PLM_FLAG_GELU | PLM_FLAG_RESIDUAL,
                       PLM_FLAG_GELU | PLM_FLAG_RESIDUAL,
                       {DIM(linear.in), DIM(linear.out)}},
    [PLM_OP_LINEAR_GRAD_INPUT] = {ref_linear_grad_input,
                                  PLM_FLAG_ACCUMULATE | PLM_FLAG_GELU,
                                  PLM_FLAG_ACCUMULATE | PLM_FLAG_GELU,
                                  {DIM(linear_grad_input.in), DIM(linear_grad_input.out)}},
    [PLM_OP_LINEAR_GRAD_WEIGHT] = {ref_linear_grad_weight,
                                   PLM_FLAG_BIAS,
                                   0,
                                   {DIM(linear_grad_weight.in), DIM(linear_grad_weight.out)}},
    [PLM_OP_BIAS] = {ref_bias, 0, 0, {DIM(bias.width)}},
    [PLM_OP_BIAS_GRAD] = {ref_bias_grad, 0, 0, {DIM(bias_grad.width)}},
    [PLM_OP_GELU] = {ref_gelu, 0, 0, {DIM(gelu.width)}},
    [PLM_OP_GELU_GRAD] = {ref_gelu_grad, 0, 0, {DIM(gelu_grad.width)}},
    [PLM_OP_ADD] = {ref_add, 0, 0, {DIM(add.width)}},
    [PLM_OP_ROTARY] = {ref_rotary,
                       PLM_FLAG_INVERSE,
                       0,
                       {DIM(rotary.heads), DIM(rotary.head_size), DIM(rotary.table_rows)}},
    [PLM_OP_ATTENTION] = {ref_attention,
                          ATTENTION_FLAGS,
                          0,
                          {DIM(attention.heads), DIM(attention.head_size), DIM(attention.length_max)}},
    [PLM_OP_ATTENTION_GRAD] = {ref_attention_grad,
                               ATTENTION_FLAGS,
                               0,
                               {DIM(attention_grad.heads), DIM(attention_grad.head_size),
                                DIM(attention_grad.length_max)}},
    [PLM_OP_GATHER_ROWS] = {ref_gather_rows, 0, 0, {DIM(gather_rows.width)}},
    [PLM_OP_SCATTER_ROWS] = {ref_scatter_rows, 0, 0, {DIM(scatter_rows.width)}},
    [PLM_OP_SOFTMAX_LOSS] = {ref_softmax_loss, PLM_FLAG_GRADIENT, 0, {DIM(softmax_loss.vocabulary)}},
    [PLM_OP_REDUCE_SUM] = {ref_reduce_sum, PLM_FLAG_ACCUMULATE, 0, {{0}}},
    [PLM_OP_GRAD_NORM] = {ref_grad_norm, 0, 0, {{0}}},
    [PLM_OP_ADAMW] = {ref_adamw, 0, 0, {{0}}},
    [PLM_OP_RECORD] = {ref_record, 0, 0, {DIM(record.count), DIM(record.capacity)}},
};

static void refuse(struct plm_verdict *verdict, uint32_t reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void refuse(struct plm_verdict *verdict, uint32_t reason, const char *format, ...) {
  va_list args;
  verdict->status = PLM_VERDICT_UNSUPPORTED;
  verdict->reason = reason;
  va_start(args, format);
  vsnprintf(verdict->text, sizeof verdict->text, format, args);
  va_end(args);
}

/* The attributes whose rule is more than "at least 1". */
static void judge_attributes(struct plm_verdict *verdict, const struct plm_op *op) {
  uint32_t head_size = 0, table_rows = 1;
  if (op->kind == PLM_OP_ROTARY) {
    head_size = op->u.rotary.head_size;
  } else if (op->kind == PLM_OP_ATTENTION) {
    head_size = op->u.attention.head_size;
    table_rows = op->flags & PLM_FLAG_ROTARY ? op->u.attention.table_rows : 1;
  } else if (op->kind == PLM_OP_ATTENTION_GRAD) {
    head_size = op->u.attention_grad.head_size;
    table_rows = op->flags & PLM_FLAG_ROTARY ? op->u.attention_grad.table_rows : 1;
  } else if (op->kind == PLM_OP_LAYER_NORM && !(op->u.layer_norm.epsilon >= 0)) {
    refuse(verdict, PLM_REASON_SHAPE, "epsilon %g: must be at least 0", (double)op->u.layer_norm.epsilon);
  } else if (op->kind == PLM_OP_GRAD_NORM && !(op->u.grad_norm.norm_max >= 0)) {
    refuse(verdict, PLM_REASON_SHAPE, "norm_max %g: must be at least 0", (double)op->u.grad_norm.norm_max);
  }
  if (head_size % 2 != 0)
    refuse(verdict, PLM_REASON_SHAPE, "head_size %" PRIu32 ": must be even", head_size);
  else if (table_rows == 0)
    refuse(verdict, PLM_REASON_SHAPE, "table_rows 0: must be at least 1");
}

static void judge(struct plm_verdict *verdict, const struct plm_op *op) {
  const struct ref_kind *kind = op->kind < PLM_OP_COUNT ? &kinds[op->kind] : NULL;
  if (!kind || !kind->run) {
    refuse(verdict, PLM_REASON_UNKNOWN_OP, "op id %" PRIu32 " is unknown, known are 1 to %u", op->kind,
           PLM_OP_COUNT - 1);
    return;
  }
  if (op->type != PLM_TYPE_F32) {
    refuse(verdict, PLM_REASON_TYPE, "type %" PRIu32 ": must be f32 (%u)", op->type, PLM_TYPE_F32);
    return;
  }
  if (op->flags & ~kind->flags) {
    refuse(verdict, PLM_REASON_FLAG, "flags 0x%" PRIx32 " are unknown for this op, known are 0x%" PRIx32,
           op->flags & ~kind->flags, kind->flags);
    return;
  }
  if (kind->exclusive && (op->flags & kind->exclusive) == kind->exclusive) {
    refuse(verdict, PLM_REASON_FLAG, "flags 0x%" PRIx32 " exclude each other", kind->exclusive);
    return;
  }
  for (size_t i = 0; i < 3 && kind->dims[i].name; i++) {
    uint32_t value;
    memcpy(&value, (const unsigned char *)op + kind->dims[i].offset, sizeof value);
    if (value < 1 || value > EXTENT_MAX) {
      refuse(verdict, PLM_REASON_SHAPE, "%s %" PRIu32 ": must be in 1..%u", kind->dims[i].name, value, EXTENT_MAX);
      return;
    }
  }
  judge_attributes(verdict, op);
}

static int check_op_size(const struct plm_op *op, struct plm_error *err) {
  if (op->struct_size >= sizeof *op)
    return PLM_OK;
  return ref_fail(err, PLM_E_INVALID, op, "struct_size %" PRIu64 ", must be at least %zu", op->struct_size, sizeof *op);
}

static int op_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                    struct plm_error *err) {
  (void)device;
  struct plm_verdict verdict = {
      .struct_size = sizeof verdict, .status = PLM_VERDICT_SUPPORTED, .deterministic = 1, .preference = 50};
  const int code = check_op_size(op, err);
  if (code)
    return code;
  judge(&verdict, op);
  if (verdict.status == PLM_VERDICT_SUPPORTED && (op->kind == PLM_OP_ATTENTION || op->kind == PLM_OP_ATTENTION_GRAD))
    verdict.workspace_bytes = ref_attention_workspace(op) * sizeof(double);
  plm_table_copy(out, out->struct_size, &verdict);
  return PLM_OK;
}

static int op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  (void)queue;
  struct plm_verdict verdict = {.status = PLM_VERDICT_SUPPORTED};
  const int code = check_op_size(op, err);
  if (code)
    return code;
  judge(&verdict, op);
  if (verdict.status != PLM_VERDICT_SUPPORTED)
    return ref_fail(err, PLM_E_UNSUPPORTED, op, "%s", verdict.text);
  struct ref_call call = {.op = op, .err = err};
  return kinds[op->kind].run(&call);
}

/* ------------------------------------------------------------- device */

static int device_count(uint32_t *out, struct plm_error *err) {
  (void)err;
  *out = 1;
  return PLM_OK;
}

static int check_device_index(uint32_t index, struct plm_error *err) {
  return index == 0 ? PLM_OK : ref_fail(err, PLM_E_INVALID, NULL, "device %" PRIu32 ": there is only device 0", index);
}

static int device_info(uint32_t index, struct plm_device_info *out, struct plm_error *err) {
  const struct plm_device_info info = {
      .struct_size = sizeof info,
      .kind = PLM_DEVICE_CPU,
      .compute_units = 1,
      .memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE),
      .id = "reference:0",
      .name = "reference loops in double precision",
      .vendor = "plmscale",
      .driver = "reference",
      .driver_version = PLM_VERSION,
  };
  const int code = check_device_index(index, err);
  if (code == PLM_OK)
    plm_table_copy(out, out->struct_size, &info);
  return code;
}

static void *allocate(const struct plm_host *host, uint64_t bytes) { return host->allocate(host->context, bytes); }
static void release(const struct plm_host *host, void *memory) { host->release(host->context, memory); }

static int no_memory(uint64_t bytes, const char *what, struct plm_error *err) {
  return ref_fail(err, PLM_E_NO_MEMORY, NULL, "%s: no host memory for %" PRIu64 " bytes", what, bytes);
}

static int device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  const int code = check_device_index(index, err);
  if (code)
    return code;
  struct plm_device *device = allocate(ref_host, sizeof *device);
  if (!device)
    return no_memory(sizeof *device, "device", err);
  device->host = ref_host;
  *out = device;
  return PLM_OK;
}

static void device_close(struct plm_device *device) {
  if (device)
    release(device->host, device);
}

/* ------------------------------------------------------------- buffer */

static int buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                         struct plm_error *err) {
  if (bytes == 0 || bytes > SIZE_MAX / 2)
    return ref_fail(err, PLM_E_INVALID, NULL, "buffer of %" PRIu64 " bytes: must be in 1..%zu", bytes, SIZE_MAX / 2);
  if (kind != PLM_BUFFER_DEVICE && kind != PLM_BUFFER_UPLOAD)
    return ref_fail(err, PLM_E_INVALID, NULL, "buffer kind %" PRIu32 ": must be %u or %u", kind, PLM_BUFFER_DEVICE,
                    PLM_BUFFER_UPLOAD);
  struct plm_buffer *buffer = allocate(device->host, sizeof *buffer);
  if (!buffer)
    return no_memory(sizeof *buffer, "buffer", err);
  *buffer = (struct plm_buffer){device, allocate(device->host, bytes), bytes};
  if (!buffer->data) {
    release(device->host, buffer);
    return no_memory(bytes, "buffer", err);
  }
  /* Undefined contents, made to be noticed: NaN as floats, -1 as ids. */
  memset(buffer->data, 0xff, (size_t)bytes);
  *out = buffer;
  return PLM_OK;
}

static void buffer_destroy(struct plm_buffer *buffer) {
  if (!buffer)
    return;
  const struct plm_host *host = buffer->device->host;
  release(host, buffer->data);
  release(host, buffer);
}

static int check_range(const struct plm_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what,
                       struct plm_error *err) {
  if (offset <= buffer->bytes && bytes <= buffer->bytes - offset)
    return PLM_OK;
  return ref_fail(err, PLM_E_INVALID, NULL,
                  "%s: offset %" PRIu64 " + %" PRIu64 " bytes reach past the buffer's %" PRIu64, what, offset, bytes,
                  buffer->bytes);
}

static int buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                        uint64_t bytes, struct plm_error *err) {
  (void)queue;
  const int code = check_range(buffer, offset, bytes, "buffer_write", err);
  if (code == PLM_OK && bytes > 0)
    memcpy(buffer->data + offset, data, (size_t)bytes);
  return code;
}

static int buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                       struct plm_error *err) {
  (void)queue;
  const int code = check_range(buffer, offset, bytes, "buffer_read", err);
  if (code == PLM_OK && bytes > 0)
    memcpy(data, buffer->data + offset, (size_t)bytes);
  return code;
}

/* -------------------------------------------------------------- queue */

static int queue_create(struct plm_device *device, struct plm_queue **out, struct plm_error *err) {
  struct plm_queue *queue = allocate(device->host, sizeof *queue);
  if (!queue)
    return no_memory(sizeof *queue, "queue", err);
  queue->device = device;
  *out = queue;
  return PLM_OK;
}

static void queue_destroy(struct plm_queue *queue) {
  if (queue)
    release(queue->device->host, queue);
}

/* Ops have run, and failed, by the time op_run returns. */
static int queue_finish(struct plm_queue *queue, struct plm_error *err) {
  (void)queue;
  (void)err;
  return PLM_OK;
}

/* --------------------------------------------------------------- card */

static const struct plm_backend table = {
    .struct_size = sizeof table,
    .device_count = device_count,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .queue_create = queue_create,
    .queue_destroy = queue_destroy,
    .queue_finish = queue_finish,
    .buffer_write = buffer_write,
    .buffer_read = buffer_read,
    .op_query = op_query,
    .op_run = op_run,
};

static int start(const struct plm_host *host, struct plm_backend *out, struct plm_error *err) {
  (void)err;
  ref_host = host;
  return plm_backend_publish(out, &table);
}

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {
  static const struct plm_plugin_card card = {
      PLM_CARD_BUILD,       .name = "reference", .version = PLM_VERSION,   .license = "",
      .vendor = "plmscale", .url = "",           .compiler = PLM_COMPILER, .start = start,
  };
  return &card;
}
