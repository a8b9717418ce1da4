#include "study/config_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "study/grid.h"
#include "study/quote.h"
#include "study/rates.h"
#include "study/sweep_plan.h"

#define SEED_MAX 9007199254740992.0 /* 2^53: the last integer that a list of reals holds exactly */
#define TOKENS_MAX 1e18
#define COMPUTE_MAX 1e30

static int line_of(const struct plm_config_draft *draft, int index) {
  if (draft->line[index])
    return draft->line[index];
  for (size_t i = 0; i < draft->ini->section_count; i++)
    if (strcmp(draft->ini->sections[i].name, plm_option_table[index].section) == 0)
      return draft->ini->sections[i].line;
  return draft->ini->lines;
}

void plm_config_complain(struct plm_config_draft *draft, int index, const char *format, ...) {
  char text[PLM_ERROR_TEXT];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  const struct plm_study_option *option = &plm_option_table[index];
  plm_ini_complain(&draft->complaints, line_of(draft, index), "[%s] %s %s", option->section, option->key, text);
  draft->bad[index] = 1;
}

/* Of two options that do not fit together the later one is at fault; neither may be bad. Returns its index. */
static int culprit(const struct plm_config_draft *draft, int a, int b) {
  return draft->line[a] >= draft->line[b] ? a : b;
}

static int both_good(const struct plm_config_draft *draft, int a, int b) { return !draft->bad[a] && !draft->bad[b]; }

static void check_batches(struct plm_config_draft *draft) {
  const struct plm_config *config = draft->config;
  if (both_good(draft, PLM_AT_data_length_max, PLM_AT_train_batch_tokens) &&
      config->data_length_max > config->train_batch_tokens)
    plm_config_complain(draft, culprit(draft, PLM_AT_data_length_max, PLM_AT_train_batch_tokens),
                        "does not fit: a batch of batch_tokens = %lld cannot hold a sequence of length_max = %lld",
                        (long long)config->train_batch_tokens, (long long)config->data_length_max);
  if (both_good(draft, PLM_AT_data_length_max, PLM_AT_run_micro_tokens) && config->run_micro_tokens > 0 &&
      config->data_length_max > config->run_micro_tokens)
    plm_config_complain(
        draft, culprit(draft, PLM_AT_data_length_max, PLM_AT_run_micro_tokens),
        "does not fit: a micro-batch of micro_tokens = %lld cannot hold a sequence of length_max = %lld",
        (long long)config->run_micro_tokens, (long long)config->data_length_max);
}

static void check_shares(struct plm_config_draft *draft) {
  const struct plm_config *config = draft->config;
  double masked = config->data_mask_token + config->data_mask_random;
  if (both_good(draft, PLM_AT_data_mask_token, PLM_AT_data_mask_random) && masked > 1 + 1e-12)
    plm_config_complain(draft, culprit(draft, PLM_AT_data_mask_token, PLM_AT_data_mask_random),
                        "does not fit: mask_token + mask_random = %g, more than 1", masked);
  double ramps = config->train_warmup + config->train_cooldown;
  if (config->train_schedule == PLM_SCHEDULE_WSD && both_good(draft, PLM_AT_train_warmup, PLM_AT_train_cooldown) &&
      ramps > 1 + 1e-12)
    plm_config_complain(draft, culprit(draft, PLM_AT_train_warmup, PLM_AT_train_cooldown),
                        "does not fit: warmup + cooldown = %g, more than 1", ramps);
  if (!draft->bad[PLM_AT_model_head_size] && config->model_head_size % 2)
    plm_config_complain(draft, PLM_AT_model_head_size, "\"%lld\" is odd, rotary embedding needs it even",
                        (long long)config->model_head_size);
}

