/* Parametric fit: least absolute deviation of log loss, what the published replication of Besiroglu et al. 2024 amounts
 * to. See parametric.h. */
#ifndef PLM_LAW_LAD_H
#define PLM_LAW_LAD_H

#include "law/parametric.h"

extern const struct plm_objective plm_lad_objective;

/* A row of the table in estimator.c. */
int plm_lad_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
