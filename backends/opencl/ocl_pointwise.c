/* Element-wise ops and bias: kernels/pointwise.cl. */
#include "opencl.h"

static int begin(struct ocl_launch *launch, struct plm_queue *queue, const struct plm_op *op, const char *name,
                 struct plm_error *err) {
  const struct ocl_kernel *kernel;
  const int code = ocl_kernel(&kernel, queue->device, "pointwise", "", name, err);
  if (!code)
    ocl_begin(launch, queue, op, kernel);
  return code;
}

int ocl_fill_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "fill", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &op->u.fill.x);
  ocl_arg_u64(&launch, op->u.fill.count);
  ocl_arg_f32(&launch, op->u.fill.value);
  return ocl_enqueue_chunks(&launch, op->u.fill.count, 4, err);
}

int ocl_gelu_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const uint64_t count = (uint64_t)op->u.gelu.rows.count * op->u.gelu.width;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "gelu_forward", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &op->u.gelu.x);
  ocl_arg_view(&launch, &op->u.gelu.y);
  ocl_arg_u64(&launch, count);
  return ocl_enqueue_chunks(&launch, count, 8, err);
}

int ocl_gelu_grad_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const uint64_t count = (uint64_t)op->u.gelu_grad.rows.count * op->u.gelu_grad.width;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "gelu_grad", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &op->u.gelu_grad.dy);
  ocl_arg_view(&launch, &op->u.gelu_grad.x);
  ocl_arg_view(&launch, &op->u.gelu_grad.dx);
  ocl_arg_u64(&launch, count);
  return ocl_enqueue_chunks(&launch, count, 12, err);
}

int ocl_add_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const uint64_t count = (uint64_t)op->u.add.rows.count * op->u.add.width;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "add", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &op->u.add.a);
  ocl_arg_view(&launch, &op->u.add.b);
  ocl_arg_view(&launch, &op->u.add.y);
  ocl_arg_u64(&launch, count);
  return ocl_enqueue_chunks(&launch, count, 12, err);
}

int ocl_bias_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_bias *o = &op->u.bias;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "bias_add", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &o->y);
  ocl_arg_view(&launch, &o->bias);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->width);
  return ocl_enqueue_rows(&launch, o->rows.count, 8.0 * o->width, err);
}
