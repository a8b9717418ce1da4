/* The learning rate over a run. */
#ifndef PLM_TRAIN_SCHEDULE_H
#define PLM_TRAIN_SCHEDULE_H

#include <stdint.h>

#include "study/study.h"

/*
 * The learning rate of a step (0-based) as a fraction of the peak. Linear warm-up over the first w = round(warmup steps) steps:
 * (step+1)/w. Then, with p the share of the rest that has passed: constant 1; linear 1-(1-f)p; cosine f+(1-f)(1+cos(pi p))/2,
 * f = lr_final; wsd: 1 until the last c = round(cooldown steps) steps, then 1-sqrt(share of c passed) (Haegele et al. 2024).
 */
double plm_schedule_factor(const struct plm_config *config, int64_t step, int64_t steps);

#endif
