/* Inside of core/model: how programs are put together. */
#ifndef PLM_MODEL_BUILDER_H
#define PLM_MODEL_BUILDER_H

#include "model/program.h"

#define PLM_ALIGN_BYTES 64u /* of every view */

/* Views of what forward saves for backward, per layer. */
struct plm_layer_views {
  struct plm_view x, mean1, rstd1, norm1, qkv, o, lse, x_mid, mean2, rstd2, norm2, pre, act;
};

/* Views of the head's rows and of backward's scratch. */
struct plm_head_views {
  struct plm_view rows, mean1, rstd1, norm1, pre, act, mean2, rstd2, norm2, logits, loss;
};
struct plm_scratch_views {
  struct plm_view dx, dwide, dnarrow, dhead, dhead2;
};

struct plm_builder {
  struct plm_model *model;
  struct plm_program *program; /* where emitted ops go */
  plm_query_fn query;
  void *context;
  struct plm_error *err;
  int code; /* the first failure; later calls do nothing */
  int rotary_fused;
  struct plm_layer_views *layers;
  struct plm_view x_last; /* the residual stream after the last layer */
  struct plm_head_views head;
  struct plm_scratch_views scratch;
};

/* Appends op after asking the backend; a refusal is an error. */
void plm_builder_emit(struct plm_builder *builder, struct plm_op op);

/* Asks without appending: 1 when the backend takes it. */
int plm_builder_accepts(struct plm_builder *builder, const struct plm_op *op);

/* Notes that a fused op was lowered. */
void plm_builder_note(struct plm_builder *builder, const char *what);

/* A zeroed op of a kind. */
struct plm_op plm_builder_op(uint32_t kind, uint32_t flags);

/* Views of parameters, gradients and batch pieces. */
struct plm_view plm_builder_param(const struct plm_builder *builder, const struct plm_tensor *tensor);
struct plm_view plm_builder_grad(const struct plm_builder *builder, const struct plm_tensor *tensor);
struct plm_view plm_builder_tokens(const struct plm_builder *builder);
struct plm_view plm_builder_positions(const struct plm_builder *builder);
struct plm_view plm_builder_scale(const struct plm_builder *builder);
struct plm_view plm_builder_offsets(const struct plm_builder *builder);
struct plm_view plm_builder_rows(const struct plm_builder *builder);
struct plm_view plm_builder_targets(const struct plm_builder *builder);
struct plm_view plm_builder_mask_weight(const struct plm_builder *builder);
struct plm_view plm_builder_cosine(const struct plm_builder *builder);
struct plm_view plm_builder_sine(const struct plm_builder *builder);
struct plm_extent plm_builder_extent(const struct plm_builder *builder, uint32_t symbol);

/* Floats of one rotary table (cosine or sine), and the bytes from the first to the second. */
uint64_t plm_model_table_floats(const struct plm_model *model);
uint64_t plm_model_table_stride(const struct plm_model *model);

/* The two halves. Forward fills builder->x_last; keep: save every layer for backward. */
void plm_build_forward(struct plm_builder *builder, int keep);
void plm_build_backward(struct plm_builder *builder);

#endif
