/* Cases in a child process, seen from the parent. Inside of core/check. */
#ifndef PLM_CHECK_CHECK_CHILD_H
#define PLM_CHECK_CHECK_CHILD_H

#include "check/check_plan.h"

/* How a child ended that was given entries first .. end-1. */
struct plm_check_child_end {
  uint32_t next;  /* the first entry without an outcome */
  int begun;      /* that entry had begun */
  int hung;       /* it was silent for too long */
  int finished;   /* the child said that it was through with all */
  int setup;      /* it ended before its first case: the plugin could not be made ready */
  char text[PLM_CHECK_TEXT]; /* how it ended, when it should not have: signal, exit code, time-out; or why it was not ready */
};

/*
 * Runs entries first .. end-1, all of one level, in one child, and fills in their outcomes as they come. The caller judges
 * what is missing. Fails only when no child can be started.
 */
int plm_check_child_run(struct plm_check_child_end *out, const struct plm_check_options *options,
                        struct plm_check_plan *plan, uint32_t first, uint32_t end, struct plm_check_subject *subject,
                        struct plm_error *err);

#endif
