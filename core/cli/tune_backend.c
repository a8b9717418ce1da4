#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "check/tune.h"
#include "cli/cli.h"
#include "model/distinct.h"
#include "runtime/session.h"
#include "train/opening.h"
#include "train/prepare.h"

#define SHAPE_MAX 64
#define UNSTEADY 0.3 /* spread of a time that should make one look at what else runs */
#define THREADS_MAX 4096

enum option_key { KEY_BATCH = 1000, KEY_LENGTH, KEY_MICRO, KEY_MASK, KEY_SECONDS, KEY_PROFILE };

struct request {
  const char *backend, *study;
  struct plm_shape shapes[SHAPE_MAX];
  uint32_t shape_count;
  const char **settings; /* room for as many as there are arguments */
  size_t setting_count;
  int64_t threads, batch_tokens, length_max, micro_tokens;
  double mask_rate, seconds;
  const char *profile;
  int dry_run;
};

static const struct argp_option options[] = {
    {"shape", 's', "LxDxH[,..]", 0, "Layers x width x heads, instead of a study; a list, or more than once", 0},
    {"batch-tokens", KEY_BATCH, "N", 0, "Tokens per optimizer step, with --shape (8192)", 0},
    {"length-max", KEY_LENGTH, "N", 0, "Longest sequence with <cls> and <eos>, with --shape (1024)", 0},
    {"micro-tokens", KEY_MICRO, "N", 0, "Tokens per micro-batch, with --shape; 0: by the device's cache (0)", 0},
    {"threads", 't', "N", 0, "CPU threads (default: all cores)", 1},
    {"set", 'S', "NAME.KEY=VALUE", 0, "One setting of the backend, as in [backend NAME]; may be given more than once", 1},
    {"seconds", KEY_SECONDS, "S", 0, "Time for timing, all ops together; the comparison with the reference comes on top (60)", 2},
    {"profile", KEY_PROFILE, "PATH", 0, "Write the choices there, instead of the user's own profile", 2},
    {"dry-run", 'n', NULL, 0, "Choose nothing, write nothing", 2},
    {0}};

static void take_shapes(struct request *request, char *text, struct argp_state *state) {
  char *rest = text;
  for (char *part = strsep(&rest, ","); part; part = strsep(&rest, ",")) {
    struct plm_error why = PLM_ERROR_INIT;
    if (request->shape_count == SHAPE_MAX)
      argp_error(state, "--shape: more than %d shapes", SHAPE_MAX);
    if (plm_shape_parse(&request->shapes[request->shape_count++], part, &why))
      argp_error(state, "--shape: %s", why.text);
  }
}

static void take_integer(int64_t *out, const char *option, const char *text, int64_t least, int64_t most,
                         struct argp_state *state) {
  struct plm_error why = PLM_ERROR_INIT;
  if (plm_number_integer(out, text, &why))
    argp_error(state, "--%s: %s", option, why.text);
  if (*out < least || *out > most)
    argp_error(state, "--%s \"%s\": must be from %lld to %lld", option, text, (long long)least, (long long)most);
}

