#include "op_case.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"

void *case_memory(struct op_case *c, uint64_t count, size_t size) {
  const size_t bytes = ((size_t)count * size + 63) / 64 * 64;
  assert(bytes <= c->arena_bytes - c->arena_used);
  void *memory = c->arena + c->arena_used;
  c->arena_used += bytes;
  memset(memory, 0, bytes);
  return memory;
}

static struct op_operand *operand_add(struct op_case *c, struct plm_view *view, const char *name, uint32_t type,
                                      uint64_t count) {
  assert(c->count < OP_OPERANDS_MAX);
  struct op_operand *operand = &c->operands[c->count++];
  *operand = (struct op_operand){.name = name, .type = type, .alias = -1, .count = count};
  operand->view = (size_t)((unsigned char *)view - (unsigned char *)&c->op);
  operand->data = case_memory(c, count, 4);
  return operand;
}

float *case_f32(struct op_case *c, struct plm_view *view, const char *name, uint64_t count) {
  float *data = operand_add(c, view, name, PLM_TYPE_F32, count)->data;
  plm_rng_normal(data, count, 1, c->seed, PLM_RNG_TEST, c->op.kind * 256 + c->variant, c->count);
  return data;
}

int32_t *case_i32(struct op_case *c, struct plm_view *view, const char *name, uint64_t count) {
  return operand_add(c, view, name, PLM_TYPE_I32, count)->data;
}

uint32_t case_word(const struct op_case *c, uint32_t index) {
  return plm_rng_word(c->seed, PLM_RNG_TEST, c->op.kind * 256 + c->variant, 1000 + c->count, index);
}

int32_t *case_ids(struct op_case *c, struct plm_view *view, const char *name, uint64_t count, uint32_t limit) {
  int32_t *data = case_i32(c, view, name, count);
  for (uint32_t i = 0; i < count; i++)
    data[i] = (int32_t)(case_word(c, i) % limit);
  return data;
}

/* Selection sampling (Knuth, The Art of Computer Programming 2, algorithm S). */
int32_t *case_ascending(struct op_case *c, struct plm_view *view, const char *name, uint64_t count, uint32_t limit) {
  assert(count <= limit);
  int32_t *data = case_i32(c, view, name, count);
  uint32_t taken = 0;
  for (uint32_t i = 0; i < limit && taken < count; i++)
    if (case_word(c, i) % (limit - i) < count - taken)
      data[taken++] = (int32_t)i;
  return data;
}

double *case_out(struct op_case *c, struct plm_view *view, const char *name, uint64_t count, uint64_t length) {
  struct op_operand *operand = operand_add(c, view, name, PLM_TYPE_F32, count);
  float *data = operand->data;
  for (uint64_t i = 0; i < count; i++)
    data[i] = NAN;
  operand->written = 1;
  operand->length = length;
  operand->magnitude = case_memory(c, count, sizeof(double));
  return operand->magnitude;
}

double *case_update(struct op_case *c, struct plm_view *view, const char *name, uint64_t count, uint64_t length) {
  const float *data = case_f32(c, view, name, count);
  struct op_operand *operand = &c->operands[c->count - 1];
  operand->written = 1;
  operand->length = length;
  operand->magnitude = case_memory(c, count, sizeof(double));
  for (uint64_t i = 0; i < count; i++)
    operand->magnitude[i] = fabs(data[i]);
  return operand->magnitude;
}

void case_in_place(struct op_case *c, const char *name) {
  for (uint32_t i = 0; i + 1 < c->count; i++)
    if (strcmp(c->operands[i].name, name) == 0)
      c->operands[c->count - 1].alias = (int)i;
  assert(c->operands[c->count - 1].alias >= 0);
}

void case_shift(struct op_case *c, uint64_t shift) { c->operands[c->count - 1].shift = shift; }

void case_label(struct op_case *c, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(c->label, sizeof c->label, format, args);
  va_end(args);
}
