/* Wrong: no version. */
#include "null_backend.h"

ENTRY(card.version = NULL;)
