#include "report/svg.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/colours.h"
#include "report/html.h"

#define NAME_MAX_BYTES 40

static const char *const ELEMENTS[] = {"svg",  "g",    "defs",    "path",     "circle",   "rect",
                                       "line", "use",  "polygon", "polyline", "text",     "tspan"};
static const char *const ATTRIBUTES[] = {
    "viewBox", "width",     "height",      "x",           "y",           "x1",        "y1",          "x2",
    "y2",      "cx",        "cy",          "r",           "d",           "points",    "transform",   "fill",
    "stroke",  "color",     "fill-opacity", "stroke-width", "stroke-linecap", "stroke-linejoin", "stroke-dasharray", "stroke-opacity",
    "opacity", "font-size", "font-weight", "font-style",  "text-anchor", "dy",        "dx",          "shape-rendering",
    "id",      "xml:space"};
/* Elements that are left out with all that is in them: gnuplot's own title, and filters that nothing here uses. */
static const char *const DROPPED[] = {"title", "desc", "filter"};

#define LISTED(name, list) listed(name, list, sizeof(list) / sizeof *(list))

static int listed(const char *name, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(name, list[i]))
      return 1;
  return 0;
}

struct scan {
  const char *at;
  struct plm_text *out;
  const struct plm_svg_about *about;
  struct plm_error *err;
};

static int refuse(const struct scan *s, const char *what, const char *which) {
  return plm_error_set(s->err, PLM_E_DAMAGED, "figure \"%s\": gnuplot drew %s \"%.60s\", which has no place in a page",
                       s->about->name, what, which);
}

/* A name of an element or attribute; advances. */
static void name_take(char out[NAME_MAX_BYTES], const char **at) {
  size_t n = 0;
  while (isalnum((unsigned char)**at) || **at == '-' || **at == ':' || **at == '_') {
    if (n < NAME_MAX_BYTES - 1)
      out[n++] = **at;
    (*at)++;
  }
  out[n] = 0;
}

/* "rgb( 18,  52,  86)", "#123456", "black", "white" as 0xrrggbb; -1 for anything else. */
static long colour_read(const char *value) {
  unsigned r, g, b;
  int end = 0;
  if (sscanf(value, "rgb(%u ,%u ,%u )%n", &r, &g, &b, &end) == 3 && end && !value[end] && r < 256 && g < 256 && b < 256)
    return (long)(r << 16 | g << 8 | b);
  if (value[0] == '#' && strlen(value) == 7 && strspn(value + 1, "0123456789abcdefABCDEF") == 6)
    return strtol(value + 1, NULL, 16);
  return -1;
}

static void paint_write(struct plm_text *out, const char *value) {
  long colour = colour_read(value);
  const char *variable = colour >= 0 ? plm_colour_variable((unsigned)colour) : NULL;
  if (!strcmp(value, "black"))
    variable = "var(--ink)";
  else if (!strcmp(value, "white"))
    variable = "var(--paper)";
  plm_html_escape(out, variable ? variable : value);
}

/* One attribute with its value, checked and rewritten. */
static int attribute_write(struct scan *s, const char *element, const char *name, const char *value) {
  struct plm_text *out = s->out;
  if (!strncmp(name, "xmlns", 5))
    return 0; /* HTML knows where svg is from */
  if (!strcmp(name, "xlink:href") || !strcmp(name, "href")) {
    if (strcmp(element, "use") != 0 || value[0] != '#')
      return refuse(s, "a reference to", value);
    plm_text_add(out, " href=\"#%s-", s->about->name);
    plm_html_escape(out, value + 1);
    plm_text_add(out, "\"");
    return 0;
  }
  if (!strcmp(name, "class") || !strcmp(name, "font-family")) /* the page's own hold */
    return 0;
  if (!LISTED(name, ATTRIBUTES))
    return refuse(s, "with an attribute", name);
  if (strstr(value, "url(") || strstr(value, "javascript"))
    return refuse(s, "a reference to", value);
  plm_text_add(out, " %s=\"%s%s", name, !strcmp(name, "id") ? s->about->name : "", !strcmp(name, "id") ? "-" : "");
  if (!strcmp(name, "fill") || !strcmp(name, "stroke") || !strcmp(name, "color"))
    paint_write(out, value);
  else
    plm_html_escape(out, value);
  plm_text_add(out, "\"");
  return 0;
}

