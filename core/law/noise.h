/*
 * How much the loss of a run differs from that of the same run with another seed: the standard deviation of log loss,
 * pooled over replicates (runs of one budget, one N and, within 1 %, one D and as many unique tokens). Without enough
 * replicates, from what the points scatter about the surface of vp, which has the misfit of the surface in it too: the
 * runs of at most one pass when these allow it, else all.
 *
 * Runs of one size and seed have their initial weights, their batches and, on a shared trunk, most of their steps in common, so
 * their noise is correlated across budgets. Replicates show how much: shared is the mean product of two runs' deviations over the
 * mean square, of runs of one size and seed at different budgets, between 0 and 1.
 */
#ifndef PLM_LAW_NOISE_H
#define PLM_LAW_NOISE_H

#include "law/estimator.h"

#define PLM_NOISE_FREEDOM_MIN 4

struct plm_noise {
  double sigma;       /* of the log loss of a point of weight 1; divides by the root of the weight */
  size_t freedom;     /* degrees of freedom it was estimated with; 0: not known, sigma is 0 */
  double shared;      /* correlation within a size and seed; 0 when replicates do not tell */
  const char *source; /* static: "seed replicates", "residuals of vp", "residuals of vp, runs of one pass", "nothing" */
  int has_misfit;     /* of residuals: the misfit of the surface is in it */
};

/* Numbers the points by size and seed, from 0: out has one entry for each. Returns how many there are. */
size_t plm_noise_kin(size_t *out, const struct plm_fit_task *task);

int plm_noise_estimate(struct plm_noise *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
