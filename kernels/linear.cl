/*
 * The three matrix products of a linear layer: C[rows, columns] = A[rows, depth] B, with everything that the op asks for
 * done on the tile before it is stored. The sum over the depth is one chain in ascending order for each element, in both
 * policies; only the weight gradient cuts it, into slices that are added in order afterwards.
 *
 * CPU device: one work-item is a work-group and owns a block of C. A register tile of TILE_ROWS rows and two vectors runs
 * down a panel of B, [depth][2 vectors], packed beforehand (Goto and van de Geijn 2008): 8 x 2 accumulators, two vectors
 * of B and a broadcast of A fill half of 32 registers and keep both multipliers busy.
 *
 * GPU: a work-group owns TILE_M x TILE_N of C and goes down the depth in steps of TILE_K through local memory; each
 * work-item owns THREAD_M x THREAD_N of it in registers. What lies outside a matrix is read as zero and never stored, so
 * an infinity stays in its own row and column. Barriers stand in loops whose trip count is the same for a whole group.
 */

/* What is done to C, in this order. The host side has the same names and values. */
#define FINISH_BIAS 1u   /* + bias[column] */
#define FINISH_FROM 2u   /* + from[row, column]: residual, or C itself to accumulate */
#define FINISH_SLOPE 4u  /* * gelu'(slope_at[row, column]) */
#define FINISH_PRE 8u    /* a copy to pre */
#define FINISH_GELU 16u  /* gelu */

/* Absent operands are bound to any buffer and not touched. */
struct finish {
  __global const float *bias, *from, *slope_at;
  __global float *c, *pre;
  uint columns, flags;
};

#define FINISH_ARGUMENTS                                                                                        \
  VIEW(const float, bias), VIEW(const float, from), VIEW(const float, slope), VIEW(float, c), VIEW(float, pre), \
      const uint columns, const uint flags
#define FINISH_OF_ARGUMENTS {AT(bias), AT(from), AT(slope), AT(c), AT(pre), columns, flags}

/* The first lanes <= VW elements of C from (row, column). */
INLINE void finish_vector(const struct finish *f, FV x, uint row, uint column, uint lanes) {
  const size_t at = (size_t)row * f->columns + column;
  if (f->flags & FINISH_BIAS)
    x += load_head(f->bias + column, lanes);
  if (f->flags & FINISH_FROM)
    x += load_head(f->from + at, lanes);
  if (f->flags & FINISH_SLOPE)
    x *= gelu_slope(load_head(f->slope_at + at, lanes));
  if (f->flags & FINISH_PRE)
    store_head(x, f->pre + at, lanes);
  if (f->flags & FINISH_GELU)
    x = gelu(x);
  store_head(x, f->c + at, lanes);
}

#ifdef PLM_CPU

/* TILE_ROWS, BLOCK_DEPTH, BLOCK_COLUMNS, BLOCK_ROWS (of dw), LINE and SUM_CHUNK come from the host. */
#define PANEL (2 * VW)
#define EDGE_ROWS 4

/*
 * acc[R][2] = sum over k of A(i, k) times row k of the panel. Four steps at a time: LLVM 15 then keeps the accumulators
 * where they are instead of moving them around.
 */
#define TILE_ACCUMULATE(R, depth, panel, A)                                     \
  UNROLL(R)                                                                     \
  for (int i = 0; i < R; i++)                                                   \
    acc[i][0] = acc[i][1] = 0.0f;                                               \
  UNROLL(4)                                                                     \
  for (size_t k = 0; k < depth; k++) {                                          \
    const FV b0 = LOADV(panel + k * PANEL), b1 = LOADV(panel + k * PANEL + VW); \
    UNROLL(R)                                                                   \
    for (int i = 0; i < R; i++) {                                               \
      const FV a_ik = (FV)(A);                                                  \
      acc[i][0] = FMA(a_ik, b0, acc[i][0]);                                     \
      acc[i][1] = FMA(a_ik, b1, acc[i][1]);                                     \
    }                                                                           \
  }

#define TILE_KEEP(R, tile)                     \
  UNROLL(R)                                    \
  for (int i = 0; i < R; i++) {                \
    STOREV(acc[i][0], tile + i * PANEL);       \
    STOREV(acc[i][1], tile + i * PANEL + VW);  \
  }

