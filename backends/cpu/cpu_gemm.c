/* The GEMM library that CMake found: oneDNN, any CBLAS, or none. Always on the calling thread alone. */
#include <stdio.h>

#include "cpu.h"

#if defined(PLM_CPU_ONEDNN)
#include <dnnl.h>
#include <omp.h>

/* oneDNN 2.6 takes one thread inside a team, but the whole machine inside a team of one. */
static int sgemm(int transpose_a, int transpose_b, int m, int n, int k, const float *a, int lda, const float *b,
                 int ldb, float beta, float *c, int ldc) {
  if (omp_get_max_threads() != 1)
    omp_set_num_threads(1);
  return (int)dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a, lda, b, ldb, beta, c, ldc);
}

plm_cpu_sgemm_fn plm_cpu_library(void) { return sgemm; }

const char *plm_cpu_library_name(void) {
  static char name[48];
  const dnnl_version_t *v = dnnl_version();
  snprintf(name, sizeof name, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
  return name;
}

int plm_cpu_library_is_fast(void) { return 1; }

#elif defined(PLM_CPU_CBLAS)
#include <cblas.h>

/* OpenBLAS keeps a pool of its own, which must not meet ours. Other libraries lack these. */
extern void openblas_set_num_threads(int) __attribute__((weak));
extern char *openblas_get_config(void) __attribute__((weak));

static int sgemm(int transpose_a, int transpose_b, int m, int n, int k, const float *a, int lda, const float *b,
                 int ldb, float beta, float *c, int ldc) {
  cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, m, n, k,
              1.0f, a, lda, b, ldb, beta, c, ldc);
  return 0;
}

plm_cpu_sgemm_fn plm_cpu_library(void) {
  if (openblas_set_num_threads)
    openblas_set_num_threads(1);
  return sgemm;
}

const char *plm_cpu_library_name(void) { return openblas_get_config ? openblas_get_config() : "CBLAS"; }
int plm_cpu_library_is_fast(void) { return 0; }

#else

plm_cpu_sgemm_fn plm_cpu_library(void) { return NULL; }
const char *plm_cpu_library_name(void) { return "none"; }
int plm_cpu_library_is_fast(void) { return 0; }

#endif
