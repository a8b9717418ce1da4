#include "study/grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "study/quote.h"
#include "study/study.h"

#define VALUES_MAX 100000
#define SIZE_MAX_PARAMS 1e15

/* What a list becomes while it is read. Counts are sizes without a shape. */
struct list {
  struct plm_size *items;
  size_t count, capacity;
  int shapes; /* whether LxDxH is a part */
};

char *plm_grid_trim(char *text) {
  text += strspn(text, " \t");
  size_t length = strlen(text);
  while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
    text[--length] = 0;
  return text;
}

int plm_grid_next_part(char **part, char **cursor, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  char *start = *cursor, *at = start;
  int depth = 0;
  for (; *at && !(*at == ',' && depth == 0); at++) {
    depth += (*at == '(') - (*at == ')');
    if (depth < 0 || depth > 1)
      return plm_error_set(err, PLM_E_USAGE, "list part %s: %s", plm_quote(quoted, plm_grid_trim(start)),
                           depth < 0 ? "')' without '('" : "parentheses within parentheses");
  }
  if (depth)
    return plm_error_set(err, PLM_E_USAGE, "list part %s: missing ')'", plm_quote(quoted, plm_grid_trim(start)));
  *cursor = *at ? at + 1 : NULL;
  *at = 0;
  *part = plm_grid_trim(start);
  if (!**part)
    return plm_error_set(err, PLM_E_USAGE, "list: an empty part, a comma too many");
  return 0;
}

/* Room for more items; part names the culprit when the list becomes too long. */
static int reserve(struct list *list, double more, const char *part, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  if ((double)list->count + more > VALUES_MAX)
    return plm_error_set(err, PLM_E_USAGE, "list part %s: more than %d values", plm_quote(quoted, part), VALUES_MAX);
  void *items = list->items;
  if (plm_memory_grow(&items, &list->capacity, list->count + (size_t)more, sizeof *list->items))
    return plm_error_memory(err, "a list of the grid");
  list->items = items;
  return 0;
}

static void append(struct list *list, double value) {
  list->items[list->count++] = (struct plm_size){{0, 0, 0}, value};
}

/* The three arguments of "name(a,b,c)"; name_length counts up to the '('. */
static int parse_arguments(double out[3], const char *part, size_t name_length, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  int code = 0, count = 0;
  char *copy = strdup(part + name_length + 1);
  if (!copy)
    return plm_error_memory(err, "a list of the grid");
  char *close = strchr(copy, ')');
  if (!close || *plm_grid_trim(close + 1)) {
    code = plm_error_set(err, PLM_E_USAGE, "list part %s: text after ')'", plm_quote(quoted, part));
    goto out;
  }
  *close = 0;
  for (char *cursor = copy; cursor && code == 0; count++) {
    char *comma = strchr(cursor, ',');
    if (comma)
      *comma = 0;
    double value = 0;
    struct plm_error inner = PLM_ERROR_INIT;
    if (plm_number_real(&value, plm_grid_trim(cursor), &inner))
      code = plm_error_set(err, PLM_E_USAGE, "list part %s: %s", plm_quote(quoted, part), inner.text);
    else if (count < 3)
      out[count] = value;
    cursor = comma ? comma + 1 : NULL;
  }
  if (code == 0 && count != 3)
    code = plm_error_set(err, PLM_E_USAGE, "list part %s: %d arguments where 3 are needed", plm_quote(quoted, part),
                         count);
out:
  free(copy);
  return code;
}

void plm_grid_log_space(double *out, double first, double last, size_t count) {
  double ratio = log(last / first) / (double)(count - 1);
  for (size_t i = 0; i < count; i++)
    out[i] = first * exp(ratio * (double)i);
  out[0] = first;
  out[count - 1] = last;
}

static int append_log(struct list *list, const char *part, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  double argument[3];
  int code = parse_arguments(argument, part, 3, err);
  if (code)
    return code;
  plm_quote(quoted, part);
  if (!(argument[0] > 0 && argument[1] > argument[0]))
    return plm_error_set(err, PLM_E_USAGE, "list part %s: log(a,b,n) needs 0 < a < b", quoted);
  if (argument[2] != floor(argument[2]) || argument[2] < 2 || argument[2] > VALUES_MAX)
    return plm_error_set(err, PLM_E_USAGE, "list part %s: log(a,b,n) needs an integer n from 2 to %d", quoted,
                         VALUES_MAX);
  code = reserve(list, argument[2], part, err);
  if (code)
    return code;
  size_t count = (size_t)argument[2];
  double *values = plm_memory_zeroed(count, sizeof *values);
  if (!values)
    return plm_error_memory(err, "a list of the grid");
  plm_grid_log_space(values, argument[0], argument[1], count);
  for (size_t i = 0; i < count; i++)
    append(list, values[i]);
  free(values);
  return 0;
}

