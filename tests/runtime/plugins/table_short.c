/* Wrong: a table smaller than that of 1.0. */
#include "null_backend.h"

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  struct plm_backend table = null_table();
  (void)err;
  host = given;
  table.struct_size = offsetof(struct plm_backend, op_run);
  return plm_backend_publish(out, &table);
}

ENTRY_START(start)
