/* The learning rate over a run. */
#ifndef PLM_TRAIN_SCHEDULE_H
#define PLM_TRAIN_SCHEDULE_H

#include <stdint.h>

#include "study/study.h"

/*
 * The learning rate of a step (0-based) as a fraction of the peak. Linear warm-up over the first w = warmup_steps steps of the
 * cell: (step+1)/w. Then, with p the share of the rest that has passed: constant 1; linear 1-(1-f)p; cosine f+(1-f)(1+cos(pi p))/2,
 * f = lr_final; wsd: 1 for the trunk_steps of the cell, then 1-sqrt(share of the rest passed) (Haegele et al. 2024).
 */
double plm_schedule_factor(const struct plm_config *config, const struct plm_cell *cell, int64_t step);

/*
 * 1 when an evaluation belongs after done steps. count of them, evenly spaced, the last at the end; under wsd at the end and, with
 * w = max(warmup_steps, 1), when done/w passes a power of 10^(1/count): where cells of one trunk have them all in common.
 */
int plm_schedule_evaluates(const struct plm_config *config, const struct plm_cell *cell, int64_t done);

/* How many evaluations the steps of a cell after the first `from` of them have. */
int64_t plm_schedule_evaluations(const struct plm_config *config, const struct plm_cell *cell, int64_t from);

#endif
