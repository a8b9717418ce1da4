/* The tests that run one case of an op each: made from (op, variant, seed), or loaded from a file. */
#include <string.h>

#include "check/check_test.h"

static void run_made(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_case *c = NULL;
  uint32_t kind = 1;
  while (kind + 1 < PLM_OP_COUNT && strcmp(plm_op_name(kind), entry->name))
    kind++;
  if (plm_check_must(out, plm_case_make(&c, kind, entry->variant, entry->seed, &err), &err, "making the case"))
    return;
  plm_check_case(out, c, &rig->tested, &rig->oracle);
  plm_case_destroy(c);
}

static void run_file(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_case *c = NULL;
  (void)entry;
  if (plm_check_must(out, plm_case_load(&c, rig->options->replay, &err), &err, "loading the case"))
    return;
  plm_check_case(out, c, &rig->tested, &rig->oracle);
  plm_case_destroy(c);
}

const struct plm_check_test plm_check_test_case = {.name = "case", .variants = 1, .need = PLM_NEED_SIDES, .run = run_made};
const struct plm_check_test plm_check_test_file = {.name = "file", .variants = 1, .need = PLM_NEED_SIDES, .run = run_file};
