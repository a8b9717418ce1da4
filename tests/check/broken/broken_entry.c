/* The entry function of one broken plugin: compiled with BROKEN_NAME for each row of broken.def. */
#include "broken.h"

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)
#define JOIN(a, b) a##b
#define ARM_OF(name) JOIN(arm_, name)

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {
  the_broken = (struct broken){.card = {PLM_CARD_BUILD, .name = TEXT_OF(BROKEN_NAME), .version = "1.0", .license = "",
                                        .vendor = "plmscale tests", .compiler = PLM_COMPILER, .start = broken_start}};
  ARM_OF(BROKEN_NAME)(&the_broken);
  return &the_broken.card;
}
