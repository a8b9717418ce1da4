/* Wrong: the magic number. */
#include "null_backend.h"

ENTRY(card.magic ^= 1;)
