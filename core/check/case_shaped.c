#include "check/case_shaped.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "check/operands.h"
#include "model/ops.h"

static int attends(const struct plm_op *op) {
  return op->kind == PLM_OP_ATTENTION || op->kind == PLM_OP_ATTENTION_GRAD;
}

static void widths(uint32_t *in, uint32_t *out, const struct plm_op *op) {
  const int input = op->kind == PLM_OP_LINEAR_GRAD_INPUT, weight = op->kind == PLM_OP_LINEAR_GRAD_WEIGHT;
  *in = input ? op->u.linear_grad_input.in : weight ? op->u.linear_grad_weight.in : op->u.linear.in;
  *out = input ? op->u.linear_grad_input.out : weight ? op->u.linear_grad_weight.out : op->u.linear.out;
}

/* ------------------------------------------------------------ shapes */

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Short ones, odd ones, and two that are as long as room allows. */
static void lengths_of(struct plm_case_shape *shape, const struct plm_op *op, int whole, uint64_t floats) {
  const int grad = op->kind == PLM_OP_ATTENTION_GRAD;
  const uint32_t most = grad ? op->u.attention_grad.length_max : op->u.attention.length_max;
  const uint64_t width = grad ? (uint64_t)op->u.attention_grad.heads * op->u.attention_grad.head_size
                              : (uint64_t)op->u.attention.heads * op->u.attention.head_size;
  uint64_t room = floats / (8 * width);
  const uint32_t longest = least(most, room > 64 ? (uint32_t)(room < 4096 ? room : 4096) : 64);
  const uint32_t wanted[] = {3, 1, 67, 2, 130, 33, longest, 65, longest - longest / 3};
  const uint32_t count = whole ? sizeof wanted / sizeof *wanted : 4;
  for (uint32_t i = 0; i < count; i++)
    shape->lengths[shape->sequences++] = least(wanted[i], least(most, longest));
}

struct plm_case_shape plm_case_shape_of(const struct plm_op *op, int whole, uint64_t floats) {
  struct plm_case_shape shape = {0};
  struct plm_op copy = *op;
  uint32_t in, out, count;
  const struct plm_extent *extents = plm_op_extents(&copy, &count);
  if (attends(op)) {
    lengths_of(&shape, op, whole, floats);
    return shape;
  }
  widths(&in, &out, op);
  const uint64_t room = floats / ((uint64_t)in + out);
  uint32_t rows = extents[0].count;
  if (rows > room)
    rows = room > 64 ? (uint32_t)room : least(rows, 64);
  rows = rows > 8 ? (rows - 1) | 1 : rows; /* odd, and never above the capacity */
  shape.rows = whole ? rows : least(rows, 5);
  return shape;
}

/* ------------------------------------------------------------ contents */

/* Uniform in -1.7 .. 1.7: variance 1. Quicker than normals, and these cases are large. */
static void fill_uniform(float *x, uint64_t count, uint64_t seed) {
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
  for (uint64_t i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    x[i] = ((float)(state >> 40) * 0x1p-24f - 0.5f) * 3.4641016f;
  }
}

static void fill_sequences(struct plm_case *c, const struct plm_case_shape *shape) {
  int32_t *offsets = plm_operand_i32(c, "offsets"), *positions = plm_operand_i32(c, "positions");
  float *cosine = plm_operand_f32(c, "cosine"), *sine = plm_operand_f32(c, "sine");
  const int grad = c->op.kind == PLM_OP_ATTENTION_GRAD;
  const uint32_t rows = grad ? c->op.u.attention_grad.table_rows : c->op.u.attention.table_rows;
  const uint32_t half = (grad ? c->op.u.attention_grad.head_size : c->op.u.attention.head_size) / 2;
  offsets[0] = 0;
  for (uint32_t s = 0; s < shape->sequences; s++) {
    offsets[s + 1] = offsets[s] + (int32_t)shape->lengths[s];
    for (int32_t t = offsets[s]; t < offsets[s + 1] && positions; t++)
      positions[t] = t - offsets[s];
  }
  for (uint32_t p = 0; p < rows && cosine; p++)
    for (uint32_t j = 0; j < half; j++) {
      const double angle = p * pow(10000, -(double)j / half);
      cosine[p * half + j] = (float)cos(angle);
      sine[p * half + j] = (float)sin(angle);
    }
}

