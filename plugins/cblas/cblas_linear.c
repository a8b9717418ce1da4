/* Matrix products and biases: linear, its two gradients, bias, bias_grad. */
#include <cblas.h>

#include "cblas_ops.h"

/* c[m,n] = op(a) op(b) + beta * c. Row-major and without padding, as all data is. beta = 0 must not read c. */
static void product(CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, uint64_t m, uint64_t n, uint64_t k,
                    const float *a, const float *b, float beta, float *c) {
  const int lda = (int)(transpose_a == CblasTrans ? m : k), ldb = (int)(transpose_b == CblasTrans ? k : n);
  if (m > 0 && k > 0)
    cblas_sgemm(CblasRowMajor, transpose_a, transpose_b, (int)m, (int)n, (int)k, 1, a, lda, b, ldb, beta, c, (int)n);
}

int run_linear(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_linear *p = &op->u.linear;
  (void)err;
  product(CblasNoTrans, CblasTrans, p->rows.count, p->out, p->in, f32(&p->x), f32(&p->w), 0, f32(&p->y));
  return PLM_OK;
}

int run_linear_grad_input(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_linear_grad_input *p = &op->u.linear_grad_input;
  const float beta = (op->flags & PLM_FLAG_ACCUMULATE) ? 1 : 0;
  (void)err;
  product(CblasNoTrans, CblasNoTrans, p->rows.count, p->in, p->out, f32(&p->dy), f32(&p->w), beta, f32(&p->dx));
  return PLM_OK;
}

int run_linear_grad_weight(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_linear_grad_weight *p = &op->u.linear_grad_weight;
  (void)err;
  product(CblasTrans, CblasNoTrans, p->out, p->in, p->rows.count, f32(&p->dy), f32(&p->x), 1, f32(&p->dw));
  return PLM_OK;
}

int run_bias(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_bias *p = &op->u.bias;
  const float *bias = f32(&p->bias);
  float *y = f32(&p->y);
  (void)err;
  for (uint64_t r = 0; r < p->rows.count; r++, y += p->width)
    for (uint64_t o = 0; o < p->width; o++)
      y[o] += bias[o];
  return PLM_OK;
}

int run_bias_grad(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_bias_grad *p = &op->u.bias_grad;
  const float *dy = f32(&p->dy);
  float *dbias = f32(&p->dbias);
  (void)err;
  for (uint64_t r = 0; r < p->rows.count; r++, dy += p->width)
    for (uint64_t o = 0; o < p->width; o++)
      dbias[o] += dy[o];
  return PLM_OK;
}
