/* Wrong: the card says that it was compiled with -ffast-math. */
#include "null_backend.h"

ENTRY(card.build_flags = PLM_BUILD_FAST_MATH;)
