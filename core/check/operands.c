#include "check/operands.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* The operands of one op as they are listed. */
struct lister {
  struct plm_case *c;
  int overflow;
};

static struct plm_operand *list(struct lister *l, struct plm_view *view, const char *name, uint32_t type,
                                uint32_t access, uint64_t rows, uint64_t width) {
  assert(l->c->count < PLM_CASE_OPERANDS);
  struct plm_operand *operand = &l->c->operands[l->c->count++];
  *operand = (struct plm_operand){.name = name, .type = type, .access = access, .align = 64, .alias = -1};
  operand->view = (size_t)((unsigned char *)view - (unsigned char *)&l->c->op);
  l->overflow |= __builtin_mul_overflow(rows, width, &operand->count) || operand->count > UINT64_MAX / 16;
  return operand;
}

static void f32(struct lister *l, struct plm_view *view, const char *name, uint32_t access, uint64_t rows,
                uint64_t width) {
  list(l, view, name, PLM_TYPE_F32, access, rows, width);
}

static void i32(struct lister *l, struct plm_view *view, const char *name, uint64_t count) {
  list(l, view, name, PLM_TYPE_I32, PLM_ACCESS_READ, count, 1);
}

/* The few small views whose offset may be a multiple of less than 64. */
static void small(struct lister *l, struct plm_view *view, const char *name, uint32_t access, uint64_t count,
                  uint32_t align) {
  list(l, view, name, PLM_TYPE_F32, access, count, 1)->align = align;
}

enum { IN = PLM_ACCESS_READ, OUT = PLM_ACCESS_WRITE, UPDATE = PLM_ACCESS_UPDATE };

static uint32_t out_or_update(const struct lister *l) {
  return l->c->op.flags & PLM_FLAG_ACCUMULATE ? UPDATE : OUT;
}

static void list_rows(struct lister *l) {
  union {
    struct plm_op_embed *embed;
    struct plm_op_embed_grad *embed_grad;
    struct plm_op_gather_rows *gather;
    struct plm_op_scatter_rows *scatter;
  } p = {.embed = &l->c->op.u.embed};
  switch (l->c->op.kind) {
  case PLM_OP_EMBED:
    f32(l, &p.embed->table, "table", IN, p.embed->vocabulary, p.embed->width);
    i32(l, &p.embed->tokens, "tokens", p.embed->rows.count);
    f32(l, &p.embed->scale, "scale", IN, p.embed->rows.count, 1);
    f32(l, &p.embed->y, "y", OUT, p.embed->rows.count, p.embed->width);
    break;
  case PLM_OP_EMBED_GRAD:
    f32(l, &p.embed_grad->dy, "dy", IN, p.embed_grad->rows.count, p.embed_grad->width);
    i32(l, &p.embed_grad->tokens, "tokens", p.embed_grad->rows.count);
    f32(l, &p.embed_grad->scale, "scale", IN, p.embed_grad->rows.count, 1);
    f32(l, &p.embed_grad->dtable, "dtable", UPDATE, p.embed_grad->vocabulary, p.embed_grad->width);
    break;
  case PLM_OP_GATHER_ROWS:
    f32(l, &p.gather->x, "x", IN, p.gather->source.count, p.gather->width);
    i32(l, &p.gather->index, "index", p.gather->rows.count);
    f32(l, &p.gather->y, "y", OUT, p.gather->rows.count, p.gather->width);
    break;
  default:
    f32(l, &p.scatter->x, "x", IN, p.scatter->rows.count, p.scatter->width);
    i32(l, &p.scatter->index, "index", p.scatter->rows.count);
    f32(l, &p.scatter->y, "y", OUT, p.scatter->target.count, p.scatter->width);
  }
}

static void list_layer_norm(struct lister *l) {
  struct plm_op_layer_norm *p = &l->c->op.u.layer_norm;
  f32(l, &p->x, "x", IN, p->rows.count, p->width);
  f32(l, &p->gamma, "gamma", IN, p->width, 1);
  f32(l, &p->beta, "beta", IN, p->width, 1);
  f32(l, &p->y, "y", OUT, p->rows.count, p->width);
  f32(l, &p->mean, "mean", OUT, p->rows.count, 1);
  f32(l, &p->rstd, "rstd", OUT, p->rows.count, 1);
}

