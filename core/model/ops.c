#include "model/ops.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

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

#define HAS(flag) ((op->flags & PLM_FLAG_##flag) != 0)

/* Floats of the ops that multiply matrices. */
static double product_floats(const struct plm_op *op, double rows) {
  double in, out;
  switch (op->kind) {
  case PLM_OP_LINEAR:
    in = op->u.linear.in, out = op->u.linear.out;
    return rows * in + in * out + HAS(BIAS) * out +
           rows * out * (1 + HAS(RESIDUAL) + (HAS(GELU) && op->u.linear.pre.bytes > 0));
  case PLM_OP_LINEAR_GRAD_INPUT:
    in = op->u.linear_grad_input.in, out = op->u.linear_grad_input.out;
    return rows * out + in * out + rows * in * (1 + HAS(ACCUMULATE) + HAS(GELU));
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    in = op->u.linear_grad_weight.in, out = op->u.linear_grad_weight.out;
    return rows * (in + out) + 2 * in * out + HAS(BIAS) * 2 * out;
  default:
    return 0;
  }
}

/* Floats of attention and its rotation; ids and offsets weigh as much as floats. */
static double attention_floats(const struct plm_op *op, double rows, double sequences) {
  const struct plm_op_attention *a = &op->u.attention;
  const struct plm_op_attention_grad *g = &op->u.attention_grad;
  const struct plm_op_rotary *r = &op->u.rotary;
  switch (op->kind) {
  case PLM_OP_ROTARY:
    return rows * (4.0 * r->heads * r->head_size + 1) + (double)r->table_rows * r->head_size;
  case PLM_OP_ATTENTION:
    return rows * a->heads * (4.0 * a->head_size + 1) + sequences + 1 +
           HAS(ROTARY) * (rows + (double)a->table_rows * a->head_size);
  case PLM_OP_ATTENTION_GRAD:
    return rows * g->heads * (8.0 * g->head_size + 1) + sequences + 1 +
           HAS(ROTARY) * (rows + (double)g->table_rows * g->head_size);
  default:
    return 0;
  }
}

/* Floats of the ops that work row by row. */
static double row_floats(const struct plm_op *op, const struct plm_extents *extents, double rows) {
  double width;
  switch (op->kind) {
  case PLM_OP_EMBED:
    width = op->u.embed.width;
    return op->u.embed.vocabulary * width + rows * (width + 2);
  case PLM_OP_EMBED_GRAD:
    width = op->u.embed_grad.width;
    return 2 * op->u.embed_grad.vocabulary * width + rows * (width + 2);
  case PLM_OP_LAYER_NORM:
    width = op->u.layer_norm.width;
    return rows * (2 * width + 2) + 2 * width;
  case PLM_OP_LAYER_NORM_GRAD:
    width = op->u.layer_norm_grad.width;
    return rows * ((3 + HAS(ACCUMULATE)) * width + 2) + 5 * width;
  case PLM_OP_BIAS:
    return (2 * rows + 1) * op->u.bias.width;
  case PLM_OP_BIAS_GRAD:
    return (rows + 2) * op->u.bias_grad.width;
  case PLM_OP_GELU:
    return 2 * rows * op->u.gelu.width;
  case PLM_OP_GELU_GRAD:
    return 3 * rows * op->u.gelu_grad.width;
  case PLM_OP_ADD:
    return 3 * rows * op->u.add.width;
  case PLM_OP_GATHER_ROWS:
    return rows * (2.0 * op->u.gather_rows.width + 1);
  case PLM_OP_SCATTER_ROWS:
    return rows * (op->u.scatter_rows.width + 1.0) + rows_of(op->u.scatter_rows.target, extents) * op->u.scatter_rows.width;
  case PLM_OP_SOFTMAX_LOSS:
    return rows * ((1.0 + HAS(GRADIENT)) * op->u.softmax_loss.vocabulary + 2) + HAS(GRADIENT);
  case PLM_OP_REDUCE_SUM:
    return rows * (1 + (op->u.reduce_sum.weights.bytes > 0)) + 1 + HAS(ACCUMULATE);
  default:
    return 0;
  }
}

