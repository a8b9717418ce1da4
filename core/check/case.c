#include "check/case.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "check/family.h"

/* ------------------------------------------------------------ families */

const struct plm_family *plm_family_of(uint32_t kind) {
  static const struct {
    const struct plm_family *families;
    const uint32_t *count;
  } groups[] = {{plm_families_rows, &plm_families_rows_count},
                {plm_families_linear, &plm_families_linear_count},
                {plm_families_attention, &plm_families_attention_count}};
  for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
    for (uint32_t i = 0; i < *groups[g].count; i++)
      if (groups[g].families[i].kind == kind)
        return &groups[g].families[i];
  return NULL;
}

static uint32_t plantings_of(const struct plm_family *family) {
  uint32_t count = 0;
  while (count < PLM_PLANTINGS && family->plantings[count].name)
    count++;
  return count;
}

/* Kinds of hostile values. */
enum { WITH_NAN, WITH_INFINITY, WITH_DENORMALS, HOSTILE };

uint32_t plm_case_hostile(uint32_t kind) {
  const struct plm_family *family = plm_family_of(kind);
  return family ? HOSTILE * plantings_of(family) * family->hostile_rounds : 0;
}

/* The variant whose shape and flags a hostile one has. */
static uint32_t shape_of(const struct plm_family *family, uint32_t variant) {
  if (variant < family->variants)
    return variant;
  return family->hostile_base + (variant - family->variants) / (HOSTILE * plantings_of(family)) * family->round;
}

uint32_t plm_case_variants(uint32_t kind) {
  const struct plm_family *family = plm_family_of(kind);
  return family ? family->variants + plm_case_hostile(kind) : 0;
}

uint32_t plm_family_word(const struct plm_case *c, uint32_t index) {
  return plm_rng_word(c->seed, PLM_RNG_TEST, c->op.kind * 1024 + c->variant, 1000, index);
}

void plm_family_ids(const struct plm_case *c, const char *name, uint32_t limit) {
  const struct plm_operand *operand = plm_operand_find(c, name);
  int32_t *data = operand->data;
  for (uint32_t i = 0; i < operand->count; i++)
    data[i] = (int32_t)(plm_family_word(c, i) % limit);
}

/* Selection sampling (Knuth, The Art of Computer Programming 2, algorithm S). */
void plm_family_ascending(const struct plm_case *c, const char *name, uint32_t limit) {
  const struct plm_operand *operand = plm_operand_find(c, name);
  int32_t *data = operand->data;
  uint32_t taken = 0;
  assert(operand->count <= limit);
  for (uint32_t i = 0; i < limit && taken < operand->count; i++)
    if (plm_family_word(c, i) % (limit - i) < operand->count - taken)
      data[taken++] = (int32_t)i;
}

void plm_family_spread(const struct plm_case *c, const char *name, float factor, float offset) {
  const struct plm_operand *operand = plm_operand_find(c, name);
  float *x = operand->data;
  for (uint64_t i = 0; i < operand->count; i++)
    x[i] = offset + factor * x[i];
}

void plm_family_in_place(struct plm_case *c, const char *output, const char *input) {
  plm_operand_find(c, output)->alias = (int32_t)(plm_operand_find(c, input) - c->operands);
}

void plm_family_label(struct plm_case *c, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(c->label, sizeof c->label, format, args);
  va_end(args);
}

/* -------------------------------------------------------------- contents */

/* Inputs and what is updated: normals. What is overwritten: NaN, so that adding to it is seen. */
static void fill_default(struct plm_case *c) {
  for (uint32_t k = 0; k < c->count; k++) {
    const struct plm_operand *operand = &c->operands[k];
    float *data = operand->data;
    if (operand->type != PLM_TYPE_F32 || operand->alias >= 0)
      continue;
    if (operand->access != PLM_ACCESS_WRITE)
      plm_rng_normal(data, operand->count, 1, c->seed, PLM_RNG_TEST, c->op.kind * 1024 + c->variant, k + 1);
    else
      for (uint64_t i = 0; i < operand->count; i++)
        data[i] = NAN;
  }
}

