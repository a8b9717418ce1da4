#include "model/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

#define ALIGN_FLOATS 16u

/* What a tensor is before it has a place: sizes as multiples of D, V rows where rows_v. */
struct blueprint {
  const char *name;
  uint32_t rows_d, cols_d; /* times D; rows_d 0 means 1 row */
  int vocabulary;          /* rows (matrix) or length (vector) is V */
  enum plm_tensor_init init;
  enum plm_tensor_role role;
};

static const struct blueprint top_blueprints[PLM_TOP_TENSORS] = {
    [PLM_EMBED_W] = {"embed.weight", 0, 1, 1, PLM_INIT_NORMAL, PLM_ROLE_EMBEDDING},
    [PLM_HEAD_W] = {"head.dense.weight", 1, 1, 0, PLM_INIT_NORMAL, PLM_ROLE_HIDDEN},
    [PLM_FINAL_G] = {"final.layer_norm.weight", 0, 1, 0, PLM_INIT_ONE, PLM_ROLE_OTHER},
    [PLM_FINAL_B] = {"final.layer_norm.bias", 0, 1, 0, PLM_INIT_ZERO, PLM_ROLE_OTHER},
    [PLM_HEAD_B] = {"head.dense.bias", 0, 1, 0, PLM_INIT_ZERO, PLM_ROLE_OTHER},
    [PLM_HEAD_LN_G] = {"head.layer_norm.weight", 0, 1, 0, PLM_INIT_ONE, PLM_ROLE_READOUT},
    [PLM_HEAD_LN_B] = {"head.layer_norm.bias", 0, 1, 0, PLM_INIT_ZERO, PLM_ROLE_READOUT},
    [PLM_LOGIT_B] = {"head.bias", 0, 0, 1, PLM_INIT_ZERO, PLM_ROLE_OTHER},
};

static const struct blueprint layer_blueprints[PLM_LAYER_TENSORS] = {
    [PLM_QKV_W] = {"attention.qkv.weight", 3, 1, 0, PLM_INIT_NORMAL, PLM_ROLE_HIDDEN},
    [PLM_OUT_W] = {"attention.out.weight", 1, 1, 0, PLM_INIT_NORMAL, PLM_ROLE_HIDDEN},
    [PLM_UP_W] = {"mlp.up.weight", 4, 1, 0, PLM_INIT_NORMAL, PLM_ROLE_HIDDEN},
    [PLM_DOWN_W] = {"mlp.down.weight", 1, 4, 0, PLM_INIT_NORMAL, PLM_ROLE_HIDDEN},
    [PLM_LN1_G] = {"attention.layer_norm.weight", 0, 1, 0, PLM_INIT_ONE, PLM_ROLE_OTHER},
    [PLM_LN1_B] = {"attention.layer_norm.bias", 0, 1, 0, PLM_INIT_ZERO, PLM_ROLE_OTHER},
    [PLM_QKV_B] = {"attention.qkv.bias", 0, 3, 0, PLM_INIT_ZERO, PLM_ROLE_OTHER},
    [PLM_OUT_B] = {"attention.out.bias", 0, 1, 0, PLM_INIT_ZERO, PLM_ROLE_OTHER},
    [PLM_LN2_G] = {"mlp.layer_norm.weight", 0, 1, 0, PLM_INIT_ONE, PLM_ROLE_OTHER},
    [PLM_LN2_B] = {"mlp.layer_norm.bias", 0, 1, 0, PLM_INIT_ZERO, PLM_ROLE_OTHER},
    [PLM_UP_B] = {"mlp.up.bias", 0, 4, 0, PLM_INIT_ZERO, PLM_ROLE_OTHER},
    [PLM_DOWN_B] = {"mlp.down.bias", 0, 1, 0, PLM_INIT_ZERO, PLM_ROLE_OTHER},
};

static int is_matrix(const struct plm_tensor *tensor) {
  return tensor->init == PLM_INIT_NORMAL;
}

