/* Parametric fit: the objective of Hoffmann et al. 2022: Huber's function of the residuals of log loss, delta 1e-3,
 * summed. See parametric.h. */
#ifndef PLM_LAW_HUBER_H
#define PLM_LAW_HUBER_H

#include "law/parametric.h"

extern const struct plm_objective plm_huber_objective;

/* A row of the table in estimator.c. */
int plm_huber_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
