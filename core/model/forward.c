#include "model/builder.h"

#define EPSILON 1e-5f /* ESM-2's layer norm epsilon */

static void layer_norm(struct plm_builder *b, struct plm_view x, const struct plm_tensor *gain,
                       const struct plm_tensor *bias, struct plm_view y, struct plm_view mean, struct plm_view rstd,
                       uint32_t symbol) {
  struct plm_op op = plm_builder_op(PLM_OP_LAYER_NORM, 0);
  op.u.layer_norm = (struct plm_op_layer_norm){.x = x,
                                               .gamma = plm_builder_param(b, gain),
                                               .beta = plm_builder_param(b, bias),
                                               .y = y,
                                               .mean = mean,
                                               .rstd = rstd,
                                               .rows = plm_builder_extent(b, symbol),
                                               .width = gain->cols,
                                               .epsilon = EPSILON};
  plm_builder_emit(b, op);
}

/* What a linear layer is made of; bias always, then at most one of GELU (pre) and a residual. */
struct linear {
  struct plm_view x, y, pre, residual;
  const struct plm_tensor *weight, *bias;
  uint32_t symbol;
};

static struct plm_op linear_op(struct plm_builder *b, const struct linear *l, uint32_t flags) {
  struct plm_op op = plm_builder_op(PLM_OP_LINEAR, flags);
  op.u.linear = (struct plm_op_linear){.x = l->x,
                                       .w = plm_builder_param(b, l->weight),
                                       .y = l->y,
                                       .rows = plm_builder_extent(b, l->symbol),
                                       .in = l->weight->cols,
                                       .out = l->weight->rows};
  if (flags & PLM_FLAG_BIAS)
    op.u.linear.bias = plm_builder_param(b, l->bias);
  if (flags & PLM_FLAG_RESIDUAL)
    op.u.linear.residual = l->residual;
  if (flags & PLM_FLAG_GELU)
    op.u.linear.pre = l->pre;
  else if (l->pre.bytes)
    op.u.linear.y = l->pre; /* GELU follows as an op of its own */
  return op;
}

/* y = x W^T + bias, then GELU or the residual: fused as far as the backend goes, the rest as required ops. */
static void linear(struct plm_builder *b, struct linear l) {
  uint32_t last = l.pre.bytes ? PLM_FLAG_GELU : l.residual.bytes ? PLM_FLAG_RESIDUAL : 0;
  struct plm_extent rows = plm_builder_extent(b, l.symbol);
  struct plm_op full = linear_op(b, &l, PLM_FLAG_BIAS | last);
  if (plm_builder_accepts(b, &full)) {
    plm_builder_emit(b, full);
    return;
  }
  struct plm_op biased = linear_op(b, &l, PLM_FLAG_BIAS);
  struct plm_view target = biased.u.linear.y;
  if (last && plm_builder_accepts(b, &biased)) {
    plm_builder_note(b, last == PLM_FLAG_GELU ? "linear+gelu" : "linear+residual");
    plm_builder_emit(b, biased);
  } else {
    plm_builder_note(b, "linear+bias");
    plm_builder_emit(b, linear_op(b, &l, 0));
    struct plm_op bias = plm_builder_op(PLM_OP_BIAS, 0);
    bias.u.bias = (struct plm_op_bias){
        .y = target, .bias = plm_builder_param(b, l.bias), .rows = rows, .width = l.weight->rows};
    plm_builder_emit(b, bias);
  }
  if (last == PLM_FLAG_GELU) {
    struct plm_op gelu = plm_builder_op(PLM_OP_GELU, 0);
    gelu.u.gelu = (struct plm_op_gelu){.x = l.pre, .y = l.y, .rows = rows, .width = l.weight->rows};
    plm_builder_emit(b, gelu);
  } else if (last == PLM_FLAG_RESIDUAL) {
    struct plm_op add = plm_builder_op(PLM_OP_ADD, 0);
    add.u.add = (struct plm_op_add){.a = l.y, .b = l.residual, .y = l.y, .rows = rows, .width = l.weight->rows};
    plm_builder_emit(b, add);
  }
}

