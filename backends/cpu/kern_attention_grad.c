/*
 * The gradient of attention, one work item per sequence and head, so that dK and dV need no atomics: blocks of KEYS
 * keys meet blocks of QUERIES queries once; P comes back from the log-sum-exp, and P and dA of the block feed dQ, dK
 * and dV while they are in L1 or L2.
 */
#include <math.h>
#include <omp.h>

#include "kern_heads.h"
#include "kern_table.h"

#define KEYS 96 /* both multiples of PLM_MR, KEYS of NR */
#define QUERIES 48

struct scratch {
  float *q, *k, *v, *d_o;      /* [rows][row]; q carries scale * log2 e */
  float *k_panels, *v_panels;  /* [keys/NR][size][NR] */
  float *dq, *dk, *dv;         /* [rows][row] */
  float *lse, *delta, *p, *da; /* per query; [QUERIES][KEYS] */
};

static uint64_t padded_rows(uint64_t length) {
  return plm_cpu_up(length, NR) > plm_cpu_up(length, QUERIES) ? plm_cpu_up(length, NR) : plm_cpu_up(length, QUERIES);
}

static uint64_t scratch_floats(uint64_t length, uint32_t size) {
  uint64_t rows = padded_rows(length), keys = plm_cpu_up(length, NR);
  return plm_cpu_up(7 * rows * head_row(size) + 2 * keys * size + 2 * rows + 2 * QUERIES * KEYS + 13 * 16, 16);
}

static struct scratch scratch_of(float *at, const struct head *h) {
  uint64_t rows = padded_rows(h->length), keys = plm_cpu_up(h->length, NR), full = rows * h->row;
  struct scratch s;
  s.q = head_take(&at, full);
  s.k = head_take(&at, full);
  s.v = head_take(&at, full);
  s.d_o = head_take(&at, full);
  s.dq = head_take(&at, full);
  s.dk = head_take(&at, full);
  s.dv = head_take(&at, full);
  s.k_panels = head_take(&at, keys * h->size);
  s.v_panels = head_take(&at, keys * h->size);
  s.lse = head_take(&at, rows);
  s.delta = head_take(&at, rows);
  s.p = head_take(&at, QUERIES * KEYS);
  s.da = head_take(&at, QUERIES * KEYS);
  return s;
}

uint64_t PLM_CPU_NAME(plm_kern_attention_grad_workspace)(const struct plm_op *op, uint32_t threads) {
  const struct plm_op_attention_grad *o = &op->u.attention_grad;
  return threads * scratch_floats(o->length_max, o->head_size) * sizeof(float);
}

/* P of PLM_MR queries and NR keys, from scores less log-sum-exp. */
PLM_APART void panel_p(float *p, const float *q, size_t row, const float *panel, uint32_t size, const float *lse) {
  vf acc[PLM_MR * 2];
  PLM_UNROLL
  for (int i = 0; i < PLM_MR; i++)
    acc[2 * i] = acc[2 * i + 1] = vf_set(-lse[i]);
  head_scores(acc, q, row, panel, size);
  PLM_UNROLL
  for (int i = 0; i < PLM_MR; i++) {
    vf_store(p + i * KEYS, acc[2 * i]);
    vf_store(p + i * KEYS + PLM_VW, acc[2 * i + 1]);
  }
  for (int i = 0; i < PLM_MR; i++) {
    vf_store(p + i * KEYS, vf_exp2(vf_load(p + i * KEYS)));
    vf_store(p + i * KEYS + PLM_VW, vf_exp2(vf_load(p + i * KEYS + PLM_VW)));
  }
}

/* Under a causal mask, query i (absolute) sees keys up to i only. */
static void panel_mask(float *p, uint64_t query, uint64_t key) {
  for (uint64_t i = 0; i < PLM_MR; i++)
    for (uint64_t j = query + i + 1 > key ? query + i + 1 - key : 0; j < NR; j++)
      p[i * KEYS + j] = 0.0f;
}

/* dA = P * (dO.V - delta) of the same tile. */
PLM_APART void panel_da(float *da, const float *p, const float *d_o, size_t row, const float *panel, uint32_t size,
                        const float *delta) {
  vf acc[PLM_MR * 2];
  PLM_UNROLL
  for (int i = 0; i < PLM_MR; i++)
    acc[2 * i] = acc[2 * i + 1] = vf_set(-delta[i]);
  head_scores(acc, d_o, row, panel, size);
  PLM_UNROLL
  for (int i = 0; i < PLM_MR; i++) {
    vf_store(da + i * KEYS, acc[2 * i] * vf_load(p + i * KEYS));
    vf_store(da + i * KEYS + PLM_VW, acc[2 * i + 1] * vf_load(p + i * KEYS + PLM_VW));
  }
}

PLM_APART void add_dq(float *dq, const float *da, const float *k, uint32_t row, uint64_t keys) {
  head_add_rows(dq, da, KEYS, k, row, keys);
}

