/* Wrong: the size of pointers. */
#include "null_backend.h"

ENTRY(card.pointer_size = 4;)
