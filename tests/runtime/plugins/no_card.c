/* Wrong: the entry function returns nothing. */
#include "null_backend.h"

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) { return NULL; }
