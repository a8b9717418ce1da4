/*
 * Parametric fit: absolute residuals of the loss, those of predictions above the measurement ten times as heavy: the
 * law of the best runs rather than of the mean run (asymmetric MAE, as in K. Takano's chinchilla toolkit). See
 * parametric.h.
 */
#ifndef PLM_LAW_ASYMMETRIC_H
#define PLM_LAW_ASYMMETRIC_H

#include "law/parametric.h"

extern const struct plm_objective plm_asymmetric_objective;

/* A row of the table in estimator.c. */
int plm_asymmetric_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
