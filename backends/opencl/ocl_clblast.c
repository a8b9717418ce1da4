/*
 * Matrix products by CLBlast. Row-major C = A B is asked for as column-major C' = B' A', where nothing is transposed but
 * what the op itself transposes. Offsets are taken away by sub-buffers where the device's alignment allows: CLBlast copies
 * operands that have one. Only the plain Gemm is used: GemmStridedBatched of every version until 1.7 ignores offsets and
 * strides without a word.
 */
#include "ocl_clblast.h"

#include <clblast_c.h>
#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMETERS 16
#define DEVICES 64

static const char *const parameter_names[PARAMETERS] = {"GEMMK", "KREG",  "KWG", "KWI", "MDIMA", "MDIMC", "MWG", "NDIMB",
                                                        "NDIMC", "NWG",   "SA",  "SB",  "STRM",  "STRN",  "VWM", "VWN"};
static const char *const threshold_name[1] = {"XGEMM_MIN_INDIRECT_SIZE"};

/* Parameters of CLBlast's kernel "Xgemm", and from which cube root of m*n*k on it is taken rather than "XgemmDirect". */
struct set {
  size_t values[PARAMETERS], threshold;
};

/* One work-item a work-group, which owns 32 x 8: the tuners of CLBlast never try that. */
static const struct set cpu_sets[] = {{{0, 1, 16, 2, 1, 1, 32, 1, 1, 8, 0, 0, 0, 0, 8, 8}, 0}};
/* Tiles of 64 x 64 and 128 x 64 through local memory, 256 work-items. */
static const struct set gpu_sets[] = {
    {{0, 1, 16, 2, 16, 16, 64, 16, 16, 64, 1, 1, 0, 0, 4, 4}, 128},
    {{0, 1, 16, 2, 16, 16, 128, 16, 16, 64, 1, 1, 0, 0, 4, 4}, 128},
};
#define COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

/* Which set a device has now. CLBlast 1.5.3's caches are not safe between threads: one lock for all calls. */
static struct {
  cl_device_id id;
  uint32_t which;
  struct set stock;
} in_force[DEVICES];
static uint32_t in_force_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#ifdef PLM_OCL_CLBLAST_STOCK
extern int ocl_clblast_stock(cl_device_id device, const char *kernel, size_t count, const char *const *names,
                             size_t *values); /* ocl_clblast_stock.cc */
static uint32_t set_count(const struct plm_device *device) {
  return device->traits.policy == OCL_CPU ? COUNT(cpu_sets) : COUNT(gpu_sets);
}
#else /* no C++ compiler: no way back from a tuned set, so there is none */
static int ocl_clblast_stock(cl_device_id device, const char *kernel, size_t count, const char *const *names,
                             size_t *values) {
  (void)device, (void)kernel, (void)count, (void)names, (void)values;
  return CL_INVALID_OPERATION;
}
static uint32_t set_count(const struct plm_device *device) {
  (void)device;
  return 0;
}
#endif

uint32_t ocl_clblast_count(const struct plm_device *device) { return 1 + set_count(device); }

void ocl_clblast_name(uint32_t which, char out[PLM_KERNELS_NAME]) {
  if (which)
    snprintf(out, PLM_KERNELS_NAME, "clblast tuned %u", which);
  else
    snprintf(out, PLM_KERNELS_NAME, "clblast");
}

const char *ocl_clblast_version(void) {
  static char name[128];
  char path[PATH_MAX];
  Dl_info info;
  union {
    CLBlastStatusCode (*function)(void);
    void *address;
  } any = {CLBlastClearCache};
  if (name[0] == 0 && dladdr(any.address, &info) && info.dli_fname && realpath(info.dli_fname, path)) {
    const char *slash = strrchr(path, '/');
    snprintf(name, sizeof name, "%.127s", slash ? slash + 1 : path);
  }
  return name[0] ? name : "unknown";
}

/* ------------------------------------------------------------------ parameters */

static const char *code_name(int code) {
  switch (code) {
  case CLBlastInsufficientMemoryTemp:
    return "workspace too small";
  case CLBlastMissingOverrideParameter:
    return "another set of parameters than that of CLBlast 1.5";
  case CLBlastInvalidLocalMemUsage:
    return "too much local memory for this device";
  case CLBlastDatabaseError:
    return "no parameters for this device";
  default:
    return code < -63 ? "see clblast_c.h" : "";
  }
}

static int fail(struct plm_error *err, const struct plm_device *device, const struct plm_op *op, int code,
                const char *what) {
  const char *why = code_name(code);
  return ocl_fail(err, device, op, "clblast", code, "%s%s%s", what, *why ? ", " : "", why);
}

