/*
 * Attention, one work item per sequence and head: K is packed transposed, then PLM_MR queries at a time meet all keys
 * (scores, row maximum), the row becomes probabilities, and these meet V. A row of scores longer than KEYS is taken in
 * pieces with the running maximum of Milakov and Gimelshein (2018); up to there, one pass needs no rescaling.
 */
#include <math.h>
#include <omp.h>

#include "kern_heads.h"
#include "kern_table.h"

#define KEYS 512
#define STRIDE (KEYS + 16) /* rows of scores 2 KiB apart would alias in the store buffer */

/* Scratch of one thread, in floats from its start. */
struct scratch {
  float *q, *k, *panels, *v, *scores, *o;
};

static uint64_t scratch_floats(uint64_t length, uint32_t size) {
  uint64_t row = head_row(size), keys = plm_cpu_up(length, NR), queries = plm_cpu_up(length, PLM_MR);
  uint64_t floats = (queries + 2 * keys) * row + keys * size + PLM_MR * (STRIDE + row);
  return plm_cpu_up(floats + 5 * 16, 16);
}

static struct scratch scratch_of(float *at, const struct head *h) {
  uint64_t keys = plm_cpu_up(h->length, NR), queries = plm_cpu_up(h->length, PLM_MR);
  struct scratch s;
  s.q = head_take(&at, queries * h->row);
  s.k = head_take(&at, keys * h->row);
  s.v = head_take(&at, keys * h->row);
  s.panels = head_take(&at, keys * h->size);
  s.scores = head_take(&at, PLM_MR * STRIDE);
  s.o = head_take(&at, PLM_MR * h->row);
  return s;
}

uint64_t PLM_CPU_NAME(plm_kern_attention_workspace)(const struct plm_op *op, uint32_t threads) {
  const struct plm_op_attention *o = &op->u.attention;
  return threads * scratch_floats(o->length_max, o->head_size) * sizeof(float);
}

/* Scores of PLM_MR queries with NR keys, and the running row maxima. */
PLM_APART void score_panel(float *scores, vf *most, const float *q, size_t row, const float *panel, uint32_t size) {
  vf acc[PLM_MR * 2];
  PLM_UNROLL
  for (int i = 0; i < PLM_MR * 2; i++)
    acc[i] = vf_set(0.0f);
  head_scores(acc, q, row, panel, size);
  PLM_UNROLL
  for (int i = 0; i < PLM_MR; i++) {
    vf_store(scores + i * STRIDE, acc[2 * i]);
    vf_store(scores + i * STRIDE + PLM_VW, acc[2 * i + 1]);
    most[i] = vf_max(most[i], vf_max(acc[2 * i], acc[2 * i + 1]));
  }
}

/* Scores of row i stop before limit[i] - key; the rest of the panel becomes minus infinity. */
static void mask_panel(float *scores, uint64_t key, const uint64_t *limit) {
  for (int i = 0; i < PLM_MR; i++)
    for (uint64_t j = limit[i] > key ? limit[i] - key : 0; j < NR; j++)
      scores[i * STRIDE + j] = -INFINITY;
}

static void rows_max(vf *most, const float *scores) {
  for (int i = 0; i < PLM_MR; i++)
    most[i] = vf_max(most[i], vf_max(vf_load(scores + i * STRIDE), vf_load(scores + i * STRIDE + PLM_VW)));
}

/* scores become exp2(score - most); returns their sum. */
static __attribute__((noinline)) float row_exp(float *scores, float most, uint64_t keys) {
  vf sum = vf_set(0.0f), other = sum;
  for (uint64_t j = 0; j < keys; j += NR) {
    vf a = vf_exp2(vf_load(scores + j) - most), b = vf_exp2(vf_load(scores + j + PLM_VW) - most);
    vf_store(scores + j, a);
    vf_store(scores + j + PLM_VW, b);
    sum += a;
    other += b;
  }
  return vf_sum(sum + other);
}

PLM_APART void weigh_values(float *o, const float *p, const float *v, uint32_t row, uint64_t keys) {
  head_add_rows(o, p, STRIDE, v, row, keys);
}

struct rows {
  float most[PLM_MR], sum[PLM_MR];
  uint64_t limit[PLM_MR]; /* keys below this count */
};

/* Keys that only some of the rows may see: nothing of the others' values, not even 0 * NaN, may reach a row. */
static void weigh_diagonal(const struct head *h, const struct scratch *s, const struct rows *r, uint64_t key,
                           uint64_t from, uint64_t keys) {
  for (uint64_t i = 0; i < PLM_MR; i++)
    for (uint64_t j = from; j < keys && key + j < r->limit[i]; j++)
      for (uint32_t d = 0; d < h->row; d++)
        s->o[i * h->row + d] += s->scores[i * STRIDE + j] * s->v[(key + j) * h->row + d];
}

