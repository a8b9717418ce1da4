/*
 * The parameter arena of an ESM-2 shaped model: one flat array of floats, matrices (decayed) first, vectors after them.
 * Every tensor starts at a multiple of 64 bytes; the gaps stay zero. Weights are [out, in].
 */
#ifndef PLM_MODEL_LAYOUT_H
#define PLM_MODEL_LAYOUT_H

#include <stdint.h>

#include "base/error.h"
#include "model/scaling.h"
#include "study/shape.h"

enum plm_tensor_init { PLM_INIT_NORMAL, PLM_INIT_ZERO, PLM_INIT_ONE };

struct plm_tensor {
  char name[48];   /* "layer.3.attention.qkv.weight" */
  uint64_t offset; /* floats from the start of the arena */
  uint32_t rows, cols; /* vectors: rows = 1 */
  enum plm_tensor_init init;
  enum plm_tensor_role role;
};

/* Places of the tensors of one layer and of the rest in plm_layout.tensors. */
enum plm_layer_tensor {
  PLM_QKV_W, PLM_OUT_W, PLM_UP_W, PLM_DOWN_W,
  PLM_LN1_G, PLM_LN1_B, PLM_QKV_B, PLM_OUT_B, PLM_LN2_G, PLM_LN2_B, PLM_UP_B, PLM_DOWN_B,
  PLM_LAYER_TENSORS
};
enum plm_top_tensor {
  PLM_EMBED_W, PLM_HEAD_W,
  PLM_FINAL_G, PLM_FINAL_B, PLM_HEAD_B, PLM_HEAD_LN_G, PLM_HEAD_LN_B, PLM_LOGIT_B,
  PLM_TOP_TENSORS
};

struct plm_layout {
  struct plm_shape shape;
  struct plm_scaling scaling;
  struct plm_tensor *tensors; /* PLM_TOP_TENSORS, then PLM_LAYER_TENSORS for each layer */
  uint32_t count;
  uint64_t floats_decay; /* the matrices fill [0, floats_decay) */
  uint64_t floats;
};

/* PLM_E_NO_MEMORY, PLM_E_USAGE when a size overflows. Owned by the caller. */
int plm_layout_init(struct plm_layout *out, struct plm_shape shape, struct plm_scaling scaling, struct plm_error *err);
void plm_layout_fini(struct plm_layout *layout);

const struct plm_tensor *plm_layout_top(const struct plm_layout *layout, enum plm_top_tensor which);
const struct plm_tensor *plm_layout_layer(const struct plm_layout *layout, uint32_t layer, enum plm_layer_tensor which);

/*
 * Initial weights into params (layout->floats floats, gaps zeroed): matrices and the embedding normal with standard deviation
 * init_std (0: 1/sqrt(in), the embedding's in being the width), gains 1, biases 0, and what the layout's scaling makes of them. A
 * function of (seed, shape, scaling) alone.
 */
void plm_layout_weights(float *params, const struct plm_layout *layout, uint64_t seed, double init_std);

#endif
