/*
 * All cells of a study, trained by child processes: one for each worker (worker.h), smallest compute first, each watched
 * through its reports. This process loads no plugin, so that a driver's crash costs one cell's time since its last checkpoint.
 */
#ifndef PLM_TRAIN_SUPERVISOR_H
#define PLM_TRAIN_SUPERVISOR_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "study/study.h"
#include "train/prepare.h"
#include "train/worker.h"

struct plm_supervisor_options {
  struct plm_workers *workers; /* borrowed; all free */
  uint32_t threads;            /* CPU threads for each cell, at least 1 */
  const char *const *settings; /* NAME.KEY=VALUE, already in the study, for the children */
  size_t setting_count;
  const char *const *layers; /* for the children, checked */
  size_t layer_count;
  const char *shadow; /* NAME[:DEVICE], for the children; may be NULL */
  double patience;     /* seconds to wait for a cell that another process trains, before it is left to it */
  int bar;             /* progress has a bar (a terminal) */
  const char *program; /* what is run as child; NULL: this program */
  const volatile sig_atomic_t *stop; /* requests so far: at 1 children checkpoint, at 2 they are killed */
};

struct plm_supervisor_result {
  size_t done, diverged; /* of all cells, those included that were done before */
  size_t trained;        /* finished by this call */
  size_t failed, busy;   /* busy: another process trains it */
  size_t waiting;        /* not finished: stopped, or no device was left */
  size_t held;           /* points whose learning-rate sweep has failed or diverged */
  size_t refused;
};

/*
 * Trains what is not done in study->folder, whose lock the caller holds. The study is prepared (prepare.h). *out is filled
 * whatever is returned. PLM_E_STOPPED: stopped, the children have their checkpoints; PLM_E_CELLS: some cells failed or are left;
 * PLM_E_USAGE, PLM_E_ABI: no worker's device can be used as asked for.
 */
int plm_supervise(struct plm_supervisor_result *out, const struct plm_study *study, const struct plm_prepared *prepared,
                  const struct plm_supervisor_options *options, struct plm_error *err);

#endif
