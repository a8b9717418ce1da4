/*
 * The coordinate check of a parametrization (Yang et al. 2022, arXiv 2203.03466, appendix D.1): how far a few steps of training
 * move what a model computes on a fixed batch. Where learning rates transfer, that does not depend on the width.
 */
#ifndef PLM_TRAIN_COORDINATES_H
#define PLM_TRAIN_COORDINATES_H

#include <stdint.h>

#include "base/error.h"
#include "data/batch.h"
#include "runtime/plugin.h"
#include "runtime/session.h"

enum plm_coordinate {
  PLM_COORDINATE_EMBEDDING, /* of the tokens */
  PLM_COORDINATE_QKV,
  PLM_COORDINATE_SCORES,    /* log of the sum of exp(scores), for each token and head */
  PLM_COORDINATE_ATTENTION, /* its output, before the projection */
  PLM_COORDINATE_RESIDUAL,  /* the stream after attention and after the feed-forward part */
  PLM_COORDINATE_MLP,       /* before the GELU */
  PLM_COORDINATE_HEAD,      /* before the GELU of the head */
  PLM_COORDINATE_LOGITS,
  PLM_COORDINATE_COUNT
};
const char *plm_coordinate_name(enum plm_coordinate coordinate);

struct plm_coordinate_options {
  const struct plm_corpus *corpus; /* borrowed; its training split is read, and its first batch is the fixed one */
  struct plm_shape shape;
  struct plm_scaling scaling;
  struct plm_optimizer optimizer;
  struct plm_batch_options batch; /* batch_tokens is the micro-batch too */
  double init_std, rate;          /* rate: constant, without warm-up */
  uint32_t steps;                 /* at least 1 */
};

/* Root mean squares over tokens, components and layers: at the start, and of the change after the last step. NaN or infinite when
 * training was. */
struct plm_coordinates {
  double start[PLM_COORDINATE_COUNT], change[PLM_COORDINATE_COUNT];
};

int plm_coordinates_measure(struct plm_coordinates *out, const struct plm_plugin *plugin, uint32_t device,
                            const struct plm_coordinate_options *options, struct plm_error *err);

/* Least-squares slope of log size over log width; NaN when a size is not finite and above 0. */
double plm_coordinates_slope(const double *widths, const double *sizes, uint32_t count);

#endif
