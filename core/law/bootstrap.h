/*
 * Percentile bootstrap of an estimator (Efron 1979). A draw is a pure function of (seed, draw), so the result does not
 * depend on threads.
 *
 * PLM_RESAMPLE_CELLS: points are drawn again with replacement, within their budget where it has at least 3 points, the
 * rest as one stratum. Drawing n points from n shows only (n - 1)/n of their variance, much of it missing at five
 * points a budget; each copy therefore gets noise of variance sigma^2/n, which puts it back (the smoothed bootstrap of
 * Silverman and Young 1987, with the noise model for its kernel).
 * PLM_RESAMPLE_NOISE: every point stays and gets noise of variance sigma^2 (Porian et al. 2024): an IsoFLOP profile
 * that lost a size in the draw is another profile. A curve moves as a whole. Where no noise is known the points are
 * drawn as they are.
 * PLM_RESAMPLE_FITTED: every point is moved onto the fitted surface, times the mean ratio of the points to it, and gets
 * noise (the parametric bootstrap) of variance sigma^2, or, where that is of replicates, of the points' own scatter about
 * it when it is larger: it has the misfit in it. A surface of absolute residuals passes through as many points as it has
 * parameters; of points drawn again, of which a third are copies, it makes intervals that are wider than they should be.
 * Where no noise is known, as above.
 *
 * The part of the noise that runs of one size and seed share (noise.h) is drawn once for all of them: in place of as much of
 * each one's own where every point stays, on top of it where cells are drawn, which takes them for independent.
 */
#ifndef PLM_LAW_BOOTSTRAP_H
#define PLM_LAW_BOOTSTRAP_H

#include "law/estimator.h"
#include "law/noise.h"

#define PLM_BOOTSTRAP_DRAWS_MIN 20 /* fewer fitted draws give no interval */
#define PLM_BOOTSTRAP_DRAWS_MAX 100000

struct plm_bootstrap {
  size_t draws;
  uint64_t seed;
  struct plm_noise noise; /* freedom 0: not known */
};

/*
 * Fills the intervals of a, b, the parameters and the optima in *fit, which is estimator's fit to task: 2.5th to 97.5th
 * percentile of the draws that could be fitted. When fewer than half, or fewer than 20, could be, there is no interval
 * and a note says so; a note also says when some could not, and when the points are few.
 */
int plm_bootstrap_run(struct plm_fit *fit, const struct plm_estimator *estimator, const struct plm_fit_task *task,
                      const struct plm_bootstrap *bootstrap, struct plm_error *err);

/* The percentile share (0..1) of count values, ascending, by linear interpolation. */
double plm_bootstrap_percentile(const double *sorted, size_t count, double share);

#endif
