#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "study/rates.h"
#include "study/sweep_plan.h"
#include "study/study.h"
#include "study/trunk.h"

#define COUNT_LIMIT 9e18 /* an int64_t holds more */
#define ID_PREFIX_MIN 4

/* The lists of a study, read, and the cells made of them so far. */
struct expansion {
  const struct plm_study *study;
  int64_t corpus_tokens;
  struct plm_size *sizes;
  struct plm_rates rates;
  double *tokens, *budgets, *seeds;
  size_t size_count, token_count, budget_count, seed_count;
  struct plm_cell *cells;
  size_t cell_count;
};

static void release_cells(struct plm_cell *cells, size_t count) {
  for (size_t i = 0; i < count; i++)
    free(cells[i].refused);
  free(cells);
}

static int read_lists(struct expansion *expansion, struct plm_error *err) {
  const struct plm_config *config = &expansion->study->config;
  int code = plm_grid_parse(&expansion->seeds, &expansion->seed_count, config->study_seeds, err);
  if (code == 0)
    code = plm_rates_parse(&expansion->rates, config->train_lr, (uint32_t)config->model_head_size, err);
  if (code == 0 && *config->grid_sizes)
    code = plm_grid_parse_sizes(&expansion->sizes, &expansion->size_count, config->grid_sizes, err);
  if (code == 0 && config->grid_mode == PLM_GRID_ISOFLOP)
    return plm_grid_parse(&expansion->budgets, &expansion->budget_count, config->grid_compute, err);
  if (code == 0)
    code = plm_grid_parse(&expansion->tokens, &expansion->token_count, config->grid_tokens, err);
  return code;
}

/* How many cells the lists stand for; exact, since no list is longer than 100000. */
static double planned_cells(const struct expansion *expansion) {
  const struct plm_config *config = &expansion->study->config;
  double sizes = (double)expansion->size_count, seeds = (double)expansion->seed_count;
  switch (config->grid_mode) {
  case PLM_GRID_GRID:
    return sizes * (double)expansion->token_count * seeds;
  case PLM_GRID_ZIP:
    return sizes * seeds;
  default:
    return (double)expansion->budget_count * (expansion->size_count ? sizes : (double)config->grid_points_per_budget) *
           seeds;
  }
}

/* Why a cell of shape and tokens is not run, "" when it is. */
static void judge(char *reason, size_t size, const struct expansion *expansion, double tokens) {
  const struct plm_config *config = &expansion->study->config;
  double batch = (double)config->train_batch_tokens;
  double epochs = expansion->corpus_tokens > 0 ? tokens / (double)expansion->corpus_tokens : 0;
  *reason = 0;
  if (tokens < batch)
    snprintf(reason, size, "%.0f tokens are fewer than one batch (batch_tokens = %.0f)", tokens, batch);
  else if (tokens < config->grid_tokens_min)
    snprintf(reason, size, "%.0f tokens are fewer than tokens_min = %.6g", tokens, config->grid_tokens_min);
  else if (config->grid_epochs_max > 0 && epochs > config->grid_epochs_max)
    snprintf(reason, size, "%.4g epochs of the corpus are more than epochs_max = %.6g", epochs,
             config->grid_epochs_max);
  else if (tokens > COUNT_LIMIT || ceil(tokens / batch) > UINT32_MAX)
    snprintf(reason, size, "%.4g tokens are more than %u steps of batch_tokens = %.0f", tokens, UINT32_MAX, batch);
}

/* The peak rate of a cell, whose shape is known unless it is refused. */
static double cell_rate(const struct expansion *expansion, const struct plm_cell *cell, struct plm_size size) {
  if (expansion->rates.kind == PLM_RATES_SWEEP)
    return NAN; /* its size's runs give it */
  if (expansion->rates.kind != PLM_RATES_LIST)
    return plm_study_peak_rate(&expansion->study->config, (double)cell->n_layers_only);
  size.shape = cell->shape;
  return plm_rates_listed(&expansion->rates, size);
}

