#include "law/estimator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "law/akima.h"
#include "law/asymmetric.h"
#include "law/envelope.h"
#include "law/huber.h"
#include "law/lad.h"
#include "law/mse.h"
#include "law/parabola.h"
#include "law/power.h"
#include "law/repeat.h"
#include "law/vp.h"

#define SAME 1e-9 /* values this close, as a share, are one */

static const struct plm_estimator ESTIMATORS[] = {
    {"envelope", "the lowest learning curve at each compute", "sum of squared residuals of log N", PLM_RESAMPLE_NOISE,
     plm_envelope_fit, 0},
    {"parabola", "IsoFLOP parabolas of the loss in log N, one a budget", "sum of squared residuals of the loss",
     PLM_RESAMPLE_NOISE, plm_parabola_fit, 1},
    {"akima", "IsoFLOP minima by Akima interpolation of log loss over log N",
     "none: an interpolation passes through its points", PLM_RESAMPLE_NOISE, plm_akima_fit, 1},
    {"huber", "E + A/N^alpha + B/D^beta, Huber's objective of log loss",
     "sum of Huber's function, delta 1e-3, of log loss", PLM_RESAMPLE_CELLS, plm_huber_fit, 0},
    {"lad", "E + A/N^alpha + B/D^beta, least absolute deviation of log loss", "sum of absolute residuals of log loss",
     PLM_RESAMPLE_FITTED, plm_lad_fit, 0},
    {"mse", "E + A/N^alpha + B/D^beta, least squares from 4,500 starts", "sum of squared residuals of the loss",
     PLM_RESAMPLE_CELLS, plm_mse_fit, 0},
    {"asymmetric", "E + A/N^alpha + B/D^beta, predictions above weigh ten times",
     "sum of absolute residuals of the loss, times 10 where the prediction is above", PLM_RESAMPLE_FITTED,
     plm_asymmetric_fit, 0},
    {"vp", "L = E + A/N^alpha + B/D^beta by variable projection", "sum of squared residuals of the loss",
     PLM_RESAMPLE_CELLS, plm_vp_fit, 0},
    {"power", "the loss of the best model as E + A/C^gamma", "sum of squared residuals of the loss of the minima",
     PLM_RESAMPLE_NOISE, plm_power_fit, 1},
    {"repeat", "as vp, and repeated tokens and excess size fade", "sum of squared residuals of the loss",
     PLM_RESAMPLE_CELLS, plm_repeat_fit, 0},
};

const struct plm_estimator *plm_estimators(size_t *count) {
  *count = sizeof ESTIMATORS / sizeof *ESTIMATORS;
  return ESTIMATORS;
}

const struct plm_estimator *plm_estimator_find(const char *name) {
  for (size_t i = 0; i < sizeof ESTIMATORS / sizeof *ESTIMATORS; i++)
    if (!strcmp(ESTIMATORS[i].name, name))
      return &ESTIMATORS[i];
  return NULL;
}

static int task_check(const struct plm_fit_task *task, struct plm_error *err) {
  struct plm_error inner = PLM_ERROR_INIT;
  for (size_t i = 0; i < task->count; i++)
    if (plm_point_check(&task->points[i], &inner))
      return plm_error_set(err, PLM_E_UNSUPPORTED, "%s", inner.text);
  if (task->count < 3)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "%zu point%s; no law can be had from fewer than 3", task->count,
                         task->count == 1 ? "" : "s");
  double loss[2] = {INFINITY, 0}, params[2] = {INFINITY, 0};
  for (size_t i = 0; i < task->count; i++) {
    const struct plm_point *p = &task->points[i];
    loss[0] = fmin(loss[0], p->loss);
    loss[1] = fmax(loss[1], p->loss);
    params[0] = fmin(params[0], p->params);
    params[1] = fmax(params[1], p->params);
  }
  if (loss[1] - loss[0] <= SAME * loss[0])
    return plm_error_set(err, PLM_E_UNSUPPORTED, "all losses are equal (%.6g): nothing depends on N or D", loss[0]);
  if (params[1] - params[0] <= SAME * params[0])
    return plm_error_set(err, PLM_E_UNSUPPORTED, "1 model size (%.6g parameters): there is nothing to compare it with",
                         params[0]);
  return 0;
}

int plm_estimator_fit(const struct plm_estimator *estimator, struct plm_fit *out, const struct plm_fit_task *task,
                      struct plm_error *err) {
  int code = task_check(task, err);
  return code ? code : estimator->fit(out, task, err);
}

int plm_fit_init(struct plm_fit *out, const char *estimator, const struct plm_fit_task *task, struct plm_error *err) {
  struct plm_optimum *optimum = plm_memory_zeroed(task->compute_count, sizeof *optimum);
  if (!optimum)
    return plm_error_memory(err, "the optima of a fit");
  for (size_t i = 0; i < task->compute_count; i++)
    optimum[i] = (struct plm_optimum){.compute = task->compute[i], .loss = (double)NAN};
  *out = (struct plm_fit){.estimator = estimator, .optimum = optimum, .optimum_count = task->compute_count,
                         .misfit = (double)NAN};
  return 0;
}

void plm_fit_fini(struct plm_fit *fit) {
  free(fit->optimum);
  free(fit->refused);
  free(fit->left_out);
  free(fit->basins);
  free(fit->holdouts);
  plm_notes_fini(&fit->notes);
  *fit = (struct plm_fit){0};
}

void plm_fit_parameter(struct plm_fit *fit, const char *name, double value) {
  if (fit->param_count < PLM_FIT_PARAMETERS)
    fit->params[fit->param_count++] = (struct plm_parameter){.name = name, .value = value};
}

int plm_fit_refuse(struct plm_fit *fit, double budget, const char *reason, struct plm_error *err) {
  void *rows = fit->refused;
  if (plm_memory_grow(&rows, &fit->refused_capacity, fit->refused_count + 1, sizeof *fit->refused))
    return plm_error_memory(err, "the refused budgets of a fit");
  fit->refused = rows;
  struct plm_refusal *row = &fit->refused[fit->refused_count++];
  row->budget = budget;
  snprintf(row->reason, sizeof row->reason, "%s", reason);
  return 0;
}

int plm_fit_leave_out(struct plm_fit *fit, const struct plm_point *points, size_t count, const char *rule,
                      struct plm_error *err) {
  void *rows = fit->left_out;
  if (plm_memory_grow(&rows, &fit->left_out_capacity, fit->left_out_count + count, sizeof *fit->left_out))
    return plm_error_memory(err, "the points a fit does not use");
  fit->left_out = rows;
  for (size_t i = 0; i < count; i++) {
    struct plm_point_left_out *row = &fit->left_out[fit->left_out_count++];
    snprintf(row->label, sizeof row->label, "%s", points[i].label);
    snprintf(row->rule, sizeof row->rule, "%s", rule);
  }
  return 0;
}
