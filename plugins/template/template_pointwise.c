/* Ops on single elements: fill, add. */
#include "template_ops.h"

int run_fill(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_fill *p = &op->u.fill;
  float *x = f32(&p->x);
  (void)err;
  for (uint64_t i = 0; i < p->count; i++)
    x[i] = p->value;
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
