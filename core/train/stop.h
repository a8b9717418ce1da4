/* Stopping on request: SIGTERM, SIGINT and SIGUSR1. */
#ifndef PLM_TRAIN_STOP_H
#define PLM_TRAIN_STOP_H

#include <signal.h>

#include "base/error.h"

/* What a second request does. Requests within half a second are one: `timeout` and Slurm signal twice. */
enum plm_stop_second {
  PLM_STOP_COUNTS,  /* the count becomes 2 */
  PLM_STOP_EXITS,   /* the process leaves at once with code 1 */
  PLM_STOP_IGNORED, /* a supervisor decides, and kills */
};

/* Installs the handlers, once per process; also ignores SIGPIPE. *out: the number of requests so far, valid for ever. */
int plm_stop_install(const volatile sig_atomic_t **out, enum plm_stop_second second, struct plm_error *err);

#endif
