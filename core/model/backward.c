#include "model/builder.h"

static void layer_norm_grad(struct plm_builder *b, struct plm_view dy, struct plm_view x, struct plm_view mean,
                            struct plm_view rstd, const struct plm_tensor *gain, const struct plm_tensor *bias,
                            struct plm_view dx, uint32_t flags, uint32_t symbol) {
  struct plm_op op = plm_builder_op(PLM_OP_LAYER_NORM_GRAD, flags);
  op.u.layer_norm_grad = (struct plm_op_layer_norm_grad){.dy = dy,
                                                         .x = x,
                                                         .gamma = plm_builder_param(b, gain),
                                                         .mean = mean,
                                                         .rstd = rstd,
                                                         .dx = dx,
                                                         .dgamma = plm_builder_grad(b, gain),
                                                         .dbeta = plm_builder_grad(b, bias),
                                                         .rows = plm_builder_extent(b, symbol),
                                                         .width = gain->cols};
  plm_builder_emit(b, op);
}

/* dW += dy^T x and dbias += column sums of dy. */
static void weight_grad(struct plm_builder *b, struct plm_view dy, struct plm_view x, const struct plm_tensor *weight,
                        const struct plm_tensor *bias, uint32_t symbol) {
  struct plm_op op = plm_builder_op(PLM_OP_LINEAR_GRAD_WEIGHT, PLM_FLAG_BIAS);
  op.u.linear_grad_weight = (struct plm_op_linear_grad_weight){.dy = dy,
                                                               .x = x,
                                                               .dw = plm_builder_grad(b, weight),
                                                               .dbias = plm_builder_grad(b, bias),
                                                               .rows = plm_builder_extent(b, symbol),
                                                               .in = weight->cols,
                                                               .out = weight->rows};
  if (plm_builder_accepts(b, &op)) {
    plm_builder_emit(b, op);
    return;
  }
  plm_builder_note(b, "linear_grad_weight+bias");
  op.flags = 0;
  op.u.linear_grad_weight.dbias = (struct plm_view){0};
  plm_builder_emit(b, op);
  struct plm_op sums = plm_builder_op(PLM_OP_BIAS_GRAD, 0);
  sums.u.bias_grad = (struct plm_op_bias_grad){.dy = dy,
                                               .dbias = plm_builder_grad(b, bias),
                                               .rows = plm_builder_extent(b, symbol),
                                               .width = weight->rows};
  plm_builder_emit(b, sums);
}

static void gelu_grad(struct plm_builder *b, struct plm_view dy, struct plm_view pre, uint32_t width, uint32_t symbol) {
  struct plm_op op = plm_builder_op(PLM_OP_GELU_GRAD, 0);
  op.u.gelu_grad = (struct plm_op_gelu_grad){
      .dy = dy, .x = pre, .dx = dy, .rows = plm_builder_extent(b, symbol), .width = width};
  plm_builder_emit(b, op);
}

/* dx = dy W, times gelu'(pre) when pre is given. */
static void input_grad(struct plm_builder *b, struct plm_view dy, const struct plm_tensor *weight, struct plm_view dx,
                       struct plm_view pre, uint32_t symbol) {
  struct plm_op op = plm_builder_op(PLM_OP_LINEAR_GRAD_INPUT, pre.bytes ? PLM_FLAG_GELU : 0);
  op.u.linear_grad_input = (struct plm_op_linear_grad_input){.dy = dy,
                                                             .w = plm_builder_param(b, weight),
                                                             .pre = pre,
                                                             .dx = dx,
                                                             .rows = plm_builder_extent(b, symbol),
                                                             .in = weight->cols,
                                                             .out = weight->rows};
  if (!pre.bytes || plm_builder_accepts(b, &op)) {
    plm_builder_emit(b, op);
    return;
  }
  plm_builder_note(b, "linear_grad_input+gelu");
  op.flags = 0;
  op.u.linear_grad_input.pre = (struct plm_view){0};
  plm_builder_emit(b, op);
  gelu_grad(b, dx, pre, weight->cols, symbol);
}

static void attention_grad(struct plm_builder *b, const struct plm_layer_views *v, struct plm_view d_o,
                           struct plm_view dqkv) {
  struct plm_shape shape = b->model->layout.shape;
  uint32_t head_size = shape.width / shape.heads;
  struct plm_op op = plm_builder_op(PLM_OP_ATTENTION_GRAD, b->rotary_fused ? PLM_FLAG_ROTARY : 0);
  op.u.attention_grad = (struct plm_op_attention_grad){.qkv = v->qkv,
                                                       .offsets = plm_builder_offsets(b),
                                                       .o = v->o,
                                                       .lse = v->lse,
                                                       .d_o = d_o,
                                                       .dqkv = dqkv,
                                                       .rows = plm_builder_extent(b, PLM_EXTENT_TOKENS),
                                                       .sequences = plm_builder_extent(b, PLM_EXTENT_SEQUENCES),
                                                       .heads = shape.heads,
                                                       .head_size = head_size,
                                                       .length_max = b->model->capacity.length_max,
                                                       .table_rows = b->model->capacity.length_max,
                                                       .scale = plm_scaling_attention(b->model->layout.scaling, head_size)};
  if (b->rotary_fused) {
    op.u.attention_grad.positions = plm_builder_positions(b);
    op.u.attention_grad.cosine = plm_builder_cosine(b);
    op.u.attention_grad.sine = plm_builder_sine(b);
    plm_builder_emit(b, op);
    return;
  }
  plm_builder_emit(b, op);
  struct plm_op back = plm_builder_op(PLM_OP_ROTARY, PLM_FLAG_INVERSE);
  back.u.rotary = (struct plm_op_rotary){.qkv = dqkv,
                                         .positions = plm_builder_positions(b),
                                         .cosine = plm_builder_cosine(b),
                                         .sine = plm_builder_sine(b),
                                         .rows = plm_builder_extent(b, PLM_EXTENT_TOKENS),
                                         .heads = shape.heads,
                                         .head_size = head_size,
                                         .table_rows = b->model->capacity.length_max};
  plm_builder_emit(b, back);
}

