/* The curve of a run: one entry for each optimizer step, and the evaluations on the way. */
#ifndef PLM_TRAIN_CURVE_H
#define PLM_TRAIN_CURVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Columns of the curve, in the order of the files. Losses are sums over rows divided by their number, in nats. */
enum plm_curve_column {
  PLM_CURVE_TOKENS,    /* processed so far, <cls> and <eos> included */
  PLM_CURVE_SELECTED,  /* selected rows of this step */
  PLM_CURVE_MASKED,    /* those whose input is <mask> */
  PLM_CURVE_RATE,      /* learning rate */
  PLM_CURVE_LOSS_ALL,  /* training loss over all selected rows */
  PLM_CURVE_LOSS_MASK, /* over <mask> rows only */
  PLM_CURVE_GRAD_NORM, /* before clipping */
  PLM_CURVE_CLIP,      /* the factor applied */
  PLM_CURVE_COLUMNS
};
const char *plm_curve_name(int column);  /* "tokens", "selected", .. */
const char *plm_curve_units(int column); /* "tokens", "nats", .. */

/* One evaluation on the fixed validation set. */
struct plm_evaluation {
  double step, tokens;
  double loss_all, loss_all_error;   /* mean over selected rows, standard error from the spread over sequences */
  double loss_mask, loss_mask_error; /* over <mask> rows */
};
#define PLM_EVALUATION_COLUMNS 6 /* doubles in the struct, in this order */
const char *plm_evaluation_name(int column);

struct plm_curve {
  double *columns[PLM_CURVE_COLUMNS]; /* steps entries each; owned */
  double *seconds;                    /* wall seconds since the run's start, over all its processes */
  size_t steps, capacity;
  struct plm_evaluation *evaluations;
  size_t evaluation_count, evaluation_capacity;
};

/* Room for steps entries. Init by zeroing. */
int plm_curve_reserve(struct plm_curve *curve, size_t steps, struct plm_error *err);
int plm_curve_add_evaluation(struct plm_curve *curve, const struct plm_evaluation *evaluation, struct plm_error *err);
void plm_curve_fini(struct plm_curve *curve);

/*
 * The smoothed training loss at step end: sum of loss * rows over the last fraction of the steps (at least one), divided by the
 * rows. mask: over <mask> rows, else all selected rows.
 */
double plm_curve_smoothed(const struct plm_curve *curve, size_t end, double fraction, int mask);

#endif
