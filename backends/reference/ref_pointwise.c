/* Ops on single elements: fill, gelu, gelu_grad, add. */
#include "reference.h"

int ref_fill(struct ref_call *call) {
  const struct plm_op_fill *p = &call->op->u.fill;
  float *x = ref_f32(call, &p->x, "x", REF_WRITE, p->count, 1);
  if (ref_check(call))
    return call->code;
  for (uint64_t i = 0; i < p->count; i++)
    x[i] = p->value;
  return PLM_OK;
}

int ref_gelu(struct ref_call *call) {
  const struct plm_op_gelu *p = &call->op->u.gelu;
  const uint64_t count = (uint64_t)p->rows.count * p->width;
  const float *x = ref_f32(call, &p->x, "x", REF_READ, p->rows.count, p->width);
  float *y = ref_f32(call, &p->y, "y", REF_WRITE, p->rows.count, p->width);
  if (ref_check(call))
    return call->code;
  for (uint64_t i = 0; i < count; i++)
    y[i] = (float)ref_gelu_value(x[i]);
  return PLM_OK;
}

int ref_gelu_grad(struct ref_call *call) {
  const struct plm_op_gelu_grad *p = &call->op->u.gelu_grad;
  const uint64_t count = (uint64_t)p->rows.count * p->width;
  const float *dy = ref_f32(call, &p->dy, "dy", REF_READ | REF_SHARED, p->rows.count, p->width);
  const float *x = ref_f32(call, &p->x, "x", REF_READ, p->rows.count, p->width);
  float *dx = ref_f32(call, &p->dx, "dx", REF_WRITE | REF_SHARED, p->rows.count, p->width);
  if (ref_check(call))
    return call->code;
  for (uint64_t i = 0; i < count; i++)
    dx[i] = (float)(dy[i] * ref_gelu_slope(x[i]));
  return PLM_OK;
}

int ref_add(struct ref_call *call) {
  const struct plm_op_add *p = &call->op->u.add;
  const uint64_t count = (uint64_t)p->rows.count * p->width;
  const float *a = ref_f32(call, &p->a, "a", REF_READ | REF_SHARED, p->rows.count, p->width);
  const float *b = ref_f32(call, &p->b, "b", REF_READ | REF_SHARED, p->rows.count, p->width);
  float *y = ref_f32(call, &p->y, "y", REF_WRITE | REF_SHARED, p->rows.count, p->width);
  if (ref_check(call))
    return call->code;
  for (uint64_t i = 0; i < count; i++)
    y[i] = (float)((double)a[i] + b[i]);
  return PLM_OK;
}
