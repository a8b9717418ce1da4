/* The table of ops: what is supported, and how it is run. */
#include "cblas_ops.h"

struct kind {
  int (*run)(const struct plm_op *op, struct plm_error *err);
  uint64_t (*workspace)(const struct plm_op *op); /* NULL: needs none */
  int products;                                   /* 1: calls CBLAS */
};

static const struct kind kinds[PLM_OP_COUNT] = {
    [PLM_OP_FILL] = {run_fill, NULL, 0},
    [PLM_OP_EMBED] = {run_embed, NULL, 0},
    [PLM_OP_EMBED_GRAD] = {run_embed_grad, NULL, 0},
    [PLM_OP_LAYER_NORM] = {run_layer_norm, NULL, 0},
    [PLM_OP_LAYER_NORM_GRAD] = {run_layer_norm_grad, NULL, 0},
    [PLM_OP_LINEAR] = {run_linear, NULL, 1},
    [PLM_OP_LINEAR_GRAD_INPUT] = {run_linear_grad_input, NULL, 1},
    [PLM_OP_LINEAR_GRAD_WEIGHT] = {run_linear_grad_weight, NULL, 1},
    [PLM_OP_BIAS] = {run_bias, NULL, 0},
    [PLM_OP_BIAS_GRAD] = {run_bias_grad, NULL, 0},
    [PLM_OP_GELU] = {run_gelu, NULL, 0},
    [PLM_OP_GELU_GRAD] = {run_gelu_grad, NULL, 0},
    [PLM_OP_ADD] = {run_add, NULL, 0},
    [PLM_OP_ROTARY] = {run_rotary, NULL, 0},
    [PLM_OP_ATTENTION] = {run_attention, workspace_attention, 1},
    [PLM_OP_ATTENTION_GRAD] = {run_attention_grad, workspace_attention_grad, 1},
    [PLM_OP_GATHER_ROWS] = {run_gather_rows, NULL, 0},
    [PLM_OP_SCATTER_ROWS] = {run_scatter_rows, NULL, 0},
    [PLM_OP_SOFTMAX_LOSS] = {run_softmax_loss, NULL, 0},
    [PLM_OP_REDUCE_SUM] = {run_reduce_sum, NULL, 0},
    [PLM_OP_GRAD_NORM] = {run_grad_norm, NULL, 0},
    [PLM_OP_ADAMW] = {run_adamw, NULL, 0},
    [PLM_OP_RECORD] = {run_record, NULL, 0},
};

/* The optional flags taken, by op: none. The host then asks for the same with required ops. */
static const uint32_t flags_taken[PLM_OP_COUNT] = {0};

/* The most that an op makes CBLAS count to, beyond extents that the rules bound already. */
static uint64_t count_max(const struct plm_op *op) {
  switch (op->kind) {
  case PLM_OP_LINEAR:
    return op->u.linear.rows.count;
  case PLM_OP_LINEAR_GRAD_INPUT:
    return op->u.linear_grad_input.rows.count;
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    return op->u.linear_grad_weight.rows.count;
  case PLM_OP_ATTENTION:
    return 3 * (uint64_t)op->u.attention.heads * op->u.attention.head_size;
  case PLM_OP_ATTENTION_GRAD:
    return 3 * (uint64_t)op->u.attention_grad.heads * op->u.attention_grad.head_size;
  default:
    return 0;
  }
}

static int judge(const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  const int code = plm_rules_judge(out, op, flags_taken, err);
  if (code || out->status != PLM_VERDICT_SUPPORTED)
    return code;
  const struct kind *kind = &kinds[op->kind];
  if (kind->products && count_max(op) > INT32_MAX)
    plm_rules_refuse(out, PLM_REASON_SHAPE, "%" PRIu64 " rows or columns: CBLAS counts to %" PRId32, count_max(op),
                     INT32_MAX);
  /* The bits of a product may depend on the number of threads, which we know of OpenBLAS alone. */
  if (kind->products && !openblas_set_num_threads)
    out->deterministic = 0;
  if (kind->workspace)
    out->workspace_bytes = kind->workspace(op);
  return PLM_OK;
}

int ops_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  struct plm_verdict verdict;
  const int code = judge(op, &verdict, err);
  (void)device;
  if (code)
    return code;
  plm_table_copy(out, out->struct_size, &verdict);
  return PLM_OK;
}

static uint64_t buffer_bytes(const struct plm_buffer *buffer) { return buffer->bytes; }

/* Nothing runs that op_query would refuse, and nothing that could touch memory outside its buffers. */
int ops_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct plm_verdict verdict;
  int code = judge(op, &verdict, err);
  (void)queue;
  if (code)
    return code;
  if (verdict.status != PLM_VERDICT_SUPPORTED)
    return plm_rules_error(err, PLM_E_UNSUPPORTED, op, "%s", verdict.text);
  code = plm_rules_bind(op, verdict.workspace_bytes, buffer_bytes, err);
  return code ? code : kinds[op->kind].run(op, err);
}

int check_index(const struct plm_op *op, const char *name, const int32_t *values, uint64_t count, uint64_t limit,
                struct plm_error *err) {
  for (uint64_t i = 0; i < count; i++)
    if (values[i] < 0 || (uint64_t)values[i] >= limit)
      return plm_rules_error(err, PLM_E_INVALID, op, "%s[%" PRIu64 "] = %" PRId32 " is not in 0..%" PRIu64, name, i,
                             values[i], limit - 1);
  return PLM_OK;
}
