/*
 * Sums over rows in two stages, because float atomics are neither portable nor repeatable: blocks of rows to partial
 * sums, and these in order. How rows are cut depends on the op's extents alone.
 */
#define BLOCK 64

/* Columns of one work-item: on a CPU as many as keep the adder busy and use whole pages. */
#ifdef PLM_CPU
#define VECTORS 4
#else
#define VECTORS 1
#endif

/* partial[block][width] = sums over BLOCK rows of x. Work-item (columns, block). 4 bytes an element. */
__kernel GROUP_OF_ROWS void column_sums(VIEW(const float, x), VIEW(float, partial), const uint rows, const uint width,
                                        const uint blocks) {
  const uint column = get_global_id(0) * VECTORS * VW, block = get_global_id(1);
  if (column >= width || block >= blocks)
    return;
  const uint first = block * BLOCK, high = min(rows - first, (uint)BLOCK);
  __global const float *x = AT(x) + (ulong)first * width + column;
  __global float *to = AT(partial) + (ulong)block * width + column;
  if (column + VECTORS * VW <= width) {
    FV sum[VECTORS];
    UNROLL(VECTORS)
    for (int k = 0; k < VECTORS; k++)
      sum[k] = 0.0f;
    for (uint row = 0; row < high; row++, x += width) {
      UNROLL(VECTORS)
      for (int k = 0; k < VECTORS; k++)
        sum[k] += LOADV(x + k * VW);
    }
    UNROLL(VECTORS)
    for (int k = 0; k < VECTORS; k++)
      STOREV(sum[k], to + k * VW);
    return;
  }
  for (uint i = 0; column + i < width && i < VECTORS * VW; i += VW) {
    const uint n = width - column - i;
    FV sum = 0.0f;
    for (uint row = 0; row < high; row++)
      sum += load_head(x + (ulong)row * width + i, n);
    store_head(sum, to + i, n);
  }
}

/* out[i] += sum over blocks of partial[block][count], in order. A work-item has VW elements. */
__kernel GROUP_OF_CHUNKS void sum_partials(VIEW(const float, partial), VIEW(float, out), const uint blocks,
                                           const ulong count) {
  const ulong i = (ulong)get_global_id(0) * VW;
  if (i >= count)
    return;
  const uint n = (uint)min(count - i, (ulong)VW);
  __global const float *from = AT(partial) + i;
  FV sum = 0.0f;
  for (uint block = 0; block < blocks; block++, from += count)
    sum += load_head(from, n);
  __global float *to = AT(out) + i;
  store_head(load_head(to, n) + sum, to, n);
}

/* The same for partial[block][2][width] and two outputs. Work-item (columns, which). */
__kernel GROUP_OF_CHUNKS void sum_two_partials(VIEW(const float, partial), VIEW(float, first), VIEW(float, second),
                                               const uint blocks, const uint width) {
  const uint column = get_global_id(0) * VW, which = get_global_id(1);
  if (column >= width)
    return;
  const uint n = width - column;
  __global const float *from = AT(partial) + (ulong)which * width + column;
  FV sum = 0.0f;
  for (uint block = 0; block < blocks; block++, from += 2 * width)
    sum += load_head(from, n);
  __global float *to = (which ? AT(second) : AT(first)) + column;
  store_head(load_head(to, n) + sum, to, n);
}
