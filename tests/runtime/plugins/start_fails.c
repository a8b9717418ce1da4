/* Wrong: cannot start, and says why (in two lines, with a code of the driver). */
#include "null_backend.h"

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  (void)given;
  (void)out;
  err->native_code = -1001;
  return fail(err, PLM_E_DEVICE_LOST, "null driver: no device\nanswers");
}

ENTRY_START(start)