static void check_devices(struct plm_config_draft *draft) {
  char quoted[PLM_QUOTE_TEXT];
  const char *text = draft->config->run_devices;
  if (draft->bad[PLM_AT_run_devices])
    return;
  for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
    size_t blanks = strspn(at, " \t");
    if (at[blanks] == 0 || at[blanks] == ',' || at[blanks] == ':') {
      plm_config_complain(draft, PLM_AT_run_devices, "%s: %s (expected NAME[:DEVICE], ...)", plm_quote(quoted, text),
                          *text ? "a device without a name" : "at least one device is needed");
      return;
    }
  }
}

static void check_name(struct plm_config_draft *draft) {
  char quoted[PLM_QUOTE_TEXT];
  if (strchr(draft->config->study_name, '/'))
    plm_config_complain(draft, PLM_AT_study_name, "%s must not contain '/'",
                        plm_quote(quoted, draft->config->study_name));
}

/* Complains about a list's error unless it is memory, which goes up. */
static int list_failed(struct plm_config_draft *draft, int index, int code, const struct plm_error *inner,
                       struct plm_error *err) {
  if (code != PLM_E_NO_MEMORY) {
    plm_config_complain(draft, index, "%s", inner->text);
    return 0;
  }
  *err = *inner;
  return code;
}

/* A list of numbers within bounds; *count is its length, 0 when it is empty, bad or wrong. */
static int check_numbers(size_t *count, struct plm_config_draft *draft, int index, const char *text, double minimum,
                         double maximum, int whole, struct plm_error *err) {
  double *values = NULL;
  size_t length = 0;
  struct plm_error inner = PLM_ERROR_INIT;
  *count = 0;
  if (!*text || draft->bad[index])
    return 0;
  int code = plm_grid_parse(&values, &length, text, &inner);
  if (code)
    return list_failed(draft, index, code, &inner, err);
  for (size_t i = 0; i < length && !draft->bad[index]; i++) {
    char value[PLM_NUMBER_TEXT], low[PLM_NUMBER_TEXT], high[PLM_NUMBER_TEXT];
    plm_quote_number(value, values[i]);
    if (values[i] < minimum || values[i] > maximum)
      plm_config_complain(draft, index, "\"%s\" is out of range (expected %s to %s%s%s)", value,
                          plm_quote_number(low, minimum), plm_quote_number(high, maximum),
                          *plm_option_table[index].unit ? " " : "", plm_option_table[index].unit);
    else if (whole && values[i] != floor(values[i]))
      plm_config_complain(draft, index, "\"%s\" is not a whole number", value);
  }
  free(values);
  *count = draft->bad[index] ? 0 : length;
  return 0;
}

static int check_sizes(size_t *count, struct plm_config_draft *draft, struct plm_error *err) {
  struct plm_size *sizes = NULL;
  const char *text = draft->config->grid_sizes;
  struct plm_error inner = PLM_ERROR_INIT;
  *count = 0;
  if (!*text || draft->bad[PLM_AT_grid_sizes])
    return 0;
  int code = plm_grid_parse_sizes(&sizes, count, text, &inner);
  free(sizes);
  return code ? list_failed(draft, PLM_AT_grid_sizes, code, &inner, err) : 0;
}

/* The rates of a sweep: enough of them, and no two alike. */
static int check_sweep(struct plm_config_draft *draft, struct plm_error *err) {
  size_t count, same = 0;
  double *factors = NULL;
  int code = check_numbers(&count, draft, PLM_AT_train_sweep_factors, draft->config->train_sweep_factors, 1e-3, 1e3, 0, err);
  if (code || draft->bad[PLM_AT_train_sweep_factors])
    return code;
  if (count < PLM_SWEEP_FACTORS_MIN) {
    plm_config_complain(draft, PLM_AT_train_sweep_factors,
                        "has %zu factors, at least %d are needed: a winner has neighbours on both sides", count,
                        PLM_SWEEP_FACTORS_MIN);
    return 0;
  }
  if ((code = plm_grid_parse(&factors, &count, draft->config->train_sweep_factors, err)))
    return code;
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < i; k++)
      same += factors[i] == factors[k];
  free(factors);
  if (same)
    plm_config_complain(draft, PLM_AT_train_sweep_factors, "has a factor twice");
  return 0;
}

