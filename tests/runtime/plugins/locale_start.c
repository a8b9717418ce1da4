/* Wrong: starting it changes the locale. */
#include <locale.h>
#include "null_backend.h"

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  setlocale(LC_NUMERIC, "C.UTF-8");
  return null_start(given, out, err);
}

ENTRY_START(start)
