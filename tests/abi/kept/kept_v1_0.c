/*
 * The plugin that was built when ABI 1.0 was new, and is kept as a binary (kept_v1_0.so, README.md). This file is what
 * it was built from and is not built any more: it is here to be read, and is never changed. It uses every part of the
 * table: devices, options, events, memory_info, program_run, an extension, and ops that need no mathematics library.
 */
#include <stdlib.h>
#include <string.h>

#include <plmscale/backend.h>
#include <plmscale/op_rules.h>

struct plm_device {
  const struct plm_host *host;
  uint64_t used;
};
struct plm_queue {
  struct plm_device *device;
};
struct plm_buffer {
  struct plm_device *device;
  unsigned char *data;
  uint64_t bytes;
};
struct plm_event {
  struct plm_device *device;
};

#define MEMORY_BYTES (UINT64_C(1) << 30)

static const struct plm_host *host;

static const char *option(const char *name) { return host->option(host->context, name); }

/* ------------------------------------------------------------------- ops */

static float *f32(const struct plm_view *view) {
  return view->buffer ? (float *)(void *)(view->buffer->data + view->offset) : NULL;
}
static int32_t *i32(const struct plm_view *view) {
  return view->buffer ? (int32_t *)(void *)(view->buffer->data + view->offset) : NULL;
}

static int check_index(const struct plm_op *op, const char *name, const int32_t *values, uint64_t count, uint64_t limit,
                       struct plm_error *err) {
  for (uint64_t i = 0; i < count; i++)
    if (values[i] < 0 || (uint64_t)values[i] >= limit)
      return plm_rules_error(err, PLM_E_INVALID, op, "%s[%" PRIu64 "] = %" PRId32 " is not in 0..%" PRIu64, name, i,
                             values[i], limit - 1);
  return PLM_OK;
}

static int run_fill(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_fill *p = &op->u.fill;
  (void)err;
  for (uint64_t i = 0; i < p->count; i++)
    f32(&p->x)[i] = p->value;
  return PLM_OK;
}

static int run_embed(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_embed *p = &op->u.embed;
  const uint64_t T = p->rows.count, D = p->width;
  const int32_t *tokens = i32(&p->tokens);
  const int code = check_index(op, "tokens", tokens, T, p->vocabulary, err);
  for (uint64_t t = 0; t < T && !code; t++)
    for (uint64_t d = 0; d < D; d++)
      f32(&p->y)[t * D + d] = f32(&p->scale)[t] * f32(&p->table)[(uint64_t)tokens[t] * D + d];
  return code;
}

static int run_linear(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_linear *p = &op->u.linear;
  (void)err;
  for (uint64_t r = 0; r < p->rows.count; r++)
    for (uint64_t o = 0; o < p->out; o++) {
      double sum = 0;
      for (uint64_t i = 0; i < p->in; i++)
        sum += (double)f32(&p->x)[r * p->in + i] * f32(&p->w)[o * p->in + i];
      f32(&p->y)[r * p->out + o] = (float)sum;
    }
  return PLM_OK;
}

static int run_bias(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_bias *p = &op->u.bias;
  (void)err;
  for (uint64_t r = 0; r < p->rows.count; r++)
    for (uint64_t o = 0; o < p->width; o++)
      f32(&p->y)[r * p->width + o] += f32(&p->bias)[o];
  return PLM_OK;
}

static int run_add(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_add *p = &op->u.add;
  (void)err;
  for (uint64_t i = 0; i < (uint64_t)p->rows.count * p->width; i++)
    f32(&p->y)[i] = f32(&p->a)[i] + f32(&p->b)[i];
  return PLM_OK;
}

static int run_rotary(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_rotary *p = &op->u.rotary;
  const uint64_t T = p->rows.count, H = p->heads, h = p->head_size, half = h / 2;
  const float sign = (op->flags & PLM_FLAG_INVERSE) ? -1 : 1;
  const int32_t *positions = i32(&p->positions);
  const int code = check_index(op, "positions", positions, T, p->table_rows, err);
  for (uint64_t t = 0; t < T && !code; t++)
    for (uint64_t head = 0; head < 2 * H; head++)
      for (uint64_t j = 0; j < half; j++) {
        float *x = f32(&p->qkv) + (t * 3 * H + head) * h;
        const float a = x[j], b = x[j + half];
        const float c = f32(&p->cosine)[(uint64_t)positions[t] * half + j];
        const float s = sign * f32(&p->sine)[(uint64_t)positions[t] * half + j];
        x[j] = a * c - b * s;
        x[j + half] = b * c + a * s;
      }
  return code;
}

