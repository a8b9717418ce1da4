#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NUMBER_TEXT 64

/* The power of ten behind a suffix letter, -1 when it is none. */
static int suffix_power(char letter) {
  switch (letter) {
  case 'k':
  case 'K':
    return 3;
  case 'M':
    return 6;
  case 'G':
  case 'B':
    return 9;
  case 'T':
    return 12;
  case 'P':
    return 15;
  case 'E':
    return 18;
  default:
    return -1;
  }
}

/* Copies text without blanks at its ends and without _ between digits; splits off a suffix. Non-zero: not a number's characters. */
static int normalise(char out[NUMBER_TEXT], int *power, const char *text) {
  size_t n = 0;
  while (isspace((unsigned char)*text))
    text++;
  size_t length = strlen(text);
  while (length && isspace((unsigned char)text[length - 1]))
    length--;
  *power = 0;
  if (length && suffix_power(text[length - 1]) > 0) {
    *power = suffix_power(text[length - 1]);
    length--;
  }
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if (c == '_') {
      if (i == 0 || i + 1 == length || !isdigit((unsigned char)text[i - 1]) || !isdigit((unsigned char)text[i + 1]))
        return 1;
      continue;
    }
    if (!isdigit((unsigned char)c) && !strchr("+-.eE", c))
      return 1;
    if (n + 1 >= NUMBER_TEXT)
      return 1;
    out[n++] = c;
  }
  out[n] = 0;
  return n == 0;
}

int plm_number_real(double *out, const char *text, struct plm_error *err) {
  char digits[NUMBER_TEXT], number[NUMBER_TEXT + 16];
  int power;
  if (normalise(digits, &power, text))
    return plm_error_set(err, PLM_E_USAGE, "\"%.60s\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000)", text);
  /* The suffix joins the exponent, so that 1.1M is read with one rounding. */
  char *e = strpbrk(digits, "eE");
  if (e && power)
    return plm_error_set(err, PLM_E_USAGE, "\"%.60s\" has both an exponent and a suffix", text);
  snprintf(number, sizeof number, power ? "%se%d" : "%s", digits, power);
  char *end;
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  double value = plain ? strtod_l(number, &end, plain) : strtod(number, &end);
  if (plain)
    freelocale(plain);
  if (*end || end == number)
    return plm_error_set(err, PLM_E_USAGE, "\"%.60s\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000)", text);
  if (!isfinite(value))
    return plm_error_set(err, PLM_E_USAGE, "\"%.60s\" is out of range", text);
  *out = value;
  return 0;
}

/* The value of normalised digits times 10^power, without a double between. 0, ERANGE, or EDOM when it is not a whole number. */
static int exact_integer(int64_t *out, const char *digits, int power) {
  char figures[NUMBER_TEXT];
  size_t count = 0;
  long scale = power;
  int64_t value = 0;
  for (int after_point = 0; *digits && !strchr("eE", *digits); digits++) {
    if (isdigit((unsigned char)*digits)) {
      figures[count++] = *digits;
      scale -= after_point;
    }
    after_point |= *digits == '.';
  }
  if (*digits) {
    long exponent = strtol(digits + 1, NULL, 10);
    scale += exponent < -100000 ? -100000 : exponent > 100000 ? 100000 : exponent;
  }
  for (; count && figures[count - 1] == '0'; scale++)
    count--;
  for (size_t i = 0; i < count; i++)
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, figures[i] - '0', &value))
      return scale < 0 ? EDOM : ERANGE;
  if (count && scale < 0)
    return EDOM;
  for (; value && scale > 0; scale--)
    if (__builtin_mul_overflow(value, 10, &value))
      return ERANGE;
  *out = value;
  return 0;
}

int plm_number_integer(int64_t *out, const char *text, struct plm_error *err) {
  char digits[NUMBER_TEXT];
  int power;
  double value;
  int code = plm_number_real(&value, text, err);
  if (code)
    return code;
  if (value < 0)
    return plm_error_set(err, PLM_E_USAGE, "\"%.60s\" is negative", text);
  if (normalise(digits, &power, text))
    return plm_error_set(err, PLM_E_INTERNAL, "\"%.60s\" changed while it was read", text);
  int failed = exact_integer(out, digits, power);
  if (failed)
    return plm_error_set(err, PLM_E_USAGE, failed == ERANGE ? "\"%.60s\" is out of range" : "\"%.60s\" is not a whole number",
                         text);
  return 0;
}

int plm_number_boolean(int *out, const char *text, struct plm_error *err) {
  static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
  for (int i = 0; i < 8; i++)
    if (!strcasecmp(text, words[i])) {
      *out = i & 1;
      return 0;
    }
  return plm_error_set(err, PLM_E_USAGE, "\"%.60s\" is neither yes nor no", text);
}

void plm_number_short(char *out, size_t size, double value) {
  static const struct {
    double unit;
    const char *suffix;
  } units[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
  double magnitude = fabs(value);
  if (magnitude >= 999.5e12 || (magnitude > 0 && magnitude < 1e-4)) {
    snprintf(out, size, "%.2e", value);
    return;
  }
  for (size_t i = 0; i < 4; i++)
    if (magnitude >= units[i].unit * 0.9995) {
      double scaled = value / units[i].unit;
      int decimals = fabs(scaled) < 9.995 ? 2 : fabs(scaled) < 99.95 ? 1 : 0;
      snprintf(out, size, "%.*f%s", decimals, scaled, units[i].suffix);
      return;
    }
  snprintf(out, size, "%.3g", value);
}

void plm_number_bytes(char *out, size_t size, uint64_t bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = (double)bytes;
  int unit = 0;
  while (value >= 1024 && unit < 5) {
    value /= 1024;
    unit++;
  }
  snprintf(out, size, unit && value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void plm_number_duration(char *out, size_t size, double seconds) {
  if (!(seconds >= 0) || seconds > 3e9)
    snprintf(out, size, "?");
  else if (seconds < 9.95)
    snprintf(out, size, "%.1f s", seconds);
  else if (seconds < 119.5)
    snprintf(out, size, "%.0f s", seconds);
  else if (seconds < 7199)
    snprintf(out, size, "%.0f min", seconds / 60);
  else if (seconds < 48 * 3600.0)
    snprintf(out, size, "%d h %02d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
  else
    snprintf(out, size, "%.1f days", seconds / 86400);
}
