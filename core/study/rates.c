#include "study/rates.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "study/quote.h"
#include "study/study.h"

/* "2x32x2" or "300000", as in a list of sizes. */
static void size_text(char out[PLM_QUOTE_TEXT], struct plm_size size) {
  char number[PLM_NUMBER_TEXT];
  if (size.shape.layers)
    plm_shape_text(out, size.shape);
  else
    snprintf(out, PLM_QUOTE_TEXT, "%s", plm_quote_number(number, size.params));
}

struct plm_size plm_rates_size(struct plm_size size, uint32_t head_size) {
  struct plm_error inner = PLM_ERROR_INIT;
  if (size.shape.layers == 0)
    plm_shape_for_params(&size.shape, size.params, head_size, &inner);
  return size;
}

static int same_model(struct plm_size a, struct plm_size b) {
  if (a.shape.layers == 0 || b.shape.layers == 0)
    return a.shape.layers == b.shape.layers && a.params == b.params;
  return a.shape.layers == b.shape.layers && a.shape.width == b.shape.width && a.shape.heads == b.shape.heads;
}

static const struct plm_size_rate *find(const struct plm_rates *rates, struct plm_size size) {
  for (size_t i = 0; i < rates->count; i++)
    if (same_model(rates->items[i].size, size))
      return &rates->items[i];
  return NULL;
}

static int parse_rate(double *out, const char *text, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  double value;
  struct plm_error inner = PLM_ERROR_INIT;
  if (plm_number_real(&value, text, &inner) || !(value >= PLM_RATE_MIN && value <= PLM_RATE_MAX))
    return plm_error_set(err, PLM_E_USAGE, "%s is not a number from 1e-9 to 10", plm_quote(quoted, text));
  *out = value;
  return 0;
}

/* Appends the sizes of one "SIZES: RATE", which is cut. */
static int append(struct plm_rates *rates, char *part, uint32_t head_size, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT], size[PLM_QUOTE_TEXT];
  struct plm_size *sizes = NULL;
  size_t count = 0, capacity = rates->count;
  double rate;
  char *colon = strchr(part, ':');
  if (!colon)
    return plm_error_set(err, PLM_E_USAGE, "list part %s: no ':' (expected SIZE: RATE, as in 2x32x2: 4e-3)",
                         plm_quote(quoted, part));
  *colon = 0;
  int code = plm_grid_parse_sizes(&sizes, &count, plm_grid_trim(part), err);
  if (code == 0)
    code = parse_rate(&rate, plm_grid_trim(colon + 1), err);
  void *items = rates->items;
  if (code == 0 && plm_memory_grow(&items, &capacity, rates->count + count, sizeof *rates->items))
    code = plm_error_memory(err, "a list of rates");
  rates->items = items;
  for (size_t i = 0; i < count && code == 0; i++) {
    struct plm_size found = plm_rates_size(sizes[i], head_size);
    size_text(size, sizes[i]);
    if (find(rates, found))
      code = plm_error_set(err, PLM_E_USAGE, "size \"%s\" is given twice (as a model, however it is written)", size);
    else
      rates->items[rates->count++] = (struct plm_size_rate){found, rate};
  }
  free(sizes);
  return code;
}

static int parse_list(struct plm_rates *rates, const char *text, uint32_t head_size, struct plm_error *err) {
  char *copy = strdup(text);
  if (!copy)
    return plm_error_memory(err, "a list of rates");
  int code = 0;
  for (char *cursor = copy, *part = NULL; cursor && code == 0;) {
    code = plm_grid_next_part(&part, &cursor, err);
    if (code == 0)
      code = append(rates, part, head_size, err);
  }
  free(copy);
  return code;
}

int plm_rates_parse(struct plm_rates *out, const char *text, uint32_t head_size, struct plm_error *err) {
  struct plm_rates rates = {.kind = PLM_RATES_ONE};
  int code = 0;
  if (strcmp(text, "rule") == 0) {
    rates.kind = PLM_RATES_RULE;
  } else if (strcmp(text, "sweep") == 0) {
    rates.kind = PLM_RATES_SWEEP;
  } else if (strchr(text, ':')) {
    rates.kind = PLM_RATES_LIST;
    code = parse_list(&rates, text, head_size, err);
  } else if (parse_rate(&rates.rate, text, NULL)) {
    char quoted[PLM_QUOTE_TEXT];
    code = plm_error_set(err, PLM_E_USAGE, "%s is neither `rule`, nor `sweep`, nor a number from 1e-9 to 10, nor a list SIZE: RATE, ..",
                         plm_quote(quoted, text));
  }
  if (code)
    plm_rates_fini(&rates);
  else
    *out = rates;
  return code;
}

void plm_rates_fini(struct plm_rates *rates) {
  free(rates->items);
  memset(rates, 0, sizeof *rates);
}

double plm_rates_listed(const struct plm_rates *rates, struct plm_size size) {
  const struct plm_size_rate *item = find(rates, size);
  return item ? item->rate : NAN;
}

int plm_rates_cover(const struct plm_rates *rates, const struct plm_size *sizes, size_t count, uint32_t head_size,
                    struct plm_error *err) {
  char size[PLM_QUOTE_TEXT];
  for (size_t i = 0; i < count; i++)
    if (!find(rates, plm_rates_size(sizes[i], head_size))) {
      size_text(size, sizes[i]);
      return plm_error_set(err, PLM_E_USAGE, "has no rate for size \"%s\" of [grid] sizes", size);
    }
  for (size_t r = 0; r < rates->count; r++) {
    size_t at = 0;
    while (at < count && !same_model(rates->items[r].size, plm_rates_size(sizes[at], head_size)))
      at++;
    if (at < count)
      continue;
    size_text(size, rates->items[r].size);
    return plm_error_set(err, PLM_E_USAGE, "has a rate for \"%s\", which is not among [grid] sizes", size);
  }
  return 0;
}

/* Between its neighbours in the list on a straight line in log N and log rate; beyond its ends, that of the last. */
static double interpolate(const struct plm_rates *rates, double params) {
  const struct plm_size_rate *below = NULL, *above = NULL;
  for (size_t i = 0; i < rates->count; i++) {
    const struct plm_size_rate *item = &rates->items[i];
    if (item->size.params <= params && (!below || item->size.params > below->size.params))
      below = item;
    if (item->size.params >= params && (!above || item->size.params < above->size.params))
      above = item;
  }
  if (!below || !above || below->size.params == above->size.params)
    return below ? below->rate : above->rate;
  double share = log(params / below->size.params) / log(above->size.params / below->size.params);
  return below->rate * pow(above->rate / below->rate, share);
}

double plm_study_peak_rate(const struct plm_config *config, double params) {
  struct plm_rates rates;
  double rate = config->train_lr_at_1m * pow(params / 1e6, config->train_lr_exponent);
  if (plm_rates_parse(&rates, config->train_lr, (uint32_t)config->model_head_size, NULL))
    return NAN; /* out of memory: the text was checked when the study was read */
  if (rates.kind == PLM_RATES_ONE)
    rate = rates.rate;
  else if (rates.kind == PLM_RATES_LIST)
    rate = interpolate(&rates, params);
  else if (rate > config->train_lr_max)
    rate = config->train_lr_max;
  plm_rates_fini(&rates);
  return rate;
}
