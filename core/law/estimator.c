#include "law/estimator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "law/parabola.h"
#include "law/vp.h"

static const struct plm_estimator ESTIMATORS[] = {
    {"parabola", "IsoFLOP parabolas of the loss in log N, one a budget", plm_parabola_fit},
    {"vp", "L = E + A/N^alpha + B/D^beta by variable projection", plm_vp_fit},
};

const struct plm_estimator *plm_estimators(size_t *count) {
  *count = sizeof ESTIMATORS / sizeof *ESTIMATORS;
  return ESTIMATORS;
}

int plm_fit_init(struct plm_fit *out, const char *estimator, const struct plm_fit_task *task, struct plm_error *err) {
  struct plm_optimum *optimum = plm_memory_zeroed(task->compute_count, sizeof *optimum);
  if (!optimum)
    return plm_error_memory(err, "the optima of a fit");
  for (size_t i = 0; i < task->compute_count; i++)
    optimum[i] = (struct plm_optimum){
        .compute = task->compute[i], .loss = (double)NAN, .params_low = (double)NAN, .params_high = (double)NAN};
  *out = (struct plm_fit){.estimator = estimator, .optimum = optimum, .optimum_count = task->compute_count};
  return 0;
}

void plm_fit_fini(struct plm_fit *fit) {
  free(fit->optimum);
  free(fit->refused);
  plm_notes_fini(&fit->notes);
  *fit = (struct plm_fit){0};
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
