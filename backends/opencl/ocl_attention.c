/*
 * Attention and its gradient: kernels/attention_cpu.cl, whose work-items stand for the threads of a CPU, and
 * kernels/attention_gpu.cl, whose work-groups own blocks of rows. Sequences are known to the device only: the first
 * counts heads of sequences, the second launches as many blocks as there can be.
 */
#include <math.h>
#include <stdio.h>

#include "ocl_choices.h"
#include "opencl.h"
#include "plmscale/op_rules.h"

/* Both ops' operands under one name; views that only one has are absent in the other. */
struct attention {
  const struct plm_view *qkv, *offsets, *positions, *cosine, *sine, *o, *lse, *d_o, *dqkv;
  uint64_t tokens, sequences, heads, size, length_max;
  uint32_t table_rows;
  float scale;
  uint32_t grad, rotary, causal; /* 0 or 1 */
};

static struct attention attention_of(const struct plm_op *op) {
  struct attention a = {.grad = op->kind == PLM_OP_ATTENTION_GRAD,
                        .rotary = (op->flags & PLM_FLAG_ROTARY) != 0,
                        .causal = (op->flags & PLM_FLAG_CAUSAL) != 0};
#define TAKE(p)                                                                                                \
  a.qkv = &(p)->qkv, a.offsets = &(p)->offsets, a.positions = &(p)->positions, a.cosine = &(p)->cosine,        \
  a.sine = &(p)->sine, a.o = &(p)->o, a.lse = &(p)->lse, a.tokens = (p)->rows.count,                           \
  a.sequences = (p)->sequences.count, a.heads = (p)->heads, a.size = (p)->head_size,                           \
  a.length_max = (p)->length_max, a.table_rows = (p)->table_rows, a.scale = (p)->scale
  if (a.grad) {
    TAKE(&op->u.attention_grad);
    a.d_o = &op->u.attention_grad.d_o;
    a.dqkv = &op->u.attention_grad.dqkv;
  } else {
    TAKE(&op->u.attention);
  }
#undef TAKE
  return a;
}

/* At most: the lengths are known to the device only. The gradient has five products for the forward pass's two. */
static double flops_of(const struct attention *a) {
  return (a->grad ? 10.0 : 4.0) * (double)a->tokens * (double)a->length_max * (double)(a->heads * a->size);
}

#define OPTIONS 128

/* ---------------------------------------------------------------- work-items as threads */

/* What kernels/attention_cpu.cl calls so. */
#define COUNTER_FLOATS 16
#define KEYS_PAD 16

/*
 * Keys of a piece of scores; keys and queries of the gradient's blocks, multiples of every register tile. The first is
 * the standard: 12 rows of scores, or P and dA of a block, beside the operands in 48 KiB of L1.
 */
struct cpu_tile {
  uint32_t keys, grad_keys, grad_queries;
};
static const struct cpu_tile cpu_tiles[] = {{512, 96, 48}, {256, 192, 48}, {1024, 96, 96}};

static uint64_t threads_of(const struct plm_device *device) { return device->traits.compute_units; }

/* Floats that a work-item needs for one head of the longest sequence. */
static uint64_t cpu_room(const struct plm_device *device, const struct attention *a, const struct cpu_tile *t) {
  const uint64_t vector = device->traits.vector, tile = vector == 16 ? 12 : 6, row = ocl_up(a->size, vector);
  const uint64_t keys = ocl_up(a->length_max, 2 * vector), panels = ocl_up(keys * a->size, 16);
  if (!a->grad)
    return ocl_up((ocl_up(a->length_max, tile) + 2 * keys) * row + panels +
                      tile * (t->keys + KEYS_PAD + row + vector + 2), 16);
  const uint64_t blocks = ocl_up(a->length_max, t->grad_queries), rows = keys > blocks ? keys : blocks;
  return ocl_up(7 * rows * row + 2 * panels + 2 * ocl_up(rows, 16) + 2 * t->grad_queries * t->grad_keys, 16);
}

static int cpu_kernel(struct ocl_launch *launch, struct plm_queue *queue, const struct plm_op *op,
                      const struct attention *a, const struct cpu_tile *t, const char *name, struct plm_error *err) {
  const struct ocl_kernel *kernel;
  char options[OPTIONS];
  if (a->grad)
    snprintf(options, sizeof options, " -DHEAD=%d -DGRAD=1 -DGRAD_KEYS=%d -DGRAD_QUERIES=%d", (int)a->size,
             (int)t->grad_keys, (int)t->grad_queries);
  else
    snprintf(options, sizeof options, " -DHEAD=%d -DGRAD=0 -DKEYS=%d", (int)a->size, (int)t->keys);
  const int code = ocl_kernel(&kernel, queue->device, "attention_cpu", options, name, err);
  if (!code)
    ocl_begin(launch, queue, op, kernel);
  return code;
}

