/* Wrong: cannot start, and does not say why; the code is nobody's. */
#include "null_backend.h"

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  (void)given;
  (void)out;
  (void)err;
  return 4242;
}

ENTRY_START(start)
