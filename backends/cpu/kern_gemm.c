/*
 * The three matrix products of a linear layer.
 *
 * Built-in tiles (Goto and van de Geijn 2008): B is packed into panels of two vectors' width, a register tile of PLM_MR
 * rows runs down one panel, the depth is cut so that a panel stays in L1 and a block of A in L2. Bias, residual and the
 * accumulated output are what the accumulators start from; GELU is applied to a tile just stored. The sum over the
 * depth runs in one fixed order. With a library the same items are cut, and the library does the inner product of each
 * on the thread that holds it.
 */
#include <omp.h>

#include "cpu_math.h"
#include "kern_table.h"

#define NR (2 * PLM_VW)
#define ROWS 96       /* rows of an item: a multiple of every PLM_MR */
#define COLUMNS 384   /* columns of an item: a multiple of every NR */
#define DEPTH 384     /* longest piece of the inner sum between two visits of C */
#define GRAD_ROWS 128 /* the same for the weight gradient, whose inner sum runs over tokens */
#define GRAD_COLUMNS 320
#define SLAB_ROWS 2048 /* tokens packed at a time */

static plm_cpu_sgemm_fn sgemm_for(const struct plm_cpu_gemm *gemm, const struct plm_op *op, uint64_t in, uint64_t out) {
  int gradient = op->kind != PLM_OP_LINEAR && !(op->flags & PLM_FLAG_GELU);
  return plm_cpu_min(in, out) >= gemm->width && (gemm->all || gradient) ? gemm->sgemm : NULL;
}

static uint64_t pieces(uint64_t n, uint64_t most) { return (n + most - 1) / most; }

/* ------------------------------------------------------------ register tiles */

/* c = from (+ add) + A B on PLM_MR rows and one or two vectors. from_row 0 gives every row the same start. */
struct start {
  const float *from, *add;
  size_t from_row;
};

PLM_INLINE void tile_of(int vectors, float *c, size_t c_row, struct start s, const float *a, size_t a_row,
                        size_t a_step, const float *panel, size_t depth) {
  vf acc[PLM_MR * 2];
  PLM_UNROLL
  for (int i = 0; i < PLM_MR; i++)
    PLM_UNROLL
  for (int j = 0; j < vectors; j++)
    acc[i * vectors + j] = vf_load(s.from + (size_t)i * s.from_row + j * PLM_VW);
  if (s.add) {
    PLM_UNROLL
    for (int j = 0; j < vectors; j++) {
      vf extra = vf_load(s.add + j * PLM_VW);
      PLM_UNROLL
      for (int i = 0; i < PLM_MR; i++)
        acc[i * vectors + j] += extra;
    }
  }
  vf_tile(acc, PLM_MR, vectors, a, a_row, a_step, panel, NR, depth);
  PLM_UNROLL
  for (int i = 0; i < PLM_MR; i++)
    PLM_UNROLL
  for (int j = 0; j < vectors; j++)
    vf_store(c + (size_t)i * c_row + j * PLM_VW, acc[i * vectors + j]);
}

/* A by rows (activations) and A packed (weight gradient): the two inner loops that matter, each with its strides known.
 */
static void tile_rows(float *c, size_t c_row, struct start s, const float *a, size_t a_row, const float *panel,
                      size_t depth, uint64_t columns) {
  if (columns > PLM_VW)
    tile_of(2, c, c_row, s, a, a_row, 1, panel, depth);
  else
    tile_of(1, c, c_row, s, a, a_row, 1, panel, depth);
}

static void tile_packed(float *c, size_t c_row, struct start s, const float *a, const float *panel, size_t depth,
                        uint64_t columns) {
  if (columns > PLM_VW)
    tile_of(2, c, c_row, s, a, 1, PLM_MR, panel, depth);
  else
    tile_of(1, c, c_row, s, a, 1, PLM_MR, panel, depth);
}

static const float zeros[NR];

static int whole(uint64_t rows, uint64_t columns) { return rows == PLM_MR && (columns == NR || columns == PLM_VW); }

/* Edge tiles run in a scratch tile: in copies the start there, out copies the result back. */
static struct start edge_in(float *tile, struct start s, uint64_t rows, uint64_t columns) {
  memset(tile, 0, PLM_MR * NR * sizeof *tile);
  for (uint64_t i = 0; i < rows; i++)
    for (uint64_t j = 0; j < columns; j++)
      tile[i * NR + j] = s.from[i * s.from_row + j] + (s.add ? s.add[j] : 0.0f);
  return (struct start){tile, NULL, NR};
}

