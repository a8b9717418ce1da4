/* Wrong: an option whose name users cannot type. */
#include "null_backend.h"

static const struct plm_option options[] = {
    {sizeof(struct plm_option), "Depth!", "1", "how deep", 0, 0, PLM_OPTION_INTEGER, 0},
};

ENTRY(card.options = options; card.option_count = sizeof options / sizeof *options;)
