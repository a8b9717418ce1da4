/*
 * What an estimator would have said of a budget it had not seen. Leave one budget out: fitted to all other budgets.
 * Rollout: fitted to the 2, 3, .. smallest budgets, the largest predicted, as it is when small studies plan a large
 * run.
 */
#ifndef PLM_LAW_HOLDOUT_H
#define PLM_LAW_HOLDOUT_H

#include "law/estimator.h"

#define PLM_HOLDOUT_BUDGETS_MIN 3

/* Adds to fit->holdouts; fit is estimator's fit to task. Budgets are those of at least two points; with fewer than 3 of
 * them nothing is added. */
int plm_holdout_run(struct plm_fit *fit, const struct plm_estimator *estimator, const struct plm_fit_task *task,
                    struct plm_error *err);

#endif
