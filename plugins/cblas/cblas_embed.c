/* Ops that move rows: embed, embed_grad, gather_rows, scatter_rows. */
#include "cblas_ops.h"

int run_embed(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_embed *p = &op->u.embed;
  const uint64_t T = p->rows.count, D = p->width;
  const float *table = f32(&p->table), *scale = f32(&p->scale);
  const int32_t *tokens = i32(&p->tokens);
  float *y = f32(&p->y);
  const int code = check_index(op, "tokens", tokens, T, p->vocabulary, err);
  for (uint64_t t = 0; t < T && !code; t++)
    for (uint64_t d = 0; d < D; d++)
      y[t * D + d] = scale[t] * table[(uint64_t)tokens[t] * D + d];
  return code;
}

int run_embed_grad(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_embed_grad *p = &op->u.embed_grad;
  const uint64_t T = p->rows.count, D = p->width;
  const float *dy = f32(&p->dy), *scale = f32(&p->scale);
  const int32_t *tokens = i32(&p->tokens);
  float *dtable = f32(&p->dtable);
  const int code = check_index(op, "tokens", tokens, T, p->vocabulary, err);
  for (uint64_t t = 0; t < T && !code; t++)
    for (uint64_t d = 0; d < D; d++)
      dtable[(uint64_t)tokens[t] * D + d] += scale[t] * dy[t * D + d];
  return code;
}

/* index is ascending and distinct, each below limit. */
static int check_rows(const struct plm_op *op, const int32_t *index, uint64_t count, uint64_t limit,
                      struct plm_error *err) {
  const int code = check_index(op, "index", index, count, limit, err);
  for (uint64_t m = 1; m < count && !code; m++)
    if (index[m] <= index[m - 1])
      return plm_rules_error(err, PLM_E_INVALID, op, "index[%" PRIu64 "] = %" PRId32 " does not ascend from %" PRId32,
                             m, index[m], index[m - 1]);
  return code;
}

static void copy_row(float *to, const float *from, uint64_t width) {
  for (uint64_t d = 0; d < width; d++)
    to[d] = from[d];
}

int run_gather_rows(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_gather_rows *p = &op->u.gather_rows;
  const uint64_t M = p->rows.count, D = p->width;
  const float *x = f32(&p->x);
  const int32_t *index = i32(&p->index);
  float *y = f32(&p->y);
  const int code = check_rows(op, index, M, p->source.count, err);
  for (uint64_t m = 0; m < M && !code; m++)
    copy_row(y + m * D, x + (uint64_t)index[m] * D, D);
  return code;
}

int run_scatter_rows(const struct plm_op *op, struct plm_error *err) {
  const struct plm_op_scatter_rows *p = &op->u.scatter_rows;
  const uint64_t M = p->rows.count, D = p->width, count = p->target.count * D;
  const float *x = f32(&p->x);
  const int32_t *index = i32(&p->index);
  float *y = f32(&p->y);
  const int code = check_rows(op, index, M, p->target.count, err);
  for (uint64_t i = 0; i < count && !code; i++)
    y[i] = 0;
  for (uint64_t m = 0; m < M && !code; m++)
    copy_row(y + (uint64_t)index[m] * D, x + m * D, D);
  return code;
}
