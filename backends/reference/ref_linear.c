/* Matrix products and biases: linear, its two gradients, bias, bias_grad. */
#include "reference.h"

int ref_linear(struct ref_call *call) {
  const struct plm_op_linear *p = &call->op->u.linear;
  const uint32_t rows = p->rows.count, flags = call->op->flags;
  const uint64_t in = p->in, out = p->out;
  const int with_pre = (flags & PLM_FLAG_GELU) && ref_present(&p->pre);
  const float *x = ref_f32(call, &p->x, "x", REF_READ, rows, in);
  const float *w = ref_f32(call, &p->w, "w", REF_READ, out, in);
  const float *bias = ref_f32(call, &p->bias, "bias", REF_READ, (flags & PLM_FLAG_BIAS) ? 1 : 0, out);
  const float *residual =
      ref_f32(call, &p->residual, "residual", REF_READ | REF_SHARED, (flags & PLM_FLAG_RESIDUAL) ? rows : 0, out);
  float *y = ref_f32(call, &p->y, "y", REF_WRITE | REF_SHARED, rows, out);
  float *pre = ref_f32(call, &p->pre, "pre", REF_WRITE, with_pre ? rows : 0, out);
  if (ref_check(call))
    return call->code;
  for (uint64_t r = 0; r < rows; r++)
    for (uint64_t o = 0; o < out; o++) {
      double sum = 0;
      for (uint64_t i = 0; i < in; i++)
        sum += (double)x[r * in + i] * w[o * in + i];
      if (flags & PLM_FLAG_BIAS)
        sum += bias[o];
      if (with_pre)
        pre[r * out + o] = (float)sum;
      if (flags & PLM_FLAG_GELU)
        sum = ref_gelu_value(sum);
      if (flags & PLM_FLAG_RESIDUAL)
        sum += residual[r * out + o];
      y[r * out + o] = (float)sum;
    }
  return PLM_OK;
}

int ref_linear_grad_input(struct ref_call *call) {
  const struct plm_op_linear_grad_input *p = &call->op->u.linear_grad_input;
  const uint32_t rows = p->rows.count, flags = call->op->flags;
  const uint64_t in = p->in, out = p->out;
  const float *dy = ref_f32(call, &p->dy, "dy", REF_READ, rows, out);
  const float *w = ref_f32(call, &p->w, "w", REF_READ, out, in);
  const float *pre = ref_f32(call, &p->pre, "pre", REF_READ, (flags & PLM_FLAG_GELU) ? rows : 0, in);
  float *dx = ref_f32(call, &p->dx, "dx", REF_WRITE, rows, in);
  if (ref_check(call))
    return call->code;
  for (uint64_t r = 0; r < rows; r++)
    for (uint64_t i = 0; i < in; i++) {
      double sum = 0;
      for (uint64_t o = 0; o < out; o++)
        sum += (double)dy[r * out + o] * w[o * in + i];
      if (flags & PLM_FLAG_GELU)
        sum *= ref_gelu_slope(pre[r * in + i]);
      if (flags & PLM_FLAG_ACCUMULATE)
        sum += dx[r * in + i];
      dx[r * in + i] = (float)sum;
    }
  return PLM_OK;
}

/* dbias[o] += sum over r of dy[r,o] */
static void add_column_sums(float *dbias, const float *dy, uint64_t rows, uint64_t width) {
  for (uint64_t o = 0; o < width; o++) {
    double sum = 0;
    for (uint64_t r = 0; r < rows; r++)
      sum += dy[r * width + o];
    dbias[o] = (float)(dbias[o] + sum);
  }
}

int ref_linear_grad_weight(struct ref_call *call) {
  const struct plm_op_linear_grad_weight *p = &call->op->u.linear_grad_weight;
  const uint32_t rows = p->rows.count;
  const int with_bias = (call->op->flags & PLM_FLAG_BIAS) != 0;
  const uint64_t in = p->in, out = p->out;
  const float *dy = ref_f32(call, &p->dy, "dy", REF_READ, rows, out);
  const float *x = ref_f32(call, &p->x, "x", REF_READ, rows, in);
  float *dw = ref_f32(call, &p->dw, "dw", REF_WRITE, out, in);
  float *dbias = ref_f32(call, &p->dbias, "dbias", REF_WRITE, with_bias ? 1 : 0, out);
  if (ref_check(call))
    return call->code;
  for (uint64_t o = 0; o < out; o++)
    for (uint64_t i = 0; i < in; i++) {
      double sum = 0;
      for (uint64_t r = 0; r < rows; r++)
        sum += (double)dy[r * out + o] * x[r * in + i];
      dw[o * in + i] = (float)(dw[o * in + i] + sum);
    }
  if (with_bias)
    add_column_sums(dbias, dy, rows, out);
  return PLM_OK;
}

int ref_bias(struct ref_call *call) {
  const struct plm_op_bias *p = &call->op->u.bias;
  const uint32_t rows = p->rows.count;
  const uint64_t width = p->width;
  float *y = ref_f32(call, &p->y, "y", REF_WRITE, rows, width);
  const float *bias = ref_f32(call, &p->bias, "bias", REF_READ, 1, width);
  if (ref_check(call))
    return call->code;
  for (uint64_t r = 0; r < rows; r++)
    for (uint64_t o = 0; o < width; o++)
      y[r * width + o] = (float)((double)y[r * width + o] + bias[o]);
  return PLM_OK;
}

int ref_bias_grad(struct ref_call *call) {
  const struct plm_op_bias_grad *p = &call->op->u.bias_grad;
  const float *dy = ref_f32(call, &p->dy, "dy", REF_READ, p->rows.count, p->width);
  float *dbias = ref_f32(call, &p->dbias, "dbias", REF_WRITE, 1, p->width);
  if (ref_check(call))
    return call->code;
  add_column_sums(dbias, dy, p->rows.count, p->width);
  return PLM_OK;
}
