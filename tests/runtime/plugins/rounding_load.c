/* Wrong: loading it changes the rounding mode. */
#include <fenv.h>
#include "null_backend.h"

__attribute__((constructor)) static void on_load(void) { fesetround(FE_UPWARD); }

ENTRY_START(null_start)
