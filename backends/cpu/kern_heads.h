/* What attention and its gradient share: the work items, packing one head of one sequence, and products of its blocks.
 */
#ifndef PLM_KERN_HEADS_H
#define PLM_KERN_HEADS_H

#include "cpu_kernels.h"
#include "cpu_math.h"

#define NR (2 * PLM_VW)
#define LOG2_E 1.44269504f
#define LN_2 0.693147181f

/* One head of one sequence. Head rows in scratch are row = h rounded up to whole vectors, zero filled. */
struct head {
  const float *q, *k, *v; /* the sequence's first row */
  const float *cosine, *sine;
  const int32_t *positions;
  uint64_t stride; /* floats from token to token in qkv */
  uint64_t length, first;
  uint32_t size, row;
  int rotary, causal;
};

PLM_INLINE uint64_t head_row(uint32_t size) { return plm_cpu_up(size, PLM_VW); }

/* The next piece of a scratch buffer, ended at a cache line. */
PLM_INLINE float *head_take(float **at, uint64_t floats) {
  float *p = *at;
  *at += plm_cpu_up(floats, 16);
  return p;
}

/* offsets[0] = 0, ascending, offsets[S] = T, no sequence above length_max; every thread gets the same answer. */
PLM_INLINE int offsets_are_bad(const struct plm_cpu_run *run, const int32_t *offsets, uint32_t sequences, uint32_t rows,
                               uint32_t length_max) {
  if (offsets[0] != 0 || offsets[sequences] < 0 || (uint32_t)offsets[sequences] != rows) {
    plm_cpu_fail(run, "offsets", sequences, offsets[sequences], (int64_t)rows + 1);
    return 1;
  }
  for (uint32_t s = 0; s < sequences; s++)
    if (offsets[s + 1] < offsets[s] || (uint32_t)(offsets[s + 1] - offsets[s]) > length_max) {
      plm_cpu_fail(run, "offsets", (int64_t)s + 1, offsets[s + 1], offsets[s] + (int64_t)length_max + 1);
      return 1;
    }
  return 0;
}

PLM_INLINE int positions_are_bad(const struct plm_cpu_run *run, const int32_t *positions, uint32_t rows,
                                 uint32_t table_rows) {
  for (uint32_t t = 0; t < rows; t++)
    if (positions[t] < 0 || (uint32_t)positions[t] >= table_rows) {
      plm_cpu_fail(run, "positions", t, positions[t], table_rows);
      return 1;
    }
  return 0;
}

/* to[0..size) = factor * x, rotated to the token's position; sign -1 rotates back. */
PLM_INLINE void head_turn(float *restrict to, const float *restrict x, const struct head *h, uint64_t token,
                          float factor, float sign) {
  uint32_t half = h->size / 2, j = 0;
  if (!h->rotary) {
    for (; j + PLM_VW <= h->size; j += PLM_VW)
      vf_store(to + j, factor * vf_load(x + j));
    for (; j < h->size; j++)
      to[j] = factor * x[j];
    return;
  }
  const float *c = h->cosine + (uint64_t)h->positions[token] * half;
  const float *s = h->sine + (uint64_t)h->positions[token] * half;
  for (; j + PLM_VW <= half; j += PLM_VW) {
    vf a = factor * vf_load(x + j), b = factor * vf_load(x + j + half), t = sign * vf_load(s + j), u = vf_load(c + j);
    vf_store(to + j, a * u - b * t);
    vf_store(to + j + half, b * u + a * t);
  }
  for (; j < half; j++) {
    float a = factor * x[j], b = factor * x[j + half], t = sign * s[j];
    to[j] = a * c[j] - b * t;
    to[j + half] = b * c[j] + a * t;
  }
}

