/* plmscale coordinates: whether what training does to a model depends on its width, for both parametrizations. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "cli/cli.h"
#include "data/corpus.h"
#include "train/coordinates.h"
#include "train/opening.h"
#include "train/prepare.h"

#define SHAPES_MAX 16
#define SETTINGS_MAX 64
#define DOUBLINGS 4 /* widths when no shape is given */
#define TOKENS_USUAL 2048

enum option_key { KEY_STEPS = 1000, KEY_RATE, KEY_SEEDS, KEY_TOKENS, KEY_LIMIT, KEY_JSON };

struct request {
  const char *path, *backend;
  const char *settings[SETTINGS_MAX];
  size_t setting_count;
  struct plm_shape shapes[SHAPES_MAX];
  uint32_t shape_count;
  int64_t steps, seeds, tokens, threads;
  double rate, limit; /* rate 0: the study's */
  int json;
};

static const struct argp_option options[] = {
    {"shape", 's', "LxDxH[,..]", 0, "Models of growing width (default: 2 layers, the base width times 1, 2, 4, 8)", 0},
    {"steps", KEY_STEPS, "N", 0, "Training steps (10)", 0},
    {"rate", KEY_RATE, "R", 0, "Learning rate of all models (what the study gives the narrowest)", 0},
    {"seeds", KEY_SEEDS, "N", 0, "Average over so many seeds (2)", 0},
    {"tokens", KEY_TOKENS, "N", 0, "Tokens of a batch (2048, and at least length_max)", 0},
    {"limit", KEY_LIMIT, "S", 0, "Slopes up to this size are flat (0.25)", 0},
    {"backend", 'b', "NAME[:DEVICE]", 0, "Where to train (default: the first of the study's devices)", 1},
    {"threads", 't', "N", 0, "CPU threads (default: all cores)", 1},
    {"set", 'S', "NAME.KEY=VALUE", 0, "An option of backend NAME; may be given more than once", 1},
    {"json", KEY_JSON, NULL, 0, "Print JSON (schema plmscale.coordinates/1)", 1},
    {0}};

static void take_shapes(struct request *request, char *text, struct argp_state *state) {
  char *rest = text;
  for (char *part = strsep(&rest, ","); part; part = strsep(&rest, ",")) {
    struct plm_error why = PLM_ERROR_INIT;
    if (request->shape_count == SHAPES_MAX)
      argp_error(state, "--shape: more than %d shapes", SHAPES_MAX);
    if (plm_shape_parse(&request->shapes[request->shape_count++], part, &why))
      argp_error(state, "--shape: %s", why.text);
  }
}

static int64_t take_count(const char *option, const char *text, int64_t most, struct argp_state *state) {
  int64_t value = 0;
  if (plm_number_integer(&value, text, NULL) || value < 1 || value > most)
    argp_error(state, "--%s \"%s\": must be a whole number from 1 to %lld", option, text, (long long)most);
  return value;
}