static error_t take_argument(int key, char *text, struct argp_state *state) {
  struct request *request = state->input;
  switch (key) {
  case 's':
    take_shapes(request, text, state);
    return 0;
  case KEY_BATCH:
    take_integer(&request->batch_tokens, "batch-tokens", text, 8, 1000000000, state);
    return 0;
  case KEY_LENGTH:
    take_integer(&request->length_max, "length-max", text, 8, 65536, state);
    return 0;
  case KEY_MICRO:
    take_integer(&request->micro_tokens, "micro-tokens", text, 0, 1000000000, state);
    return 0;
  case 't':
    take_integer(&request->threads, "threads", text, 1, THREADS_MAX, state);
    return 0;
  case 'S':
    request->settings[request->setting_count++] = text;
    return 0;
  case KEY_SECONDS:
    if (plm_number_real(&request->seconds, text, NULL) || request->seconds <= 0)
      argp_error(state, "--seconds \"%s\": must be a number above 0", text);
    return 0;
  case KEY_PROFILE:
    request->profile = text;
    return 0;
  case 'n':
    request->dry_run = 1;
    return 0;
  case ARGP_KEY_ARG:
    if (request->backend && request->study)
      return ARGP_ERR_UNKNOWN;
    *(request->backend ? &request->study : &request->backend) = text;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp argp = {
    options,
    take_argument,
    "BACKEND[:DEVICE] [STUDY.ini]",
    "Choose among a backend's implementations of matrix products and attention: every one is compared with the reference, those "
    "that are right are timed on the shapes of a study, and the fastest is kept in the backend's profile, which runs on "
    "this device and driver then use.\v"
    "Example: plmscale tune opencl:0 study.ini --seconds 120\n"
    "Exit codes: 0 chosen, 1 failed or an op has no right implementation, 2 usage, or the backend has nothing to choose. "
    "docs/tune.md says more.",
    NULL,
    NULL,
    NULL};

/* ------------------------------------------------------------ what to tune for */

struct tune {
  struct request *request;
  struct plm_study *study; /* NULL with --shape: settings alone */
  struct plm_plugin *plugin, *oracle;
  struct plm_device_info info;
  struct plm_side tested, reference;
  const struct plm_kernels_extension *kernels;
  struct plm_tuning tuning;
};

/* The distinct shapes of a study, and what its batches are like. */
static int read_study(struct tune *tune, struct plm_error *err) {
  struct request *request = tune->request;
  const struct plm_config *config = &tune->study->config;
  int code = plm_study_expand(tune->study, "", 0, err);
  for (size_t i = 0; i < tune->study->cell_count && !code; i++) {
    const struct plm_shape *shape = &tune->study->cells[i].shape;
    uint32_t known = 0;
    while (known < request->shape_count && memcmp(&request->shapes[known], shape, sizeof *shape))
      known++;
    if (known < request->shape_count)
      continue;
    if (request->shape_count == SHAPE_MAX)
      return plm_error_set(err, PLM_E_USAGE, "study \"%s\": more than %d shapes; tune some of them with --shape",
                           request->study, SHAPE_MAX);
    request->shapes[request->shape_count++] = *shape;
  }
  request->batch_tokens = config->train_batch_tokens;
  request->length_max = config->data_length_max;
  request->micro_tokens = config->run_micro_tokens;
  request->mask_rate = config->data_mask_rate;
  return code;
}

static int query(void *context, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  const struct plm_side *side = context;
  return side->backend->op_query(side->device, op, out, err);
}

/* The ops that one shape's programs have on this device. */
static int add_shape(struct tune *tune, struct plm_shape shape, struct plm_error *err) {
  const struct request *request = tune->request;
  const struct plm_optimizer optimizer = {0.9f, 0.98f, 1e-8f, 0.01f, 1};
  uint32_t length_max = (uint32_t)request->length_max, tokens = (uint32_t)request->micro_tokens;
  struct plm_model model;
  struct plm_distinct distinct;
  if (!tokens)
    tokens = plm_session_micro(&tune->info, shape, length_max, (uint32_t)request->batch_tokens);
  if (tokens < length_max)
    tokens = length_max;
  const struct plm_capacity capacity = plm_session_capacity(tokens, length_max);
  int code = plm_model_init(&model, shape, (struct plm_scaling){0}, &capacity, &optimizer, 16, query, &tune->tested, err);
  if (code)
    return code;
  code = plm_distinct_init(&distinct, &model, (uint32_t)(request->mask_rate * tokens) + 1, err);
  for (uint32_t i = 0; i < distinct.count && !code; i++)
    code = plm_tuning_add(&tune->tuning, &distinct.ops[i], distinct.uses[i], err);
  plm_distinct_fini(&distinct);
  plm_model_fini(&model);
  return code;
}

static int open_sides(struct tune *tune, struct plm_error *err) {
  struct request *request = tune->request;
  uint32_t device = 0;
  char *path = NULL;
  int code = plm_opening_load(&tune->plugin, &device, request->backend, tune->study, (uint32_t)request->threads, err);
  if (code || (code = plm_plugin_describe(&tune->info, tune->plugin, device, err)))
    return code;
  tune->kernels = tune->plugin->bare.extension(PLM_KERNELS_EXTENSION, PLM_KERNELS_VERSION);
  if (!tune->kernels)
    return plm_error_set(err, PLM_E_USAGE, "backend \"%s\" has one implementation of every op: there is nothing to tune",
                         tune->plugin->card->name);
  if ((code = plm_plugin_resolve(&path, "reference", err)) ||
      (code = plm_plugin_load(&tune->oracle, path, NULL, 0, 1, err)) ||
      (code = plm_side_open(&tune->reference, &tune->oracle->bare, 0, err)))
    goto out;
  code = plm_side_open(&tune->tested, &tune->plugin->bare, device, err);
out:
  free(path);
  return code;
}

/* ------------------------------------------------------------ what came of it */

static void show_progress(void *context, const struct plm_tuning *tuning, uint32_t number, uint32_t op) {
  char text[2 * PLM_OP_TEXT + 64], title[PLM_OP_TEXT], shape[PLM_OP_TEXT];
  (void)context;
  plm_op_title(title, &tuning->ops[op].op);
  plm_op_shape(shape, &tuning->ops[op].op);
  snprintf(text, sizeof text, "tuning %u of %u: %s %s", number + 1, tuning->count, title, shape);
  plm_log_progress(text, 0);
}

static const char *note_of(const struct plm_tune_op *t, uint32_t which) {
  const struct plm_tune_candidate *candidate = &t->candidates[which];
  if (candidate->state == PLM_TUNE_WRONG || candidate->state == PLM_TUNE_FAILED)
    return candidate->state == PLM_TUNE_WRONG ? "wrong" : "failed";
  if (which == t->winner)
    return which == t->standard ? "chosen, as before" : "chosen";
  return which == t->standard ? "before" : "";
}

static void print_candidate(const struct plm_tune_op *t, uint32_t which) {
  const struct plm_tune_candidate *candidate = &t->candidates[which];
  char name[2 * PLM_OP_TEXT + 4] = "", title[PLM_OP_TEXT], shape[PLM_OP_TEXT], time[24] = "-", rate[24] = "-";
  const char *note = note_of(t, which);
  if (which == 0) {
    plm_op_title(title, &t->op);
    plm_op_shape(shape, &t->op);
    snprintf(name, sizeof name, "%s %s", title, shape);
  }
  if (candidate->seconds > 0) {
    snprintf(time, sizeof time, "%.3f", candidate->seconds * 1e3);
    snprintf(rate, sizeof rate, "%.1f", t->flops / candidate->seconds / 1e9);
  }
  printf("| %-52s | %-36s | %9s | %8s | %s%s%s |\n", name, candidate->name, time, rate, note, candidate->text[0] ? ": " : "",
         candidate->text);
}

/* Seconds of all ops of the programs with an implementation each; NaN where one was not timed. */
static double sum_of(const struct plm_tuning *tuning, int tuned) {
  double sum = 0;
  for (uint32_t i = 0; i < tuning->count; i++) {
    const struct plm_tune_op *t = &tuning->ops[i];
    const uint32_t which = tuned && t->winner < t->count ? t->winner : t->standard;
    sum += t->candidates[which].seconds > 0 ? t->uses * t->candidates[which].seconds : NAN;
  }
  return sum;
}

/* The table; *unfit: how many ops have no right implementation. */
static void print_tuning(const struct tune *tune, uint32_t *unfit) {
  const struct plm_tuning *tuning = &tune->tuning;
  double before = sum_of(tuning, 0), after = sum_of(tuning, 1);
  uint32_t changed = 0, wrong = 0, unsteady = 0;
  *unfit = 0;
  printf("| %-52s | %-36s | %9s | %8s | note |\n", "op and shape", "implementation", "ms", "GFLOP/s");
  puts("|:-----------------------------------------------------|:-------------------------------------|----------:|---------:|:-----|");
  for (uint32_t i = 0; i < tuning->count; i++) {
    const struct plm_tune_op *t = &tuning->ops[i];
    for (uint32_t which = 0; which < t->count; which++) {
      print_candidate(t, which);
      wrong += t->candidates[which].state == PLM_TUNE_WRONG;
    }
    changed += t->winner < t->count && t->winner != t->standard;
    *unfit += t->winner == t->count;
    unsteady += t->winner < t->count && t->candidates[t->winner].spread > UNSTEADY;
  }
  printf("\n%u ops, %u with another implementation than before (%s), %u implementations wrong", tuning->count, changed,
         tune->kernels->source(tune->tested.device), wrong);
  if (isfinite(before) && isfinite(after))
    printf("; matrix ops of all programs, one micro-batch each: %.1f ms before, %.1f ms now", before * 1e3, after * 1e3);
  putchar('\n');
  if (unsteady)
    printf("The times of %u ops vary by more than %.0f %% from round to round: is the device busy?\n", unsteady, 100 * UNSTEADY);
}

static int conclude(struct tune *tune, struct plm_error *err) {
  const char *used = NULL;
  uint32_t unfit = 0;
  print_tuning(tune, &unfit);
  if (unfit)
    return plm_error_set(err, PLM_E_WRONG, "%u ops have no implementation that is right on \"%s\": nothing is kept, do not train there",
                         unfit, tune->info.name);
  if (tune->request->dry_run) {
    puts("Nothing is kept (--dry-run).");
    return 0;
  }
  int code = tune->kernels->save(tune->tested.device, tune->request->profile, &used, err);
  if (!code)
    printf("Kept in %s\n", used);
  return code;
}

static int tune_backend(struct tune *tune, struct plm_error *err) {
  int code = open_sides(tune, err);
  if (!code && tune->request->study)
    code = read_study(tune, err);
  for (uint32_t i = 0; i < tune->request->shape_count && !code; i++)
    code = add_shape(tune, tune->request->shapes[i], err);
  const struct plm_tune_options how = {.tested = &tune->tested,
                                       .kernels = tune->kernels,
                                       .reference = &tune->reference,
                                       .seconds = tune->request->seconds,
                                       .progress = show_progress};
  if (!code)
    code = plm_tune_run(&tune->tuning, &how, err);
  plm_log_progress(NULL, 1);
  return code ? code : conclude(tune, err);
}

static int check_request(const struct request *request, struct plm_error *err) {
  if (!request->backend)
    return plm_error_set(err, PLM_E_USAGE, "which backend? (plmscale tune BACKEND[:DEVICE] STUDY.ini; see `plmscale backends`)");
  if (!request->study == !request->shape_count)
    return plm_error_set(err, PLM_E_USAGE, "%s of a study and --shape must be given: what to tune for",
                         request->study ? "only one" : "one");
  if (request->batch_tokens < request->length_max)
    return plm_error_set(err, PLM_E_USAGE, "--batch-tokens %lld: fewer than --length-max %lld",
                         (long long)request->batch_tokens, (long long)request->length_max);
  return 0;
}

static void tune_close(struct tune *tune) {
  plm_tuning_fini(&tune->tuning);
  plm_side_close(&tune->tested);
  plm_side_close(&tune->reference);
  plm_plugin_destroy(tune->plugin);
  plm_plugin_destroy(tune->oracle);
  plm_study_destroy(tune->study);
}

int plm_cli_tune(int argc, char **argv, struct plm_error *err) {
  struct request request = {.batch_tokens = 8192, .length_max = 1024, .mask_rate = 0.15, .seconds = 60};
  struct tune tune = {.request = &request};
  request.settings = plm_memory_zeroed((size_t)argc, sizeof *request.settings);
  int code = request.settings ? 0 : plm_error_memory(err, "reading the arguments");
  if (!code)
    code = plm_cli_parse(&argp, argc, argv, &request, err);
  if (!code)
    code = check_request(&request, err);
  if (!code && request.study)
    code = plm_cli_study_read(&tune.study, request.study, err);
  else if (!code && !(tune.study = plm_memory_zeroed(1, sizeof *tune.study)))
    code = plm_error_memory(err, "reading the settings");
  for (size_t i = 0; i < request.setting_count && !code; i++)
    code = plm_prepare_setting(tune.study, request.settings[i], err);
  if (!code)
    code = tune_backend(&tune, err);
  tune_close(&tune);
  free(request.settings);
  return code;
}
