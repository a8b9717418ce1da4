/* Wrong: an option of a type that does not exist. */
#include "null_backend.h"

static const struct plm_option options[] = {
    {sizeof(struct plm_option), "depth", "1", "how deep", 0, 0, 99, 0},
};

ENTRY(card.options = options; card.option_count = sizeof options / sizeof *options;)
