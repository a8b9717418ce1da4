/* Layer normalisation and its gradient. Sums over a row are in double: a row is short, and its mean may cancel. */
#include <math.h>

#include "cblas_ops.h"

int run_layer_norm(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_layer_norm *p = &op->u.layer_norm;
  const uint64_t rows = p->rows.count, D = p->width;
  const float *x = f32(&p->x), *gamma = f32(&p->gamma), *beta = f32(&p->beta);
  float *y = f32(&p->y), *mean = f32(&p->mean), *rstd = f32(&p->rstd);
  (void)err;
  for (uint64_t r = 0; r < rows; r++, x += D, y += D) {
    double sum = 0, squares = 0;
    for (uint64_t d = 0; d < D; d++)
      sum += x[d];
    const double average = sum / (double)D;
    for (uint64_t d = 0; d < D; d++)
      squares += (x[d] - average) * (x[d] - average);
    const double scale = 1 / sqrt(squares / (double)D + p->epsilon);
    for (uint64_t d = 0; d < D; d++)
      y[d] = (float)((x[d] - average) * scale * gamma[d] + beta[d]);
    mean[r] = (float)average;
    rstd[r] = (float)scale;
  }
  return PLM_OK;
}

int run_layer_norm_grad(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_layer_norm_grad *p = &op->u.layer_norm_grad;
  const uint64_t rows = p->rows.count, D = p->width;
  const int accumulate = (op->flags & PLM_FLAG_ACCUMULATE) != 0;
  const float *dy = f32(&p->dy), *x = f32(&p->x), *gamma = f32(&p->gamma);
  const float *mean = f32(&p->mean), *rstd = f32(&p->rstd);
  float *dx = f32(&p->dx), *dgamma = f32(&p->dgamma), *dbeta = f32(&p->dbeta);
  (void)err;
  for (uint64_t r = 0; r < rows; r++, dy += D, x += D, dx += D) {
    const double m = mean[r], s = rstd[r];
    double g_sum = 0, gn_sum = 0;
    for (uint64_t d = 0; d < D; d++) {
      const double g = (double)dy[d] * gamma[d], n = (x[d] - m) * s;
      g_sum += g;
      gn_sum += g * n;
      dgamma[d] += (float)(dy[d] * n);
      dbeta[d] += dy[d];
    }
    for (uint64_t d = 0; d < D; d++) {
      const double g = (double)dy[d] * gamma[d], n = (x[d] - m) * s;
      const double slope = s * (g - g_sum / (double)D - n * gn_sum / (double)D);
      dx[d] = (float)(accumulate ? dx[d] + slope : slope);
    }
  }
  return PLM_OK;
}
