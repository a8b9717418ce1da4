/*
 * The seam between the backend and its kernels. A kernel runs one op; every thread of one OpenMP team calls it with
 * the same arguments, it shares its work out with orphaned "omp for nowait" loops and ends with plm_cpu_meet. How work
 * is cut into items follows from the op's extents alone, never from the number of threads, and each item is the only
 * writer of what it writes: any number of threads gives the same bits.
 */
#ifndef PLM_CPU_KERNELS_H
#define PLM_CPU_KERNELS_H

#include "plmscale/backend.h"

struct plm_buffer {
  struct plm_device *device;
  unsigned char *memory;
  uint64_t bytes;
};

/* Row-major C[m,n] = A B + beta C on one thread; A is stored [k,m] under transpose_a, B [n,k] under transpose_b. */
typedef int (*plm_cpu_sgemm_fn)(int transpose_a, int transpose_b, int m, int n, int k, const float *a, int lda,
                                const float *b, int ldb, float beta, float *c, int ldc);

/*
 * Who multiplies matrices. A library takes products whose in and out reach its width: all with width 0. all = 0 leaves
 * it the two gradients without GELU only, where it was measured to be the faster one.
 */
struct plm_cpu_gemm {
  plm_cpu_sgemm_fn sgemm; /* NULL: the built-in register tiles take all */
  uint32_t width;
  int all;
};

/* The first piece of data that an op cannot use: an index outside its table, or a library call that failed. */
struct plm_cpu_fault {
  uint32_t step; /* 0: none; else 1 + the op's place, set atomically by the first finder, who fills the rest */
  const char *what;
  int64_t row, value, limit; /* limit: values must be below it, or one of the two below */
};
#define PLM_CPU_DESCENDS (-1)
#define PLM_CPU_LIBRARY (-2)

/*
 * Where the team meets. OpenMP's own barrier spins for milliseconds, which ruins two processes that share their
 * cores; this one spins for tens of microseconds and then sleeps. Zeroed but for threads before its first use.
 */
struct plm_cpu_barrier {
  uint32_t threads, arrived, round, sleepers;
};

struct plm_cpu_run {
  struct plm_cpu_gemm gemm;
  struct plm_cpu_barrier *barrier;
  struct plm_cpu_fault *fault;
  uint32_t step; /* the op's place in its program */
};

typedef void (*plm_cpu_kernel_fn)(const struct plm_op *op, const struct plm_cpu_run *run);

/* One instruction set: the kernels by op kind, and how much workspace they want there. */
struct plm_cpu_kernels {
  const char *isa;
  plm_cpu_kernel_fn run[PLM_OP_COUNT];
  uint64_t (*workspace)(const struct plm_op *op, uint32_t threads, const struct plm_cpu_gemm *gemm);
  void (*math)(int function, const float *x, float *y, uint64_t count); /* for docs/numerics.md's test */
};

/* NULL when this build has no kernels for that instruction set. */
const struct plm_cpu_kernels *plm_cpu_kernels_baseline(void);
const struct plm_cpu_kernels *plm_cpu_kernels_avx2(void);
const struct plm_cpu_kernels *plm_cpu_kernels_avx512(void);

/* ------------------------------------------------ for the kernels' own files */

#define PLM_CPU_GLUE2(a, b) a##_##b
#define PLM_CPU_GLUE(a, b) PLM_CPU_GLUE2(a, b)
#define PLM_CPU_NAME(name) PLM_CPU_GLUE(name, PLM_CPU_ISA) /* plm_kern_add becomes plm_kern_add_avx2 */

/* Returns when every thread of the team has called it. What they wrote before is seen after. */
void plm_cpu_meet(const struct plm_cpu_run *run);

static inline void *plm_cpu_at(const struct plm_view *view) {
  return view->bytes ? (void *)(view->buffer->memory + view->offset) : (void *)0;
}

static inline float *plm_cpu_f32(const struct plm_view *view) { return (float *)plm_cpu_at(view); }
static inline const int32_t *plm_cpu_i32(const struct plm_view *view) { return (const int32_t *)plm_cpu_at(view); }

static inline void plm_cpu_fail(const struct plm_cpu_run *run, const char *what, int64_t row, int64_t value,
                                int64_t limit) {
  struct plm_cpu_fault *f = run->fault;
  uint32_t none = 0;
  if (!__atomic_compare_exchange_n(&f->step, &none, run->step + 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    return;
  f->what = what, f->row = row, f->value = value, f->limit = limit;
}

static inline uint64_t plm_cpu_up(uint64_t x, uint64_t step) { return (x + step - 1) / step * step; }
static inline uint64_t plm_cpu_min(uint64_t a, uint64_t b) { return a < b ? a : b; }

#endif
