/* Wrong: an option that says it is shorter than one of 1.0. */
#include "null_backend.h"

static const struct plm_option options[] = {
    {8, "depth", "1", "how deep", 0, 0, PLM_OPTION_INTEGER, 0},
};

ENTRY(card.options = options; card.option_count = sizeof options / sizeof *options;)