static int append_range(struct list *list, const char *part, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  double argument[3];
  int code = parse_arguments(argument, part, 5, err);
  if (code)
    return code;
  plm_quote(quoted, part);
  if (!(argument[2] > 0 && argument[1] >= argument[0]))
    return plm_error_set(err, PLM_E_USAGE, "list part %s: range(a,b,s) needs a <= b and s > 0", quoted);
  /* The last value counts as reached when rounding keeps it a billionth of a step away. */
  double count = floor((argument[1] - argument[0]) / argument[2] + 1e-9) + 1;
  code = reserve(list, count, part, err);
  if (code)
    return code;
  for (size_t i = 0; i < (size_t)count; i++)
    append(list, argument[0] + (double)i * argument[2]);
  return 0;
}

static int append_shape(struct list *list, const char *part, struct plm_error *err) {
  struct plm_shape shape;
  int code = plm_shape_parse(&shape, part, err);
  if (code == 0)
    code = reserve(list, 1, part, err);
  if (code)
    return code;
  list->items[list->count++] = (struct plm_size){shape, (double)plm_shape_params_layers(shape)};
  return 0;
}

static int append_part(struct list *list, const char *part, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  if (strncmp(part, "log(", 4) == 0)
    return append_log(list, part, err);
  if (strncmp(part, "range(", 6) == 0)
    return append_range(list, part, err);
  if (strchr(part, '('))
    return plm_error_set(err, PLM_E_USAGE, "list part %s: unknown function, known: log(a,b,n), range(a,b,s)",
                         plm_quote(quoted, part));
  if (list->shapes && strchr(part, 'x'))
    return append_shape(list, part, err);
  double value;
  int code = plm_number_real(&value, part, err);
  if (code == 0)
    code = reserve(list, 1, part, err);
  if (code == 0)
    append(list, value);
  return code;
}

/* All parts of text appended to the zeroed list; on failure it is empty again. */
static int parse_list(struct list *list, const char *text, struct plm_error *err) {
  char *copy = strdup(text);
  if (!copy)
    return plm_error_memory(err, "a list of the grid");
  int code = 0;
  char *cursor = copy;
  if (!*plm_grid_trim(copy))
    code = plm_error_set(err, PLM_E_USAGE, "list: empty, at least one value is needed");
  while (cursor && code == 0) {
    char *part = NULL;
    code = plm_grid_next_part(&part, &cursor, err);
    if (code == 0)
      code = append_part(list, part, err);
  }
  free(copy);
  if (code) {
    free(list->items);
    *list = (struct list){0};
  }
  return code;
}

int plm_grid_parse(double **out, size_t *count, const char *text, struct plm_error *err) {
  struct list list = {0};
  int code = parse_list(&list, text, err);
  if (code)
    return code;
  double *values = plm_memory_zeroed(list.count, sizeof *values);
  if (!values) {
    code = plm_error_memory(err, "a list of the grid");
    goto out;
  }
  for (size_t i = 0; i < list.count; i++)
    values[i] = list.items[i].params;
  *out = values;
  *count = list.count;
out:
  free(list.items);
  return code;
}

int plm_grid_parse_sizes(struct plm_size **out, size_t *count, const char *text, struct plm_error *err) {
  struct list list = {.shapes = 1};
  int code = parse_list(&list, text, err);
  if (code)
    return code;
  for (size_t i = 0; i < list.count; i++) {
    double params = list.items[i].params;
    if (list.items[i].shape.layers == 0 && !(params >= 1 && params <= SIZE_MAX_PARAMS)) {
      free(list.items);
      return plm_error_set(err, PLM_E_USAGE, "size \"%.6g\": must be from 1 to 1e15 parameters", params);
    }
  }
  *out = list.items;
  *count = list.count;
  return 0;
}
