/* Wrong: starting it changes the calling thread's locale. */
#include <locale.h>
#include "null_backend.h"

static locale_t mine;

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  if (!mine)
    mine = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
  uselocale(mine);
  return null_start(given, out, err);
}

ENTRY_START(start)
