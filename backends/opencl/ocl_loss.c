/* The head's loss, its sum, and the record of a step: kernels/loss.cl. */
#include "opencl.h"

static int begin(struct ocl_launch *launch, struct plm_queue *queue, const struct plm_op *op, const char *name,
                 struct plm_error *err) {
  const struct ocl_kernel *kernel;
  const int code = ocl_kernel(&kernel, queue->device, "loss", "", name, err);
  if (!code)
    ocl_begin(launch, queue, op, kernel);
  return code;
}

int ocl_softmax_loss_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_softmax_loss *o = &op->u.softmax_loss;
  const uint32_t gradient = op->flags & PLM_FLAG_GRADIENT ? 1 : 0;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "softmax_loss", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &o->logits);
  ocl_arg_view(&launch, &o->targets);
  ocl_arg_view(&launch, &o->scale);
  ocl_arg_view(&launch, &o->loss);
  ocl_arg_view(&launch, gradient ? &o->dlogits : &o->logits);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->vocabulary);
  ocl_arg_u32(&launch, gradient);
  ocl_arg_fault(&launch, OCL_TARGETS);
  return ocl_enqueue_rows(&launch, o->rows.count, 8.0 * o->vocabulary, err);
}

int ocl_reduce_sum_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_reduce_sum *o = &op->u.reduce_sum;
  const size_t items = OCL_GROUP_ITEMS(queue->device);
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "reduce_sum", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &o->x);
  ocl_arg_view(&launch, &o->weights);
  ocl_arg_view(&launch, &o->out);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->weights.bytes ? 1 : 0);
  ocl_arg_u32(&launch, op->flags & PLM_FLAG_ACCUMULATE ? 1 : 0);
  return ocl_enqueue(&launch, 1, &items, &items, -1, 0, 8.0 * o->rows.count, err);
}

int ocl_record_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_record *o = &op->u.record;
  const size_t one = 1;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "record", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &o->x);
  ocl_arg_view(&launch, &o->index);
  ocl_arg_view(&launch, &o->log);
  ocl_arg_u32(&launch, o->count);
  ocl_arg_u32(&launch, o->capacity);
  ocl_arg_fault(&launch, OCL_INDEX);
  return ocl_enqueue(&launch, 1, &one, &one, -1, 0, 8.0 * o->count, err);
}