/*
 * Panel p of B: packed[p][k][j] = B(k, p*PANEL + j), zero past the last column. transposed: B is stored [columns][depth].
 * VW x VW blocks are transposed in registers: interleaving rows i and i + VW/2 rotates the bits of (row, column) by one,
 * so log2(VW) rounds swap row and column.
 */
#define INTERLEAVE(to, of)                \
  UNROLL(VW)                              \
  for (int i = 0; i < VW / 2; i++) {      \
    to[2 * i].even = of[i].lo;            \
    to[2 * i].odd = of[i + VW / 2].lo;    \
    to[2 * i + 1].even = of[i].hi;        \
    to[2 * i + 1].odd = of[i + VW / 2].hi; \
  }

INLINE void pack_block(__global float *to, __global const float *b, uint depth) {
  FV r[VW], s[VW];
  UNROLL(VW)
  for (int i = 0; i < VW; i++)
    r[i] = LOADV(b + (size_t)i * depth);
  INTERLEAVE(s, r)
  INTERLEAVE(r, s)
#if VW == 8
  INTERLEAVE(s, r)
#define PACKED s
#else
#define PACKED r
#endif
#if VW == 16
  INTERLEAVE(s, r)
  INTERLEAVE(r, s)
#endif
  UNROLL(VW)
  for (int i = 0; i < VW; i++)
    STOREV(PACKED[i], to + i * PANEL);
}

/* Work-item (0, p): one panel. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
linear_pack(VIEW(const float, b), VIEW(float, packed), const uint columns, const uint depth, const uint transposed) {
  const uint first = (uint)get_global_id(1) * PANEL, wide = min(columns - first, (uint)PANEL);
  __global float *to = AT(packed) + (size_t)first * depth;
  __global const float *b = AT(b) + (transposed ? (size_t)first * depth : first);
  for (uint j = 0; j < PANEL; j += VW) {
    const uint lanes = wide > j ? min(wide - j, (uint)VW) : 0;
    uint k = 0;
    if (!transposed) {
      for (; k < depth; k++)
        STOREV(load_head(b + (size_t)k * columns + j, lanes), to + k * PANEL + j);
      continue;
    }
    if (lanes == VW)
      for (; k + VW <= depth; k += VW)
        pack_block(to + k * PANEL + j, b + (size_t)j * depth + k, depth);
    for (; k < depth; k++)
      for (uint i = 0; i < VW; i++)
        to[k * PANEL + j + i] = i < lanes ? b[(size_t)(j + i) * depth + k] : 0.0f;
  }
}

INLINE void finish_tile(const struct finish *f, const float *tile, uint row, uint column, uint high, uint wide) {
  for (uint i = 0; i < high; i++)
    for (uint j = 0; j < wide; j += VW)
      finish_vector(f, LOADV(tile + i * PANEL + j), row + i, column + j, min(wide - j, (uint)VW));
}

/*
 * Asks for what a tile will read and write after its inner sum. OpenCL's own prefetch does nothing on PoCL 3.1, and the
 * compiler's is not everywhere (Oclgrind 21.10): the host says where it is.
 */
#ifdef COMPILER_PREFETCH
#define TOUCH(p, write) __builtin_prefetch((const void *)(size_t)(p), write)
#else
#define TOUCH(p, write)
#endif

INLINE void touch_tile(const struct finish *f, uint row, uint column) {
  for (uint i = 0; i < TILE_ROWS; i++) {
    const size_t at = (size_t)(row + i) * f->columns + column;
    TOUCH(f->c + at, 1);
    TOUCH(f->c + at + VW, 1);
    if (f->flags & FINISH_PRE) {
      TOUCH(f->pre + at, 1);
      TOUCH(f->pre + at + VW, 1);
    }
    if (f->flags & FINISH_SLOPE) {
      TOUCH(f->slope_at + at, 0);
      TOUCH(f->slope_at + at + VW, 0);
    }
  }
}