PLM_APART void add_dkv(float *d, const float *a, const float *b, uint32_t row, uint64_t queries) {
  head_add_columns(d, a, KEYS, b, row, queries);
}

static void block_gradient(const struct head *h, const struct scratch *s, uint64_t query, uint64_t key) {
  uint64_t keys = plm_cpu_min(h->length - key, KEYS), row = h->row;
  uint64_t queries = plm_cpu_min(plm_cpu_up(h->length - query, PLM_MR), QUERIES);
  for (uint64_t j = 0; j < keys; j += NR)
    for (uint64_t i = 0; i < queries; i += PLM_MR) {
      float *p = s->p + i * KEYS + j, *da = s->da + i * KEYS + j;
      uint64_t at = query + i;
      panel_p(p, s->q + at * row, row, s->k_panels + (key + j) * h->size, h->size, s->lse + at);
      if (h->causal && key + j + NR > at + 1)
        panel_mask(p, at, key + j);
      panel_da(da, p, s->d_o + at * row, row, s->v_panels + (key + j) * h->size, h->size, s->delta + at);
    }
  for (uint64_t i = 0; i < queries; i += PLM_MR)
    add_dq(s->dq + (query + i) * row, s->da + i * KEYS, s->k + key * row, h->row, keys);
  for (uint64_t j = 0; j < keys; j += PLM_MR) {
    add_dkv(s->dv + (key + j) * row, s->p + j, s->d_o + query * row, h->row, queries);
    add_dkv(s->dk + (key + j) * row, s->da + j, s->q + query * row, h->row, queries);
  }
}

/* Packs the head; log-sum-exp in base 2; padding queries get P = 0. */
PLM_APART void pack_head(const struct plm_op_attention_grad *o, const struct head *h, const struct scratch *s,
                         uint32_t head) {
  uint64_t rows = padded_rows(h->length), keys = plm_cpu_up(h->length, NR), wide = (uint64_t)o->heads * h->size;
  const float *out = plm_cpu_f32(&o->o) + h->first * wide + (uint64_t)head * h->size;
  const float *d_o = plm_cpu_f32(&o->d_o) + h->first * wide + (uint64_t)head * h->size;
  const float *lse = plm_cpu_f32(&o->lse) + h->first * o->heads + head;
  head_pack(s->q, h->q, h, h->stride, rows, 1, o->scale * LOG2_E);
  head_pack(s->k, h->k, h, h->stride, rows, 1, 1.0f);
  head_pack(s->v, h->v, h, h->stride, rows, 0, 1.0f);
  head_pack(s->d_o, d_o, h, wide, rows, 0, 1.0f);
  head_transpose(s->k_panels, s->k, h, keys);
  head_transpose(s->v_panels, s->v, h, keys);
  for (uint64_t t = 0; t < rows; t++) {
    float delta = 0.0f;
    for (uint32_t d = 0; t < h->length && d < h->size; d++)
      delta += out[t * wide + d] * d_o[t * wide + d];
    s->delta[t] = delta;
    s->lse[t] = t < h->length ? LOG2_E * lse[t * o->heads] : INFINITY;
  }
  memset(s->dq, 0, rows * h->row * sizeof(float));
  memset(s->dk, 0, rows * h->row * sizeof(float));
  memset(s->dv, 0, rows * h->row * sizeof(float));
}

/* q carried scale * log2 e into dK, so ln 2 is left there. */
PLM_APART void unpack_head(const struct plm_op_attention_grad *o, const struct head *h, const struct scratch *s,
                           uint32_t head) {
  uint64_t third = h->stride / 3;
  float *to = plm_cpu_f32(&o->dqkv) + h->first * h->stride + (uint64_t)head * h->size;
  for (uint64_t t = 0; t < h->length; t++, to += h->stride) {
    head_turn(to, s->dq + t * h->row, h, t, o->scale, -1.0f);
    head_turn(to + third, s->dk + t * h->row, h, t, LN_2, -1.0f);
    memcpy(to + 2 * third, s->dv + t * h->row, h->size * sizeof *to);
  }
}

static void gradient_head(const struct plm_op *op, uint32_t sequence, uint32_t head, float *work) {
  const struct plm_op_attention_grad *o = &op->u.attention_grad;
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
  pack_head(o, &h, &s, head);
  for (uint64_t key = 0; key < h.length; key += KEYS)
    for (uint64_t query = h.causal ? key / QUERIES * QUERIES : 0; query < h.length; query += QUERIES)
      block_gradient(&h, &s, query, key);
  unpack_head(o, &h, &s, head);
}

void PLM_CPU_NAME(plm_kern_attention_grad)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_attention_grad *o = &op->u.attention_grad;
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
    gradient_head(op, (uint32_t)(item / o->heads), (uint32_t)(item % o->heads), work);
  plm_cpu_meet(run);
}
