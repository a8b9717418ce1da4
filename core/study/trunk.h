/*
 * Trunks. Under the schedule wsd (warm-up, constant rate, cooldown) two cells of one size, seed and peak rate do the same steps
 * (of points under lr = sweep: the one that the sweep will give both) until the shorter one's cooldown begins, if they warm up alike: one trunk, from which every token count branches off into its
 * cooldown (Haegele et al. 2024). Here is who shares with whom; train/trunk.h hands the state on.
 */
#ifndef PLM_STUDY_TRUNK_H
#define PLM_STUDY_TRUNK_H

#include "study/study.h"

/*
 * Sets warmup_steps of every cell: [train] warmup_steps, or warmup as a share of its steps; under wsd as a share of the steps of
 * the shortest cell of its size and seed that is not refused. Sets trunk_steps too.
 */
int plm_trunk_warm_up(struct plm_cell *cells, size_t count, const struct plm_config *config, struct plm_error *err);

/* Sets parent of every cell, in the order in which they stand. Refused cells have none and are nobody's. */
int plm_trunk_link(struct plm_cell *cells, size_t count, struct plm_error *err);

/* Steps of a cell that its parent has done before it, 0 without a parent or with [run] trunks = no. */
int64_t plm_trunk_shared(const struct plm_study *study, const struct plm_cell *cell);

#endif