/* [train] lr, and that a list of rates has the sizes of the grid. */
static int check_rates(struct plm_config_draft *draft, struct plm_error *err) {
  const struct plm_config *config = draft->config;
  uint32_t head_size = (uint32_t)config->model_head_size;
  struct plm_rates rates;
  struct plm_size *sizes = NULL;
  size_t count = 0;
  struct plm_error inner = PLM_ERROR_INIT;
  if (draft->bad[PLM_AT_train_lr] || draft->bad[PLM_AT_model_head_size])
    return 0;
  int code = plm_rates_parse(&rates, config->train_lr, head_size, &inner);
  if (code)
    return list_failed(draft, PLM_AT_train_lr, code, &inner, err);
  if (rates.kind == PLM_RATES_SWEEP)
    code = check_sweep(draft, err);
  if (rates.kind == PLM_RATES_LIST && !draft->bad[PLM_AT_grid_sizes]) {
    if (!*config->grid_sizes)
      plm_config_complain(draft, PLM_AT_train_lr, "lists rates by size, which needs [grid] sizes");
    else if ((code = plm_grid_parse_sizes(&sizes, &count, config->grid_sizes, &inner)) ||
             (code = plm_rates_cover(&rates, sizes, count, head_size, &inner)))
      code = list_failed(draft, PLM_AT_train_lr, code, &inner, err);
  }
  free(sizes);
  plm_rates_fini(&rates);
  return code;
}

/* muP is told its base, and a model of that width has the base's heads: there it is the standard parametrization. */
static int check_parametrization(struct plm_config_draft *draft, struct plm_error *err) {
  const struct plm_config *config = draft->config;
  struct plm_size *sizes = NULL;
  size_t count = 0;
  struct plm_error inner = PLM_ERROR_INIT;
  if (draft->bad[PLM_AT_model_parametrization] || draft->bad[PLM_AT_model_base_width])
    return 0;
  if (config->model_parametrization == PLM_PARAMETRIZATION_STANDARD) {
    if (config->model_base_width > 0)
      plm_config_complain(draft, PLM_AT_model_base_width, "has no meaning with parametrization = standard");
    return 0;
  }
  if (config->model_base_width == 0)
    plm_config_complain(draft, PLM_AT_model_base_width, "is required with parametrization = mup");
  if (!*config->grid_sizes || !both_good(draft, PLM_AT_grid_sizes, PLM_AT_model_head_size))
    return 0;
  int code = plm_grid_parse_sizes(&sizes, &count, config->grid_sizes, &inner);
  if (code)
    return list_failed(draft, PLM_AT_grid_sizes, code, &inner, err);
  for (size_t i = 0; i < count && !draft->bad[PLM_AT_model_head_size]; i++) {
    struct plm_shape shape = sizes[i].shape;
    char text[PLM_SHAPE_TEXT];
    if (shape.layers == 0 || shape.width != config->model_base_width ||
        shape.width / shape.heads == config->model_head_size)
      continue;
    plm_shape_text(text, shape);
    plm_config_complain(draft, PLM_AT_model_head_size,
                        "does not fit: size \"%s\" has base_width and heads of %u, where mup takes heads of head_size = %lld",
                        text, shape.width / shape.heads, (long long)config->model_head_size);
  }
  free(sizes);
  return 0;
}

static const char *mode_name(int mode) {
  return mode == PLM_GRID_GRID ? "grid" : mode == PLM_GRID_ZIP ? "zip" : "isoflop";
}

static void need(struct plm_config_draft *draft, int index, int given) {
  if (!given && !draft->bad[index])
    plm_config_complain(draft, index, "is required in mode %s", mode_name(draft->config->grid_mode));
}

