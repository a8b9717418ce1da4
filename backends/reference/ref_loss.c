/* The loss and its bookkeeping: softmax_loss, reduce_sum, record. */
#include "reference.h"

#include <inttypes.h>

/* The largest of a row's logits, and the logarithm of the sum of exp(logit - top). Kept apart: top may dwarf the rest.
 */
struct row_sum {
  double top, log_sum;
};

static struct row_sum row_sum(const float *logits, uint64_t count) {
  double top = logits[0], sum = 0;
  for (uint64_t v = 1; v < count; v++)
    top = fmax(top, logits[v]);
  for (uint64_t v = 0; v < count; v++)
    sum += exp(logits[v] - top);
  return (struct row_sum){top, log(sum)};
}

int ref_softmax_loss(struct ref_call *call) {
  const struct plm_op_softmax_loss *p = &call->op->u.softmax_loss;
  const uint32_t M = p->rows.count;
  const int with_grad = (call->op->flags & PLM_FLAG_GRADIENT) != 0;
  const uint64_t V = p->vocabulary;
  const float *logits = ref_f32(call, &p->logits, "logits", REF_READ | REF_SHARED, M, V);
  const int32_t *targets = ref_i32(call, &p->targets, "targets", REF_READ, M, 1);
  const float *scale = ref_f32_at(call, &p->scale, "scale", REF_READ, 4, with_grad && M > 0 ? 1 : 0);
  float *loss = ref_f32(call, &p->loss, "loss", REF_WRITE, M, 1);
  float *dlogits = ref_f32(call, &p->dlogits, "dlogits", REF_WRITE | REF_SHARED, with_grad ? M : 0, V);
  if (ref_check(call) || ref_check_index(call, "targets", targets, M, V, 0))
    return call->code;
  for (uint64_t m = 0; m < M; m++) {
    const float *row = logits + m * V;
    const uint64_t target = (uint64_t)targets[m];
    const struct row_sum sum = row_sum(row, V);
    loss[m] = (float)(sum.log_sum - (row[target] - sum.top));
    for (uint64_t v = 0; v < V && with_grad; v++)
      dlogits[m * V + v] = (float)((exp(row[v] - sum.top - sum.log_sum) - (v == target)) * scale[0]);
  }
  return PLM_OK;
}

int ref_reduce_sum(struct ref_call *call) {
  const struct plm_op_reduce_sum *p = &call->op->u.reduce_sum;
  const uint32_t rows = p->rows.count;
  const int weighted = ref_present(&p->weights);
  const float *x = ref_f32(call, &p->x, "x", REF_READ, rows, 1);
  const float *weights = ref_f32(call, &p->weights, "weights", REF_READ, weighted ? rows : 0, 1);
  float *out = ref_f32_at(call, &p->out, "out", REF_WRITE, 4, 1);
  if (ref_check(call))
    return call->code;
  double sum = 0;
  for (uint64_t r = 0; r < rows; r++)
    sum += weighted ? (double)x[r] * weights[r] : x[r];
  if (call->op->flags & PLM_FLAG_ACCUMULATE)
    sum += out[0];
  out[0] = (float)sum;
  return PLM_OK;
}

int ref_record(struct ref_call *call) {
  const struct plm_op_record *p = &call->op->u.record;
  const uint64_t count = p->count;
  const float *x = ref_f32_at(call, &p->x, "x", REF_READ, 4, count);
  const int32_t *index = ref_i32_at(call, &p->index, "index", REF_READ, 4, 1);
  float *log = ref_f32(call, &p->log, "log", REF_WRITE, p->capacity, count);
  if (ref_check(call))
    return call->code;
  if (index[0] < 0)
    return ref_invalid(call, "index[0] = %" PRId32 " is negative", index[0]);
  const uint64_t row = (uint64_t)index[0] % p->capacity;
  for (uint64_t j = 0; j < count; j++)
    log[row * count + j] = x[j];
  return PLM_OK;
}
