/* Ops that move rows: kernels/embed.cl; and rotary: kernels/rotary.cl. */
#include <stdio.h>

#include "opencl.h"

static int begin(struct ocl_launch *launch, struct plm_queue *queue, const struct plm_op *op, const char *name,
                 struct plm_error *err) {
  const struct ocl_kernel *kernel;
  const int code = ocl_kernel(&kernel, queue->device, "embed", "", name, err);
  if (!code)
    ocl_begin(launch, queue, op, kernel);
  return code;
}

int ocl_embed_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_embed *o = &op->u.embed;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "embed", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &o->table);
  ocl_arg_view(&launch, &o->tokens);
  ocl_arg_view(&launch, &o->scale);
  ocl_arg_view(&launch, &o->y);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->vocabulary);
  ocl_arg_u32(&launch, o->width);
  ocl_arg_fault(&launch, OCL_TOKENS);
  return ocl_enqueue_rows(&launch, o->rows.count, 8.0 * o->width, err);
}

/* ---------------------------------------------------------------- embed_grad */

#define TOKENS 256               /* tokens of a block at least, as in the kernel */
#define PARTIAL_MAX (1u << 24)   /* floats of all blocks' tables at most */

/* Blocks of tokens under the GPU policy, by the op's extents alone. */
static uint64_t token_blocks(const struct plm_op_embed_grad *o) {
  const uint64_t table = (uint64_t)o->vocabulary * o->width, most = table < PARTIAL_MAX ? PARTIAL_MAX / table : 1;
  const uint64_t blocks = ocl_groups(o->rows.count, TOKENS);
  return blocks < most ? blocks : most;
}

uint64_t ocl_embed_grad_workspace(const struct plm_device *device, const struct plm_op *op) {
  const struct plm_op_embed_grad *o = &op->u.embed_grad;
  if (device->traits.policy == OCL_CPU)
    return 0;
  return token_blocks(o) * o->vocabulary * o->width * sizeof(float);
}

static int embed_grad_on_cpu(struct ocl_launch *launch, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_embed_grad *o = &op->u.embed_grad;
  const size_t local = 1, global = ocl_groups(o->width, launch->queue->device->traits.vector);
  ocl_arg_view(launch, &o->dtable);
  ocl_arg_u32(launch, o->rows.count);
  ocl_arg_u32(launch, o->vocabulary);
  ocl_arg_u32(launch, o->width);
  ocl_arg_fault(launch, OCL_TOKENS);
  return ocl_enqueue(launch, 1, &global, &local, 0, 0, 4.0 * o->rows.count * o->width, err);
}

int ocl_embed_grad_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_embed_grad *o = &op->u.embed_grad;
  const uint64_t blocks = token_blocks(o), block_rows = blocks ? ocl_groups(o->rows.count, blocks) : 0;
  struct ocl_launch launch;
  int code = begin(&launch, queue, op, "embed_grad", err);
  if (code || o->rows.count == 0)
    return code;
  ocl_arg_view(&launch, &o->dy);
  ocl_arg_view(&launch, &o->tokens);
  ocl_arg_view(&launch, &o->scale);
  if (queue->device->traits.policy == OCL_CPU)
    return embed_grad_on_cpu(&launch, op, err);
  const size_t local[3] = {OCL_GROUP_ITEMS(queue->device), 1, 1};
  const size_t global[3] = {ocl_up(o->width, local[0]), o->vocabulary, blocks};
  ocl_arg_view(&launch, &op->workspace);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, (uint32_t)block_rows);
  ocl_arg_u32(&launch, o->vocabulary);
  ocl_arg_u32(&launch, o->width);
  ocl_arg_fault(&launch, OCL_TOKENS);
  code = ocl_enqueue(&launch, 3, global, local, 1, 0, 4.0 * o->rows.count * (o->width + (double)o->vocabulary), err);
  return code ? code
              : ocl_sum_partials(queue, op, &o->dtable, (uint32_t)blocks, (uint64_t)o->vocabulary * o->width, err);
}

/* ---------------------------------------------------------------- rows by number */

int ocl_gather_rows_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_gather_rows *o = &op->u.gather_rows;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "gather_rows", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &o->x);
  ocl_arg_view(&launch, &o->index);
  ocl_arg_view(&launch, &o->y);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->source.count);
  ocl_arg_u32(&launch, o->width);
  ocl_arg_fault(&launch, OCL_INDEX);
  return ocl_enqueue_rows(&launch, o->rows.count, 8.0 * o->width, err);
}

int ocl_scatter_rows_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_scatter_rows *o = &op->u.scatter_rows;
  const uint32_t rows = o->rows.count > o->target.count ? o->rows.count : o->target.count;
  struct ocl_launch launch;
  const int code = begin(&launch, queue, op, "scatter_rows", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &o->x);
  ocl_arg_view(&launch, &o->index);
  ocl_arg_view(&launch, &o->y);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->target.count);
  ocl_arg_u32(&launch, o->width);
  ocl_arg_fault(&launch, OCL_INDEX);
  return ocl_enqueue_rows(&launch, rows, 8.0 * o->width, err);
}

/* ---------------------------------------------------------------- rotary */

/* The widest vector that divides half a head. */
static uint32_t turn_of(const struct plm_device *device, uint32_t half) {
  uint32_t turn = device->traits.vector;
  while (half % turn)
    turn /= 2;
  return turn;
}

int ocl_rotary_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_rotary *o = &op->u.rotary;
  const struct ocl_kernel *kernel;
  struct ocl_launch launch;
  char options[32];
  snprintf(options, sizeof options, " -DTURN=%u", turn_of(queue->device, o->head_size / 2));
  const int code = ocl_kernel(&kernel, queue->device, "rotary", options, "rotary", err);
  if (code)
    return code;
  ocl_begin(&launch, queue, op, kernel);
  ocl_arg_view(&launch, &o->qkv);
  ocl_arg_view(&launch, &o->positions);
  ocl_arg_view(&launch, &o->cosine);
  ocl_arg_view(&launch, &o->sine);
  ocl_arg_u32(&launch, o->rows.count);
  ocl_arg_u32(&launch, o->heads);
  ocl_arg_u32(&launch, o->head_size / 2);
  ocl_arg_u32(&launch, o->table_rows);
  ocl_arg_f32(&launch, op->flags & PLM_FLAG_INVERSE ? -1.0f : 1.0f);
  ocl_arg_fault(&launch, OCL_POSITIONS);
  return ocl_enqueue_rows(&launch, o->rows.count, 16.0 * o->heads * o->head_size, err);
}