static void forbid(struct plm_config_draft *draft, int index, int given, const char *instead) {
  if (given && !draft->bad[index])
    plm_config_complain(draft, index, "has no meaning in mode %s, %s", mode_name(draft->config->grid_mode), instead);
}

/* What each mode needs and does not take; the counts are of the lists that could be read. */
static void check_mode(struct plm_config_draft *draft, size_t size_count, size_t token_count) {
  const struct plm_config *config = draft->config;
  if (draft->bad[PLM_AT_grid_mode])
    return;
  if (config->grid_mode == PLM_GRID_ISOFLOP) {
    need(draft, PLM_AT_grid_compute, *config->grid_compute);
    forbid(draft, PLM_AT_grid_tokens, *config->grid_tokens, "where tokens = compute / (6 N)");
    if (!*config->grid_sizes && config->grid_center == 0 && both_good(draft, PLM_AT_grid_sizes, PLM_AT_grid_center))
      plm_config_complain(draft, PLM_AT_grid_sizes, "or center is required in mode isoflop");
    if (*config->grid_sizes && config->grid_center > 0 && both_good(draft, PLM_AT_grid_sizes, PLM_AT_grid_center))
      plm_config_complain(draft, PLM_AT_grid_center, "is for a study without sizes, give one of the two");
    return;
  }
  need(draft, PLM_AT_grid_sizes, *config->grid_sizes);
  need(draft, PLM_AT_grid_tokens, *config->grid_tokens);
  forbid(draft, PLM_AT_grid_compute, *config->grid_compute, "which takes sizes and tokens");
  forbid(draft, PLM_AT_grid_center, config->grid_center > 0, "which takes sizes and tokens");
  if (config->grid_mode == PLM_GRID_ZIP && size_count && token_count && size_count != token_count)
    plm_config_complain(draft, culprit(draft, PLM_AT_grid_sizes, PLM_AT_grid_tokens),
                        "does not fit: mode zip pairs %zu sizes with %zu tokens", size_count, token_count);
}

/* What `auto` stands for: shared trunks pay where a size is trained on several token counts. */
static void resolve_schedule(struct plm_config *config, size_t tokens, size_t budgets) {
  if (config->train_schedule != PLM_SCHEDULE_AUTO)
    return;
  int several = config->grid_mode == PLM_GRID_GRID ? tokens > 1
                                                   : config->grid_mode == PLM_GRID_ISOFLOP && *config->grid_sizes && budgets > 1;
  config->train_schedule = several ? PLM_SCHEDULE_WSD : PLM_SCHEDULE_COSINE;
}

int plm_config_check(struct plm_config_draft *draft, struct plm_error *err) {
  const struct plm_config *config = draft->config;
  size_t seeds, sizes, tokens, budgets;
  check_name(draft);
  check_batches(draft);
  check_shares(draft);
  check_devices(draft);
  if (!*config->study_seeds && !draft->bad[PLM_AT_study_seeds])
    plm_config_complain(draft, PLM_AT_study_seeds, "is empty, at least one seed is needed");
  int code = check_numbers(&seeds, draft, PLM_AT_study_seeds, config->study_seeds, 0, SEED_MAX, 1, err);
  if (code == 0)
    code = check_sizes(&sizes, draft, err);
  if (code == 0)
    code = check_numbers(&tokens, draft, PLM_AT_grid_tokens, config->grid_tokens, 1, TOKENS_MAX, 0, err);
  if (code == 0)
    code = check_numbers(&budgets, draft, PLM_AT_grid_compute, config->grid_compute, 1, COMPUTE_MAX, 0, err);
  if (code)
    return code;
  check_mode(draft, sizes, tokens);
  resolve_schedule(draft->config, tokens, budgets);
  code = check_parametrization(draft, err);
  return code ? code : check_rates(draft, err);
}
