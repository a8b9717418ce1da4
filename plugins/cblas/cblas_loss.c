/* The loss and its bookkeeping: softmax_loss, reduce_sum, record. */
#include <math.h>

#include "cblas_ops.h"

int run_softmax_loss(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_softmax_loss *p = &op->u.softmax_loss;
  const uint64_t M = p->rows.count, V = p->vocabulary;
  const int with_gradient = (op->flags & PLM_FLAG_GRADIENT) != 0;
  const float *row = f32(&p->logits), *scale = f32(&p->scale);
  const int32_t *targets = i32(&p->targets);
  float *loss = f32(&p->loss), *dlogits = f32(&p->dlogits);
  const int code = check_index(op, "targets", targets, M, V, err);
  for (uint64_t m = 0; m < M && !code; m++, row += V) {
    const uint64_t target = (uint64_t)targets[m];
    float top = row[0], sum = 0;
    for (uint64_t v = 1; v < V; v++)
      top = fmaxf(top, row[v]);
    for (uint64_t v = 0; v < V; v++)
      sum += expf(row[v] - top);
    const float log_sum = logf(sum);
    loss[m] = log_sum - (row[target] - top);
    for (uint64_t v = 0; v < V && with_gradient; v++) /* dlogits may be logits: each is read once more, then written */
      dlogits[m * V + v] = (expf(row[v] - top - log_sum) - (v == target)) * scale[0];
  }
  return code;
}

int run_reduce_sum(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_reduce_sum *p = &op->u.reduce_sum;
  const float *x = f32(&p->x), *weights = p->weights.bytes ? f32(&p->weights) : NULL;
  float *out = f32(&p->out);
  double sum = 0;
  (void)err;
  for (uint64_t r = 0; r < p->rows.count; r++)
    sum += weights ? (double)x[r] * weights[r] : x[r];
  out[0] = (float)((op->flags & PLM_FLAG_ACCUMULATE) ? out[0] + sum : sum);
  return PLM_OK;
}

int run_record(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_record *p = &op->u.record;
  const float *x = f32(&p->x);
  const int32_t index = i32(&p->index)[0];
  if (index < 0)
    return plm_rules_error(err, PLM_E_INVALID, op, "index[0] = %" PRId32 " is negative", index);
  float *log = f32(&p->log) + (uint64_t)((uint32_t)index % p->capacity) * p->count;
  for (uint64_t j = 0; j < p->count; j++)
    log[j] = x[j];
  return PLM_OK;
}
