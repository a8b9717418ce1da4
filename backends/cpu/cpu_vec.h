/*
 * Vectors of PLM_VW floats through the compiler's vector extensions. The kernels' sources are compiled once per
 * instruction set; this header is all that differs between them.
 */
#ifndef PLM_CPU_VEC_H
#define PLM_CPU_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define PLM_VW 16
#elif defined(__AVX2__)
#define PLM_VW 8
#else
#define PLM_VW 4
#endif

/* Rows of a register tile: PLM_MR x 2 accumulators, two vectors of B and one broadcast fill the register file. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define PLM_MR 12
#else
#define PLM_MR 6
#endif

#define PLM_INLINE static inline __attribute__((always_inline))
#define PLM_APART static __attribute__((noinline))
#define PLM_UNROLL _Pragma("GCC unroll 16")

typedef float vf __attribute__((vector_size(4 * PLM_VW)));
typedef int32_t vi __attribute__((vector_size(4 * PLM_VW)));
typedef float vf_any __attribute__((vector_size(4 * PLM_VW), aligned(4), may_alias));

/* x - 0 keeps the sign of zero, so compilers fold it into a broadcast. */
PLM_INLINE vf vf_set(float x) { return x - (vf){0}; }
PLM_INLINE vf vf_load(const float *p) { return *(const vf_any *)p; }
PLM_INLINE void vf_store(float *p, vf x) { *(vf_any *)p = x; }

/* The first n < PLM_VW floats; the other lanes are fill. */
PLM_INLINE vf vf_load_head(const float *p, size_t n, float fill) {
  vf x = vf_set(fill);
  memcpy(&x, p, n * sizeof *p);
  return x;
}

PLM_INLINE void vf_store_head(float *p, vf x, size_t n) { memcpy(p, &x, n * sizeof *p); }

PLM_INLINE vf vf_select(vi mask, vf yes, vf no) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  return (vf)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)mask);
#else
  return (vf)((mask & (vi)yes) | (~mask & (vi)no));
#endif
}

/* The larger; b when either is not a number. */
PLM_INLINE vf vf_max(vf a, vf b) {
#if defined(__AVX512F__)
  return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (vf)_mm_max_ps((__m128)a, (__m128)b);
#else
  return vf_select(a > b, a, b);
#endif
}

PLM_INLINE vf vf_abs(vf x) { return (vf)((vi)x & 0x7fffffff); }

/* Sum of the lanes, halves first. */
PLM_INLINE float vf_sum(vf x) {
  float lane[PLM_VW];
  memcpy(lane, &x, sizeof x);
  for (size_t half = PLM_VW / 2; half; half /= 2)
    for (size_t i = 0; i < half; i++)
      lane[i] += lane[i + half];
  return lane[0];
}

/* The largest lane; not a number when the lane that decides is not. */
PLM_INLINE float vf_max_lane(vf x) {
  float lane[PLM_VW];
  memcpy(lane, &x, sizeof x);
  for (size_t half = PLM_VW / 2; half; half /= 2)
    for (size_t i = 0; i < half; i++)
      lane[i] = lane[i] > lane[i + half] ? lane[i] : lane[i + half];
  return lane[0];
}

/*
 * The register tile that GEMM and attention share: acc[rows][vectors] += A B over k = 0..depth-1, with
 * A(i,k) = a[i*a_row + k*a_step] and B(k,j) = b[k*b_step + j], j < vectors*PLM_VW. rows and vectors are
 * constants at every call, so that acc stays in registers.
 */
PLM_INLINE void vf_tile(vf *acc, int rows, int vectors, const float *a, size_t a_row, size_t a_step, const float *b,
                        size_t b_step, size_t depth) {
  for (size_t k = 0; k < depth; k++, a += a_step, b += b_step) {
    vf bk[4];
    PLM_UNROLL
    for (int j = 0; j < vectors; j++)
      bk[j] = vf_load(b + j * PLM_VW);
    PLM_UNROLL
    for (int i = 0; i < rows; i++) {
      vf ai = vf_set(a[(size_t)i * a_row]);
      PLM_UNROLL
      for (int j = 0; j < vectors; j++)
        acc[i * vectors + j] += ai * bk[j];
    }
  }
}

/*
 * Transposes PLM_VW x PLM_VW floats: rows a_row apart to rows to_row apart. Butterflies: step s exchanges the lanes
 * that differ in bit s between rows that differ in bit s.
 */
#define PLM_EXCHANGE(s, low, high)                               \
  PLM_UNROLL                                                     \
  for (int i = 0; i < PLM_VW; i++)                               \
    if (!(i & (s))) {                                            \
      vf a = r[i], b = r[i + (s)];                               \
      r[i] = __builtin_shufflevector(a, b, PLM_LIST low);        \
      r[i + (s)] = __builtin_shufflevector(a, b, PLM_LIST high); \
    }
#define PLM_LIST(...) __VA_ARGS__

PLM_INLINE void vf_transpose(float *to, size_t to_row, const float *from, size_t from_row) {
  vf r[PLM_VW];
  PLM_UNROLL
  for (int i = 0; i < PLM_VW; i++)
    r[i] = vf_load(from + (size_t)i * from_row);
#if PLM_VW == 16
  PLM_EXCHANGE(1, (0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
               (1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
  PLM_EXCHANGE(2, (0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
               (2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
  PLM_EXCHANGE(4, (0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
               (4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
  PLM_EXCHANGE(8, (0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
               (8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
#elif PLM_VW == 8
  PLM_EXCHANGE(1, (0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15))
  PLM_EXCHANGE(2, (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
  PLM_EXCHANGE(4, (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))
#else
  PLM_EXCHANGE(1, (0, 4, 2, 6), (1, 5, 3, 7))
  PLM_EXCHANGE(2, (0, 1, 4, 5), (2, 3, 6, 7))
#endif
  PLM_UNROLL
  for (int i = 0; i < PLM_VW; i++)
    vf_store(to + (size_t)i * to_row, r[i]);
}

#endif
