/* Cases of fill, embed, embed_grad, layer_norm, layer_norm_grad, gather_rows .. record. */
#include <math.h>

#include "op_case.h"

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

static void make_fill(struct op_case *c) {
  static const uint64_t counts[] = {1, 7, 0, 64, 1031, 100003};
  struct plm_op_fill *p = &c->op.u.fill;
  p->count = counts[c->variant];
  p->value = c->variant % 2 ? -1.5f : 0.0f;
  case_out(c, &p->x, "x", p->count, 0);
  case_label(c, "%llu of %g", (unsigned long long)p->count, (double)p->value);
}

/* ---------------------------------------------------------------- rows by id */

static const struct {
  uint32_t tokens, vocabulary, width;
} tables[] = {{1, 1, 1}, {5, 33, 7}, {0, 33, 8}, {257, 33, 20}, {64, 33, 64}, {31, 2, 67}, {300, 7, 3}};
#define TABLES COUNT(tables)

/* Some scales are 0, as at <mask>. */
static float *make_scales(struct op_case *c, struct plm_view *view, uint32_t count) {
  float *scale = case_f32(c, view, "scale", count);
  for (uint32_t t = 0; t < count; t += 5)
    scale[t] = 0;
  return scale;
}

static void make_embed(struct op_case *c) {
  struct plm_op_embed *p = &c->op.u.embed;
  const uint32_t T = tables[c->variant].tokens, V = tables[c->variant].vocabulary, D = tables[c->variant].width;
  p->rows = (struct plm_extent){T, PLM_EXTENT_TOKENS};
  p->vocabulary = V;
  p->width = D;
  const float *table = case_f32(c, &p->table, "table", (uint64_t)V * D);
  const int32_t *tokens = case_ids(c, &p->tokens, "tokens", T, V);
  const float *scale = make_scales(c, &p->scale, T);
  double *y = case_out(c, &p->y, "y", (uint64_t)T * D, 1);
  for (uint32_t i = 0; i < T * D; i++)
    y[i] = fabs((double)scale[i / D] * table[(uint32_t)tokens[i / D] * D + i % D]);
  case_label(c, "T=%u V=%u D=%u", T, V, D);
}

static void make_embed_grad(struct op_case *c) {
  struct plm_op_embed_grad *p = &c->op.u.embed_grad;
  const uint32_t T = tables[c->variant].tokens, V = tables[c->variant].vocabulary, D = tables[c->variant].width;
  p->rows = (struct plm_extent){T, PLM_EXTENT_TOKENS};
  p->vocabulary = V;
  p->width = D;
  const float *dy = case_f32(c, &p->dy, "dy", (uint64_t)T * D);
  const int32_t *tokens = case_ids(c, &p->tokens, "tokens", T, V);
  const float *scale = make_scales(c, &p->scale, T);
  double *dtable = case_update(c, &p->dtable, "dtable", (uint64_t)V * D, T + 1);
  for (uint32_t i = 0; i < T * D; i++)
    dtable[(uint32_t)tokens[i / D] * D + i % D] += fabs((double)scale[i / D] * dy[i]);
  case_label(c, "T=%u V=%u D=%u", T, V, D);
}

static const struct {
  uint32_t rows, source, width;
} picks[] = {{1, 1, 1}, {3, 17, 5}, {0, 9, 4}, {39, 257, 20}, {64, 64, 64}, {7, 300, 67}, {0, 1, 1}};
#define PICKS COUNT(picks)

static void make_gather_rows(struct op_case *c) {
  struct plm_op_gather_rows *p = &c->op.u.gather_rows;
  const uint32_t M = picks[c->variant].rows, T = picks[c->variant].source, D = picks[c->variant].width;
  p->rows = (struct plm_extent){M, PLM_EXTENT_MASKED};
  p->source = (struct plm_extent){T, PLM_EXTENT_TOKENS};
  p->width = D;
  case_f32(c, &p->x, "x", (uint64_t)T * D);
  case_ascending(c, &p->index, "index", M, T);
  case_out(c, &p->y, "y", (uint64_t)M * D, 0);
  case_label(c, "%u of %u rows of %u", M, T, D);
}

