/* Layer norm and its gradient: kernels/norm.cl. */
#include "opencl.h"

#define BLOCK 32 /* rows of one pair of partial sums, as in the kernel */

static int begin(struct ocl_launch *launch, struct plm_queue *queue, const struct plm_op *op, const char *name,
                 struct plm_error *err) {
  const struct ocl_kernel *kernel;
  const int code = ocl_kernel(&kernel, queue->device, "norm", "", name, err);
  if (!code)
    ocl_begin(launch, queue, op, kernel);
  return code;
}

int ocl_layer_norm_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_layer_norm *o = &op->u.layer_norm;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "layer_norm", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &o->x);
  ocl_arg_view(&launch, &o->gamma);
  ocl_arg_view(&launch, &o->beta);
  ocl_arg_view(&launch, &o->y);
  ocl_arg_view(&launch, &o->mean);
  ocl_arg_view(&launch, &o->rstd);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->width);
  ocl_arg_f32(&launch, o->epsilon);
  return ocl_enqueue_rows(&launch, o->rows.count, 8.0 * o->width, err);
}

uint64_t ocl_layer_norm_grad_workspace(const struct plm_device *device, const struct plm_op *op) {
  const struct plm_op_layer_norm_grad *o = &op->u.layer_norm_grad;
  (void)device;
  return ocl_groups(o->rows.count, BLOCK) * 2 * o->width * sizeof(float);
}

static void bind_rows(struct ocl_launch *launch, const struct plm_op *op) {
  const struct plm_op_layer_norm_grad *o = &op->u.layer_norm_grad;
  ocl_arg_view(launch, &o->dy);
  ocl_arg_view(launch, &o->x);
  ocl_arg_view(launch, &o->gamma);
  ocl_arg_view(launch, &o->mean);
  ocl_arg_view(launch, &o->rstd);
  ocl_arg_view(launch, &o->dx);
}

static int rows_on_cpu(struct plm_queue *queue, const struct plm_op *op, uint32_t blocks, struct plm_error *err) {
  const struct plm_op_layer_norm_grad *o = &op->u.layer_norm_grad;
  const size_t global = blocks, local = 1;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "layer_norm_grad", err);
  if (code)
    return code;
  bind_rows(&launch, op);
  ocl_arg_view(&launch, &op->workspace);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->width);
  ocl_arg_u32(&launch, op->flags & PLM_FLAG_ACCUMULATE ? 1 : 0);
  return ocl_enqueue(&launch, 1, &global, &local, 0, 0, 24.0 * o->rows.count * o->width, err);
}

static int rows_on_gpu(struct plm_queue *queue, const struct plm_op *op, uint32_t blocks, struct plm_error *err) {
  const struct plm_op_layer_norm_grad *o = &op->u.layer_norm_grad;
  struct ocl_launch launch;
  int code = begin(&launch, queue, op, "layer_norm_grad", err);
  if (code)
    return code;
  bind_rows(&launch, op);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->width);
  ocl_arg_u32(&launch, op->flags & PLM_FLAG_ACCUMULATE ? 1 : 0);
  code = ocl_enqueue_rows(&launch, o->rows.count, 24.0 * o->width, err);
  if (!code)
    code = begin(&launch, queue, op, "layer_norm_sums", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &o->dy);
  ocl_arg_view(&launch, &o->x);
  ocl_arg_view(&launch, &o->mean);
  ocl_arg_view(&launch, &o->rstd);
  ocl_arg_view(&launch, &op->workspace);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->width);
  ocl_arg_u32(&launch, blocks);
  return ocl_enqueue_columns(&launch, o->width, queue->device->traits.vector, blocks, 8.0 * o->rows.count, err);
}

int ocl_layer_norm_grad_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_layer_norm_grad *o = &op->u.layer_norm_grad;
  const uint32_t blocks = (uint32_t)ocl_groups(o->rows.count, BLOCK);
  if (blocks == 0)
    return PLM_OK;
  const int code = queue->device->traits.policy == OCL_CPU ? rows_on_cpu(queue, op, blocks, err)
                                                           : rows_on_gpu(queue, op, blocks, err);
  return code ? code : ocl_sum_two_partials(queue, op, &o->dgamma, &o->dbeta, blocks, o->width, err);
}
