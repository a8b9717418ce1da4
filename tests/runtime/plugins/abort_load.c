/* Wrong: aborts when it is loaded. */
#include "null_backend.h"

__attribute__((constructor)) static void on_load(void) { abort(); }

ENTRY_START(null_start)
