/* The matrix ops of a model's programs, each once: what a backend with several kernels chooses for, and what a self-check runs. */
#ifndef PLM_MODEL_DISTINCT_H
#define PLM_MODEL_DISTINCT_H

#include "model/program.h"

/*
 * Linear ops, attention and their gradients that differ in kind, flags, fixed extents or what their rows follow, in the order of
 * their first use. Extents are the capacity, but for the masked rows: of those a batch has masked of, far fewer than the
 * capacity (0: not known, the capacity). Views are unbound, and those that are absent have bytes = 0.
 */
struct plm_distinct {
  struct plm_op *ops; /* owned */
  uint32_t *uses;     /* of each: how many ops of begin, accumulate, evaluate and update are like it */
  uint32_t count;
};
int plm_distinct_init(struct plm_distinct *out, const struct plm_model *model, uint32_t masked, struct plm_error *err);
void plm_distinct_fini(struct plm_distinct *distinct); /* takes a zeroed one */

#endif
