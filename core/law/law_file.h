/* A surface from a file that `plmscale fit --json` wrote. */
#ifndef PLM_LAW_LAW_FILE_H
#define PLM_LAW_LAW_FILE_H

#include "law/estimator.h"

struct plm_law_file {
  char source[160]; /* what it was fitted to, as the file says; cut to this room */
  struct plm_surface surface;
  struct plm_cost cost;
  double compute_max, params_max, tokens_max; /* measured */
  double compute_min, params_min, tokens_min;
};

/*
 * The fit of estimator, which has to be one of a surface (huber, lad, mse, asymmetric, vp). PLM_E_DAMAGED for a file
 * that is not of schema plmscale.fit/2, PLM_E_USAGE when it has no such fit: the reason is the file's own when it has
 * one.
 */
int plm_law_file_read(struct plm_law_file *out, const char *path, const char *estimator, struct plm_error *err);

#endif
