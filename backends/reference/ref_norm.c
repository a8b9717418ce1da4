/* Layer normalisation (Ba, Kiros and Hinton 2016) and its gradient. */
#include "reference.h"

int ref_layer_norm(struct ref_call *call) {
  const struct plm_op_layer_norm *p = &call->op->u.layer_norm;
  const uint32_t rows = p->rows.count, D = p->width;
  const float *x = ref_f32(call, &p->x, "x", REF_READ, rows, D);
  const float *gamma = ref_f32(call, &p->gamma, "gamma", REF_READ, 1, D);
  const float *beta = ref_f32(call, &p->beta, "beta", REF_READ, 1, D);
  float *y = ref_f32(call, &p->y, "y", REF_WRITE, rows, D);
  float *mean = ref_f32(call, &p->mean, "mean", REF_WRITE, rows, 1);
  float *rstd = ref_f32(call, &p->rstd, "rstd", REF_WRITE, rows, 1);
  if (ref_check(call))
    return call->code;
  for (uint64_t r = 0; r < rows; r++) {
    double average = 0, variance = 0;
    for (uint64_t d = 0; d < D; d++)
      average += x[r * D + d];
    average /= D;
    for (uint64_t d = 0; d < D; d++)
      variance += (x[r * D + d] - average) * (x[r * D + d] - average);
    variance /= D;
    const double scale = 1 / sqrt(variance + (double)p->epsilon);
    for (uint64_t d = 0; d < D; d++)
      y[r * D + d] = (float)((x[r * D + d] - average) * scale * gamma[d] + beta[d]);
    mean[r] = (float)average;
    rstd[r] = (float)scale;
  }
  return PLM_OK;
}

/* The gradient of one row's input, added to or stored in dx. */
static void row_grad(float *dx, const float *dy, const float *x, const float *gamma, double mean, double rstd,
                     uint64_t D, int accumulate) {
  double g_average = 0, gn_average = 0;
  for (uint64_t d = 0; d < D; d++) {
    const double g = (double)dy[d] * gamma[d], n = (x[d] - mean) * rstd;
    g_average += g / (double)D;
    gn_average += g * n / (double)D;
  }
  for (uint64_t d = 0; d < D; d++) {
    const double g = (double)dy[d] * gamma[d], n = (x[d] - mean) * rstd;
    dx[d] = (float)((accumulate ? dx[d] : 0.0) + rstd * (g - g_average - n * gn_average));
  }
}

int ref_layer_norm_grad(struct ref_call *call) {
  const struct plm_op_layer_norm_grad *p = &call->op->u.layer_norm_grad;
  const uint32_t rows = p->rows.count, D = p->width;
  const int accumulate = (call->op->flags & PLM_FLAG_ACCUMULATE) != 0;
  const float *dy = ref_f32(call, &p->dy, "dy", REF_READ, rows, D);
  const float *x = ref_f32(call, &p->x, "x", REF_READ, rows, D);
  const float *gamma = ref_f32(call, &p->gamma, "gamma", REF_READ, 1, D);
  const float *mean = ref_f32(call, &p->mean, "mean", REF_READ, rows, 1);
  const float *rstd = ref_f32(call, &p->rstd, "rstd", REF_READ, rows, 1);
  float *dx = ref_f32(call, &p->dx, "dx", REF_WRITE, rows, D);
  float *dgamma = ref_f32(call, &p->dgamma, "dgamma", REF_WRITE, 1, D);
  float *dbeta = ref_f32(call, &p->dbeta, "dbeta", REF_WRITE, 1, D);
  if (ref_check(call))
    return call->code;
  for (uint64_t r = 0; r < rows; r++)
    row_grad(dx + r * D, dy + r * D, x + r * D, gamma, mean[r], rstd[r], D, accumulate);
  for (uint64_t d = 0; d < D; d++) {
    double gamma_sum = 0, beta_sum = 0;
    for (uint64_t r = 0; r < rows; r++) {
      gamma_sum += dy[r * D + d] * (((double)x[r * D + d] - mean[r]) * rstd[r]);
      beta_sum += dy[r * D + d];
    }
    dgamma[d] = (float)(dgamma[d] + gamma_sum);
    dbeta[d] = (float)(dbeta[d] + beta_sum);
  }
  return PLM_OK;
}