static void make_scatter_rows(struct op_case *c) {
  struct plm_op_scatter_rows *p = &c->op.u.scatter_rows;
  const uint32_t M = picks[c->variant].rows, T = picks[c->variant].source, D = picks[c->variant].width;
  p->rows = (struct plm_extent){M, PLM_EXTENT_MASKED};
  p->target = (struct plm_extent){T, PLM_EXTENT_TOKENS};
  p->width = D;
  case_f32(c, &p->x, "x", (uint64_t)M * D);
  case_ascending(c, &p->index, "index", M, T);
  case_out(c, &p->y, "y", (uint64_t)T * D, 0);
  case_label(c, "%u to %u rows of %u", M, T, D);
}

/* ---------------------------------------------------------------- layer_norm */

static const struct {
  uint32_t rows, width;
  float offset, spread; /* of x: a large mean finds variances computed as a difference of squares */
} norms[] = {{1, 1, 0, 1},    {3, 7, 0, 1},     {0, 8, 0, 1},      {257, 20, 0, 1}, {64, 64, 0, 1},
             {17, 67, 0, 30}, {5, 320, 1000, 1}, {13, 1031, 10, 1}, {4, 33, 3, 0},   {9, 129, 0, 0.001f}};
#define NORMS COUNT(norms)

static float *make_norm_input(struct op_case *c, struct plm_view *view) {
  const uint64_t count = (uint64_t)norms[c->variant % NORMS].rows * norms[c->variant % NORMS].width;
  float *x = case_f32(c, view, "x", count);
  for (uint64_t i = 0; i < count; i++)
    x[i] = norms[c->variant % NORMS].offset + norms[c->variant % NORMS].spread * x[i];
  return x;
}

struct moments {
  double mean, rstd, absolute, largest; /* of one row, with the average and the maximum of |x| */
};

static struct moments row_moments(const float *x, uint32_t D, double epsilon) {
  struct moments m = {0};
  double variance = 0;
  for (uint32_t d = 0; d < D; d++) {
    m.mean += x[d] / (double)D;
    m.absolute += fabs(x[d]) / D;
    m.largest = fmax(m.largest, fabs(x[d]));
  }
  for (uint32_t d = 0; d < D; d++)
    variance += (x[d] - m.mean) * (x[d] - m.mean) / D;
  m.rstd = 1 / sqrt(variance + epsilon);
  return m;
}

#define EPSILON 1e-5f

/* x - mean is exact up to the magnitude of both, so rstd carries the condition largest*rstd. */
static void make_layer_norm(struct op_case *c) {
  struct plm_op_layer_norm *p = &c->op.u.layer_norm;
  const uint32_t rows = norms[c->variant].rows, D = norms[c->variant].width;
  p->rows = (struct plm_extent){rows, PLM_EXTENT_TOKENS};
  p->width = D;
  p->epsilon = EPSILON;
  const float *x = make_norm_input(c, &p->x);
  const float *gamma = case_f32(c, &p->gamma, "gamma", D);
  const float *beta = case_f32(c, &p->beta, "beta", D);
  double *y = case_out(c, &p->y, "y", (uint64_t)rows * D, D);
  double *mean = case_out(c, &p->mean, "mean", rows, D);
  double *rstd = case_out(c, &p->rstd, "rstd", rows, D);
  for (uint32_t r = 0; r < rows; r++) {
    const struct moments m = row_moments(x + r * D, D, EPSILON);
    const double condition = 1 + 2 * m.largest * m.rstd;
    mean[r] = m.absolute;
    rstd[r] = m.rstd * condition;
    for (uint32_t d = 0; d < D; d++) {
      const double n = fabs(x[r * D + d] - m.mean) * m.rstd;
      const double shift = (fabs(x[r * D + d]) + m.absolute) * m.rstd;
      y[r * D + d] = fabs(gamma[d]) * (shift + n * condition) + fabs(beta[d]);
    }
  }
  case_label(c, "%ux%u mean %g spread %g", rows, D, (double)norms[c->variant].offset, (double)norms[c->variant].spread);
}

