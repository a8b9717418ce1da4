/*
 * How far a model (N, D) is from the best one of its compute, by a surface. The deadweight (Czech 2026) is the share of
 * its compute that the best model would not need for the same loss: the optimum's reducible loss goes as C^-(alpha
 * beta/(alpha + q beta)), so C_same = C ((L - E)/(L_opt - E))^-((alpha + q beta)/(alpha beta)).
 */
#ifndef PLM_LAW_AUDIT_H
#define PLM_LAW_AUDIT_H

#include "law/law_file.h"

#define PLM_AUDIT_NEAR 1.25 /* N within this factor of N_opt is near the frontier */

struct plm_audit {
  double compute;        /* of (N, D) by the law's cost */
  double loss;           /* predicted */
  double params, tokens; /* N_opt, D_opt at that compute */
  double loss_best;      /* predicted there */
  double compute_same;   /* at which the best model has the same loss */
  double deadweight;     /* 1 - compute_same/compute */
  double beyond;         /* C, N or D over the largest measured, whichever is most; above 1 is extrapolation */
};

void plm_audit_model(struct plm_audit *out, const struct plm_law_file *law, double params, double tokens);

/* "over-trained" (smaller than N_opt, on more tokens), "under-trained", "near the frontier". */
const char *plm_audit_verdict(const struct plm_audit *audit, double params);

#endif
