#include "train/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"

#define LOG_CAPACITY 64u
#define BLOCK_SECONDS 0.005 /* ops between two readings of the clock, so that launching them does not count */
#define BLOCK_OPS 64u
#define PRODUCT_SECONDS 0.1

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---------------------------------------------------------- training steps */

/* A model being trained for its speed alone. */
struct trial {
  const struct plm_measure_options *options;
  struct plm_session *session;
  struct plm_batcher *batcher;
  struct plm_batch batch;
  uint32_t step;
};

static void trial_close(struct trial *trial) {
  plm_batch_fini(&trial->batch);
  plm_batcher_destroy(trial->batcher);
  plm_session_close(trial->session);
}

static int upload_model(struct trial *trial, struct plm_error *err) {
  const struct plm_layout *layout = &trial->session->model.layout;
  float *arena = plm_memory_zeroed(layout->floats, sizeof *arena);
  if (!arena)
    return plm_error_memory(err, "initial weights");
  int code = plm_session_write(trial->session, PLM_SLOT_MOMENT1, arena, err);
  if (!code)
    code = plm_session_write(trial->session, PLM_SLOT_MOMENT2, arena, err);
  plm_layout_weights(arena, layout, trial->options->batch.seed, trial->options->init_std);
  if (!code)
    code = plm_session_write(trial->session, PLM_SLOT_PARAMS, arena, err);
  free(arena);
  return code;
}

static int trial_open(struct trial *trial, const struct plm_plugin *plugin, uint32_t device, struct plm_error *err) {
  const struct plm_measure_options *options = trial->options;
  struct plm_session_options session = {.shape = options->shape,
                                        .optimizer = options->optimizer,
                                        .batch_tokens = (uint32_t)options->batch.batch_tokens,
                                        .length_max = (uint32_t)options->batch.length_max,
                                        .micro_tokens = options->micro_tokens,
                                        .log_capacity = LOG_CAPACITY};
  int code = plm_session_open(&trial->session, plugin, device, &session, err);
  if (!code)
    code = upload_model(trial, err);
  if (!code)
    code = plm_batcher_create(&trial->batcher, options->corpus, &options->batch, err);
  if (!code)
    code = plm_batch_init(&trial->batch, (uint32_t)options->batch.batch_tokens, err);
  return code;
}

/* One whole step; what it took and did is added to sum. */
static int trial_step(struct trial *trial, struct plm_measurement *sum, struct plm_error *err) {
  const struct plm_optimizer *optimizer = &trial->options->optimizer;
  double start = now(), flops = trial->session->flops;
  int code = plm_batcher_next(trial->batcher, trial->step, &trial->batch, err);
  double packed = now();
  struct plm_step_schedule schedule = {.rate = (float)trial->options->lr,
                                       .correction1 = (float)(1 - pow(optimizer->beta1, trial->step + 1.0)),
                                       .correction2 = (float)(1 - pow(optimizer->beta2, trial->step + 1.0)),
                                       .loss_scale = 1.0f / (float)(trial->batch.masked ? trial->batch.masked : 1),
                                       .index = (int32_t)(trial->step % LOG_CAPACITY)};
  if (code || (code = plm_session_begin(trial->session, &schedule, err)) ||
      (code = plm_session_accumulate(trial->session, &trial->batch, err)) ||
      (code = plm_session_update(trial->session, err)) || (code = plm_session_finish(trial->session, err)))
    return code;
  trial->step++;
  sum->tokens += trial->batch.tokens;
  sum->batch_seconds += packed - start;
  sum->seconds += now() - packed;
  sum->flops += trial->session->flops - flops;
  return 0;
}

/* The loss of the step before. */
static int trial_loss(double *out, struct trial *trial, struct plm_error *err) {
  struct plm_step_record record;
  int code = plm_session_records(trial->session, &record, trial->step - 1, 1, err);
  if (!code)
    *out = (double)record.loss_all / (trial->batch.masked ? trial->batch.masked : 1);
  return code;
}

static int warm_up(struct trial *trial, struct plm_measurement *out, struct plm_error *err) {
  struct plm_measurement unused = {0};
  int code = 0;
  do {
    code = trial_step(trial, &unused, err);
    if (!code && trial->step == 1)
      code = trial_loss(&out->loss_first, trial, err);
  } while (!code && trial->step < PLM_MEASURE_WARMUP &&
           (trial->options->seconds <= 0 || unused.seconds < trial->options->seconds));
  return code;
}

