/* Ops on single elements: fill, gelu, gelu_grad, add. */
#include <math.h>

#include "cblas_ops.h"

int run_fill(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_fill *p = &op->u.fill;
  float *x = f32(&p->x);
  (void)err;
  for (uint64_t i = 0; i < p->count; i++)
    x[i] = p->value;
  return PLM_OK;
}

/* Phi(x), the normal distribution: erfc does not cancel in the left tail as 1 + erf does. */
static float phi(float x) { return 0.5f * erfcf(-0.70710678f * x); }

int run_gelu(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_gelu *p = &op->u.gelu;
  const uint64_t count = (uint64_t)p->rows.count * p->width;
  const float *x = f32(&p->x);
  float *y = f32(&p->y);
  (void)err;
  for (uint64_t i = 0; i < count; i++)
    y[i] = x[i] * phi(x[i]);
  return PLM_OK;
}

int run_gelu_grad(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_gelu_grad *p = &op->u.gelu_grad;
  const uint64_t count = (uint64_t)p->rows.count * p->width;
  const float *dy = f32(&p->dy), *x = f32(&p->x);
  float *dx = f32(&p->dx);
  (void)err;
  for (uint64_t i = 0; i < count; i++)
    dx[i] = dy[i] * (phi(x[i]) + x[i] * 0.39894228f * expf(-0.5f * x[i] * x[i]));
  return PLM_OK;
}

int run_add(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_add *p = &op->u.add;
  const uint64_t count = (uint64_t)p->rows.count * p->width;
  const float *a = f32(&p->a), *b = f32(&p->b);
  float *y = f32(&p->y);
  (void)err;
  for (uint64_t i = 0; i < count; i++)
    y[i] = a[i] + b[i];
  return PLM_OK;
}
