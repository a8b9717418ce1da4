/* The cpu backend's own declarations: the device, and the pieces that cpu.c puts together. */
#ifndef PLM_CPU_H
#define PLM_CPU_H

#include "cpu_kernels.h"

struct plm_device {
  const struct plm_host *host;
  const struct plm_cpu_kernels *kernels;
  struct plm_cpu_gemm gemm;
  uint32_t threads;
  uint64_t used; /* bytes in buffers */
};

struct plm_queue {
  struct plm_device *device;
};

/* The GEMM library of this build on one thread, NULL without one; its name and version. */
plm_cpu_sgemm_fn plm_cpu_library(void);
const char *plm_cpu_library_name(void);
/* 1 when the library is known to be at least as fast as the built-in tiles for wide layers, whatever the processor. */
int plm_cpu_library_is_fast(void);

/* The device's description: processor name, memory, CPUs of this process, its share of the last-level cache. */
void plm_cpu_describe(struct plm_device_info *out);

/* Kernels for isa (auto, baseline, avx2, avx512); NULL when the name is unknown, or build or processor lack it. */
const struct plm_cpu_kernels *plm_cpu_kernels_choose(const char *isa);

/* extension "x_cpu_math" version 1: the vector functions, for the test that measures their errors. */
struct plm_cpu_math_extension {
  uint64_t struct_size;
  /* y = f(x) for count floats, f by number: 0 e^x, 1 2^x, 2 gelu, 3 gelu's slope. */
  void (*apply)(int function, const float *x, float *y, uint64_t count);
};

#endif
