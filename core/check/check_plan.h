/* Which cases a check runs, in order. Inside of core/check. */
#ifndef PLM_CHECK_CHECK_PLAN_H
#define PLM_CHECK_CHECK_PLAN_H

#include "check/check_test.h"

struct plm_check_plan {
  struct plm_check_entry *entries;
  const struct plm_check_test **tests; /* of each entry */
  uint32_t count;
  size_t entry_room, test_room;
};

/* PLM_E_USAGE: nothing fits the options' levels, op and replay. Needs no plugin. Owned by the caller. */
int plm_check_plan_make(struct plm_check_plan *out, const struct plm_check_options *options, struct plm_error *err);
void plm_check_plan_fini(struct plm_check_plan *plan);

#endif
