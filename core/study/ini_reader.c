#include "study/ini_reader.h"

#include <ctype.h>
#include <ini.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "study/quote.h"

#define BLANKS " \t\r\v\f"

enum line_kind { LINE_EMPTY, LINE_SECTION, LINE_KEY, LINE_CONTINUATION };

/* What inih's two callbacks share. */
struct reading {
  struct plm_ini *ini;
  struct plm_ini_complaints *complaints;
  const char *at, *end;
  int line;            /* the one inih has, from 1 */
  enum line_kind kind; /* of that line */
  int has_key;         /* an indented line continues a value */
  int skip;            /* the value it would continue was complained about */
  int taken;           /* inih made an entry of the line */
  const char *content; /* of the line, for the complaint that it is no entry */
  int content_length;
  int code;
};

void plm_ini_complain(struct plm_ini_complaints *complaints, int line, const char *format, ...) {
  complaints->count++;
  if (complaints->count > PLM_INI_COMPLAINTS_MAX)
    return;
  if (complaints->count == PLM_INI_COMPLAINTS_MAX) {
    plm_errors_add(complaints->errors, "%s:%d: too many errors, the rest is not shown", complaints->path, line);
    return;
  }
  va_list arguments;
  va_start(arguments, format);
  char *text = NULL;
  int length = vasprintf(&text, format, arguments);
  va_end(arguments);
  plm_errors_add(complaints->errors, "%s:%d: %s", complaints->path, line, length < 0 ? "out of memory" : text);
  if (length >= 0)
    free(text);
}

static long line_of(const char *complaint, size_t path_length) {
  return strlen(complaint) > path_length ? strtol(complaint + path_length + 1, NULL, 10) : 0;
}

void plm_ini_complaints_sort(struct plm_ini_complaints *complaints) {
  size_t path_length = strlen(complaints->path);
  char **lines = complaints->errors->lines;
  for (size_t i = complaints->start + 1; i < complaints->errors->count; i++) {
    char *moved = lines[i];
    size_t to = i;
    for (; to > complaints->start && line_of(lines[to - 1], path_length) > line_of(moved, path_length); to--)
      lines[to] = lines[to - 1];
    lines[to] = moved;
  }
}

size_t plm_ini_utf8_length(const char *text, size_t bytes) {
  const unsigned char *byte = (const unsigned char *)text;
  if (bytes == 0)
    return 0;
  if (byte[0] < 0x80)
    return 1;
  size_t length = byte[0] >= 0xC2 && byte[0] <= 0xDF   ? 2
                  : byte[0] >= 0xE0 && byte[0] <= 0xEF ? 3
                  : byte[0] >= 0xF0 && byte[0] <= 0xF4 ? 4
                                                       : 0;
  if (length == 0 || length > bytes)
    return 0;
  for (size_t i = 1; i < length; i++)
    if ((byte[i] & 0xC0) != 0x80)
      return 0;
  /* Overlong forms, surrogates, and what lies above U+10FFFF. */
  if ((byte[0] == 0xE0 && byte[1] < 0xA0) || (byte[0] == 0xED && byte[1] > 0x9F) ||
      (byte[0] == 0xF0 && byte[1] < 0x90) || (byte[0] == 0xF4 && byte[1] > 0x8F))
    return 0;
  return length;
}

static int check_text(const char *path, const char *text, size_t bytes, struct plm_error *err) {
  int line = 1;
  for (size_t i = 0; i < bytes;) {
    unsigned char byte = (unsigned char)text[i];
    size_t length = plm_ini_utf8_length(text + i, bytes - i);
    if (byte == 0)
      return plm_error_set(err, PLM_E_DAMAGED, "%s:%d: a NUL byte at offset %zu: not a text file", path, line, i);
    if (length == 0)
      return plm_error_set(err, PLM_E_DAMAGED, "%s:%d: byte 0x%02x at offset %zu is not UTF-8: not a text file", path,
                           line, byte, i);
    int line_end = byte == '\r' && i + 1 < bytes && text[i + 1] == '\n';
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && !line_end) || byte == 0x7F)
      return plm_error_set(err, PLM_E_DAMAGED, "%s:%d: control character 0x%02x at offset %zu: not a text file", path,
                           line, byte, i);
    line += byte == '\n';
    i += length;
  }
  return 0;
}