static void draft(struct plm_tensor *out, const struct blueprint *from, const char *prefix, uint32_t width) {
  snprintf(out->name, sizeof out->name, "%s%s", prefix, from->name);
  out->rows = from->rows_d ? from->rows_d * width : 1;
  out->cols = from->cols_d * width;
  if (from->vocabulary && from->cols_d)
    out->rows = PLM_VOCABULARY;
  else if (from->vocabulary)
    out->cols = PLM_VOCABULARY;
  out->init = from->init;
  out->role = from->role;
}

static uint64_t place(struct plm_layout *layout, int matrices, uint64_t at) {
  for (uint32_t i = 0; i < layout->count; i++) {
    struct plm_tensor *tensor = &layout->tensors[i];
    if (is_matrix(tensor) != matrices)
      continue;
    tensor->offset = at;
    at += ((uint64_t)tensor->rows * tensor->cols + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
  }
  return at;
}

int plm_layout_init(struct plm_layout *out, struct plm_shape shape, struct plm_scaling scaling, struct plm_error *err) {
  /* 12 L D^2 floats and their offsets in bytes must stay far below 2^63. */
  if (shape.width > 1u << 20 || shape.layers > 1u << 16)
    return plm_error_set(err, PLM_E_USAGE, "shape %ux%ux%u: too large", shape.layers, shape.width, shape.heads);
  struct plm_layout layout = {.shape = shape, .scaling = scaling, .count = PLM_TOP_TENSORS + shape.layers * PLM_LAYER_TENSORS};
  layout.tensors = plm_memory_zeroed(layout.count, sizeof *layout.tensors);
  if (!layout.tensors)
    return plm_error_memory(err, "laying out parameters");
  for (uint32_t i = 0; i < PLM_TOP_TENSORS; i++)
    draft(&layout.tensors[i], &top_blueprints[i], "", shape.width);
  for (uint32_t l = 0; l < shape.layers; l++) {
    char prefix[24];
    snprintf(prefix, sizeof prefix, "layer.%u.", l);
    for (uint32_t i = 0; i < PLM_LAYER_TENSORS; i++)
      draft(&layout.tensors[PLM_TOP_TENSORS + l * PLM_LAYER_TENSORS + i], &layer_blueprints[i], prefix, shape.width);
  }
  layout.floats_decay = place(&layout, 1, 0);
  layout.floats = place(&layout, 0, layout.floats_decay);
  *out = layout;
  return 0;
}

void plm_layout_fini(struct plm_layout *layout) {
  free(layout->tensors);
  memset(layout, 0, sizeof *layout);
}

const struct plm_tensor *plm_layout_top(const struct plm_layout *layout, enum plm_top_tensor which) {
  return &layout->tensors[which];
}

const struct plm_tensor *plm_layout_layer(const struct plm_layout *layout, uint32_t layer, enum plm_layer_tensor which) {
  return &layout->tensors[PLM_TOP_TENSORS + layer * PLM_LAYER_TENSORS + which];
}

void plm_layout_weights(float *params, const struct plm_layout *layout, uint64_t seed, double init_std) {
  memset(params, 0, layout->floats * sizeof *params);
  for (uint32_t i = 0; i < layout->count; i++) {
    const struct plm_tensor *tensor = &layout->tensors[i];
    uint64_t floats = (uint64_t)tensor->rows * tensor->cols;
    float *at = params + tensor->offset;
    if (tensor->init == PLM_INIT_NORMAL) {
      double std = plm_scaling_std(layout->scaling, tensor->role, layout->shape.width, tensor->cols, init_std);
      plm_rng_normal(at, floats, (float)std, seed, PLM_RNG_WEIGHTS, i, 0);
    } else if (tensor->init == PLM_INIT_ONE) {
      float gain = (float)plm_scaling_gain(layout->scaling, tensor->role, layout->shape.width);
      for (uint64_t j = 0; j < floats; j++)
        at[j] = gain;
    }
  }
}