static void list_layer_norm_grad(struct lister *l) {
  struct plm_op_layer_norm_grad *p = &l->c->op.u.layer_norm_grad;
  f32(l, &p->dy, "dy", IN, p->rows.count, p->width);
  f32(l, &p->x, "x", IN, p->rows.count, p->width);
  f32(l, &p->gamma, "gamma", IN, p->width, 1);
  f32(l, &p->mean, "mean", IN, p->rows.count, 1);
  f32(l, &p->rstd, "rstd", IN, p->rows.count, 1);
  f32(l, &p->dx, "dx", out_or_update(l), p->rows.count, p->width);
  f32(l, &p->dgamma, "dgamma", UPDATE, p->width, 1);
  f32(l, &p->dbeta, "dbeta", UPDATE, p->width, 1);
}

static void list_linear(struct lister *l) {
  struct plm_op_linear *p = &l->c->op.u.linear;
  const uint32_t flags = l->c->op.flags;
  f32(l, &p->x, "x", IN, p->rows.count, p->in);
  f32(l, &p->w, "w", IN, p->out, p->in);
  if (flags & PLM_FLAG_BIAS)
    f32(l, &p->bias, "bias", IN, p->out, 1);
  if (flags & PLM_FLAG_RESIDUAL)
    f32(l, &p->residual, "residual", IN, p->rows.count, p->out);
  f32(l, &p->y, "y", OUT, p->rows.count, p->out);
  if ((flags & PLM_FLAG_GELU) && p->pre.bytes)
    f32(l, &p->pre, "pre", OUT, p->rows.count, p->out);
}

static void list_linear_grad_input(struct lister *l) {
  struct plm_op_linear_grad_input *p = &l->c->op.u.linear_grad_input;
  f32(l, &p->dy, "dy", IN, p->rows.count, p->out);
  f32(l, &p->w, "w", IN, p->out, p->in);
  if (l->c->op.flags & PLM_FLAG_GELU)
    f32(l, &p->pre, "pre", IN, p->rows.count, p->in);
  f32(l, &p->dx, "dx", out_or_update(l), p->rows.count, p->in);
}

static void list_linear_grad_weight(struct lister *l) {
  struct plm_op_linear_grad_weight *p = &l->c->op.u.linear_grad_weight;
  f32(l, &p->dy, "dy", IN, p->rows.count, p->out);
  f32(l, &p->x, "x", IN, p->rows.count, p->in);
  f32(l, &p->dw, "dw", UPDATE, p->out, p->in);
  if (l->c->op.flags & PLM_FLAG_BIAS)
    f32(l, &p->dbias, "dbias", UPDATE, p->out, 1);
}

static void list_pointwise(struct lister *l) {
  struct plm_op *op = &l->c->op;
  switch (op->kind) {
  case PLM_OP_BIAS:
    f32(l, &op->u.bias.y, "y", UPDATE, op->u.bias.rows.count, op->u.bias.width);
    f32(l, &op->u.bias.bias, "bias", IN, op->u.bias.width, 1);
    break;
  case PLM_OP_BIAS_GRAD:
    f32(l, &op->u.bias_grad.dy, "dy", IN, op->u.bias_grad.rows.count, op->u.bias_grad.width);
    f32(l, &op->u.bias_grad.dbias, "dbias", UPDATE, op->u.bias_grad.width, 1);
    break;
  case PLM_OP_GELU:
    f32(l, &op->u.gelu.x, "x", IN, op->u.gelu.rows.count, op->u.gelu.width);
    f32(l, &op->u.gelu.y, "y", OUT, op->u.gelu.rows.count, op->u.gelu.width);
    break;
  case PLM_OP_GELU_GRAD:
    f32(l, &op->u.gelu_grad.dy, "dy", IN, op->u.gelu_grad.rows.count, op->u.gelu_grad.width);
    f32(l, &op->u.gelu_grad.x, "x", IN, op->u.gelu_grad.rows.count, op->u.gelu_grad.width);
    f32(l, &op->u.gelu_grad.dx, "dx", OUT, op->u.gelu_grad.rows.count, op->u.gelu_grad.width);
    break;
  default:
    f32(l, &op->u.add.a, "a", IN, op->u.add.rows.count, op->u.add.width);
    f32(l, &op->u.add.b, "b", IN, op->u.add.rows.count, op->u.add.width);
    f32(l, &op->u.add.y, "y", OUT, op->u.add.rows.count, op->u.add.width);
  }
}

