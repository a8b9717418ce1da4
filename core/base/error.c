#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

/* One line, whatever the user's text held. */
static void clean_line(char *text) {
  for (unsigned char *p = (unsigned char *)text; *p; p++)
    if (*p < 32 || *p == 127)
      *p = '?';
}

static void __attribute__((format(printf, 3, 0)))
fill(struct plm_error *err, int code, const char *format, va_list args) {
  char text[PLM_ERROR_TEXT];
  vsnprintf(text, sizeof text, format, args);
  clean_line(text);
  memset(err, 0, sizeof *err);
  err->struct_size = sizeof *err;
  err->code = code;
  memcpy(err->text, text, sizeof err->text);
}

int plm_error_set(struct plm_error *err, int code, const char *format, ...) {
  if (!err)
    return code;
  va_list args;
  va_start(args, format);
  fill(err, code, format, args);
  va_end(args);
  return code;
}

int plm_error_set_system(struct plm_error *err, int number, const char *format, ...) {
  int code = number == ENOMEM ? PLM_E_NO_MEMORY : PLM_E_IO;
  if (!err)
    return code;
  va_list args;
  va_start(args, format);
  fill(err, code, format, args);
  va_end(args);
  size_t used = strlen(err->text);
  snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(number));
  err->native_code = number;
  return code;
}

int plm_error_memory(struct plm_error *err, const char *what) {
  return plm_error_set(err, PLM_E_NO_MEMORY, "out of memory while %s", what);
}

const char *plm_error_name(int code) {
  static const char *const abi[] = {"OK",          "INVALID", "UNSUPPORTED", "NO_MEMORY", "BUILD_FAILED",
                                    "DEVICE_LOST", "TIMEOUT", "ABI",         "INTERNAL"};
  static const char *const host[] = {"USAGE", "DAMAGED", "IO", "STOPPED", "DIVERGED", "CELLS", "BUSY", "WRONG"};
  if (code >= PLM_OK && code <= PLM_E_INTERNAL)
    return abi[code];
  return code >= PLM_E_USAGE && code <= PLM_E_WRONG ? host[code - PLM_E_USAGE] : "?";
}

int plm_error_exit_code(int code) {
  switch (code) {
  case PLM_OK:
    return 0;
  case PLM_E_USAGE:
    return 2;
  case PLM_E_CELLS:
    return 3;
  case PLM_E_DAMAGED:
  case PLM_E_ABI:
    return 4;
  case PLM_E_STOPPED:
    return 75;
  default:
    return 1;
  }
}

int plm_errors_add(struct plm_errors *errors, const char *format, ...) {
  char text[PLM_ERROR_TEXT];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  clean_line(text);
  void *lines = errors->lines;
  if (plm_memory_grow(&lines, &errors->capacity, errors->count + 1, sizeof *errors->lines))
    return PLM_E_USAGE;
  errors->lines = lines;
  char *line = strdup(text);
  if (line)
    errors->lines[errors->count++] = line;
  return PLM_E_USAGE;
}

void plm_errors_fini(struct plm_errors *errors) {
  for (size_t i = 0; i < errors->count; i++)
    free(errors->lines[i]);
  free(errors->lines);
  memset(errors, 0, sizeof *errors);
}

/* Levenshtein distance without regard to case; words longer than 63 count as far away. */
static size_t edit_distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b), row[64];
  if (n > 63 || m > 63)
    return 64;
  for (size_t j = 0; j <= m; j++)
    row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t change = diagonal + (strncasecmp(a + i - 1, b + j - 1, 1) != 0);
      diagonal = row[j];
      size_t least = row[j - 1] < row[j] ? row[j - 1] : row[j];
      row[j] = change < least + 1 ? change : least + 1;
    }
  }
  return row[m];
}

const char *plm_error_nearest(const char *word, const char *const *candidates, size_t count) {
  const char *best = NULL;
  size_t limit = strlen(word) / 3, least;
  least = (limit < 2 ? 2 : limit) + 1;
  for (size_t i = 0; i < count; i++) {
    size_t distance = edit_distance(word, candidates[i]);
    if (distance < least && distance < strlen(candidates[i])) {
      least = distance;
      best = candidates[i];
    }
  }
  return best;
}
