/*
 * A conformance case: one op and host arrays for its operands. It is made from (op, variant, seed), captured from an op that
 * is bound to device buffers, or loaded from a file; it runs on any backend, and what two backends made of it is judged
 * by the error model (check/error_model.h) alone. Whoever has a case can do all of that, wherever it came from.
 */
#ifndef PLM_CHECK_CASE_H
#define PLM_CHECK_CASE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "check/error_model.h"
#include "plmscale/backend.h"

#define PLM_CASE_OPERANDS 12u /* no op has more views */
#define PLM_CASE_LABEL 128u

#define PLM_ACCESS_READ 1u   /* an input */
#define PLM_ACCESS_WRITE 2u  /* an output that is overwritten */
#define PLM_ACCESS_UPDATE 3u /* both: "+=", in place by definition, or written in part */

struct plm_operand {
  const char *name; /* of its view: "x", "dqkv" */
  size_t view;      /* offset of the plm_view in the op */
  uint32_t type;    /* PLM_TYPE_ */
  uint32_t access;  /* PLM_ACCESS_ */
  uint32_t align;   /* what the op asks of the view's offset */
  int32_t alias;    /* the operand that it is in place with, -1: none */
  uint64_t shift;   /* its view starts so many bytes past a multiple of 64 */
  uint64_t count;   /* elements, 4 bytes each */
  void *data;       /* contents before the op; of an alias those of the operand it names */
};

/* Fields are read-only outside core/check. */
struct plm_case {
  struct plm_op op;        /* views unbound */
  uint32_t optional_flags; /* those of op.flags that a backend may decline */
  uint32_t variant;
  uint64_t seed;
  char label[PLM_CASE_LABEL]; /* shape and mode, in words */
  uint32_t count;
  struct plm_operand operands[PLM_CASE_OPERANDS];
  void *arrays; /* behind all data */
};

/* ------------------------------------------------------------- where from */

/* How many variants there are of an op kind, 0 for an unknown kind. The last plm_case_hostile of them hold NaN, Inf, .. */
uint32_t plm_case_variants(uint32_t kind);
uint32_t plm_case_hostile(uint32_t kind);

/* The label of a variant without making it, "" when there is no such variant. */
void plm_case_describe(char label[PLM_CASE_LABEL], uint32_t kind, uint32_t variant);

/* The variant with that label; PLM_E_INVALID when there is none. */
int plm_case_find(uint32_t *variant, uint32_t kind, const char *label, struct plm_error *err);

/* A function of its arguments alone. Owned by the caller. PLM_E_INVALID: no such variant. */
int plm_case_make(struct plm_case **out, uint32_t kind, uint32_t variant, uint64_t seed, struct plm_error *err);

/*
 * op is bound to buffers: reads what all its operands hold now, in order with the queue's work. For a layer that looks over a
 * backend's shoulder: capture, run the op, plm_result_collect, and the case runs on the reference like any other.
 */
int plm_case_capture(struct plm_case **out, const struct plm_op *op, const struct plm_backend *backend,
                     struct plm_queue *queue, struct plm_error *err);

/* One HDF5 file with the op, its operands' contents, and a text attribute "note" (where it came from; may be NULL). */
int plm_case_save(const struct plm_case *c, const char *path, const char *note, struct plm_error *err);
int plm_case_load(struct plm_case **out, const char *path, struct plm_error *err);

void plm_case_destroy(struct plm_case *c); /* takes NULL */

/* ------------------------------------------------------------ running it */

/* An open device and a queue on it. */
struct plm_side {
  const struct plm_backend *backend; /* a complete table, as a loaded plugin has it */
  struct plm_device *device;
  struct plm_queue *queue;
};
int plm_side_open(struct plm_side *out, const struct plm_backend *backend, uint32_t device, struct plm_error *err);
void plm_side_close(struct plm_side *side); /* takes a zeroed one */

/* What the operands hold after the op. Init by zeroing; released by plm_result_fini. */
struct plm_result {
  void *data[PLM_CASE_OPERANDS]; /* as the case's operands; NULL for those that are not written */
  char damage[160];              /* what was written outside the outputs, "" when nothing was */
};
void plm_result_fini(struct plm_result *result);

/* The verdict of a side on the case, its views unbound. */
int plm_case_query(struct plm_verdict *out, const struct plm_case *c, const struct plm_side *side, struct plm_error *err);

/*
 * Runs the case on fresh buffers: canaries lie around every view and the workspace, overwritten outputs hold NaN before,
 * the workspace holds poison. Fails with what the backend said, out untouched; damage is not a failure but a result.
 */
int plm_case_run(struct plm_result *out, const struct plm_case *c, const struct plm_side *side,
                 const struct plm_verdict *verdict, struct plm_error *err);

/* What the written operands of a captured op hold now. */
int plm_result_collect(struct plm_result *out, const struct plm_case *c, const struct plm_op *op,
                       const struct plm_backend *backend, struct plm_queue *queue, struct plm_error *err);

/* ------------------------------------------------------------- judging it */

struct plm_judgement {
  uint64_t wrong, checked; /* elements */
  double worst;            /* largest error in units of what is allowed; infinite for a wrong NaN */
  char text[256];          /* the first wrong element, "" when there is none */
  /* What text says: of the operand with the first wrong element. */
  uint32_t operand;
  uint64_t element, operand_wrong, operand_checked;
  double got, expected, allowed;
};

/*
 * Every output element of got against expected within bounds. Where expected is not finite, got must not be finite
 * either; which of NaN and the infinities is left open. Elements whose magnitude is past float's range are left open.
 */
void plm_case_judge(struct plm_judgement *out, const struct plm_case *c, const struct plm_bounds *bounds,
                    const struct plm_result *got, const struct plm_result *expected);

/* Writes the text anew: for who knows the first wrong element of this operand by another number. */
void plm_judgement_write(struct plm_judgement *judgement, const char *operand, uint64_t element);

/* The name of the first output whose bits differ between two results, NULL when all are equal. */
const char *plm_case_differs(const struct plm_case *c, const struct plm_result *a, const struct plm_result *b);

/* Runs the case on reference and judges got: for a self-check, tune and shadow. */
int plm_case_confirm(struct plm_judgement *out, const struct plm_case *c, const struct plm_result *got,
                     const struct plm_side *reference, struct plm_error *err);

#endif
