/* Wrong: loading it changes the locale. */
#include <locale.h>
#include "null_backend.h"

__attribute__((constructor)) static void on_load(void) { setlocale(LC_ALL, "C.UTF-8"); }

ENTRY_START(null_start)
