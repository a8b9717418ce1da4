#include "law/points_csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/log.h"
#include "base/number.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)
#define FIELDS_MAX 256

enum column { PARAMS, TOKENS, COMPUTE, LOSS, WEIGHT, BUDGET, SEED, LABEL, UNIQUE, COLUMNS };

static const char *const COLUMN_TITLE[COLUMNS] = {"N (params)", "D (tokens)", "C (compute)", "loss",         "weight",
                                                  "budget",     "seed",       "label",       "unique tokens"};

static const struct {
  const char *name;
  enum column column;
} COLUMN_NAMES[] = {{"n", PARAMS},
                    {"params", PARAMS},
                    {"model_size", PARAMS},
                    {"d", TOKENS},
                    {"tokens", TOKENS},
                    {"c", COMPUTE},
                    {"compute", COMPUTE},
                    {"flops", COMPUTE},
                    {"loss", LOSS},
                    {"weight", WEIGHT},
                    {"budget", BUDGET},
                    {"seed", SEED},
                    {"label", LABEL},
                    {"id", LABEL},
                    {"name", LABEL},
                    {"model", LABEL},
                    {"unique", UNIQUE},
                    {"unique_tokens", UNIQUE},
                    {"tokens_unique", UNIQUE}};

struct reader {
  const char *name;
  char *next; /* start of the next line, NULL at the end */
  size_t line;
  char separator;
  int models;         /* no loss is needed, and C may stand for D */
  size_t width;       /* fields of the header */
  int place[COLUMNS]; /* field of each column, -1 when absent */
};

/* Cuts the next line that is not empty and not a comment out of the text; NULL at the end. */
static char *line_next(struct reader *reader) {
  while (reader->next) {
    char *line = reader->next;
    char *end = strchr(line, '\n');
    reader->next = end ? end + 1 : NULL;
    reader->line++;
    size_t length = end ? (size_t)(end - line) : strlen(line);
    if (length > 0 && line[length - 1] == '\r')
      length--;
    line[length] = 0;
    size_t blank = strspn(line, " \t");
    if (line[blank] && line[blank] != '#')
      return line;
  }
  return NULL;
}

static int field_fail(const struct reader *reader, struct plm_error *err, const char *text) {
  return plm_error_set(err, PLM_E_DAMAGED, "%s:%zu: %s", reader->name, reader->line, text);
}

/* Takes one quoted field at *cursor (on its opening quote), unescaped in place; *cursor is then on the separator or the
 * NUL. */
static int quoted_take(struct reader *reader, char **out, char **cursor, struct plm_error *err) {
  char *from = *cursor + 1, *to = from;
  *out = from;
  while (*from != '"' || from[1] == '"') {
    if (!*from)
      return field_fail(reader, err, "a quote is not closed on its line");
    from += *from == '"' ? 2 : 1;
    *to++ = from[-1];
  }
  from++;
  from += strspn(from, " ");
  if (*from && *from != reader->separator)
    return field_fail(reader, err, "text after a closing quote; a quote inside a quoted field is written twice");
  *to = 0;
  *cursor = from;
  return 0;
}

static void trim(char **text) {
  *text += strspn(*text, " \t");
  size_t length = strlen(*text);
  while (length > 0 && strchr(" \t", (*text)[length - 1]))
    (*text)[--length] = 0;
}

/* Splits a line in place. */
static int line_split(struct reader *reader, char **fields, size_t *count, char *line, struct plm_error *err) {
  char *cursor = line;
  *count = 0;
  for (;;) {
    if (*count == FIELDS_MAX)
      return plm_error_set(err, PLM_E_DAMAGED, "%s:%zu: more than %d fields", reader->name, reader->line, FIELDS_MAX);
    cursor += strspn(cursor, " ");
    char *field = cursor;
    if (*cursor == '"') {
      int code = quoted_take(reader, &field, &cursor, err);
      if (code)
        return code;
    } else {
      const char stop[2] = {reader->separator, 0};
      cursor += strcspn(cursor, stop);
    }
    int last = !*cursor;
    *cursor++ = 0;
    trim(&field);
    fields[(*count)++] = field;
    if (last)
      return 0;
  }
}