static int override(cl_device_id id, const struct set *set) {
  const char *names[PARAMETERS];
  memcpy(names, parameter_names, sizeof names);
  const int code = (int)CLBlastOverrideParameters(id, "Xgemm", CLBlastPrecisionSingle, PARAMETERS, names, set->values);
  names[0] = threshold_name[0];
  return code ? code
              : (int)CLBlastOverrideParameters(id, "GemmRoutine", CLBlastPrecisionSingle, 1, names, &set->threshold);
}

/* The device's place in in_force, made on first sight. */
static int find_device(uint32_t *out, cl_device_id id) {
  for (*out = 0; *out < in_force_count; ++*out)
    if (in_force[*out].id == id)
      return 0;
  if (in_force_count == DEVICES)
    return CL_OUT_OF_HOST_MEMORY;
  struct set *stock = &in_force[*out].stock;
  int code = ocl_clblast_stock(id, "Xgemm", PARAMETERS, parameter_names, stock->values);
  if (!code)
    code = ocl_clblast_stock(id, "GemmRoutine", 1, threshold_name, &stock->threshold);
  if (code)
    return code;
  in_force[*out].id = id;
  in_force_count++;
  return 0;
}

/* Puts a set in force; the next call compiles. */
static int use_set(const struct plm_device *device, uint32_t which) {
  uint32_t i;
  if (set_count(device) == 0)
    return 0;
  int code = find_device(&i, device->id);
  if (code || in_force[i].which == which)
    return code;
  const struct set *sets = device->traits.policy == OCL_CPU ? cpu_sets : gpu_sets;
  code = override(device->id, which ? &sets[which - 1] : &in_force[i].stock);
  if (!code)
    in_force[i].which = which;
  return code;
}

/* ------------------------------------------------------------------ calls */

/* Column-major C[m, n] = A[m, k] B[k, n] + beta C. */
struct gemm {
  const struct plm_view *a, *b, *c;
  size_t m, n, k, lda, ldb, ldc;
  CLBlastTranspose ta, tb;
  float beta;
};

static struct gemm gemm_of(const struct plm_op *op, const struct ocl_product *p) {
  if (op->kind == PLM_OP_LINEAR_GRAD_WEIGHT) {
    const struct plm_op_linear_grad_weight *o = &op->u.linear_grad_weight;
    return (struct gemm){&o->x,  &o->dy, &o->dw, o->in, o->out, o->rows.count, o->in, o->out, o->in, CLBlastTransposeNo,
                         CLBlastTransposeYes, 1};
  }
  return (struct gemm){&p->b,
                       &p->a,
                       &p->c,
                       p->columns,
                       p->rows,
                       p->depth,
                       p->transposed ? p->depth : p->columns,
                       p->depth,
                       p->columns,
                       p->transposed ? CLBlastTransposeYes : CLBlastTransposeNo,
                       CLBlastTransposeNo,
                       p->finish & OCL_FINISH_FROM ? 1 : 0};
}

/* A view from an element on, as a buffer and what is left of the offset, in elements. The buffer is to be released. */
struct operand {
  cl_mem memory;
  size_t offset;
};

static int open_operand(struct operand *out, const struct plm_device *device, const struct plm_view *view, size_t skip) {
  const cl_buffer_region region = {view->offset + 4 * skip, view->bytes - 4 * skip};
  cl_int code = CL_SUCCESS;
  if (region.origin == 0 || region.origin % device->traits.base_align) {
    *out = (struct operand){view->buffer->memory, region.origin / 4};
    return clRetainMemObject(out->memory);
  }
  *out = (struct operand){clCreateSubBuffer(view->buffer->memory, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code), 0};
  return code;
}

static void close_operands(const struct operand *operands, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (operands[i].memory)
      clReleaseMemObject(operands[i].memory);
}

