/* One conformance case: an op, its operands with their contents before, and how exact each output must be. */
#ifndef PLM_TESTS_OP_CASE_H
#define PLM_TESTS_OP_CASE_H

#include <stddef.h>
#include <stdint.h>

#include "plmscale/backend.h"

#define OP_OPERANDS_MAX 12

struct op_operand {
  const char *name;
  size_t view; /* offset of the plm_view in the op */
  uint32_t type;
  int written;
  int alias;         /* index of the operand that it is in place with, or -1 */
  uint64_t shift;    /* bytes beyond a multiple of 64 */
  uint64_t count;    /* elements */
  uint64_t length;   /* of the longest reduction, 0: bits must be equal */
  void *data;        /* contents before */
  double *magnitude; /* [count] of outputs: sum of |terms| */
};

struct op_case {
  struct plm_op op;
  uint32_t optional_flags; /* those of op.flags that a backend may decline */
  uint64_t seed;
  uint32_t variant;
  char label[128]; /* the shape, in words */
  uint32_t count;
  struct op_operand operands[OP_OPERANDS_MAX];
  unsigned char *arena; /* all arrays of the case */
  size_t arena_used, arena_bytes;
};

/* Zeroed memory that lives as long as the case. */
void *case_memory(struct op_case *c, uint64_t count, size_t size);
/* Inputs: standard normals; ids for the maker to fill; ids that are uniform in 0..limit-1. */
float *case_f32(struct op_case *c, struct plm_view *view, const char *name, uint64_t count);
int32_t *case_i32(struct op_case *c, struct plm_view *view, const char *name, uint64_t count);
int32_t *case_ids(struct op_case *c, struct plm_view *view, const char *name, uint64_t count, uint32_t limit);
/* count distinct ascending ids below limit (count <= limit). */
int32_t *case_ascending(struct op_case *c, struct plm_view *view, const char *name, uint64_t count, uint32_t limit);
/* An output that is overwritten: NaN before. Returns its magnitudes, to be filled. */
double *case_out(struct op_case *c, struct plm_view *view, const char *name, uint64_t count, uint64_t length);
/* An output that is read first: normals before, magnitudes begin as their absolute values. */
double *case_update(struct op_case *c, struct plm_view *view, const char *name, uint64_t count, uint64_t length);
/* The last operand is in place with the named one. */
void case_in_place(struct op_case *c, const char *name);
/* The last operand starts shift bytes past a multiple of 64. */
void case_shift(struct op_case *c, uint64_t shift);
/* A deterministic word for choices. */
uint32_t case_word(const struct op_case *c, uint32_t index);
void case_label(struct op_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The cases of one op: make fills c (zeroed but for op.kind, seed, variant and memory) for c->variant < variants. */
struct op_family {
  uint32_t kind;
  uint32_t variants;
  void (*make)(struct op_case *c);
};
/* PLM_OP_COUNT entries in the order of ids, from three files. */
extern const struct op_family op_families_linear[];    /* linear .. add */
extern const struct op_family op_families_attention[]; /* rotary, attention, attention_grad */
extern const struct op_family op_families_rows[];      /* fill .. layer_norm_grad, gather_rows .. record */
extern const uint32_t op_families_linear_count, op_families_attention_count, op_families_rows_count;

#endif
