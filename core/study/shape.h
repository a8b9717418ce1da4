/* Model shapes: layers x width x heads, their parameter counts, and the rule that turns a count into a shape. */
#ifndef PLM_STUDY_SHAPE_H
#define PLM_STUDY_SHAPE_H

#include <stdint.h>

#include "base/error.h"

#define PLM_VOCABULARY 33 /* V: the ESM-2 alphabet */

struct plm_shape {
  uint32_t layers; /* L */
  uint32_t width;  /* D, a multiple of heads */
  uint32_t heads;  /* H; width/heads is even (rotary) */
};

/* "6x320x20", at most 10000 layers of width 1000000. PLM_E_USAGE with the reason: not of this form, zero, too large, width not
 * a multiple of heads, odd head size. */
int plm_shape_parse(struct plm_shape *out, const char *text, struct plm_error *err);

/* Trained parameters in three senses (Lin et al. 2023; counts checked against the published models):
 * layers only L(12 D^2 + 13 D); with the head and the final layer norm + D^2 + 5 D + V; with the tied embedding + V D. */
int64_t plm_shape_params_layers(struct plm_shape shape);
int64_t plm_shape_params_head(struct plm_shape shape);
int64_t plm_shape_params_total(struct plm_shape shape);

/*
 * The shape whose layers-only count is nearest to params: layers = max(1, round(0.17 params^(1/4))), the trend of the
 * ESM-2 family and of good small models; width the multiple of head_size that then comes nearest; neighbours of layers are
 * tried and the nearest count wins, fewer layers first. PLM_E_USAGE when the nearest count is off by more than 25 %.
 */
int plm_shape_for_params(struct plm_shape *out, double params, uint32_t head_size, struct plm_error *err);

/* "6x320x20" into out. */
#define PLM_SHAPE_TEXT 40
void plm_shape_text(char out[PLM_SHAPE_TEXT], struct plm_shape shape);

#endif
