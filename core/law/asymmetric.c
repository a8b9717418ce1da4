#include "law/asymmetric.h"

const struct plm_objective plm_asymmetric_objective = {PLM_OBJECTIVE_ABSOLUTE, .of_log = 0, .above = 10};

int plm_asymmetric_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  return plm_parametric_fit(out, task, &plm_asymmetric_objective, err);
}