/* Whole tiles that need no GELU go from registers to C; the others through a tile in memory. */
INLINE void product_rows(const struct finish *f, __global const float *a, __global const float *panel, uint depth,
                                uint row, uint column, uint wide) {
  FV acc[TILE_ROWS][2];
  touch_tile(f, row, column);
  TILE_ACCUMULATE(TILE_ROWS, depth, panel, a[i * (size_t)depth + k])
  if (wide < PANEL || (f->flags & (FINISH_GELU | FINISH_SLOPE))) {
    float tile[TILE_ROWS * PANEL];
    TILE_KEEP(TILE_ROWS, tile)
    finish_tile(f, tile, row, column, TILE_ROWS, wide);
    return;
  }
  __global const float *from = f->from + (size_t)row * f->columns + column;
  __global float *c = f->c + (size_t)row * f->columns + column;
  if (f->flags & FINISH_BIAS) {
    const FV b0 = LOADV(f->bias + column), b1 = LOADV(f->bias + column + VW);
    UNROLL(TILE_ROWS)
    for (int i = 0; i < TILE_ROWS; i++) {
      acc[i][0] += b0;
      acc[i][1] += b1;
    }
  }
  if (f->flags & FINISH_FROM) {
    UNROLL(TILE_ROWS)
    for (int i = 0; i < TILE_ROWS; i++) {
      acc[i][0] += LOADV(from + (size_t)i * f->columns);
      acc[i][1] += LOADV(from + (size_t)i * f->columns + VW);
    }
  }
  UNROLL(TILE_ROWS)
  for (int i = 0; i < TILE_ROWS; i++) {
    STOREV(acc[i][0], c + (size_t)i * f->columns);
    STOREV(acc[i][1], c + (size_t)i * f->columns + VW);
  }
}

/* Fewer than TILE_ROWS rows: rows past the last read the last and are not stored. */
INLINE void product_edge(const struct finish *f, __global const float *a, __global const float *panel, uint depth,
                                uint row, uint column, uint high, uint wide) {
  FV acc[EDGE_ROWS][2];
  float tile[EDGE_ROWS * PANEL];
  size_t at[EDGE_ROWS];
  UNROLL(EDGE_ROWS)
  for (int i = 0; i < EDGE_ROWS; i++)
    at[i] = min((uint)i, high - 1) * (size_t)depth;
  TILE_ACCUMULATE(EDGE_ROWS, depth, panel, a[at[i] + k])
  TILE_KEEP(EDGE_ROWS, tile)
  finish_tile(f, tile, row, column, min(high, (uint)EDGE_ROWS), wide);
}

/* Work-item (j, i): block_columns of C from j*block_columns, block_rows from i*block_rows. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
linear_product(VIEW(const float, a), VIEW(const float, packed), const uint rows, const uint depth, const uint block_rows,
               const uint block_columns, FINISH_ARGUMENTS) {
  const struct finish f = FINISH_OF_ARGUMENTS;
  const uint first_row = (uint)get_global_id(1) * block_rows, end_row = min(first_row + block_rows, rows);
  const uint first_column = (uint)get_global_id(0) * block_columns;
  const uint end_column = min(first_column + block_columns, columns);
  for (uint column = first_column; column < end_column; column += PANEL) {
    __global const float *panel = AT(packed) + (size_t)column * depth;
    const uint wide = min(end_column - column, (uint)PANEL);
    uint row = first_row;
    for (; row + TILE_ROWS <= end_row; row += TILE_ROWS)
      product_rows(&f, AT(a) + (size_t)row * depth, panel, depth, row, column, wide);
    for (; row < end_row; row += EDGE_ROWS)
      product_edge(&f, AT(a) + (size_t)row * depth, panel, depth, row, column, end_row - row, wide);
  }
}

/* ------------------------------------------------------------------ weight gradient */

/*
 * A block of x into panels [columns / PANEL][rows][PANEL], and of dy into strips [columns / TILE_ROWS][rows][TILE_ROWS],
 * zero past the last column. A few rows at a time: along rows for the memory's sake, whole cache lines for the caches'.
 */
#define PACK_ROWS 4

