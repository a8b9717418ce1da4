#include "runtime/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static int query(void *context, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  struct plm_session *session = context;
  return session->plugin->backend.op_query(session->device, op, out, err);
}

#define MICRO_MIN 256u

static int fits_device(const struct plm_device_info *info, struct plm_shape shape, uint32_t tokens, uint32_t length_max) {
  const struct plm_capacity capacity = plm_session_capacity(tokens, length_max);
  uint64_t largest = 0, total = plm_shape_bytes(&largest, shape, &capacity);
  return (!info->buffer_bytes_max || largest <= info->buffer_bytes_max) &&
         (!info->memory_bytes || total <= info->memory_bytes / 10 * 9);
}

/* The most of least + k MICRO_MIN tokens up to tokens that fit, by halving the interval; least when none does. */
static uint32_t fit_tokens(const struct plm_device_info *info, struct plm_shape shape, uint32_t least, uint32_t tokens,
                           uint32_t length_max) {
  uint32_t low = 0, high = (tokens - least) / MICRO_MIN + 1;
  if (fits_device(info, shape, tokens, length_max))
    return tokens;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (fits_device(info, shape, least + middle * MICRO_MIN, length_max))
      low = middle;
    else
      high = middle;
  }
  return least + low * MICRO_MIN;
}

uint32_t plm_session_micro(const struct plm_device_info *info, struct plm_shape shape, uint32_t length_max,
                           uint32_t batch_tokens) {
  uint64_t token_bytes = (uint64_t)2 * 16 * shape.width * sizeof(float);
  uint64_t tokens = info->cache_bytes ? info->cache_bytes / token_bytes : batch_tokens;
  uint32_t least = length_max > MICRO_MIN ? length_max : MICRO_MIN;
  if (tokens < least)
    tokens = least;
  if (tokens > batch_tokens)
    tokens = batch_tokens;
  return tokens > least ? fit_tokens(info, shape, least, (uint32_t)tokens, length_max) : (uint32_t)tokens;
}

struct plm_capacity plm_session_capacity(uint32_t tokens, uint32_t length_max) {
  return (struct plm_capacity){.tokens = tokens, .sequences = tokens / 3 + 1, .masked = tokens, .length_max = length_max};
}

static int create_buffers(struct plm_session *s, struct plm_error *err) {
  const struct plm_backend *backend = &s->plugin->backend;
  for (uint32_t slot = 0; slot < PLM_SLOT_COUNT; slot++) {
    uint64_t bytes = s->model.slot_bytes[slot] ? s->model.slot_bytes[slot] : 64;
    if (s->info.buffer_bytes_max && bytes > s->info.buffer_bytes_max)
      return plm_error_set(err, PLM_E_NO_MEMORY, "device \"%s\": the %s need a buffer of %llu bytes, it allows %llu",
                           s->info.name, plm_slot_name(slot), (unsigned long long)bytes,
                           (unsigned long long)s->info.buffer_bytes_max);
    uint32_t kind = slot == PLM_SLOT_BATCH || slot == PLM_SLOT_SCHEDULE ? PLM_BUFFER_UPLOAD : PLM_BUFFER_DEVICE;
    int code = backend->buffer_create(s->device, bytes, kind, &s->buffers[slot], err);
    if (code)
      return code;
  }
  plm_program_bind(&s->model.begin, s->buffers);
  plm_program_bind(&s->model.accumulate, s->buffers);
  plm_program_bind(&s->model.update, s->buffers);
  plm_program_bind(&s->model.evaluate, s->buffers);
  return 0;
}

static int upload_tables(struct plm_session *s, struct plm_error *err) {
  uint64_t bytes = s->model.slot_bytes[PLM_SLOT_TABLES];
  float *tables = plm_memory_zeroed(1, bytes);
  if (!tables)
    return plm_error_memory(err, "making rotary tables");
  plm_model_tables(tables, &s->model);
  int code = s->plugin->backend.buffer_write(s->queue, s->buffers[PLM_SLOT_TABLES], 0, tables, bytes, err);
  free(tables);
  return code;
}

