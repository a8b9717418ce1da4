/* Wrong: the byte order. */
#include "null_backend.h"

ENTRY(card.endian_probe = 0x04030201u;)
