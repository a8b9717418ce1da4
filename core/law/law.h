/* The laws of one set of points: every estimator that was asked for, with intervals, side by side. */
#ifndef PLM_LAW_LAW_H
#define PLM_LAW_LAW_H

#include <jansson.h>

#include "law/estimator.h"
#include "law/noise.h"

#define PLM_LAW_SCHEMA "plmscale.fit/2"
#define PLM_LAW_MAIN "vp"        /* the estimator to believe where only one can be named */
#define PLM_LAW_DISAGREEMENT 0.3 /* decades of N_opt between estimators that are worth a warning */

struct plm_law_options {
  const char *estimators; /* names, comma-separated, or "all"; NULL is "all" */
  size_t draws;           /* of the bootstrap, at most PLM_BOOTSTRAP_DRAWS_MAX; 0: no intervals */
  uint64_t seed;          /* of the bootstrap */
  const double *at;       /* budgets to answer for, besides the measured ones; FLOP */
  size_t at_count;
  int holdout;      /* hold budgets out and predict them */
  unsigned threads; /* 0: as many as there are CPUs; the result does not depend on it */
  /* A law of points much like these, from whose basins the searches start; NULL: they search everywhere. */
  const struct plm_law *from;
};

/* An estimator these points do not allow. */
struct plm_law_failure {
  const char *estimator; /* static */
  char reason[PLM_ERROR_TEXT];
};

struct plm_law {
  char *source;
  const struct plm_points *points; /* borrowed */
  struct plm_cost cost;
  struct plm_noise noise;                                                          /* estimated when there are draws */
  double compute_min, compute_max, params_min, params_max, tokens_min, tokens_max; /* measured */
  struct plm_fit *fits;
  size_t fit_count;
  struct plm_law_failure *failed;
  size_t failed_count;
  struct plm_notes warnings; /* about the whole: estimators that disagree, compute that is not 6 N D */
};

/*
 * Fits. points are borrowed until plm_law_destroy, get budgets and are sorted (plm_budgets_assign); source names them.
 * An estimator the points do not allow is in failed; success does not promise that one of them worked. PLM_E_USAGE for
 * an unknown estimator, draws or at out of range; PLM_E_DAMAGED for points whose compute cannot be (plm_cost_fit).
 * No points at all: no fits and no failures, what was left out is the result. *out is owned by the caller.
 */
int plm_law_fit(struct plm_law **out, struct plm_points *points, const char *source,
                const struct plm_law_options *options, struct plm_error *err);

/* Takes NULL. */
void plm_law_destroy(struct plm_law *law);

/* The JSON of schema plmscale.fit/2, a new reference owned by the caller; NULL when out of memory. What is not known is
 * null. */
json_t *plm_law_json(const struct plm_law *law);

#endif