static int cpu_start(struct plm_queue *queue, const struct plm_op *op, const struct attention *a,
                     const struct cpu_tile *t, uint64_t begin, struct plm_error *err) {
  const size_t one = 1;
  struct ocl_launch launch;
  const int code = cpu_kernel(&launch, queue, op, a, t, "attention_start", err);
  if (code)
    return code;
  ocl_arg_view(&launch, &op->workspace);
  ocl_arg_view(&launch, a->offsets);
  ocl_arg_u32(&launch, (uint32_t)a->sequences);
  ocl_arg_u32(&launch, (uint32_t)a->tokens);
  ocl_arg_u32(&launch, (uint32_t)a->length_max);
  ocl_arg_u32(&launch, (uint32_t)begin);
  ocl_arg_fault(&launch, OCL_OFFSETS);
  return ocl_enqueue(&launch, 1, &one, &one, -1, 0, 4.0 * (double)a->sequences, err);
}

/* Heads from where cpu_start began up to end. */
static int cpu_heads(struct plm_queue *queue, const struct plm_op *op, const struct attention *a,
                     const struct cpu_tile *t, uint64_t end, struct plm_error *err) {
  const size_t one = 1, threads = threads_of(queue->device);
  struct ocl_launch launch;
  const int code = cpu_kernel(&launch, queue, op, a, t, a->grad ? "attention_grad" : "attention", err);
  if (code)
    return code;
  ocl_arg_view(&launch, a->qkv);
  ocl_arg_view(&launch, a->offsets);
  ocl_arg_view(&launch, a->positions);
  ocl_arg_view(&launch, a->cosine);
  ocl_arg_view(&launch, a->sine);
  ocl_arg_view(&launch, &op->workspace);
  ocl_arg_u64(&launch, cpu_room(queue->device, a, t));
  ocl_arg_u32(&launch, (uint32_t)a->heads);
  ocl_arg_u32(&launch, a->table_rows);
  ocl_arg_f32(&launch, a->scale);
  ocl_arg_u32(&launch, a->rotary);
  ocl_arg_u32(&launch, a->causal);
  ocl_arg_u32(&launch, (uint32_t)end);
  ocl_arg_fault(&launch, OCL_POSITIONS);
  ocl_arg_view(&launch, a->o);
  ocl_arg_view(&launch, a->lse);
  if (a->grad) {
    ocl_arg_view(&launch, a->d_o);
    ocl_arg_view(&launch, a->dqkv);
  }
  return ocl_enqueue(&launch, 1, &threads, &one, -1, 0, 0, err);
}

/* Launches are cut by heads here, as all work-items of one take from the same counter. */
static int cpu_run(struct plm_queue *queue, const struct plm_op *op, const struct attention *a, struct plm_error *err) {
  const struct plm_device *device = queue->device;
  const struct cpu_tile *t = &cpu_tiles[ocl_chosen(device, op)];
  const uint64_t heads = a->sequences * a->heads;
  /* The floor of ocl_pieces is for scalars and short vectors. */
  const uint64_t pieces = ocl_pieces(device, heads, flops_of(a) * 4 / device->traits.vector, 0);
  int code = PLM_OK;
  for (uint64_t piece = 0; piece < pieces && !code; piece++) {
    code = cpu_start(queue, op, a, t, heads * piece / pieces, err);
    if (!code)
      code = cpu_heads(queue, op, a, t, heads * (piece + 1) / pieces, err);
  }
  return code;
}

/* ---------------------------------------------------------------- work-groups */

#define GROUP_MAX 256 /* every device of the GPU policy has them */

/* What kernels/attention_gpu.cl calls BLOCK, SPLIT and TILE. */
struct tiles {
  uint64_t block, split, tile;
};

static uint64_t local_bytes(const struct attention *a, const struct tiles *t) {
  const uint64_t wide = ocl_up(a->size, 4 * t->split), items = t->block * t->split;
  const uint64_t meeting = !a->grad ? items : t->split > 1 ? 2 * items : 0;
  return 4 * t->tile * (2 * wide + meeting + 2);
}