static void fill(struct plm_case *c, const struct plm_case_shape *shape, uint64_t seed) {
  for (uint32_t k = 0; k < c->count; k++) {
    const struct plm_operand *operand = &c->operands[k];
    float *data = operand->data;
    if (operand->type != PLM_TYPE_F32 || operand->alias >= 0)
      continue;
    if (operand->access == PLM_ACCESS_WRITE)
      memset(data, 0xff, (size_t)operand->count * sizeof *data); /* NaN */
    else
      fill_uniform(data, operand->count, seed * 16 + k);
  }
  if (attends(&c->op))
    fill_sequences(c, shape);
}

/* o and lse of a gradient: what the forward op leaves. */
static int fill_forward(struct plm_case *c, const struct plm_case_shape *shape, uint64_t seed,
                        const struct plm_side *forward, struct plm_error *err) {
  const struct plm_op_attention_grad *g = &c->op.u.attention_grad;
  struct plm_op op = {.struct_size = sizeof op, .kind = PLM_OP_ATTENTION, .flags = c->op.flags, .type = c->op.type};
  struct plm_case *f = NULL;
  struct plm_result made = {0};
  struct plm_verdict verdict;
  op.u.attention = (struct plm_op_attention){.rows = g->rows,
                                                  .sequences = g->sequences,
                                                  .heads = g->heads,
                                                  .head_size = g->head_size,
                                                  .length_max = g->length_max,
                                                  .table_rows = g->table_rows,
                                                  .scale = g->scale};
  int code = plm_case_shaped(&f, &op, shape, seed, forward, err);
  if (!code)
    code = plm_case_query(&verdict, f, forward, err);
  if (!code)
    code = plm_case_run(&made, f, forward, &verdict, err);
  static const char *const names[] = {"o", "lse"};
  for (int i = 0; i < 2 && !code; i++) {
    const struct plm_operand *from = plm_operand_find(f, names[i]);
    memcpy(plm_operand_f32(c, names[i]), made.data[from - f->operands], (size_t)from->count * sizeof(float));
  }
  plm_result_fini(&made);
  plm_case_destroy(f);
  return code;
}

/* Flags that a backend may decline; the rest is required. */
static uint32_t optional_of(const struct plm_op *op) {
  return op->flags & (PLM_FLAG_BIAS | PLM_FLAG_GELU | PLM_FLAG_RESIDUAL | PLM_FLAG_ROTARY | PLM_FLAG_CAUSAL);
}

/* Sets the case's extents to rows, or to the sequences of a shape. */
static void set_extents(struct plm_case *c, uint32_t rows, uint32_t sequences) {
  uint32_t count;
  struct plm_extent *extents = plm_op_extents(&c->op, &count);
  extents[0].count = rows;
  if (count > 1)
    extents[1].count = sequences;
}

int plm_case_shaped(struct plm_case **out, const struct plm_op *op, const struct plm_case_shape *shape, uint64_t seed,
                    const struct plm_side *forward, struct plm_error *err) {
  uint32_t rows = shape->rows;
  if (!attends(op) && op->kind != PLM_OP_LINEAR && op->kind != PLM_OP_LINEAR_GRAD_INPUT &&
      op->kind != PLM_OP_LINEAR_GRAD_WEIGHT)
    return plm_error_set(err, PLM_E_INVALID, "%s is not a matrix op", plm_op_name(op->kind));
  struct plm_case *c = plm_memory_zeroed(1, sizeof *c);
  if (!c)
    return plm_error_memory(err, "making a case");
  c->op = *op;
  c->seed = seed;
  c->optional_flags = optional_of(op);
  for (uint32_t s = 0; s < shape->sequences; s++)
    rows += shape->lengths[s];
  set_extents(c, rows, shape->sequences);
  plm_op_shape(c->label, &c->op);
  int code = plm_operands_list(c, err);
  if (!code)
    code = plm_operands_allocate(c, err);
  if (!code)
    fill(c, shape, seed);
  if (!code && op->kind == PLM_OP_ATTENTION_GRAD)
    code = fill_forward(c, shape, seed, forward, err);
  if (code)
    plm_case_destroy(c);
  else
    *out = c;
  return code;
}