static char separator_find(const char *header) { return strchr(header, '\t') ? '\t' : strchr(header, ';') ? ';' : ','; }

static int column_of(const char *name) {
  for (size_t i = 0; i < sizeof COLUMN_NAMES / sizeof *COLUMN_NAMES; i++)
    if (!strcasecmp(name, COLUMN_NAMES[i].name))
      return (int)COLUMN_NAMES[i].column;
  return -1;
}

static int header_read(struct reader *reader, struct plm_error *err) {
  char *line = line_next(reader), *fields[FIELDS_MAX];
  if (!line)
    return plm_error_set(err, PLM_E_DAMAGED, "%s: no header line; expected columns N, D and loss", reader->name);
  reader->separator = separator_find(line);
  int code = line_split(reader, fields, &reader->width, line, err);
  if (code)
    return code;
  for (int c = 0; c < COLUMNS; c++)
    reader->place[c] = -1;
  for (size_t i = 0; i < reader->width; i++) {
    int column = column_of(fields[i]);
    if (column < 0) {
      plm_log(PLM_LOG_INFO, "%s: column \"%.60s\" is not used", reader->name, fields[i]);
    } else if (reader->place[column] >= 0) {
      return plm_error_set(err, PLM_E_DAMAGED, "%s:%zu: columns %d and %zu both mean %s", reader->name, reader->line,
                           reader->place[column] + 1, i + 1, COLUMN_TITLE[column]);
    } else {
      reader->place[column] = (int)i;
    }
  }
  static const enum column required[] = {PARAMS, TOKENS, LOSS};
  for (size_t i = 0; i < (reader->models ? 1 : 3); i++)
    if (reader->place[required[i]] < 0)
      return plm_error_set(
          err, PLM_E_DAMAGED,
          "%s:%zu: no column %s; a table of points needs N (or params, model_size), D (or tokens) and loss",
          reader->name, reader->line, COLUMN_TITLE[required[i]]);
  if (reader->models && reader->place[TOKENS] < 0 && reader->place[COMPUTE] < 0)
    return plm_error_set(err, PLM_E_DAMAGED, "%s:%zu: no column %s and no column %s; a table of models needs one",
                         reader->name, reader->line, COLUMN_TITLE[TOKENS], COLUMN_TITLE[COMPUTE]);
  return 0;
}

/* The text of a column in this row; NULL when the table lacks the column or an optional value is empty. */
static const char *value_text(const struct reader *reader, char **fields, enum column column) {
  int place = reader->place[column];
  int optional = column != PARAMS && (reader->models || (column != TOKENS && column != LOSS));
  return place < 0 || (optional && !*fields[place]) ? NULL : fields[place];
}

/* *out keeps its default when there is no value. zero: 0 is allowed. */
static int value_read(const struct reader *reader, double *out, char **fields, enum column column, int zero,
                      struct plm_error *err) {
  const char *text = value_text(reader, fields, column);
  if (!text)
    return 0;
  double value = 0;
  struct plm_error inner = PLM_ERROR_INIT;
  const char *reason = NULL;
  if (!*text)
    reason = "is empty";
  else if (plm_number_real(&value, text, &inner))
    reason = "is not a finite number";
  else if (value < 0 || (value == 0 && !zero))
    reason = zero ? "must not be negative" : "must be above 0";
  if (reason)
    return plm_error_set(err, PLM_E_DAMAGED, "%s:%zu: column %s: \"%.40s\" %s", reader->name, reader->line,
                         COLUMN_TITLE[column], text, reason);
  *out = value;
  return 0;
}

static int seed_read(const struct reader *reader, uint64_t *out, char **fields, struct plm_error *err) {
  const char *text = value_text(reader, fields, SEED);
  int64_t value = 0;
  struct plm_error inner = PLM_ERROR_INIT;
  if (text && plm_number_integer(&value, text, &inner))
    return plm_error_set(err, PLM_E_DAMAGED, "%s:%zu: column seed: \"%.40s\" is not a whole number from 0",
                         reader->name, reader->line, text);
  *out = (uint64_t)value;
  return 0;
}

