/* Parametric fit: squared residuals of the loss: the objective of vp, by the other road. See parametric.h. */
#ifndef PLM_LAW_MSE_H
#define PLM_LAW_MSE_H

#include "law/parametric.h"

extern const struct plm_objective plm_mse_objective;

/* A row of the table in estimator.c. */
int plm_mse_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
