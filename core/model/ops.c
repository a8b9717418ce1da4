#include "model/ops.h"

#include <stddef.h>

static const struct {
  uint8_t views, extents;
} shapes[PLM_OP_COUNT] = {
    [PLM_OP_FILL] = {1, 0},           [PLM_OP_EMBED] = {4, 1},
    [PLM_OP_EMBED_GRAD] = {4, 1},     [PLM_OP_LAYER_NORM] = {6, 1},
    [PLM_OP_LAYER_NORM_GRAD] = {8, 1}, [PLM_OP_LINEAR] = {6, 1},
    [PLM_OP_LINEAR_GRAD_INPUT] = {4, 1}, [PLM_OP_LINEAR_GRAD_WEIGHT] = {4, 1},
    [PLM_OP_BIAS] = {2, 1},           [PLM_OP_BIAS_GRAD] = {2, 1},
    [PLM_OP_GELU] = {2, 1},           [PLM_OP_GELU_GRAD] = {3, 1},
    [PLM_OP_ADD] = {3, 1},            [PLM_OP_ROTARY] = {4, 1},
    [PLM_OP_ATTENTION] = {7, 2},      [PLM_OP_ATTENTION_GRAD] = {9, 2},
    [PLM_OP_GATHER_ROWS] = {3, 2},    [PLM_OP_SCATTER_ROWS] = {3, 2},
    [PLM_OP_SOFTMAX_LOSS] = {5, 1},   [PLM_OP_REDUCE_SUM] = {3, 1},
    [PLM_OP_GRAD_NORM] = {2, 0},      [PLM_OP_ADAMW] = {6, 0},
    [PLM_OP_RECORD] = {3, 0},
};

/* Views lead every op's struct and extents follow them: the layout that the table above rests on. */
#define EXTENT_AT(type, views) \
  _Static_assert(offsetof(struct type, rows) == (views) * sizeof(struct plm_view), "extents follow the views")
EXTENT_AT(plm_op_embed, 4);
EXTENT_AT(plm_op_embed_grad, 4);
EXTENT_AT(plm_op_layer_norm, 6);
EXTENT_AT(plm_op_layer_norm_grad, 8);
EXTENT_AT(plm_op_linear, 6);
EXTENT_AT(plm_op_linear_grad_input, 4);
EXTENT_AT(plm_op_linear_grad_weight, 4);
EXTENT_AT(plm_op_bias, 2);
EXTENT_AT(plm_op_bias_grad, 2);
EXTENT_AT(plm_op_gelu, 2);
EXTENT_AT(plm_op_gelu_grad, 3);
EXTENT_AT(plm_op_add, 3);
EXTENT_AT(plm_op_rotary, 4);
EXTENT_AT(plm_op_attention, 7);
EXTENT_AT(plm_op_attention_grad, 9);
EXTENT_AT(plm_op_gather_rows, 3);
EXTENT_AT(plm_op_scatter_rows, 3);
EXTENT_AT(plm_op_softmax_loss, 5);
EXTENT_AT(plm_op_reduce_sum, 3);

struct plm_view *plm_op_views(struct plm_op *op, uint32_t *count) {
  *count = op->kind < PLM_OP_COUNT ? shapes[op->kind].views : 0;
  return (struct plm_view *)(void *)op->u.body;
}

struct plm_extent *plm_op_extents(struct plm_op *op, uint32_t *count) {
  uint32_t views;
  struct plm_view *first = plm_op_views(op, &views);
  *count = op->kind < PLM_OP_COUNT ? shapes[op->kind].extents : 0;
  return (struct plm_extent *)(void *)(first + views);
}

static double rows_of(struct plm_extent extent, const struct plm_extents *extents) {
  switch (extent.symbol) {
  case PLM_EXTENT_TOKENS:
    return extents->tokens;
  case PLM_EXTENT_SEQUENCES:
    return extents->sequences;
  case PLM_EXTENT_MASKED:
    return extents->masked;
  default:
    return extent.count;
  }
}

double plm_op_flops(const struct plm_op *op, const struct plm_extents *extents) {
  switch (op->kind) {
  case PLM_OP_LINEAR:
    return 2 * rows_of(op->u.linear.rows, extents) * op->u.linear.in * op->u.linear.out;
  case PLM_OP_LINEAR_GRAD_INPUT:
    return 2 * rows_of(op->u.linear_grad_input.rows, extents) * op->u.linear_grad_input.in * op->u.linear_grad_input.out;
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    return 2 * rows_of(op->u.linear_grad_weight.rows, extents) * op->u.linear_grad_weight.in *
           op->u.linear_grad_weight.out;
  case PLM_OP_ATTENTION:
    return 4 * extents->length_squares * op->u.attention.heads * op->u.attention.head_size;
  case PLM_OP_ATTENTION_GRAD:
    return 8 * extents->length_squares * op->u.attention_grad.heads * op->u.attention_grad.head_size;
  default:
    return 0;
  }
}
