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

/* The best model for a budget. */
struct plm_optimum {
  double compute;                 /* C asked for */
  int known;                      /* 0: this estimator has no answer here, the rest is void */
  double params, tokens;          /* N_opt, D_opt */
  double loss;                    /* NAN where the estimator predicts none */
  double params_low, params_high; /* 95 % interval of N_opt, NAN when there is none */
  int extrapolated;               /* compute, N_opt or D_opt is outside what was measured */
};

/* A budget an estimator could not use. */
struct plm_refusal {
  double budget;
  char reason[PLM_REASON_TEXT];
};

struct plm_interval {
  int known;
  double low, high;
};

struct plm_fit {
  const char *estimator; /* static */
  size_t points;         /* how many it used */
  double objective;      /* what was minimised: weighted sum of squared residuals of the loss, nats^2 */
  int has_surface;       /* E, A, B, alpha, beta are there */
  double E, A, B, alpha, beta;
  int has_exponents; /* N_opt ~ C^a, D_opt ~ C^b */
  double a, b;
  struct plm_interval a_interval, b_interval;
  size_t draws, draws_done;    /* of the bootstrap: asked for, and fitted */
  struct plm_optimum *optimum; /* one for each compute of the task, in its order */
  size_t optimum_count;
  struct plm_refusal *refused;
  size_t refused_count, refused_capacity;
  struct plm_notes notes;
};

/* What every estimator gets. All borrowed. */
struct plm_fit_task {
  const struct plm_point *points; /* with budgets, in the order of plm_budgets_assign */
  size_t count;
  const double *compute; /* where an optimum is wanted, ascending */
  size_t compute_count;
  struct plm_cost cost;
};

struct plm_estimator {
  const char *name;    /* as in --estimator and in the JSON */
  const char *summary; /* one line for people */
  /*
   * Fills *out, which plm_fit_init made from the same task. PLM_E_UNSUPPORTED: these points do not allow it, err says
   * why; *out then holds nothing but refused. Must be a pure function of the task.
   */
  int (*fit)(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);
};

/* The table; count rows. */
const struct plm_estimator *plm_estimators(size_t *count);

int plm_fit_init(struct plm_fit *out, const char *estimator, const struct plm_fit_task *task, struct plm_error *err);
void plm_fit_fini(struct plm_fit *fit);

/* Adds a refused budget. */
int plm_fit_refuse(struct plm_fit *fit, double budget, const char *reason, struct plm_error *err);

#endif