static int check_rows(const struct plm_op *op, const int32_t *index, uint64_t count, uint64_t limit,
                      struct plm_error *err) {
  const int code = check_index(op, "index", index, count, limit, err);
  for (uint64_t m = 1; m < count && !code; m++)
    if (index[m] <= index[m - 1])
      return plm_rules_error(err, PLM_E_INVALID, op, "index[%" PRIu64 "] = %" PRId32 " does not ascend from %" PRId32,
                             m, index[m], index[m - 1]);
  return code;
}

static int run_gather_rows(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_gather_rows *p = &op->u.gather_rows;
  const uint64_t M = p->rows.count, D = p->width;
  const int code = check_rows(op, i32(&p->index), M, p->source.count, err);
  for (uint64_t m = 0; m < M && !code; m++)
    for (uint64_t d = 0; d < D; d++)
      f32(&p->y)[m * D + d] = f32(&p->x)[(uint64_t)i32(&p->index)[m] * D + d];
  return code;
}

static int run_scatter_rows(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_scatter_rows *p = &op->u.scatter_rows;
  const uint64_t M = p->rows.count, D = p->width;
  const int code = check_rows(op, i32(&p->index), M, p->target.count, err);
  for (uint64_t i = 0; i < p->target.count * D && !code; i++)
    f32(&p->y)[i] = 0;
  for (uint64_t m = 0; m < M && !code; m++)
    for (uint64_t d = 0; d < D; d++)
      f32(&p->y)[(uint64_t)i32(&p->index)[m] * D + d] = f32(&p->x)[m * D + d];
  return code;
}

static int run_reduce_sum(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_reduce_sum *p = &op->u.reduce_sum;
  double sum = (op->flags & PLM_FLAG_ACCUMULATE) ? f32(&p->out)[0] : 0;
  (void)err;
  for (uint64_t r = 0; r < p->rows.count; r++)
    sum += p->weights.bytes ? (double)f32(&p->x)[r] * f32(&p->weights)[r] : f32(&p->x)[r];
  f32(&p->out)[0] = (float)sum;
  return PLM_OK;
}

static int run_grad_norm(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_grad_norm *p = &op->u.grad_norm;
  float *out = f32(&p->out);
  double squares = 0;
  (void)err;
  for (uint64_t i = 0; i < p->count; i++)
    squares += (double)f32(&p->grads)[i] * f32(&p->grads)[i];
  const double norm = __builtin_sqrt(squares), clip = p->norm_max / (norm + 1e-6);
  const int finite = __builtin_isfinite((float)norm);
  out[0] = (float)norm;
  out[1] = finite ? 1 : 0;
  out[2] = !finite ? 0 : p->norm_max == 0 || clip > 1 ? 1 : (float)clip;
  out[3] = 0;
  return PLM_OK;
}

static int run_adamw(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_adamw *p = &op->u.adamw;
  const float *control = f32(&p->control), *schedule = f32(&p->schedule);
  float *params = f32(&p->params), *m = f32(&p->m), *v = f32(&p->v);
  (void)err;
  for (uint64_t i = 0; i < p->count && control[1] != 0; i++) {
    const float g = f32(&p->grads)[i] * control[2];
    m[i] = p->beta1 * m[i] + (1 - p->beta1) * g;
    v[i] = p->beta2 * v[i] + (1 - p->beta2) * g * g;
    params[i] -= schedule[0] * p->rate_scale *
                 ((m[i] / schedule[1]) / (__builtin_sqrtf(v[i] / schedule[2]) + p->epsilon) + p->decay * params[i]);
  }
  return PLM_OK;
}

static int run_record(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_record *p = &op->u.record;
  const int32_t index = i32(&p->index)[0];
  if (index < 0)
    return plm_rules_error(err, PLM_E_INVALID, op, "index[0] = %" PRId32 " is negative", index);
  for (uint64_t j = 0; j < p->count; j++)
    f32(&p->log)[(uint64_t)((uint32_t)index % p->capacity) * p->count + j] = f32(&p->x)[j];
  return PLM_OK;
}

