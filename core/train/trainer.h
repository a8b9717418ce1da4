/* The step loop of one cell on an open session. */
#ifndef PLM_TRAIN_TRAINER_H
#define PLM_TRAIN_TRAINER_H

#include "data/batch.h"
#include "runtime/session.h"
#include "train/cell.h"
#include "train/evaluate.h"
#include "train/events.h"
#include "train/runfile.h"

struct plm_trainer {
  const struct plm_study *study;
  const struct plm_cell *cell;
  const struct plm_cell_options *options;
  const char *folder; /* the cell's */
  const char *sweep;  /* JSON of the sweep that gave its rate, or "" */
  struct plm_session *session;
  struct plm_batcher *batcher;
  struct plm_validation validation;
  struct plm_events *events;       /* may be NULL */
  struct plm_checkpoint checkpoint; /* the run so far; arenas are host copies for files */
  struct plm_batch batch;
  int64_t epoch_tokens;
  double started;    /* clock when this process began training */
  double seconds_before; /* wall time of earlier processes */
  double last_checkpoint, last_progress, last_tokens;
  double tokens_per_second;
  size_t recorded; /* curve entries whose figures have been read back */
};

/* Initial weights and moments (a new run), or those of the checkpoint, to the device. */
int plm_trainer_upload(struct plm_trainer *trainer, struct plm_error *err);

/*
 * Trains from where the checkpoint stands to the end. 0: done, or diverged when *diverged; figures and params are final.
 * PLM_E_STOPPED: stopped on request, checkpoint written.
 */
int plm_trainer_run(struct plm_trainer *trainer, int *diverged, struct plm_error *err);

#endif
