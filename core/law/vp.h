/*
 * The parametric law of Hoffmann et al. 2022, approach 3, L(N, D) = E + A/N^alpha + B/D^beta, by variable projection
 * (Golub and Pereyra 1973; for this law: Czech 2026). At fixed (alpha, beta) the law is linear, so E, A, B >= 0 come
 * from non-negative least squares, and the search is left with two dimensions: a grid of 32 x 32 over 0.01 to 2, evenly
 * spaced in the logarithm, then a simplex from the best local minima of the grid. Minimises the weighted sum of squared
 * residuals of the loss. Deterministic.
 *
 * With C = k N^q D (6 N D: k = 6, q = 1) the optimum is closed: N_opt^(alpha + q beta) = alpha A/(q beta B) (C/k)^beta,
 * hence a = beta/(alpha + q beta), b = alpha/(alpha + q beta).
 */
#ifndef PLM_LAW_VP_H
#define PLM_LAW_VP_H

#include "law/estimator.h"

#define PLM_VP_POINTS_MIN 6
#define PLM_VP_EXPONENT_MIN 0.01
#define PLM_VP_EXPONENT_MAX 2.0

/* A row of the table in estimator.c. Refuses fewer than 6 points, 3 sizes or 3 token counts, equal losses, and a best
 * surface with A = 0 or B = 0, which has no optimum. */
int plm_vp_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

/* The optimum of the surface in fit at out->compute. */
void plm_surface_optimum(struct plm_optimum *out, const struct plm_fit *fit, const struct plm_cost *cost);

#endif
