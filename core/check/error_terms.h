/* What the files of the error model share. Inside of core/check. */
#ifndef PLM_CHECK_ERROR_TERMS_H
#define PLM_CHECK_ERROR_TERMS_H

#include <math.h>

#include "check/case.h"

/* The bounds of one case as they are put together; magnitudes begin as |before| where the output is read first, else as 0. */
struct plm_terms {
  const struct plm_case *c;
  struct plm_bounds *bounds;
  int code;
};

/* A float below 2^-126 may be flushed to 0: 2^-107 times the 32 u of every tolerance leaves room for that. */
#define PLM_TERM_TINY 0x1p-107
static inline double plm_term(float x) { return fabs((double)x) + PLM_TERM_TINY; }

/* The magnitudes of an output by name, its reduction length noted. */
double *plm_bounds_of(struct plm_terms *terms, const char *name, uint64_t length);

/* Ids, offsets and positions that the model will follow are in range: PLM_E_INVALID names the first that is not. */
int plm_terms_legal(const struct plm_case *c, struct plm_error *err);

void plm_terms_rotary(struct plm_terms *terms);
void plm_terms_attention(struct plm_terms *terms);
void plm_terms_attention_grad(struct plm_terms *terms);

#endif
