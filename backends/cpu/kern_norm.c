/* Layer norm: one row at a time from L1. The gradient's column sums: one pair of partial rows for every 64 rows. */
#include <math.h>

#include "cpu_vec.h"
#include "kern_table.h"

#define BLOCK 64

static vf load_some(const float *p, uint32_t n) { return n >= PLM_VW ? vf_load(p) : vf_load_head(p, n, 0.0f); }

static void store_some(float *p, vf x, uint32_t n) {
  if (n >= PLM_VW)
    vf_store(p, x);
  else
    vf_store_head(p, x, n);
}

static float row_mean(const float *x, uint32_t n) {
  vf a = vf_set(0.0f), b = a;
  uint32_t i = 0;
  for (; i + 2 * PLM_VW <= n; i += 2 * PLM_VW) {
    a += vf_load(x + i);
    b += vf_load(x + i + PLM_VW);
  }
  for (; i < n; i += PLM_VW)
    a += load_some(x + i, n - i);
  return vf_sum(a + b) / (float)n;
}

static float row_variance(const float *x, uint32_t n, float mean) {
  vf a = vf_set(0.0f), b = a;
  uint32_t i = 0;
  for (; i + 2 * PLM_VW <= n; i += 2 * PLM_VW) {
    vf u = vf_load(x + i) - mean, w = vf_load(x + i + PLM_VW) - mean;
    a += u * u;
    b += w * w;
  }
  for (; i < n; i += PLM_VW) {
    vf u = n - i >= PLM_VW ? vf_load(x + i) - mean : vf_load_head(x + i, n - i, mean) - mean;
    a += u * u;
  }
  return vf_sum(a + b) / (float)n;
}

void PLM_CPU_NAME(plm_kern_layer_norm)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_layer_norm *o = &op->u.layer_norm;
  const float *x = plm_cpu_f32(&o->x), *gamma = plm_cpu_f32(&o->gamma), *beta = plm_cpu_f32(&o->beta);
  float *y = plm_cpu_f32(&o->y), *mean = plm_cpu_f32(&o->mean), *rstd = plm_cpu_f32(&o->rstd);
  uint32_t n = o->width;
#pragma omp for schedule(static) nowait
  for (uint64_t r = 0; r < o->rows.count; r++) {
    const float *row = x + r * n;
    float m = row_mean(row, n), s = 1.0f / sqrtf(row_variance(row, n, m) + o->epsilon);
    mean[r] = m;
    rstd[r] = s;
    for (uint32_t i = 0; i < n; i += PLM_VW)
      store_some(y + r * n + i,
                 (load_some(row + i, n - i) - m) * s * load_some(gamma + i, n - i) + load_some(beta + i, n - i), n - i);
  }
  plm_cpu_meet(run);
}

uint64_t PLM_CPU_NAME(plm_kern_norm_workspace)(const struct plm_op *op) {
  const struct plm_op_layer_norm_grad *o = &op->u.layer_norm_grad;
  return ((uint64_t)o->rows.count / BLOCK + 1) * 2 * o->width * sizeof(float);
}

static void row_gradient(const struct plm_op *op, uint64_t r, float *sum_gamma, float *sum_beta) {
  const struct plm_op_layer_norm_grad *o = &op->u.layer_norm_grad;
  uint32_t n = o->width;
  const float *dy = plm_cpu_f32(&o->dy) + r * n, *x = plm_cpu_f32(&o->x) + r * n, *gamma = plm_cpu_f32(&o->gamma);
  float *dx = plm_cpu_f32(&o->dx) + r * n, m = plm_cpu_f32(&o->mean)[r], s = plm_cpu_f32(&o->rstd)[r];
  vf total_g = vf_set(0.0f), total_gn = total_g;
  for (uint32_t i = 0; i < n; i += PLM_VW) {
    vf d = load_some(dy + i, n - i), g = d * load_some(gamma + i, n - i);
    vf normal = (load_some(x + i, n - i) - m) * s;
    total_g += g;
    total_gn += g * normal;
    store_some(sum_gamma + i, load_some(sum_gamma + i, n - i) + d * normal, n - i);
    store_some(sum_beta + i, load_some(sum_beta + i, n - i) + d, n - i);
  }
  float avg_g = vf_sum(total_g) / (float)n, avg_gn = vf_sum(total_gn) / (float)n;
  for (uint32_t i = 0; i < n; i += PLM_VW) {
    vf g = load_some(dy + i, n - i) * load_some(gamma + i, n - i);
    vf normal = (load_some(x + i, n - i) - m) * s;
    vf d = (g - avg_g - normal * avg_gn) * s;
    if (op->flags & PLM_FLAG_ACCUMULATE)
      d += load_some(dx + i, n - i);
    store_some(dx + i, d, n - i);
  }
}

void PLM_CPU_NAME(plm_kern_layer_norm_grad)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_layer_norm_grad *o = &op->u.layer_norm_grad;
  uint64_t n = o->width, rows = o->rows.count, blocks = (rows + BLOCK - 1) / BLOCK;
  float *partial = plm_cpu_f32(&op->workspace), *dgamma = plm_cpu_f32(&o->dgamma), *dbeta = plm_cpu_f32(&o->dbeta);
#pragma omp for schedule(static) nowait
  for (uint64_t b = 0; b < blocks; b++) {
    float *sums = partial + b * 2 * n;
    memset(sums, 0, 2 * n * sizeof *sums);
    for (uint64_t r = b * BLOCK; r < plm_cpu_min((b + 1) * BLOCK, rows); r++)
      row_gradient(op, r, sums, sums + n);
  }
  plm_cpu_meet(run);
#pragma omp single nowait
  for (uint64_t b = 0; b < blocks; b++)
    for (uint64_t i = 0; i < n; i++) {
      dgamma[i] += partial[b * 2 * n + i];
      dbeta[i] += partial[b * 2 * n + n + i];
    }
  plm_cpu_meet(run);
}
