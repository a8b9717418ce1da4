#include "study/option_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "study/quote.h"

const struct plm_study_option plm_option_table[PLM_OPTION_COUNT] = {
#define X(section, key, kind, unit, minimum, maximum, value, help)                                                     \
  {#section, #key, PLM_KIND_##kind, unit, minimum, maximum, value, help, offsetof(struct plm_config, section##_##key)},
    PLM_OPTIONS(X)
#undef X
};

#define FIELD(type, config, option) ((type *)(void *)((char *)(config) + (option)->offset))
#define FIELD_CONST(type, config, option) ((type const *)(const void *)((const char *)(config) + (option)->offset))

int plm_option_find(const char *section, const char *key) {
  for (int i = 0; i < PLM_OPTION_COUNT; i++)
    if ((!section || strcmp(plm_option_table[i].section, section) == 0) && strcmp(plm_option_table[i].key, key) == 0)
      return i;
  return -1;
}

size_t plm_option_sections(const char *out[PLM_OPTION_COUNT]) {
  size_t count = 0;
  for (int i = 0; i < PLM_OPTION_COUNT; i++)
    if (count == 0 || strcmp(out[count - 1], plm_option_table[i].section) != 0)
      out[count++] = plm_option_table[i].section;
  return count;
}

size_t plm_option_keys(const char *out[PLM_OPTION_COUNT], const char *section) {
  size_t count = 0;
  for (int i = 0; i < PLM_OPTION_COUNT; i++)
    if (strcmp(plm_option_table[i].section, section) == 0)
      out[count++] = plm_option_table[i].key;
  return count;
}

/* Length of the word that starts at words, a part of "a|b|c". */
static size_t word_length(const char *words) { return strcspn(words, "|"); }

static const char *next_word(const char *words) {
  words += word_length(words);
  return *words ? words + 1 : NULL;
}

/* ", did you mean ...": the nearest word of a choice, "" when none is near. Owned by the caller, NULL when out of
 * memory. */
static char *suggest_word(const char *words, const char *text) {
  const char *candidates[16];
  size_t count = 0;
  char *copy = strdup(words), *rest = copy, *word;
  if (!copy)
    return NULL;
  while (count < 16 && (word = strsep(&rest, "|")))
    candidates[count++] = word;
  const char *nearest = plm_error_nearest(text, candidates, count);
  char *suggestion = nearest ? plm_memory_format(", did you mean \"%s\"?", nearest) : strdup("");
  free(copy);
  return suggestion;
}

/* The text of plm_option_write_range, owned by the caller; NULL when out of memory. */
static char *range_text(const struct plm_study_option *option) {
  char *text = NULL;
  size_t size;
  FILE *file = open_memstream(&text, &size);
  if (!file)
    return NULL;
  plm_option_write_range(file, option);
  if (fclose(file)) {
    free(text);
    return NULL;
  }
  return text;
}

static int refuse(const struct plm_study_option *option, const char *text, const char *reason, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  char *range = range_text(option);
  if (!range)
    return plm_error_memory(err, "checking an option");
  int code = plm_error_set(err, PLM_E_USAGE, "%s %s (expected %s)", plm_quote(quoted, text), reason,
                           *range ? range : "a number");
  free(range);
  return code;
}

static int set_choice(int *out, const struct plm_study_option *option, const char *text, struct plm_error *err) {
  int index = 0;
  for (const char *word = option->unit; word; word = next_word(word), index++)
    if (word_length(word) == strlen(text) && strncmp(word, text, strlen(text)) == 0) {
      *out = index;
      return 0;
    }
  char *suggestion = suggest_word(option->unit, text);
  char *reason = suggestion ? plm_memory_format("is not known%s", suggestion) : NULL;
  int code = reason ? refuse(option, text, reason, err) : plm_error_memory(err, "checking an option");
  free(suggestion);
  free(reason);
  return code;
}

/* err holds why text is no number; what the option expects is added. */
static int explain(const struct plm_study_option *option, struct plm_error *err) {
  char *range = range_text(option);
  if (!range)
    return plm_error_memory(err, "checking an option");
  if (*range) {
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, " (expected %s)", range);
  }
  free(range);
  return PLM_E_USAGE;
}

