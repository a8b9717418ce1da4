/* What each op must look like: one table of its flags and extents, one of its operands. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cpu.h"

int plm_cpu_error(struct plm_error *err, int code, const struct plm_op *op, const char *format, ...) {
  int used = 0;
  va_list args;
  err->code = code;
  err->native_code = 0;
  err->op_kind = op ? op->kind : 0;
  if (op)
    used = snprintf(err->text, sizeof err->text, "%s (op %" PRIu32 "): ", plm_op_name(op->kind), op->index);
  va_start(args, format);
  vsnprintf(err->text + used, sizeof err->text - (size_t)used, format, args);
  va_end(args);
  return code;
}

#define AT(path) offsetof(struct plm_op, u.path)
#define EXTENT_MAX (1u << 24) /* keeps every product of an op's extents below 2^64, and library indices below 2^31 */

struct rule {
  uint32_t flags;     /* known */
  uint32_t exclusive; /* never together */
  struct {
    const char *name;
    size_t at;
  } dims[3]; /* extents fixed at build time, 1..EXTENT_MAX */
};

#define DIM(op, field) \
  { #field, AT(op.field) }

static const struct rule rules[PLM_OP_COUNT] = {
    [PLM_OP_FILL] = {0, 0, {{0}}},
    [PLM_OP_EMBED] = {0, 0, {DIM(embed, vocabulary), DIM(embed, width)}},
    [PLM_OP_EMBED_GRAD] = {0, 0, {DIM(embed_grad, vocabulary), DIM(embed_grad, width)}},
    [PLM_OP_LAYER_NORM] = {0, 0, {DIM(layer_norm, width)}},
    [PLM_OP_LAYER_NORM_GRAD] = {PLM_FLAG_ACCUMULATE, 0, {DIM(layer_norm_grad, width)}},
    [PLM_OP_LINEAR] = {PLM_FLAG_BIAS | PLM_FLAG_GELU | PLM_FLAG_RESIDUAL,
                       PLM_FLAG_GELU | PLM_FLAG_RESIDUAL,
                       {DIM(linear, in), DIM(linear, out)}},
    [PLM_OP_LINEAR_GRAD_INPUT] = {PLM_FLAG_ACCUMULATE | PLM_FLAG_GELU,
                                  PLM_FLAG_ACCUMULATE | PLM_FLAG_GELU,
                                  {DIM(linear_grad_input, in), DIM(linear_grad_input, out)}},
    [PLM_OP_LINEAR_GRAD_WEIGHT] = {PLM_FLAG_BIAS, 0, {DIM(linear_grad_weight, in), DIM(linear_grad_weight, out)}},
    [PLM_OP_BIAS] = {0, 0, {DIM(bias, width)}},
    [PLM_OP_BIAS_GRAD] = {0, 0, {DIM(bias_grad, width)}},
    [PLM_OP_GELU] = {0, 0, {DIM(gelu, width)}},
    [PLM_OP_GELU_GRAD] = {0, 0, {DIM(gelu_grad, width)}},
    [PLM_OP_ADD] = {0, 0, {DIM(add, width)}},
    [PLM_OP_ROTARY] = {PLM_FLAG_INVERSE, 0, {DIM(rotary, heads), DIM(rotary, head_size), DIM(rotary, table_rows)}},
    [PLM_OP_ATTENTION] = {PLM_FLAG_CAUSAL | PLM_FLAG_ROTARY,
                          0,
                          {DIM(attention, heads), DIM(attention, head_size), DIM(attention, length_max)}},
    [PLM_OP_ATTENTION_GRAD] = {PLM_FLAG_CAUSAL | PLM_FLAG_ROTARY,
                               0,
                               {DIM(attention_grad, heads), DIM(attention_grad, head_size),
                                DIM(attention_grad, length_max)}},
    [PLM_OP_GATHER_ROWS] = {0, 0, {DIM(gather_rows, width)}},
    [PLM_OP_SCATTER_ROWS] = {0, 0, {DIM(scatter_rows, width)}},
    [PLM_OP_SOFTMAX_LOSS] = {PLM_FLAG_GRADIENT, 0, {DIM(softmax_loss, vocabulary)}},
    [PLM_OP_REDUCE_SUM] = {PLM_FLAG_ACCUMULATE, 0, {{0}}},
    [PLM_OP_GRAD_NORM] = {0, 0, {{0}}},
    [PLM_OP_ADAMW] = {0, 0, {{0}}},
    [PLM_OP_RECORD] = {0, 0, {DIM(record, count), DIM(record, capacity)}},
};

__attribute__((format(printf, 3, 4))) static void refuse(struct plm_verdict *out, uint32_t reason, const char *format,
                                                         ...) {
  va_list args;
  out->status = PLM_VERDICT_UNSUPPORTED;
  out->reason = reason;
  va_start(args, format);
  vsnprintf(out->text, sizeof out->text, format, args);
  va_end(args);
}

static uint32_t field(const struct plm_op *op, size_t at) {
  uint32_t value;
  memcpy(&value, (const unsigned char *)op + at, sizeof value);
  return value;
}

static void judge_attributes(struct plm_verdict *out, const struct plm_op *op) {
  uint32_t size = 0, rows = 1;
  if (op->kind == PLM_OP_ROTARY)
    size = op->u.rotary.head_size;
  else if (op->kind == PLM_OP_ATTENTION)
    size = op->u.attention.head_size, rows = op->flags & PLM_FLAG_ROTARY ? op->u.attention.table_rows : 1;
  else if (op->kind == PLM_OP_ATTENTION_GRAD)
    size = op->u.attention_grad.head_size, rows = op->flags & PLM_FLAG_ROTARY ? op->u.attention_grad.table_rows : 1;
  else if (op->kind == PLM_OP_LAYER_NORM && !(op->u.layer_norm.epsilon >= 0.0f))
    refuse(out, PLM_REASON_SHAPE, "epsilon %g: must be at least 0", (double)op->u.layer_norm.epsilon);
  else if (op->kind == PLM_OP_GRAD_NORM && !(op->u.grad_norm.norm_max >= 0.0f))
    refuse(out, PLM_REASON_SHAPE, "norm_max %g: must be at least 0", (double)op->u.grad_norm.norm_max);
  if (size % 2)
    refuse(out, PLM_REASON_SHAPE, "head_size %" PRIu32 ": must be even", size);
  else if (rows == 0)
    refuse(out, PLM_REASON_SHAPE, "table_rows 0: must be at least 1");
}

void plm_cpu_op_judge(struct plm_verdict *out, const struct plm_op *op) {
  *out = (struct plm_verdict){
      .struct_size = sizeof *out, .status = PLM_VERDICT_SUPPORTED, .deterministic = 1, .preference = 100};
  if (op->kind == 0 || op->kind >= PLM_OP_COUNT) {
    refuse(out, PLM_REASON_UNKNOWN_OP, "op id %" PRIu32 " is unknown, known are 1 to %u", op->kind, PLM_OP_COUNT - 1);
    return;
  }
  const struct rule *rule = &rules[op->kind];
  if (op->type != PLM_TYPE_F32) {
    refuse(out, PLM_REASON_TYPE, "type %" PRIu32 ": must be f32 (%u)", op->type, PLM_TYPE_F32);
    return;
  }
  if (op->flags & ~rule->flags) {
    refuse(out, PLM_REASON_FLAG, "flags 0x%" PRIx32 " are unknown for this op, known are 0x%" PRIx32,
           op->flags & ~rule->flags, rule->flags);
    return;
  }
  if (rule->exclusive && (op->flags & rule->exclusive) == rule->exclusive) {
    refuse(out, PLM_REASON_FLAG, "flags 0x%" PRIx32 " exclude each other", rule->exclusive);
    return;
  }
  for (size_t i = 0; i < 3 && rule->dims[i].name; i++) {
    uint32_t value = field(op, rule->dims[i].at);
    if (value < 1 || value > EXTENT_MAX) {
      refuse(out, PLM_REASON_SHAPE, "%s %" PRIu32 ": must be in 1..%u", rule->dims[i].name, value, EXTENT_MAX);
      return;
    }
  }
  judge_attributes(out, op);
}

/* ------------------------------------------------------------------ operands */

/* An operand holds times * dims[0] * dims[1] * dims[2] + more elements; offsets 0 stand for 1. */
struct operand {
  uint32_t kind, flag; /* asked for only under this flag, 0: always */
  const char *name;
  size_t view;
  uint32_t type, align, times, more;
  size_t dims[3];
};

#define F32 PLM_TYPE_F32
#define I32 PLM_TYPE_I32
#define OPERAND(KIND, op, field, type, ...)                                 \
  {                                                                         \
    PLM_OP_##KIND, 0, #field, AT(op.field), type, 64, 1, 0, { __VA_ARGS__ } \
  }
#define UNDER(FLAG, KIND, op, field, type, ...)                                           \
  {                                                                                       \
    PLM_OP_##KIND, PLM_FLAG_##FLAG, #field, AT(op.field), type, 64, 1, 0, { __VA_ARGS__ } \
  }
#define SMALL(KIND, op, field, type, align, n, ...)                            \
  {                                                                            \
    PLM_OP_##KIND, 0, #field, AT(op.field), type, align, n, 0, { __VA_ARGS__ } \
  }
#define HEADS(KIND, op, field, times)                                                                          \
  {                                                                                                            \
    PLM_OP_##KIND, 0, #field, AT(op.field), F32, 64, times, 0, { AT(op.rows), AT(op.heads), AT(op.head_size) } \
  }
#define OFFSETS(KIND, op)                                                            \
  {                                                                                  \
    PLM_OP_##KIND, 0, "offsets", AT(op.offsets), I32, 64, 1, 1, { AT(op.sequences) } \
  }

static const struct operand operands[] = {
    OPERAND(EMBED, embed, table, F32, AT(embed.vocabulary), AT(embed.width)),
    OPERAND(EMBED, embed, tokens, I32, AT(embed.rows)),
    OPERAND(EMBED, embed, scale, F32, AT(embed.rows)),
    OPERAND(EMBED, embed, y, F32, AT(embed.rows), AT(embed.width)),
    OPERAND(EMBED_GRAD, embed_grad, dy, F32, AT(embed_grad.rows), AT(embed_grad.width)),
    OPERAND(EMBED_GRAD, embed_grad, tokens, I32, AT(embed_grad.rows)),
    OPERAND(EMBED_GRAD, embed_grad, scale, F32, AT(embed_grad.rows)),
    OPERAND(EMBED_GRAD, embed_grad, dtable, F32, AT(embed_grad.vocabulary), AT(embed_grad.width)),
    OPERAND(LAYER_NORM, layer_norm, x, F32, AT(layer_norm.rows), AT(layer_norm.width)),
    OPERAND(LAYER_NORM, layer_norm, gamma, F32, AT(layer_norm.width)),
    OPERAND(LAYER_NORM, layer_norm, beta, F32, AT(layer_norm.width)),
    OPERAND(LAYER_NORM, layer_norm, y, F32, AT(layer_norm.rows), AT(layer_norm.width)),
    OPERAND(LAYER_NORM, layer_norm, mean, F32, AT(layer_norm.rows)),
    OPERAND(LAYER_NORM, layer_norm, rstd, F32, AT(layer_norm.rows)),
    OPERAND(LAYER_NORM_GRAD, layer_norm_grad, dy, F32, AT(layer_norm_grad.rows), AT(layer_norm_grad.width)),
    OPERAND(LAYER_NORM_GRAD, layer_norm_grad, x, F32, AT(layer_norm_grad.rows), AT(layer_norm_grad.width)),
    OPERAND(LAYER_NORM_GRAD, layer_norm_grad, gamma, F32, AT(layer_norm_grad.width)),
    OPERAND(LAYER_NORM_GRAD, layer_norm_grad, mean, F32, AT(layer_norm_grad.rows)),
    OPERAND(LAYER_NORM_GRAD, layer_norm_grad, rstd, F32, AT(layer_norm_grad.rows)),
    OPERAND(LAYER_NORM_GRAD, layer_norm_grad, dx, F32, AT(layer_norm_grad.rows), AT(layer_norm_grad.width)),
    OPERAND(LAYER_NORM_GRAD, layer_norm_grad, dgamma, F32, AT(layer_norm_grad.width)),
    OPERAND(LAYER_NORM_GRAD, layer_norm_grad, dbeta, F32, AT(layer_norm_grad.width)),
    OPERAND(LINEAR, linear, x, F32, AT(linear.rows), AT(linear.in)),
    OPERAND(LINEAR, linear, w, F32, AT(linear.out), AT(linear.in)),
    UNDER(BIAS, LINEAR, linear, bias, F32, AT(linear.out)),
    UNDER(RESIDUAL, LINEAR, linear, residual, F32, AT(linear.rows), AT(linear.out)),
    OPERAND(LINEAR, linear, y, F32, AT(linear.rows), AT(linear.out)),
    OPERAND(LINEAR_GRAD_INPUT, linear_grad_input, dy, F32, AT(linear_grad_input.rows), AT(linear_grad_input.out)),
    OPERAND(LINEAR_GRAD_INPUT, linear_grad_input, w, F32, AT(linear_grad_input.out), AT(linear_grad_input.in)),
    UNDER(GELU, LINEAR_GRAD_INPUT, linear_grad_input, pre, F32, AT(linear_grad_input.rows), AT(linear_grad_input.in)),
    OPERAND(LINEAR_GRAD_INPUT, linear_grad_input, dx, F32, AT(linear_grad_input.rows), AT(linear_grad_input.in)),
    OPERAND(LINEAR_GRAD_WEIGHT, linear_grad_weight, dy, F32, AT(linear_grad_weight.rows), AT(linear_grad_weight.out)),
    OPERAND(LINEAR_GRAD_WEIGHT, linear_grad_weight, x, F32, AT(linear_grad_weight.rows), AT(linear_grad_weight.in)),
    OPERAND(LINEAR_GRAD_WEIGHT, linear_grad_weight, dw, F32, AT(linear_grad_weight.out), AT(linear_grad_weight.in)),
    UNDER(BIAS, LINEAR_GRAD_WEIGHT, linear_grad_weight, dbias, F32, AT(linear_grad_weight.out)),
    OPERAND(BIAS, bias, y, F32, AT(bias.rows), AT(bias.width)),
    OPERAND(BIAS, bias, bias, F32, AT(bias.width)),
    OPERAND(BIAS_GRAD, bias_grad, dy, F32, AT(bias_grad.rows), AT(bias_grad.width)),
    OPERAND(BIAS_GRAD, bias_grad, dbias, F32, AT(bias_grad.width)),
    OPERAND(GELU, gelu, x, F32, AT(gelu.rows), AT(gelu.width)),
    OPERAND(GELU, gelu, y, F32, AT(gelu.rows), AT(gelu.width)),
    OPERAND(GELU_GRAD, gelu_grad, dy, F32, AT(gelu_grad.rows), AT(gelu_grad.width)),
    OPERAND(GELU_GRAD, gelu_grad, x, F32, AT(gelu_grad.rows), AT(gelu_grad.width)),
    OPERAND(GELU_GRAD, gelu_grad, dx, F32, AT(gelu_grad.rows), AT(gelu_grad.width)),
    OPERAND(ADD, add, a, F32, AT(add.rows), AT(add.width)),
    OPERAND(ADD, add, b, F32, AT(add.rows), AT(add.width)),
    OPERAND(ADD, add, y, F32, AT(add.rows), AT(add.width)),
    HEADS(ROTARY, rotary, qkv, 3),
    OPERAND(ROTARY, rotary, positions, I32, AT(rotary.rows)),
    HEADS(ATTENTION, attention, qkv, 3),
    OFFSETS(ATTENTION, attention),
    UNDER(ROTARY, ATTENTION, attention, positions, I32, AT(attention.rows)),
    HEADS(ATTENTION, attention, o, 1),
    OPERAND(ATTENTION, attention, lse, F32, AT(attention.rows), AT(attention.heads)),
    HEADS(ATTENTION_GRAD, attention_grad, qkv, 3),
    OFFSETS(ATTENTION_GRAD, attention_grad),
    UNDER(ROTARY, ATTENTION_GRAD, attention_grad, positions, I32, AT(attention_grad.rows)),
    HEADS(ATTENTION_GRAD, attention_grad, o, 1),
    OPERAND(ATTENTION_GRAD, attention_grad, lse, F32, AT(attention_grad.rows), AT(attention_grad.heads)),
    HEADS(ATTENTION_GRAD, attention_grad, d_o, 1),
    HEADS(ATTENTION_GRAD, attention_grad, dqkv, 3),
    OPERAND(GATHER_ROWS, gather_rows, x, F32, AT(gather_rows.source), AT(gather_rows.width)),
    OPERAND(GATHER_ROWS, gather_rows, index, I32, AT(gather_rows.rows)),
    OPERAND(GATHER_ROWS, gather_rows, y, F32, AT(gather_rows.rows), AT(gather_rows.width)),
    OPERAND(SCATTER_ROWS, scatter_rows, x, F32, AT(scatter_rows.rows), AT(scatter_rows.width)),
    OPERAND(SCATTER_ROWS, scatter_rows, index, I32, AT(scatter_rows.rows)),
    OPERAND(SCATTER_ROWS, scatter_rows, y, F32, AT(scatter_rows.target), AT(scatter_rows.width)),
    OPERAND(SOFTMAX_LOSS, softmax_loss, logits, F32, AT(softmax_loss.rows), AT(softmax_loss.vocabulary)),
    OPERAND(SOFTMAX_LOSS, softmax_loss, targets, I32, AT(softmax_loss.rows)),
    {PLM_OP_SOFTMAX_LOSS, PLM_FLAG_GRADIENT, "scale", AT(softmax_loss.scale), F32, 4, 1, 0, {0}},
    OPERAND(SOFTMAX_LOSS, softmax_loss, loss, F32, AT(softmax_loss.rows)),
    UNDER(GRADIENT, SOFTMAX_LOSS, softmax_loss, dlogits, F32, AT(softmax_loss.rows), AT(softmax_loss.vocabulary)),
    OPERAND(REDUCE_SUM, reduce_sum, x, F32, AT(reduce_sum.rows)),
    SMALL(REDUCE_SUM, reduce_sum, out, F32, 4, 1, 0),
    SMALL(GRAD_NORM, grad_norm, out, F32, 16, 4, 0),
    SMALL(ADAMW, adamw, control, F32, 16, 4, 0),
    SMALL(ADAMW, adamw, schedule, F32, 4, 3, 0),
    SMALL(RECORD, record, x, F32, 4, 1, AT(record.count)),
    SMALL(RECORD, record, index, I32, 4, 1, 0),
    OPERAND(RECORD, record, log, F32, AT(record.capacity), AT(record.count)),
};

static int bind(const struct plm_op *op, const struct plm_view *v, const char *name, uint32_t type, uint32_t align,
                uint64_t elements, uint32_t size, struct plm_error *err) {
  uint64_t need;
  if (__builtin_mul_overflow(elements, size, &need))
    return plm_cpu_error(err, PLM_E_INVALID, op, "view \"%s\": %" PRIu64 " elements overflow", name, elements);
  if (need == 0)
    return PLM_OK;
  if (!v->buffer)
    return plm_cpu_error(err, PLM_E_INVALID, op, "view \"%s\": no buffer is bound, %" PRIu64 " bytes are needed", name,
                         need);
  if (type && v->type != type)
    return plm_cpu_error(err, PLM_E_INVALID, op, "view \"%s\": type %" PRIu32 ", must be %" PRIu32, name, v->type,
                         type);
  if (v->offset % align)
    return plm_cpu_error(err, PLM_E_INVALID, op, "view \"%s\": offset %" PRIu64 " is not a multiple of %" PRIu32, name,
                         v->offset, align);
  if (v->bytes < need)
    return plm_cpu_error(err, PLM_E_INVALID, op, "view \"%s\": %" PRIu64 " bytes, %" PRIu64 " are needed", name,
                         v->bytes, need);
  if (v->offset > v->buffer->bytes || v->bytes > v->buffer->bytes - v->offset)
    return plm_cpu_error(err, PLM_E_INVALID, op,
                         "view \"%s\": offset %" PRIu64 " + %" PRIu64 " bytes reach past the buffer's %" PRIu64, name,
                         v->offset, v->bytes, v->buffer->bytes);
  return PLM_OK;
}

static const struct plm_view *view_at(const struct plm_op *op, size_t at) {
  return (const struct plm_view *)(const void *)((const unsigned char *)op + at);
}

/* Rotary tables and views that may be absent or have a 64-bit extent: what the table cannot say. */
static int bind_special(const struct plm_op *op, struct plm_error *err) {
  static const size_t arrays[] = {AT(adamw.params), AT(adamw.grads), AT(adamw.m), AT(adamw.v)};
  static const char *const names[] = {"params", "grads", "m", "v"};
  int code = PLM_OK;
  size_t cosine = 0, sine = 0;
  uint64_t angles = 0;
  switch (op->kind) {
  case PLM_OP_FILL:
    return bind(op, &op->u.fill.x, "x", F32, 64, op->u.fill.count, 4, err);
  case PLM_OP_GRAD_NORM:
    return bind(op, &op->u.grad_norm.grads, "grads", F32, 64, op->u.grad_norm.count, 4, err);
  case PLM_OP_ADAMW:
    for (int i = 0; i < 4 && !code; i++)
      code = bind(op, view_at(op, arrays[i]), names[i], F32, 64, op->u.adamw.count, 4, err);
    return code;
  case PLM_OP_REDUCE_SUM:
    return op->u.reduce_sum.weights.bytes
               ? bind(op, &op->u.reduce_sum.weights, "weights", F32, 64, op->u.reduce_sum.rows.count, 4, err)
               : PLM_OK;
  case PLM_OP_LINEAR:
    if (!(op->flags & PLM_FLAG_GELU) || !op->u.linear.pre.bytes)
      return PLM_OK;
    return bind(op, &op->u.linear.pre, "pre", F32, 64, (uint64_t)op->u.linear.rows.count * op->u.linear.out, 4, err);
  case PLM_OP_ROTARY:
    cosine = AT(rotary.cosine), sine = AT(rotary.sine);
    angles = (uint64_t)op->u.rotary.table_rows * (op->u.rotary.head_size / 2);
    break;
  case PLM_OP_ATTENTION:
    cosine = AT(attention.cosine), sine = AT(attention.sine);
    angles = (uint64_t)op->u.attention.table_rows * (op->u.attention.head_size / 2);
    break;
  case PLM_OP_ATTENTION_GRAD:
    cosine = AT(attention_grad.cosine), sine = AT(attention_grad.sine);
    angles = (uint64_t)op->u.attention_grad.table_rows * (op->u.attention_grad.head_size / 2);
    break;
  default:
    return PLM_OK;
  }
  if (op->kind != PLM_OP_ROTARY && !(op->flags & PLM_FLAG_ROTARY))
    return PLM_OK;
  code = bind(op, view_at(op, cosine), "cosine", F32, 64, angles, 4, err);
  return code ? code : bind(op, view_at(op, sine), "sine", F32, 64, angles, 4, err);
}

int plm_cpu_op_bind(const struct plm_op *op, uint64_t workspace_bytes, struct plm_error *err) {
  static const size_t count = sizeof operands / sizeof *operands;
  size_t i = 0;
  while (i < count && operands[i].kind != op->kind)
    i++;
  for (; i < count && operands[i].kind == op->kind; i++) {
    const struct operand *o = &operands[i];
    uint64_t elements = o->times;
    int overflow = 0;
    if (o->flag && !(op->flags & o->flag))
      continue;
    for (int d = 0; d < 3 && o->dims[d]; d++)
      overflow |= __builtin_mul_overflow(elements, (uint64_t)field(op, o->dims[d]), &elements);
    if (overflow)
      elements = UINT64_MAX;
    int code = bind(op, view_at(op, o->view), o->name, o->type, o->align, elements + (overflow ? 0 : o->more), 4, err);
    if (code)
      return code;
  }
  int code = bind_special(op, err);
  return code ? code : bind(op, &op->workspace, "workspace", 0, 64, workspace_bytes, 1, err);
}

uint64_t plm_cpu_op_work(const struct plm_op *op) {
  switch (op->kind) {
  case PLM_OP_LINEAR:
    return (uint64_t)op->u.linear.rows.count * op->u.linear.in * op->u.linear.out / 8;
  case PLM_OP_LINEAR_GRAD_INPUT:
    return (uint64_t)op->u.linear_grad_input.rows.count * op->u.linear_grad_input.in * op->u.linear_grad_input.out / 8;
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    return (uint64_t)op->u.linear_grad_weight.rows.count * op->u.linear_grad_weight.in * op->u.linear_grad_weight.out /
           8;
  case PLM_OP_REDUCE_SUM:
  case PLM_OP_RECORD:
    return 0;
  default:
    break;
  }
  uint64_t bytes = 0; /* of the largest operand */
  for (size_t i = 0; i < sizeof operands / sizeof *operands; i++)
    if (operands[i].kind == op->kind && view_at(op, operands[i].view)->bytes > bytes)
      bytes = view_at(op, operands[i].view)->bytes;
  if (op->kind == PLM_OP_FILL)
    bytes = op->u.fill.count * 4;
  else if (op->kind == PLM_OP_GRAD_NORM)
    bytes = op->u.grad_norm.count * 4;
  else if (op->kind == PLM_OP_ADAMW)
    bytes = op->u.adamw.count * 16;
  int attention = op->kind == PLM_OP_ATTENTION || op->kind == PLM_OP_ATTENTION_GRAD;
  return bytes / 32 * (attention ? 32 : 1);
}
