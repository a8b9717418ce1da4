/* The variants of each op: their shapes and what their inputs hold. Inside of core/check. */
#ifndef PLM_CHECK_FAMILY_H
#define PLM_CHECK_FAMILY_H

#include "check/operands.h"

#define PLM_COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

/* Where a hostile value goes: into an input, or into the q, k or v third (1 to 3) of it; NaN at the end, Inf in the middle. */
struct plm_planting {
  const char *name; /* NULL: no more */
  uint32_t third;
};
#define PLM_PLANTINGS 3u

/*
 * Variants 0 .. variants-1 have shapes of their own, in rounds of the same shapes with other flags; after them come hostile
 * ones of the shape of variant hostile_base and its likes in the rounds that follow, each of plantings with NaN, with Inf,
 * with everything denormal. Called in this order; place and fill may be NULL. variant is always below variants.
 */
struct plm_family {
  uint32_t kind;
  uint32_t variants;
  void (*shape)(struct plm_case *c, uint32_t variant); /* flags, extents, attributes, label; bytes of optional views */
  void (*place)(struct plm_case *c, uint32_t variant); /* operands are listed: what is in place */
  void (*fill)(struct plm_case *c, uint32_t variant);  /* F32 inputs hold normals, ids 0: the rest */
  uint32_t hostile_base;
  uint32_t hostile_rounds, round; /* how many rounds are hostile too, and the variants of one */
  struct plm_planting plantings[PLM_PLANTINGS];
};

/* NULL for an unknown kind. */
const struct plm_family *plm_family_of(uint32_t kind);

extern const struct plm_family plm_families_linear[];    /* linear .. add */
extern const struct plm_family plm_families_attention[]; /* rotary, attention, attention_grad */
extern const struct plm_family plm_families_rows[];      /* fill .. layer_norm_grad, gather_rows .. record */
extern const uint32_t plm_families_linear_count, plm_families_attention_count, plm_families_rows_count;

/* A deterministic word for choices. */
uint32_t plm_family_word(const struct plm_case *c, uint32_t index);
/* Uniform in 0..limit-1; count distinct ascending ids below limit (count <= limit). */
void plm_family_ids(const struct plm_case *c, const char *name, uint32_t limit);
void plm_family_ascending(const struct plm_case *c, const char *name, uint32_t limit);
/* x = offset + factor*x */
void plm_family_spread(const struct plm_case *c, const char *name, float factor, float offset);
/* output is in place with input. */
void plm_family_in_place(struct plm_case *c, const char *output, const char *input);
void plm_family_label(struct plm_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