static void list_rotary(struct lister *l) {
  struct plm_op_rotary *p = &l->c->op.u.rotary;
  f32(l, &p->qkv, "qkv", UPDATE, p->rows.count, (uint64_t)3 * p->heads * p->head_size);
  i32(l, &p->positions, "positions", p->rows.count);
  f32(l, &p->cosine, "cosine", IN, p->table_rows, p->head_size / 2);
  f32(l, &p->sine, "sine", IN, p->table_rows, p->head_size / 2);
}

static void list_attention(struct lister *l) {
  struct plm_op_attention *p = &l->c->op.u.attention;
  const uint64_t width = (uint64_t)p->heads * p->head_size;
  f32(l, &p->qkv, "qkv", IN, p->rows.count, 3 * width);
  i32(l, &p->offsets, "offsets", (uint64_t)p->sequences.count + 1);
  if (l->c->op.flags & PLM_FLAG_ROTARY) {
    i32(l, &p->positions, "positions", p->rows.count);
    f32(l, &p->cosine, "cosine", IN, p->table_rows, p->head_size / 2);
    f32(l, &p->sine, "sine", IN, p->table_rows, p->head_size / 2);
  }
  f32(l, &p->o, "o", OUT, p->rows.count, width);
  f32(l, &p->lse, "lse", OUT, p->rows.count, p->heads);
}

static void list_attention_grad(struct lister *l) {
  struct plm_op_attention_grad *p = &l->c->op.u.attention_grad;
  const uint64_t width = (uint64_t)p->heads * p->head_size;
  f32(l, &p->qkv, "qkv", IN, p->rows.count, 3 * width);
  i32(l, &p->offsets, "offsets", (uint64_t)p->sequences.count + 1);
  if (l->c->op.flags & PLM_FLAG_ROTARY) {
    i32(l, &p->positions, "positions", p->rows.count);
    f32(l, &p->cosine, "cosine", IN, p->table_rows, p->head_size / 2);
    f32(l, &p->sine, "sine", IN, p->table_rows, p->head_size / 2);
  }
  f32(l, &p->o, "o", IN, p->rows.count, width);
  f32(l, &p->lse, "lse", IN, p->rows.count, p->heads);
  f32(l, &p->d_o, "d_o", IN, p->rows.count, width);
  f32(l, &p->dqkv, "dqkv", OUT, p->rows.count, 3 * width);
}

static void list_softmax_loss(struct lister *l) {
  struct plm_op_softmax_loss *p = &l->c->op.u.softmax_loss;
  f32(l, &p->logits, "logits", IN, p->rows.count, p->vocabulary);
  i32(l, &p->targets, "targets", p->rows.count);
  small(l, &p->scale, "scale", IN, 1, 4);
  f32(l, &p->loss, "loss", OUT, p->rows.count, 1);
  if (l->c->op.flags & PLM_FLAG_GRADIENT)
    f32(l, &p->dlogits, "dlogits", OUT, p->rows.count, p->vocabulary);
}

static void list_sums(struct lister *l) {
  struct plm_op *op = &l->c->op;
  if (op->kind == PLM_OP_GRAD_NORM) {
    f32(l, &op->u.grad_norm.grads, "grads", IN, op->u.grad_norm.count, 1);
    small(l, &op->u.grad_norm.out, "out", OUT, 4, 16);
    return;
  }
  f32(l, &op->u.reduce_sum.x, "x", IN, op->u.reduce_sum.rows.count, 1);
  if (op->u.reduce_sum.weights.bytes)
    f32(l, &op->u.reduce_sum.weights, "weights", IN, op->u.reduce_sum.rows.count, 1);
  small(l, &op->u.reduce_sum.out, "out", out_or_update(l), 1, 4);
}

static void list_adamw(struct lister *l) {
  struct plm_op_adamw *p = &l->c->op.u.adamw;
  f32(l, &p->params, "params", UPDATE, p->count, 1);
  f32(l, &p->grads, "grads", IN, p->count, 1);
  f32(l, &p->m, "m", UPDATE, p->count, 1);
  f32(l, &p->v, "v", UPDATE, p->count, 1);
  small(l, &p->control, "control", IN, 4, 16);
  small(l, &p->schedule, "schedule", IN, 3, 4);
}

static void list_record(struct lister *l) {
  struct plm_op_record *p = &l->c->op.u.record;
  small(l, &p->x, "x", IN, p->count, 4);
  list(l, &p->index, "index", PLM_TYPE_I32, IN, 1, 1)->align = 4;
  f32(l, &p->log, "log", UPDATE, p->capacity, p->count);
}

