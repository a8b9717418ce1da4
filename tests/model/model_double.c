#include "model_double.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double *top(const struct plm_layout *layout, const double *params, enum plm_top_tensor which) {
  return params + plm_layout_top(layout, which)->offset;
}

static void norm_row(double *y, const double *x, const double *gain, const double *bias, uint32_t d) {
  double mean = 0, variance = 0;
  for (uint32_t i = 0; i < d; i++)
    mean += x[i] / d;
  for (uint32_t i = 0; i < d; i++)
    variance += (x[i] - mean) * (x[i] - mean) / d;
  for (uint32_t i = 0; i < d; i++)
    y[i] = (x[i] - mean) / sqrt(variance + 1e-5f) * gain[i] + bias[i];
}

static void dense_row(double *y, const double *x, const double *weight, const double *bias, uint32_t in, uint32_t out) {
  for (uint32_t o = 0; o < out; o++) {
    y[o] = bias[o];
    for (uint32_t i = 0; i < in; i++)
      y[o] += x[i] * weight[(size_t)o * in + i];
  }
}

static double gelu(double x) {
  return x * 0.5 * (1 + erf(x / sqrt(2)));
}

/* Element j of a query or key head rotated by position: the half-split form. */
static double rotated(const double *head, uint32_t j, uint32_t size, int position) {
  uint32_t half = size / 2, k = j % half;
  double angle = position * pow(10000, -(double)k / half);
  double a = head[k], b = head[k + half];
  return j < half ? a * cos(angle) - b * sin(angle) : b * cos(angle) + a * sin(angle);
}

static void attend(double *o, const double *qkv, int begin, int end, int row, uint32_t head, struct plm_shape shape) {
  uint32_t d = shape.width, h = d / shape.heads;
  double *score = malloc((size_t)(end - begin) * sizeof *score), sum = 0;
  for (int j = begin; j < end; j++) {
    double dot = 0;
    for (uint32_t e = 0; e < h; e++)
      dot += rotated(qkv + (size_t)row * 3 * d + head * h, e, h, row - begin) *
             rotated(qkv + (size_t)j * 3 * d + d + head * h, e, h, j - begin);
    score[j - begin] = exp(dot / sqrt(h));
    sum += score[j - begin];
  }
  for (uint32_t e = 0; e < h; e++) {
    double value = 0;
    for (int j = begin; j < end; j++)
      value += score[j - begin] / sum * qkv[(size_t)j * 3 * d + 2 * d + head * h + e];
    o[(size_t)row * d + head * h + e] = value;
  }
  free(score);
}

static void block(double *x, const struct plm_layout *layout, const double *params, uint32_t index,
                  const struct plm_batch *batch) {
  struct plm_shape shape = layout->shape;
  uint32_t t = batch->tokens, d = shape.width;
  double *norm = calloc(d, sizeof *norm), *row = calloc(d, sizeof *row), *wide = calloc(4 * (size_t)d, sizeof *wide);
  double *qkv = calloc((size_t)t * 3 * d, sizeof *qkv), *o = calloc((size_t)t * d, sizeof *o);
#define P(which) (params + plm_layout_layer(layout, index, which)->offset)
  for (uint32_t i = 0; i < t; i++) {
    norm_row(norm, x + (size_t)i * d, P(PLM_LN1_G), P(PLM_LN1_B), d);
    dense_row(qkv + (size_t)i * 3 * d, norm, P(PLM_QKV_W), P(PLM_QKV_B), d, 3 * d);
  }
  for (uint32_t s = 0; s < batch->sequences; s++)
    for (int i = batch->offset[s]; i < batch->offset[s + 1]; i++)
      for (uint32_t head = 0; head < shape.heads; head++)
        attend(o, qkv, batch->offset[s], batch->offset[s + 1], i, head, shape);
  for (uint32_t i = 0; i < t; i++) {
    double *at = x + (size_t)i * d;
    dense_row(row, o + (size_t)i * d, P(PLM_OUT_W), P(PLM_OUT_B), d, d);
    for (uint32_t e = 0; e < d; e++)
      at[e] += row[e];
    norm_row(norm, at, P(PLM_LN2_G), P(PLM_LN2_B), d);
    dense_row(wide, norm, P(PLM_UP_W), P(PLM_UP_B), d, 4 * d);
    for (uint32_t e = 0; e < 4 * d; e++)
      wide[e] = gelu(wide[e]);
    dense_row(row, wide, P(PLM_DOWN_W), P(PLM_DOWN_B), 4 * d, d);
    for (uint32_t e = 0; e < d; e++)
      at[e] += row[e];
  }
#undef P
  free(norm), free(row), free(wide), free(qkv), free(o);
}

static double row_loss(const struct plm_layout *layout, const double *params, const double *x, int target) {
  uint32_t d = layout->shape.width;
  double *a = calloc(d, sizeof *a), *b = calloc(d, sizeof *b), logits[PLM_VOCABULARY], sum = 0;
  norm_row(a, x, top(layout, params, PLM_FINAL_G), top(layout, params, PLM_FINAL_B), d);
  dense_row(b, a, top(layout, params, PLM_HEAD_W), top(layout, params, PLM_HEAD_B), d, d);
  for (uint32_t e = 0; e < d; e++)
    b[e] = gelu(b[e]);
  norm_row(a, b, top(layout, params, PLM_HEAD_LN_G), top(layout, params, PLM_HEAD_LN_B), d);
  dense_row(logits, a, top(layout, params, PLM_EMBED_W), top(layout, params, PLM_LOGIT_B), d, PLM_VOCABULARY);
  for (int v = 0; v < PLM_VOCABULARY; v++)
    sum += exp(logits[v]);
  free(a), free(b);
  return log(sum) - logits[target];
}

double model_double_loss(const struct plm_layout *layout, const double *params, const struct plm_batch *batch) {
  uint32_t d = layout->shape.width;
  double *x = calloc((size_t)batch->tokens * d, sizeof *x), sum = 0;
  const double *table = top(layout, params, PLM_EMBED_W);
  for (uint32_t i = 0; i < batch->tokens; i++)
    for (uint32_t e = 0; e < d; e++)
      x[(size_t)i * d + e] = (double)batch->scale[i] * table[(size_t)batch->token[i] * d + e];
  for (uint32_t l = 0; l < layout->shape.layers; l++)
    block(x, layout, params, l, batch);
  for (uint32_t m = 0; m < batch->masked; m++)
    sum += row_loss(layout, params, x + (size_t)batch->row[m] * d, batch->target[m]);
  free(x);
  return sum / batch->masked;
}
