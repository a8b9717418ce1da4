/* Ops that move rows: embedding and its gradient, rotary, gather and scatter. */
#include "cpu_vec.h"
#include "kern_table.h"

static int row_is_bad(const struct plm_cpu_run *run, const char *what, uint64_t row, int32_t value, uint32_t limit) {
  if (value >= 0 && (uint32_t)value < limit)
    return 0;
  plm_cpu_fail(run, what, (int64_t)row, value, limit);
  return 1;
}

void PLM_CPU_NAME(plm_kern_embed)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_embed *o = &op->u.embed;
  const float *table = plm_cpu_f32(&o->table), *scale = plm_cpu_f32(&o->scale);
  const int32_t *tokens = plm_cpu_i32(&o->tokens);
  float *y = plm_cpu_f32(&o->y);
#pragma omp for schedule(static) nowait
  for (uint64_t t = 0; t < o->rows.count; t++) {
    if (row_is_bad(run, "tokens", t, tokens[t], o->vocabulary))
      continue;
    const float *from = table + (uint64_t)tokens[t] * o->width;
    float *to = y + t * o->width, s = scale[t];
    for (uint32_t i = 0; i < o->width; i++)
      to[i] = s * from[i];
  }
  plm_cpu_meet(run);
}

/* One item is 16 columns (a cache line) of the whole table, which then stays in L1 while the rows go by in order. */
#define COLUMNS 16

void PLM_CPU_NAME(plm_kern_embed_grad)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_embed_grad *o = &op->u.embed_grad;
  const float *dy = plm_cpu_f32(&o->dy), *scale = plm_cpu_f32(&o->scale);
  const int32_t *tokens = plm_cpu_i32(&o->tokens);
  float *dtable = plm_cpu_f32(&o->dtable);
#pragma omp for schedule(dynamic, 1) nowait
  for (uint32_t first = 0; first < o->width; first += COLUMNS) {
    uint32_t columns = (uint32_t)plm_cpu_min(o->width - first, COLUMNS);
    for (uint64_t t = 0; t < o->rows.count; t++) {
      if (row_is_bad(run, "tokens", t, tokens[t], o->vocabulary))
        continue;
      float *restrict to = dtable + (uint64_t)tokens[t] * o->width + first, s = scale[t];
      const float *restrict from = dy + t * o->width + first;
      if (columns == COLUMNS)
        for (uint32_t i = 0; i < COLUMNS; i++)
          to[i] += s * from[i];
      else
        for (uint32_t i = 0; i < columns; i++)
          to[i] += s * from[i];
    }
  }
  plm_cpu_meet(run);
}

static void rotate_row(float *x, const float *cosine, const float *sine, float sign, uint32_t half) {
  for (uint32_t j = 0; j < half; j++) {
    float a = x[j], b = x[j + half], s = sign * sine[j];
    x[j] = a * cosine[j] - b * s;
    x[j + half] = b * cosine[j] + a * s;
  }
}

void PLM_CPU_NAME(plm_kern_rotary)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_rotary *o = &op->u.rotary;
  const float *cosine = plm_cpu_f32(&o->cosine), *sine = plm_cpu_f32(&o->sine);
  const int32_t *positions = plm_cpu_i32(&o->positions);
  float *qkv = plm_cpu_f32(&o->qkv), sign = op->flags & PLM_FLAG_INVERSE ? -1.0f : 1.0f;
  uint32_t half = o->head_size / 2, heads = 2 * o->heads; /* q and k lie side by side */
#pragma omp for schedule(static) nowait
  for (uint64_t t = 0; t < o->rows.count; t++) {
    if (row_is_bad(run, "positions", t, positions[t], o->table_rows))
      continue;
    uint64_t angle = (uint64_t)positions[t] * half;
    for (uint32_t h = 0; h < heads; h++)
      rotate_row(qkv + (t * 3 * o->heads + h) * o->head_size, cosine + angle, sine + angle, sign, half);
  }
  plm_cpu_meet(run);
}

/* A row number below limit and above the one before it. */
static int index_is_bad(const struct plm_cpu_run *run, const int32_t *index, uint64_t m, uint32_t limit) {
  if (row_is_bad(run, "index", m, index[m], limit))
    return 1;
  if (m == 0 || index[m - 1] < index[m])
    return 0;
  plm_cpu_fail(run, "index", (int64_t)m, index[m], PLM_CPU_DESCENDS);
  return 1;
}

void PLM_CPU_NAME(plm_kern_gather_rows)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_gather_rows *o = &op->u.gather_rows;
  const float *x = plm_cpu_f32(&o->x);
  const int32_t *index = plm_cpu_i32(&o->index);
  float *y = plm_cpu_f32(&o->y);
#pragma omp for schedule(static) nowait
  for (uint64_t m = 0; m < o->rows.count; m++)
    if (!index_is_bad(run, index, m, o->source.count))
      memcpy(y + m * o->width, x + (uint64_t)index[m] * o->width, o->width * sizeof *y);
  plm_cpu_meet(run);
}

void PLM_CPU_NAME(plm_kern_scatter_rows)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_scatter_rows *o = &op->u.scatter_rows;
  const float *x = plm_cpu_f32(&o->x);
  const int32_t *index = plm_cpu_i32(&o->index);
  float *y = plm_cpu_f32(&o->y);
#pragma omp for schedule(static) nowait
  for (uint64_t t = 0; t < o->target.count; t++)
    memset(y + t * o->width, 0, o->width * sizeof *y);
  plm_cpu_meet(run);
#pragma omp for schedule(static) nowait
  for (uint64_t m = 0; m < o->rows.count; m++)
    if (!index_is_bad(run, index, m, o->target.count))
      memcpy(y + (uint64_t)index[m] * o->width, x + m * o->width, o->width * sizeof *y);
  plm_cpu_meet(run);
}
