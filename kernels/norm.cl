/*
 * Layer norm. A row is LANES work-items': mean, then variance about it (a difference of squares would lose everything
 * when the mean is large), then y, from L1 the second and third time. Forward 8 bytes an element from memory, gradient
 * 16 (24 when it accumulates and dx is not in the cache).
 */

/* Four vectors at a time keep the adder busy on a CPU; a GPU has other rows for that. */
#ifdef PLM_CPU
#define WIDE 4
#else
#define WIDE 1
#endif
#define STRIDE (LANES * VW)

INLINE float row_sum(__global const float *x, uint n, uint lane) {
  FV sum[WIDE];
  uint i = lane * VW;
  UNROLL(WIDE)
  for (int k = 0; k < WIDE; k++)
    sum[k] = 0.0f;
  for (; i + (WIDE - 1) * STRIDE + VW <= n; i += WIDE * STRIDE) {
    UNROLL(WIDE)
    for (int k = 0; k < WIDE; k++)
      sum[k] += LOADV(x + i + k * STRIDE);
  }
  for (; i + VW <= n; i += STRIDE)
    sum[0] += LOADV(x + i);
  if (i < n)
    sum[0] += load_head(x + i, n - i);
  UNROLL(WIDE)
  for (int k = 1; k < WIDE; k++)
    sum[0] += sum[k];
  return sum_lanes(sum[0]);
}

INLINE float row_squares(__global const float *x, uint n, uint lane, float mean) {
  FV sum[WIDE];
  uint i = lane * VW;
  UNROLL(WIDE)
  for (int k = 0; k < WIDE; k++)
    sum[k] = 0.0f;
  for (; i + (WIDE - 1) * STRIDE + VW <= n; i += WIDE * STRIDE) {
    UNROLL(WIDE)
    for (int k = 0; k < WIDE; k++) {
      const FV d = LOADV(x + i + k * STRIDE) - mean;
      sum[k] = FMA(d, d, sum[k]);
    }
  }
  for (; i + VW <= n; i += STRIDE) {
    const FV d = LOADV(x + i) - mean;
    sum[0] = FMA(d, d, sum[0]);
  }
  if (i < n) {
    const FV d = load_some(x + i, n - i, mean) - mean;
    sum[0] = FMA(d, d, sum[0]);
  }
  UNROLL(WIDE)
  for (int k = 1; k < WIDE; k++)
    sum[0] += sum[k];
  return sum_lanes(sum[0]);
}

__kernel GROUP_OF_ROWS void layer_norm(VIEW(const float, x), VIEW(const float, gamma), VIEW(const float, beta),
                                       VIEW(float, y), VIEW(float, mean), VIEW(float, rstd), const uint rows,
                                       const uint width, const float epsilon) {
  SCRATCH;
  const uint row = get_global_id(1), lane = get_local_id(0), last = rows - 1;
  __global const float *x = AT(x) + (ulong)min(row, last) * width, *gamma = AT(gamma), *beta = AT(beta);
  __global float *y = AT(y) + (ulong)min(row, last) * width;
  const float m = row_total(row_sum(x, width, lane)) / (float)width;
  const float s = 1.0f / sqrt(row_total(row_squares(x, width, lane, m)) / (float)width + epsilon);
  if (row > last)
    return;
  if (lane == 0) {
    AT(mean)[row] = m;
    AT(rstd)[row] = s;
  }
  FOR_VECTORS(width,
              store_head(FMA((load_head(x + i, n) - m) * s, load_head(gamma + i, n), load_head(beta + i, n)), y + i, n);)
}

/* With n = (x-mean)*rstd and g = dy*gamma: dx (+)= rstd * (g - avg(g) - n*avg(g*n)). */
INLINE void row_gradient(__global float *dx, __global const float *dy, __global const float *x,
                         __global const float *gamma, uint width, float m, float s, float avg_g, float avg_gn,
                         uint accumulate) {
  FOR_VECTORS(width, {
    const FV g = load_head(dy + i, n) * load_head(gamma + i, n), normal = (load_head(x + i, n) - m) * s;
    FV d = (g - avg_g - normal * avg_gn) * s;
    if (accumulate)
      d += load_head(dx + i, n);
    store_head(d, dx + i, n);
  })
}

