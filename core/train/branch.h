/*
 * Branching off a trunk (study/trunk.h): a cell leaves its state at the end of its trunk in cells/ID/branch.h5, a checkpoint of its
 * run, and longer cells of the trunk go on from there. Without such a file, or with a damaged one, a cell does every step itself;
 * its result is the same bit by bit on a deterministic backend.
 */
#ifndef PLM_TRAIN_BRANCH_H
#define PLM_TRAIN_BRANCH_H

#include "train/runfile.h"

/* 1 when a cell is to leave its state after done steps. */
int plm_branch_due(const struct plm_study *study, const struct plm_cell *cell, int64_t done);

/* checkpoint: the cell's, at trunk_steps. */
int plm_branch_leave(const struct plm_study *study, const struct plm_cell *cell, const struct plm_checkpoint *checkpoint,
                     struct plm_error *err);

/* 1 when the cell has left its state. */
int plm_branch_left(const struct plm_study *study, const struct plm_cell *cell);

/*
 * The state of the longest cell before this one on its trunk that has left one that verifies; *found = 0: there is none. A damaged
 * file is named in the log and passed over. floats as in the checkpoint; *out owned by the caller.
 */
int plm_branch_take(struct plm_checkpoint *out, int *found, const struct plm_study *study, const struct plm_cell *cell,
                    uint64_t floats, struct plm_error *err);

/* When the cell is done and has left its state: removes that of the cell before it, which nobody needs now. */
void plm_branch_release(const struct plm_study *study, const struct plm_cell *cell);

#endif