static struct plm_op attention_op(struct plm_builder *b, const struct plm_layer_views *v, uint32_t flags) {
  struct plm_shape shape = b->model->layout.shape;
  uint32_t head_size = shape.width / shape.heads;
  struct plm_op op = plm_builder_op(PLM_OP_ATTENTION, flags);
  op.u.attention = (struct plm_op_attention){.qkv = v->qkv,
                                             .offsets = plm_builder_offsets(b),
                                             .o = v->o,
                                             .lse = v->lse,
                                             .rows = plm_builder_extent(b, PLM_EXTENT_TOKENS),
                                             .sequences = plm_builder_extent(b, PLM_EXTENT_SEQUENCES),
                                             .heads = shape.heads,
                                             .head_size = head_size,
                                             .length_max = b->model->capacity.length_max,
                                             .table_rows = b->model->capacity.length_max,
                                             .scale = plm_scaling_attention(b->model->layout.scaling, head_size)};
  if (flags & PLM_FLAG_ROTARY) {
    op.u.attention.positions = plm_builder_positions(b);
    op.u.attention.cosine = plm_builder_cosine(b);
    op.u.attention.sine = plm_builder_sine(b);
  }
  return op;
}

static void attention(struct plm_builder *b, const struct plm_layer_views *v) {
  struct plm_shape shape = b->model->layout.shape;
  if (!b->rotary_fused) {
    struct plm_op op = plm_builder_op(PLM_OP_ROTARY, 0);
    op.u.rotary = (struct plm_op_rotary){.qkv = v->qkv,
                                         .positions = plm_builder_positions(b),
                                         .cosine = plm_builder_cosine(b),
                                         .sine = plm_builder_sine(b),
                                         .rows = plm_builder_extent(b, PLM_EXTENT_TOKENS),
                                         .heads = shape.heads,
                                         .head_size = shape.width / shape.heads,
                                         .table_rows = b->model->capacity.length_max};
    plm_builder_note(b, "attention+rotary");
    plm_builder_emit(b, op);
  }
  plm_builder_emit(b, attention_op(b, v, b->rotary_fused ? PLM_FLAG_ROTARY : 0));
}

/* One pre-LN block: x_mid = x + out(attention(ln(x))), y = x_mid + down(gelu(up(ln(x_mid)))). */
static void layer(struct plm_builder *b, uint32_t index, const struct plm_layer_views *v, struct plm_view y) {
  const struct plm_layout *layout = &b->model->layout;
#define T(which) plm_layout_layer(layout, index, which)
  layer_norm(b, v->x, T(PLM_LN1_G), T(PLM_LN1_B), v->norm1, v->mean1, v->rstd1, PLM_EXTENT_TOKENS);
  linear(b, (struct linear){.x = v->norm1, .y = v->qkv, .weight = T(PLM_QKV_W), .bias = T(PLM_QKV_B),
                            .symbol = PLM_EXTENT_TOKENS});
  attention(b, v);
  linear(b, (struct linear){.x = v->o, .y = v->x_mid, .residual = v->x, .weight = T(PLM_OUT_W), .bias = T(PLM_OUT_B),
                            .symbol = PLM_EXTENT_TOKENS});
  layer_norm(b, v->x_mid, T(PLM_LN2_G), T(PLM_LN2_B), v->norm2, v->mean2, v->rstd2, PLM_EXTENT_TOKENS);
  linear(b, (struct linear){.x = v->norm2, .y = v->act, .pre = v->pre, .weight = T(PLM_UP_W), .bias = T(PLM_UP_B),
                            .symbol = PLM_EXTENT_TOKENS});
  linear(b, (struct linear){.x = v->act, .y = y, .residual = v->x_mid, .weight = T(PLM_DOWN_W), .bias = T(PLM_DOWN_B),
                            .symbol = PLM_EXTENT_TOKENS});
#undef T
}

