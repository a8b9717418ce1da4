#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu_kernels.h"

#define SPINS 1000 /* some 30 microseconds */

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void plm_cpu_meet(const struct plm_cpu_run *run) {
  struct plm_cpu_barrier *b = run->barrier;
  if (b->threads == 1)
    return;
  uint32_t round = __atomic_load_n(&b->round, __ATOMIC_SEQ_CST);
  if (__atomic_add_fetch(&b->arrived, 1, __ATOMIC_SEQ_CST) == b->threads) {
    __atomic_store_n(&b->arrived, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&b->round, round + 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&b->sleepers, __ATOMIC_SEQ_CST))
      syscall(SYS_futex, &b->round, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    return;
  }
  for (int i = 0; i < SPINS; i++) {
    if (__atomic_load_n(&b->round, __ATOMIC_SEQ_CST) != round)
      return;
    relax();
  }
  __atomic_add_fetch(&b->sleepers, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&b->round, __ATOMIC_SEQ_CST) == round)
    syscall(SYS_futex, &b->round, FUTEX_WAIT_PRIVATE, round, NULL, NULL, 0);
  __atomic_sub_fetch(&b->sleepers, 1, __ATOMIC_SEQ_CST);
}
