/*
 * Ops that move rows. Tokens and row numbers come from the host and are checked before they are used: a wrong one is
 * reported and its row left out.
 */

/* y[t,:] = scale[t] * table[tokens[t],:]: 8 bytes an element, the table stays in the cache. */
__kernel GROUP_OF_ROWS void embed(VIEW(const float, table), VIEW(const int, tokens), VIEW(const float, scale),
                                  VIEW(float, y), const uint rows, const uint vocabulary, const uint width, FAULT) {
  const uint row = get_global_id(1);
  if (row >= rows)
    return;
  const int token = AT(tokens)[row];
  if (token < 0 || (uint)token >= vocabulary) {
    if (get_local_id(0) == 0)
      REPORT(row, token, (int)vocabulary);
    return;
  }
  __global const float *from = AT(table) + (ulong)token * width;
  __global float *to = AT(y) + (ulong)row * width;
  const float s = AT(scale)[row];
  FOR_VECTORS(width, store_head(s * load_head(from + i, n), to + i, n);)
}

/*
 * dtable[v,:] += sum over the tokens t = v of scale[t] * dy[t,:], in the order of t. The table has few rows (33).
 * CPU: a work-item owns a vector of columns of the whole table, 2 KiB in L1, and goes through all tokens.
 * GPU: work-group (columns, v, block) goes through a block of tokens, 256 at a time in local memory, and adds those that
 * are v; the same branch for a whole group. The blocks' sums are added in order afterwards (sum_partials).
 */
#ifdef PLM_CPU
__kernel GROUP_OF_CHUNKS void embed_grad(VIEW(const float, dy), VIEW(const int, tokens), VIEW(const float, scale),
                                         VIEW(float, dtable), const uint rows, const uint vocabulary, const uint width,
                                         FAULT) {
  const uint column = get_global_id(0) * VW, n = width - column;
  __global const float *dy = AT(dy) + column, *scale = AT(scale);
  __global const int *tokens = AT(tokens);
  __global float *dtable = AT(dtable) + column;
  for (uint t = 0; t < rows; t++) {
    const int token = tokens[t];
    if (token < 0 || (uint)token >= vocabulary) {
      REPORT(t, token, (int)vocabulary);
      continue;
    }
    __global float *to = dtable + (ulong)token * width;
    const FV d = load_head(dy + (ulong)t * width, n);
    store_head(FMA((FV)(scale[t]), d, load_head(to, n)), to, n);
  }
}
#else
#define TOKENS 256

__kernel GROUP_OF_CHUNKS void embed_grad(VIEW(const float, dy), VIEW(const int, tokens), VIEW(const float, scale),
                                         VIEW(float, partial), const uint rows, const uint block_rows,
                                         const uint vocabulary, const uint width, FAULT) {
  __local int here[TOKENS];
  const uint item = get_local_id(0), column = get_global_id(0), block = get_global_id(2);
  const uint first = block * block_rows, end = min(rows, first + block_rows);
  const int v = (int)get_global_id(1);
  __global const float *dy = AT(dy), *scale = AT(scale);
  __global const int *tokens = AT(tokens);
  float sum = 0.0f;
  for (uint t0 = first; t0 < end; t0 += TOKENS) {
    const uint n = min(end - t0, (uint)TOKENS);
    for (uint i = item; i < n; i += GROUP_ITEMS) {
      const int token = tokens[t0 + i];
      here[i] = token;
      if ((token < 0 || (uint)token >= vocabulary) && v == 0)
        REPORT(t0 + i, token, (int)vocabulary);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint i = 0; i < n; i++)
      if (here[i] == v && column < width)
        sum = FMA(scale[t0 + i], dy[(ulong)(t0 + i) * width + column], sum);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (column < width)
    AT(partial)[((ulong)block * vocabulary + (uint)v) * width + column] = sum;
}
#endif

/* 1 and a report when index[m] is not below limit and above the one before it. */
INLINE int index_is_bad(FAULT, __global const int *index, uint m, uint limit) {
  const int row = index[m];
  const int most = (int)min(limit, (uint)0x7fffffff);
  if (row < 0 || (uint)row >= limit)
    REPORT(m, row, most);
  else if (m > 0 && index[m - 1] >= row)
    REPORT(m, row, -1);
  else
    return 0;
  return 1;
}

/* y[m,:] = x[index[m],:]: 8 bytes an element. */
__kernel GROUP_OF_ROWS void gather_rows(VIEW(const float, x), VIEW(const int, index), VIEW(float, y), const uint rows,
                                        const uint source, const uint width, FAULT) {
  const uint m = get_global_id(1);
  __global const int *index = AT(index);
  if (m >= rows || index_is_bad(fault, fault_tag, index, m, source))
    return;
  __global const float *from = AT(x) + (ulong)index[m] * width;
  __global float *to = AT(y) + (ulong)m * width;
  FOR_VECTORS(width, store_head(load_head(from + i, n), to + i, n);)
}

/* How many of the ascending index[0..rows) are below row. */
INLINE uint index_place(__global const int *index, uint rows, uint row) {
  uint first = 0, end = rows;
  while (first < end) {
    const uint middle = (first + end) / 2;
    if ((uint)index[middle] < row)
      first = middle + 1;
    else
      end = middle;
  }
  return first;
}

/* y[t,:] = x[m,:] where index[m] = t, else 0: every row of y is written once, 4 bytes an element and 4 of each of x. */
__kernel GROUP_OF_ROWS void scatter_rows(VIEW(const float, x), VIEW(const int, index), VIEW(float, y), const uint rows,
                                         const uint target, const uint width, FAULT) {
  const uint t = get_global_id(1);
  __global const int *index = AT(index);
  if (t < rows && get_local_id(0) == 0)
    index_is_bad(fault, fault_tag, index, t, target);
  if (t >= target)
    return;
  const uint m = index_place(index, rows, t);
  __global float *to = AT(y) + (ulong)t * width;
  if (m < rows && (uint)index[m] == t) {
    __global const float *from = AT(x) + (ulong)m * width;
    FOR_VECTORS(width, store_head(load_head(from + i, n), to + i, n);)
  } else {
    FOR_VECTORS(width, store_head((FV)(0.0f), to + i, n);)
  }
}
