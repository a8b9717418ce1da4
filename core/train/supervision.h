/* What supervisor.c (who works on what) and supervisor_show.c (what is told about it) share. Nobody else includes this. */
#ifndef PLM_TRAIN_SUPERVISION_H
#define PLM_TRAIN_SUPERVISION_H

#include "train/supervisor.h"

enum plm_job_state {
  PLM_JOB_REFUSED,
  PLM_JOB_WAITING,
  PLM_JOB_RUNNING,
  PLM_JOB_FINISHED,
  PLM_JOB_FAILED,
  PLM_JOB_BUSY,
  PLM_JOB_HELD /* the sweep that gives its rate cannot be done now */
};

struct plm_job {
  enum plm_job_state state;
  int diverged;
  double flops;      /* its weight in estimates: of its own steps, without those of its parent's trunk */
  double before;     /* the share done before this child */
  double share;      /* done so far of its own steps, 0..1 */
  double busy_since; /* when another process was first seen on it; 0: not */
  double again;      /* not looked at before this time */
};

struct plm_supervision {
  const struct plm_study *study;
  const struct plm_supervisor_options *options;
  struct plm_supervisor_result *result;
  struct plm_job *jobs; /* one for each cell */
  double started;
  double flops_done; /* by children of this supervision that ended */
  int stopping, killing;
  int unusable; /* the code of a device that cannot be used as asked for */
  char unusable_text[PLM_ERROR_TEXT];
};

/* The share of a cell's own steps that is done when it has come to this step. */
double plm_supervision_share(const struct plm_supervision *s, size_t cell, int64_t step);

/* Of a point: whether all runs of its learning-rate sweep are finished, 1 of any other cell. */
int plm_supervision_swept(const struct plm_supervision *s, size_t cell);

/* Holds the waiting points whose sweep has a failed or busy run, or only diverged ones; of each size a line says why. */
void plm_supervision_hold(struct plm_supervision *s);

/* After a run of a sweep has finished: who won, when it was the last one. */
void plm_supervision_tell_sweep(const struct plm_supervision *s, size_t cell);

/* The line about all that goes on, at most once in a while. */
void plm_supervision_show(struct plm_supervision *s);

/* A line about a cell that has just finished, from its run file, which is verified. */
int plm_supervision_show_finished(struct plm_supervision *s, size_t cell, const char *folder, struct plm_error *err);

/* A line about a cell that has just failed. */
void plm_supervision_show_failed(const struct plm_supervision *s, size_t cell, const char *device,
                                 const struct plm_child_end *end);

#endif