int plm_session_open(struct plm_session **out, const struct plm_plugin *plugin, uint32_t device,
                     const struct plm_session_options *options, struct plm_error *err) {
  struct plm_session *s = plm_memory_zeroed(1, sizeof *s);
  if (!s)
    return plm_error_memory(err, "opening a device");
  s->plugin = plugin;
  plm_guard_take(&s->guard);
  s->info.struct_size = sizeof s->info;
  int code = plugin->backend.device_info(device, &s->info, err);
  if (code)
    goto out;
  s->micro_tokens = options->micro_tokens;
  if (!s->micro_tokens)
    s->micro_tokens = plm_session_micro(&s->info, options->shape, options->length_max, options->batch_tokens);
  if (s->micro_tokens < options->length_max)
    s->micro_tokens = options->length_max;
  struct plm_capacity capacity = plm_session_capacity(s->micro_tokens, options->length_max);
  if ((code = plugin->backend.device_open(device, &s->device, err)) ||
      (code = plugin->backend.queue_create(s->device, &s->queue, err)) ||
      (code = plm_model_init(&s->model, options->shape, options->scaling, &capacity, &options->optimizer,
                             options->log_capacity, query, s, err)) ||
      (code = create_buffers(s, err)) || (code = upload_tables(s, err)) ||
      (code = plm_batch_init(&s->micro, s->micro_tokens, err)))
    goto out;
  *out = s;
  s = NULL;
out:
  plm_session_close(s);
  return code;
}

void plm_session_close(struct plm_session *s) {
  if (!s)
    return;
  const struct plm_backend *backend = &s->plugin->backend;
  if (s->queue)
    backend->queue_destroy(s->queue);
  for (uint32_t slot = PLM_SLOT_COUNT; slot-- > 0;)
    if (s->buffers[slot])
      backend->buffer_destroy(s->buffers[slot]);
  if (s->device)
    backend->device_close(s->device);
  plm_batch_fini(&s->micro);
  plm_model_fini(&s->model);
  free(s);
}

int plm_session_write(struct plm_session *s, enum plm_slot slot, const float *data, struct plm_error *err) {
  return s->plugin->backend.buffer_write(s->queue, s->buffers[slot], 0, data, s->model.layout.floats * sizeof(float), err);
}

int plm_session_read(struct plm_session *s, enum plm_slot slot, float *data, struct plm_error *err) {
  return s->plugin->backend.buffer_read(s->queue, s->buffers[slot], 0, data, s->model.layout.floats * sizeof(float), err);
}

static int run(struct plm_session *s, const struct plm_program *program, struct plm_error *err) {
  uint32_t failed = 0;
  int code = s->plugin->backend.program_run(s->queue, program->ops, program->count, &failed, err);
  if (code && !err->op_kind && failed < program->count)
    err->op_kind = program->ops[failed].kind;
  return code;
}

int plm_session_begin(struct plm_session *s, const struct plm_step_schedule *schedule, struct plm_error *err) {
  int code = s->plugin->backend.buffer_write(s->queue, s->buffers[PLM_SLOT_SCHEDULE], 0, schedule, sizeof *schedule, err);
  return code ? code : run(s, &s->model.begin, err);
}

static int upload(struct plm_session *s, const struct plm_batch *batch, struct plm_error *err) {
  const struct plm_batch_places *at = &s->model.batch;
  const struct {
    uint64_t place;
    const void *data;
    uint64_t count;
  } pieces[] = {
      {at->token, batch->token, batch->tokens},       {at->position, batch->position, batch->tokens},
      {at->scale, batch->scale, batch->tokens},       {at->offset, batch->offset, batch->sequences + 1u},
      {at->row, batch->row, batch->masked},           {at->target, batch->target, batch->masked},
      {at->mask_weight, batch->mask_weight, batch->masked},
  };
  struct plm_buffer *buffer = s->buffers[PLM_SLOT_BATCH];
  for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
    int code = s->plugin->backend.buffer_write(s->queue, buffer, pieces[i].place, pieces[i].data, pieces[i].count * 4, err);
    if (code)
      return code;
  }
  return 0;
}