static void edge_out(float *c, size_t c_row, const float *tile, uint64_t rows, uint64_t columns) {
  for (uint64_t i = 0; i < rows; i++)
    memcpy(c + i * c_row, tile + i * NR, columns * sizeof *c);
}

/* ------------------------------------------------------------------ products by rows */

/* c[rows, columns] = start + a[rows, depth] B, then GELU (keeping pre) or times GELU's slope at slope_at. */
struct product {
  const float *a, *b, *packed;
  const float *bias, *residual, *slope_at;
  float *c, *pre;
  uint64_t rows, columns, depth;
  int b_transposed, gelu;
  plm_cpu_sgemm_fn sgemm;
};

/* to[k][j] = b[j][k] for a panel of columns <= NR. */
static void pack_transposed(float *to, const float *b, uint64_t columns, uint64_t depth) {
  uint64_t j = 0;
  for (; j + PLM_VW <= columns; j += PLM_VW) {
    uint64_t k = 0;
    for (; k + PLM_VW <= depth; k += PLM_VW)
      vf_transpose(to + k * NR + j, NR, b + j * depth + k, depth);
    for (; k < depth; k++)
      for (uint64_t i = j; i < j + PLM_VW; i++)
        to[k * NR + i] = b[i * depth + k];
  }
  for (; j < columns; j++)
    for (uint64_t k = 0; k < depth; k++)
      to[k * NR + j] = b[j * depth + k];
}

/* Panel p of B: [depth][NR], columns past the edge are 0. */
static void pack_panel(const struct product *g, float *packed, uint64_t p) {
  float *to = packed + p * NR * g->depth;
  uint64_t columns = plm_cpu_min(g->columns - p * NR, NR);
  if (columns < NR)
    memset(to, 0, NR * g->depth * sizeof *to);
  if (g->b_transposed)
    pack_transposed(to, g->b + p * NR * g->depth, columns, g->depth);
  else if (columns == NR)
    for (uint64_t k = 0; k < g->depth; k++)
      memcpy(to + k * NR, g->b + k * g->columns + p * NR, NR * sizeof *to);
  else
    for (uint64_t k = 0; k < g->depth; k++)
      memcpy(to + k * NR, g->b + k * g->columns + p * NR, columns * sizeof *to);
}

/* GELU or its slope on a stored tile; whole tiles two vectors at a time. */
static void finish_edge(float *c, float *pre, const float *slope_at, uint64_t n) {
  for (uint64_t j = 0; j < n; j += PLM_VW) {
    uint64_t m = plm_cpu_min(n - j, PLM_VW);
    vf x = vf_load_head(c + j, m, 0.0f);
    if (pre)
      vf_store_head(pre + j, x, m);
    x = slope_at ? x * vf_gelu_slope(vf_load_head(slope_at + j, m, 0.0f)) : vf_gelu(x);
    vf_store_head(c + j, x, m);
  }
}

static void finish_gelu(float *c, float *pre) {
  vf a = vf_load(c), b = vf_load(c + PLM_VW);
  if (pre) {
    vf_store(pre, a);
    vf_store(pre + PLM_VW, b);
  }
  vf_store(c, vf_gelu(a));
  vf_store(c + PLM_VW, vf_gelu(b));
}

static void finish_slope(float *c, const float *at) {
  vf a = vf_gelu_slope(vf_load(at)), b = vf_gelu_slope(vf_load(at + PLM_VW));
  vf_store(c, vf_load(c) * a);
  vf_store(c + PLM_VW, vf_load(c + PLM_VW) * b);
}

static void finish(const struct product *g, uint64_t row, uint64_t column, uint64_t rows, uint64_t columns) {
  uint64_t at = row * g->columns + column;
  for (uint64_t r = 0; r < rows; r++, at += g->columns) {
    uint64_t j = 0;
    if (g->gelu)
      for (; j + NR <= columns; j += NR)
        finish_gelu(g->c + at + j, g->pre ? g->pre + at + j : NULL);
    else if (g->slope_at)
      for (; j + NR <= columns; j += NR)
        finish_slope(g->c + at + j, g->slope_at + at + j);
    if (j < columns && (g->gelu || g->slope_at))
      finish_edge(g->c + at + j, g->pre ? g->pre + at + j : NULL, g->slope_at ? g->slope_at + at + j : NULL,
                  columns - j);
  }
}

