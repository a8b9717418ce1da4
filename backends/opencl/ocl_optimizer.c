/* The norm of all gradients, and AdamW: kernels/optimizer.cl. */
#include "opencl.h"
#include "plmscale/op_rules.h"

#define BLOCK 4096 /* elements of one partial sum, as in the kernel */

static int begin(struct ocl_launch *launch, struct plm_queue *queue, const struct plm_op *op, const char *name,
                 struct plm_error *err) {
  const struct ocl_kernel *kernel;
  const int code = ocl_kernel(&kernel, queue->device, "optimizer", "", name, err);
  if (!code)
    ocl_begin(launch, queue, op, kernel);
  return code;
}

/* Sums of all blocks, then the bits of their largest elements. */
uint64_t ocl_grad_norm_workspace(const struct plm_device *device, const struct plm_op *op) {
  (void)device;
  return ocl_groups(op->u.grad_norm.count, BLOCK) * 2 * sizeof(float);
}

int ocl_grad_norm_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_grad_norm *o = &op->u.grad_norm;
  const uint64_t blocks = ocl_groups(o->count, BLOCK);
  const size_t items = OCL_GROUP_ITEMS(queue->device), global = blocks * items;
  struct ocl_launch launch;
  if (blocks > UINT32_MAX)
    return plm_rules_error(err, PLM_E_UNSUPPORTED, op, "count %llu: too many for one norm", (unsigned long long)o->count);
  int code = begin(&launch, queue, op, "norm_blocks", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &o->grads);
  ocl_arg_view(&launch, &op->workspace);
  ocl_arg_view_at(&launch, &op->workspace, blocks);
  ocl_arg_u64(&launch, o->count);
  code = ocl_enqueue(&launch, 1, &global, &items, 0, 0, 4.0 * (double)o->count, err);
  if (!code)
    code = begin(&launch, queue, op, "norm_total", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &op->workspace);
  ocl_arg_view_at(&launch, &op->workspace, blocks);
  ocl_arg_view(&launch, &o->out);
  ocl_arg_u32(&launch, (uint32_t)blocks);
  ocl_arg_f32(&launch, o->norm_max);
  return ocl_enqueue(&launch, 1, &items, &items, -1, 0, 8.0 * (double)blocks, err);
}

int ocl_adamw_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_adamw *o = &op->u.adamw;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "adamw", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &o->params);
  ocl_arg_view(&launch, &o->grads);
  ocl_arg_view(&launch, &o->m);
  ocl_arg_view(&launch, &o->v);
  ocl_arg_view(&launch, &o->control);
  ocl_arg_view(&launch, &o->schedule);
  ocl_arg_u64(&launch, o->count);
  ocl_arg_f32(&launch, o->beta1);
  ocl_arg_f32(&launch, (float)(1.0 - (double)o->beta1));
  ocl_arg_f32(&launch, o->beta2);
  ocl_arg_f32(&launch, (float)(1.0 - (double)o->beta2));
  ocl_arg_f32(&launch, o->epsilon);
  ocl_arg_f32(&launch, o->decay);
  ocl_arg_f32(&launch, o->rate_scale);
  return ocl_enqueue_chunks(&launch, o->count, 28, err);
}
