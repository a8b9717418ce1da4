/* The update: grad_norm, adamw. */
#include "reference.h"

int ref_grad_norm(struct ref_call *call) {
  const struct plm_op_grad_norm *p = &call->op->u.grad_norm;
  const float *grads = ref_f32(call, &p->grads, "grads", REF_READ, p->count, 1);
  float *out = ref_f32_at(call, &p->out, "out", REF_WRITE, 16, 4);
  if (ref_check(call))
    return call->code;
  double sum = 0;
  for (uint64_t i = 0; i < p->count; i++)
    sum += (double)grads[i] * grads[i];
  /* A gradient that is not finite makes the sum so, and the square of a finite float cannot overflow a double. */
  const double norm = sqrt(sum);
  const int finite = isfinite((float)norm);
  double clip = p->norm_max == 0 ? 1 : fmin(1, p->norm_max / (norm + 1e-6));
  out[0] = (float)norm;
  out[1] = finite ? 1 : 0;
  out[2] = finite ? (float)clip : 0;
  out[3] = 0;
  return PLM_OK;
}

int ref_adamw(struct ref_call *call) {
  const struct plm_op_adamw *p = &call->op->u.adamw;
  const double beta1 = p->beta1, beta2 = p->beta2;
  float *params = ref_f32(call, &p->params, "params", REF_WRITE, p->count, 1);
  const float *grads = ref_f32(call, &p->grads, "grads", REF_READ, p->count, 1);
  float *m = ref_f32(call, &p->m, "m", REF_WRITE, p->count, 1);
  float *v = ref_f32(call, &p->v, "v", REF_WRITE, p->count, 1);
  const float *control = ref_f32_at(call, &p->control, "control", REF_READ, 16, 4);
  const float *schedule = ref_f32_at(call, &p->schedule, "schedule", REF_READ, 4, 3);
  if (ref_check(call))
    return call->code;
  if (control[1] == 0)
    return PLM_OK;
  const double rate = (double)schedule[0] * p->rate_scale;
  for (uint64_t i = 0; i < p->count; i++) {
    const double g = (double)grads[i] * control[2];
    const double first = beta1 * m[i] + (1 - beta1) * g;
    const double second = beta2 * v[i] + (1 - beta2) * g * g;
    const double step = (first / schedule[1]) / (sqrt(second / schedule[2]) + (double)p->epsilon);
    params[i] = (float)(params[i] - rate * (step + (double)p->decay * params[i]));
    m[i] = (float)first;
    v[i] = (float)second;
  }
  return PLM_OK;
}
