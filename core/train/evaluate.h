/* The validation loss on the fixed masked set. */
#ifndef PLM_TRAIN_EVALUATE_H
#define PLM_TRAIN_EVALUATE_H

#include "data/batch.h"
#include "runtime/session.h"
#include "train/curve.h"

struct plm_validation {
  struct plm_batch *batches;
  uint32_t count;
  double rows_all, rows_mask;
};

int plm_validation_create(struct plm_validation *out, const struct plm_corpus *corpus,
                          const struct plm_batch_options *options, int64_t tokens, struct plm_error *err);
void plm_validation_fini(struct plm_validation *validation); /* takes a zeroed one */

/*
 * Mean losses over rows, and their standard errors. Rows of one sequence are not independent, so the error is that of a ratio
 * of sums over sequences: sqrt(S/(S-1) sum_s (l_s - L n_s)^2) / sum_s n_s, with l_s and n_s a sequence's loss and rows.
 * out->step and tokens are left alone.
 */
int plm_validation_evaluate(struct plm_evaluation *out, const struct plm_validation *validation,
                            struct plm_session *session, struct plm_error *err);

#endif
