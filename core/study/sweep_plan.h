/*
 * [train] lr = sweep: every size has small runs, one for each of sweep_factors times the rule's rate, and the best of them gives the
 * peak rate of the size's other cells. Here are the runs; train/sweep.h finds the winner. Internal to study/.
 */
#ifndef PLM_STUDY_SWEEP_PLAN_H
#define PLM_STUDY_SWEEP_PLAN_H

#include "study/study.h"

/* The least factors of a sweep: a winner needs a neighbour on either side. */
#define PLM_SWEEP_FACTORS_MIN 3

/*
 * Appends the sweep's cells to *cells (grown, owned by the caller as before), and sets sweep_tokens of the points. Of a size whose
 * cells are all refused there are none. sweep_tokens up to 1 is a share of the shortest cell that is not refused; a run has at
 * least one batch.
 */
int plm_sweep_plan(struct plm_cell **cells, size_t *count, const struct plm_config *config, struct plm_error *err);

#endif
