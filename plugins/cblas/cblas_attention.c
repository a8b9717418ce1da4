/*
 * Rotary positions and attention within each sequence: rotary, attention, attention_grad. A head of qkv [T,3,H,h] is a
 * matrix whose rows are 3*H*h apart, so the products are plain matrix products. Queries are taken in blocks: the
 * workspace grows with a sequence's length and not with its square.
 */
#include <cblas.h>
#include <math.h>

#include "cblas_ops.h"

#define BLOCK 128 /* queries at a time */

int run_rotary(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_rotary *p = &op->u.rotary;
  const uint64_t T = p->rows.count, H = p->heads, h = p->head_size, half = h / 2;
  const float sign = (op->flags & PLM_FLAG_INVERSE) ? -1 : 1;
  const int32_t *positions = i32(&p->positions);
  const int code = check_index(op, "positions", positions, T, p->table_rows, err);
  for (uint64_t t = 0; t < T && !code; t++) {
    const float *cosine = f32(&p->cosine) + (uint64_t)positions[t] * half;
    const float *sine = f32(&p->sine) + (uint64_t)positions[t] * half;
    float *x = f32(&p->qkv) + t * 3 * H * h;
    for (uint64_t head = 0; head < 2 * H; head++, x += h) /* q and k, not v */
      for (uint64_t j = 0; j < half; j++) {
        const float a = x[j], b = x[j + half], c = cosine[j], s = sign * sine[j];
        x[j] = a * c - b * s;
        x[j + half] = b * c + a * s;
      }
  }
  return code;
}

/* offsets[0] = 0, ascending, offsets[S] = T, no sequence longer than length_max. */
static int check_offsets(const struct plm_op *op, const int32_t *offsets, uint64_t S, uint64_t T, uint32_t length_max,
                         struct plm_error *err) {
  if (offsets[0] != 0)
    return plm_rules_error(err, PLM_E_INVALID, op, "offsets[0] = %" PRId32 ", must be 0", offsets[0]);
  for (uint64_t s = 0; s < S; s++) {
    const int64_t length = (int64_t)offsets[s + 1] - offsets[s];
    if (length < 0 || length > length_max)
      return plm_rules_error(err, PLM_E_INVALID, op,
                             "sequence %" PRIu64 " has %" PRId64 " tokens, must be in 0..%" PRIu32, s, length,
                             length_max);
  }
  if ((uint64_t)offsets[S] != T)
    return plm_rules_error(err, PLM_E_INVALID, op, "offsets[%" PRIu64 "] = %" PRId32 ", must be %" PRIu64, S,
                           offsets[S], T);
  return PLM_OK;
}

/* c[m,n] = alpha * op(a) op(b) + beta * c; the leading dimension follows each matrix. */
static void product(CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, uint64_t m, uint64_t n, uint64_t k,
                    float alpha, const float *a, uint64_t lda, const float *b, uint64_t ldb, float beta, float *c,
                    uint64_t ldc) {
  cblas_sgemm(CblasRowMajor, transpose_a, transpose_b, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta,
              c, (int)ldc);
}

/* One row of scores becomes probabilities; returns the logarithm of the sum of their exponentials. */
static float softmax_row(float *a, uint64_t n) {
  float top = a[0];
  double sum = 0;
  for (uint64_t j = 1; j < n; j++)
    top = fmaxf(top, a[j]);
  for (uint64_t j = 0; j < n; j++) {
    a[j] = expf(a[j] - top);
    sum += a[j];
  }
  for (uint64_t j = 0; j < n; j++)
    a[j] = (float)(a[j] / sum);
  return (float)(top + log(sum));
}

uint64_t workspace_attention(const struct plm_op *op) {
  return (uint64_t)BLOCK * op->u.attention.length_max * sizeof(float);
}

