/*
 * An estimator turns points into exponents and optimal sizes. One row in the table of estimator.c makes it known to
 * `fit`, to the bootstrap, and to the comparison of estimators.
 */
#ifndef PLM_LAW_ESTIMATOR_H
#define PLM_LAW_ESTIMATOR_H

#include "law/budgets.h"
#include "law/notes.h"
#include "law/points.h"

#define PLM_REASON_TEXT 240
#define PLM_FIT_PARAMETERS 8

struct plm_interval {
  int known;
  double low, high;
};

/* A number of the law, unrounded. */
struct plm_parameter {
  const char *name; /* static */
  double value;
  struct plm_interval interval;
};

/* The best model for a budget. Intervals are of 95 %. */
struct plm_optimum {
  double compute;        /* C asked for */
  int known;             /* 0: this estimator has no answer here, the rest is void */
  double params, tokens; /* N_opt, D_opt */
  double loss;           /* NAN where the estimator predicts none */
  struct plm_interval params_interval, tokens_interval, loss_interval;
  int extrapolated; /* compute, N_opt or D_opt is outside what was measured */
};

/* A budget an estimator could not use. */
struct plm_refusal {
  double budget;
  char reason[PLM_REASON_TEXT];
};

/* L = E + A/N^alpha + B/D^beta. */
struct plm_surface {
  double E, A, B, alpha, beta;
};

/* A local minimum of the objective. */
struct plm_basin {
  struct plm_surface surface;
  double objective;
  size_t starts; /* how many starts ended there */
};

/* A prediction for points that were held out of the fit. */
struct plm_holdout {
  int rollout;         /* 1: fitted to the budgets below; 0: to all others */
  double budget;       /* held out */
  size_t budgets_kept; /* fitted to */
  size_t points_held;
  char refused[PLM_REASON_TEXT]; /* why there is no prediction; "" when there is */
  double params, params_all;     /* N_opt at the budget: predicted, and by all points (NAN when unknown) */
  double loss_rms, loss_bias;    /* measured less predicted loss over the points held out, nats; NAN when the
                                    estimator predicts no loss at every (N, D) */
};

struct plm_fit {
  const char *estimator; /* static */
  size_t points;         /* how many it used */
  double objective;      /* what was minimised: see plm_estimator.objective */
  double scatter;        /* of log loss about this law, where vp's surface does not tell it; freedom 0: not given */
  size_t scatter_freedom;
  struct plm_parameter params[PLM_FIT_PARAMETERS];
  size_t param_count;
  int has_surface; /* surface predicts the loss at any (N, D) */
  struct plm_surface surface;
  double misfit;     /* plm_misfit: times the noise of a run by which the surface misses the points; NAN: not known */
  int has_exponents; /* N_opt ~ C^a, D_opt ~ C^b */
  double a, b;
  struct plm_interval a_interval, b_interval;
  size_t draws, draws_done;    /* of the bootstrap: asked for, and fitted */
  struct plm_optimum *optimum; /* one for each compute of the task, in its order */
  size_t optimum_count;
  struct plm_refusal *refused;
  size_t refused_count, refused_capacity;
  struct plm_point_left_out *left_out; /* points this estimator did not use, and by which rule */
  size_t left_out_count, left_out_capacity;
  struct plm_basin *basins; /* best first; none for estimators that search no basins */
  size_t basin_count, basin_capacity;
  struct plm_holdout *holdouts;
  size_t holdout_count, holdout_capacity;
  struct plm_notes notes;
};

/* What every estimator gets. All borrowed. */
struct plm_fit_task {
  const struct plm_point *points; /* with budgets, in the order of plm_budgets_assign */
  size_t count;
  const double *compute; /* where an optimum is wanted, ascending */
  size_t compute_count;
  struct plm_cost cost;
  const char *curves_absent; /* why there are no curves, or NULL */
  unsigned threads;          /* to use at most; 0 is 1 */
  /* The fit to all points when these are a draw or a part of them: where a search may start. NULL: search everywhere.
   * What it holds must not decide the answer otherwise. */
  const struct plm_fit *from;
};

/* How the bootstrap makes its draws. */
enum plm_resample {
  PLM_RESAMPLE_CELLS, /* points again with replacement, each copy with the rest of the noise */
  PLM_RESAMPLE_NOISE, /* all points, each with noise: for estimators that need every size of a budget */
  PLM_RESAMPLE_FITTED /* all points, on the fitted surface, each with noise: for surfaces that pass through points */
};

struct plm_estimator {
  const char *name;      /* as in --estimator and in the JSON */
  const char *summary;   /* one line for people */
  const char *objective; /* what is minimised */
  enum plm_resample resample;
  /*
   * Fills *out, which plm_fit_init made from the same task. PLM_E_UNSUPPORTED: these points do not allow it, err says
   * why; of *out only refused, left_out and basins then mean anything. Must be a pure function of the task. Called
   * through plm_estimator_fit, so that the points are at least 3, each with possible values, of at least 2 losses and
   * 2 sizes.
   */
  int (*fit)(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);
  int of_profiles; /* it finds the minima of IsoFLOP profiles, with a bias that a surface shows (bias.h) */
};

/* The table; count rows. */
const struct plm_estimator *plm_estimators(size_t *count);

/* The row of that name, or NULL. */
const struct plm_estimator *plm_estimator_find(const char *name);

/* Refuses (PLM_E_UNSUPPORTED) what no estimator can use, else runs it. */
int plm_estimator_fit(const struct plm_estimator *estimator, struct plm_fit *out, const struct plm_fit_task *task,
                      struct plm_error *err);

int plm_fit_init(struct plm_fit *out, const char *estimator, const struct plm_fit_task *task, struct plm_error *err);
void plm_fit_fini(struct plm_fit *fit);

/* Adds a parameter; name static. */
void plm_fit_parameter(struct plm_fit *fit, const char *name, double value);

/* Adds a refused budget. */
int plm_fit_refuse(struct plm_fit *fit, double budget, const char *reason, struct plm_error *err);

/* Says that this estimator does not use count points, because of rule. */
int plm_fit_leave_out(struct plm_fit *fit, const struct plm_point *points, size_t count, const char *rule,
                      struct plm_error *err);

#endif
