/* cells/ID/failure.json: why a cell failed, kept until it is tried again. */
#ifndef PLM_TRAIN_FAILURE_H
#define PLM_TRAIN_FAILURE_H

#include <stdint.h>

#include "base/error.h"

#define PLM_FAILURE_WORD 16
#define PLM_FAILURE_TIME 24
#define PLM_FAILURE_DEVICE 128

struct plm_failure {
  char kind[PLM_FAILURE_WORD];     /* error, crashed, hung, stopped */
  int code;                        /* a PLM_E_ code */
  int64_t step;                    /* last one heard of, -1: none */
  char device[PLM_FAILURE_DEVICE]; /* as it was asked for, NAME[:DEVICE] */
  char time[PLM_FAILURE_TIME];     /* UTC, ISO 8601; filled by write */
  char text[PLM_ERROR_TEXT];
};

/* Schema plmscale.failure/1, written atomically into the cell's folder. */
int plm_failure_write(const char *folder, const char *cell_id, const struct plm_failure *failure,
                      struct plm_error *err);

/* *found = 0: there is none. PLM_E_DAMAGED: it is not such a file. */
int plm_failure_read(struct plm_failure *out, int *found, const char *folder, struct plm_error *err);

/* Removes it; one that is not there is fine. */
int plm_failure_remove(const char *folder, struct plm_error *err);

#endif