static int (*const runs[PLM_OP_COUNT])(const struct plm_op *op, struct plm_error *err) = {
    [PLM_OP_FILL] = run_fill,
    [PLM_OP_EMBED] = run_embed,
    [PLM_OP_LINEAR] = run_linear,
    [PLM_OP_BIAS] = run_bias,
    [PLM_OP_ADD] = run_add,
    [PLM_OP_ROTARY] = run_rotary,
    [PLM_OP_GATHER_ROWS] = run_gather_rows,
    [PLM_OP_SCATTER_ROWS] = run_scatter_rows,
    [PLM_OP_REDUCE_SUM] = run_reduce_sum,
    [PLM_OP_GRAD_NORM] = run_grad_norm,
    [PLM_OP_ADAMW] = run_adamw,
    [PLM_OP_RECORD] = run_record,
};

static int judge(const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  static const uint32_t no_flags[PLM_OP_COUNT] = {0};
  const int code = plm_rules_judge(out, op, no_flags, err);
  if (!code && out->status == PLM_VERDICT_SUPPORTED && !runs[op->kind])
    plm_rules_refuse(out, PLM_REASON_UNKNOWN_OP, "%s is not in this plugin", plm_op_name(op->kind));
  return code;
}

static int op_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                    struct plm_error *err) {
  struct plm_verdict verdict;
  const int code = judge(op, &verdict, err);
  (void)device;
  if (!code)
    plm_table_copy(out, out->struct_size, &verdict);
  return code;
}

static uint64_t buffer_bytes(const struct plm_buffer *buffer) { return buffer->bytes; }

static int op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct plm_verdict verdict;
  int code = judge(op, &verdict, err);
  (void)queue;
  if (!code && verdict.status != PLM_VERDICT_SUPPORTED)
    code = plm_rules_error(err, PLM_E_UNSUPPORTED, op, "%s", verdict.text);
  if (!code)
    code = plm_rules_bind(op, verdict.workspace_bytes, buffer_bytes, err);
  return code ? code : runs[op->kind](op, err);
}

static int program_run(struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,
                       struct plm_error *err) {
  for (uint32_t i = 0; i < count; i++) {
    const int code = op_run(queue, &ops[i], err);
    if (code) {
      *failed = i;
      return code;
    }
  }
  return PLM_OK;
}

/* --------------------------------------------------------------- devices */

static int device_count(uint32_t *out, struct plm_error *err) {
  (void)err;
  *out = (uint32_t)strtoul(option("devices"), NULL, 10);
  return PLM_OK;
}

static int check_device(uint32_t index, struct plm_error *err) {
  uint32_t count = 0;
  device_count(&count, err);
  if (index < count)
    return PLM_OK;
  return plm_rules_error(err, PLM_E_INVALID, NULL, "device %" PRIu32 ": there are %" PRIu32, index, count);
}

static int device_info(uint32_t index, struct plm_device_info *out, struct plm_error *err) {
  struct plm_device_info info;
  const int code = check_device(index, err);
  if (code)
    return code;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  info.kind = PLM_DEVICE_OTHER;
  info.compute_units = host->threads(host->context);
  info.memory_bytes = MEMORY_BYTES;
  info.buffer_bytes_max = MEMORY_BYTES;
  info.cache_bytes = 1 << 20;
  snprintf(info.id, sizeof info.id, "kept:%" PRIu32, index);
  snprintf(info.name, sizeof info.name, "%s", option("label"));
  strcpy(info.vendor, "plmscale");
  strcpy(info.driver, "kept");
  strcpy(info.driver_version, "1.0");
  plm_table_copy(out, out->struct_size, &info);
  return PLM_OK;
}

static int device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  struct plm_device *device;
  const int code = check_device(index, err);
  if (code)
    return code;
  device = host->allocate(host->context, sizeof *device);
  if (!device)
    return plm_rules_error(err, PLM_E_NO_MEMORY, NULL, "device: no memory");
  device->host = host;
  device->used = 0;
  host->log(host->context, PLM_LOG_DEBUG, "kept: a device is open");
  *out = device;
  return PLM_OK;
}

static void device_close(struct plm_device *device) {
  if (device)
    device->host->release(device->host->context, device);
}

static int memory_info(struct plm_device *device, uint64_t *used, uint64_t *free_bytes, struct plm_error *err) {
  (void)err;
  *used = device->used;
  *free_bytes = MEMORY_BYTES - device->used;
  return PLM_OK;
}

/* --------------------------------------------------------------- buffers */

