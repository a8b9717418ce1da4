/* Sums over rows, in two stages: kernels/sums.cl. */
#include "opencl.h"

#define BLOCK 64 /* rows of one partial sum, as in the kernel */

static int begin(struct ocl_launch *launch, struct plm_queue *queue, const struct plm_op *op, const char *name,
                 struct plm_error *err) {
  const struct ocl_kernel *kernel;
  const int code = ocl_kernel(&kernel, queue->device, "sums", "", name, err);
  if (!code)
    ocl_begin(launch, queue, op, kernel);
  return code;
}

int ocl_sum_partials(struct plm_queue *queue, const struct plm_op *op, const struct plm_view *out, uint32_t blocks,
                     uint64_t count, struct plm_error *err) {
  const struct plm_device *device = queue->device;
  const size_t local = OCL_GROUP_ITEMS(device), global = ocl_up(ocl_groups(count, device->traits.vector), local);
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "sum_partials", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &op->workspace);
  ocl_arg_view(&launch, out);
  ocl_arg_u32(&launch, blocks);
  ocl_arg_u64(&launch, count);
  return ocl_enqueue(&launch, 1, &global, &local, 0, 0, 4.0 * blocks * (double)count, err);
}

int ocl_sum_two_partials(struct plm_queue *queue, const struct plm_op *op, const struct plm_view *first,
                         const struct plm_view *second, uint32_t blocks, uint32_t width, struct plm_error *err) {
  const struct plm_device *device = queue->device;
  const size_t local[2] = {OCL_GROUP_ITEMS(device), 1};
  const size_t global[2] = {ocl_up(ocl_groups(width, device->traits.vector), local[0]), 2};
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "sum_two_partials", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &op->workspace);
  ocl_arg_view(&launch, first);
  ocl_arg_view(&launch, second);
  ocl_arg_u32(&launch, blocks);
  ocl_arg_u32(&launch, width);
  return ocl_enqueue(&launch, 2, global, local, 0, 0, 8.0 * blocks * width, err);
}

uint64_t ocl_bias_grad_workspace(const struct plm_device *device, const struct plm_op *op) {
  const struct plm_op_bias_grad *o = &op->u.bias_grad;
  (void)device;
  return ocl_groups(o->rows.count, BLOCK) * o->width * sizeof(float);
}

int ocl_bias_grad_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_bias_grad *o = &op->u.bias_grad;
  const uint32_t blocks = (uint32_t)ocl_groups(o->rows.count, BLOCK);
  const uint32_t vectors = queue->device->traits.policy == OCL_CPU ? 4 : 1; /* VECTORS of the kernel */
  struct ocl_launch launch;
  int code = begin(&launch, queue, op, "column_sums", err);
  if (code || blocks == 0)
    return code;
  ocl_arg_view(&launch, &o->dy);
  ocl_arg_view(&launch, &op->workspace);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->width);
  ocl_arg_u32(&launch, blocks);
  code = ocl_enqueue_columns(&launch, o->width, vectors * queue->device->traits.vector, blocks, 4.0 * o->rows.count, err);
  return code ? code : ocl_sum_partials(queue, op, &o->dbias, blocks, o->width, err);
}
