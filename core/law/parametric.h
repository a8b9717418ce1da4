/*
 * L(N, D) = E + A/N^alpha + B/D^beta by direct search in five dimensions, as Hoffmann et al. 2022 did it in approach 3,
 * for objectives that variable projection cannot take: residuals of log loss, Huber's, absolute, asymmetric.
 *
 * ln L = LSE(a - alpha ln N, b - beta ln D, e) with A = exp a, B = exp b, E = exp e. Starts: their full grid of 4,500,
 * alpha, beta in {0, .5, 1, 1.5, 2}, e in {-1, -.5, 0, .5, 1}, a, b in {0, 5, .. 25}. From each L-BFGS (libLBFGS) goes
 * down a scaled objective; unscaled, its gradient is small enough to stop at once, which is what happened to the
 * published fit. N and D are in units of their geometric means. What the starts found is finished by Newton's method
 * with exact second derivatives, so that minima can be told apart, and all that differ in what they predict at the
 * points are kept as basins.
 *
 * Objectives with corners (absolute values) are rounded off within mu of zero, mu falling from 1e-3 to 1e-12.
 *
 * A draw or a part of the points (task->from) starts from the basins of the fit to all points.
 */
#ifndef PLM_LAW_PARAMETRIC_H
#define PLM_LAW_PARAMETRIC_H

#include "law/surface.h"

#define PLM_PARAMETRIC_STARTS 4500
#define PLM_PARAMETRIC_BASINS 16 /* kept */

enum plm_objective_shape {
  PLM_OBJECTIVE_HUBER,    /* r^2/2 within delta of 0, delta (|r| - delta/2) beyond */
  PLM_OBJECTIVE_ABSOLUTE, /* |r| */
  PLM_OBJECTIVE_SQUARE    /* r^2 */
};

/* The weighted sum over the points of shape(r), r = predicted less measured. */
struct plm_objective {
  enum plm_objective_shape shape;
  int of_log;   /* r is of the logarithm of the loss, else of the loss */
  double delta; /* Huber's */
  double above; /* factor where the prediction is above the measurement: 1, or an asymmetric objective's */
};

/* The objective of a surface at the points of a task. */
double plm_objective_value(const struct plm_objective *objective, const struct plm_surface *surface,
                           const struct plm_fit_task *task);

/* The whole estimator with that objective. */
int plm_parametric_fit(struct plm_fit *out, const struct plm_fit_task *task, const struct plm_objective *objective,
                       struct plm_error *err);

#endif
