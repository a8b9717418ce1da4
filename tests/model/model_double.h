/* An independent forward pass of the whole model in doubles: the oracle for finite differences. Obviously right, slow. */
#ifndef MODEL_DOUBLE_H
#define MODEL_DOUBLE_H

#include "data/batch.h"
#include "model/layout.h"

/* Mean cross entropy over the selected rows of batch; params is the arena in doubles. */
double model_double_loss(const struct plm_layout *layout, const double *params, const struct plm_batch *batch);

#endif