/* The text between quotes with its entities undone into out (owned by the caller), or NULL. gnuplot writes these four. */
static char *value_take(const char **at) {
  static const struct {
    const char *entity;
    char c;
  } known[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}};
  char quote = **at;
  const char *end = quote == '"' || quote == '\'' ? strchr(*at + 1, quote) : NULL;
  char *out = end ? malloc((size_t)(end - *at)) : NULL, *to = out;
  for (const char *c = *at + 1; out && c < end;) {
    size_t k = 0;
    while (k < 4 && strncmp(c, known[k].entity, strlen(known[k].entity)) != 0)
      k++;
    *to++ = k < 4 ? known[k].c : *c;
    c += k < 4 ? strlen(known[k].entity) : 1;
  }
  if (out) {
    *to = 0;
    *at = end + 1;
  }
  return out;
}

static int attributes_write(struct scan *s, const char *element) {
  for (;;) {
    char name[NAME_MAX_BYTES];
    s->at += strspn(s->at, " \t\r\n");
    if (*s->at == '>' || (*s->at == '/' && s->at[1] == '>'))
      return 0;
    name_take(name, &s->at);
    s->at += strspn(s->at, " \t\r\n");
    if (!name[0] || *s->at != '=')
      return refuse(s, "a broken element", element);
    s->at++;
    s->at += strspn(s->at, " \t\r\n");
    char *value = value_take(&s->at);
    int code = value ? attribute_write(s, element, name, value) : refuse(s, "a broken attribute", name);
    free(value);
    if (code)
      return code;
  }
}

static void about_write(const struct scan *s) {
  const struct plm_svg_about *about = s->about;
  plm_text_add(s->out, " role=\"img\" aria-labelledby=\"%s-title %s-desc\"><title id=\"%s-title\">", about->name,
               about->name, about->name);
  plm_html_escape(s->out, about->title);
  plm_text_add(s->out, "</title><desc id=\"%s-desc\">", about->name);
  plm_html_escape(s->out, about->description);
  plm_text_add(s->out, "</desc>");
}

/* Past the end of an element that is left out. */
static int drop(struct scan *s, const char *element) {
  char end[NAME_MAX_BYTES + 4];
  snprintf(end, sizeof end, "</%s>", element);
  const char *found = strstr(s->at, end);
  if (!found)
    return refuse(s, "a broken element", element);
  s->at = found + strlen(end);
  return 0;
}

/* At '<'. */
static int tag_write(struct scan *s) {
  char element[NAME_MAX_BYTES];
  int closing = s->at[1] == '/';
  s->at += closing ? 2 : 1;
  name_take(element, &s->at);
  if (!closing && LISTED(element, DROPPED))
    return drop(s, element);
  if (!LISTED(element, ELEMENTS))
    return refuse(s, "an element", element);
  plm_text_add(s->out, closing ? "</%s" : "<%s", element);
  if (!closing) {
    int code = attributes_write(s, element);
    if (code)
      return code;
  }
  int empty = *s->at == '/';
  s->at += empty;
  if (*s->at != '>')
    return refuse(s, "a broken element", element);
  s->at++;
  if (!strcmp(element, "svg") && !closing)
    about_write(s);
  else
    plm_text_add(s->out, empty ? "/>" : ">");
  return 0;
}

/* Text up to the next '<'; its entities are gnuplot's. */
static void text_write(struct scan *s) {
  size_t length = strcspn(s->at, "<");
  for (size_t i = 0; i < length; i++)
    if (s->at[i] == '>')
      plm_text_add(s->out, "&gt;");
    else
      plm_text_add_bytes(s->out, s->at + i, 1);
  s->at += length;
}

int plm_svg_inline(struct plm_text *out, const char *svg, const struct plm_svg_about *about, struct plm_error *err) {
  struct scan s = {strstr(svg, "<svg"), out, about, err};
  int code = s.at ? 0 : refuse(&s, "no picture", "");
  while (!code && *s.at) {
    if (*s.at == '<')
      code = tag_write(&s);
    else
      text_write(&s);
  }
  return code ? code : plm_text_check(out, "a figure", err);
}
