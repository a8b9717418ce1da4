/*
 * Percentile bootstrap of an estimator (Efron 1979): points are drawn again with replacement, within their budget where
 * it has at least 3 points, the rest as one stratum, and the estimator runs on every draw. Draws are a pure function of
 * (seed, draw).
 */
#ifndef PLM_LAW_BOOTSTRAP_H
#define PLM_LAW_BOOTSTRAP_H

#include "law/estimator.h"

#define PLM_BOOTSTRAP_DRAWS_MIN 20 /* fewer fitted draws give no interval */
#define PLM_BOOTSTRAP_DRAWS_MAX 100000

/*
 * Fills a_interval, b_interval and the intervals of N_opt in *fit, which is estimator's fit to task: 2.5th to 97.5th
 * percentile of the draws that could be fitted. When fewer than half, or fewer than 20, could be, there is no interval
 * and a note says so; a note also says when some could not, and when the points are few.
 */
int plm_bootstrap_run(struct plm_fit *fit, const struct plm_estimator *estimator, const struct plm_fit_task *task,
                      size_t draws, uint64_t seed, struct plm_error *err);

/* The percentile share (0..1) of count values, ascending, by linear interpolation. */
double plm_bootstrap_percentile(const double *sorted, size_t count, double share);

#endif
