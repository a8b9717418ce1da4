/*
 * Conformance of a backend, op by op: every op at every class of shape (1, primes, tails, long and empty sequences, no
 * rows) with seeded random inputs, on the backend under test and on the reference backend.
 *
 * A case passes when all of this holds:
 *  - each output element is within u*(32 + 8*sqrt(n))*magnitude of the reference: u = 2^-24, n the length of the
 * longest reduction, magnitude the sum of the absolute values of the terms (Higham and Mary 2019: the error of a sum in
 * any order grows as sqrt(n) with a constant of a few; the 32 is for erf, exp and their arguments). Ops that only move
 *    numbers are compared bit by bit. Nothing depends on which backend it is;
 *  - outputs that the op overwrites held NaN before, so adding to them is seen;
 *  - no byte changed outside the outputs: not inputs, not the canaries around every view and the workspace;
 *  - a second run gives the same bits when the verdict says deterministic.
 * A required op that is declined is a failure; a declined fused or optional flag is a skip, counted and named.
 */
#ifndef PLM_TESTS_OP_CASES_H
#define PLM_TESTS_OP_CASES_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

struct plm_check {
  const struct plm_backend *tested; /* complete tables, as a loaded plugin has them */
  const struct plm_backend *reference;
  uint32_t device; /* of tested; the reference uses its device 0 */
  uint64_t seed;
  uint32_t op;     /* PLM_OP_ to check alone, 0: all */
  int32_t variant; /* the case of that op to check alone, -1: all */
  FILE *out;       /* failures, skips, and one line per op */
};

struct plm_check_counts {
  uint32_t passed, failed, skipped;
};

/* Returns PLM_OK when the cases ran, whatever their outcome. No case at all, or a device that does not open, is an
 * error. */
int plm_check_ops(struct plm_check_counts *out, const struct plm_check *check, struct plm_error *err);

#endif
