/* Matrix products and biases: bias. */
#include "template_ops.h"

int run_bias(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_bias *p = &op->u.bias;
  const float *bias = f32(&p->bias);
  float *y = f32(&p->y);
  (void)err;
  for (uint64_t r = 0; r < p->rows.count; r++, y += p->width)
    for (uint64_t o = 0; o < p->width; o++)
      y[o] += bias[o];
  return PLM_OK;
}