int run_attention(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_attention *p = &op->u.attention;
  const uint64_t H = p->heads, h = p->head_size, row = 3 * H * h;
  const int32_t *offsets = i32(&p->offsets);
  float *P = f32(&op->workspace); /* [BLOCK, n] */
  const int code = check_offsets(op, offsets, p->sequences.count, p->rows.count, p->length_max, err);
  for (uint64_t s = 0; s < p->sequences.count && !code; s++) {
    const uint64_t first = (uint64_t)offsets[s], n = (uint64_t)(offsets[s + 1] - offsets[s]);
    for (uint64_t head = 0; head < H; head++)
      for (uint64_t i = 0; i < n; i += BLOCK) {
        const uint64_t m = n - i < BLOCK ? n - i : BLOCK;
        const float *q = f32(&p->qkv) + (first + i) * row + head * h;
        const float *k = f32(&p->qkv) + first * row + (H + head) * h, *v = k + H * h;
        float *o = f32(&p->o) + ((first + i) * H + head) * h, *lse = f32(&p->lse) + (first + i) * H + head;
        product(CblasNoTrans, CblasTrans, m, n, h, p->scale, q, row, k, row, 0, P, n);
        for (uint64_t r = 0; r < m; r++)
          lse[r * H] = softmax_row(P + r * n, n);
        product(CblasNoTrans, CblasNoTrans, m, h, n, 1, P, n, v, row, 0, o, H * h);
      }
  }
  return code;
}

uint64_t workspace_attention_grad(const struct plm_op *op) {
  return 2 * (uint64_t)BLOCK * op->u.attention_grad.length_max * sizeof(float);
}

/* P = exp(scores - lse) and, in place of dP, da = P * (dP - delta) for one row. */
static void scores_grad_row(float *P, float *dP, uint64_t n, float lse, const float *o, const float *d_o, uint64_t h) {
  double delta = 0;
  for (uint64_t c = 0; c < h; c++)
    delta += (double)d_o[c] * o[c];
  for (uint64_t j = 0; j < n; j++) {
    P[j] = expf(P[j] - lse);
    dP[j] = P[j] * (float)(dP[j] - delta);
  }
}

int run_attention_grad(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_attention_grad *p = &op->u.attention_grad;
  const uint64_t H = p->heads, h = p->head_size, row = 3 * H * h;
  const int32_t *offsets = i32(&p->offsets);
  float *P = f32(&op->workspace), *da = P + (uint64_t)BLOCK * p->length_max; /* [BLOCK, n] each */
  const int code = check_offsets(op, offsets, p->sequences.count, p->rows.count, p->length_max, err);
  for (uint64_t s = 0; s < p->sequences.count && !code; s++) {
    const uint64_t first = (uint64_t)offsets[s], n = (uint64_t)(offsets[s + 1] - offsets[s]);
    for (uint64_t head = 0; head < H; head++)
      for (uint64_t i = 0; i < n; i += BLOCK) {
        const uint64_t m = n - i < BLOCK ? n - i : BLOCK, at = (first + i) * H + head;
        const float *q = f32(&p->qkv) + (first + i) * row + head * h;
        const float *k = f32(&p->qkv) + first * row + (H + head) * h, *v = k + H * h;
        const float *o = f32(&p->o) + at * h, *d_o = f32(&p->d_o) + at * h, *lse = f32(&p->lse) + at;
        float *dq = f32(&p->dqkv) + (first + i) * row + head * h;
        float *dk = f32(&p->dqkv) + first * row + (H + head) * h, *dv = dk + H * h;
        const float beta = i > 0 ? 1 : 0; /* the first block of queries overwrites dk and dv, later ones add */
        product(CblasNoTrans, CblasTrans, m, n, h, p->scale, q, row, k, row, 0, P, n);
        product(CblasNoTrans, CblasTrans, m, n, h, 1, d_o, H * h, v, row, 0, da, n);
        for (uint64_t r = 0; r < m; r++)
          scores_grad_row(P + r * n, da + r * n, n, lse[r * H], o + r * H * h, d_o + r * H * h, h);
        product(CblasNoTrans, CblasNoTrans, m, h, n, p->scale, da, n, k, row, 0, dq, row);
        product(CblasTrans, CblasNoTrans, n, h, m, p->scale, da, n, q, row, beta, dk, row);
        product(CblasTrans, CblasNoTrans, n, h, m, 1, P, n, d_o, H * h, beta, dv, row);
      }
  }
  return code;
}
