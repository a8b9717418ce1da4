/* Wrong: a card smaller than that of 1.0. */
#include "null_backend.h"

ENTRY(card.struct_size = 104;)
