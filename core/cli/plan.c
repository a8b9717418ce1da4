#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "cli/cli.h"
#include "cli/plan_speed.h"
#include "data/corpus.h"
#include "model/program.h"
#include "runtime/session.h"
#include "study/study.h"
#include "study/trunk.h"
#include "train/prepare.h"
#include "train/schedule.h"
#include "train/worker.h"

#define LIST_MAX 256

enum option_key { KEY_JSON = 1000, KEY_NO_MEASURE };

struct request {
  const char *path;
  const char *backends[LIST_MAX], *settings[LIST_MAX];
  size_t backend_count, setting_count;
  int64_t threads; /* 0: not given */
  int json, no_measure;
};

static const struct argp_option options[] = {
    {"backend", 'b', "NAME[:DEVICE]", 0, "Plan for this device instead of the study's; a list, or more than once", 0},
    {"threads", 't', "N", 0, "CPU threads for each running cell (default: [run] threads, or cores / places)", 0},
    {"set", 's', "NAME.KEY=VALUE", 0, "An option of backend NAME; may be given more than once", 0},
    {"no-measure", KEY_NO_MEASURE, NULL, 0,
     "Do not measure any device: no times, memory without workspace and for undivided batches", 0},
    {"json", KEY_JSON, NULL, 0, "Print JSON (schema plmscale.plan/1)", 0},
    {0}};

