/*
 * Put before every kernel file. OpenCL C 1.2; no double, no atomics on floats, no native_*, no mad() (PoCL 3.1 never
 * fuses it). What the host defines: PLM_CPU or PLM_GPU (the tile policy, backends/opencl/opencl.h), VW (floats of a
 * vector: 4, 8 or 16) and PLM_FMA when fma() is one instruction.
 *
 * The functions below have the coefficients, and so the error bounds, of the cpu backend (docs/numerics.md). Infinities
 * and not-a-number come out as they go in; results below 2^-126 may be 0.
 */
#pragma OPENCL FP_CONTRACT ON

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)

/* A vector of the device's width, and moving one from and to memory at any element. */
#define FV JOIN(float, VW)
#define IV JOIN(int, VW)
#define UV JOIN(uint, VW)
#define AS_FV JOIN(as_float, VW)
#define AS_IV JOIN(as_int, VW)
#define AS_UV JOIN(as_uint, VW)
#ifdef PLM_GPU
#define LOADV(p) JOIN(vload, VW)(0, p)
#define STOREV(v, p) JOIN(vstore, VW)(v, 0, p)
#else
/* PoCL 3.1 makes pieces of 128 bits of vload16 and vstore16. A vector type that asks for no alignment is moved whole. */
#define LOADV(p) load_vector(p)
#define STOREV(v, p) store_vector(v, p)
typedef FV unaligned_vector __attribute__((aligned(4)));
#define VECTOR_MOVES(space)                                                                                 \
  static inline __attribute__((overloadable, always_inline)) FV load_vector(space const float *p) {         \
    return *(space const unaligned_vector *)p;                                                              \
  }                                                                                                         \
  static inline __attribute__((overloadable, always_inline)) void store_vector(FV v, space float *p) {      \
    *(space unaligned_vector *)p = v;                                                                       \
  }
VECTOR_MOVES(__global)
VECTOR_MOVES(__local)
VECTOR_MOVES(__private)
#endif

#ifdef PLM_FMA
#define FMA(a, b, c) fma(a, b, c)
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

#define INLINE static inline __attribute__((always_inline))

/* Loops over register arrays must be unrolled whole, or the arrays live in memory. */
#define UNROLL(n) __attribute__((opencl_unroll_hint(n)))

/*
 * Work-groups. LANES work-items share a row, ROWS rows a group; CHUNK elements are one work-item's of an element-wise op.
 * A launch may be cut and its pieces then have global offsets: places come from GROUP and get_global_id alone.
 */
#ifdef PLM_CPU
#define LANES 1
#define ROWS 1
#define CHUNK 4096
#else
#define LANES 32
#define ROWS 4
#define CHUNK 4
#endif
#define GROUP_ITEMS (LANES * ROWS)
#define GROUP_OF_CHUNKS __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1)))
#define GROUP_OF_ROWS __attribute__((reqd_work_group_size(LANES, ROWS, 1)))
#define GROUP(d) (get_global_id(d) / get_local_size(d))

/* Views are two arguments: a buffer and where the view begins in it, in elements. AT opens one. */
#define VIEW(type, x) __global type *x##_buffer, const ulong x##_at
#define AT(x) (x##_buffer + x##_at)

/*
 * Reporting indices that are wrong: the first report is kept, {tag, row, value, limit}. limit -1: "does not ascend";
 * MUST_BE(n): it must be n.
 */
#define MUST_BE(n) (-2 - (int)(n))
#define FAULT volatile __global int *fault, const int fault_tag
#define REPORT(row, value, limit) report_fault(fault, fault_tag, row, value, limit)

INLINE void report_fault(volatile __global int *fault, int tag, uint row, int value, int limit) {
  if (atomic_cmpxchg(fault, 0, tag) == 0) {
    fault[1] = (int)row;
    fault[2] = value;
    fault[3] = limit;
  }
}

/* ---------------------------------------------------------------- vectors */

/* The larger one, or not-a-number when one is; scalars and vectors. */
#define MOST(x, y) ((x) > (y) || isnan(x) ? (x) : (y))

