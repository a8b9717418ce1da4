/* Wrong: writes into files that are not its own, among them the answer of the probe. */
#include <unistd.h>
#include "null_backend.h"

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  static const char text[] = "{ \"outcome\": 3 } garbage";
  for (int fd = 3; fd < 64; fd++)
    if (write(fd, text, sizeof text - 1) < 0)
      continue;
  return null_start(given, out, err);
}

ENTRY_START(start)