/* One piece of up to KEYS keys for PLM_MR queries. */
static void attend_piece(const struct head *h, const struct scratch *s, struct rows *r, const float *q, uint64_t key,
                         uint64_t keys) {
  uint64_t padded = plm_cpu_up(keys, NR), least = r->limit[0];
  vf most[PLM_MR];
  for (int i = 0; i < PLM_MR; i++) {
    most[i] = vf_set(-INFINITY);
    least = plm_cpu_min(least, r->limit[i]);
  }
  for (uint64_t j = 0; j < padded; j += NR) {
    const float *panel = s->panels + (key + j) * h->size;
    if (key + j + NR <= least) {
      score_panel(s->scores + j, most, q, h->row, panel, h->size);
    } else {
      vf unused[PLM_MR] = {{0}};
      score_panel(s->scores + j, unused, q, h->row, panel, h->size);
      mask_panel(s->scores + j, key + j, r->limit);
      rows_max(most, s->scores + j);
    }
  }
  for (int i = 0; i < PLM_MR; i++) {
    float top = vf_max_lane(most[i]);
    if (key > 0) {
      top = r->most[i] > top ? r->most[i] : top;
      float shrink = exp2f(r->most[i] - top);
      r->sum[i] *= shrink;
      for (uint32_t d = 0; d < h->row; d++)
        s->o[i * h->row + d] *= shrink;
    }
    r->most[i] = top;
    r->sum[i] += row_exp(s->scores + i * STRIDE, top, padded);
  }
  least = plm_cpu_min(keys, least > key ? least - key : 0);
  weigh_values(s->o, s->scores, s->v + key * h->row, h->row, least);
  weigh_diagonal(h, s, r, key, least, keys);
}

static void attend_rows(const struct plm_op_attention *o, const struct head *h, const struct scratch *s, uint64_t query,
                        uint32_t head) {
  uint64_t rows = plm_cpu_min(h->length - query, PLM_MR), keys = h->causal ? query + rows : h->length;
  struct rows r = {.sum = {0}};
  for (uint64_t i = 0; i < PLM_MR; i++)
    r.limit[i] = h->causal && i < rows ? query + i + 1 : keys;
  memset(s->o, 0, PLM_MR * h->row * sizeof(float));
  for (uint64_t key = 0; key < keys; key += KEYS)
    attend_piece(h, s, &r, s->q + query * h->row, key, plm_cpu_min(keys - key, KEYS));
  for (uint64_t i = 0; i < rows; i++) {
    uint64_t at = (h->first + query + i) * o->heads + head;
    float *to = plm_cpu_f32(&o->o) + at * h->size, inverse = 1.0f / r.sum[i];
    for (uint32_t d = 0; d < h->size; d++)
      to[d] = s->o[i * h->row + d] * inverse;
    plm_cpu_f32(&o->lse)[at] = LN_2 * r.most[i] + logf(r.sum[i]);
  }
}

static void attend_head(const struct plm_op *op, uint32_t sequence, uint32_t head, float *work) {
  const struct plm_op_attention *o = &op->u.attention;
  const int32_t *offsets = plm_cpu_i32(&o->offsets);
  uint64_t first = (uint64_t)offsets[sequence], stride = 3ull * o->heads * o->head_size;
  const float *qkv = plm_cpu_f32(&o->qkv) + first * stride + (uint64_t)head * o->head_size;
  struct head h = {.q = qkv,
                   .k = qkv + stride / 3,
                   .v = qkv + stride / 3 * 2,
                   .stride = stride,
                   .first = first,
                   .length = (uint64_t)offsets[sequence + 1] - first,
                   .size = o->head_size,
                   .row = (uint32_t)head_row(o->head_size),
                   .rotary = (op->flags & PLM_FLAG_ROTARY) != 0,
                   .causal = (op->flags & PLM_FLAG_CAUSAL) != 0};
  if (h.rotary) {
    h.cosine = plm_cpu_f32(&o->cosine), h.sine = plm_cpu_f32(&o->sine);
    h.positions = plm_cpu_i32(&o->positions) + first;
  }
  struct scratch s = scratch_of(work, &h);
  uint64_t keys = plm_cpu_up(h.length, NR);
  head_pack(s.q, h.q, &h, stride, plm_cpu_up(h.length, PLM_MR), 1, o->scale * LOG2_E);
  head_pack(s.k, h.k, &h, stride, keys, 1, 1.0f);
  head_transpose(s.panels, s.k, &h, keys);
  head_pack(s.v, h.v, &h, stride, keys, 0, 1.0f);
  for (uint64_t query = 0; query < h.length; query += PLM_MR)
    attend_rows(o, &h, &s, query, head);
}

void PLM_CPU_NAME(plm_kern_attention)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_attention *o = &op->u.attention;
  uint64_t items = (uint64_t)o->sequences.count * o->heads;
  float *work = plm_cpu_f32(&op->workspace);
  if (!o->rows.count ||
      offsets_are_bad(run, plm_cpu_i32(&o->offsets), o->sequences.count, o->rows.count, o->length_max))
    return;
  if ((op->flags & PLM_FLAG_ROTARY) && positions_are_bad(run, plm_cpu_i32(&o->positions), o->rows.count, o->table_rows))
    return;
  work += (uint64_t)omp_get_thread_num() * scratch_floats(o->length_max, o->head_size);
#pragma omp for schedule(dynamic, 1) nowait
  for (uint64_t item = 0; item < items; item++)
    attend_head(op, (uint32_t)(item / o->heads), (uint32_t)(item % o->heads), work);
  plm_cpu_meet(run);
}
