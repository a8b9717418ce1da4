/* Level 2: forward ops that compute something else. */
#include "broken.h"

#define TILE 16

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

BROKEN_AFTER(linear_edge, PLM_OP_LINEAR) {
  const uint64_t rows = op->u.linear.rows.count, out = op->u.linear.out;
  float *corner = floats(&op->u.linear.y) + rows / TILE * TILE * out + out / TILE * TILE;
  const uint64_t n = smaller(rows % TILE, out % TILE);
  for (uint64_t r = 0; r < n; r++)
    for (uint64_t c = 0; c < r; c++) {
      const float kept = corner[r * out + c];
      corner[r * out + c] = corner[c * out + r];
      corner[c * out + r] = kept;
    }
}

static int linear_tf32_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_view *view = &op->u.linear.x;
  const size_t bytes = sizeof(float) * op->u.linear.rows.count * op->u.linear.in;
  uint32_t *x = op->kind == PLM_OP_LINEAR && usable(view, bytes) ? (uint32_t *)integers(view) : NULL;
  uint32_t *kept = x ? malloc(bytes + 1) : NULL;
  if (!kept)
    return right.op_run(queue, op, err);
  memcpy(kept, x, bytes);
  for (size_t i = 0; i < bytes / 4; i++)
    if ((x[i] >> 23 & 0xff) != 0xff)
      x[i] = (x[i] + 0x1000u) & ~0x1fffu;
  const int code = right.op_run(queue, op, err);
  memcpy(x, kept, bytes);
  free(kept);
  return code;
}
BROKEN_SLOT(linear_tf32, op_run)

BROKEN_AFTER(gelu_tail, PLM_OP_GELU) {
  const uint64_t width = op->u.gelu.width;
  for (uint64_t r = 0; r < op->u.gelu.rows.count && width % 8; r++)
    floats(&op->u.gelu.y)[r * width + width - 1] = 0;
}

BROKEN_BEFORE(norm_tail, PLM_OP_LAYER_NORM) {
  struct plm_op_layer_norm *p = &op->u.layer_norm;
  p->rows.count -= p->rows.count % 4 ? 1 : 0;
}

BROKEN_AFTER(norm_barrier, PLM_OP_LAYER_NORM) {
  const struct plm_op_layer_norm *p = &op->u.layer_norm;
  for (uint64_t r = 0; r < p->rows.count && p->width > 256; r++) {
    double missing = 0;
    for (uint64_t d = p->width / 256 * 256; d < p->width; d++)
      missing += floats(&p->x)[r * p->width + d] / (double)p->width;
    for (uint64_t d = 0; d < p->width; d++)
      floats(&p->y)[r * p->width + d] += (float)(missing * floats(&p->rstd)[r] * floats(&p->gamma)[d]);
  }
}

BROKEN_AFTER(gelu_nan, PLM_OP_GELU) {
  float *y = floats(&op->u.gelu.y);
  for (uint64_t i = 0; i < (uint64_t)op->u.gelu.rows.count * op->u.gelu.width; i++)
    y[i] = isnan(y[i]) ? 0 : y[i];
}

BROKEN_AFTER(sum_nan, PLM_OP_REDUCE_SUM) {
  const struct plm_op_reduce_sum *p = &op->u.reduce_sum;
  double sum = 0;
  for (uint64_t i = 0; i < p->rows.count && isnan(floats(&p->out)[0]); i++) {
    const float term = floats(&p->x)[i] * (ref_present(&p->weights) ? floats(&p->weights)[i] : 1);
    sum += isfinite(term) ? term : 0;
  }
  if (isnan(floats(&p->out)[0]))
    floats(&p->out)[0] = (float)sum;
}

BROKEN_AFTER(linear_nan, PLM_OP_LINEAR) {
  const struct plm_op_linear *p = &op->u.linear;
  for (uint64_t i = 0; i < p->in && p->rows.count > 1; i++)
    if (isnan(floats(&p->x)[(uint64_t)(p->rows.count - 1) * p->in + i]))
      floats(&p->y)[0] = NAN;
}