static int measure_steps(struct trial *trial, struct plm_measurement *out, struct plm_error *err) {
  const struct plm_measure_options *options = trial->options;
  size_t capacity = 0;
  int code = 0;
  do {
    void *samples = out->samples;
    double tokens = out->tokens, seconds = out->seconds;
    if (plm_memory_grow(&samples, &capacity, out->count + (size_t)1, sizeof *out->samples))
      return plm_error_memory(err, "benchmark samples");
    out->samples = samples;
    code = trial_step(trial, out, err);
    if (code)
      return code;
    out->samples[out->count++] = (out->tokens - tokens) / (out->seconds - seconds);
  } while ((!options->steps || out->count < options->steps) &&
           (options->seconds <= 0 || out->seconds < options->seconds));
  return trial_loss(&out->loss_last, trial, err);
}

int plm_measure_training(struct plm_measurement *out, const struct plm_plugin *plugin, uint32_t device,
                         const struct plm_measure_options *options, struct plm_error *err) {
  struct trial trial = {.options = options};
  struct plm_measurement found = {0};
  int code = 0;
  if (!options->steps && options->seconds <= 0)
    return plm_error_set(err, PLM_E_USAGE, "benchmark: neither a number of steps nor of seconds to measure");
  if ((code = trial_open(&trial, plugin, device, err)) || (code = warm_up(&trial, &found, err)) ||
      (code = measure_steps(&trial, &found, err)))
    goto out;
  const struct plm_model *model = &trial.session->model;
  for (uint32_t slot = 0; slot < PLM_SLOT_COUNT; slot++)
    found.memory_bytes += model->slot_bytes[slot];
  found.micro_tokens = trial.session->micro_tokens;
  found.lowered = model->lowered;
  memcpy(found.lowered_text, model->lowered_text, sizeof found.lowered_text);
  *out = found;
  found.samples = NULL;
out:
  plm_measurement_fini(&found);
  trial_close(&trial);
  return code;
}

void plm_measurement_fini(struct plm_measurement *measurement) {
  free(measurement->samples);
  measurement->samples = NULL;
}

/* ------------------------------------------------------------- matrix peak */

static const struct plm_gemm_peak PRODUCTS[] = {
    {0, 256, 256, 256},    {0, 2048, 320, 320}, {0, 2048, 320, 1280},  {0, 2048, 1280, 320},
    {0, 1024, 1024, 1024}, {0, 4096, 512, 512}, {0, 2048, 2048, 2048}, {0, 4096, 4096, 4096},
};
#define PRODUCT_COUNT (sizeof PRODUCTS / sizeof PRODUCTS[0])

static double product_flops(const struct plm_gemm_peak *product) {
  return 2.0 * product->rows * product->in * product->out;
}

/* An open device with the buffers x, w, y and workspace of one product. */
struct product {
  const struct plm_backend *backend;
  struct plm_device *device;
  struct plm_queue *queue;
  struct plm_buffer *buffers[4];
  struct plm_op ops[BLOCK_OPS];
};

static void product_release(struct product *product) {
  for (int i = 3; i >= 0; i--) {
    if (product->buffers[i])
      product->backend->buffer_destroy(product->buffers[i]);
    product->buffers[i] = NULL;
  }
}

/* A buffer of floats between -1 and 1 that are neither all alike nor denormal. */
static int product_fill(struct plm_view *view, struct product *product, int which, uint64_t floats,
                        struct plm_error *err) {
  uint64_t bytes = floats * sizeof(float);
  struct plm_buffer **buffer = &product->buffers[which];
  float *values = plm_memory_zeroed(floats, sizeof *values);
  if (!values)
    return plm_error_memory(err, "benchmark matrices");
  for (uint64_t i = 0; i < floats; i++)
    values[i] = (float)((int)(i * 37 % 129) - 64) / 64.0f;
  int code = product->backend->buffer_create(product->device, bytes, PLM_BUFFER_DEVICE, buffer, err);
  if (!code)
    code = product->backend->buffer_write(product->queue, *buffer, 0, values, bytes, err);
  free(values);
  *view = (struct plm_view){.buffer = *buffer, .bytes = bytes, .type = PLM_TYPE_F32, .slot = (uint32_t)which};
  return code;
}

