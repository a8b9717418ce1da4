/* Level 0: what is wrong with the card, the symbols, the list of devices, and the answers about ops. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "broken.h"

void arm_wrong_major(struct broken *self) { self->card.abi_major = 2; }

/* The build leaves the symbol in. */
void arm_two_symbols(struct broken *self) { (void)self; }

static int count_changes_device_count(uint32_t *out, struct plm_error *err) {
  static uint32_t calls;
  (void)err;
  *out = 1 + calls++ % 2;
  return PLM_OK;
}
BROKEN_SLOT(count_changes, device_count)

static int info_changes_device_info(uint32_t index, struct plm_device_info *out, struct plm_error *err) {
  static uint32_t calls;
  const int code = right.device_info(index, out, err);
  if (code == PLM_OK)
    snprintf(out->id, sizeof out->id, "reference:%u", calls++);
  return code;
}
BROKEN_SLOT(info_changes, device_info)

static int info_crashes_device_info(uint32_t index, struct plm_device_info *out, struct plm_error *err) {
  raise(SIGSEGV);
  return right.device_info(index, out, err);
}
BROKEN_SLOT(info_crashes, device_info)

static int count_hangs_device_count(uint32_t *out, struct plm_error *err) {
  while (pause())
    continue;
  return right.device_count(out, err);
}
BROKEN_SLOT(count_hangs, device_count)

static int claims_unknown_op_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                                   struct plm_error *err) {
  const int code = right.op_query(device, op, out, err);
  if (code == PLM_OK && (out->reason == PLM_REASON_UNKNOWN_OP || out->reason == PLM_REASON_FLAG))
    out->status = PLM_VERDICT_SUPPORTED;
  return code;
}
BROKEN_SLOT(claims_unknown, op_query)

static const void *extension_any_extension(const char *name, uint32_t version) {
  static const uint64_t size = 0;
  (void)name;
  (void)version;
  return &size;
}
BROKEN_SLOT(extension_any, extension)
