#include "law/objective.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define N PLM_OBJECTIVE_UNKNOWNS

int plm_objective_data_create(struct plm_objective_data *out, const struct plm_objective *objective,
                              const struct plm_fit_task *task, struct plm_error *err) {
  size_t n = task->count;
  double *all = plm_memory_zeroed(n, 5 * sizeof *all);
  if (!all)
    return plm_error_memory(err, "the parametric fit");
  struct plm_objective_data data = {*objective, n, all, all + n, all + 2 * n, all + 3 * n, all + 4 * n, 0, 0};
  for (size_t i = 0; i < n; i++) {
    const struct plm_point *p = &task->points[i];
    data.ln_n[i] = log(p->params);
    data.ln_d[i] = log(p->tokens);
    data.ln_loss[i] = log(p->loss);
    data.loss[i] = p->loss;
    data.weight[i] = p->weight;
    data.mean_n += data.ln_n[i] / (double)n;
    data.mean_d += data.ln_d[i] / (double)n;
  }
  for (size_t i = 0; i < n; i++) {
    data.ln_n[i] -= data.mean_n;
    data.ln_d[i] -= data.mean_d;
  }
  *out = data;
  return 0;
}

void plm_objective_data_destroy(struct plm_objective_data *data) { free(data->ln_n); }

/* shape(r) and its derivatives. */
struct shaped {
  double value, slope, curvature;
};

static struct shaped shape(const struct plm_objective *objective, double r, double mu) {
  double factor = r > 0 ? objective->above : 1, size = fabs(r);
  struct shaped s;
  if (objective->shape == PLM_OBJECTIVE_SQUARE) {
    s = (struct shaped){r * r, 2 * r, 2};
  } else {
    double within = objective->shape == PLM_OBJECTIVE_HUBER ? objective->delta : mu;
    if (size <= within && within > 0)
      s = (struct shaped){0.5 * r * r / within, r / within, 1 / within};
    else
      s = (struct shaped){size - 0.5 * within, copysign(1, r), 0};
    if (objective->shape == PLM_OBJECTIVE_HUBER)
      factor *= objective->delta;
  }
  s.value *= factor;
  s.slope *= factor;
  s.curvature *= factor;
  return s;
}

/* The three terms' logarithms, their shares of the sum into share; returns ln L. */
static double terms(double share[3], const double *x, double ln_n, double ln_d) {
  double t[3] = {x[0], x[1] - x[3] * ln_n, x[2] - x[4] * ln_d};
  double largest = fmax(t[0], fmax(t[1], t[2])), sum = 0;
  for (int k = 0; k < 3; k++)
    sum += share[k] = exp(t[k] - largest);
  for (int k = 0; k < 3; k++)
    share[k] /= sum;
  return largest + log(sum);
}

/* Adds slope * Hessian of r + curvature * gradient of r squared; g: gradient of ln L; scale: of r against ln L. */
static void hessian_add(double *h, const double *g, const double share[3], double ln_n, double ln_d, double scale,
                        int of_log, struct shaped s) {
  double outer = s.curvature * scale * scale - (of_log ? s.slope : 0), inner = s.slope * scale;
  for (int i = 0; i < N; i++)
    for (int j = 0; j <= i; j++)
      h[i * N + j] += outer * g[i] * g[j];
  h[0] += inner * share[0];
  h[1 * N + 1] += inner * share[1];
  h[2 * N + 2] += inner * share[2];
  h[3 * N + 1] -= inner * share[1] * ln_n;
  h[3 * N + 3] += inner * share[1] * ln_n * ln_n;
  h[4 * N + 2] -= inner * share[2] * ln_d;
  h[4 * N + 4] += inner * share[2] * ln_d * ln_d;
}

double plm_objective_evaluate(double *gradient, double *hessian, const double *x, const struct plm_objective_data *data,
                              double mu) {
  int of_log = data->objective.of_log;
  double sum = 0;
  if (gradient)
    memset(gradient, 0, N * sizeof *gradient);
  if (hessian)
    memset(hessian, 0, N * N * sizeof *hessian);
  for (size_t i = 0; i < data->rows; i++) {
    double share[3], ln_loss = terms(share, x, data->ln_n[i], data->ln_d[i]);
    double scale = of_log ? 1 : exp(ln_loss);
    struct shaped s = shape(&data->objective, of_log ? ln_loss - data->ln_loss[i] : scale - data->loss[i], mu);
    s.slope *= data->weight[i];
    s.curvature *= data->weight[i];
    sum += data->weight[i] * s.value;
    if (!gradient)
      continue;
    const double g[N] = {share[0], share[1], share[2], -share[1] * data->ln_n[i], -share[2] * data->ln_d[i]};
    for (int k = 0; k < N; k++)
      gradient[k] += s.slope * scale * g[k];
    if (hessian)
      hessian_add(hessian, g, share, data->ln_n[i], data->ln_d[i], scale, of_log, s);
  }
  return isnan(sum) ? INFINITY : sum;
}

void plm_objective_predict(double *out, const double *x, const struct plm_objective_data *data) {
  double share[3];
  for (size_t i = 0; i < data->rows; i++)
    out[i] = terms(share, x, data->ln_n[i], data->ln_d[i]);
}

struct plm_surface plm_objective_surface(const double *x, const struct plm_objective_data *data) {
  return (struct plm_surface){x[0] <= PLM_OBJECTIVE_LN_E_MIN ? 0 : exp(x[0]), exp(x[1] + x[3] * data->mean_n),
                              exp(x[2] + x[4] * data->mean_d), x[3], x[4]};
}

void plm_objective_unknowns(double *x, const struct plm_surface *s, const struct plm_objective_data *data) {
  x[0] = fmax(log(s->E), PLM_OBJECTIVE_LN_E_MIN);
  x[1] = log(s->A) - s->alpha * data->mean_n;
  x[2] = log(s->B) - s->beta * data->mean_d;
  x[3] = s->alpha;
  x[4] = s->beta;
}

double plm_objective_value(const struct plm_objective *objective, const struct plm_surface *surface,
                           const struct plm_fit_task *task) {
  double sum = 0;
  for (size_t i = 0; i < task->count; i++) {
    const struct plm_point *p = &task->points[i];
    double loss = plm_surface_loss(surface, p->params, p->tokens);
    double r = objective->of_log ? log(loss) - log(p->loss) : loss - p->loss;
    sum += p->weight * shape(objective, r, 0).value;
  }
  return sum;
}