static void make_layer_norm_grad(struct op_case *c) {
  struct plm_op_layer_norm_grad *p = &c->op.u.layer_norm_grad;
  const uint32_t rows = norms[c->variant % NORMS].rows, D = norms[c->variant % NORMS].width;
  c->op.flags = c->variant / NORMS ? PLM_FLAG_ACCUMULATE : 0;
  p->rows = (struct plm_extent){rows, PLM_EXTENT_TOKENS};
  p->width = D;
  const float *dy = case_f32(c, &p->dy, "dy", (uint64_t)rows * D);
  const float *x = make_norm_input(c, &p->x);
  const float *gamma = case_f32(c, &p->gamma, "gamma", D);
  float *mean = case_f32(c, &p->mean, "mean", rows);
  float *rstd = case_f32(c, &p->rstd, "rstd", rows);
  double *dx = c->op.flags ? case_update(c, &p->dx, "dx", (uint64_t)rows * D, D)
                           : case_out(c, &p->dx, "dx", (uint64_t)rows * D, D);
  double *dgamma = case_update(c, &p->dgamma, "dgamma", D, rows + 1);
  double *dbeta = case_update(c, &p->dbeta, "dbeta", D, rows + 1);
  for (uint32_t r = 0; r < rows; r++) {
    const struct moments m = row_moments(x + r * D, D, EPSILON);
    double g_average = 0, gn_average = 0;
    mean[r] = (float)m.mean;
    rstd[r] = (float)m.rstd;
    for (uint32_t d = 0; d < D; d++) {
      const double g = fabs((double)dy[r * D + d] * gamma[d]), n = (fabs(x[r * D + d]) + m.absolute) * m.rstd;
      g_average += g / D;
      gn_average += g * n / D;
      dgamma[d] += fabs(dy[r * D + d]) * n;
      dbeta[d] += fabs(dy[r * D + d]);
    }
    for (uint32_t d = 0; d < D; d++) {
      const double g = fabs((double)dy[r * D + d] * gamma[d]), n = (fabs(x[r * D + d]) + m.absolute) * m.rstd;
      dx[r * D + d] += m.rstd * (g + g_average + n * gn_average);
    }
  }
  case_label(c, "%ux%u mean %g spread %g%s", rows, D, (double)norms[c->variant % NORMS].offset,
             (double)norms[c->variant % NORMS].spread, c->op.flags ? " accumulate" : "");
}

/* ---------------------------------------------------------------- loss */

static const struct {
  uint32_t rows, vocabulary;
  float spread;
} losses[] = {{1, 1, 1}, {5, 33, 1}, {0, 33, 1}, {39, 33, 10}, {257, 33, 3}, {7, 67, 100}, {3, 300, 1}};
#define LOSSES COUNT(losses)

static void make_softmax_loss(struct op_case *c) {
  struct plm_op_softmax_loss *p = &c->op.u.softmax_loss;
  const uint32_t M = losses[c->variant % LOSSES].rows, V = losses[c->variant % LOSSES].vocabulary;
  const uint32_t mode = c->variant / LOSSES; /* 0: loss only, 1: with gradient, 2: in place */
  c->op.flags = mode ? PLM_FLAG_GRADIENT : 0;
  p->rows = (struct plm_extent){M, PLM_EXTENT_MASKED};
  p->vocabulary = V;
  float *logits = case_f32(c, &p->logits, "logits", (uint64_t)M * V);
  for (uint32_t i = 0; i < M * V; i++)
    logits[i] *= losses[c->variant % LOSSES].spread;
  const int32_t *targets = case_ids(c, &p->targets, "targets", M, V);
  const float *scale = case_f32(c, &p->scale, "scale", 1);
  case_shift(c, 4);
  double *loss = case_out(c, &p->loss, "loss", M, V);
  double *dlogits = mode ? case_out(c, &p->dlogits, "dlogits", (uint64_t)M * V, V) : NULL;
  if (mode == 2)
    case_in_place(c, "logits");
  for (uint32_t m = 0; m < M; m++) {
    const float *row = logits + m * V;
    double top = row[0], sum = 0;
    for (uint32_t v = 1; v < V; v++)
      top = fmax(top, row[v]);
    for (uint32_t v = 0; v < V; v++)
      sum += exp(row[v] - top);
    const double lse = top + log(sum);
    loss[m] = 1 + fabs(top) + fabs(lse) + fabs(row[targets[m]]);
    for (uint32_t v = 0; v < V && dlogits; v++)
      dlogits[m * V + v] =
          (exp(row[v] - lse) * (1 + fabs(row[v]) + fabs(lse)) + (v == (uint32_t)targets[m])) * fabs(scale[0]);
  }
  case_label(c, "%ux%u spread %g%s", M, V, (double)losses[c->variant % LOSSES].spread,
             mode == 0   ? ""
             : mode == 1 ? " gradient"
                         : " gradient in place");
}

