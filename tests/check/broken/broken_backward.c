/* Level 3: gradients and the optimizer. */
#include "broken.h"

BROKEN_BEFORE(beta_ignored, PLM_OP_LINEAR_GRAD_INPUT) { op->flags &= ~PLM_FLAG_ACCUMULATE; }
BROKEN_BEFORE(norm_grad_beta, PLM_OP_LAYER_NORM_GRAD) { op->flags &= ~PLM_FLAG_ACCUMULATE; }

BROKEN_BEFORE(weight_grad_overwrites, PLM_OP_LINEAR_GRAD_WEIGHT) {
  const struct plm_op_linear_grad_weight *p = &op->u.linear_grad_weight;
  if (usable(&p->dw, sizeof(float) * p->in * p->out))
    memset(floats(&p->dw), 0, sizeof(float) * p->in * p->out);
}

BROKEN_BEFORE(bias_grad_barrier, PLM_OP_BIAS_GRAD) {
  struct plm_op_bias_grad *p = &op->u.bias_grad;
  p->rows.count = p->rows.count > 256 ? p->rows.count / 256 * 256 : p->rows.count;
}

BROKEN_BEFORE(embed_grad_last, PLM_OP_EMBED_GRAD) {
  struct plm_op_embed_grad *p = &op->u.embed_grad;
  p->rows.count -= p->rows.count ? 1 : 0;
}

BROKEN_AFTER(attention_grad_scale, PLM_OP_ATTENTION_GRAD) {
  const struct plm_op_attention_grad *p = &op->u.attention_grad;
  const uint64_t third = (uint64_t)p->heads * p->head_size;
  for (uint64_t t = 0; t < p->rows.count; t++)
    for (uint64_t c = 0; c < third; c++)
      floats(&p->dqkv)[(3 * t + 1) * third + c] /= p->scale;
}

BROKEN_AFTER(gelu_grad_far, PLM_OP_GELU_GRAD) {
  const struct plm_op_gelu_grad *p = &op->u.gelu_grad;
  for (uint64_t i = 0; i < (uint64_t)p->rows.count * p->width; i++)
    if (floats(&p->x)[i] < -3)
      floats(&p->dx)[i] = 0;
}

static int is_adamw(const struct plm_op *op) {
  return op->kind == PLM_OP_ADAMW && usable(&op->u.adamw.schedule, 3 * sizeof(float)) &&
         usable(&op->u.adamw.control, 4 * sizeof(float));
}

/* Runs adamw while one of its inputs holds another value. */
static int with_value(struct plm_queue *queue, const struct plm_op *op, float *place, float value,
                      struct plm_error *err) {
  const float kept = *place;
  *place = value;
  const int code = right.op_run(queue, op, err);
  *place = kept;
  return code;
}

static int adam_bias_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  if (!is_adamw(op))
    return right.op_run(queue, op, err);
  float *correction = floats(&op->u.adamw.schedule) + 1;
  return with_value(queue, op, correction, 1 - (1 - *correction) * op->u.adamw.beta1, err);
}
BROKEN_SLOT(adam_bias, op_run)

static int adam_overflow_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  if (!is_adamw(op))
    return right.op_run(queue, op, err);
  return with_value(queue, op, floats(&op->u.adamw.control) + 1, 1, err);
}
BROKEN_SLOT(adam_overflow, op_run)

static int adam_l2_op_run(struct plm_queue *queue, const struct plm_op *given, struct plm_error *err) {
  struct plm_op op = *given;
  const size_t bytes = sizeof(float) * op.u.adamw.count;
  const int ours = is_adamw(given) && bytes && usable(&op.u.adamw.grads, bytes) && usable(&op.u.adamw.params, bytes);
  float *grads = ours ? floats(&op.u.adamw.grads) : NULL, *kept = grads ? malloc(bytes) : NULL;
  if (!kept)
    return right.op_run(queue, given, err);
  memcpy(kept, grads, bytes);
  for (uint64_t i = 0; i < op.u.adamw.count; i++)
    grads[i] += op.u.adamw.decay * floats(&op.u.adamw.params)[i];
  op.u.adamw.decay = 0;
  const int code = right.op_run(queue, &op, err);
  memcpy(grads, kept, bytes);
  free(kept);
  return code;
}
BROKEN_SLOT(adam_l2, op_run)

BROKEN_BEFORE(adam_tail, PLM_OP_ADAMW) { op->u.adamw.count -= op->u.adamw.count % 4 ? 1 : 0; }

BROKEN_AFTER(norm_finite, PLM_OP_GRAD_NORM) {
  float *out = floats(&op->u.grad_norm.out);
  out[2] = out[1] == 0 ? 1 : out[2];
  out[1] = 1;
}
