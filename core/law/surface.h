/*
 * What the estimators of L(N, D) = E + A/N^alpha + B/D^beta have in common (Hoffmann et al. 2022, approach 3): which
 * points determine a surface, and its optimum. With C = k N^q D (6 N D: k = 6, q = 1) that is closed:
 * N_opt^(alpha + q beta) = alpha A/(q beta B) (C/k)^beta, hence a = beta/(alpha + q beta), b = alpha/(alpha + q beta).
 */
#ifndef PLM_LAW_SURFACE_H
#define PLM_LAW_SURFACE_H

#include "law/estimator.h"

#define PLM_SURFACE_POINTS_MIN 6
#define PLM_SURFACE_EXPONENT_MIN 0.01 /* alpha and beta outside are noted; vp does not search there */
#define PLM_SURFACE_EXPONENT_MAX 2.0

double plm_surface_loss(const struct plm_surface *surface, double params, double tokens);

/* PLM_E_UNSUPPORTED for fewer than 6 points, 3 sizes or 3 token counts. */
int plm_surface_points_check(const struct plm_fit_task *task, struct plm_error *err);

/*
 * Puts a surface that was found into *out: parameters, exponents, optima, points, and notes on what the points do not
 * determine. PLM_E_UNSUPPORTED when it does not fall with N or with D, and so has no optimum.
 */
int plm_surface_accept(struct plm_fit *out, const struct plm_surface *surface, const struct plm_fit_task *task,
                       struct plm_error *err);

/* The optimum of the surface at out->compute. */
void plm_surface_optimum(struct plm_optimum *out, const struct plm_surface *surface, const struct plm_cost *cost);

/* The compute whose best model has that size, and that loss; the latter is INFINITY where the surface never falls so low. */
double plm_surface_compute_of_params(const struct plm_surface *surface, const struct plm_cost *cost, double params);
double plm_surface_compute_of_loss(const struct plm_surface *surface, const struct plm_cost *cost, double loss);

#endif
