/*
 * The outcome of a size's learning-rate sweep (study/sweep_plan.h), read from the run files of its cells: the rate with the lowest
 * validation loss over <mask> wins, and a diverged run never does.
 */
#ifndef PLM_TRAIN_SWEEP_H
#define PLM_TRAIN_SWEEP_H

#include "study/study.h"

struct plm_sweep {
  size_t cells, done;          /* its runs; those with a run file */
  size_t diverged;             /* of the done */
  const struct plm_cell *open; /* the first that is not done, borrowed; NULL: all are */
  const struct plm_cell *winner; /* borrowed; NULL while some are not done, and when all diverged */
  double loss;                   /* the winner's */
  int edge; /* -1: it has the lowest rate of those tried, 1: the highest, 0: there are rates on both sides */
  char *json; /* {"winner", "lr", "edge", "runs": [{"cell", "lr", "loss"}]}; owned */
};

/* 1 when the cell is a point whose rate a sweep gives. */
int plm_sweep_awaits(const struct plm_cell *cell);

/* 1 when the second is one of the runs that the first, a point, awaits. */
int plm_sweep_belongs(const struct plm_cell *point, const struct plm_cell *run);

/* The sweep that a point awaits. PLM_E_DAMAGED for a run file that is. Owned by the caller: plm_sweep_fini takes a zeroed one. */
int plm_sweep_read(struct plm_sweep *out, const struct plm_study *study, const struct plm_cell *point, struct plm_error *err);
void plm_sweep_fini(struct plm_sweep *sweep);

/* Why a point has no rate yet, or that the winner is at an edge, or who won: one line, without the size. */
#define PLM_SWEEP_TEXT 256
void plm_sweep_text(char out[PLM_SWEEP_TEXT], const struct plm_sweep *sweep);

/* The rate of a point, and the record of its sweep (owned by the caller). PLM_E_CELLS: there is none yet, and why. */
int plm_sweep_resolve(double *lr, char **json, const struct plm_study *study, const struct plm_cell *point,
                      struct plm_error *err);

/* Sets the rates of all points whose sweeps are done; damaged run files count as not done. For tables. */
int plm_sweep_apply(struct plm_study *study, struct plm_error *err);

#endif
