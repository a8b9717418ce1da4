/* One cell, trained in this process from wherever it stands to its end. */
#ifndef PLM_TRAIN_CELL_H
#define PLM_TRAIN_CELL_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "study/study.h"

/* What a run tells while it goes on; also the lines of the report protocol. */
struct plm_cell_progress {
  int64_t step, steps;
  double tokens, tokens_per_second, seconds;
  double loss_all, loss_mask; /* training, smoothed over the last steps; NaN before the first */
  double valid_loss_mask;     /* last evaluation, NaN before the first */
};

struct plm_cell_options {
  const char *backend;               /* NAME[:DEVICE] */
  uint32_t threads;                  /* 0: all cores */
  const char *const *layers;         /* as --layer takes them (runtime/layer.h) */
  size_t layer_count;
  const char *shadow;                /* NAME[:DEVICE] of a backend that does every op over (check/shadow.h), or NULL */
  const volatile sig_atomic_t *stop; /* becomes non-zero: checkpoint and return PLM_E_STOPPED */
  void (*progress)(void *context, const struct plm_cell_progress *progress); /* about once a second; may be NULL */
  void *context;
};

/* Renames folder/run.h5, which does not verify because of why, to run.damaged.h5 and says so. */
int plm_cell_set_aside(const char *folder, const char *why, struct plm_error *err);

/*
 * Trains a cell and leaves cells/ID/run.h5; a cell whose run.h5 verifies is done at once. Takes the cell's lock; PLM_E_BUSY when
 * another process holds it. Divergence is a finished run with status "diverged". PLM_E_STOPPED: stopped with a checkpoint.
 * PLM_E_CELLS: its rate hangs on a
 * sweep that is not done. *diverged (may be NULL) says how it ended.
 */
int plm_cell_run(const struct plm_study *study, const struct plm_cell *cell, const struct plm_cell_options *options,
                 int *diverged, struct plm_error *err);

/*
 * The report protocol, child to parent: lines of space-separated words on a file descriptor.
 *   progress STEP STEPS TOKENS TOKENS_PER_SECOND LOSS_ALL LOSS_MASK VALID_LOSS_MASK SECONDS
 *   end done|diverged            after run.h5 is in place
 *   error CODE TEXT..            before a failing exit
 */
int plm_report_progress(int fd, const struct plm_cell_progress *progress);
int plm_report_parse(struct plm_cell_progress *out, const char *line); /* 1 when it was a progress line */

#endif
