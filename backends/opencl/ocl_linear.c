/*
 * The three matrix products of a linear layer: which implementations a device has for them, and our own kernels of
 * kernels/linear.cl. How work is cut follows from the op's extents and the chosen implementation alone, never from the
 * number of compute units, so that any number of threads gives the same bits.
 */
#include "ocl_linear.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ocl_choices.h"
#include "ocl_clblast.h"
#include "plmscale/op_rules.h"

#define SUM_CHUNK_CPU 2048u
#define LINE_GPU 64u
#define OPTIONS 256

/*
 * Register and block sizes on a CPU device. rows x two vectors is the register tile. A work-item's block of C is block_rows x
 * block_columns; the weight gradient's is weight_rows x block_columns, of whose operands block_depth rows are packed at a
 * time (they should fit into a core's second-level cache). A weight gradient of fewer blocks than items is cut into slices
 * of the rows as well. All rows are multiples of the tile's.
 */
struct cpu_tile {
  uint32_t rows, block_rows, block_columns, block_depth, weight_rows, items;
};
static const struct cpu_tile cpu_tiles[] = {
    {8, 96, 384, 128, 384, 8},
    {8, 192, 384, 128, 192, 8},
    {8, 48, 384, 128, 96, 64}, /* many cores, small caches */
    {12, 96, 384, 128, 384, 8},
};
static const struct cpu_tile cpu_tiles_narrow[] = {
    {6, 96, 384, 128, 192, 8},
    {6, 192, 384, 128, 384, 8},
    {6, 48, 384, 128, 96, 64},
    {4, 96, 384, 128, 192, 8},
};

/*
 * Tile of a work-group, its step down the depth, and a work-item's part of it on a GPU. A work-item reads (thread_m +
 * thread_n) / (thread_m * thread_n) floats from local memory for each multiply-add: merit is what that leaves of a device
 * that can read a quarter, in percent (on paper: no GPU has been tried).
 */
struct gpu_tile {
  uint32_t m, n, k, thread_m, thread_n, items, merit;
};
static const struct gpu_tile gpu_tiles[] = {
    {64, 64, 16, 4, 4, 256, 60},   {128, 64, 16, 8, 4, 256, 80}, {128, 128, 16, 8, 8, 256, 100},
    {64, 64, 16, 8, 8, 256, 90}, /* one or two waves a group hide less */
    {32, 32, 16, 4, 4, 256, 50},
};
#define GPU_TILES_WANTED 64u /* fewer leave most devices partly idle */
#define SLICE_ROWS_CPU 256u
#define SLICE_ROWS_GPU 128u

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

static const struct cpu_tile *cpu_tile(const struct plm_device *device, uint32_t which) {
  return device->traits.vector == 16 ? &cpu_tiles[which] : &cpu_tiles_narrow[which];
}

static uint32_t gpu_group(const struct gpu_tile *t) { return t->m / t->thread_m * (t->n / t->thread_n); }

static int gpu_tile_fits(const struct plm_device *device, const struct gpu_tile *t) {
  const uint64_t bytes = (uint64_t)t->k * (t->m + t->n + 8) * sizeof(float);
  return gpu_group(t) <= device->traits.work_group_max && bytes <= device->traits.local_bytes;
}

