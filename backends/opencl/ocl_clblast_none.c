/* A build without CLBlast. */
#include "ocl_clblast.h"

uint32_t ocl_clblast_count(const struct plm_device *device) {
  (void)device;
  return 0;
}

void ocl_clblast_name(uint32_t which, char out[PLM_KERNELS_NAME]) {
  (void)which;
  out[0] = 0;
}

const char *ocl_clblast_version(void) { return "none"; }

uint64_t ocl_clblast_workspace(const struct plm_device *device, const struct plm_op *op) {
  (void)device, (void)op;
  return 0;
}

int ocl_clblast_run(struct plm_queue *queue, const struct plm_op *op, uint32_t which, struct plm_error *err) {
  (void)which;
  return ocl_fail(err, queue->device, op, "clblast", CL_INVALID_OPERATION, "a build without CLBlast");
}