INLINE void pack_x(float *to, __global const float *x, uint stride, uint rows, uint wide) {
  for (uint first = 0; first < rows; first += PACK_ROWS)
    for (uint j = 0; j < wide; j += PANEL)
      for (uint k = first; k < min(first + PACK_ROWS, rows); k++) {
        __global const float *from = x + (size_t)k * stride + j;
        float *at = to + (size_t)j * rows + k * PANEL;
        const uint n = min(wide - j, (uint)PANEL);
        STOREV(load_head(from, min(n, (uint)VW)), at);
        STOREV(n > VW ? load_head(from + VW, n - VW) : (FV)(0.0f), at + VW);
      }
}

INLINE void pack_dy(float *to, __global const float *dy, uint stride, uint rows, uint high) {
  for (uint first = 0; first < rows; first += PACK_ROWS)
    for (uint m = 0; m < high; m += TILE_ROWS)
      for (uint k = first; k < min(first + PACK_ROWS, rows); k++) {
        __global const float *from = dy + (size_t)k * stride + m;
        float *at = to + (size_t)m * rows + k * TILE_ROWS;
        if (high - m >= TILE_ROWS) {
          UNROLL(TILE_ROWS)
          for (uint i = 0; i < TILE_ROWS; i++)
            at[i] = from[i];
        } else {
          for (uint i = 0; i < TILE_ROWS; i++)
            at[i] = i < high - m ? from[i] : 0.0f;
        }
      }
}

/* sum[high] += the columns of a block of dy; fresh: = */
INLINE void add_columns(__global float *sum, __global const float *dy, uint stride, uint rows, uint high, uint fresh) {
  __attribute__((aligned(64))) float own[BLOCK_ROWS + VW];
  for (uint i = 0; i < high; i += VW)
    STOREV(fresh ? (FV)(0.0f) : load_head(sum + i, min(high - i, (uint)VW)), own + i);
  for (uint k = 0; k < rows; k++)
    for (uint i = 0; i < high; i += VW)
      STOREV(LOADV(own + i) + load_head(dy + (size_t)k * stride + i, min(high - i, (uint)VW)), own + i);
  for (uint i = 0; i < high; i += VW)
    store_head(LOADV(own + i), sum + i, min(high - i, (uint)VW));
}

/* One tile of C += packed strips of dy times packed panel of x. */
INLINE void weight_tile(__global float *c, uint stride, const float *dy, const float *panel, uint rows, uint high,
                               uint wide, uint fresh) {
  FV acc[TILE_ROWS][2];
  TILE_ACCUMULATE(TILE_ROWS, rows, panel, dy[k * TILE_ROWS + i])
  if (high >= TILE_ROWS && wide >= PANEL) {
    if (!fresh) {
      UNROLL(TILE_ROWS)
      for (int i = 0; i < TILE_ROWS; i++) {
        acc[i][0] += LOADV(c + (size_t)i * stride);
        acc[i][1] += LOADV(c + (size_t)i * stride + VW);
      }
    }
    UNROLL(TILE_ROWS)
    for (int i = 0; i < TILE_ROWS; i++) {
      STOREV(acc[i][0], c + (size_t)i * stride);
      STOREV(acc[i][1], c + (size_t)i * stride + VW);
    }
    return;
  }
  float tile[TILE_ROWS * PANEL];
  TILE_KEEP(TILE_ROWS, tile)
  for (uint i = 0; i < min(high, (uint)TILE_ROWS); i++)
    for (uint j = 0; j < min(wide, (uint)PANEL); j += VW) {
      const uint lanes = min(wide - j, (uint)VW);
      FV x = LOADV(tile + i * PANEL + j);
      if (!fresh)
        x += load_head(c + (size_t)i * stride + j, lanes);
      store_head(x, c + (size_t)i * stride + j, lanes);
    }
}

/*
 * Work-item (j, i, s): tile_in columns and tile_out rows of dw over slice s of the rows, slice_rows long. Without slices
 * (one) it adds to dw and dbias; else it writes partial sums, [slices][out*in + out].
 */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