static struct plm_extents batch_extents(const struct plm_batch *batch) {
  return (struct plm_extents){.tokens = batch->tokens,
                              .sequences = batch->sequences,
                              .masked = batch->masked,
                              .length_squares = batch->length_squares};
}

/* The next micro-batch of batch, uploaded, with program's extents set; *first moves on. */
static int next_micro(struct plm_session *s, struct plm_program *program, const struct plm_batch *batch, uint32_t *first,
                      struct plm_error *err) {
  *first = plm_batch_slice(&s->micro, batch, *first, s->micro_tokens);
  struct plm_extents extents = batch_extents(&s->micro);
  if (s->micro.sequences > s->model.capacity.sequences || s->micro.length_max > s->model.capacity.length_max)
    return plm_error_set(err, PLM_E_INTERNAL, "a micro-batch of %u sequences, the longest %u tokens, exceeds the room for %u and %u",
                         s->micro.sequences, s->micro.length_max, s->model.capacity.sequences,
                         s->model.capacity.length_max);
  plm_program_extend(program, &extents);
  return upload(s, &s->micro, err);
}

int plm_session_accumulate(struct plm_session *s, const struct plm_batch *batch, struct plm_error *err) {
  int code = 0;
  for (uint32_t first = 0; !code && first < batch->sequences;) {
    code = next_micro(s, &s->model.accumulate, batch, &first, err);
    if (!code)
      code = run(s, &s->model.accumulate, err);
    struct plm_extents extents = batch_extents(&s->micro);
    s->flops += plm_program_flops(&s->model.accumulate, &extents);
  }
  return code;
}

int plm_session_update(struct plm_session *s, struct plm_error *err) {
  return run(s, &s->model.update, err);
}

int plm_session_records(struct plm_session *s, struct plm_step_record *out, uint32_t first, uint32_t count,
                        struct plm_error *err) {
  uint32_t capacity = s->model.log_capacity;
  int code = plm_session_finish(s, err);
  for (uint32_t done = 0; !code && done < count;) {
    uint32_t at = (first + done) % capacity;
    uint32_t n = count - done < capacity - at ? count - done : capacity - at;
    code = s->plugin->backend.buffer_read(s->queue, s->buffers[PLM_SLOT_STATE],
                                          s->model.log.offset + (uint64_t)at * sizeof *out, out + done, n * sizeof *out, err);
    done += n;
  }
  return code;
}

int plm_session_evaluate(struct plm_session *s, const struct plm_batch *batch, float *row_loss, float *logits,
                         struct plm_error *err) {
  const struct plm_backend *backend = &s->plugin->backend;
  struct plm_buffer *activations = s->buffers[PLM_SLOT_ACTIVATIONS];
  uint32_t done = 0;
  int code = 0;
  for (uint32_t first = 0; !code && first < batch->sequences;) {
    code = next_micro(s, &s->model.evaluate, batch, &first, err);
    if (!code)
      code = run(s, &s->model.evaluate, err);
    uint64_t rows = s->micro.masked;
    if (!code && rows)
      code = backend->buffer_read(s->queue, activations, s->model.row_loss.offset, row_loss + done, rows * 4, err);
    if (!code && rows && logits)
      code = backend->buffer_read(s->queue, activations, s->model.logits.offset, logits + (size_t)done * PLM_VOCABULARY,
                                  rows * PLM_VOCABULARY * 4, err);
    done += (uint32_t)rows;
  }
  return code;
}

int plm_session_finish(struct plm_session *s, struct plm_error *err) {
  char where[128];
  int code = s->plugin->backend.queue_finish(s->queue, err), changed;
  snprintf(where, sizeof where, "running ops on backend \"%s\"", s->plugin->card->name);
  changed = plm_guard_check(&s->guard, where, code ? NULL : err);
  return code ? code : changed;
}