/* The complaint about a section header, NULL when it is fine: *name and *length are then set. */
static const char *check_header(const char **name, size_t *length, const char *line) {
  const char *close = strchr(line, ']');
  if (!close)
    return "a section header without ']'";
  *name = line + 1;
  *length = (size_t)(close - line - 1);
  if (*length > PLM_INI_SECTION_MAX)
    return "a section name longer than 49 bytes";
  for (size_t i = 0; i < *length; i++)
    if (!isalnum((unsigned char)(*name)[i]) && !strchr("_-. ", (*name)[i]))
      return "a section name may hold only letters, digits, '_', '-', '.' and blanks";
  const char *rest = close + 1 + strspn(close + 1, BLANKS);
  if (*rest && *rest != ';' && *rest != '#')
    return "text after ']', put it on a line of its own";
  return NULL;
}

static int add_section(struct plm_ini *ini, const char *name, size_t length, int line) {
  void *sections = ini->sections;
  if (plm_memory_grow(&sections, &ini->section_capacity, ini->section_count + 1, sizeof *ini->sections))
    return PLM_E_NO_MEMORY;
  ini->sections = sections;
  char *copy = strndup(name, length);
  if (!copy)
    return PLM_E_NO_MEMORY;
  ini->sections[ini->section_count++] = (struct plm_ini_section){copy, line};
  return 0;
}

/* A continuation line that looks like "key = value" or a header is an indented line whose author meant what it looks
 * like. */
