#include "law/mse.h"

const struct plm_objective plm_mse_objective = {PLM_OBJECTIVE_SQUARE, .of_log = 0, .above = 1};

int plm_mse_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  return plm_parametric_fit(out, task, &plm_mse_objective, err);
}