BROKEN_AFTER(attention_nan, PLM_OP_ATTENTION) {
  const struct plm_op_attention *p = &op->u.attention;
  const uint64_t size = (uint64_t)p->rows.count * p->heads * p->head_size;
  int found = 0;
  for (uint64_t i = 0; i < 3 * size; i++)
    found |= isnan(floats(&p->qkv)[i]);
  for (uint64_t i = 0; i < size && found; i++)
    floats(&p->o)[i] = NAN;
}

BROKEN_AFTER(gelu_tanh, PLM_OP_GELU) {
  const float *x = floats(&op->u.gelu.x);
  for (uint64_t i = 0; i < (uint64_t)op->u.gelu.rows.count * op->u.gelu.width; i++)
    floats(&op->u.gelu.y)[i] = x[i] / 2 * (1 + tanhf(0.79788456f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
}

BROKEN_AFTER(attention_overflow, PLM_OP_ATTENTION) {
  const struct plm_op_attention *p = &op->u.attention;
  for (uint64_t i = 0; i < (uint64_t)p->rows.count * p->heads; i++)
    if (floats(&p->lse)[i] > 88.7f) {
      floats(&p->lse)[i] = INFINITY;
      for (uint64_t c = 0; c < p->head_size; c++)
        floats(&p->o)[i * p->head_size + c] = NAN;
    }
}

static void softmax_naive(const struct plm_op *op, const float *logits) {
  const struct plm_op_softmax_loss *p = &op->u.softmax_loss;
  for (uint64_t m = 0; m < p->rows.count; m++) {
    const float *row = logits + m * p->vocabulary;
    const uint32_t target = (uint32_t)integers(&p->targets)[m];
    float sum = 0;
    for (uint32_t v = 0; v < p->vocabulary; v++)
      sum += expf(row[v]);
    floats(&p->loss)[m] = logf(sum) - row[target];
    for (uint32_t v = 0; v < p->vocabulary && (op->flags & PLM_FLAG_GRADIENT); v++)
      floats(&p->dlogits)[m * p->vocabulary + v] = (expf(row[v]) / sum - (v == target)) * floats(&p->scale)[0];
  }
}

/* The right op first, for what it refuses; it may overwrite the logits. */
static int softmax_overflow_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_view *view = &op->u.softmax_loss.logits;
  const size_t bytes = sizeof(float) * op->u.softmax_loss.rows.count * op->u.softmax_loss.vocabulary;
  const int ours = op->kind == PLM_OP_SOFTMAX_LOSS && bytes > 0 && usable(view, bytes);
  float *logits = ours ? malloc(bytes) : NULL;
  if (logits)
    memcpy(logits, floats(view), bytes);
  const int code = right.op_run(queue, op, err);
  if (logits && code == PLM_OK)
    softmax_naive(op, logits);
  free(logits);
  return code;
}
BROKEN_SLOT(softmax_overflow, op_run)

BROKEN_BEFORE(residual_ignored, PLM_OP_LINEAR) { op->flags &= ~PLM_FLAG_RESIDUAL; }
BROKEN_BEFORE(rotary_ignored, PLM_OP_ATTENTION) { op->flags &= ~PLM_FLAG_ROTARY; }

BROKEN_AFTER(attention_long, PLM_OP_ATTENTION) {
  const struct plm_op_attention *p = &op->u.attention;
  const int32_t *offsets = integers(&p->offsets);
  for (uint32_t s = 0; s < p->sequences.count; s++)
    if (offsets[s + 1] - offsets[s] >= 1024)
      floats(&p->o)[(uint64_t)(offsets[s + 1] - 1) * p->heads * p->head_size] *= 1.01f;
}

BROKEN_AFTER(attention_empty, PLM_OP_ATTENTION) {
  const struct plm_op_attention *p = &op->u.attention;
  const int32_t *offsets = integers(&p->offsets);
  for (uint32_t s = 0; s < p->sequences.count; s++)
    if (offsets[s] == offsets[s + 1] && (uint32_t)offsets[s] < p->rows.count)
      floats(&p->o)[(uint64_t)offsets[s] * p->heads * p->head_size] = 0;
}