double plm_op_bytes(const struct plm_op *op, const struct plm_extents *extents) {
  struct plm_op copy = *op;
  uint32_t count;
  const struct plm_extent *extent = plm_op_extents(&copy, &count);
  double rows = count ? rows_of(extent[0], extents) : 0;
  double sequences = count > 1 ? rows_of(extent[1], extents) : 0;
  switch (op->kind) {
  case PLM_OP_FILL:
    return 4.0 * (double)op->u.fill.count;
  case PLM_OP_GRAD_NORM:
    return 4 * ((double)op->u.grad_norm.count + 4);
  case PLM_OP_ADAMW:
    return 4 * (7.0 * (double)op->u.adamw.count + 7);
  case PLM_OP_RECORD:
    return 4 * (2.0 * op->u.record.count + 1);
  default:
    return 4 * (product_floats(op, rows) + attention_floats(op, rows, sequences) + row_floats(op, extents, rows));
  }
}

static size_t describe_flags(char *text, size_t room, const struct plm_op *op) {
  static const struct {
    uint32_t flag;
    const char *word;
  } words[] = {{PLM_FLAG_BIAS, "bias "},           {PLM_FLAG_GELU, "gelu "},       {PLM_FLAG_RESIDUAL, "residual "},
               {PLM_FLAG_ACCUMULATE, "accumulate "}, {PLM_FLAG_CAUSAL, "causal "}, {PLM_FLAG_ROTARY, "rotary "},
               {PLM_FLAG_INVERSE, "inverse "},     {PLM_FLAG_GRADIENT, "gradient "}};
  size_t used = 0;
  for (size_t i = 0; i < sizeof words / sizeof *words && used < room; i++)
    if (op->flags & words[i].flag)
      used += (size_t)snprintf(text + used, room - used, "%s", words[i].word);
  return used < room ? used : room;
}

static void describe_width(char *text, size_t room, const struct plm_op *op) {
  const uint32_t widths[PLM_OP_COUNT] = {[PLM_OP_EMBED] = op->u.embed.width,
                                         [PLM_OP_EMBED_GRAD] = op->u.embed_grad.width,
                                         [PLM_OP_LAYER_NORM] = op->u.layer_norm.width,
                                         [PLM_OP_LAYER_NORM_GRAD] = op->u.layer_norm_grad.width,
                                         [PLM_OP_BIAS] = op->u.bias.width,
                                         [PLM_OP_BIAS_GRAD] = op->u.bias_grad.width,
                                         [PLM_OP_GELU] = op->u.gelu.width,
                                         [PLM_OP_GELU_GRAD] = op->u.gelu_grad.width,
                                         [PLM_OP_ADD] = op->u.add.width,
                                         [PLM_OP_GATHER_ROWS] = op->u.gather_rows.width,
                                         [PLM_OP_SCATTER_ROWS] = op->u.scatter_rows.width,
                                         [PLM_OP_SOFTMAX_LOSS] = op->u.softmax_loss.vocabulary};
  const uint64_t counts[PLM_OP_COUNT] = {[PLM_OP_FILL] = op->u.fill.count,
                                         [PLM_OP_GRAD_NORM] = op->u.grad_norm.count,
                                         [PLM_OP_ADAMW] = op->u.adamw.count,
                                         [PLM_OP_RECORD] = op->u.record.count};
  if (op->kind < PLM_OP_COUNT && widths[op->kind])
    snprintf(text, room, "width %u", widths[op->kind]);
  else if (op->kind < PLM_OP_COUNT && counts[op->kind])
    snprintf(text, room, "count %llu", (unsigned long long)counts[op->kind]);
}

void plm_op_describe(char *text, size_t room, const struct plm_op *op) {
  if (room == 0)
    return;
  text[0] = '\0';
  const size_t used = describe_flags(text, room, op);
  char *rest = text + used;
  room -= used;
  switch (op->kind) {
  case PLM_OP_LINEAR:
    snprintf(rest, room, "in %u out %u", op->u.linear.in, op->u.linear.out);
    break;
  case PLM_OP_LINEAR_GRAD_INPUT:
    snprintf(rest, room, "in %u out %u", op->u.linear_grad_input.in, op->u.linear_grad_input.out);
    break;
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    snprintf(rest, room, "in %u out %u", op->u.linear_grad_weight.in, op->u.linear_grad_weight.out);
    break;
  case PLM_OP_ROTARY:
    snprintf(rest, room, "heads %u of %u", op->u.rotary.heads, op->u.rotary.head_size);
    break;
  case PLM_OP_ATTENTION:
    snprintf(rest, room, "heads %u of %u", op->u.attention.heads, op->u.attention.head_size);
    break;
  case PLM_OP_ATTENTION_GRAD:
    snprintf(rest, room, "heads %u of %u", op->u.attention_grad.heads, op->u.attention_grad.head_size);
    break;
  default:
    describe_width(rest, room, op);
  }
}

