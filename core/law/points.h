/* What a law is fitted to: one point a run, and the runs that were left out, each with the rule that did it. */
#ifndef PLM_LAW_POINTS_H
#define PLM_LAW_POINTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PLM_POINT_LABEL 64
#define PLM_POINT_RULE 128

/* Beyond these a value is a mistake, whatever the study and its units. */
#define PLM_POINT_COUNT_MAX 1e30   /* N, D, unique tokens, weight */
#define PLM_POINT_COMPUTE_MAX 1e60 /* C, budget */
#define PLM_POINT_LOSS_MAX 1e6
#define PLM_POINT_MIN 1e-30 /* of each of them */

/* The learning curve of one run: smoothed loss against tokens processed, both ascending in time. */
struct plm_point_curve {
  size_t count;
  double *tokens, *loss;
};

struct plm_point {
  double params;  /* N, in the sense the source chose */
  double tokens;  /* D, tokens processed */
  double compute; /* C in FLOP */
  double loss;    /* nats */
  double weight;  /* of the squared residual, > 0; 1 when nothing is known */
  double budget;  /* the compute budget this run was planned for, 0 when it was not planned for one */
  uint64_t seed;
  char label[PLM_POINT_LABEL];         /* what a message calls it: "line 7", a cell id */
  double unique;                       /* tokens of the data it could see once, U_D; 0 when not known */
  const struct plm_point_curve *curve; /* borrowed from the points it is in; NULL when there is none */
  double curve_shift;                  /* added to the logarithm of the curve's losses: a bootstrap's noise */
};

struct plm_point_left_out {
  char label[PLM_POINT_LABEL];
  char rule[PLM_POINT_RULE]; /* "diverged", "not done" .. */
};

/* Init by zeroing; owned by the caller; plm_points_fini releases it. */
struct plm_points {
  struct plm_point *items;
  size_t count, capacity;
  struct plm_point_left_out *left_out;
  size_t left_out_count, left_out_capacity;
  struct plm_point_curve **curves; /* owned, each by itself: points keep pointing at them */
  size_t curve_count, curve_capacity;
  const char *curves_absent; /* static: why there are no curves; NULL when there are */
};

/* PLM_E_INVALID, naming label and value, unless N, D, C, loss and weight are finite and > 0, budget and unique finite
 * and >= 0, and none beyond what a study can have. */
int plm_point_check(const struct plm_point *point, struct plm_error *err);

/* Appends a copy of a point that passes plm_point_check. */
int plm_points_add(struct plm_points *points, const struct plm_point *point, struct plm_error *err);

/* A curve of count entries to fill, owned by points. */
int plm_points_add_curve(struct plm_points *points, struct plm_point_curve **out, size_t count, struct plm_error *err);

/* Records that the run called label is not a point, because of rule. Both are copied, cut to their room. */
int plm_points_leave_out(struct plm_points *points, const char *label, const char *rule, struct plm_error *err);

void plm_points_fini(struct plm_points *points);

/* How many values differ by more than one part in 10^9; sorts values. */
size_t plm_points_distinct(double *values, size_t count);

#endif