/* One size at one token count, or (tokens = 0) at one budget, for every seed. */
static int add_cells(struct expansion *expansion, struct plm_size size, double tokens, double budget,
                     struct plm_error *err) {
  const struct plm_config *config = &expansion->study->config;
  struct plm_cell cell = {.budget = budget, .shape = size.shape};
  struct plm_error inner = PLM_ERROR_INIT;
  char reason[PLM_ERROR_TEXT] = "";
  if (cell.shape.layers == 0 &&
      plm_shape_for_params(&cell.shape, size.params, (uint32_t)config->model_head_size, &inner))
    snprintf(reason, sizeof reason, "%s", inner.text);
  /* A size without a shape keeps the count that was asked for, within what the field holds. */
  if (*reason) {
    cell.n_layers_only = llround(fmin(fmax(size.params, 1), COUNT_LIMIT));
  } else {
    cell.n_layers_only = plm_shape_params_layers(cell.shape);
    cell.n_with_head = plm_shape_params_head(cell.shape);
    cell.n_total = plm_shape_params_total(cell.shape);
  }
  if (budget > 0)
    tokens = budget / (6 * (double)cell.n_layers_only);
  tokens = round(tokens);
  if (!*reason)
    judge(reason, sizeof reason, expansion, tokens);
  cell.tokens = (int64_t)(tokens < COUNT_LIMIT ? tokens : COUNT_LIMIT);
  cell.steps = (int64_t)ceil((double)cell.tokens / (double)config->train_batch_tokens);
  cell.flops_6nd = 6 * (double)cell.n_layers_only * tokens;
  cell.lr = cell_rate(expansion, &cell, size);
  for (size_t i = 0; i < expansion->seed_count; i++) {
    cell.seed = (uint64_t)expansion->seeds[i];
    cell.refused = *reason ? strdup(reason) : NULL;
    if (*reason && !cell.refused)
      return plm_error_memory(err, "planning cells");
    expansion->cells[expansion->cell_count++] = cell;
  }
  return 0;
}

static int add_budget(struct expansion *expansion, double budget, struct plm_error *err) {
  const struct plm_config *config = &expansion->study->config;
  int code = 0;
  for (size_t i = 0; i < expansion->size_count && code == 0; i++)
    code = add_cells(expansion, expansion->sizes[i], 0, budget, err);
  if (expansion->size_count || code)
    return code;
  size_t points = (size_t)config->grid_points_per_budget;
  double center = config->grid_center * pow(budget / expansion->budgets[0], config->grid_center_exponent);
  double *params = plm_memory_zeroed(points, sizeof *params);
  if (!params)
    return plm_error_memory(err, "planning cells");
  plm_grid_log_space(params, center / config->grid_spread, center * config->grid_spread, points);
  for (size_t i = 0; i < points && code == 0; i++)
    code = add_cells(expansion, (struct plm_size){{0, 0, 0}, params[i]}, 0, budget, err);
  free(params);
  return code;
}

static int add_all(struct expansion *expansion, struct plm_error *err) {
  int mode = expansion->study->config.grid_mode, code = 0;
  if (mode == PLM_GRID_ISOFLOP) {
    for (size_t i = 0; i < expansion->budget_count && code == 0; i++)
      code = add_budget(expansion, expansion->budgets[i], err);
    return code;
  }
  for (size_t i = 0; i < expansion->size_count; i++)
    for (size_t j = 0; j < expansion->token_count && code == 0; j++)
      if (mode == PLM_GRID_GRID || i == j)
        code = add_cells(expansion, expansion->sizes[i], expansion->tokens[j], 0, err);
  return code;
}

/* The runs of lr = sweep; they count as cells. */
static int add_sweeps(struct expansion *expansion, struct plm_error *err) {
  const struct plm_study *study = expansion->study;
  if (expansion->rates.kind != PLM_RATES_SWEEP)
    return 0;
  int code = plm_sweep_plan(&expansion->cells, &expansion->cell_count, &study->config, err);
  if (code == 0 && expansion->cell_count > (size_t)study->config.grid_run_cap)
    code = plm_error_set(err, PLM_E_USAGE, "study \"%s\": the grid has %zu cells with its learning-rate sweeps, more than run_cap = %lld",
                         study->path, expansion->cell_count, (long long)study->config.grid_run_cap);
  return code;
}

/* Warm-up of every cell; one whose warm-up in steps leaves nothing of it is refused. */
static int warm_up_cells(struct expansion *expansion, struct plm_error *err) {
  const struct plm_config *config = &expansion->study->config;
  int code = plm_trunk_warm_up(expansion->cells, expansion->cell_count, config, err);
  for (size_t i = 0; i < expansion->cell_count && code == 0; i++) {
    struct plm_cell *cell = &expansion->cells[i];
    int64_t room = config->train_schedule == PLM_SCHEDULE_WSD ? cell->trunk_steps : cell->steps;
    if (cell->refused || config->train_warmup_steps <= room)
      continue;
    cell->refused = plm_memory_format("its %lld steps%s are fewer than warmup_steps = %lld", (long long)room,
                                      room < cell->steps ? " before the cooldown" : "",
                                      (long long)config->train_warmup_steps);
    if (!cell->refused)
      code = plm_error_memory(err, "planning cells");
  }
  return code;
}

