#include <math.h>

#include "cpu_vec.h"
#include "kern_table.h"

#define BLOCK 8192

/* The constants of one step, worked out in double. */
struct adamw {
  float clip, beta1, one_beta1, beta2, one_beta2, step, inverse2, epsilon, shrink;
};

static void adamw_block(float *restrict p, const float *restrict grads, float *restrict m, float *restrict v,
                        uint64_t n, struct adamw a) {
#pragma omp simd
  for (uint64_t i = 0; i < n; i++) {
    float g = grads[i] * a.clip;
    float first = a.beta1 * m[i] + a.one_beta1 * g;
    float second = a.beta2 * v[i] + a.one_beta2 * g * g;
    m[i] = first;
    v[i] = second;
    p[i] -= a.step * first / (sqrtf(second * a.inverse2) + a.epsilon) + a.shrink * p[i];
  }
}

void PLM_CPU_NAME(plm_kern_adamw)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_adamw *o = &op->u.adamw;
  const float *grads = plm_cpu_f32(&o->grads), *control = plm_cpu_f32(&o->control);
  const float *schedule = plm_cpu_f32(&o->schedule);
  float *p = plm_cpu_f32(&o->params), *m = plm_cpu_f32(&o->m), *v = plm_cpu_f32(&o->v);
  double rate = (double)schedule[0] * (double)o->rate_scale;
  struct adamw a = {.clip = control[2],
                    .beta1 = o->beta1,
                    .one_beta1 = (float)(1.0 - (double)o->beta1),
                    .beta2 = o->beta2,
                    .one_beta2 = (float)(1.0 - (double)o->beta2),
                    .step = (float)(rate / (double)schedule[1]),
                    .inverse2 = (float)(1.0 / (double)schedule[2]),
                    .epsilon = o->epsilon,
                    .shrink = (float)(rate * (double)o->decay)};
  uint64_t blocks = control[1] == 0.0f ? 0 : (o->count + BLOCK - 1) / BLOCK;
#pragma omp for schedule(static) nowait
  for (uint64_t b = 0; b < blocks; b++) {
    uint64_t at = b * BLOCK;
    adamw_block(p + at, grads + at, m + at, v + at, plm_cpu_min(o->count - at, BLOCK), a);
  }
  plm_cpu_meet(run);
}