linear_weight(VIEW(const float, dy), VIEW(const float, x), VIEW(float, dw), VIEW(float, dbias), const uint rows,
              const uint in, const uint out, const uint slice_rows, const uint slice_stride, const uint sums,
              const uint tile_in, const uint tile_out) {
  __attribute__((aligned(64))) float packed_x[BLOCK_DEPTH * BLOCK_COLUMNS];
  __attribute__((aligned(64))) float packed_dy[BLOCK_DEPTH * BLOCK_ROWS];
  const uint column = (uint)get_global_id(0) * tile_in, row = (uint)get_global_id(1) * tile_out;
  const uint slice = (uint)get_global_id(2), first = slice * slice_rows, end = min(first + slice_rows, rows);
  const uint wide = min(tile_in, in - column), high = min(tile_out, out - row);
  __global const float *dy = AT(dy) + row, *x = AT(x) + column;
  __global float *dw = AT(dw) + (size_t)slice * slice_stride + (size_t)row * in + column;
  __global float *dbias = AT(dbias) + (size_t)slice * slice_stride + row;
  for (uint block = first; block < end; block += BLOCK_DEPTH) {
    const uint deep = min(end - block, (uint)BLOCK_DEPTH), fresh = slice_stride && block == first;
    pack_dy(packed_dy, dy + (size_t)block * out, out, deep, high);
    pack_x(packed_x, x + (size_t)block * in, in, deep, wide);
    if (sums && column == 0)
      add_columns(dbias, dy + (size_t)block * out, out, deep, high, fresh);
    for (uint j = 0; j < wide; j += PANEL)
      for (uint i = 0; i < high; i += TILE_ROWS)
        weight_tile(dw + (size_t)i * in + j, in, packed_dy + i * deep, packed_x + j * deep, deep, high - i, wide - j, fresh);
  }
}

#else /* PLM_GPU: VW is 4; TILE_, THREAD_, LINE and SUM_CHUNK come from the host */

#define LANES_N (TILE_N / THREAD_N)
#define TILE_ITEMS (TILE_M / THREAD_M * LANES_N)
#define VECTORS (THREAD_N / 4)
#define PITCH_M (TILE_M + 4) /* a vector of padding keeps alignment and spreads the banks */
#define PITCH_N (TILE_N + 4)
#define SUMS ((TILE_M + TILE_ITEMS - 1) / TILE_ITEMS) /* columns of dy that a work-item adds up */
#define LOADS_M (TILE_M * TILE_K / 4 / TILE_ITEMS)
#define LOADS_N (TILE_N * TILE_K / 4 / TILE_ITEMS)

/* Row's elements i .. i+3, zero from limit on. */
INLINE float4 load_four(__global const float *row, uint i, uint limit) {
  if (i + 4 <= limit)
    return vload4(0, row + i);
  float4 x = 0.0f;
  if (i < limit)
    x.s0 = row[i];
  if (i + 1 < limit)
    x.s1 = row[i + 1];
  if (i + 2 < limit)
    x.s2 = row[i + 2];
  return x;
}

/*
 * A tile of a matrix into local memory as [TILE_K][pitch]. across: m runs along its rows in memory (the depth runs down);
 * else the depth runs along its rows. m_end and k_end say where the matrix stops.
 */
#define LOAD_TILE(local_tile, pitch, size, loads, matrix, stride, m_first, m_end, k_first, k_end, across) \
  UNROLL(loads)                                                                                           \
  for (uint load = 0; load < loads; load++) {                                                             \
    const uint l = load * TILE_ITEMS + lane;                                                                   \
    if (across) {                                                                                         \
      const uint k = l / (size / 4), m = l % (size / 4) * 4;                                              \
      const uint limit = k_first + k < k_end ? m_end : 0;                                                 \
      vstore4(load_four(matrix + (size_t)(k_first + k) * stride, m_first + m, limit), 0, local_tile + k * pitch + m); \
    } else {                                                                                              \
      const uint m = l / (TILE_K / 4), k = l % (TILE_K / 4) * 4;                                          \
      const uint limit = m_first + m < m_end ? k_end : 0;                                                 \
      const float4 v = load_four(matrix + (size_t)(m_first + m) * stride, k_first + k, limit);            \
      local_tile[k * pitch + m] = v.s0;                                                                   \
      local_tile[(k + 1) * pitch + m] = v.s1;                                                             \
      local_tile[(k + 2) * pitch + m] = v.s2;                                                             \
      local_tile[(k + 3) * pitch + m] = v.s3;                                                             \
    }                                                                                                     \
  }

