/* Wrong: another ABI major. */
#include "null_backend.h"

ENTRY(card.abi_major = 2;)
