#include "law/lad.h"

const struct plm_objective plm_lad_objective = {PLM_OBJECTIVE_ABSOLUTE, .of_log = 1, .above = 1};

int plm_lad_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  return plm_parametric_fit(out, task, &plm_lad_objective, err);
}