static const uint32_t sums[] = {1, 7, 0, 64, 257, 4099};
#define SUMS COUNT(sums)

static void make_reduce_sum(struct op_case *c) {
  struct plm_op_reduce_sum *p = &c->op.u.reduce_sum;
  const uint32_t count = sums[c->variant % SUMS], mode = c->variant / SUMS;
  c->op.flags = mode & 1 ? PLM_FLAG_ACCUMULATE : 0;
  p->rows = (struct plm_extent){count, PLM_EXTENT_MASKED};
  const float *x = case_f32(c, &p->x, "x", count);
  const float *weights = mode & 2 ? case_f32(c, &p->weights, "weights", count) : NULL;
  double *out = c->op.flags ? case_update(c, &p->out, "out", 1, count + 1) : case_out(c, &p->out, "out", 1, count + 1);
  case_shift(c, 4);
  for (uint32_t i = 0; i < count; i++)
    out[0] += fabs(weights ? (double)x[i] * weights[i] : x[i]);
  case_label(c, "%u%s%s", count, weights ? " weighted" : "", c->op.flags ? " accumulate" : "");
}

static void make_record(struct op_case *c) {
  static const struct {
    uint32_t count, capacity;
    int32_t index;
  } records[] = {{1, 1, 0}, {3, 16, 5}, {3, 16, 16}, {5, 7, 1000003}, {8, 1, 2147483647}};
  struct plm_op_record *p = &c->op.u.record;
  const uint64_t row = (uint64_t)records[c->variant].index % records[c->variant].capacity;
  p->count = records[c->variant].count;
  p->capacity = records[c->variant].capacity;
  case_f32(c, &p->x, "x", p->count);
  case_shift(c, 4);
  case_i32(c, &p->index, "index", 1)[0] = records[c->variant].index;
  case_shift(c, 4);
  case_update(c, &p->log, "log", (uint64_t)p->count * p->capacity, 0);
  case_label(c, "%u values to row %llu of %u", p->count, (unsigned long long)row, p->capacity);
}

/* ---------------------------------------------------------------- optimizer */

static const struct {
  uint32_t count;
  float norm_max, spread, planted; /* planted: put in the middle when not 0 */
} gradients[] = {{1, 1, 1, 0},      {33, 0, 1, 0},         {1000, 1, 0.001f, 0}, {100003, 1, 1, 0},
                 {0, 1, 1, 0},      {257, 1, 1, INFINITY}, {300, 0, 1, NAN},     {64, 1, 0, 0},
                 {513, 5, 1e9f, 0}, {31, 1, 1, -INFINITY}};