static void take_text(const char **list, size_t *count, const char *option, const char *text,
                      struct argp_state *state) {
  if (*count == LIST_MAX)
    argp_error(state, "--%s: given more than %d times", option, LIST_MAX);
  list[(*count)++] = text;
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
  struct request *request = state->input;
  switch (key) {
  case 'b':
    take_text(request->backends, &request->backend_count, "backend", text, state);
    return 0;
  case 's':
    take_text(request->settings, &request->setting_count, "set", text, state);
    return 0;
  case 't':
    if (plm_number_integer(&request->threads, text, NULL) || request->threads < 1 || request->threads > 4096)
      argp_error(state, "--threads \"%s\": must be a number from 1 to 4096", text);
    return 0;
  case KEY_NO_MEASURE:
    request->no_measure = 1;
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
    argp_error(state, "which study file? (plmscale plan STUDY.ini)");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp argp = {
    options,
    parse_option,
    "STUDY.ini",
    "Shows every cell of a study before anything is trained: size, tokens, FLOPs, memory, and the time it will take by "
    "a "
    "short measurement on its device. Writes nothing.\v"
    "Shapes are measured in processes of their own, up to 8 on each device; the times of others are interpolated.",
    NULL,
    NULL,
    NULL};

/* What the corpus makes of an average token at the study's length_max. */
struct corpus_means {
  double epoch_tokens, sequences;
  double squares_per_token;  /* sum of squared lengths */
  double residues_per_token; /* what masking can select */
};

/* One cell's forecast. */
struct forecast {
  double flops_exact; /* of all its steps; 0: the cell has no shape */
  double own;         /* the share of its steps that it does itself; the rest are its parent's */
  double seconds;     /* of its own steps; NaN: not known */
  uint64_t memory_bytes;
  int device; /* index, -1: refused */
};

struct plan {
  const struct request *request;
  struct plm_study *study;
  struct plm_corpus *corpus;
  struct corpus_means means;
  double valid_tokens; /* of one evaluation */
  struct plm_plan_device *devices;
  uint32_t device_count;
  struct plm_workers workers; /* the places where cells run */
  uint32_t *places;           /* the device of each worker */
  struct forecast *forecasts; /* one for each cell */
  double seconds;             /* until the last cell is done, NaN: not known */
};

static void plan_fini(struct plan *plan) {
  free(plan->devices);
  free(plan->places);
  plm_workers_fini(&plan->workers);
  free(plan->forecasts);
  plm_corpus_close(plan->corpus);
  plm_study_destroy(plan->study);
}

/* ------------------------------------------------------------------ counts */

static void corpus_take(struct corpus_means *out, const struct plm_corpus *corpus, int64_t length_max) {
  const struct plm_corpus_split *split = &corpus->splits[PLM_SPLIT_TRAIN];
  double tokens = 0, squares = 0;
  for (uint64_t i = 0; i < split->sequences; i++) {
    double length = (double)(split->offsets[i + 1] - split->offsets[i]) + 2;
    length = fmin(length, (double)length_max);
    tokens += length;
    squares += length * length;
  }
  out->epoch_tokens = tokens;
  out->sequences = (double)split->sequences;
  out->squares_per_token = tokens > 0 ? squares / tokens : 0;
  out->residues_per_token = tokens > 0 ? (tokens - 2 * out->sequences) / tokens : 0;
}

/* Exact FLOPs of an average token: those of a batch of a million, divided. */
static double flops_per_token(const struct plan *plan, struct plm_shape shape) {
  const double million = 1e6;
  const struct plm_extents extents = {
      .tokens = (uint32_t)million,
      .masked = (uint32_t)lround(million * plan->means.residues_per_token * plan->study->config.data_mask_rate),
      .length_squares = million * plan->means.squares_per_token};
  return plm_shape_flops(shape, &extents) / million;
}

/* Buffers of a cell but the workspace, with the micro-batch that a session chooses on a device with this cache. */
static uint64_t buffer_bytes(const struct plan *plan, struct plm_shape shape, uint64_t cache_bytes) {
  const struct plm_config *config = &plan->study->config;
  const struct plm_device_info info = {.struct_size = sizeof info, .cache_bytes = cache_bytes};
  uint32_t length_max = (uint32_t)config->data_length_max, tokens = (uint32_t)config->run_micro_tokens;
  if (!tokens)
    tokens = plm_session_micro(&info, shape, length_max, (uint32_t)config->train_batch_tokens);
  if (tokens < length_max)
    tokens = length_max;
  const struct plm_capacity capacity = plm_session_capacity(tokens, length_max);
  return plm_shape_bytes(NULL, shape, &capacity);
}

/* The same and the workspace, which only the backend knows: that of the measured shape next above, or of the largest.
 */
static uint64_t cell_bytes(const struct plan *plan, struct plm_shape shape, const struct plm_plan_device *device) {
  uint64_t bytes = buffer_bytes(plan, shape, device->cache_bytes), without;
  double flops = flops_per_token(plan, shape);
  uint32_t point = 0;
  if (!device->count)
    return bytes;
  while (point + 1 < device->count && device->points[point].shape.flops_per_token < flops)
    point++;
  without = buffer_bytes(plan, device->points[point].shape.shape, device->cache_bytes);
  return bytes + (device->points[point].memory_bytes > without ? device->points[point].memory_bytes - without : 0);
}

/* ----------------------------------------------------------------- devices */

/* Names each device once, and for every worker which it is. */
static int devices_take(struct plan *plan, struct plm_error *err) {
  const struct request *request = plan->request;
  const char *const named[] = {plan->study->config.run_devices};
  int64_t threads = request->threads ? request->threads : plan->study->config.run_threads;
  int code = request->backend_count ? plm_workers_init(&plan->workers, request->backends, request->backend_count, err)
                                    : plm_workers_init(&plan->workers, named, 1, err);
  if (code)
    return code;
  plan->devices = plm_memory_zeroed(plan->workers.count, sizeof *plan->devices);
  plan->places = plm_memory_zeroed(plan->workers.count, sizeof *plan->places);
  if (!plan->devices || !plan->places)
    return plm_error_memory(err, "planning devices");
  for (size_t i = 0; i < plan->workers.count; i++) {
    const char *text = plan->workers.items[i].device;
    uint32_t index = 0;
    while (index < plan->device_count && strcmp(plan->devices[index].text, text) != 0)
      index++;
    if (index == plan->device_count)
      plan->device_count++;
    plan->devices[index].text = text;
    plan->devices[index].threads = threads ? (uint32_t)threads : plm_workers_threads(&plan->workers);
    plan->devices[index].slots++;
    plan->places[i] = index;
  }
  return 0;
}

static int compare_shapes(const void *left, const void *right) {
  const struct plm_plan_shape *a = left, *b = right;
  return (a->flops_per_token > b->flops_per_token) - (a->flops_per_token < b->flops_per_token);
}

/* The shapes of all cells that run, ascending, each cost once; *out is owned by the caller. */
static int shapes_take(struct plm_plan_shape **out, size_t *count, const struct plan *plan, struct plm_error *err) {
  const struct plm_study *study = plan->study;
  struct plm_plan_shape *shapes = plm_memory_zeroed(study->cell_count, sizeof *shapes);
  size_t found = 0, kept = 0;
  if (!shapes)
    return plm_error_memory(err, "planning cells");
  for (size_t i = 0; i < study->cell_count; i++)
    if (!study->cells[i].refused)
      shapes[found++] = (struct plm_plan_shape){study->cells[i].shape, flops_per_token(plan, study->cells[i].shape)};
  qsort(shapes, found, sizeof *shapes, compare_shapes);
  for (size_t i = 0; i < found; i++)
    if (!kept || shapes[kept - 1].flops_per_token < shapes[i].flops_per_token)
      shapes[kept++] = shapes[i];
  *out = shapes;
  *count = kept;
  return 0;
}

static int devices_measure(struct plan *plan, struct plm_error *err) {
  struct plm_plan_shape *shapes = NULL;
  size_t count = 0;
  int code = shapes_take(&shapes, &count, plan, err);
  if (code)
    return code;
  for (uint32_t i = 0; i < plan->device_count && !code; i++) {
    struct plm_plan_device *device = &plan->devices[i];
    char text[200];
    snprintf(text, sizeof text, "measuring %.100s", device->text);
    plm_log_progress(text, 0);
    code = plm_plan_measure(device, plan->study, shapes, count, err);
    plm_log_progress(NULL, 1);
    if (!code && *device->reason)
      plm_log(PLM_LOG_WARN, "device \"%s\": %s: %s", device->text,
              device->count ? "not every shape was measured" : "no time can be told", device->reason);
  }
  free(shapes);
  return code;
}

/* --------------------------------------------------------------- forecasts */

/* Training and the evaluations on the way, which run forward only: a third of the work. */
static double cell_seconds(const struct plan *plan, const struct plm_cell *cell, const struct plm_plan_device *device) {
  double rate = plm_plan_tokens_per_s(device, flops_per_token(plan, cell->shape));
  int64_t shared = plm_trunk_shared(plan->study, cell);
  double evaluated = plan->valid_tokens * (double)plm_schedule_evaluations(&plan->study->config, cell, shared);
  double own = (double)(cell->steps - shared) / (double)cell->steps;
  return rate > 0 ? (own * (double)cell->tokens + evaluated / 3) / rate : NAN;
}

/* When each place is free, and when each cell's trunk is grown: for longer cells of it, they can begin then. */
struct schedule {
  double *free_at, *grown_at; /* grown_at: infinite before the cell has a place */
};

/* The next cell that `run` would start at a place: the first in order that is not held up by its trunk at that time, or else the
 * first to be free of it. */
static size_t next_cell(const struct plan *plan, const struct schedule *schedule, double time, double *start) {
  const struct plm_study *study = plan->study;
  size_t best = study->cell_count;
  *start = INFINITY;
  for (size_t i = 0; i < study->cell_count && *start > time; i++) {
    const struct plm_cell *cell = &study->cells[i];
    double at = plm_trunk_shared(study, cell) ? fmax(time, schedule->grown_at[cell->parent]) : time;
    if (plan->forecasts[i].device >= 0 || cell->refused || at >= *start)
      continue;
    best = i;
    *start = at;
  }
  return best;
}

static void place_cell(struct plan *plan, struct schedule *schedule, size_t index, size_t place, double start) {
  const struct plm_cell *cell = &plan->study->cells[index];
  struct forecast *forecast = &plan->forecasts[index];
  const struct plm_plan_device *device = &plan->devices[plan->places[place]];
  int64_t shared = plm_trunk_shared(plan->study, cell);
  forecast->device = (int)plan->places[place];
  forecast->own = (double)(cell->steps - shared) / (double)cell->steps;
  forecast->memory_bytes = cell_bytes(plan, cell->shape, device);
  forecast->seconds = cell_seconds(plan, cell, device);
  double seconds = isnan(forecast->seconds) ? 0 : forecast->seconds;
  double trunk = cell->steps > shared ? (double)(cell->trunk_steps - shared) / (double)(cell->steps - shared) : 0;
  schedule->grown_at[index] = start + seconds * fmax(trunk, 0);
  schedule->free_at[place] = start + seconds;
  plan->seconds = isnan(plan->seconds) || isnan(forecast->seconds) ? NAN : fmax(plan->seconds, start + seconds);
}

/* Cells to places as `run` starts them. */
static int forecast_all(struct plan *plan, struct plm_error *err) {
  const struct plm_study *study = plan->study;
  struct schedule schedule = {plm_memory_zeroed(plan->workers.count, sizeof(double)),
                              plm_memory_zeroed(study->cell_count, sizeof(double))};
  size_t left = 0;
  plan->forecasts = plm_memory_zeroed(study->cell_count, sizeof *plan->forecasts);
  int code = schedule.free_at && schedule.grown_at && plan->forecasts ? 0 : plm_error_memory(err, "planning cells");
  plan->seconds = 0;
  for (size_t i = 0; i < study->cell_count && !code; i++) {
    const struct plm_cell *cell = &study->cells[i];
    plan->forecasts[i] = (struct forecast){.seconds = NAN, .device = -1};
    schedule.grown_at[i] = INFINITY;
    if (cell->shape.layers) {
      plan->forecasts[i].flops_exact = flops_per_token(plan, cell->shape) * (double)cell->tokens;
      plan->forecasts[i].memory_bytes = cell_bytes(plan, cell->shape, &plan->devices[0]);
    }
    left += !cell->refused;
  }
  for (; left > 0 && !code; left--) {
    size_t place = 0;
    double start;
    for (size_t other = 1; other < plan->workers.count; other++)
      place = schedule.free_at[other] < schedule.free_at[place] ? other : place;
    size_t index = next_cell(plan, &schedule, schedule.free_at[place], &start);
    place_cell(plan, &schedule, index, place, start);
  }
  free(schedule.free_at);
  free(schedule.grown_at);
  return code;
}

struct totals {
  size_t cells, refused;
  double tokens, flops_6nd, flops_exact;
  double saved_6nd, saved_exact; /* by steps that are done once for several cells */
  uint64_t memory_bytes; /* of the largest cell */
};

static struct totals totals_of(const struct plan *plan) {
  struct totals totals = {0};
  for (size_t i = 0; i < plan->study->cell_count; i++) {
    const struct plm_cell *cell = &plan->study->cells[i];
    const struct forecast *forecast = &plan->forecasts[i];
    if (cell->refused) {
      totals.refused++;
      continue;
    }
    totals.cells++;
    totals.tokens += (double)cell->tokens;
    totals.flops_6nd += cell->flops_6nd;
    totals.flops_exact += forecast->flops_exact;
    totals.saved_6nd += (1 - forecast->own) * cell->flops_6nd;
    totals.saved_exact += (1 - forecast->own) * forecast->flops_exact;
    if (forecast->memory_bytes > totals.memory_bytes)
      totals.memory_bytes = forecast->memory_bytes;
  }
  return totals;
}

/* -------------------------------------------------------------------- JSON */

static json_t *real_or_null(double value, int known) {
  return known && isfinite(value) ? json_real(value) : json_null();
}

static json_t *count_or_null(uint64_t value) { return value ? json_integer((json_int_t)value) : json_null(); }

static json_t *cell_json(const struct plan *plan, size_t index) {
  const struct plm_cell *cell = &plan->study->cells[index];
  const struct forecast *forecast = &plan->forecasts[index];
  const char *device = forecast->device >= 0 ? plan->devices[forecast->device].text : NULL;
  double epochs = plan->means.epoch_tokens > 0 ? (double)cell->tokens / plan->means.epoch_tokens : NAN;
  return json_pack("{s:s, s:o, s:o, s:o, s:I, s:o, s:o, s:I, s:f, s:o, s:I, s:o, s:o, s:o, s:f, s:I, s:o, s:s?, s:s?, s:I, s:s?}",
                   "id", cell->id, "layers", count_or_null(cell->shape.layers), "width",
                   count_or_null(cell->shape.width), "heads", count_or_null(cell->shape.heads), "n_layers_only",
                   (json_int_t)cell->n_layers_only, "n_with_head", count_or_null((uint64_t)cell->n_with_head),
                   "n_total", count_or_null((uint64_t)cell->n_total), "tokens", (json_int_t)cell->tokens, "flops_6nd",
                   cell->flops_6nd, "flops_exact", real_or_null(forecast->flops_exact, forecast->flops_exact > 0),
                   "steps", (json_int_t)cell->steps, "seconds", real_or_null(forecast->seconds, 1), "memory_bytes",
                   count_or_null(forecast->memory_bytes), "budget", real_or_null(cell->budget, cell->budget > 0), "lr",
                   cell->lr, "seed", (json_int_t)cell->seed, "epochs", real_or_null(epochs, 1), "device", device,
                   "refused", cell->refused, "steps_shared", (json_int_t)plm_trunk_shared(plan->study, cell), "parent",
                   cell->parent == PLM_NO_CELL ? NULL : plan->study->cells[cell->parent].id);
}

static json_t *device_json(const struct plm_plan_device *device) {
  json_t *points = json_array();
  for (uint32_t i = 0; i < device->count && points; i++) {
    char shape[PLM_SHAPE_TEXT];
    plm_shape_text(shape, device->points[i].shape.shape);
    if (json_array_append_new(points, json_pack("{s:s, s:f, s:f}", "shape", shape, "flops_per_token",
                                                device->points[i].shape.flops_per_token, "tokens_per_s",
                                                device->points[i].tokens_per_s))) {
      json_decref(points);
      return NULL;
    }
  }
  return json_pack("{s:s, s:i, s:i, s:s?, s:o}", "device", device->text, "slots", (int)device->slots, "threads",
                   (int)device->threads, "reason", *device->reason ? device->reason : NULL, "measured", points);
}

/* Fills array; -1 without memory. */
static int json_fill(json_t *cells, json_t *devices, const struct plan *plan) {
  for (size_t i = 0; i < plan->study->cell_count; i++)
    if (json_array_append_new(cells, cell_json(plan, i)))
      return -1;
  for (uint32_t i = 0; i < plan->device_count; i++)
    if (json_array_append_new(devices, device_json(&plan->devices[i])))
      return -1;
  return 0;
}

static json_t *plan_json(const struct plan *plan) {
  struct totals totals = totals_of(plan);
  json_t *cells = json_array(), *devices = json_array();
  if (!cells || !devices || json_fill(cells, devices, plan)) {
    json_decref(cells);
    json_decref(devices);
    return NULL;
  }
  return json_pack("{s:s, s:s, s:{s:s, s:s, s:f, s:f, s:f}, s:o, s:o, s:{s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o}}", "schema",
                   "plmscale.plan/1", "study", plan->study->path, "corpus", "path", plan->study->corpus, "digest",
                   plan->corpus->digest, "train_sequences", plan->means.sequences, "train_tokens",
                   plan->means.epoch_tokens, "squares_per_token", plan->means.squares_per_token, "devices", devices,
                   "cells", cells, "totals", "cells", (json_int_t)totals.cells, "refused", (json_int_t)totals.refused,
                   "tokens", totals.tokens, "flops_6nd", totals.flops_6nd, "flops_exact", totals.flops_exact,
                   "flops_6nd_saved", totals.saved_6nd, "flops_exact_saved", totals.saved_exact, "seconds",
                   real_or_null(plan->seconds, 1));
}

/* ------------------------------------------------------------------- table */

static const char *short_text(char out[24], double value) {
  plm_number_short(out, 24, value);
  return out;
}

static void print_cell(const struct plan *plan, size_t index) {
  const struct plm_cell *cell = &plan->study->cells[index];
  const struct forecast *forecast = &plan->forecasts[index];
  char shape[PLM_SHAPE_TEXT], params[24], tokens[24], epochs[24], memory[24], time[24] = "-";
  plm_shape_text(shape, cell->shape);
  plm_number_bytes(memory, sizeof memory, forecast->memory_bytes);
  if (isfinite(forecast->seconds))
    plm_number_duration(time, sizeof time, forecast->seconds);
  printf("%-16s  %-11s  %7s  %7s  %8.2e  %8.2e  %9lld  %7s  %8.2g  %4llu  %9s  %11s", cell->id, shape,
         short_text(params, (double)cell->n_layers_only), short_text(tokens, (double)cell->tokens), cell->flops_6nd,
         forecast->flops_exact, (long long)cell->steps,
         short_text(epochs, (double)cell->tokens / plan->means.epoch_tokens), cell->lr, (unsigned long long)cell->seed,
         memory, time);
  if (plan->device_count > 1)
    printf("  %s", plan->devices[forecast->device].text);
  putchar('\n');
}

static void print_refused(const struct plan *plan) {
  for (size_t i = 0; i < plan->study->cell_count; i++) {
    const struct plm_cell *cell = &plan->study->cells[i];
    char shape[PLM_SHAPE_TEXT] = "no shape", params[24], tokens[24];
    if (!cell->refused)
      continue;
    if (cell->shape.layers)
      plm_shape_text(shape, cell->shape);
    printf("%-16s  %-11s  %7s  %7s  refused: %s\n", cell->id, shape, short_text(params, (double)cell->n_layers_only),
           short_text(tokens, (double)cell->tokens), cell->refused);
  }
}

static void print_devices(const struct plan *plan) {
  for (uint32_t i = 0; i < plan->device_count; i++) {
    const struct plm_plan_device *device = &plan->devices[i];
    printf("On %s: %u cell%s at a time, %u thread%s each, ", device->text, device->slots, device->slots == 1 ? "" : "s",
           device->threads, device->threads == 1 ? "" : "s");
    if (device->count)
      printf("%u shape%s measured.\n", device->count, device->count == 1 ? "" : "s");
    else
      puts(plan->request->no_measure ? "not measured." : "could not be measured.");
  }
}

static void print_footer(const struct plan *plan) {
  struct totals totals = totals_of(plan);
  char tokens[24], corpus[24], memory[24], wall[24];
  plm_number_bytes(memory, sizeof memory, totals.memory_bytes);
  printf("\n%zu cell%s to train", totals.cells, totals.cells == 1 ? "" : "s");
  if (totals.refused)
    printf(", %zu refused", totals.refused);
  printf(": %s tokens in all, %.2e FLOP by 6ND, %.2e with attention and head counted exactly.\n",
         short_text(tokens, totals.tokens), totals.flops_6nd, totals.flops_exact);
  if (totals.saved_exact > 0)
    printf("Shared trunks save %.2e FLOP by 6ND, %.2e exactly (%.0f %%): TIME is of a cell's own steps.\n",
           totals.saved_6nd, totals.saved_exact, 100 * totals.saved_exact / totals.flops_exact);
  printf("The training split has %s tokens (%.0f sequences) when cropped to %lld.\n",
         short_text(corpus, plan->means.epoch_tokens), plan->means.sequences,
         (long long)plan->study->config.data_length_max);
  print_devices(plan);
  if (isfinite(plan->seconds)) {
    plm_number_duration(wall, sizeof wall, plan->seconds);
    printf("The whole study takes about %s", wall);
  } else {
    printf("How long it takes is not known");
  }
  printf("; the largest cell needs %s on its device.\n", memory);
}

static void print_table(const struct plan *plan) {
  printf("%-16s  %-11s  %7s  %7s  %8s  %8s  %9s  %7s  %8s  %4s  %9s  %11s%s\n", "CELL", "SHAPE", "N", "TOKENS", "C=6ND",
         "C EXACT", "STEPS", "EPOCHS", "LR", "SEED", "MEMORY", "TIME", plan->device_count > 1 ? "  DEVICE" : "");
  for (size_t i = 0; i < plan->study->cell_count; i++)
    if (!plan->study->cells[i].refused)
      print_cell(plan, i);
  print_refused(plan);
  print_footer(plan);
}

/* --------------------------------------------------------------------- run */

static int plan_make(struct plan *plan, struct plm_error *err) {
  int code = plm_cli_study_read(&plan->study, plan->request->path, err);
  for (size_t i = 0; i < plan->request->setting_count && !code; i++)
    code = plm_prepare_setting(plan->study, plan->request->settings[i], err);
  if (!code)
    code = plm_corpus_open(&plan->corpus, plan->study->corpus, err);
  if (code)
    return code;
  const struct plm_config *config = &plan->study->config;
  int64_t valid = plm_corpus_epoch_tokens(plan->corpus, PLM_SPLIT_VALID, config->data_length_max);
  corpus_take(&plan->means, plan->corpus, config->data_length_max);
  plan->valid_tokens = fmin((double)valid, (double)config->evaluate_tokens);
  code = plm_study_expand(plan->study, plan->corpus->digest, (int64_t)plan->means.epoch_tokens, err);
  if (!code)
    code = devices_take(plan, err);
  if (!code && !plan->request->no_measure)
    code = devices_measure(plan, err);
  return code ? code : forecast_all(plan, err);
}

int plm_cli_plan(int argc, char **argv, struct plm_error *err) {
  struct request request = {0};
  struct plan plan = {.request = &request};
  int code = plm_cli_parse(&argp, argc, argv, &request, err);
  if (!code)
    code = plan_make(&plan, err);
  if (!code && request.json)
    code = plm_cli_print_json(plan_json(&plan), err);
  else if (!code)
    print_table(&plan);
  plan_fini(&plan);
  return code;
}
