/* What each op reads and writes, as data. Inside of core/check. */
#ifndef PLM_CHECK_OPERANDS_H
#define PLM_CHECK_OPERANDS_H

#include "check/case.h"

/*
 * Fills c->operands (without data) from c->op's kind, flags and extents. A view that the op can do without (pre of LINEAR,
 * weights of REDUCE_SUM) is there when its bytes are not 0. PLM_E_INVALID: unknown kind, or extents that overflow.
 */
int plm_operands_list(struct plm_case *c, struct plm_error *err);

/* Memory for the operands' data, zeroed; aliases share. */
int plm_operands_allocate(struct plm_case *c, struct plm_error *err);

/* An operand by name; it must be there. */
struct plm_operand *plm_operand_find(const struct plm_case *c, const char *name);
/* Its contents, NULL when there is no such operand. */
float *plm_operand_f32(const struct plm_case *c, const char *name);
int32_t *plm_operand_i32(const struct plm_case *c, const char *name);

/*
 * plm_case_run with something wrong: bend changes the placed and bound op just before it runs. What the op and the finish
 * after it say is kept in code and error; the call itself fails only when buffers cannot be made, written or read.
 */
struct plm_misuse {
  void (*bend)(struct plm_op *op, void *context);
  void *context;
  int code;
  struct plm_error error;
};
int plm_case_misuse(struct plm_result *out, struct plm_misuse *misuse, const struct plm_case *c,
                    const struct plm_side *side, const struct plm_verdict *verdict, struct plm_error *err);

static inline struct plm_view *plm_operand_view(const struct plm_operand *operand, struct plm_op *op) {
  return (struct plm_view *)(void *)((unsigned char *)op + operand->view);
}

#endif