static int set_number(struct plm_config *config, const struct plm_study_option *option, const char *text,
                      struct plm_error *err) {
  int64_t integer = 0;
  double real = 0;
  int code;
  if (option->kind == PLM_KIND_INTEGER) {
    code = plm_number_integer(&integer, text, err);
    real = (double)integer;
  } else {
    code = plm_number_real(&real, text, err);
  }
  if (code)
    return explain(option, err);
  if (option->minimum != option->maximum && (real < option->minimum || real > option->maximum))
    return refuse(option, text, "is out of range", err);
  if (option->kind == PLM_KIND_INTEGER)
    *FIELD(int64_t, config, option) = integer;
  else
    *FIELD(double, config, option) = real;
  return 0;
}

static int set_text(char **out, const char *text, struct plm_error *err) {
  char *copy = strdup(text);
  if (!copy)
    return plm_error_memory(err, "reading an option");
  free(*out);
  *out = copy;
  return 0;
}

int plm_option_set(struct plm_config *config, int index, const char *text, struct plm_error *err) {
  const struct plm_study_option *option = &plm_option_table[index];
  switch (option->kind) {
  case PLM_KIND_TEXT:
  case PLM_KIND_LIST:
    return set_text(FIELD(char *, config, option), text, err);
  case PLM_KIND_INTEGER:
  case PLM_KIND_REAL:
    return set_number(config, option, text, err);
  case PLM_KIND_BOOLEAN:
    return plm_number_boolean(FIELD(int, config, option), text, err);
  case PLM_KIND_CHOICE:
    return set_choice(FIELD(int, config, option), option, text, err);
  }
  return plm_error_set(err, PLM_E_INTERNAL, "option \"%s\": unknown kind", option->key);
}

int plm_option_defaults(struct plm_config *config, struct plm_error *err) {
  for (int i = 0; i < PLM_OPTION_COUNT; i++) {
    int code = plm_option_set(config, i, plm_option_table[i].value ? plm_option_table[i].value : "", err);
    if (code)
      return code;
  }
  return 0;
}

void plm_option_release(struct plm_config *config) {
  for (int i = 0; i < PLM_OPTION_COUNT; i++)
    if (plm_option_table[i].kind == PLM_KIND_TEXT || plm_option_table[i].kind == PLM_KIND_LIST)
      free(*FIELD(char *, config, &plm_option_table[i]));
  memset(config, 0, sizeof *config);
}

json_t *plm_option_json(const struct plm_config *config, int index) {
  const struct plm_study_option *option = &plm_option_table[index];
  const char *word = option->unit;
  switch (option->kind) {
  case PLM_KIND_TEXT:
  case PLM_KIND_LIST:
    return json_string(*FIELD_CONST(char *, config, option));
  case PLM_KIND_INTEGER:
    return json_integer(*FIELD_CONST(int64_t, config, option));
  case PLM_KIND_REAL:
    return json_real(*FIELD_CONST(double, config, option));
  case PLM_KIND_BOOLEAN:
    return json_boolean(*FIELD_CONST(int, config, option));
  case PLM_KIND_CHOICE:
    for (int i = *FIELD_CONST(int, config, option); i > 0 && word; i--)
      word = next_word(word);
    return word ? json_stringn(word, word_length(word)) : NULL;
  }
  return NULL;
}

void plm_option_write_range(FILE *file, const struct plm_study_option *option) {
  char low[PLM_NUMBER_TEXT], high[PLM_NUMBER_TEXT];
  if (option->kind == PLM_KIND_CHOICE) {
    for (const char *word = option->unit, *next; word; word = next) {
      next = next_word(word);
      fprintf(file, "%.*s%s", (int)word_length(word), word, !next ? "" : next_word(next) ? ", " : " or ");
    }
    return;
  }
  if (option->kind == PLM_KIND_BOOLEAN) {
    fputs("yes or no", file);
    return;
  }
  int checked = option->minimum != option->maximum;
  if (checked)
    fprintf(file, "%s to %s", plm_quote_number(low, option->minimum), plm_quote_number(high, option->maximum));
  fprintf(file, "%s%s", checked && *option->unit ? " " : "", option->unit);
}
