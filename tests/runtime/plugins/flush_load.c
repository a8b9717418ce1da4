/* Wrong: loading it sets flush-to-zero, as a library linked with -ffast-math does. */
#include "null_backend.h"

__attribute__((constructor)) static void on_load(void) {
#if defined(__x86_64__)
  uint32_t control;
  __asm__ volatile("stmxcsr %0" : "=m"(control));
  control |= 0x8040u;
  __asm__ volatile("ldmxcsr %0" : : "m"(control));
#elif defined(__aarch64__)
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  control |= 1u << 24;
  __asm__ volatile("msr fpcr, %0" : : "r"(control));
#endif
}

ENTRY_START(null_start)
