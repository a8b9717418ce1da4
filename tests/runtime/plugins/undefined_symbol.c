/* Wrong: needs a function that nobody has. */
#include "null_backend.h"

int plm_test_not_there(void);

ENTRY(card.option_count = (uint32_t)plm_test_not_there();)