/* What a tile will read and write after its inner sum, asked for before. */
static void prefetch(const struct product *g, uint64_t row, uint64_t column, uint64_t rows) {
  uint64_t at = row * g->columns + column;
  for (uint64_t r = 0; r < rows; r++, at += g->columns) {
    __builtin_prefetch(g->c + at, 1);
    if (g->pre)
      __builtin_prefetch(g->pre + at, 1);
    if (g->slope_at)
      __builtin_prefetch(g->slope_at + at);
  }
}

static struct start start_of(const struct product *g, uint64_t row, uint64_t column, int first) {
  uint64_t at = row * g->columns + column;
  const float *bias = g->bias ? g->bias + column : NULL;
  if (!first)
    return (struct start){g->c + at, NULL, g->columns};
  if (g->residual)
    return (struct start){g->residual + at, bias, g->columns};
  return (struct start){bias ? bias : zeros, NULL, 0};
}

/* The last rows of A, fewer than PLM_MR, with zeros below. */
static const float *edge_rows(float *scratch, const float *a, size_t a_row, uint64_t rows, uint64_t depth) {
  memset(scratch, 0, PLM_MR * depth * sizeof *scratch);
  for (uint64_t i = 0; i < rows; i++)
    memcpy(scratch + i * depth, a + i * a_row, depth * sizeof *scratch);
  return scratch;
}

static void product_tile(const struct product *g, uint64_t row, uint64_t column, uint64_t rows, uint64_t columns,
                         uint64_t k, uint64_t depth) {
  float tile[PLM_MR * NR], tail[PLM_MR * DEPTH];
  float *c = g->c + row * g->columns + column;
  const float *a = g->a + row * g->depth + k, *panel = g->packed + column * g->depth + k * NR;
  size_t a_row = g->depth;
  struct start s = start_of(g, row, column, k == 0);
  prefetch(g, row, column, rows);
  if (whole(rows, columns)) {
    tile_rows(c, g->columns, s, a, a_row, panel, depth, columns);
    return;
  }
  if (rows < PLM_MR)
    a = edge_rows(tail, a, a_row, rows, depth), a_row = depth;
  tile_rows(tile, NR, edge_in(tile, s, rows, columns), a, a_row, panel, depth, columns);
  edge_out(c, g->columns, tile, rows, columns);
}

static void product_item(const struct product *g, uint64_t row, uint64_t column) {
  uint64_t row_end = plm_cpu_min(row + ROWS, g->rows), column_end = plm_cpu_min(column + COLUMNS, g->columns);
  uint64_t depth = pieces(g->depth, pieces(g->depth, DEPTH));
  for (uint64_t k = 0; k < g->depth; k += depth)
    for (uint64_t j = column; j < column_end; j += NR)
      for (uint64_t i = row; i < row_end; i += PLM_MR) {
        uint64_t rows = plm_cpu_min(row_end - i, PLM_MR), columns = plm_cpu_min(column_end - j, NR);
        product_tile(g, i, j, rows, columns, k, plm_cpu_min(g->depth - k, depth));
        if (k + depth >= g->depth && (g->gelu || g->slope_at))
          finish(g, i, j, rows, columns);
      }
}

static void library_item(const struct product *g, const struct plm_cpu_run *run, uint64_t row, uint64_t column) {
  uint64_t rows = plm_cpu_min(ROWS, g->rows - row), columns = plm_cpu_min(COLUMNS, g->columns - column);
  float *c = g->c + row * g->columns + column;
  for (uint64_t i = 0; i < rows; i++) {
    struct start s = start_of(g, row + i, column, 1);
    for (uint64_t j = 0; j < columns; j++)
      c[i * g->columns + j] = s.from[s.from_row ? j : g->bias ? j : 0] + (s.add ? s.add[j] : 0.0f);
  }
  const float *b = g->b + (g->b_transposed ? column * g->depth : column);
  int ldb = (int)(g->b_transposed ? g->depth : g->columns);
  int status = g->sgemm(0, g->b_transposed, (int)rows, (int)columns, (int)g->depth, g->a + row * g->depth,
                        (int)g->depth, b, ldb, 1.0f, c, (int)g->columns);
  if (status)
    plm_cpu_fail(run, "sgemm", (int64_t)row, status, PLM_CPU_LIBRARY);
  finish(g, row, column, rows, columns);
}

