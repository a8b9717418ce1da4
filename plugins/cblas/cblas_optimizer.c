/* The update: grad_norm, adamw. */
#include <math.h>

#include "cblas_ops.h"

int run_grad_norm(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_grad_norm *p = &op->u.grad_norm;
  const float *grads = f32(&p->grads);
  float *out = f32(&p->out);
  double squares = 0; /* the square of a finite float is finite here, so the norm tells whether all were */
  (void)err;
  for (uint64_t i = 0; i < p->count; i++)
    squares += (double)grads[i] * grads[i];
  const double norm = sqrt(squares);
  const int finite = isfinite((float)norm);
  const double clip = p->norm_max == 0 ? 1 : fmin(1, p->norm_max / (norm + 1e-6));
  out[0] = (float)norm;
  out[1] = finite ? 1 : 0;
  out[2] = finite ? (float)clip : 0;
  out[3] = 0;
  return PLM_OK;
}

int run_adamw(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_adamw *p = &op->u.adamw;
  const float *grads = f32(&p->grads), *control = f32(&p->control), *schedule = f32(&p->schedule);
  float *params = f32(&p->params), *m = f32(&p->m), *v = f32(&p->v);
  const float rate = schedule[0] * p->rate_scale;
  (void)err;
  if (control[1] == 0) /* a gradient was not finite */
    return PLM_OK;
  for (uint64_t i = 0; i < p->count; i++) {
    const float g = grads[i] * control[2];
    m[i] = p->beta1 * m[i] + (1 - p->beta1) * g;
    v[i] = p->beta2 * v[i] + (1 - p->beta2) * g * g;
    const float step = (m[i] / schedule[1]) / (sqrtf(v[i] / schedule[2]) + p->epsilon);
    params[i] -= rate * (step + p->decay * params[i]);
  }
  return PLM_OK;
}
