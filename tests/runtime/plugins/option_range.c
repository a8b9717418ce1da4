/* Wrong: an option's default is outside its range. */
#include "null_backend.h"

static const struct plm_option options[] = {
    {sizeof(struct plm_option), "depth", "9", "how deep", 1, 8, PLM_OPTION_INTEGER, 0},
};

ENTRY(card.options = options; card.option_count = sizeof options / sizeof *options;)