static int product_prepare(struct product *product, const struct plm_gemm_peak *size, struct plm_error *err) {
  struct plm_op op = {.struct_size = sizeof op, .kind = PLM_OP_LINEAR, .type = PLM_TYPE_F32};
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  struct plm_op_linear *linear = &op.u.linear;
  linear->rows = (struct plm_extent){.count = size->rows, .symbol = PLM_EXTENT_FIXED};
  linear->in = size->in;
  linear->out = size->out;
  int code = product_fill(&linear->x, product, 0, (uint64_t)size->rows * size->in, err);
  if (!code)
    code = product_fill(&linear->w, product, 1, (uint64_t)size->in * size->out, err);
  if (!code)
    code = product_fill(&linear->y, product, 2, (uint64_t)size->rows * size->out, err);
  if (!code)
    code = product->backend->op_query(product->device, &op, &verdict, err);
  if (code)
    return code;
  if (verdict.status != PLM_VERDICT_SUPPORTED)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "op \"linear\" of %ux%ux%u: the backend declines it: %s", size->rows,
                         size->in, size->out, verdict.text);
  if (verdict.workspace_bytes)
    code = product_fill(&op.workspace, product, 3, (verdict.workspace_bytes + 3) / 4, err);
  for (uint32_t i = 0; i < BLOCK_OPS; i++)
    product->ops[i] = op;
  return code;
}

/* Runs count ops and waits; their time goes to *seconds. */
static int product_run(double *seconds, struct product *product, uint32_t count, struct plm_error *err) {
  uint32_t failed = 0;
  double start = now();
  int code = product->backend->program_run(product->queue, product->ops, count, &failed, err);
  if (!code)
    code = product->backend->queue_finish(product->queue, err);
  *seconds = now() - start;
  return code;
}

/* Repeats one product for about seconds and raises *best. */
static int product_measure(struct plm_gemm_peak *best, struct product *product, const struct plm_gemm_peak *size,
                           double seconds, struct plm_error *err) {
  double block = 0, start;
  uint32_t count = 1;
  int code = product_prepare(product, size, err);
  if (!code)
    code = product_run(&block, product, 1, err); /* the first may build kernels */
  start = now();
  do {
    if (!code)
      code = product_run(&block, product, count, err);
    if (code)
      break;
    double gflops = product_flops(size) * count / block / 1e9;
    if (gflops > best->gflops)
      *best = (struct plm_gemm_peak){gflops, size->rows, size->in, size->out};
    if (block < BLOCK_SECONDS && count < BLOCK_OPS)
      count *= 2;
  } while (now() - start < seconds);
  product_release(product);
  return code;
}

int plm_measure_gemm_peak(struct plm_gemm_peak *out, const struct plm_plugin *plugin, uint32_t device, double seconds,
                          struct plm_error *err) {
  const struct plm_backend *backend = &plugin->bare; /* layers are for what is measured, not for the yardstick */
  struct plm_gemm_peak best = {0};
  struct plm_guard guard;
  struct product *product = plm_memory_zeroed(1, sizeof *product);
  if (!product)
    return plm_error_memory(err, "measuring matrix products");
  plm_guard_take(&guard);
  product->backend = backend;
  int code = backend->device_open(device, &product->device, err);
  if (!code)
    code = backend->queue_create(product->device, &product->queue, err);
  double start = now();
  for (size_t i = 0; i < PRODUCT_COUNT && !code; i++) {
    double share = (start + seconds - now()) / (double)(PRODUCT_COUNT - i);
    if (!best.gflops || product_flops(&PRODUCTS[i]) / (best.gflops * 1e9) < PRODUCT_SECONDS)
      code = product_measure(&best, product, &PRODUCTS[i], share, err);
  }
  if (!code)
    code = plm_guard_check(&guard, "running matrix products", err);
  if (!code)
    *out = best;
  if (product->queue)
    backend->queue_destroy(product->queue);
  if (product->device)
    backend->device_close(product->device);
  free(product);
  return code;
}
