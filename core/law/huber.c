#include "law/huber.h"

const struct plm_objective plm_huber_objective = {PLM_OBJECTIVE_HUBER, .of_log = 1, .delta = 1e-3, .above = 1};

int plm_huber_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  return plm_parametric_fit(out, task, &plm_huber_objective, err);
}
