#include "law/asymmetric.h"

const struct plm_objective plm_asymmetric_objective = {PLM_OBJECTIVE_ABSOLUTE, .of_log = 0, .above = 10};

int plm_asymmetric_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  int code = plm_parametric_fit(out, task, &plm_asymmetric_objective, err);
  return code ? code
              : plm_notes_add(&out->notes, err,
                              "its loss is that of the best runs, by design, and so is the interval of it: the mean of runs is "
                              "higher");
}
