#include "report/html.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

/* Bytes of the valid UTF-8 character at text, 0 when there is none. No surrogates, nothing overlong (RFC 3629). */
static size_t character(const unsigned char *s) {
  size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
  for (size_t i = 1; i < length; i++)
    if ((s[i] & 0xc0) != 0x80) /* the NUL at the end stops here too */
      return 0;
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
      (s[0] == 0xf4 && s[1] >= 0x90))
    return 0;
  return length;
}

/* C0 but tab and newline, DEL, C1: HTML calls them errors, and a terminal's escape has no place in a page. */
static int is_control(const unsigned char *s, size_t length) {
  return (length == 1 && ((s[0] < 0x20 && s[0] != '\t' && s[0] != '\n') || s[0] == 0x7f)) ||
         (length == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

static const char *entity(char c) {
  switch (c) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&#39;";
  case '`':
    return "&#96;";
  default:
    return NULL;
  }
}

void plm_html_escape(struct plm_text *out, const char *text) {
  for (const unsigned char *s = (const unsigned char *)text; *s;) {
    size_t length = character(s);
    const char *other = length == 1 ? entity((char)*s) : NULL;
    if (!length || is_control(s, length))
      other = REPLACEMENT;
    if (other)
      plm_text_add_bytes(out, other, strlen(other));
    else
      plm_text_add_bytes(out, (const char *)s, length);
    s += length ? length : 1;
  }
}

__attribute__((format(printf, 2, 0))) static void escape_formatted(struct plm_text *out, const char *format, va_list args) {
  struct plm_text plain = {0};
  plm_text_add_format(&plain, format, args);
  out->exhausted |= plain.exhausted;
  if (plain.data)
    plm_html_escape(out, plain.data);
  plm_text_fini(&plain);
}

void plm_html_add(struct plm_text *out, const char *format, ...) {
  va_list args;
  va_start(args, format);
  escape_formatted(out, format, args);
  va_end(args);
}

void plm_html_cell(struct plm_text *out, const char *class, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (class)
    plm_text_add(out, "<td class=\"%s\">", class);
  else
    plm_text_add(out, "<td>");
  escape_formatted(out, format, args);
  plm_text_add(out, "</td>");
  va_end(args);
}

void plm_html_fact(struct plm_text *out, const char *name, const char *format, ...) {
  va_list args;
  va_start(args, format);
  plm_text_add(out, "<tr><th scope=\"row\">%s</th><td>", name);
  escape_formatted(out, format, args);
  plm_text_add(out, "</td></tr>\n");
  va_end(args);
}
