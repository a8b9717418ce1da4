/*
 * The loss of the best model as a power of compute, L = E + A C^-gamma, and without its asymptote, L = A C^-gamma, by
 * least squares of the loss (E, A >= 0 linear at fixed gamma; gamma from a grid over 0.001 to 2 and a simplex). Fitted
 * to the minima of the IsoFLOP parabolas (parabola.h); where no two points share a budget, to the points, taken as the
 * best of their budgets. N_opt is the line through log N of the same minima.
 *
 * Refused: fewer than 3 minima. With exactly 3 only the law without an asymptote is fitted.
 */
#ifndef PLM_LAW_POWER_H
#define PLM_LAW_POWER_H

#include "law/estimator.h"

/* L = E + A (C / unit)^-gamma. */
struct plm_power_law {
  double E, A, gamma, objective;
};

/* Fits to count values; asymptote 0: E is 0. work: 6 count values. */
void plm_power_law_fit(struct plm_power_law *out, const double *compute, const double *loss, size_t count,
                       int asymptote, double *work);

/* A row of the table in estimator.c. */
int plm_power_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
