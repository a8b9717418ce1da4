/* What the files of this backend share. One file per family of ops, in the order of backend.h. */
#ifndef TEMPLATE_OPS_H
#define TEMPLATE_OPS_H

#include <plmscale/backend.h>
#include <plmscale/op_rules.h>

/* Ours to define: the host never looks inside. This device is the host's own memory, and a queue runs an op at once. */
struct plm_device {
  const struct plm_host *host;
};
struct plm_queue {
  struct plm_device *device;
};
struct plm_buffer {
  struct plm_device *device;
  unsigned char *data;
  uint64_t bytes;
};

/* The array behind a view. NULL when nothing is bound, which only views without elements may be. */
static inline float *f32(const struct plm_view *view) {
  return view->buffer ? (float *)(void *)(view->buffer->data + view->offset) : NULL;
}
static inline int32_t *i32(const struct plm_view *view) {
  return view->buffer ? (int32_t *)(void *)(view->buffer->data + view->offset) : NULL;
}

int ops_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err);
int ops_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);

/* PLM_OK when values[0..count) are each in 0..limit-1: what a buffer holds is checked before it is used as an index. */
int check_index(const struct plm_op *op, const char *name, const int32_t *values, uint64_t count, uint64_t limit,
                struct plm_error *err);

/* Bytes of workspace that an op needs for its largest extents. */
uint64_t workspace_attention(const struct plm_op *op);
uint64_t workspace_attention_grad(const struct plm_op *op);

/*
 * One function per op, to be written one after the other; the table in template_ops.c says which are there. Called when
 * the verdict is SUPPORTED and every operand lies in its buffer.
 */
int run_fill(const struct plm_op *op, struct plm_error *err);
int run_embed(const struct plm_op *op, struct plm_error *err);
int run_embed_grad(const struct plm_op *op, struct plm_error *err);
int run_layer_norm(const struct plm_op *op, struct plm_error *err);
int run_layer_norm_grad(const struct plm_op *op, struct plm_error *err);
int run_linear(const struct plm_op *op, struct plm_error *err);
int run_linear_grad_input(const struct plm_op *op, struct plm_error *err);
int run_linear_grad_weight(const struct plm_op *op, struct plm_error *err);
int run_bias(const struct plm_op *op, struct plm_error *err);
int run_bias_grad(const struct plm_op *op, struct plm_error *err);
int run_gelu(const struct plm_op *op, struct plm_error *err);
int run_gelu_grad(const struct plm_op *op, struct plm_error *err);
int run_add(const struct plm_op *op, struct plm_error *err);
int run_rotary(const struct plm_op *op, struct plm_error *err);
int run_attention(const struct plm_op *op, struct plm_error *err);
int run_attention_grad(const struct plm_op *op, struct plm_error *err);
int run_gather_rows(const struct plm_op *op, struct plm_error *err);
int run_scatter_rows(const struct plm_op *op, struct plm_error *err);
int run_softmax_loss(const struct plm_op *op, struct plm_error *err);
int run_reduce_sum(const struct plm_op *op, struct plm_error *err);
int run_grad_norm(const struct plm_op *op, struct plm_error *err);
int run_adamw(const struct plm_op *op, struct plm_error *err);
int run_record(const struct plm_op *op, struct plm_error *err);

#endif
