/* Reading ops as data: their views, extents and FLOPs. */
#ifndef PLM_MODEL_OPS_H
#define PLM_MODEL_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "plmscale/backend.h"

/* The views of an op, in the order of its struct; *count of them, borrowed. The workspace is not among them. */
struct plm_view *plm_op_views(struct plm_op *op, uint32_t *count);

/* The extents of an op (they follow its views), *count of them, borrowed. */
struct plm_extent *plm_op_extents(struct plm_op *op, uint32_t *count);

/* What a batch fixes: the three extents and the attention work. */
struct plm_extents {
  uint32_t tokens;       /* T */
  uint32_t sequences;    /* S */
  uint32_t masked;       /* M */
  double length_squares; /* sum of squared sequence lengths */
};

/*
 * Matrix-product FLOPs of one op at these extents, 2 per multiply-add: linear 2 rows in out (each of its gradients the
 * same), attention 4 D sum(s^2), its gradient 8 D sum(s^2) (recomputed scores are not counted, PaLM appendix B). Other ops: 0.
 */
double plm_op_flops(const struct plm_op *op, const struct plm_extents *extents);

/*
 * The least bytes that one op moves at these extents: every input read once, every output written once, "+=" both. What a
 * device keeps in registers, caches or workspace within the op is not counted, so bytes over bandwidth is a floor.
 */
double plm_op_bytes(const struct plm_op *op, const struct plm_extents *extents);

/*
 * An op's flags and fixed extents in words, "bias gelu in 320 out 1280", into text (cut to room). Rows are left out: ops of one
 * program that differ in them alone have one text.
 */
void plm_op_describe(char *text, size_t room, const struct plm_op *op);

/* The extents that a bound op has now; length_squares is 0, for it stands in the batch's offsets. */
struct plm_extents plm_op_extents_now(const struct plm_op *op);

/* For tables and messages. title: the op and its flags, "linear+bias+gelu"; shape: its present extents, "2048x320x1280" (rows
 * x in x out of linear ops, rows x width of others), "2048 tokens, 9 sequences, 20x16" of attention, a count of the rest. */
#define PLM_OP_TEXT 96
void plm_op_title(char out[PLM_OP_TEXT], const struct plm_op *op);
void plm_op_shape(char out[PLM_OP_TEXT], const struct plm_op *op);

#endif