/* Rows 0..padded-1 of x (strided) into [padded][row], turned when turn, rows past the length zero. */
PLM_APART void head_pack(float *to, const float *x, const struct head *h, uint64_t stride, uint64_t padded, int turn,
                         float factor) {
  for (uint64_t t = 0; t < h->length; t++) {
    __builtin_prefetch(x + (t + 8) * stride); /* a stride of several KiB is beyond the hardware's prefetcher */
    if (turn)
      head_turn(to + t * h->row, x + t * stride, h, t, factor, 1.0f);
    else
      for (uint32_t j = 0; j < h->size; j++)
        to[t * h->row + j] = x[t * stride + j];
    for (uint32_t j = h->size; j < h->row; j++)
      to[t * h->row + j] = 0.0f;
  }
  memset(to + h->length * h->row, 0, (padded - h->length) * h->row * sizeof *to);
}

/* [padded][row] into panels [padded/NR][size][NR]: keys side by side. padded is a multiple of NR. */
PLM_APART void head_transpose(float *panels, const float *rows, const struct head *h, uint64_t padded) {
  for (uint64_t p = 0; p < padded; p += PLM_VW) {
    float *to = panels + p / NR * NR * h->size + p % NR;
    uint32_t d = 0;
    for (; d + PLM_VW <= h->size; d += PLM_VW)
      vf_transpose(to + d * NR, NR, rows + p * h->row + d, h->row);
    for (; d < h->size; d++)
      for (uint32_t j = 0; j < PLM_VW; j++)
        to[d * NR + j] = rows[(p + j) * h->row + d];
  }
}

/* c[PLM_MR][vectors] += A B with A(i,k) = a[i*a_row + k*a_step]. */
PLM_INLINE void head_add(int vectors, float *c, size_t c_row, const float *a, size_t a_row, size_t a_step,
                         const float *b, size_t b_row, uint64_t depth) {
  vf acc[PLM_MR * 2];
  PLM_UNROLL
  for (int i = 0; i < PLM_MR; i++)
    PLM_UNROLL
  for (int j = 0; j < vectors; j++)
    acc[i * vectors + j] = vf_load(c + (size_t)i * c_row + j * PLM_VW);
  vf_tile(acc, PLM_MR, vectors, a, a_row, a_step, b, b_row, depth);
  PLM_UNROLL
  for (int i = 0; i < PLM_MR; i++)
    PLM_UNROLL
  for (int j = 0; j < vectors; j++)
    vf_store(c + (size_t)i * c_row + j * PLM_VW, acc[i * vectors + j]);
}

/*
 * The same over all columns of a head row, for A by rows and A by columns; a_stride is a constant of the caller. Heads
 * of 16, those of the ESM-2 8M model, have their sizes known to the compiler.
 */
PLM_INLINE void head_add_rows(float *c, const float *a, size_t a_stride, const float *b, uint32_t row, uint64_t depth) {
  uint32_t j = 0;
  if (row == 16 && NR == 16) {
    head_add(2, c, 16, a, a_stride, 1, b, 16, depth);
    return;
  }
  for (; j + NR <= row; j += NR)
    head_add(2, c + j, row, a, a_stride, 1, b + j, row, depth);
  if (j < row)
    head_add(1, c + j, row, a, a_stride, 1, b + j, row, depth);
}

PLM_INLINE void head_add_columns(float *c, const float *a, size_t a_stride, const float *b, uint32_t row,
                                 uint64_t depth) {
  uint32_t j = 0;
  if (row == 16 && NR == 16) {
    head_add(2, c, 16, a, 1, a_stride, b, 16, depth);
    return;
  }
  for (; j + NR <= row; j += NR)
    head_add(2, c + j, row, a, 1, a_stride, b + j, row, depth);
  if (j < row)
    head_add(1, c + j, row, a, 1, a_stride, b + j, row, depth);
}

/* acc[PLM_MR][2] += rows of q times one panel of keys. */
PLM_INLINE void head_scores(vf *acc, const float *q, size_t row, const float *panel, uint32_t size) {
  if (row == 16 && size == 16)
    vf_tile(acc, PLM_MR, 2, q, 16, 1, panel, NR, 16);
  else
    vf_tile(acc, PLM_MR, 2, q, row, 1, panel, NR, size);
}

#endif
