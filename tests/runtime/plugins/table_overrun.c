/* Wrong: a newer, larger table, copied without asking how much room there is. */
#include "null_backend.h"

struct newer_backend {
  struct plm_backend known;
  void *appended[8];
};

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  struct newer_backend table = {null_table(), {NULL}};
  (void)err;
  host = given;
  table.known.struct_size = sizeof table;
  memcpy(out, &table, sizeof table);
  return PLM_OK;
}

ENTRY_START(start)
