/*
 * plmscale/op_rules.h: what backend.h says about each op, as tables and checks that a backend may use instead of writing
 * its own: the verdict on an op's id, type, flags, extents and attributes (op_query), and whether all of its operands lie
 * in their buffers, typed, aligned, large enough and apart from each other (op_run).
 *
 * Inline functions without state: a plugin carries its own copy and still links to nothing. A backend that supports less
 * than the rules allow asks them first and then refuses the rest itself.
 */
#ifndef PLMSCALE_OP_RULES_H
#define PLMSCALE_OP_RULES_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "plmscale/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PLM_RULES_FORMAT(string, first) __attribute__((format(printf, string, first)))
#else
#define PLM_RULES_FORMAT(string, first)
#endif

/* Fills *err and returns code. op, which the message then names, may be NULL. */
static inline int plm_rules_error(struct plm_error *err, int code, const struct plm_op *op, const char *format, ...)
    PLM_RULES_FORMAT(4, 5);
static inline int plm_rules_error(struct plm_error *err, int code, const struct plm_op *op, const char *format, ...) {
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

/* ---------------------------------------------------------------- attributes */

/* Largest extent that is fixed at build time: rows times two of them may still overflow, which plm_rules_bind refuses. */
#define PLM_RULES_EXTENT_MAX (1u << 24)

#define PLM_RULES_AT(path) offsetof(struct plm_op, u.path)

/* One op kind. */
struct plm_rule {
  uint32_t required;  /* flags that every backend takes */
  uint32_t optional;  /* FUSED and OPTIONAL flags */
  uint32_t exclusive; /* never together */
  struct {
    const char *name; /* NULL: no more */
    size_t at;        /* in the op */
  } extents[3];       /* fixed at build time: 1..PLM_RULES_EXTENT_MAX */
};

/* The rule of a known kind. */
static inline const struct plm_rule *plm_rules_of(uint32_t kind) {
#define PLM_RULES_NONE \
  { 0, 0 }
#define PLM_RULES_DIM(op, field) \
  { #field, PLM_RULES_AT(op.field) }
#define PLM_RULES_0 \
  { PLM_RULES_NONE, PLM_RULES_NONE, PLM_RULES_NONE }
#define PLM_RULES_1(op, a) \
  { PLM_RULES_DIM(op, a), PLM_RULES_NONE, PLM_RULES_NONE }
#define PLM_RULES_2(op, a, b) \
  { PLM_RULES_DIM(op, a), PLM_RULES_DIM(op, b), PLM_RULES_NONE }
#define PLM_RULES_3(op, a, b, c) \
  { PLM_RULES_DIM(op, a), PLM_RULES_DIM(op, b), PLM_RULES_DIM(op, c) }
  static const struct plm_rule rules[PLM_OP_COUNT] = {
      {0, 0, 0, PLM_RULES_0},
      /* FILL */ {0, 0, 0, PLM_RULES_0},
      /* EMBED */ {0, 0, 0, PLM_RULES_2(embed, vocabulary, width)},
      /* EMBED_GRAD */ {0, 0, 0, PLM_RULES_2(embed_grad, vocabulary, width)},
      /* LAYER_NORM */ {0, 0, 0, PLM_RULES_1(layer_norm, width)},
      /* LAYER_NORM_GRAD */ {PLM_FLAG_ACCUMULATE, 0, 0, PLM_RULES_1(layer_norm_grad, width)},
      /* LINEAR */
      {0, PLM_FLAG_BIAS | PLM_FLAG_GELU | PLM_FLAG_RESIDUAL, PLM_FLAG_GELU | PLM_FLAG_RESIDUAL,
       PLM_RULES_2(linear, in, out)},
      /* LINEAR_GRAD_INPUT */
      {PLM_FLAG_ACCUMULATE, PLM_FLAG_GELU, PLM_FLAG_ACCUMULATE | PLM_FLAG_GELU, PLM_RULES_2(linear_grad_input, in, out)},
      /* LINEAR_GRAD_WEIGHT */ {0, PLM_FLAG_BIAS, 0, PLM_RULES_2(linear_grad_weight, in, out)},
      /* BIAS */ {0, 0, 0, PLM_RULES_1(bias, width)},
      /* BIAS_GRAD */ {0, 0, 0, PLM_RULES_1(bias_grad, width)},
      /* GELU */ {0, 0, 0, PLM_RULES_1(gelu, width)},
      /* GELU_GRAD */ {0, 0, 0, PLM_RULES_1(gelu_grad, width)},
      /* ADD */ {0, 0, 0, PLM_RULES_1(add, width)},
      /* ROTARY */ {PLM_FLAG_INVERSE, 0, 0, PLM_RULES_3(rotary, heads, head_size, table_rows)},
      /* ATTENTION */ {0, PLM_FLAG_CAUSAL | PLM_FLAG_ROTARY, 0, PLM_RULES_3(attention, heads, head_size, length_max)},
      /* ATTENTION_GRAD */
      {0, PLM_FLAG_CAUSAL | PLM_FLAG_ROTARY, 0, PLM_RULES_3(attention_grad, heads, head_size, length_max)},
      /* GATHER_ROWS */ {0, 0, 0, PLM_RULES_1(gather_rows, width)},
      /* SCATTER_ROWS */ {0, 0, 0, PLM_RULES_1(scatter_rows, width)},
      /* SOFTMAX_LOSS */ {PLM_FLAG_GRADIENT, 0, 0, PLM_RULES_1(softmax_loss, vocabulary)},
      /* REDUCE_SUM */ {PLM_FLAG_ACCUMULATE, 0, 0, PLM_RULES_0},
      /* GRAD_NORM */ {0, 0, 0, PLM_RULES_0},
      /* ADAMW */ {0, 0, 0, PLM_RULES_0},
      /* RECORD */ {0, 0, 0, PLM_RULES_2(record, count, capacity)},
  };
  return &rules[kind];
}

/* An unsigned extent at its offset in the op. */
static inline uint32_t plm_rules_extent(const struct plm_op *op, size_t at) {
  uint32_t value;
  memcpy(&value, (const unsigned char *)op + at, sizeof value);
  return value;
}

/* Makes *out an UNSUPPORTED with this reason and text. */
static inline void plm_rules_refuse(struct plm_verdict *out, uint32_t reason, const char *format, ...)
    PLM_RULES_FORMAT(3, 4);
static inline void plm_rules_refuse(struct plm_verdict *out, uint32_t reason, const char *format, ...) {
  va_list args;
  out->status = PLM_VERDICT_UNSUPPORTED;
  out->reason = reason;
  va_start(args, format);
  vsnprintf(out->text, sizeof out->text, format, args);
  va_end(args);
}

static inline void plm_rules_judge_flags(struct plm_verdict *out, const struct plm_op *op, const uint32_t *taken) {
  const struct plm_rule *rule = plm_rules_of(op->kind);
  const uint32_t known = rule->required | rule->optional;
  const uint32_t here = rule->required | (taken ? rule->optional & taken[op->kind] : rule->optional);
  if (op->flags & ~known)
    plm_rules_refuse(out, PLM_REASON_FLAG, "flags 0x%" PRIx32 " are unknown for this op, known are 0x%" PRIx32,
                     op->flags & ~known, known);
  else if (op->flags & ~here)
    plm_rules_refuse(out, PLM_REASON_FLAG, "flags 0x%" PRIx32 " are not supported here, supported are 0x%" PRIx32,
                     op->flags & ~here, here);
  else if (rule->exclusive && (op->flags & rule->exclusive) == rule->exclusive)
    plm_rules_refuse(out, PLM_REASON_FLAG, "flags 0x%" PRIx32 " exclude each other", rule->exclusive);
}

/* What is neither a flag nor an extent alone. */
static inline void plm_rules_judge_attributes(struct plm_verdict *out, const struct plm_op *op) {
  uint32_t size = 0, rows = 1;
  const int rotates = (op->flags & PLM_FLAG_ROTARY) != 0;
  if (op->kind == PLM_OP_ROTARY) {
    size = op->u.rotary.head_size;
  } else if (op->kind == PLM_OP_ATTENTION) {
    size = op->u.attention.head_size;
    rows = rotates ? op->u.attention.table_rows : 1;
  } else if (op->kind == PLM_OP_ATTENTION_GRAD) {
    size = op->u.attention_grad.head_size;
    rows = rotates ? op->u.attention_grad.table_rows : 1;
  } else if (op->kind == PLM_OP_LAYER_NORM && !(op->u.layer_norm.epsilon >= 0.0f)) {
    plm_rules_refuse(out, PLM_REASON_SHAPE, "epsilon %g: must be at least 0", (double)op->u.layer_norm.epsilon);
  } else if (op->kind == PLM_OP_GRAD_NORM && !(op->u.grad_norm.norm_max >= 0.0f)) {
    plm_rules_refuse(out, PLM_REASON_SHAPE, "norm_max %g: must be at least 0", (double)op->u.grad_norm.norm_max);
  }
  if (size % 2)
    plm_rules_refuse(out, PLM_REASON_SHAPE, "head_size %" PRIu32 ": must be even", size);
  else if (rows == 0)
    plm_rules_refuse(out, PLM_REASON_SHAPE, "table_rows 0: must be at least 1");
}

/*
 * For op_query: the verdict by the rules alone, deterministic, preference 100, no workspace. taken: the optional flags
 * that this backend takes, PLM_OP_COUNT entries by kind; NULL: all of them. PLM_E_INVALID for an op of an older, smaller
 * layout than this header's; *out is then untouched.
 */
static inline int plm_rules_judge(struct plm_verdict *out, const struct plm_op *op, const uint32_t *taken,
                                  struct plm_error *err) {
  if (op->struct_size < sizeof *op)
    return plm_rules_error(err, PLM_E_INVALID, op, "struct_size %" PRIu64 ", must be at least %" PRIu64,
                           op->struct_size, (uint64_t)sizeof *op);
  memset(out, 0, sizeof *out);
  out->struct_size = sizeof *out;
  out->status = PLM_VERDICT_SUPPORTED;
  out->deterministic = 1;
  out->preference = 100;
  if (op->kind == 0 || op->kind >= PLM_OP_COUNT) {
    plm_rules_refuse(out, PLM_REASON_UNKNOWN_OP, "op id %" PRIu32 " is unknown, known are 1 to %u", op->kind,
                     PLM_OP_COUNT - 1);
    return PLM_OK;
  }
  if (op->type != PLM_TYPE_F32)
    plm_rules_refuse(out, PLM_REASON_TYPE, "type %" PRIu32 ": must be f32 (%u)", op->type, PLM_TYPE_F32);
  else
    plm_rules_judge_flags(out, op, taken);
  const struct plm_rule *rule = plm_rules_of(op->kind);
  for (int i = 0; i < 3 && rule->extents[i].name && out->status == PLM_VERDICT_SUPPORTED; i++) {
    const uint32_t value = plm_rules_extent(op, rule->extents[i].at);
    if (value < 1 || value > PLM_RULES_EXTENT_MAX)
      plm_rules_refuse(out, PLM_REASON_SHAPE, "%s %" PRIu32 ": must be in 1..%u", rule->extents[i].name, value,
                       PLM_RULES_EXTENT_MAX);
  }
  if (out->status == PLM_VERDICT_SUPPORTED)
    plm_rules_judge_attributes(out, op);
  return PLM_OK;
}

/* ---------------------------------------------------------------- operands */

#define PLM_OPERAND_READ 1u
#define PLM_OPERAND_WRITE 2u
#define PLM_OPERAND_SHARED 4u   /* operands of one op that both say so may be one and the same array (in place) */
#define PLM_OPERAND_OPTIONAL 8u /* may be absent: a view of 0 bytes */

/* One operand: times * extents[0] * extents[1] * extents[2] / per + more elements of 4 bytes (offset 0: 1). */
struct plm_operand {
  uint32_t kind;
  uint32_t flag; /* an operand under this flag only, 0: always */
  const char *name;
  size_t view;     /* offset of its plm_view in the op */
  uint32_t type;   /* PLM_TYPE_ */
  uint32_t access; /* PLM_OPERAND_ */
  uint32_t align;  /* of its offset, in bytes */
  uint32_t times, per, more;
  size_t extents[3]; /* offsets of 32-bit extents */
  size_t count;      /* offset of a 64-bit extent, 0: none */
};

/* All operands of all ops, by kind, those of one op in the order of its struct; *count of them. */
static inline const struct plm_operand *plm_rules_operands(uint32_t *count) {
#define PLM_RULES_ROW(KIND, flag, op, field, type, access, align, times, per, more, a, b, c, count)                    \
  {                                                                                                                    \
    PLM_OP_##KIND, flag, #field, PLM_RULES_AT(op.field), type, access, align, times, per, more, {a, b, c}, count       \
  }
#define PLM_RULES_X(op, field) PLM_RULES_AT(op.field)
#define PLM_RULES_VEC(KIND, flag, op, field, type, access, a) \
  PLM_RULES_ROW(KIND, flag, op, field, type, access, 64, 1, 1, 0, PLM_RULES_X(op, a), 0, 0, 0)
#define PLM_RULES_MAT(KIND, flag, op, field, access, a, b) \
  PLM_RULES_ROW(KIND, flag, op, field, F32, access, 64, 1, 1, 0, PLM_RULES_X(op, a), PLM_RULES_X(op, b), 0, 0)
#define PLM_RULES_HEADS(KIND, op, field, access, times)                                                            \
  PLM_RULES_ROW(KIND, 0, op, field, F32, access, 64, times, 1, 0, PLM_RULES_X(op, rows), PLM_RULES_X(op, heads),   \
                PLM_RULES_X(op, head_size), 0)
#define PLM_RULES_ANGLES(KIND, flag, op, field)                                                            \
  PLM_RULES_ROW(KIND, flag, op, field, F32, R, 64, 1, 2, 0, PLM_RULES_X(op, table_rows),                   \
                PLM_RULES_X(op, head_size), 0, 0)
#define PLM_RULES_FLAT(KIND, op, field, access) \
  PLM_RULES_ROW(KIND, 0, op, field, F32, access, 64, 1, 1, 0, 0, 0, 0, PLM_RULES_X(op, count))
#define PLM_RULES_FEW(KIND, flag, op, field, type, access, align, times) \
  PLM_RULES_ROW(KIND, flag, op, field, type, access, align, times, 1, 0, 0, 0, 0, 0)
  enum {
    F32 = PLM_TYPE_F32,
    I32 = PLM_TYPE_I32,
    R = PLM_OPERAND_READ,
    W = PLM_OPERAND_WRITE,
    RW = PLM_OPERAND_READ | PLM_OPERAND_WRITE,
    RS = PLM_OPERAND_READ | PLM_OPERAND_SHARED,
    WS = PLM_OPERAND_WRITE | PLM_OPERAND_SHARED
  };
  static const struct plm_operand operands[] = {
      PLM_RULES_FLAT(FILL, fill, x, W),
      PLM_RULES_MAT(EMBED, 0, embed, table, R, vocabulary, width),
      PLM_RULES_VEC(EMBED, 0, embed, tokens, I32, R, rows),
      PLM_RULES_VEC(EMBED, 0, embed, scale, F32, R, rows),
      PLM_RULES_MAT(EMBED, 0, embed, y, W, rows, width),
      PLM_RULES_MAT(EMBED_GRAD, 0, embed_grad, dy, R, rows, width),
      PLM_RULES_VEC(EMBED_GRAD, 0, embed_grad, tokens, I32, R, rows),
      PLM_RULES_VEC(EMBED_GRAD, 0, embed_grad, scale, F32, R, rows),
      PLM_RULES_MAT(EMBED_GRAD, 0, embed_grad, dtable, RW, vocabulary, width),
      PLM_RULES_MAT(LAYER_NORM, 0, layer_norm, x, R, rows, width),
      PLM_RULES_VEC(LAYER_NORM, 0, layer_norm, gamma, F32, R, width),
      PLM_RULES_VEC(LAYER_NORM, 0, layer_norm, beta, F32, R, width),
      PLM_RULES_MAT(LAYER_NORM, 0, layer_norm, y, W, rows, width),
      PLM_RULES_VEC(LAYER_NORM, 0, layer_norm, mean, F32, W, rows),
      PLM_RULES_VEC(LAYER_NORM, 0, layer_norm, rstd, F32, W, rows),
      PLM_RULES_MAT(LAYER_NORM_GRAD, 0, layer_norm_grad, dy, R, rows, width),
      PLM_RULES_MAT(LAYER_NORM_GRAD, 0, layer_norm_grad, x, R, rows, width),
      PLM_RULES_VEC(LAYER_NORM_GRAD, 0, layer_norm_grad, gamma, F32, R, width),
      PLM_RULES_VEC(LAYER_NORM_GRAD, 0, layer_norm_grad, mean, F32, R, rows),
      PLM_RULES_VEC(LAYER_NORM_GRAD, 0, layer_norm_grad, rstd, F32, R, rows),
      PLM_RULES_MAT(LAYER_NORM_GRAD, 0, layer_norm_grad, dx, RW, rows, width),
      PLM_RULES_VEC(LAYER_NORM_GRAD, 0, layer_norm_grad, dgamma, F32, RW, width),
      PLM_RULES_VEC(LAYER_NORM_GRAD, 0, layer_norm_grad, dbeta, F32, RW, width),
      PLM_RULES_MAT(LINEAR, 0, linear, x, R, rows, in),
      PLM_RULES_MAT(LINEAR, 0, linear, w, R, out, in),
      PLM_RULES_VEC(LINEAR, PLM_FLAG_BIAS, linear, bias, F32, R, out),
      PLM_RULES_MAT(LINEAR, PLM_FLAG_RESIDUAL, linear, residual, RS, rows, out),
      PLM_RULES_MAT(LINEAR, 0, linear, y, WS, rows, out),
      PLM_RULES_MAT(LINEAR, PLM_FLAG_GELU, linear, pre, W | PLM_OPERAND_OPTIONAL, rows, out),
      PLM_RULES_MAT(LINEAR_GRAD_INPUT, 0, linear_grad_input, dy, R, rows, out),
      PLM_RULES_MAT(LINEAR_GRAD_INPUT, 0, linear_grad_input, w, R, out, in),
      PLM_RULES_MAT(LINEAR_GRAD_INPUT, PLM_FLAG_GELU, linear_grad_input, pre, R, rows, in),
      PLM_RULES_MAT(LINEAR_GRAD_INPUT, 0, linear_grad_input, dx, RW, rows, in),
      PLM_RULES_MAT(LINEAR_GRAD_WEIGHT, 0, linear_grad_weight, dy, R, rows, out),
      PLM_RULES_MAT(LINEAR_GRAD_WEIGHT, 0, linear_grad_weight, x, R, rows, in),
      PLM_RULES_MAT(LINEAR_GRAD_WEIGHT, 0, linear_grad_weight, dw, RW, out, in),
      PLM_RULES_VEC(LINEAR_GRAD_WEIGHT, PLM_FLAG_BIAS, linear_grad_weight, dbias, F32, RW, out),
      PLM_RULES_MAT(BIAS, 0, bias, y, RW, rows, width),
      PLM_RULES_VEC(BIAS, 0, bias, bias, F32, R, width),
      PLM_RULES_MAT(BIAS_GRAD, 0, bias_grad, dy, R, rows, width),
      PLM_RULES_VEC(BIAS_GRAD, 0, bias_grad, dbias, F32, RW, width),
      PLM_RULES_MAT(GELU, 0, gelu, x, R, rows, width),
      PLM_RULES_MAT(GELU, 0, gelu, y, W, rows, width),
      PLM_RULES_MAT(GELU_GRAD, 0, gelu_grad, dy, RS, rows, width),
      PLM_RULES_MAT(GELU_GRAD, 0, gelu_grad, x, R, rows, width),
      PLM_RULES_MAT(GELU_GRAD, 0, gelu_grad, dx, WS, rows, width),
      PLM_RULES_MAT(ADD, 0, add, a, RS, rows, width),
      PLM_RULES_MAT(ADD, 0, add, b, RS, rows, width),
      PLM_RULES_MAT(ADD, 0, add, y, WS, rows, width),
      PLM_RULES_HEADS(ROTARY, rotary, qkv, RW, 3),
      PLM_RULES_VEC(ROTARY, 0, rotary, positions, I32, R, rows),
      PLM_RULES_ANGLES(ROTARY, 0, rotary, cosine),
      PLM_RULES_ANGLES(ROTARY, 0, rotary, sine),
      PLM_RULES_HEADS(ATTENTION, attention, qkv, R, 3),
      PLM_RULES_ROW(ATTENTION, 0, attention, offsets, I32, R, 64, 1, 1, 1, PLM_RULES_X(attention, sequences), 0, 0, 0),
      PLM_RULES_VEC(ATTENTION, PLM_FLAG_ROTARY, attention, positions, I32, R, rows),
      PLM_RULES_ANGLES(ATTENTION, PLM_FLAG_ROTARY, attention, cosine),
      PLM_RULES_ANGLES(ATTENTION, PLM_FLAG_ROTARY, attention, sine),
      PLM_RULES_HEADS(ATTENTION, attention, o, W, 1),
      PLM_RULES_MAT(ATTENTION, 0, attention, lse, W, rows, heads),
      PLM_RULES_HEADS(ATTENTION_GRAD, attention_grad, qkv, R, 3),
      PLM_RULES_ROW(ATTENTION_GRAD, 0, attention_grad, offsets, I32, R, 64, 1, 1, 1,
                    PLM_RULES_X(attention_grad, sequences), 0, 0, 0),
      PLM_RULES_VEC(ATTENTION_GRAD, PLM_FLAG_ROTARY, attention_grad, positions, I32, R, rows),
      PLM_RULES_ANGLES(ATTENTION_GRAD, PLM_FLAG_ROTARY, attention_grad, cosine),
      PLM_RULES_ANGLES(ATTENTION_GRAD, PLM_FLAG_ROTARY, attention_grad, sine),
      PLM_RULES_HEADS(ATTENTION_GRAD, attention_grad, o, R, 1),
      PLM_RULES_MAT(ATTENTION_GRAD, 0, attention_grad, lse, R, rows, heads),
      PLM_RULES_HEADS(ATTENTION_GRAD, attention_grad, d_o, R, 1),
      PLM_RULES_HEADS(ATTENTION_GRAD, attention_grad, dqkv, W, 3),
      PLM_RULES_MAT(GATHER_ROWS, 0, gather_rows, x, R, source, width),
      PLM_RULES_VEC(GATHER_ROWS, 0, gather_rows, index, I32, R, rows),
      PLM_RULES_MAT(GATHER_ROWS, 0, gather_rows, y, W, rows, width),
      PLM_RULES_MAT(SCATTER_ROWS, 0, scatter_rows, x, R, rows, width),
      PLM_RULES_VEC(SCATTER_ROWS, 0, scatter_rows, index, I32, R, rows),
      PLM_RULES_MAT(SCATTER_ROWS, 0, scatter_rows, y, W, target, width),
      PLM_RULES_MAT(SOFTMAX_LOSS, 0, softmax_loss, logits, RS, rows, vocabulary),
      PLM_RULES_VEC(SOFTMAX_LOSS, 0, softmax_loss, targets, I32, R, rows),
      PLM_RULES_FEW(SOFTMAX_LOSS, PLM_FLAG_GRADIENT, softmax_loss, scale, F32, R, 4, 1),
      PLM_RULES_VEC(SOFTMAX_LOSS, 0, softmax_loss, loss, F32, W, rows),
      PLM_RULES_MAT(SOFTMAX_LOSS, PLM_FLAG_GRADIENT, softmax_loss, dlogits, WS, rows, vocabulary),
      PLM_RULES_VEC(REDUCE_SUM, 0, reduce_sum, x, F32, R, rows),
      PLM_RULES_VEC(REDUCE_SUM, 0, reduce_sum, weights, F32, R | PLM_OPERAND_OPTIONAL, rows),
      PLM_RULES_FEW(REDUCE_SUM, 0, reduce_sum, out, F32, RW, 4, 1),
      PLM_RULES_FLAT(GRAD_NORM, grad_norm, grads, R),
      PLM_RULES_FEW(GRAD_NORM, 0, grad_norm, out, F32, W, 16, 4),
      PLM_RULES_FLAT(ADAMW, adamw, params, RW),
      PLM_RULES_FLAT(ADAMW, adamw, grads, R),
      PLM_RULES_FLAT(ADAMW, adamw, m, RW),
      PLM_RULES_FLAT(ADAMW, adamw, v, RW),
      PLM_RULES_FEW(ADAMW, 0, adamw, control, F32, R, 16, 4),
      PLM_RULES_FEW(ADAMW, 0, adamw, schedule, F32, R, 4, 3),
      PLM_RULES_ROW(RECORD, 0, record, x, F32, R, 4, 1, 1, 0, PLM_RULES_X(record, count), 0, 0, 0),
      PLM_RULES_FEW(RECORD, 0, record, index, I32, R, 4, 1),
      PLM_RULES_MAT(RECORD, 0, record, log, RW, capacity, count),
  };
  *count = sizeof operands / sizeof *operands;
  return operands;
}

/* The operands of one kind; *count of them, 0 for an unknown kind. */
static inline const struct plm_operand *plm_rules_operands_of(uint32_t kind, uint32_t *count) {
  uint32_t all, first = 0, end;
  const struct plm_operand *operands = plm_rules_operands(&all);
  for (end = all; first < end;) {
    const uint32_t middle = (first + end) / 2;
    if (operands[middle].kind < kind)
      first = middle + 1;
    else
      end = middle;
  }
  while (end < all && operands[end].kind == kind)
    end++;
  *count = end - first;
  return operands + first;
}

static inline const struct plm_view *plm_rules_view(const struct plm_op *op, const struct plm_operand *operand) {
  return (const struct plm_view *)(const void *)((const unsigned char *)op + operand->view);
}

/* Whether the op, with its flags, has this operand. */
static inline int plm_rules_has(const struct plm_op *op, const struct plm_operand *operand) {
  if (operand->flag && !(op->flags & operand->flag))
    return 0;
  return !(operand->access & PLM_OPERAND_OPTIONAL) || plm_rules_view(op, operand)->bytes > 0;
}

/* The bytes that the op touches of this operand at its extents now; UINT64_MAX when they overflow. */
static inline uint64_t plm_rules_bytes(const struct plm_op *op, const struct plm_operand *operand) {
  uint64_t elements = operand->times;
  if (operand->count) {
    memcpy(&elements, (const unsigned char *)op + operand->count, sizeof elements);
  }
  for (int i = 0; i < 3 && operand->extents[i]; i++) {
    const uint64_t extent = plm_rules_extent(op, operand->extents[i]);
    if (extent && elements > UINT64_MAX / extent)
      return UINT64_MAX;
    elements *= extent;
  }
  elements = elements / operand->per + operand->more;
  return elements > UINT64_MAX / 4 ? UINT64_MAX : 4 * elements;
}

/* A buffer is opaque here: the backend tells its bytes. */
typedef uint64_t (*plm_buffer_bytes_fn)(const struct plm_buffer *buffer);

/* One view that need bytes are wanted of; type 0: any. */
static inline int plm_rules_bind_view(const struct plm_op *op, const struct plm_view *view, const char *name,
                                      uint32_t type, uint32_t align, uint64_t need, plm_buffer_bytes_fn buffer_bytes,
                                      struct plm_error *err) {
  if (need == UINT64_MAX)
    return plm_rules_error(err, PLM_E_INVALID, op, "view \"%s\": its extents overflow", name);
  if (!view->buffer)
    return plm_rules_error(err, PLM_E_INVALID, op, "view \"%s\": no buffer is bound, %" PRIu64 " bytes are needed", name,
                           need);
  if (type && view->type != type)
    return plm_rules_error(err, PLM_E_INVALID, op, "view \"%s\": type %" PRIu32 ", must be %" PRIu32, name, view->type,
                           type);
  if (view->offset % align)
    return plm_rules_error(err, PLM_E_INVALID, op, "view \"%s\": offset %" PRIu64 " is not a multiple of %" PRIu32, name,
                           view->offset, align);
  if (view->bytes < need)
    return plm_rules_error(err, PLM_E_INVALID, op, "view \"%s\": %" PRIu64 " bytes, %" PRIu64 " are needed", name,
                           view->bytes, need);
  const uint64_t room = buffer_bytes(view->buffer);
  if (view->offset > room || view->bytes > room - view->offset)
    return plm_rules_error(err, PLM_E_INVALID, op,
                           "view \"%s\": offset %" PRIu64 " + %" PRIu64 " bytes reach past the buffer's %" PRIu64, name,
                           view->offset, view->bytes, room);
  return PLM_OK;
}

#define PLM_RULES_OPERANDS_MAX 12 /* operands and the workspace of any one op */

/* What an op touches of one buffer. */
struct plm_rules_span {
  const char *name;
  const struct plm_view *view;
  uint64_t bytes;
  uint32_t access;
};

/* No output overlaps another operand, except in place. */
static inline int plm_rules_check_apart(const struct plm_op *op, const struct plm_rules_span *spans, uint32_t count,
                                        struct plm_error *err) {
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t j = 0; j < i; j++) {
      const struct plm_rules_span *a = &spans[j], *b = &spans[i];
      const uint64_t from = a->view->offset, to = b->view->offset;
      if (a->view->buffer != b->view->buffer || !((a->access | b->access) & PLM_OPERAND_WRITE) ||
          from + a->bytes <= to || to + b->bytes <= from)
        continue;
      if (!(a->access & b->access & PLM_OPERAND_SHARED && from == to && a->bytes == b->bytes))
        return plm_rules_error(err, PLM_E_INVALID, op, "views \"%s\" and \"%s\" overlap", a->name, b->name);
    }
  return PLM_OK;
}

/*
 * For op_run, after plm_rules_judge said SUPPORTED: PLM_OK when every operand lies in its buffer, typed, aligned, with room
 * for the extents, and no output overlaps another operand except where backend.h says "in place"; else PLM_E_INVALID,
 * naming the operand. An operand of no elements is not looked at.
 */
static inline int plm_rules_bind(const struct plm_op *op, uint64_t workspace_bytes, plm_buffer_bytes_fn buffer_bytes,
                                 struct plm_error *err) {
  struct plm_rules_span spans[PLM_RULES_OPERANDS_MAX];
  uint32_t count, used = 0;
  const struct plm_operand *operands = plm_rules_operands_of(op->kind, &count);
  for (uint32_t i = 0; i < count; i++) {
    const struct plm_operand *o = &operands[i];
    const struct plm_view *view = plm_rules_view(op, o);
    const uint64_t need = plm_rules_has(op, o) ? plm_rules_bytes(op, o) : 0;
    if (need == 0)
      continue;
    const int code = plm_rules_bind_view(op, view, o->name, o->type, o->align, need, buffer_bytes, err);
    if (code)
      return code;
    const struct plm_rules_span span = {o->name, view, need, o->access};
    spans[used++] = span;
  }
  if (workspace_bytes) {
    const int code =
        plm_rules_bind_view(op, &op->workspace, "workspace", 0, 64, workspace_bytes, buffer_bytes, err);
    if (code)
      return code;
    const struct plm_rules_span span = {"workspace", &op->workspace, workspace_bytes, PLM_OPERAND_WRITE};
    spans[used++] = span;
  }
  return plm_rules_check_apart(op, spans, used, err);
}

/* ---------------------------------------------------------------- buffers */

/* For buffer_write and buffer_read: offset and bytes lie in a buffer of room bytes. */
static inline int plm_rules_range(uint64_t room, uint64_t offset, uint64_t bytes, const char *what,
                                  struct plm_error *err) {
  if (offset <= room && bytes <= room - offset)
    return PLM_OK;
  return plm_rules_error(err, PLM_E_INVALID, NULL,
                         "%s: offset %" PRIu64 " + %" PRIu64 " bytes reach past the buffer's %" PRIu64, what, offset,
                         bytes, room);
}

/* For buffer_create: a known kind, and a size that is not 0 nor above most. */
static inline int plm_rules_new_buffer(uint64_t bytes, uint64_t most, uint32_t kind, struct plm_error *err) {
  if (bytes == 0 || bytes > most)
    return plm_rules_error(err, PLM_E_INVALID, NULL, "buffer of %" PRIu64 " bytes: must be in 1..%" PRIu64, bytes, most);
  if (kind != PLM_BUFFER_DEVICE && kind != PLM_BUFFER_UPLOAD)
    return plm_rules_error(err, PLM_E_INVALID, NULL, "buffer kind %" PRIu32 ": must be %u or %u", kind,
                           PLM_BUFFER_DEVICE, PLM_BUFFER_UPLOAD);
  return PLM_OK;
}

#ifdef __cplusplus
}
#endif

#endif