static void product_run(struct product *g, const struct plm_op *op, const struct plm_cpu_run *run) {
  float *packed = plm_cpu_f32(&op->workspace);
  uint64_t across = pieces(g->columns, COLUMNS), items = pieces(g->rows, ROWS) * across;
  g->sgemm = sgemm_for(&run->gemm, op, g->depth, g->columns);
  if (!g->sgemm) {
#pragma omp for schedule(static) nowait
    for (uint64_t p = 0; p < pieces(g->columns, NR); p++)
      pack_panel(g, packed, p);
    plm_cpu_meet(run);
    g->packed = packed;
  }
#pragma omp for schedule(dynamic, 1) nowait
  for (uint64_t item = 0; item < items; item++) {
    uint64_t row = item / across * ROWS, column = item % across * COLUMNS;
    if (g->sgemm)
      library_item(g, run, row, column);
    else
      product_item(g, row, column);
  }
  plm_cpu_meet(run);
}

void PLM_CPU_NAME(plm_kern_linear)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_linear *o = &op->u.linear;
  struct product g = {.a = plm_cpu_f32(&o->x),
                      .b = plm_cpu_f32(&o->w),
                      .c = plm_cpu_f32(&o->y),
                      .rows = o->rows.count,
                      .columns = o->out,
                      .depth = o->in,
                      .b_transposed = 1};
  if (op->flags & PLM_FLAG_BIAS)
    g.bias = plm_cpu_f32(&o->bias);
  if (op->flags & PLM_FLAG_RESIDUAL)
    g.residual = plm_cpu_f32(&o->residual);
  if (op->flags & PLM_FLAG_GELU)
    g.gelu = 1, g.pre = plm_cpu_f32(&o->pre);
  if (g.rows)
    product_run(&g, op, run);
}

void PLM_CPU_NAME(plm_kern_linear_grad_input)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_linear_grad_input *o = &op->u.linear_grad_input;
  struct product g = {.a = plm_cpu_f32(&o->dy),
                      .b = plm_cpu_f32(&o->w),
                      .c = plm_cpu_f32(&o->dx),
                      .rows = o->rows.count,
                      .columns = o->in,
                      .depth = o->out};
  if (op->flags & PLM_FLAG_ACCUMULATE)
    g.residual = g.c;
  if (op->flags & PLM_FLAG_GELU)
    g.slope_at = plm_cpu_f32(&o->pre);
  if (g.rows)
    product_run(&g, op, run);
}

/* ------------------------------------------------------------------ weight gradient */

/*
 * dw[out, in] is cut into tiles; few tiles are cut along the tokens as well, into slices summed in order afterwards.
 * Tokens go by slabs: the team packs x of a slab, [blocks of GRAD_ROWS][panels][rows of the block][NR], then each item
 * packs its own part of dy.
 */
struct grad_plan {
  plm_cpu_sgemm_fn sgemm;
  uint64_t rows, in, out, in_up, tile_out, tile_in, across, tiles, slices, slab_rows, slice_blocks;
};

static struct grad_plan grad_plan(const struct plm_op *op, const struct plm_cpu_gemm *gemm) {
  const struct plm_op_linear_grad_weight *o = &op->u.linear_grad_weight;
  struct grad_plan p = {.rows = o->rows.count, .in = o->in, .out = o->out};
  p.sgemm = sgemm_for(gemm, op, p.in, p.out);
  p.in_up = plm_cpu_up(p.in, NR);
  p.tile_out = plm_cpu_up(pieces(p.out, pieces(p.out, ROWS)), PLM_MR);
  p.tile_in = plm_cpu_up(pieces(p.in, pieces(p.in, GRAD_COLUMNS)), NR);
  p.across = pieces(p.in, p.tile_in);
  p.tiles = pieces(p.out, p.tile_out) * p.across;
  p.slab_rows = plm_cpu_min(p.rows, SLAB_ROWS);
  uint64_t blocks = pieces(p.slab_rows, GRAD_ROWS), slices = plm_cpu_min(pieces(8, p.tiles), blocks);
  p.slice_blocks = slices ? pieces(blocks, slices) : 1;
  p.slices = slices ? pieces(blocks, p.slice_blocks) : 1;
  return p;
}

