/* Level 0. A file of its own: a plugin that takes anything from this object cannot be loaded. */
#include "broken.h"

void plm_plugin_destroy(void *plugin); /* of the host program, which exports nothing */
void arm_undefined_symbol(struct broken *self) { plm_plugin_destroy(self); }
