/*
 * How much the loss of a run differs from that of the same run with another seed: the standard deviation of log loss,
 * pooled over replicates (runs of one budget, one N and, within 1 %, one D). Without enough replicates, from what the
 * points scatter about the surface of vp, which has the misfit of the surface in it too.
 */
#ifndef PLM_LAW_NOISE_H
#define PLM_LAW_NOISE_H

#include "law/estimator.h"

#define PLM_NOISE_FREEDOM_MIN 4

struct plm_noise {
  double sigma;       /* of the log loss of a point of weight 1; divides by the root of the weight */
  size_t freedom;     /* degrees of freedom it was estimated with; 0: not known, sigma is 0 */
  const char *source; /* static: "seed replicates", "residuals of vp", "nothing" */
};

int plm_noise_estimate(struct plm_noise *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
