/* Sums: fixed blocks, each by one thread, then their results in order by one thread. */
#include <math.h>

#include "cpu_vec.h"
#include "kern_table.h"

#define BIAS_ROWS 128
#define NORM_BLOCK 16384

uint64_t PLM_CPU_NAME(plm_kern_sums_workspace)(const struct plm_op *op) {
  if (op->kind == PLM_OP_GRAD_NORM)
    return (op->u.grad_norm.count / NORM_BLOCK + 1) * sizeof(double);
  const struct plm_op_bias_grad *o = &op->u.bias_grad;
  return ((uint64_t)o->rows.count / BIAS_ROWS + 1) * o->width * sizeof(float);
}

void PLM_CPU_NAME(plm_kern_bias_grad)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_bias_grad *o = &op->u.bias_grad;
  const float *dy = plm_cpu_f32(&o->dy);
  float *dbias = plm_cpu_f32(&o->dbias), *partial = plm_cpu_f32(&op->workspace);
  uint64_t rows = o->rows.count, width = o->width, blocks = (rows + BIAS_ROWS - 1) / BIAS_ROWS;
#pragma omp for schedule(static) nowait
  for (uint64_t b = 0; b < blocks; b++) {
    float *sum = partial + b * width;
    memset(sum, 0, width * sizeof *sum);
    for (uint64_t r = b * BIAS_ROWS; r < plm_cpu_min((b + 1) * BIAS_ROWS, rows); r++)
      for (uint64_t i = 0; i < width; i++)
        sum[i] += dy[r * width + i];
  }
  plm_cpu_meet(run);
#pragma omp single nowait
  for (uint64_t b = 0; b < blocks; b++)
    for (uint64_t i = 0; i < width; i++)
      dbias[i] += partial[b * width + i];
  plm_cpu_meet(run);
}

void PLM_CPU_NAME(plm_kern_reduce_sum)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_reduce_sum *o = &op->u.reduce_sum;
  const float *x = plm_cpu_f32(&o->x), *weights = plm_cpu_f32(&o->weights);
  float *out = plm_cpu_f32(&o->out);
#pragma omp single nowait
  {
    double sum = op->flags & PLM_FLAG_ACCUMULATE ? (double)out[0] : 0.0;
    for (uint64_t i = 0; i < o->rows.count; i++)
      sum += (double)x[i] * (weights ? (double)weights[i] : 1.0);
    out[0] = (float)sum;
  }
  plm_cpu_meet(run);
}

/* Sum of squares in double: eight running sums in a fixed pattern. */
static double sum_squares(const float *x, uint64_t n) {
  double lane[8] = {0}, sum = 0.0;
  uint64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++)
      lane[j] += (double)x[i + j] * (double)x[i + j];
  for (; i < n; i++)
    sum += (double)x[i] * (double)x[i];
  for (int j = 0; j < 8; j++)
    sum += lane[j];
  return sum;
}

void PLM_CPU_NAME(plm_kern_grad_norm)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_grad_norm *o = &op->u.grad_norm;
  const float *g = plm_cpu_f32(&o->grads);
  float *out = plm_cpu_f32(&o->out);
  double *partial = plm_cpu_at(&op->workspace);
  uint64_t blocks = (o->count + NORM_BLOCK - 1) / NORM_BLOCK;
#pragma omp for schedule(static) nowait
  for (uint64_t b = 0; b < blocks; b++)
    partial[b] = sum_squares(g + b * NORM_BLOCK, plm_cpu_min(o->count - b * NORM_BLOCK, NORM_BLOCK));
  plm_cpu_meet(run);
#pragma omp single nowait
  {
    double sum = 0.0;
    for (uint64_t b = 0; b < blocks; b++)
      sum += partial[b];
    float norm = (float)sqrt(sum), clip = 1.0f; /* squares of floats cannot overflow a double */
    if (o->norm_max > 0.0f)
      clip = fminf(1.0f, (float)((double)o->norm_max / (sqrt(sum) + 1e-6)));
    out[0] = norm;
    out[1] = isfinite(norm) ? 1.0f : 0.0f;
    out[2] = isfinite(norm) ? clip : 0.0f;
    out[3] = 0.0f;
  }
  plm_cpu_meet(run);
}
