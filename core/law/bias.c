#include "law/bias.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "law/surface.h"

#define WITHOUT_INTERVAL 0.05

/* How far ln N_opt may be off before it matters. */
static double tolerance(const struct plm_optimum *o) {
  if (!o->params_interval.known)
    return log1p(WITHOUT_INTERVAL);
  return PLM_BIAS_SHARE * 0.5 * log(o->params_interval.high / o->params_interval.low);
}

static int worst_note(struct plm_fit *fit, const struct plm_fit *clean, const struct plm_surface *surface,
                      const struct plm_cost *cost, struct plm_error *err) {
  double worst = 1, bias = 0, compute = 0;
  for (size_t i = 0; i < clean->optimum_count; i++) {
    struct plm_optimum truth = {.compute = clean->optimum[i].compute};
    plm_surface_optimum(&truth, surface, cost);
    if (!clean->optimum[i].known || !fit->optimum[i].known)
      continue;
    double off = log(clean->optimum[i].params / truth.params), share = fabs(off) / fmax(tolerance(&fit->optimum[i]), 1e-9);
    if (share <= worst || fabs(off) < 1e-3)
      continue;
    worst = share;
    bias = off;
    compute = truth.compute;
  }
  if (compute == 0)
    return 0;
  return plm_notes_add(&fit->notes, err,
                       "on vp's surface, without any noise, these sizes give an N_opt %.2g %% too %s at %.6g FLOP: a bias of the "
                       "estimator, which its interval does not have",
                       100 * fabs(expm1(bias)), bias < 0 ? "low" : "high", compute);
}

int plm_bias_note(struct plm_fit *fit, const struct plm_estimator *estimator, const struct plm_surface *surface,
                  const struct plm_fit_task *task, struct plm_error *err) {
  struct plm_fit_task clean_task = *task;
  struct plm_fit clean = {0};
  struct plm_error refused = PLM_ERROR_INIT;
  struct plm_point *points = plm_memory_zeroed(task->count, sizeof *points);
  if (!points)
    return plm_error_memory(err, "the bias of an estimator");
  for (size_t i = 0; i < task->count; i++) {
    points[i] = task->points[i];
    points[i].loss = plm_surface_loss(surface, points[i].params, points[i].tokens);
  }
  clean_task.points = points;
  int code = plm_fit_init(&clean, estimator->name, &clean_task, err);
  if (!code) {
    code = plm_estimator_fit(estimator, &clean, &clean_task, &refused);
    if (!code)
      code = worst_note(fit, &clean, surface, &task->cost, err);
    else if (code != PLM_E_UNSUPPORTED && err)
      *err = refused;
    code = code == PLM_E_UNSUPPORTED ? 0 : code;
    plm_fit_fini(&clean);
  }
  free(points);
  return code;
}
