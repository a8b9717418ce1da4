/*
 * The parametric law of Hoffmann et al. 2022, approach 3, by variable projection (Golub and Pereyra 1973; for this law:
 * Czech 2026). At fixed (alpha, beta) the law is linear, so E, A, B >= 0 come from non-negative least squares, and the
 * search is left with two dimensions: a grid of 32 x 32 over 0.01 to 2, evenly spaced in the logarithm, then Newton's
 * method from the best local minima of the grid, and a simplex where that stops short (E or A or B at 0, where the
 * curvature jumps). Minimises the weighted sum of squared residuals of the loss. Deterministic.
 */
#ifndef PLM_LAW_VP_H
#define PLM_LAW_VP_H

#include "law/surface.h"

/* A row of the table in estimator.c. Refuses fewer than 6 points, 3 sizes or 3 token counts, and a best surface without
 * a size or data term, which has no optimum. */
int plm_vp_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
