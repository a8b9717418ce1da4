/* Wrong: one of the three event slots. */
#include "null_backend.h"

static int event_record(struct plm_queue *queue, struct plm_event **out, struct plm_error *err) {
  (void)queue;
  (void)out;
  return fail(err, PLM_E_UNSUPPORTED, "event_record: no");
}

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  struct plm_backend table = null_table();
  (void)err;
  host = given;
  table.event_record = event_record;
  return plm_backend_publish(out, &table);
}

ENTRY_START(start)
