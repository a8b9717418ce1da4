/* Wrong: no start function. */
#include "null_backend.h"

ENTRY(card.start = NULL;)