static void list_fill(struct lister *l) {
  f32(l, &l->c->op.u.fill.x, "x", OUT, l->c->op.u.fill.count, 1);
}

int plm_operands_list(struct plm_case *c, struct plm_error *err) {
  static void (*const lists[PLM_OP_COUNT])(struct lister *) = {
      [PLM_OP_FILL] = list_fill,
      [PLM_OP_EMBED] = list_rows,
      [PLM_OP_EMBED_GRAD] = list_rows,
      [PLM_OP_LAYER_NORM] = list_layer_norm,
      [PLM_OP_LAYER_NORM_GRAD] = list_layer_norm_grad,
      [PLM_OP_LINEAR] = list_linear,
      [PLM_OP_LINEAR_GRAD_INPUT] = list_linear_grad_input,
      [PLM_OP_LINEAR_GRAD_WEIGHT] = list_linear_grad_weight,
      [PLM_OP_BIAS] = list_pointwise,
      [PLM_OP_BIAS_GRAD] = list_pointwise,
      [PLM_OP_GELU] = list_pointwise,
      [PLM_OP_GELU_GRAD] = list_pointwise,
      [PLM_OP_ADD] = list_pointwise,
      [PLM_OP_ROTARY] = list_rotary,
      [PLM_OP_ATTENTION] = list_attention,
      [PLM_OP_ATTENTION_GRAD] = list_attention_grad,
      [PLM_OP_GATHER_ROWS] = list_rows,
      [PLM_OP_SCATTER_ROWS] = list_rows,
      [PLM_OP_SOFTMAX_LOSS] = list_softmax_loss,
      [PLM_OP_REDUCE_SUM] = list_sums,
      [PLM_OP_GRAD_NORM] = list_sums,
      [PLM_OP_ADAMW] = list_adamw,
      [PLM_OP_RECORD] = list_record,
  };
  struct lister l = {.c = c};
  c->count = 0;
  if (c->op.kind >= PLM_OP_COUNT || !lists[c->op.kind])
    return plm_error_set(err, PLM_E_INVALID, "case of op %u: unknown to this version (1 to %u are known)", c->op.kind,
                         PLM_OP_COUNT - 1);
  lists[c->op.kind](&l);
  if (l.overflow)
    return plm_error_set(err, PLM_E_INVALID, "case of %s: its extents overflow", plm_op_name(c->op.kind));
  return 0;
}

int plm_operands_allocate(struct plm_case *c, struct plm_error *err) {
  uint64_t bytes = 64;
  for (uint32_t i = 0; i < c->count; i++)
    if (c->operands[i].alias < 0 && __builtin_add_overflow(bytes, (c->operands[i].count * 4 + 63) / 64 * 64, &bytes))
      return plm_error_memory(err, "a conformance case");
  unsigned char *next = bytes <= SIZE_MAX / 2 ? plm_memory_aligned((size_t)bytes) : NULL;
  if (!next)
    return plm_error_memory(err, "a conformance case");
  memset(next, 0, (size_t)bytes);
  free(c->arrays);
  c->arrays = next;
  for (uint32_t i = 0; i < c->count; i++)
    if (c->operands[i].alias < 0) {
      c->operands[i].data = next;
      next += (c->operands[i].count * 4 + 63) / 64 * 64;
    }
  for (uint32_t i = 0; i < c->count; i++)
    if (c->operands[i].alias >= 0)
      c->operands[i].data = c->operands[c->operands[i].alias].data;
  return 0;
}

static const struct plm_operand *find(const struct plm_case *c, const char *name) {
  for (uint32_t i = 0; i < c->count; i++)
    if (!strcmp(c->operands[i].name, name))
      return &c->operands[i];
  return NULL;
}

struct plm_operand *plm_operand_find(const struct plm_case *c, const char *name) {
  const struct plm_operand *operand = find(c, name);
  assert(operand);
  return (struct plm_operand *)(uintptr_t)operand;
}

float *plm_operand_f32(const struct plm_case *c, const char *name) {
  const struct plm_operand *operand = find(c, name);
  return operand ? operand->data : NULL;
}

int32_t *plm_operand_i32(const struct plm_case *c, const char *name) {
  const struct plm_operand *operand = find(c, name);
  return operand ? operand->data : NULL;
}