static double take_real(const char *option, const char *text, struct argp_state *state) {
  double value = 0;
  if (plm_number_real(&value, text, NULL) || !(value > 0 && value <= 10))
    argp_error(state, "--%s \"%s\": must be a number above 0, at most 10", option, text);
  return value;
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
  struct request *request = state->input;
  switch (key) {
  case 's':
    take_shapes(request, text, state);
    return 0;
  case KEY_STEPS:
    request->steps = take_count("steps", text, 10000, state);
    return 0;
  case KEY_RATE:
    request->rate = take_real("rate", text, state);
    return 0;
  case KEY_SEEDS:
    request->seeds = take_count("seeds", text, 100, state);
    return 0;
  case KEY_TOKENS:
    request->tokens = take_count("tokens", text, 1 << 20, state);
    return 0;
  case KEY_LIMIT:
    request->limit = take_real("limit", text, state);
    return 0;
  case 'b':
    request->backend = text;
    return 0;
  case 't':
    request->threads = take_count("threads", text, 4096, state);
    return 0;
  case 'S':
    if (request->setting_count == SETTINGS_MAX)
      argp_error(state, "--set: more than %d settings", SETTINGS_MAX);
    request->settings[request->setting_count++] = text;
    return 0;
  case KEY_JSON:
    request->json = 1;
    return 0;
  case ARGP_KEY_ARG:
    if (request->path)
      return ARGP_ERR_UNKNOWN;
    request->path = text;
    return 0;
  case ARGP_KEY_NO_ARGS:
    argp_error(state, "which study file? (plmscale coordinates STUDY.ini)");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp coordinates_argp = {
    options,
    parse_option,
    "STUDY.ini",
    "Trains models of several widths for a few steps, with the study's corpus and optimizer and one learning rate, in the "
    "standard parametrization and in muP, and shows how far the steps moved what the models compute on one batch. Where a "
    "learning rate is to fit all widths, that must not grow or fall with the width. Writes nothing."
    "\vA slope is that of log(change) over log(width). The exit code is 1 when muP is not flat. docs/learning-rate.md explains "
    "the table.",
    NULL,
    NULL,
    NULL};

/* Measurements of one parametrization: geometric means over seeds, and the slopes over width. */
struct table {
  const char *name;
  struct plm_scaling scaling;
  double start[PLM_COORDINATE_COUNT][SHAPES_MAX], change[PLM_COORDINATE_COUNT][SHAPES_MAX];
  double start_slope[PLM_COORDINATE_COUNT], change_slope[PLM_COORDINATE_COUNT];
  double worst; /* of the slopes of the change, by size; infinite when one is not known */
};

struct check {
  const struct request *request;
  struct plm_study *study;
  struct plm_corpus *corpus;
  struct plm_plugin *plugin;
  uint32_t device;
  struct plm_shape shapes[SHAPES_MAX];
  uint32_t count;
  int64_t tokens;
  double rate;
  struct table tables[2];
};

static int choose_shapes(struct check *c, struct plm_error *err) {
  const struct request *request = c->request;
  const struct plm_config *config = &c->study->config;
  uint32_t head = (uint32_t)config->model_head_size;
  uint32_t width = config->model_base_width ? (uint32_t)config->model_base_width : 2 * head;
  c->count = request->shape_count ? request->shape_count : DOUBLINGS;
  if (request->shape_count) {
    memcpy(c->shapes, request->shapes, sizeof c->shapes);
  } else {
    if (width % head)
      return plm_error_set(err, PLM_E_USAGE, "base_width %u is not a multiple of head_size %u: give --shape", width, head);
    for (uint32_t i = 0; i < DOUBLINGS; i++)
      c->shapes[i] = (struct plm_shape){2, width << i, (width << i) / head};
  }
  if (c->count < 2)
    return plm_error_set(err, PLM_E_USAGE, "--shape: at least two models are needed for a slope");
  for (uint32_t i = 1; i < c->count; i++)
    if (c->shapes[i].width <= c->shapes[i - 1].width || c->shapes[i].layers != c->shapes[0].layers)
      return plm_error_set(err, PLM_E_USAGE, "--shape: widths must grow from one model to the next, and layers stay the same");
  return 0;
}

static int check_open(struct check *c, struct plm_error *err) {
  const struct request *request = c->request;
  int code = plm_cli_study_read(&c->study, request->path, err);
  for (size_t i = 0; !code && i < request->setting_count; i++)
    code = plm_prepare_setting(c->study, request->settings[i], err);
  if (code || (code = choose_shapes(c, err)))
    return code;
  const struct plm_config *config = &c->study->config;
  const char *devices = request->backend ? request->backend : config->run_devices;
  char *first = strndup(devices, strcspn(devices, ", "));
  int64_t least = request->tokens ? request->tokens : TOKENS_USUAL;
  c->tokens = least > config->data_length_max ? least : config->data_length_max;
  c->rate = request->rate > 0 ? request->rate
                              : plm_study_peak_rate(config, (double)plm_shape_params_layers(c->shapes[0]));
  c->tables[0] = (struct table){.name = "standard"};
  c->tables[1] = (struct table){.name = "mup", .scaling = plm_scaling_of(config)};
  if (!c->tables[1].scaling.base_width)
    c->tables[1].scaling = (struct plm_scaling){c->shapes[0].width, c->shapes[0].width / c->shapes[0].heads};
  code = first ? plm_corpus_open(&c->corpus, c->study->corpus, err) : plm_error_memory(err, "choosing a device");
  if (!code)
    code = plm_opening_load(&c->plugin, &c->device, first, c->study, (uint32_t)request->threads, err);
  free(first);
  return code;
}

/* A score's log-sum is of second order in weights that begin near 0: its slope is shown, and too noisy to be judged. */
static int judged(int coordinate) { return coordinate != PLM_COORDINATE_SCORES; }

static int measure(struct check *c, struct table *table, uint32_t index, struct plm_error *err) {
  const struct plm_config *config = &c->study->config;
  int64_t seeds = c->request->seeds;
  for (int64_t seed = 1; seed <= seeds; seed++) {
    struct plm_coordinates found;
    const struct plm_coordinate_options measured = {
        .corpus = c->corpus,
        .shape = c->shapes[index],
        .scaling = table->scaling,
        .optimizer = {.beta1 = (float)config->train_beta1,
                      .beta2 = (float)config->train_beta2,
                      .epsilon = (float)config->train_epsilon,
                      .weight_decay = (float)config->train_weight_decay,
                      .clip = (float)config->train_clip},
        .batch = {.seed = (uint64_t)seed,
                  .length_max = config->data_length_max,
                  .batch_tokens = c->tokens,
                  .pool = config->data_pool,
                  .mask_rate = config->data_mask_rate,
                  .mask_token = config->data_mask_token,
                  .mask_random = config->data_mask_random},
        .init_std = config->model_init_std,
        .rate = c->rate,
        .steps = (uint32_t)c->request->steps};
    int code = plm_coordinates_measure(&found, c->plugin, c->device, &measured, err);
    if (code)
      return code;
    for (int k = 0; k < PLM_COORDINATE_COUNT; k++) {
      table->start[k][index] += log(found.start[k]) / (double)seeds;
      table->change[k][index] += log(found.change[k]) / (double)seeds;
    }
  }
  for (int k = 0; k < PLM_COORDINATE_COUNT; k++) {
    table->start[k][index] = exp(table->start[k][index]);
    table->change[k][index] = exp(table->change[k][index]);
  }
  return 0;
}

static int measure_table(struct check *c, struct table *table, struct plm_error *err) {
  double widths[SHAPES_MAX];
  for (uint32_t i = 0; i < c->count; i++) {
    char shape[PLM_SHAPE_TEXT];
    plm_shape_text(shape, c->shapes[i]);
    plm_log(PLM_LOG_INFO, "%s, %s", table->name, shape);
    widths[i] = c->shapes[i].width;
    int code = measure(c, table, i, err);
    if (code)
      return code;
  }
  for (int k = 0; k < PLM_COORDINATE_COUNT; k++) {
    table->start_slope[k] = plm_coordinates_slope(widths, table->start[k], c->count);
    table->change_slope[k] = plm_coordinates_slope(widths, table->change[k], c->count);
    double size = isnan(table->change_slope[k]) ? INFINITY : fabs(table->change_slope[k]);
    if (judged(k) && size > table->worst)
      table->worst = size;
  }
  return 0;
}

static void print_table(const struct check *c, const struct table *table) {
  if (table->scaling.base_width)
    printf("\nmup, base width %u, heads of %u there\n", table->scaling.base_width, table->scaling.base_head_size);
  else
    printf("\n%s\n", table->name);
  printf("  %-18s", "change of");
  for (uint32_t i = 0; i < c->count; i++)
    printf(" %10u", c->shapes[i].width);
  printf(" %10s %10s\n", "slope", "at start");
  for (int k = 0; k < PLM_COORDINATE_COUNT; k++) {
    printf("  %-18s", plm_coordinate_name(k));
    for (uint32_t i = 0; i < c->count; i++)
      printf(" %10.3g", table->change[k][i]);
    printf(" %+10.2f %+10.2f%s\n", table->change_slope[k], table->start_slope[k],
           !judged(k) || fabs(table->change_slope[k]) <= c->request->limit ? "" : "  moves with width");
  }
  printf("  %s\n", table->worst <= c->request->limit ? "flat: one learning rate fits these widths"
                                                     : "not flat: each width needs a learning rate of its own");
}

static json_t *real_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *sizes_json(const double *sizes, uint32_t count) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(array, real_or_null(sizes[i]));
  return array;
}

static json_t *table_json(const struct check *c, const struct table *table) {
  json_t *rows = json_array();
  for (int k = 0; k < PLM_COORDINATE_COUNT; k++)
    json_array_append_new(rows, json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", plm_coordinate_name(k), "start",
                                          sizes_json(table->start[k], c->count), "change",
                                          sizes_json(table->change[k], c->count), "start_slope",
                                          real_or_null(table->start_slope[k]), "change_slope",
                                          real_or_null(table->change_slope[k])));
  return json_pack("{s:s, s:i, s:i, s:b, s:o}", "parametrization", table->name, "base_width",
                   (int)table->scaling.base_width, "base_head_size", (int)table->scaling.base_head_size, "flat",
                   table->worst <= c->request->limit, "coordinates", rows);
}