/* The head runs on the selected rows only: gather, final norm, dense + GELU, norm, logits against the embedding. */
static void head(struct plm_builder *b) {
  const struct plm_layout *layout = &b->model->layout;
  const struct plm_head_views *h = &b->head;
  const struct plm_tensor *embedding = plm_layout_top(layout, PLM_EMBED_W);
#define T(which) plm_layout_top(layout, which)
  struct plm_op gather = plm_builder_op(PLM_OP_GATHER_ROWS, 0);
  gather.u.gather_rows = (struct plm_op_gather_rows){.x = b->x_last,
                                                     .index = plm_builder_rows(b),
                                                     .y = h->rows,
                                                     .rows = plm_builder_extent(b, PLM_EXTENT_MASKED),
                                                     .source = plm_builder_extent(b, PLM_EXTENT_TOKENS),
                                                     .width = layout->shape.width};
  plm_builder_emit(b, gather);
  layer_norm(b, h->rows, T(PLM_FINAL_G), T(PLM_FINAL_B), h->norm1, h->mean1, h->rstd1, PLM_EXTENT_MASKED);
  linear(b, (struct linear){.x = h->norm1, .y = h->act, .pre = h->pre, .weight = T(PLM_HEAD_W), .bias = T(PLM_HEAD_B),
                            .symbol = PLM_EXTENT_MASKED});
  layer_norm(b, h->act, T(PLM_HEAD_LN_G), T(PLM_HEAD_LN_B), h->norm2, h->mean2, h->rstd2, PLM_EXTENT_MASKED);
  linear(b, (struct linear){.x = h->norm2, .y = h->logits, .weight = embedding, .bias = T(PLM_LOGIT_B),
                            .symbol = PLM_EXTENT_MASKED});
#undef T
}

void plm_build_forward(struct plm_builder *b, int keep) {
  const struct plm_layout *layout = &b->model->layout;
  struct plm_op embed = plm_builder_op(PLM_OP_EMBED, 0);
  embed.u.embed = (struct plm_op_embed){.table = plm_builder_param(b, plm_layout_top(layout, PLM_EMBED_W)),
                                        .tokens = plm_builder_tokens(b),
                                        .scale = plm_builder_scale(b),
                                        .y = b->layers[0].x,
                                        .rows = plm_builder_extent(b, PLM_EXTENT_TOKENS),
                                        .vocabulary = PLM_VOCABULARY,
                                        .width = layout->shape.width};
  plm_builder_emit(b, embed);
  /* Rotation inside attention is taken only where the gradient has it too: both must read qkv the same way. */
  struct plm_op rotary = attention_op(b, &b->layers[0], PLM_FLAG_ROTARY);
  struct plm_op rotary_grad = plm_builder_op(PLM_OP_ATTENTION_GRAD, PLM_FLAG_ROTARY);
  const struct plm_op_attention *a = &rotary.u.attention;
  rotary_grad.u.attention_grad = (struct plm_op_attention_grad){
      .rows = a->rows, .sequences = a->sequences, .heads = a->heads, .head_size = a->head_size,
      .length_max = a->length_max, .table_rows = a->table_rows, .scale = a->scale};
  b->rotary_fused = plm_builder_accepts(b, &rotary) && plm_builder_accepts(b, &rotary_grad);
  for (uint32_t l = 0; l < layout->shape.layers; l++) {
    /* Without backward every layer uses the first one's room, and the residual stream goes round in it. */
    const struct plm_layer_views *v = &b->layers[keep ? l : 0];
    struct plm_view y = !keep ? v->x : l + 1 < layout->shape.layers ? b->layers[l + 1].x : b->x_last;
    layer(b, l, v, y);
  }
  struct plm_view last = b->x_last;
  if (!keep)
    b->x_last = b->layers[0].x;
  head(b);
  b->x_last = last;
}
