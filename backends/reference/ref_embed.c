/* Ops that move rows: embed, embed_grad, gather_rows, scatter_rows. */
#include "reference.h"

int ref_embed(struct ref_call *call) {
  const struct plm_op_embed *p = &call->op->u.embed;
  const uint32_t T = p->rows.count, D = p->width;
  const float *table = ref_f32(call, &p->table, "table", REF_READ, p->vocabulary, D);
  const int32_t *tokens = ref_i32(call, &p->tokens, "tokens", REF_READ, T, 1);
  const float *scale = ref_f32(call, &p->scale, "scale", REF_READ, T, 1);
  float *y = ref_f32(call, &p->y, "y", REF_WRITE, T, D);
  if (ref_check(call) || ref_check_index(call, "tokens", tokens, T, p->vocabulary, 0))
    return call->code;
  for (uint64_t t = 0; t < T; t++)
    for (uint64_t d = 0; d < D; d++)
      y[t * D + d] = (float)((double)scale[t] * table[(uint64_t)tokens[t] * D + d]);
  return PLM_OK;
}

int ref_embed_grad(struct ref_call *call) {
  const struct plm_op_embed_grad *p = &call->op->u.embed_grad;
  const uint32_t T = p->rows.count, V = p->vocabulary, D = p->width;
  const float *dy = ref_f32(call, &p->dy, "dy", REF_READ, T, D);
  const int32_t *tokens = ref_i32(call, &p->tokens, "tokens", REF_READ, T, 1);
  const float *scale = ref_f32(call, &p->scale, "scale", REF_READ, T, 1);
  float *dtable = ref_f32(call, &p->dtable, "dtable", REF_WRITE, V, D);
  if (ref_check(call) || ref_check_index(call, "tokens", tokens, T, V, 0))
    return call->code;
  for (uint64_t v = 0; v < V; v++)
    for (uint64_t d = 0; d < D; d++) {
      double sum = 0;
      for (uint64_t t = 0; t < T; t++)
        if ((uint64_t)tokens[t] == v)
          sum += (double)scale[t] * dy[t * D + d];
      dtable[v * D + d] = (float)(dtable[v * D + d] + sum);
    }
  return PLM_OK;
}

int ref_gather_rows(struct ref_call *call) {
  const struct plm_op_gather_rows *p = &call->op->u.gather_rows;
  const uint32_t M = p->rows.count, D = p->width;
  const float *x = ref_f32(call, &p->x, "x", REF_READ, p->source.count, D);
  const int32_t *index = ref_i32(call, &p->index, "index", REF_READ, M, 1);
  float *y = ref_f32(call, &p->y, "y", REF_WRITE, M, D);
  if (ref_check(call) || ref_check_index(call, "index", index, M, p->source.count, 1))
    return call->code;
  for (uint64_t m = 0; m < M; m++)
    for (uint64_t d = 0; d < D; d++)
      y[m * D + d] = x[(uint64_t)index[m] * D + d];
  return PLM_OK;
}

int ref_scatter_rows(struct ref_call *call) {
  const struct plm_op_scatter_rows *p = &call->op->u.scatter_rows;
  const uint32_t M = p->rows.count, D = p->width;
  const float *x = ref_f32(call, &p->x, "x", REF_READ, M, D);
  const int32_t *index = ref_i32(call, &p->index, "index", REF_READ, M, 1);
  float *y = ref_f32(call, &p->y, "y", REF_WRITE, p->target.count, D);
  if (ref_check(call) || ref_check_index(call, "index", index, M, p->target.count, 1))
    return call->code;
  for (uint64_t i = 0; i < (uint64_t)p->target.count * D; i++)
    y[i] = 0;
  for (uint64_t m = 0; m < M; m++)
    for (uint64_t d = 0; d < D; d++)
      y[(uint64_t)index[m] * D + d] = x[m * D + d];
  return PLM_OK;
}