/* ------------------------------------------------------------ parts */

/* Which rows (linear ops: of x and y; grad_weight: outputs; attention: tokens) a part has. */
struct part {
  uint32_t *rows; /* ascending */
  uint32_t count;
  /* Of attention. */
  uint32_t sequences[PLM_SHAPED_SEQUENCES];
  uint32_t sequence_count;
  uint32_t *heads; /* ascending */
  uint32_t head_count;
};

enum taking { TAKE_ALL, TAKE_ROWS, TAKE_COLUMNS, TAKE_HEADS };

static int named(const char *name, const char *const *names) {
  for (; *names; names++)
    if (!strcmp(name, *names))
      return 1;
  return 0;
}

static enum taking taking_of(const struct plm_case *c, const char *name) {
  static const char *const linear[] = {"x", "residual", "y", "pre", NULL}, *const input[] = {"dy", "pre", "dx", NULL},
                           *const weight[] = {"dw", "dbias", NULL},
                           *const attention[] = {"qkv", "o", "lse", "d_o", "dqkv", NULL};
  switch (c->op.kind) {
  case PLM_OP_LINEAR:
    return named(name, linear) ? TAKE_ROWS : TAKE_ALL;
  case PLM_OP_LINEAR_GRAD_INPUT:
    return named(name, input) ? TAKE_ROWS : TAKE_ALL;
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    return !strcmp(name, "dy") ? TAKE_COLUMNS : named(name, weight) ? TAKE_ROWS : TAKE_ALL;
  default:
    return named(name, attention) ? TAKE_HEADS : !strcmp(name, "positions") ? TAKE_ROWS : TAKE_ALL;
  }
}

/* What the rows of a part are rows of. */
static uint32_t total_of(const struct plm_case *c) {
  struct plm_op copy = c->op;
  uint32_t count;
  const struct plm_extent *extents = plm_op_extents(&copy, &count);
  return c->op.kind == PLM_OP_LINEAR_GRAD_WEIGHT ? c->op.u.linear_grad_weight.out : extents[0].count;
}

static uint32_t *heads_of(struct plm_op *op) {
  return op->kind == PLM_OP_ATTENTION_GRAD ? &op->u.attention_grad.heads : &op->u.attention.heads;
}

/* Words of a head in a row of so many: one of lse, else the head's size. */
static uint64_t head_words(const struct plm_case *c, uint64_t width) {
  struct plm_op op = c->op;
  const uint32_t size = op.kind == PLM_OP_ATTENTION_GRAD ? op.u.attention_grad.head_size : op.u.attention.head_size;
  return width == *heads_of(&op) ? 1 : size;
}

/* Some heads of some rows: of q, k and v, of an output, or of lse, by the words of a row. */
static void take_heads(uint32_t *to, const uint32_t *from, const struct plm_case *c, uint64_t width,
                       const struct part *part) {
  struct plm_op op = c->op;
  const uint32_t heads = *heads_of(&op);
  const uint64_t words = head_words(c, width), groups = width / (heads * words);
  for (uint32_t i = 0; i < part->count; i++)
    for (uint64_t g = 0; g < groups; g++)
      for (uint32_t k = 0; k < part->head_count; k++, to += words)
        memcpy(to, from + part->rows[i] * width + (g * heads + part->heads[k]) * words, (size_t)words * 4);
}

