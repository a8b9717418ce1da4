/* The checks that look at more than one option, or into lists. Internal to study/. */
#ifndef PLM_STUDY_CONFIG_CHECK_H
#define PLM_STUDY_CONFIG_CHECK_H

#include "study/ini_reader.h"
#include "study/option_table.h"

/* A configuration on its way: where each option stands in the file (0: not there) and whether its value was refused. */
struct plm_config_draft {
  struct plm_config *config;
  const struct plm_ini *ini;
  struct plm_ini_complaints complaints;
  int line[PLM_OPTION_COUNT];
  int bad[PLM_OPTION_COUNT];
};

/*
 * Complains about an option and marks it as bad: "[section] key reason". At its line; when it is not in the file, at
 * its section's first header, or at the end of the file.
 */
void plm_config_complain(struct plm_config_draft *draft, int index, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* All cross-field checks; options that are bad already are left out. PLM_E_NO_MEMORY, else 0. */
int plm_config_check(struct plm_config_draft *draft, struct plm_error *err);

#endif