static int buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                         struct plm_error *err) {
  const struct plm_host *h = device->host;
  struct plm_buffer *buffer;
  const int code = plm_rules_new_buffer(bytes, MEMORY_BYTES, kind, err);
  if (code)
    return code;
  buffer = bytes <= MEMORY_BYTES - device->used ? h->allocate(h->context, sizeof *buffer) : NULL;
  if (buffer) {
    buffer->device = device;
    buffer->bytes = bytes;
    buffer->data = h->allocate(h->context, bytes);
  }
  if (!buffer || !buffer->data) {
    h->release(h->context, buffer);
    return plm_rules_error(err, PLM_E_NO_MEMORY, NULL, "buffer: no memory for %" PRIu64 " bytes", bytes);
  }
  device->used += bytes;
  *out = buffer;
  return PLM_OK;
}

static void buffer_destroy(struct plm_buffer *buffer) {
  const struct plm_host *h;
  if (!buffer)
    return;
  h = buffer->device->host;
  buffer->device->used -= buffer->bytes;
  h->release(h->context, buffer->data);
  h->release(h->context, buffer);
}

static int buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                        uint64_t bytes, struct plm_error *err) {
  const int code = plm_rules_range(buffer->bytes, offset, bytes, "buffer_write", err);
  (void)queue;
  if (!code && bytes > 0)
    memcpy(buffer->data + offset, data, (size_t)bytes);
  return code;
}

static int buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                       struct plm_error *err) {
  const int code = plm_rules_range(buffer->bytes, offset, bytes, "buffer_read", err);
  (void)queue;
  if (!code && bytes > 0)
    memcpy(data, buffer->data + offset, (size_t)bytes);
  return code;
}

/* ----------------------------------------------------- queues and events */

static int queue_create(struct plm_device *device, struct plm_queue **out, struct plm_error *err) {
  struct plm_queue *queue = device->host->allocate(device->host->context, sizeof *queue);
  if (!queue)
    return plm_rules_error(err, PLM_E_NO_MEMORY, NULL, "queue: no memory");
  queue->device = device;
  *out = queue;
  return PLM_OK;
}

static void queue_destroy(struct plm_queue *queue) {
  if (queue)
    queue->device->host->release(queue->device->host->context, queue);
}

static int queue_finish(struct plm_queue *queue, struct plm_error *err) {
  (void)queue;
  (void)err;
  return PLM_OK;
}

static int event_record(struct plm_queue *queue, struct plm_event **out, struct plm_error *err) {
  const struct plm_host *h = queue->device->host;
  struct plm_event *event = h->allocate(h->context, sizeof *event);
  if (!event)
    return plm_rules_error(err, PLM_E_NO_MEMORY, NULL, "event: no memory");
  event->device = queue->device;
  *out = event;
  return PLM_OK;
}

static int event_wait(struct plm_event *event, struct plm_error *err) {
  (void)event;
  (void)err;
  return PLM_OK;
}

static void event_destroy(struct plm_event *event) {
  if (event)
    event->device->host->release(event->device->host->context, event);
}

/* ------------------------------------------------------------------ card */

static const void *extension(const char *name, uint32_t version) {
  static const struct {
    uint64_t struct_size, answer;
  } kept = {sizeof kept, 42};
  return strcmp(name, "x_kept") == 0 && version == 1 ? &kept : NULL;
}

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
    .program_run = program_run,
    .event_record = event_record,
    .event_wait = event_wait,
    .event_destroy = event_destroy,
    .memory_info = memory_info,
    .extension = extension,
};

static const struct plm_option options[] = {
    {sizeof(struct plm_option), "devices", "1", "how many devices there are", 0, 16, PLM_OPTION_INTEGER, 0},
    {sizeof(struct plm_option), "label", "kept since 1.0", "name of the devices", 0, 0, PLM_OPTION_TEXT, 0},
};

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  (void)err;
  host = given;
  return plm_backend_publish(out, &table);
}

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {
  static const struct plm_plugin_card card = {PLM_CARD_BUILD,
                                              .name = "kept_v1_0",
                                              .version = "1.0",
                                              .license = "",
                                              .vendor = "plmscale",
                                              .compiler = PLM_COMPILER,
                                              .options = options,
                                              .option_count = sizeof options / sizeof *options,
                                              .option_stride = sizeof *options,
                                              .start = start};
  return &card;
}
