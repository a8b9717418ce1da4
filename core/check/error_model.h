/*
 * How exact a backend must be: for each output element a magnitude (the sum of the absolute values of the terms) and for
 * each output the length of its longest reduction, both from the case's op and arrays alone, never from a backend's name.
 *
 * An element may differ from the reference by u*(32 + 8*sqrt(length))*magnitude + 1e-37, u = 2^-24. The error of a sum in
 * any order grows as sqrt(length) with a constant of a few (Higham and Mary 2019); the 32 is for erf, exp, the rounding
 * of their arguments and of the result; 1e-37 lets results below float's normal range be flushed to zero. Length 0 means
 * that numbers are only moved: they must be equal.
 */
#ifndef PLM_CHECK_ERROR_MODEL_H
#define PLM_CHECK_ERROR_MODEL_H

#include <stdint.h>

#include "base/error.h"

struct plm_case;

/* By operand of the case; inputs have neither. Released by plm_bounds_fini, which takes a zeroed one. */
struct plm_bounds {
  uint32_t count;
  uint64_t length[12];
  double *magnitude[12];
};

int plm_bounds_init(struct plm_bounds *out, const struct plm_case *c, struct plm_error *err);
void plm_bounds_fini(struct plm_bounds *bounds);

/* What element i of an output may be off by. */
double plm_bounds_allowed(const struct plm_bounds *bounds, uint32_t operand, uint64_t i);

#endif