/* Workspace in floats: partial results of the slices, packed x of a slab, packed dy of each thread. */
static uint64_t grad_partial_floats(const struct grad_plan *p) {
  return p->slices > 1 ? plm_cpu_up(p->slices * (p->out * p->in + p->out), 16) : 0;
}
static uint64_t grad_shared_floats(const struct grad_plan *p) { return plm_cpu_up(p->slab_rows * p->in_up, 16); }
static uint64_t grad_own_floats(void) { return plm_cpu_up((ROWS + PLM_MR) * (uint64_t)GRAD_ROWS, 16); }

static void grad_pack_dy(float *to, const float *dy, size_t stride, uint64_t rows, uint64_t columns) {
  for (uint64_t m = 0; m < columns; m += PLM_MR, to += PLM_MR * rows) {
    uint64_t n = plm_cpu_min(columns - m, PLM_MR);
    if (n == PLM_MR)
      for (uint64_t k = 0; k < rows; k++)
        memcpy(to + k * PLM_MR, dy + k * stride + m, PLM_MR * sizeof *to);
    else
      for (uint64_t k = 0; k < rows; k++)
        for (uint64_t i = 0; i < PLM_MR; i++)
          to[k * PLM_MR + i] = i < n ? dy[k * stride + m + i] : 0.0f;
  }
}

/* One block of rows of x into its panels. */
static void grad_pack_x(float *to, const float *x, uint64_t rows, uint64_t columns) {
  for (uint64_t k = 0; k < rows; k++, x += columns) {
    uint64_t j = 0;
    for (; j + NR <= columns; j += NR)
      memcpy(to + j * rows + k * NR, x + j, NR * sizeof *to);
    if (j < columns) {
      memset(to + j * rows + k * NR, 0, NR * sizeof *to);
      memcpy(to + j * rows + k * NR, x + j, (columns - j) * sizeof *to);
    }
  }
}

/* c[m, n] += (or, at first, =) packed A times packed B over rows. */
static void grad_block(float *c, size_t c_row, const float *a, const float *b, uint64_t m, uint64_t n, uint64_t rows,
                       int first) {
  for (uint64_t j = 0; j < n; j += NR, b += NR * rows)
    for (uint64_t i = 0; i < m; i += PLM_MR) {
      uint64_t high = plm_cpu_min(m - i, PLM_MR), wide = plm_cpu_min(n - j, NR);
      float tile[PLM_MR * NR], *to = c + i * c_row + j;
      struct start s = first ? (struct start){zeros, NULL, 0} : (struct start){to, NULL, c_row};
      if (whole(high, wide)) {
        tile_packed(to, c_row, s, a + i * rows, b, rows, wide);
      } else {
        tile_packed(tile, NR, edge_in(tile, s, high, wide), a + i * rows, b, rows, wide);
        edge_out(to, c_row, tile, high, wide);
      }
    }
}

static void column_sums(float *sum, const float *dy, size_t stride, uint64_t rows, uint64_t columns, int first) {
  if (first)
    memset(sum, 0, columns * sizeof *sum);
  for (uint64_t k = 0; k < rows; k++)
    for (uint64_t i = 0; i < columns; i++)
      sum[i] += dy[k * stride + i];
}

/* One tile over one slice of the slab that starts at row slab. */
static void grad_item(const struct plm_op *op, const struct plm_cpu_run *run, const struct grad_plan *p, uint64_t slab,
                      uint64_t item) {
  const struct plm_op_linear_grad_weight *o = &op->u.linear_grad_weight;
  uint64_t slice = item / p->tiles, tile = item % p->tiles, partial = p->out * p->in;
  uint64_t out = tile / p->across * p->tile_out, in = tile % p->across * p->tile_in;
  uint64_t m = plm_cpu_min(p->tile_out, p->out - out), n = plm_cpu_min(p->tile_in, p->in - in);
  uint64_t slab_end = plm_cpu_min(slab + p->slab_rows, p->rows), length = p->slice_blocks * GRAD_ROWS;
  uint64_t row = slab + slice * length, end = plm_cpu_min(row + length, slab_end);
  float *work = plm_cpu_f32(&op->workspace), *dw = plm_cpu_f32(&o->dw), *dbias = plm_cpu_f32(&o->dbias);
  const float *shared = work + grad_partial_floats(p);
  float *own =
      work + grad_partial_floats(p) + grad_shared_floats(p) + (uint64_t)omp_get_thread_num() * grad_own_floats();
  const float *dy = plm_cpu_f32(&o->dy);
  int sums = (op->flags & PLM_FLAG_BIAS) && in == 0, fresh = p->slices > 1 && slab == 0;
  if (p->slices > 1)
    dw = work + slice * partial, dbias = work + p->slices * partial + slice * p->out;
  if (p->sgemm && end > row) {
    int status = p->sgemm(1, 0, (int)m, (int)n, (int)(end - row), dy + row * p->out + out, (int)p->out,
                          plm_cpu_f32(&o->x) + row * p->in + in, (int)p->in, fresh ? 0.0f : 1.0f, dw + out * p->in + in,
                          (int)p->in);
    if (status)
      plm_cpu_fail(run, "sgemm", (int64_t)row, status, PLM_CPU_LIBRARY);
  }
  for (uint64_t k = row; k < end; k += GRAD_ROWS) {
    uint64_t rows = plm_cpu_min(end - k, GRAD_ROWS);
    int first = fresh && k == row;
    if (sums)
      column_sums(dbias + out, dy + k * p->out + out, p->out, rows, m, first);
    if (p->sgemm)
      continue;
    grad_pack_dy(own, dy + k * p->out + out, p->out, rows, m);
    grad_block(dw + out * p->in + in, p->in, own, shared + (k - slab) * p->in_up + in * rows, m, n, rows, first);
  }
}

