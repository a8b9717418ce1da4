/* Wrong: crashes when it is started. */
#include <signal.h>
#include "null_backend.h"

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  raise(SIGSEGV);
  return null_start(given, out, err);
}

ENTRY_START(start)