/* Words of 4 bytes from an operand's array of the whole to that of the part. */
static void take(void *to, const void *from, const struct plm_case *c, const struct plm_operand *operand,
                 const struct part *part) {
  const uint32_t total = total_of(c);
  const enum taking taking = taking_of(c, operand->name);
  const uint64_t width = total ? operand->count / total : 0; /* of a row, or how many rows have a column */
  const uint32_t *source = from;
  uint32_t *target = to;
  if (taking == TAKE_ALL) {
    memcpy(target, source, (size_t)operand->count * 4);
  } else if (taking == TAKE_HEADS) {
    take_heads(target, source, c, width, part);
  } else if (taking == TAKE_ROWS) {
    for (uint32_t i = 0; i < part->count; i++)
      memcpy(target + i * width, source + part->rows[i] * width, (size_t)width * 4);
  } else {
    for (uint64_t r = 0; r < width; r++)
      for (uint32_t i = 0; i < part->count; i++)
        target[r * part->count + i] = source[r * total + part->rows[i]];
  }
}

static void take_offsets(struct plm_case *to, const struct plm_case *from, const struct part *part) {
  int32_t *offsets = plm_operand_i32(to, "offsets");
  const int32_t *whole = plm_operand_i32(from, "offsets");
  offsets[0] = 0;
  for (uint32_t i = 0; i < part->sequence_count; i++)
    offsets[i + 1] = offsets[i] + whole[part->sequences[i] + 1] - whole[part->sequences[i]];
}

/* The part of a case, and of what was made of it. */
static int cut(struct plm_case **out, struct plm_result *cut_got, const struct plm_case *c, const struct plm_result *got,
               const struct part *part, struct plm_error *err) {
  struct plm_case *small = plm_memory_zeroed(1, sizeof *small);
  struct plm_result result = {0};
  if (!small)
    return plm_error_memory(err, "a part of a case");
  small->op = c->op;
  small->optional_flags = c->optional_flags;
  if (c->op.kind == PLM_OP_LINEAR_GRAD_WEIGHT)
    small->op.u.linear_grad_weight.out = part->count;
  else
    set_extents(small, part->count, part->sequence_count);
  if (attends(&c->op))
    *heads_of(&small->op) = part->head_count;
  int code = plm_operands_list(small, err);
  if (!code)
    code = plm_operands_allocate(small, err);
  for (uint32_t k = 0; k < small->count && !code; k++) {
    const struct plm_operand *operand = &small->operands[k];
    if (!strcmp(operand->name, "offsets"))
      take_offsets(small, c, part);
    else
      take(operand->data, c->operands[k].data, c, &c->operands[k], part);
    if (operand->access == PLM_ACCESS_READ)
      continue;
    if (!(result.data[k] = plm_memory_zeroed((size_t)operand->count, 4)))
      code = plm_error_memory(err, "a part of a case");
    else
      take(result.data[k], got->data[k], c, &c->operands[k], part);
  }
  if (code) {
    plm_result_fini(&result);
    plm_case_destroy(small);
    return code;
  }
  *out = small;
  *cut_got = result;
  return 0;
}

/* Multiply-adds of one row of the part. */
static double work_of_row(const struct plm_case *c) {
  uint32_t in, out;
  widths(&in, &out, &c->op);
  if (c->op.kind == PLM_OP_LINEAR_GRAD_WEIGHT)
    return (double)in * c->op.u.linear_grad_weight.rows.count;
  return (double)in * out;
}

/* The first and last rows, where edges of tiles are, and others evenly between. */
static void choose_rows(struct part *part, const struct plm_case *c, double work) {
  const uint32_t total = total_of(c);
  const double affordable = work / work_of_row(c);
  const uint32_t count = affordable < total ? (affordable > 8 ? (uint32_t)affordable : least(8, total)) : total;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t row = count < 2 ? 0 : (uint32_t)((uint64_t)i * (total - 1) / (count - 1));
    if (i + 4 >= count) /* the tail whole */
      row = total - (count - i);
    if (part->count == 0 || row > part->rows[part->count - 1])
      part->rows[part->count++] = row;
  }
}