static int tiles_fit(const struct plm_device *device, const struct attention *a, const struct tiles *t) {
  return t->block * t->split <= GROUP_MAX && local_bytes(a, t) <= device->traits.local_bytes;
}

/*
 * Rows and sums of a work-item are two head rows, four in the gradient: up to 64 floats of them stay in registers
 * everywhere. Tiles of 16 rows keep local memory small enough for several work-groups on each core of a GPU.
 */
static struct tiles tiles_standard(const struct plm_device *device, const struct attention *a) {
  struct tiles t = {.block = 64, .split = 1, .tile = 16};
  while (ocl_up(a->size, 4 * t.split) / t.split * (a->grad ? 4 : 2) > 64)
    t.split *= 2;
  while (t.block > 1 && t.block * t.split > GROUP_MAX)
    t.block /= 2;
  while (t.tile > 1 && local_bytes(a, &t) > device->traits.local_bytes)
    t.tile /= 2;
  return t;
}

/* The others for `plmscale tune`: quarters of the standard's, 4 for the same. */
static const struct tiles gpu_tiles[] = {{2, 4, 4}, {8, 4, 4}, {4, 8, 4}, {4, 2, 4}, {4, 4, 8}, {4, 4, 2}, {2, 8, 8}};

/* The which-th that fits the device, the standard is 0; 0 when there are fewer. */
static int tiles_of(struct tiles *out, const struct plm_device *device, const struct attention *a, uint32_t which) {
  const struct tiles standard = tiles_standard(device, a);
  if (which == 0) {
    *out = standard;
    return 1;
  }
  for (uint32_t i = 0; i < sizeof gpu_tiles / sizeof *gpu_tiles; i++) {
    const struct tiles t = {standard.block * gpu_tiles[i].block / 4, standard.split * gpu_tiles[i].split / 4,
                            standard.tile * gpu_tiles[i].tile / 4};
    if (t.block && t.split && t.tile && tiles_fit(device, a, &t) && --which == 0) {
      *out = t;
      return 1;
    }
  }
  return 0;
}

static int gpu_kernel(struct ocl_launch *launch, struct plm_queue *queue, const struct plm_op *op,
                      const struct attention *a, const struct tiles *t, const char *name, struct plm_error *err) {
  const struct ocl_kernel *kernel;
  char options[128];
  snprintf(options, sizeof options, " -DHEAD=%d -DGRAD=%d -DBLOCK=%d -DSPLIT=%d -DTILE=%d", (int)a->size, (int)a->grad,
           (int)t->block, (int)t->split, (int)t->tile);
  const int code = ocl_kernel(&kernel, queue->device, "attention_gpu", options, name, err);
  if (!code)
    ocl_begin(launch, queue, op, kernel);
  return code;
}

static int gpu_delta(struct plm_queue *queue, const struct plm_op *op, const struct attention *a,
                     const struct tiles *t, struct plm_error *err) {
  const uint64_t rows = a->tokens * a->heads;
  const size_t local = 64, global = ocl_up(rows, local);
  struct ocl_launch launch;
  const int code = gpu_kernel(&launch, queue, op, a, t, "attention_delta", err);
  if (code)
    return code;
  ocl_arg_view(&launch, a->o);
  ocl_arg_view(&launch, a->d_o);
  ocl_arg_view(&launch, &op->workspace);
  ocl_arg_u32(&launch, (uint32_t)rows);
  return ocl_enqueue(&launch, 1, &global, &local, 0, 0, 8.0 * (double)(rows * a->size), err);
}

