/*
 * What depends on width beyond the shape. In the standard parametrization nothing does. In the maximal update parametrization
 * (muP: Yang et al. 2022, arXiv 2203.03466, table 8, for Adam), with m = width / base_width:
 *
 *   embedding (tied)   standard deviation s        rate r
 *   hidden matrices    standard deviation s/sqrt(m)  rate r/m     query-key-value, output, up, down, the head's dense layer
 *   logits             times 1/m
 *   attention scores   q.k sqrt(base_head_size) / head_size       instead of / sqrt(head_size)
 *   gains and biases   as in the standard parametrization
 *
 * The tied matrix is drawn and trained as an embedding; that it is the output matrix too is what the factor 1/m of the logits is
 * for. No op multiplies logits: the gain and bias of the layer norm before them begin at 1/m times their usual values and learn at
 * r/m, which under Adam is the same function at every step (epsilon and clipping see their gradients m times as large). At
 * base_width every number, and every op, is that of the standard parametrization.
 */
#ifndef PLM_MODEL_SCALING_H
#define PLM_MODEL_SCALING_H

#include <stdint.h>

#include "study/study.h"

/* base_width 0: the standard parametrization. */
struct plm_scaling {
  uint32_t base_width, base_head_size;
};

/* What a tensor is to the table above. */
enum plm_tensor_role { PLM_ROLE_OTHER, PLM_ROLE_EMBEDDING, PLM_ROLE_HIDDEN, PLM_ROLE_READOUT };

/* What [model] says. */
struct plm_scaling plm_scaling_of(const struct plm_config *config);

/* m: 1 in the standard parametrization. */
double plm_scaling_ratio(struct plm_scaling scaling, uint32_t width);

/* Factors of the learning rate, and of the initial values of gains; exactly 1 where m is 1. */
double plm_scaling_rate(struct plm_scaling scaling, enum plm_tensor_role role, uint32_t width);
double plm_scaling_gain(struct plm_scaling scaling, enum plm_tensor_role role, uint32_t width);

/* The standard deviation of a matrix with cols inputs; init_std 0: 1/sqrt(cols), the embedding's at the base width. */
double plm_scaling_std(struct plm_scaling scaling, enum plm_tensor_role role, uint32_t width, uint32_t cols,
                       double init_std);

/* What q.k is multiplied by. */
float plm_scaling_attention(struct plm_scaling scaling, uint32_t head_size);

#endif