/* The first n <= VW floats at p; the rest of the vector is fill. */
INLINE FV load_some(__global const float *p, uint n, float fill) {
  float some[VW];
  if (n >= VW)
    return LOADV(p);
  for (uint i = 0; i < VW; i++)
    some[i] = i < n ? p[i] : fill;
  return LOADV(some);
}

INLINE FV load_head(__global const float *p, uint n) { return load_some(p, n, 0.0f); }

/* Stores the first n <= VW floats. */
INLINE void store_head(FV x, __global float *p, uint n) {
  float some[VW];
  if (n >= VW) {
    STOREV(x, p);
    return;
  }
  STOREV(x, some);
  for (uint i = 0; i < n; i++)
    p[i] = some[i];
}

/* Halves first, so that every width adds the last four in one order. */
INLINE float sum_lanes(FV x) {
#if VW == 16
  const float8 y = x.lo + x.hi;
  const float4 z = y.lo + y.hi;
#elif VW == 8
  const float4 z = x.lo + x.hi;
#else
  const float4 z = x;
#endif
  return (z.x + z.z) + (z.y + z.w);
}

INLINE float max_lanes(FV x) {
#if VW == 16
  const float8 y = MOST(x.lo, x.hi);
  const float4 z = MOST(y.lo, y.hi);
#elif VW == 8
  const float4 z = MOST(x.lo, x.hi);
#else
  const float4 z = x;
#endif
  const float a = MOST(z.x, z.z), b = MOST(z.y, z.w);
  return MOST(a, b);
}

/* ---------------------------------------------------------------- exp and the normal distribution */

/*
 * 1.5 * 2^23 + 127: added to x it rounds x to an integer, which then sits in the low bits with the exponent's bias on
 * it, ready to become a power of two. At -127 the power is 0.
 */
#define ROUND_MAGIC 12583039.0f

/* e^x for x <= 88; results below 2^-126 are 0. ln 2 in two parts (Cody and Waite 1980). F, I: float and int alike. */
#define EXP_BODY(F, I, x)                                               \
  const F c = (x) < (F)(-88.0f) ? (F)(-88.0f) : (x);                    \
  const F rounded = FMA(c, (F)(1.44269504f), (F)(ROUND_MAGIC));         \
  const F n = rounded - ROUND_MAGIC;                                    \
  F r = FMA(n, (F)(-0.693359375f), c);                                  \
  r = FMA(n, (F)(2.12194440e-4f), r);                                   \
  F p = FMA(r, (F)(0.0013814467f), (F)(0.008368781f));                  \
  p = FMA(p, r, (F)(0.041668393f));                                     \
  p = FMA(p, r, (F)(0.1666652f));                                       \
  p = FMA(p, r, (F)(0.49999994f));                                      \
  p = FMA(p * r, r, r) + 1.0f;                                          \
  return p * JOIN(as_, F)(JOIN(as_, I)(rounded) << 23);

INLINE FV exp_of(FV x) { EXP_BODY(FV, IV, x) }
INLINE float exp_1(float x) { EXP_BODY(float, int, x) }

/* 2^x; infinite from 127.5 on, results below 2^-126 are 0. Polynomial: relative minimax of degree 6 on [-1/2, 1/2]. */
#define EXP2_BODY(F, I, x)                                               \
  const F above = (x) < (F)(-127.0f) ? (F)(-127.0f) : (x);               \
  const F c = above > (F)(128.0f) ? (F)(128.0f) : above;                 \
  const F rounded = c + ROUND_MAGIC, f = c - (rounded - ROUND_MAGIC);    \
  F p = FMA(f, (F)(0.00015353259f), (F)(0.0013399003f));                 \
  p = FMA(p, f, (F)(0.009618439f));                                      \
  p = FMA(p, f, (F)(0.05550332f));                                       \
  p = FMA(p, f, (F)(0.24022648f));                                       \
  p = FMA(p, f, (F)(0.6931472f));                                        \
  p = FMA(p, f, (F)(1.0f));                                              \
  return p * JOIN(as_, F)(JOIN(as_, I)(rounded) << 23);

INLINE FV exp2_of(FV x) { EXP2_BODY(FV, IV, x) }
INLINE float exp2_1(float x) { EXP2_BODY(float, int, x) }

