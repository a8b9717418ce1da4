/*
 * One case on the backend under test and on the reference. It passes when all of this holds:
 *  - the tested backend takes the op, or may decline it because of an optional flag (a decline is listed, not passed);
 *  - every output element is as near to the reference's as the error model asks;
 *  - no byte changed outside the outputs: not inputs, not the canaries around every view and the workspace;
 *  - a second run gives the same bits when the verdict says deterministic.
 */
#ifndef PLM_CHECK_CHECK_CASE_H
#define PLM_CHECK_CHECK_CASE_H

#include <stdio.h>

#include "check/case.h"

enum plm_check_status { PLM_CHECK_PASSED, PLM_CHECK_FAILED, PLM_CHECK_DECLINED };

#define PLM_CHECK_TEXT 512
struct plm_check_outcome {
  enum plm_check_status status;
  double worst;              /* largest error in units of what is allowed; 0 where nothing is measured */
  char text[PLM_CHECK_TEXT]; /* why it failed or was declined; what was measured */
};

/* Marks *out failed with one line, unless it is already: the first reason stays. Returns 1. */
int plm_check_fail(struct plm_check_outcome *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

void plm_check_case(struct plm_check_outcome *out, const struct plm_case *c, const struct plm_side *tested,
                    const struct plm_side *reference);

/*
 * All cases of one op or of all, in this process: for test programs that look at one backend closely. A failure and a
 * decline are a line on stream, an op is a line of counts. Returns PLM_OK when cases ran, whatever their outcome; no case at
 * all, or a device that does not open, is an error.
 */
struct plm_check_counts {
  uint32_t passed, failed, declined;
};
struct plm_check_all {
  const struct plm_backend *tested; /* complete tables, as a loaded plugin has them */
  const struct plm_backend *reference;
  uint32_t device; /* of tested; the reference uses its device 0 */
  uint64_t seed;
  uint32_t op;     /* PLM_OP_ to check alone, 0: all */
  int32_t variant; /* the case of that op to check alone, -1: all */
  uint64_t elements_max; /* leaves out cases with more elements in all operands, for devices that are simulated; 0: none */
  FILE *stream;
};
int plm_check_all_cases(struct plm_check_counts *out, const struct plm_check_all *check, struct plm_error *err);

#endif
