/* The laws of `fit` for people. */
#ifndef PLM_CLI_FIT_PRINT_H
#define PLM_CLI_FIT_PRINT_H

#include "law/law.h"

/* On stdout: all estimators side by side, then each by itself, or (all 0) only PLM_LAW_MAIN, and what others refused.
 */
void plm_fit_print(const struct plm_law *law, const struct plm_law_options *options, int all);

#endif