/*
 * Phi(-|x|) and exp(-x^2/2): Phi(-|x|) = exp(-x^2/2) erfcx(|x|/sqrt 2)/2, and erfcx/2 is a polynomial of degree 8 in
 * t = 1/(1 + 0.425 |x|/sqrt 2) (the form of Abramowitz and Stegun 7.1.26, fitted for least relative error).
 */
INLINE FV normal_tail(FV x, FV *density) {
  const FV t = 1.0f / FMA(fabs(x), (FV)(0.30052037f), (FV)(1.0f)), e = exp_of(x * x * -0.5f);
  FV p = FMA(t, (FV)(0.035738353f), (FV)(-0.15657562f));
  p = FMA(p, t, (FV)(0.2038046f));
  p = FMA(p, t, (FV)(-0.051622137f));
  p = FMA(p, t, (FV)(0.12754177f));
  p = FMA(p, t, (FV)(0.100353405f));
  p = FMA(p, t, (FV)(0.120920256f));
  p = FMA(p, t, (FV)(0.11983932f));
  *density = e;
  return p * t * e;
}

/* x Phi(x) = x (1 + erf(x/sqrt 2))/2. */
INLINE FV gelu(FV x) {
  FV e;
  const FV tail = normal_tail(x, &e);
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

/* Phi(x) + x exp(-x^2/2)/sqrt(2 pi). */
INLINE FV gelu_slope(FV x) {
  FV e;
  const FV tail = normal_tail(x, &e);
  return FMA(x * e, (FV)(0.39894228f), x < 0.0f ? tail : 1.0f - tail);
}

/* ---------------------------------------------------------------- rows and chunks */

/* Element-wise ops: of this work-item's CHUNK of count elements, vectors of VW elements from i, then single ones. */
#define FOR_CHUNK(count, i, vector, single)                                     \
  {                                                                             \
    ulong i = (ulong)get_global_id(0) * CHUNK;                                  \
    const ulong end = i < (count) ? min((ulong)(count), i + CHUNK) : i;         \
    for (; i + VW <= end; i += VW)                                              \
      vector;                                                                   \
    for (; i < end; i++)                                                        \
      single;                                                                   \
  }

/*
 * A work-item's vectors of a row: the body runs with i, the vector's first column, and n, its columns: a constant VW for
 * all but a row's last vector, so that load_head and store_head cost nothing there.
 */
#define FOR_VECTORS(width, ...)                                                 \
  {                                                                             \
    uint i = get_local_id(0) * VW;                                              \
    for (; i + VW <= (width); i += LANES * VW) {                                \
      const uint n = VW;                                                        \
      __VA_ARGS__                                                               \
    }                                                                           \
    if (i < (width)) {                                                          \
      const uint n = (width)-i;                                                 \
      __VA_ARGS__                                                               \
    }                                                                           \
  }

/*
 * What the LANES work-items of a row have, combined in a tree that depends on LANES alone; all get the result. All
 * work-items of the group must come here. A kernel begins with SCRATCH and hands it on.
 */
#ifdef PLM_CPU
#define SCRATCH
#define row_total(x) (x)
#define row_most(x) (x)
#else
#define SCRATCH __local float scratch[GROUP_ITEMS]
#define row_total(x) row_total_of(scratch, x)
#define row_most(x) row_most_of(scratch, x)

INLINE float row_total_of(__local float *scratch, float x) {
  const uint lane = get_local_id(0), at = get_local_id(1) * LANES + lane;
  scratch[at] = x;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint apart = LANES / 2; apart > 0; apart /= 2) {
    if (lane < apart)
      scratch[at] += scratch[at + apart];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  x = scratch[at - lane];
  barrier(CLK_LOCAL_MEM_FENCE);
  return x;
}

INLINE float row_most_of(__local float *scratch, float x) {
  const uint lane = get_local_id(0), at = get_local_id(1) * LANES + lane;
  scratch[at] = x;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint apart = LANES / 2; apart > 0; apart /= 2) {
    if (lane < apart)
      scratch[at] = MOST(scratch[at], scratch[at + apart]);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  x = scratch[at - lane];
  barrier(CLK_LOCAL_MEM_FENCE);
  return x;
}
#endif