/* The which-th of those that fit the device. */
static const struct gpu_tile *gpu_tile(const struct plm_device *device, uint32_t which) {
  for (uint32_t i = 0; i < COUNT(gpu_tiles); i++)
    if (gpu_tile_fits(device, &gpu_tiles[i]) && which-- == 0)
      return &gpu_tiles[i];
  return &gpu_tiles[COUNT(gpu_tiles) - 1];
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* ------------------------------------------------------------------ the op as a product */

struct ocl_product ocl_product_of(const struct plm_op *op) {
  struct ocl_product p = {0};
  if (op->kind == PLM_OP_LINEAR) {
    const struct plm_op_linear *o = &op->u.linear;
    p = (struct ocl_product){.a = o->x, .b = o->w, .c = o->y, .rows = o->rows.count, .columns = o->out, .depth = o->in,
                             .transposed = 1};
    if (op->flags & PLM_FLAG_BIAS)
      p.bias = o->bias, p.finish |= OCL_FINISH_BIAS;
    if (op->flags & PLM_FLAG_RESIDUAL)
      p.from = o->residual, p.finish |= OCL_FINISH_FROM;
    if (op->flags & PLM_FLAG_GELU)
      p.finish |= OCL_FINISH_GELU;
    if ((op->flags & PLM_FLAG_GELU) && o->pre.bytes)
      p.pre = o->pre, p.finish |= OCL_FINISH_PRE;
    return p;
  }
  const struct plm_op_linear_grad_input *o = &op->u.linear_grad_input;
  p = (struct ocl_product){.a = o->dy, .b = o->w, .c = o->dx, .rows = o->rows.count, .columns = o->in, .depth = o->out};
  if (op->flags & PLM_FLAG_ACCUMULATE)
    p.from = o->dx, p.finish |= OCL_FINISH_FROM;
  if (op->flags & PLM_FLAG_GELU)
    p.slope = o->pre, p.finish |= OCL_FINISH_SLOPE;
  return p;
}

static void arg_finish(struct ocl_launch *l, const struct ocl_product *p) {
  ocl_arg_view(l, &p->bias);
  ocl_arg_view(l, &p->from);
  ocl_arg_view(l, &p->slope);
  ocl_arg_view(l, &p->c);
  ocl_arg_view(l, &p->pre);
  ocl_arg_u32(l, p->columns);
  ocl_arg_u32(l, p->finish);
}

static double product_flops(const struct ocl_product *p) { return 2.0 * p->rows * p->columns * p->depth; }

static double product_bytes(const struct ocl_product *p) {
  const double c = 1 + !!(p->finish & OCL_FINISH_FROM) + !!(p->finish & OCL_FINISH_SLOPE) + !!(p->finish & OCL_FINISH_PRE);
  return 4 * ((double)p->rows * p->depth + (double)p->columns * p->depth + c * p->rows * p->columns);
}

/* ------------------------------------------------------------------ kernels by implementation */

/* -w: PoCL's first pass over a program warns of loops that are unrolled only when a kernel is compiled. */
static int kernel(const struct ocl_kernel **out, struct plm_device *device, uint32_t which, const char *name,
                  struct plm_error *err) {
  char options[OPTIONS];
  if (device->traits.policy == OCL_CPU) {
    const struct cpu_tile *t = cpu_tile(device, which);
    snprintf(options, sizeof options,
             " -w -DTILE_ROWS=%u -DBLOCK_ROWS=%u -DBLOCK_COLUMNS=%u -DBLOCK_DEPTH=%u -DSUM_CHUNK=%u -DLINE=1%s", t->rows,
             t->weight_rows, t->block_columns, t->block_depth, SUM_CHUNK_CPU,
             strncmp(device->driver, "Portable Computing Language", 27) ? "" : " -DCOMPILER_PREFETCH");
  } else {
    const struct gpu_tile *t = gpu_tile(device, which);
    snprintf(options, sizeof options,
             " -w -DTILE_M=%u -DTILE_N=%u -DTILE_K=%u -DTHREAD_M=%u -DTHREAD_N=%u -DSUM_CHUNK=4 -DLINE=%u", t->m, t->n, t->k,
             t->thread_m, t->thread_n, LINE_GPU);
  }
  return ocl_kernel(out, device, "linear", options, name, err);
}

/* ------------------------------------------------------------------ LINEAR and LINEAR_GRAD_INPUT */

static uint64_t packed_bytes(const struct plm_device *device, const struct ocl_product *p) {
  return ocl_up(p->columns, 2 * device->traits.vector) * p->depth * sizeof(float);
}

static int pack(struct plm_queue *queue, const struct plm_op *op, const struct ocl_product *p, uint32_t which,
                struct plm_error *err) {
  struct ocl_launch l;
  const struct ocl_kernel *k = NULL;
  const size_t global[2] = {1, ocl_groups(p->columns, 2 * queue->device->traits.vector)}, one[2] = {1, 1};
  const int code = kernel(&k, queue->device, which, "linear_pack", err);
  if (code)
    return code;
  ocl_begin(&l, queue, op, k);
  ocl_arg_view(&l, &p->b);
  ocl_arg_view(&l, &op->workspace);
  ocl_arg_u32(&l, p->columns);
  ocl_arg_u32(&l, p->depth);
  ocl_arg_u32(&l, p->transposed);
  return ocl_enqueue(&l, 2, global, one, 1, 0, 8.0 * p->columns * p->depth, err);
}

static int product_cpu(struct plm_queue *queue, const struct plm_op *op, uint32_t which, struct plm_error *err) {
  const struct ocl_product p = ocl_product_of(op);
  const struct cpu_tile *t = cpu_tile(queue->device, which);
  const size_t global[2] = {ocl_groups(p.columns, t->block_columns), ocl_groups(p.rows, t->block_rows)}, one[2] = {1, 1};
  struct ocl_launch l;
  const struct ocl_kernel *k = NULL;
  int code = kernel(&k, queue->device, which, "linear_product", err);
  if (!code)
    code = pack(queue, op, &p, which, err);
  if (code)
    return code;
  ocl_begin(&l, queue, op, k);
  ocl_arg_view(&l, &p.a);
  ocl_arg_view(&l, &op->workspace);
  ocl_arg_u32(&l, p.rows);
  ocl_arg_u32(&l, p.depth);
  ocl_arg_u32(&l, t->block_rows);
  ocl_arg_u32(&l, t->block_columns);
  arg_finish(&l, &p);
  return ocl_enqueue(&l, 2, global, one, 1, product_flops(&p), product_bytes(&p), err);
}

static int product_gpu(struct plm_queue *queue, const struct plm_op *op, uint32_t which, struct plm_error *err) {
  const struct ocl_product p = ocl_product_of(op);
  const struct gpu_tile *t = gpu_tile(queue->device, which);
  const size_t local[2] = {gpu_group(t), 1};
  const size_t global[2] = {ocl_groups(p.columns, t->n) * local[0], ocl_groups(p.rows, t->m)};
  struct ocl_launch l;
  const struct ocl_kernel *k = NULL;
  const int code = kernel(&k, queue->device, which, "linear_product", err);
  if (code)
    return code;
  ocl_begin(&l, queue, op, k);
  ocl_arg_view(&l, &p.a);
  ocl_arg_view(&l, &p.b);
  ocl_arg_u32(&l, p.rows);
  ocl_arg_u32(&l, p.depth);
  ocl_arg_u32(&l, p.transposed);
  arg_finish(&l, &p);
  return ocl_enqueue(&l, 2, global, local, 1, product_flops(&p), product_bytes(&p), err);
}

int ocl_product_finish(struct plm_queue *queue, const struct plm_op *op, const struct ocl_product *p, struct plm_error *err) {
  const int cpu = queue->device->traits.policy == OCL_CPU;
  const size_t local[2] = {cpu ? 1 : LINE_GPU, 1};
  const size_t global[2] = {cpu ? 1 : ocl_up(ocl_groups(p->columns, 4), LINE_GPU), p->rows};
  struct ocl_launch l;
  const struct ocl_kernel *k = NULL;
  const int code = kernel(&k, queue->device, 0, "linear_finish", err);
  if (code)
    return code;
  ocl_begin(&l, queue, op, k);
  arg_finish(&l, p);
  return ocl_enqueue(&l, 2, global, local, 1, 0, 12.0 * p->rows * p->columns, err);
}

/* ------------------------------------------------------------------ LINEAR_GRAD_WEIGHT */

/*
 * How dw is cut: tiles, and slices of the rows, whose partial sums [slices][slice_floats] go to the workspace unless there
 * is one slice only. slices_most bounds slices for these extents and for fewer rows.
 */
struct weight_plan {
  uint32_t tile_out, tile_in, down, across, slices, slices_most, slice_rows;
  uint64_t slice_floats; /* 0: no slices */
};

/* As even as the step allows, none larger than most. */
static uint32_t even_tile(uint32_t n, uint32_t most, uint32_t step) {
  return (uint32_t)ocl_up(ocl_groups(n, ocl_groups(n, most)), step);
}

static struct weight_plan weight_plan(const struct plm_device *device, const struct plm_op_linear_grad_weight *o,
                                      uint32_t which) {
  struct weight_plan p = {0};
  uint32_t items, slice_least, step;
  if (device->traits.policy == OCL_CPU) {
    const struct cpu_tile *t = cpu_tile(device, which);
    p.tile_out = even_tile(o->out, t->weight_rows, t->rows);
    p.tile_in = even_tile(o->in, t->block_columns, 2 * device->traits.vector);
    items = t->items, slice_least = SLICE_ROWS_CPU, step = t->block_depth;
  } else {
    const struct gpu_tile *t = gpu_tile(device, which);
    p.tile_out = t->m, p.tile_in = t->n;
    items = t->items, slice_least = SLICE_ROWS_GPU, step = t->k;
  }
  p.down = (uint32_t)ocl_groups(o->out, p.tile_out);
  p.across = (uint32_t)ocl_groups(o->in, p.tile_in);
  p.slices_most = (uint32_t)least(ocl_groups(items, (uint64_t)p.down * p.across), ocl_groups(o->rows.count, slice_least));
  p.slice_rows = p.slices_most ? (uint32_t)ocl_up(ocl_groups(o->rows.count, p.slices_most), step) : step;
  p.slices = (uint32_t)ocl_groups(o->rows.count, p.slice_rows);
  p.slice_floats = p.slices_most > 1 ? ocl_up((uint64_t)o->out * o->in + o->out, 16) : 0;
  return p;
}

static int sum_slices(struct plm_queue *queue, const struct plm_op *op, uint32_t which, const struct plm_view *to,
                      uint64_t skip, uint32_t count, const struct weight_plan *p, struct plm_error *err) {
  const int cpu = queue->device->traits.policy == OCL_CPU;
  const size_t local = cpu ? 1 : LINE_GPU, global = ocl_up(ocl_groups(count, cpu ? SUM_CHUNK_CPU : 4), local);
  struct ocl_launch l;
  const struct ocl_kernel *k = NULL;
  const int code = kernel(&k, queue->device, which, "linear_sum", err);
  if (code)
    return code;
  ocl_begin(&l, queue, op, k);
  ocl_arg_view(&l, to);
  ocl_arg_view_at(&l, &op->workspace, skip);
  ocl_arg_u32(&l, count);
  ocl_arg_u32(&l, p->slices);
  ocl_arg_u32(&l, (uint32_t)p->slice_floats);
  return ocl_enqueue(&l, 1, &global, &local, 0, 0, 4.0 * count * (p->slices + 2), err);
}

static int weight_own(struct plm_queue *queue, const struct plm_op *op, uint32_t which, struct plm_error *err) {
  const struct plm_op_linear_grad_weight *o = &op->u.linear_grad_weight;
  const struct weight_plan p = weight_plan(queue->device, o, which);
  const int cpu = queue->device->traits.policy == OCL_CPU, sums = !!(op->flags & PLM_FLAG_BIAS);
  const size_t local[3] = {cpu ? 1 : gpu_group(gpu_tile(queue->device, which)), 1, 1};
  const size_t global[3] = {p.across * local[0], p.down, p.slices};
  const uint32_t count = o->out * o->in;
  struct ocl_launch l;
  const struct ocl_kernel *k = NULL;
  int code = kernel(&k, queue->device, which, "linear_weight", err);
  if (code)
    return code;
  ocl_begin(&l, queue, op, k);
  ocl_arg_view(&l, &o->dy);
  ocl_arg_view(&l, &o->x);
  if (p.slice_floats) {
    ocl_arg_view(&l, &op->workspace);
    ocl_arg_view_at(&l, &op->workspace, count);
  } else {
    ocl_arg_view(&l, &o->dw);
    ocl_arg_view(&l, sums ? &o->dbias : &(struct plm_view){0});
  }
  ocl_arg_u32(&l, o->rows.count);
  ocl_arg_u32(&l, o->in);
  ocl_arg_u32(&l, o->out);
  ocl_arg_u32(&l, p.slice_rows);
  ocl_arg_u32(&l, (uint32_t)p.slice_floats);
  ocl_arg_u32(&l, (uint32_t)sums);
  if (cpu) {
    ocl_arg_u32(&l, p.tile_in);
    ocl_arg_u32(&l, p.tile_out);
  }
  code = ocl_enqueue(&l, 3, global, local, 1, 2.0 * count * o->rows.count,
                     4.0 * o->rows.count * ((double)o->in + o->out) + 8.0 * count, err);
  if (!code && p.slice_floats)
    code = sum_slices(queue, op, which, &o->dw, 0, count, &p, err);
  if (!code && p.slice_floats && sums)
    code = sum_slices(queue, op, which, &o->dbias, count, o->out, &p, err);
  return code;
}

/* ------------------------------------------------------------------ implementations */

/* Own kernels come first, then what CLBlast offers; option gemm leaves one sort only. */
static uint32_t own_count(const struct plm_device *device) {
  if (device->gemm == OCL_GEMM_CLBLAST || device->gemm == OCL_GEMM_CLBLAST_TUNED)
    return 0;
  if (device->traits.policy == OCL_CPU)
    return device->traits.vector == 16 ? COUNT(cpu_tiles) : COUNT(cpu_tiles_narrow);
  uint32_t count = 0;
  for (uint32_t i = 0; i < COUNT(gpu_tiles); i++)
    count += gpu_tile_fits(device, &gpu_tiles[i]);
  return count;
}

static uint64_t own_workspace(const struct plm_device *device, const struct plm_op *op, uint32_t which) {
  if (op->kind == PLM_OP_LINEAR_GRAD_WEIGHT) {
    const struct weight_plan p = weight_plan(device, &op->u.linear_grad_weight, which);
    return p.slices_most * p.slice_floats * sizeof(float);
  }
  const struct ocl_product p = ocl_product_of(op);
  return device->traits.policy == OCL_CPU ? packed_bytes(device, &p) : 0;
}

static int own_run(struct plm_queue *queue, const struct plm_op *op, uint32_t which, struct plm_error *err) {
  if (op->kind == PLM_OP_LINEAR_GRAD_WEIGHT)
    return weight_own(queue, op, which, err);
  return queue->device->traits.policy == OCL_CPU ? product_cpu(queue, op, which, err)
                                                 : product_gpu(queue, op, which, err);
}

/* CLBlast's implementations that option gemm leaves: its own parameters, the tuned sets, or both. */
static uint32_t library_first(const struct plm_device *device) { return device->gemm == OCL_GEMM_CLBLAST_TUNED; }

static uint32_t library_count(const struct plm_device *device) {
  const uint32_t all = ocl_clblast_count(device);
  if (device->gemm == OCL_GEMM_OWN || !all)
    return 0;
  return device->gemm == OCL_GEMM_CLBLAST ? 1 : all - library_first(device);
}

static uint32_t count(const struct plm_device *device, const struct plm_op *op) {
  (void)op;
  return own_count(device) + library_count(device);
}

static void name(const struct plm_device *device, const struct plm_op *op, uint32_t which, char out[PLM_KERNELS_NAME]) {
  const uint32_t own = own_count(device);
  if (which >= own) {
    ocl_clblast_name(which - own + library_first(device), out);
  } else if (device->traits.policy == OCL_CPU) {
    const struct cpu_tile *t = cpu_tile(device, which);
    if (op->kind == PLM_OP_LINEAR_GRAD_WEIGHT)
      snprintf(out, PLM_KERNELS_NAME, "own %" PRIu32 "x%" PRIu32 " block %" PRIu32 "x%" PRIu32 "x%" PRIu32 " items %" PRIu32,
               t->rows, 2 * device->traits.vector, t->weight_rows, t->block_columns, t->block_depth, t->items);
    else
      snprintf(out, PLM_KERNELS_NAME, "own %" PRIu32 "x%" PRIu32 " block %" PRIu32 "x%" PRIu32, t->rows,
               2 * device->traits.vector, t->block_rows, t->block_columns);
  } else {
    const struct gpu_tile *t = gpu_tile(device, which);
    snprintf(out, PLM_KERNELS_NAME, "own tile %" PRIu32 "x%" PRIu32 "x%" PRIu32 " by %" PRIu32 "x%" PRIu32, t->m, t->n, t->k,
             t->thread_m, t->thread_n);
  }
}

/* How good a GPU tile is for C[rows, columns]: its merit, less what hangs over the edges, less what stays idle. */
static double gpu_score(const struct gpu_tile *t, uint64_t rows, uint64_t columns, uint64_t slices_most) {
  const double tiles = (double)ocl_groups(rows, t->m) * (double)ocl_groups(columns, t->n);
  const double useful = (double)rows * (double)columns / (tiles * t->m * t->n);
  return t->merit * useful * fmin(1, tiles * (double)slices_most / GPU_TILES_WANTED);
}

/*
 * Without a profile: on a CPU device always our first tiles, on a GPU the own tile of the best score; CLBlast only where
 * it was asked for.
 */
static uint32_t standard(const struct plm_device *device, const struct plm_op *op) {
  const struct plm_op_linear_grad_weight *o = &op->u.linear_grad_weight;
  const int weight = op->kind == PLM_OP_LINEAR_GRAD_WEIGHT;
  const struct ocl_product p = weight ? (struct ocl_product){0} : ocl_product_of(op);
  const uint64_t class = ocl_class_rows(weight ? o->rows.count : p.rows); /* one choice for a class, as with a profile */
  const uint64_t slices = weight ? ocl_groups(class, SLICE_ROWS_GPU) : 1;
  uint32_t best = 0;
  double most = -1;
  for (uint32_t i = 0; device->traits.policy == OCL_GPU && i < own_count(device); i++) {
    const double score = gpu_score(gpu_tile(device, i), weight ? o->out : class, weight ? o->in : p.columns, slices);
    if (score > most)
      most = score, best = i;
  }
  return best;
}

const struct ocl_family_choices ocl_linear_choices = {count, name, standard};

/* ------------------------------------------------------------------ the ops */

static uint64_t workspace_of(const struct plm_device *device, const struct plm_op *op, uint32_t which) {
  const uint32_t own = own_count(device);
  return which < own ? own_workspace(device, op, which) : ocl_clblast_workspace(device, op);
}

uint64_t ocl_linear_workspace(const struct plm_device *device, const struct plm_op *op) {
  return ocl_choices_workspace(device, op, workspace_of);
}

static uint32_t rows_of(const struct plm_op *op) {
  return op->kind == PLM_OP_LINEAR              ? op->u.linear.rows.count
         : op->kind == PLM_OP_LINEAR_GRAD_INPUT ? op->u.linear_grad_input.rows.count
                                                : op->u.linear_grad_weight.rows.count;
}

int ocl_linear_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const uint32_t which = ocl_chosen(queue->device, op), own = own_count(queue->device);
  if (rows_of(op) == 0)
    return PLM_OK;
  if (which < own)
    return own_run(queue, op, which, err);
  return ocl_clblast_run(queue, op, which - own + library_first(queue->device), err);
}

void ocl_linear_judge(struct plm_verdict *out, const struct plm_device *device, const struct plm_op *op) {
  if (count(device, op) == 0)
    plm_rules_refuse(out, PLM_REASON_DEVICE, "option gemm asks for CLBlast, which this build or device does not have");
}