/* Sums of squares stay below the float32 maximum here: a norm past 1e19 need not be told from an infinite one. */
static void make_grad_norm(struct op_case *c) {
  struct plm_op_grad_norm *p = &c->op.u.grad_norm;
  p->count = gradients[c->variant].count;
  p->norm_max = gradients[c->variant].norm_max;
  float *grads = case_f32(c, &p->grads, "grads", p->count);
  double squares = 0;
  for (uint64_t i = 0; i < p->count; i++) {
    grads[i] *= gradients[c->variant].spread;
    squares += (double)grads[i] * grads[i];
  }
  if (gradients[c->variant].planted != 0)
    grads[p->count / 2] = gradients[c->variant].planted;
  double *out = case_out(c, &p->out, "out", 4, p->count + 1);
  case_shift(c, 16);
  out[0] = sqrt(squares);
  out[2] = p->norm_max == 0 ? 0 : fmin(1, p->norm_max / (sqrt(squares) + 1e-6));
  case_label(c, "%llu norm_max %g spread %g planted %g", (unsigned long long)p->count, (double)p->norm_max,
             (double)gradients[c->variant].spread, (double)gradients[c->variant].planted);
}

static const struct {
  uint32_t count, step;
  float finite, clip, decay;
} updates[] = {{1, 1, 1, 1, 0.01f},   {33, 2, 1, 0.25f, 0},        {1031, 1000, 1, 1, 0.1f},
               {257, 3, 0, 0, 0.01f}, {65537, 10, 1, 0.5f, 0.01f}, {0, 1, 1, 1, 0.01f}};

static void make_adamw(struct op_case *c) {
  struct plm_op_adamw *p = &c->op.u.adamw;
  const double step = updates[c->variant].step, clip = updates[c->variant].clip;
  const uint64_t count = updates[c->variant].count, length = updates[c->variant].finite != 0 ? 1 : 0;
  p->count = count;
  p->beta1 = 0.9f;
  p->beta2 = 0.98f;
  p->epsilon = 1e-8f;
  p->decay = updates[c->variant].decay;
  p->rate_scale = 0.5f;
  double *params = case_update(c, &p->params, "params", count, length);
  const float *grads = case_f32(c, &p->grads, "grads", count);
  double *m = case_update(c, &p->m, "m", count, length);
  double *v = case_update(c, &p->v, "v", count, length);
  float *v_before = c->operands[c->count - 1].data;
  float *control = case_f32(c, &p->control, "control", 4);
  case_shift(c, 16);
  float *schedule = case_f32(c, &p->schedule, "schedule", 3);
  case_shift(c, 4);
  control[1] = updates[c->variant].finite;
  control[2] = updates[c->variant].clip;
  schedule[0] = 1e-3f;
  schedule[1] = (float)(1 - pow((double)p->beta1, step));
  schedule[2] = (float)(1 - pow((double)p->beta2, step));
  for (uint64_t i = 0; i < count; i++) {
    const double g = fabs(grads[i] * clip);
    v_before[i] = fabsf(v_before[i]);
    m[i] = (double)p->beta1 * m[i] + (1 - (double)p->beta1) * g;
    v[i] = (double)p->beta2 * v_before[i] + (1 - (double)p->beta2) * g * g;
    params[i] += 5e-4 * (m[i] / schedule[1] / (sqrt(v[i] / schedule[2]) + 1e-8) + (double)p->decay * params[i]);
  }
  case_label(c, "%llu step %g finite %g clip %g", (unsigned long long)count, step, (double)updates[c->variant].finite,
             clip);
}

const struct op_family op_families_rows[] = {
    {PLM_OP_FILL, 6, make_fill},
    {PLM_OP_EMBED, TABLES, make_embed},
    {PLM_OP_EMBED_GRAD, TABLES, make_embed_grad},
    {PLM_OP_LAYER_NORM, NORMS, make_layer_norm},
    {PLM_OP_LAYER_NORM_GRAD, 2 * NORMS, make_layer_norm_grad},
    {PLM_OP_GATHER_ROWS, PICKS, make_gather_rows},
    {PLM_OP_SCATTER_ROWS, PICKS, make_scatter_rows},
    {PLM_OP_SOFTMAX_LOSS, 3 * LOSSES, make_softmax_loss},
    {PLM_OP_REDUCE_SUM, 4 * SUMS, make_reduce_sum},
    {PLM_OP_GRAD_NORM, COUNT(gradients), make_grad_norm},
    {PLM_OP_ADAMW, COUNT(updates), make_adamw},
    {PLM_OP_RECORD, 5, make_record},
};
const uint32_t op_families_rows_count = COUNT(op_families_rows);
