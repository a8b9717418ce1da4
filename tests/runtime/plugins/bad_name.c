/* Wrong: a name that users cannot type. */
#include "null_backend.h"

ENTRY(card.name = "Bad Name";)