static int row_read(struct plm_points *out, struct reader *reader, char *line, struct plm_error *err) {
  char *fields[FIELDS_MAX];
  size_t count;
  int code = line_split(reader, fields, &count, line, err);
  if (code)
    return code;
  if (count != reader->width)
    return plm_error_set(err, PLM_E_DAMAGED, "%s:%zu: %zu fields, the header has %zu", reader->name, reader->line,
                         count, reader->width);
  struct plm_point point = {.weight = 1, .loss = reader->models ? 1 : 0};
  if ((code = value_read(reader, &point.params, fields, PARAMS, 0, err)) ||
      (code = value_read(reader, &point.tokens, fields, TOKENS, 0, err)) ||
      (code = value_read(reader, &point.loss, fields, LOSS, 0, err)) ||
      (code = value_read(reader, &point.weight, fields, WEIGHT, 1, err)) ||
      (code = value_read(reader, &point.budget, fields, BUDGET, 1, err)) ||
      (code = value_read(reader, &point.unique, fields, UNIQUE, 0, err)) ||
      (code = seed_read(reader, &point.seed, fields, err)))
    return code;
  point.compute = 6 * point.params * point.tokens;
  if ((code = value_read(reader, &point.compute, fields, COMPUTE, 0, err)))
    return code;
  if (reader->models && point.tokens == 0)
    point.tokens = point.compute / (6 * point.params);
  if (!isfinite(point.compute) || point.compute == 0)
    return plm_error_set(err, PLM_E_DAMAGED, "%s:%zu: 6 N D of N %g and D %g is out of range", reader->name,
                         reader->line, point.params, point.tokens);
  const char *label = value_text(reader, fields, LABEL);
  if (label)
    snprintf(point.label, sizeof point.label, "%s", label);
  else
    snprintf(point.label, sizeof point.label, "line %zu", reader->line);
  if (point.weight == 0)
    return plm_points_leave_out(out, point.label, "weight 0", err);
  struct plm_error inner = PLM_ERROR_INIT;
  if ((code = plm_point_check(&point, &inner)))
    return plm_error_set(err, PLM_E_DAMAGED, "%s:%zu: %s", reader->name, reader->line, inner.text);
  return plm_points_add(out, &point, err);
}

static int text_parse(struct plm_points *out, const char *name, char *text, size_t bytes, int models,
                      struct plm_error *err) {
  struct reader reader = {.name = name, .next = text, .models = models};
  out->curves_absent = "a table has the end of each run and no learning curves; fit the study itself (.ini)";
  const char *nul = memchr(text, 0, bytes);
  if (nul)
    return plm_error_set(err, PLM_E_DAMAGED, "%s: a NUL byte at offset %td; not a table of text", name, nul - text);
  if (!strncmp(text, "\xef\xbb\xbf", 3))
    reader.next += 3;
  int code = header_read(&reader, err);
  size_t rows = 0;
  for (char *line; !code && (line = line_next(&reader)); rows++) {
    if (rows == PLM_POINTS_CSV_ROWS)
      return plm_error_set(err, PLM_E_DAMAGED, "%s:%zu: more than %d rows", name, reader.line, PLM_POINTS_CSV_ROWS);
    code = row_read(out, &reader, line, err);
  }
  if (!code && rows == 0)
    return plm_error_set(err, PLM_E_DAMAGED, "%s: no rows after the header", name);
  return code;
}

int plm_points_parse_csv(struct plm_points *out, const char *name, char *text, size_t bytes, struct plm_error *err) {
  return text_parse(out, name, text, bytes, 0, err);
}

static int file_read(struct plm_points *out, const char *path, int models, struct plm_error *err) {
  char *text = NULL;
  size_t bytes = 0;
  int code = plm_file_read(&text, &bytes, path, FILE_BYTES_MAX, err);
  if (!code)
    code = text_parse(out, path, text, bytes, models, err);
  free(text);
  return code;
}

int plm_points_read_csv(struct plm_points *out, const char *path, struct plm_error *err) {
  return file_read(out, path, 0, err);
}

int plm_points_read_models(struct plm_points *out, const char *path, struct plm_error *err) {
  return file_read(out, path, 1, err);
}