/* share: of the op's FLOPs. */
static int gpu_blocks(struct plm_queue *queue, const struct plm_op *op, const struct attention *a,
                      const struct tiles *t, const char *name, double share, struct plm_error *err) {
  const size_t local[2] = {t->block * t->split, 1};
  const size_t global[2] = {(a->tokens / t->block + a->sequences) * local[0], a->heads};
  struct ocl_launch launch;
  const int code = gpu_kernel(&launch, queue, op, a, t, name, err);
  if (code)
    return code;
  ocl_arg_view(&launch, a->qkv);
  ocl_arg_view(&launch, a->offsets);
  ocl_arg_view(&launch, a->positions);
  ocl_arg_view(&launch, a->cosine);
  ocl_arg_view(&launch, a->sine);
  ocl_arg_u32(&launch, (uint32_t)a->sequences);
  ocl_arg_u32(&launch, (uint32_t)a->tokens);
  ocl_arg_u32(&launch, (uint32_t)a->length_max);
  ocl_arg_u32(&launch, (uint32_t)a->heads);
  ocl_arg_u32(&launch, a->table_rows);
  ocl_arg_f32(&launch, a->scale);
  ocl_arg_u32(&launch, a->rotary);
  ocl_arg_u32(&launch, a->causal);
  ocl_arg_fault(&launch, OCL_POSITIONS);
  ocl_arg_fault(&launch, OCL_OFFSETS);
  if (!a->grad)
    ocl_arg_view(&launch, a->o);
  ocl_arg_view(&launch, a->lse);
  if (a->grad) {
    ocl_arg_view(&launch, a->d_o);
    ocl_arg_view(&launch, &op->workspace);
    ocl_arg_view(&launch, a->dqkv);
  }
  return ocl_enqueue(&launch, 2, global, local, 0, share * flops_of(a), 0, err);
}

static int gpu_run(struct plm_queue *queue, const struct plm_op *op, const struct attention *a, struct plm_error *err) {
  struct tiles t = tiles_standard(queue->device, a);
  tiles_of(&t, queue->device, a, ocl_chosen(queue->device, op));
  if (!a->grad)
    return gpu_blocks(queue, op, a, &t, "attention", 1, err);
  int code = gpu_delta(queue, op, a, &t, err);
  if (!code)
    code = gpu_blocks(queue, op, a, &t, "attention_grad_q", 0.6, err);
  if (!code)
    code = gpu_blocks(queue, op, a, &t, "attention_grad_kv", 0.8, err);
  return code;
}

/* ---------------------------------------------------------------- choices */

static uint32_t count(const struct plm_device *device, const struct plm_op *op) {
  const struct attention a = attention_of(op);
  struct tiles t;
  uint32_t n = 0;
  if (device->traits.policy == OCL_CPU)
    return sizeof cpu_tiles / sizeof *cpu_tiles;
  while (tiles_of(&t, device, &a, n))
    n++;
  return n;
}

static void name(const struct plm_device *device, const struct plm_op *op, uint32_t which, char out[PLM_KERNELS_NAME]) {
  const struct attention a = attention_of(op);
  struct tiles t;
  if (device->traits.policy == OCL_CPU && a.grad)
    snprintf(out, PLM_KERNELS_NAME, "own blocks %dx%d", (int)cpu_tiles[which].grad_queries,
             (int)cpu_tiles[which].grad_keys);
  else if (device->traits.policy == OCL_CPU)
    snprintf(out, PLM_KERNELS_NAME, "own keys %d", (int)cpu_tiles[which].keys);
  else if (tiles_of(&t, device, &a, which))
    snprintf(out, PLM_KERNELS_NAME, "own block %d split %d tile %d", (int)t.block, (int)t.split, (int)t.tile);
}

static uint32_t standard(const struct plm_device *device, const struct plm_op *op) {
  (void)device;
  (void)op;
  return 0;
}

const struct ocl_family_choices ocl_attention_choices = {count, name, standard};

/* ---------------------------------------------------------------- ops */

static uint64_t workspace(const struct plm_device *device, const struct plm_op *op, uint32_t which) {
  const struct attention a = attention_of(op);
  if (device->traits.policy == OCL_CPU)
    return 4 * (COUNTER_FLOATS + threads_of(device) * cpu_room(device, &a, &cpu_tiles[which]));
  return a.grad ? 4 * a.tokens * a.heads : 0;
}

uint64_t ocl_attention_workspace(const struct plm_device *device, const struct plm_op *op) {
  return ocl_choices_workspace(device, op, workspace);
}

void ocl_attention_judge(struct plm_verdict *out, const struct plm_device *device, const struct plm_op *op) {
  const struct attention a = attention_of(op);
  if (device->traits.policy == OCL_CPU)
    return;
  const struct tiles t = tiles_standard(device, &a);
  if (!tiles_fit(device, &a, &t))
    plm_rules_refuse(out, PLM_REASON_DEVICE, "head_size %d: more than the local memory of this device holds",
                     (int)a.size);
}

int ocl_attention_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct attention a = attention_of(op);
  if (a.tokens == 0)
    return PLM_OK;
  return queue->device->traits.policy == OCL_CPU ? cpu_run(queue, op, &a, err) : gpu_run(queue, op, &a, err);
}
