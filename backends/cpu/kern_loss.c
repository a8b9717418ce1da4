/* Head loss: log-softmax, loss and gradient of one row while it is in L1. */
#include <math.h>

#include "cpu_math.h"
#include "kern_table.h"

static vf load_some(const float *p, uint32_t n, float fill) {
  return n >= PLM_VW ? vf_load(p) : vf_load_head(p, n, fill);
}

static float row_max(const float *x, uint32_t n) {
  vf most = vf_set(-INFINITY);
  for (uint32_t i = 0; i < n; i += PLM_VW)
    most = vf_max(most, load_some(x + i, n - i, -INFINITY));
  return vf_max_lane(most);
}

static float row_sum_exp(const float *x, uint32_t n, float most) {
  vf sum = vf_set(0.0f);
  for (uint32_t i = 0; i < n; i += PLM_VW)
    sum += vf_exp(load_some(x + i, n - i, -INFINITY) - most);
  return vf_sum(sum);
}

static void row_gradient(float *d, const float *x, uint32_t n, float lse, float scale) {
  for (uint32_t i = 0; i < n; i += PLM_VW) {
    vf g = vf_exp(load_some(x + i, n - i, -INFINITY) - lse) * scale;
    if (n - i >= PLM_VW)
      vf_store(d + i, g);
    else
      vf_store_head(d + i, g, n - i);
  }
}

void PLM_CPU_NAME(plm_kern_softmax_loss)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_softmax_loss *o = &op->u.softmax_loss;
  const float *logits = plm_cpu_f32(&o->logits), *scale = plm_cpu_f32(&o->scale);
  const int32_t *targets = plm_cpu_i32(&o->targets);
  float *loss = plm_cpu_f32(&o->loss), *dlogits = plm_cpu_f32(&o->dlogits);
  uint32_t n = o->vocabulary;
#pragma omp for schedule(static) nowait
  for (uint64_t m = 0; m < o->rows.count; m++) {
    if (targets[m] < 0 || (uint32_t)targets[m] >= n) {
      plm_cpu_fail(run, "targets", (int64_t)m, targets[m], n);
      continue;
    }
    const float *x = logits + m * n;
    float most = row_max(x, n), sum = row_sum_exp(x, n, most), chosen = x[targets[m]];
    float lse = most + logf(sum);
    loss[m] = logf(sum) + (most - chosen);
    if (op->flags & PLM_FLAG_GRADIENT) {
      row_gradient(dlogits + m * n, x, n, lse, scale[0]);
      dlogits[m * n + (uint32_t)targets[m]] = (expf(chosen - lse) - 1.0f) * scale[0];
    }
  }
  plm_cpu_meet(run);
}