/* In the last row, where tiles are partial, or in the middle. */
static uint64_t planting_place(const struct plm_case *c, const struct plm_planting *planting,
                               const struct plm_operand *operand, int last) {
  if (!planting->third)
    return last ? operand->count - 1 : operand->count / 2;
  const uint32_t heads = c->op.kind == PLM_OP_ROTARY      ? c->op.u.rotary.heads
                         : c->op.kind == PLM_OP_ATTENTION ? c->op.u.attention.heads
                                                          : c->op.u.attention_grad.heads;
  const uint32_t size = c->op.kind == PLM_OP_ROTARY      ? c->op.u.rotary.head_size
                        : c->op.kind == PLM_OP_ATTENTION ? c->op.u.attention.head_size
                                                         : c->op.u.attention_grad.head_size;
  const uint64_t third = (uint64_t)heads * size, rows = operand->count / (3 * third);
  const uint64_t row = last ? rows - 1 : rows / 2;
  return (row * 3 + planting->third - 1) * third + third / 2;
}

static void plant(struct plm_case *c, const struct plm_family *family, uint32_t hostile) {
  const struct plm_planting *planting = &family->plantings[hostile / HOSTILE % plantings_of(family)];
  const struct plm_operand *operand = plm_operand_find(c, planting->name);
  float *data = operand->data;
  const int nan = hostile % HOSTILE == WITH_NAN;
  if (hostile % HOSTILE == WITH_DENORMALS)
    plm_family_spread(c, planting->name, 0x1p-130f, 0);
  else if (operand->count)
    data[planting_place(c, planting, operand, nan)] = nan ? NAN : INFINITY;
}

/* ---------------------------------------------------------------- making */

/* The op without operands, and its label. */
static const struct plm_family *shape_case(struct plm_case *c, uint32_t kind, uint32_t variant) {
  static const char *const words[HOSTILE] = {"NaN", "Inf", "denormals"}, *const thirds[] = {"", ".q", ".k", ".v"};
  const struct plm_family *family = plm_family_of(kind);
  if (!family || variant >= plm_case_variants(kind))
    return NULL;
  c->op = (struct plm_op){.struct_size = sizeof c->op, .kind = kind, .index = variant, .type = PLM_TYPE_F32};
  c->variant = variant;
  family->shape(c, shape_of(family, variant));
  if (variant >= family->variants) {
    const uint32_t hostile = variant - family->variants;
    const struct plm_planting *planting = &family->plantings[hostile / HOSTILE % plantings_of(family)];
    const size_t used = strlen(c->label);
    snprintf(c->label + used, sizeof c->label - used, ", %s in %s%s", words[hostile % HOSTILE], planting->name,
             thirds[planting->third]);
  }
  return family;
}

void plm_case_describe(char label[PLM_CASE_LABEL], uint32_t kind, uint32_t variant) {
  struct plm_case c = {0};
  shape_case(&c, kind, variant);
  memcpy(label, c.label, sizeof c.label);
}

int plm_case_find(uint32_t *variant, uint32_t kind, const char *label, struct plm_error *err) {
  char its[PLM_CASE_LABEL];
  for (uint32_t i = 0; i < plm_case_variants(kind); i++) {
    plm_case_describe(its, kind, i);
    if (!strcmp(its, label)) {
      *variant = i;
      return 0;
    }
  }
  return plm_error_set(err, PLM_E_INVALID, "%s has no case \"%s\"", plm_op_name(kind), label);
}

int plm_case_make(struct plm_case **out, uint32_t kind, uint32_t variant, uint64_t seed, struct plm_error *err) {
  struct plm_case *c = plm_memory_zeroed(1, sizeof *c);
  if (!c)
    return plm_error_memory(err, "a conformance case");
  const struct plm_family *family = shape_case(c, kind, variant);
  if (!family) {
    plm_case_destroy(c);
    return plm_error_set(err, PLM_E_INVALID, "case %s:%u: there are %u", plm_op_name(kind), variant,
                         plm_case_variants(kind));
  }
  const uint32_t shape = shape_of(family, variant);
  c->seed = seed;
  int code = plm_operands_list(c, err);
  if (!code && family->place)
    family->place(c, shape);
  for (uint32_t k = 0; k < c->count; k++)
    c->operands[k].shift = c->operands[k].align < 64 ? c->operands[k].align : 0;
  if (!code)
    code = plm_operands_allocate(c, err);
  if (code) {
    plm_case_destroy(c);
    return code;
  }
  fill_default(c);
  if (family->fill)
    family->fill(c, shape);
  if (variant >= family->variants)
    plant(c, family, variant - family->variants);
  *out = c;
  return 0;
}

void plm_case_destroy(struct plm_case *c) {
  if (c)
    free(c->arrays);
  free(c);
}