/* Columns n .. n+count-1 of C. */
static int call(struct plm_queue *queue, const struct plm_op *op, const struct gemm *g, size_t n, size_t count,
                struct plm_error *err) {
  const struct plm_device *device = queue->device;
  const uint64_t align = device->traits.base_align, begin = ocl_up(op->workspace.offset, align);
  struct plm_view temporary = op->workspace;
  struct operand o[4] = {{NULL, 0}};
  cl_event event = NULL;
  int code = ocl_queue_room(queue, err);
  if (code)
    return code;
  temporary.offset = begin;
  temporary.bytes -= begin - op->workspace.offset;
  code = open_operand(&o[0], device, g->a, 0);
  if (!code)
    code = open_operand(&o[1], device, g->b, g->tb == CLBlastTransposeYes ? n : n * g->ldb);
  if (!code)
    code = open_operand(&o[2], device, g->c, n * g->ldc);
  if (!code)
    code = open_operand(&o[3], device, &temporary, 0);
  if (!code)
    code = (int)CLBlastSgemmWithTempBuffer(CLBlastLayoutColMajor, g->ta, g->tb, g->m, count, g->k, 1, o[0].memory,
                                           o[0].offset, g->lda, o[1].memory, o[1].offset, g->ldb, g->beta, o[2].memory,
                                           o[2].offset, g->ldc, &queue->handle, &event, o[3].memory);
  close_operands(o, 4);
  if (code)
    return fail(err, device, op, code, "CLBlastSgemmWithTempBuffer");
  ocl_queue_note(queue, event, op, "clblast");
  return PLM_OK;
}

/* In pieces of whole columns, none expected to run for longer than option launch_seconds. */
static int call_all(struct plm_queue *queue, const struct plm_op *op, const struct gemm *g, uint32_t which,
                    struct plm_error *err) {
  const struct plm_device *device = queue->device;
  const double seconds = 2.0 * (double)g->m * (double)g->n * (double)g->k / device->traits.flops_floor;
  const double pieces = device->launch_seconds > 0 ? ceil(seconds / device->launch_seconds) : 1;
  const size_t step = pieces > 1 ? ocl_up((size_t)ceil((double)g->n / pieces), 128) : g->n;
  pthread_mutex_lock(&lock);
  int code = use_set(device, which);
  if (code)
    code = fail(err, device, op, code, "CLBlastOverrideParameters");
  for (size_t n = 0; n < g->n && !code; n += step)
    code = call(queue, op, g, n, g->n - n < step ? g->n - n : step, err);
  pthread_mutex_unlock(&lock);
  return code;
}

static struct plm_op bias_grad_of(const struct plm_op *op) {
  const struct plm_op_linear_grad_weight *o = &op->u.linear_grad_weight;
  struct plm_op sums = {.struct_size = sizeof sums, .kind = PLM_OP_BIAS_GRAD, .index = op->index, .type = op->type};
  sums.workspace = op->workspace;
  sums.u.bias_grad = (struct plm_op_bias_grad){.dy = o->dy, .dbias = o->dbias, .rows = o->rows, .width = o->out};
  return sums;
}

/* What CLBlast may copy: all three operands, their extents rounded up to the largest tile of its database. */
uint64_t ocl_clblast_workspace(const struct plm_device *device, const struct plm_op *op) {
  struct ocl_product p = {0};
  if (op->kind != PLM_OP_LINEAR_GRAD_WEIGHT)
    p = ocl_product_of(op);
  const struct gemm g = gemm_of(op, &p);
  const uint64_t m = ocl_up(g.m, 128), n = ocl_up(g.n, 128), k = ocl_up(g.k, 128);
  const uint64_t bytes = (m * k + k * n + m * n) * sizeof(float) + device->traits.base_align;
  if (op->kind != PLM_OP_LINEAR_GRAD_WEIGHT || !(op->flags & PLM_FLAG_BIAS))
    return bytes;
  const struct plm_op sums = bias_grad_of(op);
  const uint64_t more = ocl_bias_grad_workspace(device, &sums);
  return bytes > more ? bytes : more;
}

static int same_place(const struct plm_view *a, const struct plm_view *b) {
  return a->buffer == b->buffer && a->offset == b->offset;
}

int ocl_clblast_run(struct plm_queue *queue, const struct plm_op *op, uint32_t which, struct plm_error *err) {
  struct ocl_product p = {0};
  if (op->kind != PLM_OP_LINEAR_GRAD_WEIGHT)
    p = ocl_product_of(op);
  /* What C itself starts from is beta's; anything else is added afterwards. */
  const uint32_t later = p.finish & OCL_FINISH_FROM && same_place(&p.from, &p.c) ? p.finish & ~OCL_FINISH_FROM : p.finish;
  struct gemm g = gemm_of(op, &p);
  if (op->kind != PLM_OP_LINEAR_GRAD_WEIGHT && later & OCL_FINISH_FROM)
    g.beta = 0;
  int code = call_all(queue, op, &g, which, err);
  p.finish = later;
  if (!code && p.finish)
    code = ocl_product_finish(queue, op, &p, err);
  if (!code && op->kind == PLM_OP_LINEAR_GRAD_WEIGHT && op->flags & PLM_FLAG_BIAS) {
    const struct plm_op sums = bias_grad_of(op);
    code = ocl_bias_grad_run(queue, &sums, err);
  }
  return code;
}