/* From the loss to the gradient of the residual stream after the last layer. */
static void head_grad(struct plm_builder *b) {
  const struct plm_layout *layout = &b->model->layout;
  const struct plm_head_views *h = &b->head;
  const struct plm_scratch_views *s = &b->scratch;
  const struct plm_tensor *embedding = plm_layout_top(layout, PLM_EMBED_W);
  const uint32_t m = PLM_EXTENT_MASKED;
#define T(which) plm_layout_top(layout, which)
  weight_grad(b, h->logits, h->norm2, embedding, T(PLM_LOGIT_B), m);
  input_grad(b, h->logits, embedding, s->dhead, (struct plm_view){0}, m);
  layer_norm_grad(b, s->dhead, h->act, h->mean2, h->rstd2, T(PLM_HEAD_LN_G), T(PLM_HEAD_LN_B), s->dhead2, 0, m);
  gelu_grad(b, s->dhead2, h->pre, layout->shape.width, m);
  weight_grad(b, s->dhead2, h->norm1, T(PLM_HEAD_W), T(PLM_HEAD_B), m);
  input_grad(b, s->dhead2, T(PLM_HEAD_W), s->dhead, (struct plm_view){0}, m);
  layer_norm_grad(b, s->dhead, h->rows, h->mean1, h->rstd1, T(PLM_FINAL_G), T(PLM_FINAL_B), s->dhead2, 0, m);
#undef T
  struct plm_op scatter = plm_builder_op(PLM_OP_SCATTER_ROWS, 0);
  scatter.u.scatter_rows = (struct plm_op_scatter_rows){.x = s->dhead2,
                                                        .index = plm_builder_rows(b),
                                                        .y = s->dx,
                                                        .rows = plm_builder_extent(b, m),
                                                        .target = plm_builder_extent(b, PLM_EXTENT_TOKENS),
                                                        .width = layout->shape.width};
  plm_builder_emit(b, scatter);
}

/* dx holds the gradient at the layer's output and, at the end, at its input. */
static void layer_grad(struct plm_builder *b, uint32_t index) {
  const struct plm_layout *layout = &b->model->layout;
  const struct plm_layer_views *v = &b->layers[index];
  const struct plm_scratch_views *s = &b->scratch;
  const struct plm_view none = {0};
  const uint32_t t = PLM_EXTENT_TOKENS;
#define T(which) plm_layout_layer(layout, index, which)
  weight_grad(b, s->dx, v->act, T(PLM_DOWN_W), T(PLM_DOWN_B), t);
  input_grad(b, s->dx, T(PLM_DOWN_W), s->dwide, v->pre, t);
  weight_grad(b, s->dwide, v->norm2, T(PLM_UP_W), T(PLM_UP_B), t);
  input_grad(b, s->dwide, T(PLM_UP_W), s->dnarrow, none, t);
  layer_norm_grad(b, s->dnarrow, v->x_mid, v->mean2, v->rstd2, T(PLM_LN2_G), T(PLM_LN2_B), s->dx, PLM_FLAG_ACCUMULATE, t);
  weight_grad(b, s->dx, v->o, T(PLM_OUT_W), T(PLM_OUT_B), t);
  input_grad(b, s->dx, T(PLM_OUT_W), s->dnarrow, none, t);
  attention_grad(b, v, s->dnarrow, s->dwide);
  weight_grad(b, s->dwide, v->norm1, T(PLM_QKV_W), T(PLM_QKV_B), t);
  input_grad(b, s->dwide, T(PLM_QKV_W), s->dnarrow, none, t);
  layer_norm_grad(b, s->dnarrow, v->x, v->mean1, v->rstd1, T(PLM_LN1_G), T(PLM_LN1_B), s->dx, PLM_FLAG_ACCUMULATE, t);
#undef T
}

void plm_build_backward(struct plm_builder *b) {
  const struct plm_layout *layout = &b->model->layout;
  head_grad(b);
  for (uint32_t l = layout->shape.layers; l-- > 0;)
    layer_grad(b, l);
  struct plm_op embed = plm_builder_op(PLM_OP_EMBED_GRAD, 0);
  embed.u.embed_grad = (struct plm_op_embed_grad){.dy = b->scratch.dx,
                                                  .tokens = plm_builder_tokens(b),
                                                  .scale = plm_builder_scale(b),
                                                  .dtable = plm_builder_grad(b, plm_layout_top(layout, PLM_EMBED_W)),
                                                  .rows = plm_builder_extent(b, PLM_EXTENT_TOKENS),
                                                  .vocabulary = PLM_VOCABULARY,
                                                  .width = layout->shape.width};
  plm_builder_emit(b, embed);
}
