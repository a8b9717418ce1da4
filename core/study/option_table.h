/* The options of options.h as an array, and values by text, by JSON, by field. Internal to study/. */
#ifndef PLM_STUDY_OPTION_TABLE_H
#define PLM_STUDY_OPTION_TABLE_H

#include <jansson.h>
#include <stdio.h>

#include "study/study.h"

enum plm_study_kind {
  PLM_KIND_TEXT,
  PLM_KIND_LIST,
  PLM_KIND_INTEGER,
  PLM_KIND_REAL,
  PLM_KIND_BOOLEAN,
  PLM_KIND_CHOICE
};

struct plm_study_option {
  const char *section, *key;
  enum plm_study_kind kind;
  const char *unit;        /* of a choice: its words, "a|b|c" */
  double minimum, maximum; /* equal: unchecked */
  const char *value;       /* the default; NULL: required */
  const char *help;
  size_t offset; /* in struct plm_config */
};

/* The place of every option in the table, e.g. PLM_AT_train_lr. */
enum plm_option_index {
#define X(section, key, kind, unit, minimum, maximum, value, help) PLM_AT_##section##_##key,
  PLM_OPTIONS(X)
#undef X
      PLM_OPTION_COUNT
};

extern const struct plm_study_option plm_option_table[PLM_OPTION_COUNT];

/* Index of an option, -1 when there is none. section NULL: the first of that key in any section. */
int plm_option_find(const char *section, const char *key);

/* The names of the sections, or of the keys of one section: as many as are returned, borrowed. */
size_t plm_option_sections(const char *out[PLM_OPTION_COUNT]);
size_t plm_option_keys(const char *out[PLM_OPTION_COUNT], const char *section);

/* Sets an option's field from text: type and range. PLM_E_USAGE: err says what would be right, without the option's
 * name. */
int plm_option_set(struct plm_config *config, int index, const char *text, struct plm_error *err);

/* All defaults; required options become "". *config must be zeroed or set before. */
int plm_option_defaults(struct plm_config *config, struct plm_error *err);

/* Releases the texts. */
void plm_option_release(struct plm_config *config);

/* The value as JSON, a new reference; NULL when out of memory. */
json_t *plm_option_json(const struct plm_config *config, int index);

/* Writes "64 to 1e9 tokens", "grid, zip or isoflop" or "tokens"; nothing for an unchecked option without unit. */
void plm_option_write_range(FILE *file, const struct plm_study_option *option);

#endif