/*
 * BLOCK rows share one pair of rows of partial sums, partial[block][2][width]: of dy*n and of dy; sum_two_partials adds
 * them up in order.
 */
#define BLOCK 32

#ifdef PLM_CPU
/* A work-item is a block: both passes over a row and its part of the sums while the row is in L1. */
__kernel GROUP_OF_CHUNKS void layer_norm_grad(VIEW(const float, dy), VIEW(const float, x), VIEW(const float, gamma),
                                              VIEW(const float, mean), VIEW(const float, rstd), VIEW(float, dx),
                                              VIEW(float, partial), const uint rows, const uint width,
                                              const uint accumulate) {
  const uint block = get_global_id(0), end = min(rows, (block + 1) * BLOCK);
  __global const float *gamma = AT(gamma);
  __global float *sum_gamma = AT(partial) + (ulong)block * 2 * width, *sum_beta = sum_gamma + width;
  for (uint row = block * BLOCK; row < end; row++) {
    __global const float *dy = AT(dy) + (ulong)row * width, *x = AT(x) + (ulong)row * width;
    const float m = AT(mean)[row], s = AT(rstd)[row];
    const int first = row == block * BLOCK;
    FV total_g = 0.0f, total_gn = 0.0f;
    FOR_VECTORS(width, {
      const FV d = load_head(dy + i, n), normal = (load_head(x + i, n) - m) * s, g = d * load_head(gamma + i, n);
      const FV of_gamma = d * normal;
      total_g += g;
      total_gn = FMA(g, normal, total_gn);
      store_head(first ? of_gamma : of_gamma + load_head(sum_gamma + i, n), sum_gamma + i, n);
      store_head(first ? d : d + load_head(sum_beta + i, n), sum_beta + i, n);
    })
    row_gradient(AT(dx) + (ulong)row * width, dy, x, gamma, width, m, s, sum_lanes(total_g) / (float)width,
                 sum_lanes(total_gn) / (float)width, accumulate);
  }
}
#else
__kernel GROUP_OF_ROWS void layer_norm_grad(VIEW(const float, dy), VIEW(const float, x), VIEW(const float, gamma),
                                            VIEW(const float, mean), VIEW(const float, rstd), VIEW(float, dx),
                                            const uint rows, const uint width, const uint accumulate) {
  SCRATCH;
  const uint row = min((uint)get_global_id(1), rows - 1);
  __global const float *dy = AT(dy) + (ulong)row * width, *x = AT(x) + (ulong)row * width, *gamma = AT(gamma);
  const float m = AT(mean)[row], s = AT(rstd)[row];
  FV total_g = 0.0f, total_gn = 0.0f;
  FOR_VECTORS(width, {
    const FV g = load_head(dy + i, n) * load_head(gamma + i, n);
    total_g += g;
    total_gn = FMA(g, (load_head(x + i, n) - m) * s, total_gn);
  })
  const float avg_g = row_total(sum_lanes(total_g)) / (float)width;
  const float avg_gn = row_total(sum_lanes(total_gn)) / (float)width;
  if (get_global_id(1) < rows)
    row_gradient(AT(dx) + (ulong)row * width, dy, x, gamma, width, m, s, avg_g, avg_gn, accumulate);
}

/* Work-item (columns, block): a vector of columns of both sums. */
__kernel GROUP_OF_ROWS void layer_norm_sums(VIEW(const float, dy), VIEW(const float, x), VIEW(const float, mean),
                                            VIEW(const float, rstd), VIEW(float, partial), const uint rows,
                                            const uint width, const uint blocks) {
  const uint column = get_global_id(0) * VW, block = get_global_id(1), end = min(rows, (block + 1) * BLOCK);
  if (column >= width || block >= blocks)
    return;
  const uint n = width - column;
  FV sum_gamma = 0.0f, sum_beta = 0.0f;
  for (uint row = block * BLOCK; row < end; row++) {
    const FV d = load_head(AT(dy) + (ulong)row * width + column, n);
    const FV normal = (load_head(AT(x) + (ulong)row * width + column, n) - AT(mean)[row]) * AT(rstd)[row];
    sum_gamma = FMA(d, normal, sum_gamma);
    sum_beta += d;
  }
  __global float *to = AT(partial) + (ulong)block * 2 * width + column;
  store_head(sum_gamma, to, n);
  store_head(sum_beta, to + width, n);
}
#endif