static json_t *check_json(const struct check *c) {
  json_t *shapes = json_array(), *tables = json_array();
  for (uint32_t i = 0; i < c->count; i++) {
    char shape[PLM_SHAPE_TEXT];
    plm_shape_text(shape, c->shapes[i]);
    json_array_append_new(shapes, json_string(shape));
  }
  for (size_t t = 0; t < 2; t++)
    json_array_append_new(tables, table_json(c, &c->tables[t]));
  return json_pack("{s:s, s:o, s:f, s:I, s:I, s:I, s:f, s:o}", "schema", "plmscale.coordinates/1", "shapes", shapes, "rate",
                   c->rate, "steps", (json_int_t)c->request->steps, "seeds", (json_int_t)c->request->seeds, "tokens",
                   (json_int_t)c->tokens, "limit", c->request->limit, "tables", tables);
}

static int print(const struct check *c, struct plm_error *err) {
  if (c->request->json)
    return plm_cli_print_json(check_json(c), err);
  printf("Root mean square of the change after %lld steps at a learning rate of %.3g, %lld tokens a batch, %lld seeds\n",
         (long long)c->request->steps, c->rate, (long long)c->tokens, (long long)c->request->seeds);
  for (size_t t = 0; t < 2; t++)
    print_table(c, &c->tables[t]);
  return 0;
}

int plm_cli_coordinates(int argc, char **argv, struct plm_error *err) {
  struct request request = {.steps = 10, .seeds = 2, .limit = 0.25};
  struct check check = {.request = &request};
  int code = plm_cli_parse(&coordinates_argp, argc, argv, &request, err);
  if (!code)
    code = check_open(&check, err);
  for (size_t t = 0; !code && t < 2; t++)
    code = measure_table(&check, &check.tables[t], err);
  if (!code)
    code = print(&check, err);
  if (!code && !(check.tables[1].worst <= request.limit))
    code = plm_error_set(err, PLM_E_WRONG, "mup is not flat: a slope of %.2f, more than %.2g", check.tables[1].worst,
                         request.limit);
  plm_plugin_destroy(check.plugin);
  plm_corpus_close(check.corpus);
  plm_study_destroy(check.study);
  return code;
}
