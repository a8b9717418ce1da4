/* Right, but noisy: prints on standard output whenever it is asked for something, as drivers do. */
#include "null_backend.h"

static int device_count(uint32_t *out, struct plm_error *err) {
  puts("{\"outcome\": \"driver banner\"}");
  fflush(stdout);
  return null_device_count(out, err);
}

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  struct plm_backend table = null_table();
  (void)err;
  host = given;
  table.device_count = device_count;
  host->log(host->context, PLM_LOG_INFO, "started");
  return plm_backend_publish(out, &table);
}

ENTRY_START(start)
