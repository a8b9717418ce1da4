/* Where every cell of a study stands, read from its files without disturbing whoever works on them. */
#ifndef PLM_TRAIN_STATES_H
#define PLM_TRAIN_STATES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "study/study.h"
#include "train/failure.h"
#include "train/lock.h"
#include "train/runfile.h"

enum plm_cell_state {
  PLM_CELL_REFUSED,      /* by the plan; reason says why */
  PLM_CELL_WAITING,      /* nothing of it is there */
  PLM_CELL_CHECKPOINTED, /* stopped on the way */
  PLM_CELL_RUNNING,      /* a process holds its lock; reason says which */
  PLM_CELL_FAILED,       /* the last try failed; reason says why */
  PLM_CELL_DAMAGED,      /* there is a run.h5 that does not verify; reason says why */
  PLM_CELL_DONE,
  PLM_CELL_DIVERGED,
  PLM_CELL_STATES
};
/* "refused", "waiting", "checkpoint", "running", "failed", "damaged", "done", "diverged". */
const char *plm_cell_state_name(enum plm_cell_state state);

struct plm_cell_standing {
  enum plm_cell_state state;
  int64_t step;                   /* of the newest checkpoint, or of the finished run; 0: none */
  struct plm_run_figures figures; /* of a finished run */
  double seconds;                 /* spent so far, as far as is kept */
  char reason[PLM_ERROR_TEXT];
  /* Of a finished run: who trained it, by which choice of kernels ("": it has none), after which self-check, under which layers. */
  char backend[64], device_name[128], kernels_source[256], self_check[128], backend_layers[128];
};

/* Only what cannot be read at all (PLM_E_IO, PLM_E_NO_MEMORY) is an error; damaged files are a state. */
int plm_cell_stand(struct plm_cell_standing *out, const struct plm_study *study, const struct plm_cell *cell,
                   struct plm_error *err);

#endif
