/* Wrong: starts, but cannot describe its device. */
#include "null_backend.h"

static int device_info(uint32_t index, struct plm_device_info *out, struct plm_error *err) {
  (void)index;
  (void)out;
  return fail(err, PLM_E_DEVICE_LOST, "null driver: device 0 fell off the bus");
}

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  struct plm_backend table = null_table();
  (void)err;
  host = given;
  table.device_info = device_info;
  return plm_backend_publish(out, &table);
}

ENTRY_START(start)