static void add_slices(float *to, const float *partial, uint64_t slices, uint64_t stride, uint64_t n) {
  for (uint64_t s = 0; s < slices; s++)
    for (uint64_t i = 0; i < n; i++)
      to[i] += partial[s * stride + i];
}

static void grad_slab(const struct plm_op *op, const struct plm_cpu_run *run, const struct grad_plan *p,
                      uint64_t slab) {
  float *shared = plm_cpu_f32(&op->workspace) + grad_partial_floats(p);
  const float *x = plm_cpu_f32(&op->u.linear_grad_weight.x);
  uint64_t end = plm_cpu_min(slab + p->slab_rows, p->rows);
  if (!p->sgemm) {
#pragma omp for schedule(static) nowait
    for (uint64_t k = slab; k < end; k += GRAD_ROWS)
      grad_pack_x(shared + (k - slab) * p->in_up, x + k * p->in, plm_cpu_min(end - k, GRAD_ROWS), p->in);
    plm_cpu_meet(run);
  }
#pragma omp for schedule(dynamic, 1) nowait
  for (uint64_t item = 0; item < p->tiles * p->slices; item++)
    grad_item(op, run, p, slab, item);
  plm_cpu_meet(run);
}

void PLM_CPU_NAME(plm_kern_linear_grad_weight)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_linear_grad_weight *o = &op->u.linear_grad_weight;
  struct grad_plan p = grad_plan(op, &run->gemm);
  uint64_t partial = p.out * p.in, chunk = 2048;
  const float *work = plm_cpu_f32(&op->workspace);
  for (uint64_t slab = 0; slab < p.rows; slab += p.slab_rows)
    grad_slab(op, run, &p, slab);
  if (p.slices == 1)
    return;
#pragma omp for schedule(static) nowait
  for (uint64_t at = 0; at < partial; at += chunk)
    add_slices(plm_cpu_f32(&o->dw) + at, work + at, p.slices, partial, plm_cpu_min(partial - at, chunk));
  plm_cpu_meet(run);
  if (op->flags & PLM_FLAG_BIAS) {
#pragma omp single nowait
    add_slices(plm_cpu_f32(&o->dbias), work + p.slices * partial, p.slices, p.out, p.out);
    plm_cpu_meet(run);
  }
}

uint64_t PLM_CPU_NAME(plm_kern_gemm_workspace)(const struct plm_op *op, uint32_t threads,
                                               const struct plm_cpu_gemm *gemm) {
  if (op->kind == PLM_OP_LINEAR_GRAD_WEIGHT) {
    struct grad_plan p = grad_plan(op, gemm);
    uint64_t packs = p.sgemm ? 0 : grad_shared_floats(&p) + threads * grad_own_floats();
    return (grad_partial_floats(&p) + packs) * sizeof(float);
  }
  uint64_t columns = op->kind == PLM_OP_LINEAR ? op->u.linear.out : op->u.linear_grad_input.in;
  uint64_t depth = op->kind == PLM_OP_LINEAR ? op->u.linear.in : op->u.linear_grad_input.out;
  return sgemm_for(gemm, op, depth, columns) ? 0 : plm_cpu_up(columns, NR) * depth * sizeof(float);
}