/* acc[THREAD_M][VECTORS] += the product of the two local tiles. */
#define MULTIPLY_TILES                                                      \
  for (uint k = 0; k < TILE_K; k++) {                                       \
    float4 b_k[VECTORS];                                                    \
    UNROLL(VECTORS)                                                         \
    for (int j = 0; j < VECTORS; j++)                                       \
      b_k[j] = vload4(0, tile_b + k * PITCH_N + j * LANES_N * 4 + lane_n * 4); \
    UNROLL(THREAD_M)                                                        \
    for (int i = 0; i < THREAD_M; i++) {                                    \
      const float4 a_ik = (float4)(tile_a[k * PITCH_M + lane_m * THREAD_M + i]); \
      UNROLL(VECTORS)                                                       \
      for (int j = 0; j < VECTORS; j++)                                     \
        acc[i][j] = FMA(a_ik, b_k[j], acc[i][j]);                           \
    }                                                                       \
  }

#define CLEAR_ACCUMULATORS            \
  UNROLL(THREAD_M)                    \
  for (int i = 0; i < THREAD_M; i++)  \
    UNROLL(VECTORS)                   \
    for (int j = 0; j < VECTORS; j++) \
      acc[i][j] = 0.0f;

/* Work-group (j, i): the tile of C in tile row i and tile column j. transposed: B is stored [columns][depth]. */
__kernel __attribute__((reqd_work_group_size(TILE_ITEMS, 1, 1))) void
linear_product(VIEW(const float, a), VIEW(const float, b), const uint rows, const uint depth, const uint transposed,
               FINISH_ARGUMENTS) {
  __local float tile_a[TILE_K * PITCH_M] __attribute__((aligned(16)));
  __local float tile_b[TILE_K * PITCH_N] __attribute__((aligned(16)));
  const struct finish f = FINISH_OF_ARGUMENTS;
  const uint lane = (uint)get_local_id(0), lane_n = lane % LANES_N, lane_m = lane / LANES_N;
  const uint row = (uint)get_global_id(1) * TILE_M, column = (uint)get_global_id(0) / TILE_ITEMS * TILE_N;
  __global const float *a = AT(a), *b = AT(b);
  float4 acc[THREAD_M][VECTORS];
  CLEAR_ACCUMULATORS
  for (uint k0 = 0; k0 < depth; k0 += TILE_K) {
    LOAD_TILE(tile_a, PITCH_M, TILE_M, LOADS_M, a, depth, row, rows, k0, depth, 0)
    if (transposed) {
      LOAD_TILE(tile_b, PITCH_N, TILE_N, LOADS_N, b, depth, column, columns, k0, depth, 0)
    } else {
      LOAD_TILE(tile_b, PITCH_N, TILE_N, LOADS_N, b, columns, column, columns, k0, depth, 1)
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    MULTIPLY_TILES
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  UNROLL(THREAD_M)
  for (int i = 0; i < THREAD_M; i++) {
    const uint m = row + lane_m * THREAD_M + i;
    UNROLL(VECTORS)
    for (int j = 0; j < VECTORS; j++) {
      const uint n = column + j * LANES_N * 4 + lane_n * 4;
      if (m < rows && n < columns)
        finish_vector(&f, acc[i][j], m, n, min(columns - n, 4u));
    }
  }
}

/*
 * Work-group (j, i, s): a tile of dw over slice s of the rows, slice_rows long. Without slices (one) it adds to dw and
 * dbias; else it writes partial sums, [slices][out*in + out].
 */
__kernel __attribute__((reqd_work_group_size(TILE_ITEMS, 1, 1))) void
linear_weight(VIEW(const float, dy), VIEW(const float, x), VIEW(float, dw), VIEW(float, dbias), const uint rows,
              const uint in, const uint out, const uint slice_rows, const uint slice_stride, const uint sums) {
  __local float tile_a[TILE_K * PITCH_M] __attribute__((aligned(16)));
  __local float tile_b[TILE_K * PITCH_N] __attribute__((aligned(16)));
  const uint lane = (uint)get_local_id(0), lane_n = lane % LANES_N, lane_m = lane / LANES_N;
  const uint row = (uint)get_global_id(1) * TILE_M, column = (uint)get_global_id(0) / TILE_ITEMS * TILE_N;
  const uint slice = (uint)get_global_id(2), first = slice * slice_rows, end = min(first + slice_rows, rows);
  __global const float *dy = AT(dy), *x = AT(x);
  __global float *dw = AT(dw) + (size_t)slice * slice_stride, *dbias = AT(dbias) + (size_t)slice * slice_stride;
  float4 acc[THREAD_M][VECTORS];
  float sum[SUMS];
  CLEAR_ACCUMULATORS
  UNROLL(SUMS)
  for (int s = 0; s < SUMS; s++)
    sum[s] = 0.0f;
  for (uint k0 = first; k0 < end; k0 += TILE_K) {
    LOAD_TILE(tile_a, PITCH_M, TILE_M, LOADS_M, dy, out, row, out, k0, end, 1)
    LOAD_TILE(tile_b, PITCH_N, TILE_N, LOADS_N, x, in, column, in, k0, end, 1)
    barrier(CLK_LOCAL_MEM_FENCE);
    MULTIPLY_TILES
    if (sums && column == 0)
      for (uint k = 0; k < TILE_K; k++)
        UNROLL(SUMS)
        for (int s = 0; s < SUMS; s++)
          if (lane + s * TILE_ITEMS < TILE_M)
            sum[s] += tile_a[k * PITCH_M + lane + s * TILE_ITEMS];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  UNROLL(THREAD_M)
  for (int i = 0; i < THREAD_M; i++) {
    const uint m = row + lane_m * THREAD_M + i;
    UNROLL(VECTORS)
    for (int j = 0; j < VECTORS; j++) {
      const uint n = column + j * LANES_N * 4 + lane_n * 4, lanes = n < in ? min(in - n, 4u) : 0;
      if (m < out && lanes) {
        __global float *to = dw + (size_t)m * in + n;
        store_head(slice_stride ? acc[i][j] : acc[i][j] + load_head(to, lanes), to, lanes);
      }
    }
  }
  if (sums && column == 0)
    UNROLL(SUMS)
    for (int s = 0; s < SUMS; s++) {
      const uint m = lane + s * TILE_ITEMS;
      if (m < TILE_M && row + m < out)
        dbias[row + m] = slice_stride ? sum[s] : dbias[row + m] + sum[s];
    }
}

#endif

/* ------------------------------------------------------------------ both policies */

#define GROUP_OF_LINE __attribute__((reqd_work_group_size(LINE, 1, 1)))

/* Work-item i of SUM_CHUNK elements: to[i] += partial[0][i] + partial[1][i] + ..., in this order. */
__kernel GROUP_OF_LINE void linear_sum(VIEW(float, to), VIEW(const float, partial), const uint count, const uint slices,
                                       const uint slice_stride) {
  const uint first = (uint)get_global_id(0) * SUM_CHUNK, end = min(first + SUM_CHUNK, count);
  __global const float *partial = AT(partial);
  __global float *to = AT(to);
  for (uint i = first; i < end; i += VW) {
    const uint lanes = min(end - i, (uint)VW);
    FV x = load_head(to + i, lanes);
    for (uint s = 0; s < slices; s++)
      x += load_head(partial + (size_t)s * slice_stride + i, lanes);
    store_head(x, to + i, lanes);
  }
}

/* Work-item (j, i): FINISH_ after a library's product, in place, on row i: all of it (CPU) or VW elements (GPU). */
__kernel GROUP_OF_LINE void linear_finish(FINISH_ARGUMENTS) {
  const struct finish f = FINISH_OF_ARGUMENTS;
  const uint row = (uint)get_global_id(1);
  __global const float *product = AT(c) + (size_t)row * columns;
#ifdef PLM_CPU
  for (uint j = 0; j < columns; j += VW)
#else
  const uint j = (uint)get_global_id(0) * VW;
  if (j < columns)
#endif
    finish_vector(&f, load_head(product + j, min(columns - j, (uint)VW)), row, j, min(columns - j, (uint)VW));
}
