/* `plmscale check BACKEND` as check.c calls it. */
#ifndef PLM_CLI_CHECK_BACKEND_H
#define PLM_CLI_CHECK_BACKEND_H

#include "base/error.h"
#include "check/check.h"

#define PLM_CHECK_SETTINGS 64
#define PLM_CHECK_ARGUMENTS 64

/* The command line of the verb. */
struct plm_check_request {
  const char *arguments[PLM_CHECK_ARGUMENTS]; /* a study, a backend, or JSON files for --matrix */
  uint32_t argument_count;
  struct plm_setting settings[PLM_CHECK_SETTINGS];
  uint32_t setting_count;
  uint32_t level_first, level_last;
  const char *op, *replay;
  int64_t seed, threads;
  double timeout, soak;
  int json, matrix;
};

/* 1: the argument names a study file, not a backend: it ends in .ini, or is a file that is no .so. */
int plm_check_is_study(const char *argument);

int plm_check_backend(const struct plm_check_request *request, struct plm_error *err);
int plm_check_print_matrix(const struct plm_check_request *request, struct plm_error *err);

#endif
