/* Wrong: a required slot is empty. */
#include "null_backend.h"

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  struct plm_backend table = null_table();
  (void)err;
  host = given;
  table.op_run = NULL;
  return plm_backend_publish(out, &table);
}

ENTRY_START(start)