static int looks_indented(const char *start) {
  size_t word = strspn(start, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  const char *after = start + word + strspn(start + word, BLANKS);
  return *start == '[' || (word > 0 && *after == '=');
}

/* Sorts the line in str (without its end) into a kind; 0 when inih shall not see it. */
static int admit_line(struct reading *reading, char *str) {
  struct plm_ini_complaints *complaints = reading->complaints;
  char quoted[PLM_QUOTE_TEXT];
  const char *start = str + strspn(str, BLANKS), *name = NULL;
  size_t length = 0;
  reading->kind = LINE_EMPTY;
  if (!*start || *start == ';' || *start == '#')
    return 0;
  if (start > str && (reading->skip || reading->has_key)) {
    if (reading->skip)
      return 0;
    if (looks_indented(start)) {
      plm_ini_complain(complaints, reading->line,
                       "%s: an indented line continues the value above, remove the blanks before it",
                       plm_quote(quoted, start));
      return 0;
    }
    reading->kind = LINE_CONTINUATION;
    return 1;
  }
  reading->skip = 0;
  if (*start == '[') {
    const char *reason = check_header(&name, &length, start);
    reading->kind = LINE_SECTION;
    reading->has_key = 0;
    if (reason) {
      plm_ini_complain(complaints, reading->line, "%s: %s", plm_quote(quoted, start), reason);
      strcpy(str, "[" PLM_INI_SECTION_BAD "]");
    } else if (add_section(reading->ini, name, length, reading->line)) {
      reading->code = PLM_E_NO_MEMORY;
    }
    return 1;
  }
  if (*start == '=' || *start == ':') {
    plm_ini_complain(complaints, reading->line, "%s: no key before '%c'", plm_quote(quoted, start), *start);
    reading->skip = 1;
    return 0;
  }
  reading->kind = LINE_KEY;
  reading->has_key = 1;
  return 1;
}

/* inih says only which line was the first that is no entry; we want all of them. */
static void check_taken(struct reading *reading) {
  if (reading->kind == LINE_KEY && !reading->taken && reading->code == 0) {
    char quoted[PLM_QUOTE_TEXT];
    char *line = strndup(reading->content, (size_t)reading->content_length);
    plm_ini_complain(reading->complaints, reading->line, "%s: no '=' (expected key = value or [section])",
                     line ? plm_quote(quoted, line) : "line");
    free(line);
    reading->skip = 1;
    reading->has_key = 0;
  }
  reading->taken = 0;
  reading->kind = LINE_EMPTY;
}

/* What inih gets for a line that was complained about. Keys under a spoilt header must not fall to the section above
 * it. */
static char *spoil_line(struct reading *reading, char *str, int header) {
  reading->kind = LINE_EMPTY;
  reading->skip = 1;
  if (header)
    reading->has_key = 0;
  return strcpy(str, header ? "[" PLM_INI_SECTION_BAD "]\n" : "\n");
}

/* The fgets of inih. A line that inih shall not see becomes an empty one, so that its count stays right. */
static char *read_line(char *str, int num, void *stream) {
  struct reading *reading = stream;
  check_taken(reading);
  if (reading->at >= reading->end || reading->code)
    return NULL;
  const char *start = reading->at;
  const char *newline = memchr(start, '\n', (size_t)(reading->end - start));
  const char *stop = newline ? newline : reading->end;
  reading->at = newline ? newline + 1 : reading->end;
  reading->line++;
  if (stop > start && stop[-1] == '\r')
    stop--;
  size_t length = (size_t)(stop - start);
  size_t indent = strspn(start, " \t");
  int comment = indent < length && (start[indent] == ';' || start[indent] == '#');
  reading->content = start;
  reading->content_length = (int)length;
  /* Room for what inih says it needs: CR, LF and NUL. Comments may be of any length. */
  if (length > (size_t)num - 3 && !comment) {
    plm_ini_complain(reading->complaints, reading->line, "line longer than %d bytes, continue it on an indented line",
                     num - 3);
    return spoil_line(reading, str, *start == '[');
  }
  if (comment)
    length = 0;
  memcpy(str, start, length);
  str[length] = 0;
  if (!admit_line(reading, str))
    str[0] = 0;
  strcat(str, "\n");
  return str;
}

/* A value up to the first ';' or '#' that starts it or follows a blank, without blanks at its end. Owned by the caller.
 */
static char *copy_value(const char *value) {
  size_t length = 0;
  while (value[length] && !((value[length] == ';' || value[length] == '#') &&
                            (length == 0 || value[length - 1] == ' ' || value[length - 1] == '\t')))
    length++;
  while (length > 0 && strchr(BLANKS, value[length - 1]))
    length--;
  return strndup(value, length);
}

static int append_value(struct plm_ini *ini, const char *value) {
  struct plm_ini_entry *entry = &ini->entries[ini->count - 1];
  char *more = copy_value(value);
  if (!more)
    return PLM_E_NO_MEMORY;
  char *joined = plm_memory_format("%s%s%s", entry->value, *entry->value && *more ? " " : "", more);
  free(more);
  if (!joined)
    return PLM_E_NO_MEMORY;
  free(entry->value);
  entry->value = joined;
  return 0;
}

static int add_entry(struct reading *reading, const char *section, const char *key, const char *value) {
  struct plm_ini *ini = reading->ini;
  if (ini->count == PLM_INI_ENTRIES_MAX) {
    plm_ini_complain(reading->complaints, reading->line, "more than %d keys in one file", PLM_INI_ENTRIES_MAX);
    reading->at = reading->end;
    return 0;
  }
  void *entries = ini->entries;
  if (plm_memory_grow(&entries, &ini->capacity, ini->count + 1, sizeof *ini->entries))
    return PLM_E_NO_MEMORY;
  ini->entries = entries;
  struct plm_ini_entry entry = {strdup(section), strdup(key), copy_value(value), reading->line};
  ini->entries[ini->count++] = entry;
  return entry.section && entry.key && entry.value ? 0 : PLM_E_NO_MEMORY;
}

static int take_entry(void *user, const char *section, const char *key, const char *value) {
  struct reading *reading = user;
  reading->taken = 1;
  if (reading->kind == LINE_CONTINUATION)
    reading->code = append_value(reading->ini, value);
  else
    reading->code = add_entry(reading, section, key, value);
  return 1;
}

int plm_ini_parse(struct plm_ini *out, const char *text, size_t bytes, struct plm_ini_complaints *complaints,
                  struct plm_error *err) {
  int code = check_text(complaints->path, text, bytes, err);
  if (code)
    return code;
  const char *bom = "\xEF\xBB\xBF";
  size_t skip = bytes >= 3 && memcmp(text, bom, 3) == 0 ? 3 : 0;
  struct reading reading = {.ini = out, .complaints = complaints, .at = text + skip, .end = text + bytes};
  /* Its own verdict on lines is a part of what the reader already complained about. */
  int verdict = ini_parse_stream(read_line, &reading, take_entry, &reading);
  out->lines = reading.line > 0 ? reading.line : 1;
  if (reading.code || verdict == -2)
    return plm_error_memory(err, "reading a study file");
  if (verdict != 0 && complaints->count == 0)
    plm_ini_complain(complaints, verdict, "not a line of an INI file");
  return 0;
}

void plm_ini_fini(struct plm_ini *ini) {
  for (size_t i = 0; i < ini->count; i++) {
    free(ini->entries[i].section);
    free(ini->entries[i].key);
    free(ini->entries[i].value);
  }
  for (size_t i = 0; i < ini->section_count; i++)
    free(ini->sections[i].name);
  free(ini->entries);
  free(ini->sections);
  *ini = (struct plm_ini){0};
}
