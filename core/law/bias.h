/* What an estimator of IsoFLOP profiles gets wrong by its own form: no interval has it, every draw repeats it. */
#ifndef PLM_LAW_BIAS_H
#define PLM_LAW_BIAS_H

#include "law/estimator.h"

#define PLM_BIAS_SHARE 0.3 /* of half an interval: 95 % become about 91 % */

/*
 * Runs estimator once more on the points moved onto the surface, without noise, and compares its N_opt with the surface's own.
 * Adds a note to *fit, which is estimator's fit to the task, for the budget where the two are furthest apart, when that is
 * more than PLM_BIAS_SHARE of half the interval of N_opt there, or, without an interval, more than 5 %. What the points on the
 * surface do not allow is not noted.
 */
int plm_bias_note(struct plm_fit *fit, const struct plm_estimator *estimator, const struct plm_surface *surface,
                  const struct plm_fit_task *task, struct plm_error *err);

#endif
