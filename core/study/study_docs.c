#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/option_table.h"
#include "study/study.h"

#define COLUMNS 100

static const struct {
  const char *section, *text;
} section_help[] = {
    {"study", "What is studied, on which corpus, and where the results go."},
    {"grid", "Which models see how many tokens. Lists are numbers (8M, 1e17, 1_000_000), log(first, last, count) and "
             "range(first, last, step), in any mix."},
    {"model", "The ESM-2 architecture; layers, width and heads come from the grid."},
    {"data", "How sequences become masked batches."},
    {"train", "The optimizer and its schedule."},
    {"evaluate", "The fixed, masked validation set."},
    {"run", "Where and how cells run. Nothing here changes which cells there are."},
};

/* What the template sets so that it is a study as soon as it has a corpus. */
static const struct {
  int index;
  const char *value;
} starts[] = {
    {PLM_AT_study_corpus, ""},
    {PLM_AT_grid_compute, "1e12, 3e12, 1e13"},
    {PLM_AT_grid_center, "30k"},
};

static const char *start_of(int index) {
  for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
    if (starts[i].index == index)
      return starts[i].value;
  return NULL;
}

static const char *help_of(const char *section) {
  for (size_t i = 0; i < sizeof section_help / sizeof *section_help; i++)
    if (strcmp(section_help[i].section, section) == 0)
      return section_help[i].text;
  return "";
}

/* text as comment lines of at most COLUMNS characters, broken at blanks. */
static void write_comment(FILE *file, const char *text) {
  while (*text) {
    size_t length = strlen(text);
    if (length > COLUMNS - 2) {
      length = COLUMNS - 2;
      while (length > 1 && text[length] != ' ')
        length--;
    }
    fprintf(file, "# %.*s\n", (int)length, text);
    text += length;
    text += strspn(text, " ");
  }
}

static void write_template_option(FILE *file, int index) {
  const struct plm_study_option *option = &plm_option_table[index];
  const char *start = start_of(index);
  int ranged = option->minimum != option->maximum || *option->unit;
  write_comment(file, option->help);
  if (ranged || !option->value) {
    fputs("# (", file);
    plm_option_write_range(file, option);
    fprintf(file, "%s)\n", option->value ? "" : "; required");
  }
  if (start)
    fprintf(file, "%s =%s%s\n", option->key, *start ? " " : "", start);
  else
    fprintf(file, ";%s =%s%s\n", option->key, *option->value ? " " : "", option->value);
}

/* Ends a memory stream: its text, NULL when anything failed. */
static char *finish(FILE *file, char **text) {
  int failed = ferror(file);
  if (fclose(file) || failed) {
    free(*text);
    return NULL;
  }
  return *text;
}

char *plm_study_template(void) {
  char *text = NULL;
  size_t size;
  FILE *file = open_memstream(&text, &size);
  if (!file)
    return NULL;
  fputs(
      "# A plmscale study. Fill in the corpus, then: plmscale check, plan, run, fit.\n"
      "# Lines with ';' in front show defaults: remove it to change one. An indented line continues the value above.\n",
      file);
  const char *section = "";
  for (int i = 0; i < PLM_OPTION_COUNT; i++) {
    if (strcmp(section, plm_option_table[i].section) != 0) {
      section = plm_option_table[i].section;
      fputc('\n', file);
      write_comment(file, help_of(section));
      fprintf(file, "[%s]\n", section);
    }
    fputc('\n', file);
    write_template_option(file, i);
  }
  fputs("\n# Options of one backend: `plmscale backends -v` lists them.\n;[backend cpu]\n", file);
  return finish(file, &text);
}

/* Text for a table cell: '|' and, outside of code, '<' and '*' have a meaning there. */
static void write_markdown(FILE *file, const char *text) {
  int code = 0;
  for (; *text; text++) {
    code ^= *text == '`';
    if (*text == '|' || (!code && strchr("<*_", *text)))
      fputc('\\', file);
    fputc(*text, file);
  }
}

static void write_markdown_row(FILE *file, const struct plm_study_option *option) {
  fprintf(file, "| `%s` | ", option->key);
  char *range = NULL;
  size_t size;
  FILE *stream = open_memstream(&range, &size);
  if (stream) {
    plm_option_write_range(stream, option);
    fclose(stream);
  }
  write_markdown(file, range ? range : "");
  free(range);
  if (!option->value)
    fputs(" | required | ", file);
  else if (*option->value)
    fprintf(file, " | `%s` | ", option->value);
  else
    fputs(" | empty | ", file);
  write_markdown(file, option->help);
  fputs(" |\n", file);
}

char *plm_study_options_markdown(void) {
  char *text = NULL;
  size_t size;
  FILE *file = open_memstream(&text, &size);
  if (!file)
    return NULL;
  fputs("# Options of a study file\n\n"
        "Made by `plmscale options` from core/study/options.h. `plmscale init` writes a file with all of them,\n"
        "`plmscale check` checks one and names every error with file and line.\n\n"
        "Numbers may be written as `8M`, `1.5G`, `1e17` or `1_000_000` (k, M, G, T, P, E are powers of ten).\n"
        "`#` and `;` start a comment, at the start of a line or after a blank. An indented line continues the value\n"
        "above it. A line has at most 197 bytes.\n",
        file);
  const char *section = "";
  for (int i = 0; i < PLM_OPTION_COUNT; i++) {
    if (strcmp(section, plm_option_table[i].section) != 0) {
      section = plm_option_table[i].section;
      fprintf(file, "\n## [%s]\n\n%s\n\n| option | values | default | meaning |\n| --- | --- | --- | --- |\n", section,
              help_of(section));
    }
    write_markdown_row(file, &plm_option_table[i]);
  }
  fputs("\n## [backend NAME]\n\nOptions of one backend, e.g. `[backend cpu]`. `plmscale backends -v` lists what each "
        "takes.\n",
        file);
  return finish(file, &text);
}
