#include "train/coordinates.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

const char *plm_coordinate_name(enum plm_coordinate coordinate) {
  static const char *const names[PLM_COORDINATE_COUNT] = {
      "embedding",     "query, key, value", "attention scores", "attention output",
      "residual stream", "feed-forward",      "head",             "logits"};
  return names[coordinate];
}

/* A part of the activations that is watched, and what it held at the start. */
struct watched {
  enum plm_coordinate coordinate;
  uint64_t offset, floats;
  float *start;
};

struct bench {
  const struct plm_coordinate_options *options;
  struct plm_session *session;
  struct plm_batcher *batcher;
  struct plm_batch probe, batch;
  struct watched *watched;
  size_t count, capacity;
  float *logits, *row_loss; /* of the probe, now */
  float *start;             /* its logits at the start */
};

static void bench_fini(struct bench *b) {
  for (size_t i = 0; i < b->count; i++)
    free(b->watched[i].start);
  free(b->watched);
  free(b->logits);
  free(b->row_loss);
  free(b->start);
  plm_batch_fini(&b->probe);
  plm_batch_fini(&b->batch);
  plm_batcher_destroy(b->batcher);
  plm_session_close(b->session);
}

static int upload(struct bench *b, struct plm_error *err) {
  const struct plm_layout *layout = &b->session->model.layout;
  float *arena = plm_memory_zeroed(layout->floats, sizeof *arena);
  if (!arena)
    return plm_error_memory(err, "initial weights");
  int code = plm_session_write(b->session, PLM_SLOT_MOMENT1, arena, err);
  if (!code)
    code = plm_session_write(b->session, PLM_SLOT_MOMENT2, arena, err);
  plm_layout_weights(arena, layout, b->options->batch.seed, b->options->init_std);
  if (!code)
    code = plm_session_write(b->session, PLM_SLOT_PARAMS, arena, err);
  free(arena);
  return code;
}

static int bench_open(struct bench *b, const struct plm_plugin *plugin, uint32_t device, struct plm_error *err) {
  const struct plm_coordinate_options *options = b->options;
  uint32_t tokens = (uint32_t)options->batch.batch_tokens;
  const struct plm_session_options session = {.shape = options->shape,
                                              .scaling = options->scaling,
                                              .optimizer = options->optimizer,
                                              .batch_tokens = tokens,
                                              .length_max = (uint32_t)options->batch.length_max,
                                              .micro_tokens = tokens,
                                              .log_capacity = 1};
  int code = plm_session_open(&b->session, plugin, device, &session, err);
  if (code || (code = upload(b, err)) ||
      (code = plm_batcher_create(&b->batcher, options->corpus, &options->batch, err)) ||
      (code = plm_batch_init(&b->probe, tokens, err)) || (code = plm_batch_init(&b->batch, tokens, err)) ||
      (code = plm_batcher_next(b->batcher, 0, &b->probe, err)))
    return code;
  b->row_loss = plm_memory_zeroed(b->probe.masked, sizeof(float));
  b->logits = plm_memory_zeroed((size_t)b->probe.masked * PLM_VOCABULARY, sizeof(float));
  b->start = plm_memory_zeroed((size_t)b->probe.masked * PLM_VOCABULARY, sizeof(float));
  return b->row_loss && b->logits && b->start ? 0 : plm_error_memory(err, "checking coordinates");
}

static int watch(struct bench *b, enum plm_coordinate coordinate, struct plm_view view, uint64_t floats,
                 struct plm_error *err) {
  void *watched = b->watched;
  if (plm_memory_grow(&watched, &b->capacity, b->count + 1, sizeof *b->watched))
    return plm_error_memory(err, "checking coordinates");
  b->watched = watched;
  float *start = plm_memory_zeroed(floats, sizeof *start);
  if (!start)
    return plm_error_memory(err, "checking coordinates");
  b->watched[b->count++] = (struct watched){coordinate, view.offset, floats, start};
  return 0;
}

/* What a matrix's product is to the check. The embedding's, the logits, come from evaluation. */
static enum plm_coordinate coordinate_of(const struct plm_layout *layout, const struct plm_op_linear *linear) {
  uint64_t offset = linear->w.offset / sizeof(float);
  if (offset == plm_layout_top(layout, PLM_HEAD_W)->offset)
    return PLM_COORDINATE_HEAD;
  for (uint32_t l = 0; l < layout->shape.layers; l++) {
    if (offset == plm_layout_layer(layout, l, PLM_QKV_W)->offset)
      return PLM_COORDINATE_QKV;
    if (offset == plm_layout_layer(layout, l, PLM_UP_W)->offset)
      return PLM_COORDINATE_MLP;
    if (offset == plm_layout_layer(layout, l, PLM_OUT_W)->offset ||
        offset == plm_layout_layer(layout, l, PLM_DOWN_W)->offset)
      return PLM_COORDINATE_RESIDUAL;
  }
  return PLM_COORDINATE_LOGITS;
}

/*
 * The forward half of the training program keeps every layer's results for the backward half, which writes over none but the
 * logits. Lowered epilogues (bias, rotation, residual) work in place, so that a product's output holds all of it in the end.
 */
