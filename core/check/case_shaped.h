/*
 * Cases with the shapes of a study: a matrix op as a program has it, at so many rows. They are large, and the reference is
 * slow, so what a backend made of one is confirmed on a part of it that can be computed apart: some rows of a linear op or of
 * its input's gradient, some outputs of its weights' gradient, some sequences and heads of attention.
 */
#ifndef PLM_CHECK_CASE_SHAPED_H
#define PLM_CHECK_CASE_SHAPED_H

#include "check/case.h"

#define PLM_SHAPED_SEQUENCES 256u

struct plm_case_shape {
  uint32_t rows;                          /* of linear ops */
  uint32_t lengths[PLM_SHAPED_SEQUENCES]; /* of attention; none longer than the op's length_max */
  uint32_t sequences;
};

/*
 * The shape that a self-check gives to op, whose extents are its capacity. Whole: nearly as many rows as the capacity, but no
 * more than about floats numbers in x and y, and an odd number of them, as batches have; else a few rows. Attention: sequences
 * of 1, 2, an odd number and up to length_max tokens.
 */
struct plm_case_shape plm_case_shape_of(const struct plm_op *op, int whole, uint64_t floats);

/*
 * op: as plm_distinct_init lists it. Contents are made from seed; o and lse of ATTENTION_GRAD are what forward (any side
 * that computes right) makes of the forward op. Owned by the caller. PLM_E_INVALID: not a matrix op.
 */
int plm_case_shaped(struct plm_case **out, const struct plm_op *op, const struct plm_case_shape *shape, uint64_t seed,
                    const struct plm_side *forward, struct plm_error *err);

/*
 * Judges what a backend made of the case against the reference, on a part of it of about work multiply-adds.
 */
int plm_case_confirm_part(struct plm_judgement *out, const struct plm_case *c, const struct plm_result *got,
                          const struct plm_side *reference, double work, struct plm_error *err);

#endif