static int name_cells(struct expansion *expansion, const char *corpus_digest, struct plm_error *err) {
  for (size_t i = 0; i < expansion->cell_count; i++) {
    struct plm_cell *cell = &expansion->cells[i];
    json_t *json = plm_study_cell_json(expansion->study, cell, corpus_digest);
    char *text = json ? json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(json);
    if (!text)
      return plm_error_memory(err, "planning cells");
    char hash[PLM_HASH_TEXT];
    plm_hash_text(hash, text, strlen(text));
    free(text);
    memcpy(cell->id, hash, PLM_CELL_ID - 1);
    cell->id[PLM_CELL_ID - 1] = 0;
  }
  return 0;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_cells(const void *left, const void *right) {
  const struct plm_cell *a = left, *b = right;
  int order = COMPARE(a->flops_6nd, b->flops_6nd);
  if (order == 0)
    order = COMPARE(a->n_layers_only, b->n_layers_only);
  if (order == 0)
    order = COMPARE(a->seed, b->seed);
  if (order == 0)
    order = strcmp(a->id, b->id);
  return order ? order : COMPARE(a->budget, b->budget);
}

/* Cells of one id are neighbours after sorting; the first stays. */
static void merge_cells(struct expansion *expansion) {
  size_t kept = 0;
  for (size_t i = 0; i < expansion->cell_count; i++) {
    if (kept > 0 && strcmp(expansion->cells[kept - 1].id, expansion->cells[i].id) == 0)
      free(expansion->cells[i].refused);
    else
      expansion->cells[kept++] = expansion->cells[i];
  }
  expansion->cell_count = kept;
}

int plm_study_expand(struct plm_study *study, const char *corpus_digest, int64_t corpus_tokens, struct plm_error *err) {
  struct expansion expansion = {.study = study, .corpus_tokens = corpus_tokens};
  int code = read_lists(&expansion, err);
  if (code)
    goto out;
  double planned = planned_cells(&expansion);
  if (planned > (double)study->config.grid_run_cap) {
    code = plm_error_set(err, PLM_E_USAGE, "study \"%s\": the grid has %.0f cells, more than run_cap = %lld",
                         study->path, planned, (long long)study->config.grid_run_cap);
    goto out;
  }
  expansion.cells = plm_memory_zeroed((size_t)planned, sizeof *expansion.cells);
  if (!expansion.cells) {
    code = plm_error_memory(err, "planning cells");
    goto out;
  }
  if ((code = add_all(&expansion, err)) || (code = add_sweeps(&expansion, err)) || (code = warm_up_cells(&expansion, err)) ||
      (code = name_cells(&expansion, corpus_digest, err)))
    goto out;
  qsort(expansion.cells, expansion.cell_count, sizeof *expansion.cells, compare_cells);
  merge_cells(&expansion);
  if ((code = plm_trunk_link(expansion.cells, expansion.cell_count, err)))
    goto out;
  release_cells(study->cells, study->cell_count);
  study->cells = expansion.cells;
  study->cell_count = expansion.cell_count;
  expansion.cells = NULL;
  expansion.cell_count = 0;
out:
  release_cells(expansion.cells, expansion.cell_count);
  plm_rates_fini(&expansion.rates);
  free(expansion.sizes);
  free(expansion.tokens);
  free(expansion.budgets);
  free(expansion.seeds);
  return code;
}

int plm_study_cell(struct plm_cell **out, struct plm_study *study, const char *id, struct plm_error *err) {
  struct plm_cell *found = NULL;
  size_t length = strlen(id);
  if (length < ID_PREFIX_MIN)
    return plm_error_set(err, PLM_E_USAGE, "cell \"%s\": at least %d digits of its id are needed", id, ID_PREFIX_MIN);
  for (size_t i = 0; i < study->cell_count; i++) {
    if (strncmp(study->cells[i].id, id, length) != 0)
      continue;
    if (found)
      return plm_error_set(err, PLM_E_USAGE, "cell \"%.16s\": %s and %s both begin so, give more digits", id, found->id,
                           study->cells[i].id);
    found = &study->cells[i];
  }
  if (!found)
    return plm_error_set(err, PLM_E_USAGE, "cell \"%.40s\": not among the %zu cells of \"%s\" (see `plmscale plan`)",
                         id, study->cell_count, study->path);
  *out = found;
  return 0;
}