static int watch_op(struct bench *b, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_attention *attention = &op->u.attention;
  const struct plm_op_linear *linear = &op->u.linear;
  uint64_t rows;
  int code;
  switch (op->kind) {
  case PLM_OP_EMBED:
    return watch(b, PLM_COORDINATE_EMBEDDING, op->u.embed.y, (uint64_t)op->u.embed.rows.count * op->u.embed.width, err);
  case PLM_OP_ATTENTION:
    rows = (uint64_t)attention->rows.count * attention->heads;
    code = watch(b, PLM_COORDINATE_SCORES, attention->lse, rows, err);
    return code ? code : watch(b, PLM_COORDINATE_ATTENTION, attention->o, rows * attention->head_size, err);
  case PLM_OP_LINEAR: {
    enum plm_coordinate coordinate = coordinate_of(&b->session->model.layout, linear);
    if (coordinate == PLM_COORDINATE_LOGITS)
      return 0;
    return watch(b, coordinate, op->flags & PLM_FLAG_GELU ? linear->pre : linear->y,
                 (uint64_t)linear->rows.count * linear->out, err);
  }
  default:
    return 0;
  }
}

static int watch_all(struct bench *b, struct plm_error *err) {
  const struct plm_program *program = &b->session->model.accumulate;
  int code = 0;
  for (uint32_t i = 0; !code && i < program->count && program->ops[i].kind != PLM_OP_SOFTMAX_LOSS; i++)
    code = watch_op(b, &program->ops[i], err);
  return code;
}

static int read_part(struct bench *b, float *out, const struct watched *w, struct plm_error *err) {
  struct plm_session *s = b->session;
  return s->plugin->backend.buffer_read(s->queue, s->buffers[PLM_SLOT_ACTIVATIONS], w->offset, out,
                                        w->floats * sizeof(float), err);
}

/* The fixed batch, forward and backward, without an update. */
static int run_probe(struct bench *b, struct plm_error *err) {
  const struct plm_step_schedule schedule = {.loss_scale = 1};
  int code = plm_session_begin(b->session, &schedule, err);
  return code ? code : plm_session_accumulate(b->session, &b->probe, err);
}

static int take_start(struct bench *b, struct plm_error *err) {
  int code = run_probe(b, err);
  if (!code)
    code = watch_all(b, err);
  for (size_t i = 0; !code && i < b->count; i++)
    code = read_part(b, b->watched[i].start, &b->watched[i], err);
  return code ? code : plm_session_evaluate(b->session, &b->probe, b->row_loss, b->start, err);
}

static int train(struct bench *b, struct plm_error *err) {
  const struct plm_coordinate_options *options = b->options;
  int code = 0;
  for (uint32_t step = 0; !code && step < options->steps; step++) {
    struct plm_batch *batch = step ? &b->batch : &b->probe;
    if (step && (code = plm_batcher_next(b->batcher, step, batch, err)))
      break;
    const struct plm_step_schedule schedule = {
        .rate = (float)options->rate,
        .correction1 = (float)(1 - pow(options->optimizer.beta1, step + 1.0)),
        .correction2 = (float)(1 - pow(options->optimizer.beta2, step + 1.0)),
        .loss_scale = 1.0f / (float)(batch->masked ? batch->masked : 1)};
    if (!(code = plm_session_begin(b->session, &schedule, err)) &&
        !(code = plm_session_accumulate(b->session, batch, err)))
      code = plm_session_update(b->session, err);
  }
  return code;
}

/* Sums of squares of a coordinate, over all its parts. */
struct sums {
  double start, change, floats;
};

static void add_part(struct sums *sums, const float *start, const float *now, uint64_t floats) {
  for (uint64_t i = 0; i < floats; i++) {
    double change = (double)now[i] - start[i];
    sums->start += (double)start[i] * start[i];
    sums->change += change * change;
  }
  sums->floats += (double)floats;
}

static int compare(struct bench *b, struct sums sums[PLM_COORDINATE_COUNT], struct plm_error *err) {
  int code = run_probe(b, err);
  for (size_t i = 0; !code && i < b->count; i++) {
    const struct watched *w = &b->watched[i];
    float *now = plm_memory_zeroed(w->floats, sizeof *now);
    if (!now)
      return plm_error_memory(err, "checking coordinates");
    code = read_part(b, now, w, err);
    add_part(&sums[w->coordinate], w->start, now, w->floats);
    free(now);
  }
  if (!code)
    code = plm_session_evaluate(b->session, &b->probe, b->row_loss, b->logits, err);
  add_part(&sums[PLM_COORDINATE_LOGITS], b->start, b->logits, (uint64_t)b->probe.masked * PLM_VOCABULARY);
  return code;
}

int plm_coordinates_measure(struct plm_coordinates *out, const struct plm_plugin *plugin, uint32_t device,
                            const struct plm_coordinate_options *options, struct plm_error *err) {
  struct bench bench = {.options = options};
  struct sums sums[PLM_COORDINATE_COUNT] = {0};
  int code = bench_open(&bench, plugin, device, err);
  if (!code)
    code = take_start(&bench, err);
  if (!code)
    code = train(&bench, err);
  if (!code)
    code = compare(&bench, sums, err);
  for (int c = 0; !code && c < PLM_COORDINATE_COUNT; c++) {
    out->start[c] = sqrt(sums[c].start / sums[c].floats);
    out->change[c] = sqrt(sums[c].change / sums[c].floats);
  }
  bench_fini(&bench);
  return code;
}

double plm_coordinates_slope(const double *widths, const double *sizes, uint32_t count) {
  double x = 0, y = 0, xx = 0, xy = 0;
  for (uint32_t i = 0; i < count; i++) {
    double a = log(widths[i]), b = log(sizes[i]);
    x += a, y += b, xx += a * a, xy += a * b;
  }
  double slope = (xy * count - x * y) / (xx * count - x * x);
  return isfinite(slope) ? slope : NAN;
}