struct plm_extents plm_op_extents_now(const struct plm_op *op) {
  struct plm_extents now = {0};
  struct plm_op copy = *op;
  uint32_t count;
  const struct plm_extent *extents = plm_op_extents(&copy, &count);
  for (uint32_t i = 0; i < count; i++)
    switch (extents[i].symbol) {
    case PLM_EXTENT_TOKENS:
      now.tokens = extents[i].count;
      break;
    case PLM_EXTENT_SEQUENCES:
      now.sequences = extents[i].count;
      break;
    case PLM_EXTENT_MASKED:
      now.masked = extents[i].count;
      break;
    }
  return now;
}

void plm_op_title(char out[PLM_OP_TEXT], const struct plm_op *op) {
  static const char *const flags[] = {"accumulate", "bias",   "gelu",    "residual",
                                      "causal",     "rotary", "inverse", "gradient"};
  int used = snprintf(out, PLM_OP_TEXT, "%s", plm_op_name(op->kind));
  for (uint32_t i = 0; i < sizeof flags / sizeof *flags; i++)
    if (op->flags >> i & 1)
      used += snprintf(out + used, PLM_OP_TEXT - (size_t)used, "+%s", flags[i]);
}

/* The 32-bit numbers that follow the extents: width, or in and out, in every op with rows. */
static const uint32_t *fixed_extents(const struct plm_op *op, struct plm_op *copy) {
  uint32_t count;
  *copy = *op;
  const struct plm_extent *extents = plm_op_extents(copy, &count);
  return (const uint32_t *)(const void *)(extents + count);
}

void plm_op_shape(char out[PLM_OP_TEXT], const struct plm_op *op) {
  struct plm_op copy;
  uint32_t count;
  const uint32_t *fixed = fixed_extents(op, &copy);
  const struct plm_extent *extents = plm_op_extents(&copy, &count);
  switch (op->kind) {
  case PLM_OP_LINEAR:
  case PLM_OP_LINEAR_GRAD_INPUT:
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    snprintf(out, PLM_OP_TEXT, "%ux%ux%u", extents[0].count, fixed[0], fixed[1]);
    return;
  case PLM_OP_ATTENTION:
  case PLM_OP_ATTENTION_GRAD:
    snprintf(out, PLM_OP_TEXT, "%u tokens, %u sequences, %ux%u", extents[0].count, extents[1].count, fixed[0],
             fixed[1]);
    return;
  case PLM_OP_ROTARY:
    snprintf(out, PLM_OP_TEXT, "%ux%ux%u", extents[0].count, fixed[0], fixed[1]);
    return;
  case PLM_OP_EMBED:
  case PLM_OP_EMBED_GRAD:
    snprintf(out, PLM_OP_TEXT, "%ux%u", extents[0].count, fixed[1]);
    return;
  case PLM_OP_GATHER_ROWS:
  case PLM_OP_SCATTER_ROWS:
    snprintf(out, PLM_OP_TEXT, "%u of %ux%u", extents[0].count, extents[1].count, fixed[0]);
    return;
  case PLM_OP_REDUCE_SUM:
    snprintf(out, PLM_OP_TEXT, "%u", extents[0].count);
    return;
  case PLM_OP_FILL:
    snprintf(out, PLM_OP_TEXT, "%llu", (unsigned long long)op->u.fill.count);
    return;
  case PLM_OP_GRAD_NORM:
    snprintf(out, PLM_OP_TEXT, "%llu", (unsigned long long)op->u.grad_norm.count);
    return;
  case PLM_OP_ADAMW:
    snprintf(out, PLM_OP_TEXT, "%llu", (unsigned long long)op->u.adamw.count);
    return;
  case PLM_OP_RECORD:
    snprintf(out, PLM_OP_TEXT, "%u", op->u.record.count);
    return;
  default:
    if (count)
      snprintf(out, PLM_OP_TEXT, "%ux%u", extents[0].count, fixed[0]);
    else
      snprintf(out, PLM_OP_TEXT, "?");
  }
}
