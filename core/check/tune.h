/*
 * Choosing among a backend's implementations of the matrix ops (plmscale/kernels.h): each is compared with the reference before
 * it may be chosen, all that are right are timed in turns on the shapes of a study, and the fastest is chosen.
 */
#ifndef PLM_CHECK_TUNE_H
#define PLM_CHECK_TUNE_H

#include "check/case.h"
#include "plmscale/kernels.h"
#include "runtime/plugin.h"

enum plm_tune_state {
  PLM_TUNE_RIGHT,  /* timed */
  PLM_TUNE_SLOW,   /* right, timed in few rounds: several times slower than another */
  PLM_TUNE_WRONG,  /* its numbers are beyond the error model, or it writes where it must not */
  PLM_TUNE_FAILED, /* it did not build or run */
};

struct plm_tune_candidate {
  char name[PLM_KERNELS_NAME];
  enum plm_tune_state state;
  double seconds; /* of one op, the median of the rounds; 0: not timed */
  double spread;  /* of the middle half of the rounds, in units of seconds */
  double worst;   /* largest error, in units of what is allowed */
  char text[256]; /* what is wrong, or why it failed */
};

struct plm_tune_op {
  struct plm_op op; /* unbound, at the extents it was timed at */
  uint32_t uses;    /* in the programs of a model */
  double flops;     /* of one op */
  struct plm_tune_candidate *candidates;
  uint32_t count;
  uint32_t standard; /* which was taken before */
  uint32_t winner;   /* which is taken now; count: none is right */
};

/* Init by zeroing, plm_tuning_fini takes a zeroed one. */
struct plm_tuning {
  struct plm_tune_op *ops;
  uint32_t count;
  size_t capacity;
};
void plm_tuning_fini(struct plm_tuning *tuning);

/* Adds an op as plm_distinct_init lists it; one that is there already gets more uses. */
int plm_tuning_add(struct plm_tuning *tuning, const struct plm_op *op, uint32_t uses, struct plm_error *err);

struct plm_tune_options {
  const struct plm_side *tested; /* its backend has the extension */
  const struct plm_kernels_extension *kernels;
  const struct plm_side *reference;
  double seconds; /* for timing, all ops together; the comparison comes on top */
  void (*progress)(void *context, const struct plm_tuning *tuning, uint32_t number, uint32_t op); /* may be NULL */
  void *context;
};

/*
 * Tries all ops, the cheapest first: where the backend takes the rows of two for one class, the dearer decides. Leaves every one with its winner chosen (the standard one where none is right), with the measured time where
 * it is to be kept. What an implementation fails with is noted; a lost device or one that does not answer is an error.
 */
int plm_tune_run(struct plm_tuning *tuning, const struct plm_tune_options *options, struct plm_error *err);

#endif