/* All heads, or up to three of them. Then sequences from the last back, as long as they are affordable. */
static void choose_sequences(struct part *part, const struct plm_case *c, double work) {
  const int32_t *offsets = plm_operand_i32(c, "offsets");
  const int grad = c->op.kind == PLM_OP_ATTENTION_GRAD;
  const uint32_t count = grad ? c->op.u.attention_grad.sequences.count : c->op.u.attention.sequences.count;
  const uint32_t heads = grad ? c->op.u.attention_grad.heads : c->op.u.attention.heads;
  const double each = (grad ? 5.0 * c->op.u.attention_grad.head_size : 2.0 * c->op.u.attention.head_size);
  const uint32_t few[] = {0, heads / 2, heads - 1};
  double costs[PLM_SHAPED_SEQUENCES], sum = 0;
  unsigned char taken[PLM_SHAPED_SEQUENCES] = {0};
  for (uint32_t s = 0; s < count; s++) {
    costs[s] = each * (offsets[s + 1] - offsets[s]) * (offsets[s + 1] - offsets[s]);
    sum += costs[s];
  }
  const uint32_t wanted = sum * heads <= work || heads < 3 ? heads : 3;
  for (uint32_t k = 0; k < wanted; k++)
    part->heads[part->head_count++] = wanted == heads ? k : few[k];
  for (uint32_t s = count; s-- > 0;) {
    taken[s] = costs[s] * wanted <= work;
    work -= taken[s] ? costs[s] * wanted : 0;
  }
  for (uint32_t s = 0; s < count; s++)
    if (taken[s]) {
      part->sequences[part->sequence_count++] = s;
      for (int32_t t = offsets[s]; t < offsets[s + 1]; t++)
        part->rows[part->count++] = (uint32_t)t;
    }
}

/* Where an element of an output of the part stands in the whole. */
static uint64_t place_in_whole(const struct plm_case *c, const struct plm_operand *operand, const struct part *part,
                               uint64_t element) {
  struct plm_op op = c->op;
  const uint64_t width = operand->count / total_of(c);
  if (taking_of(c, operand->name) == TAKE_ROWS)
    return part->rows[element / width] * width + element % width;
  const uint32_t heads = *heads_of(&op);
  const uint64_t words = head_words(c, width), groups = width / (heads * words), of_part = groups * part->head_count * words, rest = element % of_part;
  return part->rows[element / of_part] * width +
         (rest / (part->head_count * words) * heads + part->heads[rest / words % part->head_count]) * words + rest % words;
}

int plm_case_confirm_part(struct plm_judgement *out, const struct plm_case *c, const struct plm_result *got,
                          const struct plm_side *reference, double work, struct plm_error *err) {
  struct plm_op op = c->op;
  struct part part = {.rows = plm_memory_zeroed((size_t)total_of(c), sizeof *part.rows),
                      .heads = plm_memory_zeroed(attends(&op) ? *heads_of(&op) : 1, sizeof *part.heads)};
  struct plm_case *small = NULL;
  struct plm_result small_got = {0};
  int code = part.rows && part.heads ? 0 : plm_error_memory(err, "a part of a case");
  if (code)
    goto out;
  if (attends(&c->op))
    choose_sequences(&part, c, work);
  else
    choose_rows(&part, c, work);
  code = cut(&small, &small_got, c, got, &part, err);
  if (!code)
    code = plm_case_confirm(out, small, &small_got, reference, err);
  if (!code && out->wrong) {
    const struct plm_operand *operand = &c->operands[out->operand];
    plm_judgement_write(out, operand->name, place_in_whole(c, operand, &part, out->element));
  }
out:
  plm_result_fini(&small_got);
  plm_case_destroy(small);
  free(part.rows);
  free(part.heads);
  return code;
}
