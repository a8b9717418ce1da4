/*
 * Drivers are guests too. LLVM, which most of them carry, takes over the process's signals when it first makes a
 * temporary file (LLVM 15 in PoCL 3.1 and Mesa 22.3: SIGHUP, SIGINT, SIGTERM, SIGUSR1 and others), and would end a run
 * that wants to save its checkpoint. What it found is put back; it does not try twice.
 */
#include "opencl.h"

static const int signals[OCL_SIGNALS] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2};

void ocl_ambient_take(struct ocl_ambient *out) {
  fegetenv(&out->floats);
  for (int i = 0; i < OCL_SIGNALS; i++)
    sigaction(signals[i], NULL, &out->actions[i]);
}

void ocl_ambient_restore(const struct ocl_ambient *ambient) {
  struct sigaction now;
  fesetenv(&ambient->floats);
  for (int i = 0; i < OCL_SIGNALS; i++)
    if (!sigaction(signals[i], NULL, &now) && now.sa_handler != ambient->actions[i].sa_handler)
      sigaction(signals[i], &ambient->actions[i], NULL);
}
