#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "cli/cli.h"
#include "cli/plan.h"
#include "train/prepare.h"
#include "train/sweep.h"

enum option_key { KEY_JSON = 1000, KEY_NO_MEASURE, KEY_CORPUS, KEY_EPOCH, KEY_SHEET, KEY_SHARE };

static const struct argp_option options[] = {
    {"backend", 'b', "NAME[:DEVICE]", 0, "Plan for this device instead of the study's; a list, or more than once", 0},
    {"threads", 't', "N", 0, "CPU threads for each running cell (default: [run] threads, or cores / places)", 0},
    {"set", 's', "NAME.KEY=VALUE", 0, "An option of backend NAME; may be given more than once", 0},
    {"no-measure", KEY_NO_MEASURE, NULL, 0,
     "Do not measure any device: no times, memory without workspace and for undivided batches", 0},
    {"sheet", KEY_SHEET, "NAME=GFLOPS,GBPS", 0,
     "Plan for a device that is not here, by the peak and the memory bandwidth of its data sheet; more than once: places", 0},
    {"sheet-share", KEY_SHARE, "FRACTION", 0, "How much of the speed that a sheet allows is reached (0.5)", 0},
    {"corpus", KEY_CORPUS, "FILE", 0, "Plan with this corpus instead of the study's: its lengths, and ids of cells", 0},
    {"epoch-tokens", KEY_EPOCH, "N", 0, "As if the training split had so many tokens: for a corpus that is yet to come", 0},
    {"json", KEY_JSON, NULL, 0, "Print JSON (schema plmscale.plan/1)", 0},
    {0}};

static void take_text(const char **list, size_t *count, const char *option, const char *text,
                      struct argp_state *state) {
  if (*count == PLM_PLAN_LIST_MAX)
    argp_error(state, "--%s: given more than %d times", option, PLM_PLAN_LIST_MAX);
  list[(*count)++] = text;
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
  struct plan_request *request = state->input;
  struct plm_error why = PLM_ERROR_INIT;
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
  case KEY_SHEET:
    if (request->sheet_count == PLM_PLAN_LIST_MAX)
      argp_error(state, "--sheet: given more than %d times", PLM_PLAN_LIST_MAX);
    if (plan_sheet_parse(&request->sheets[request->sheet_count++], text, &why))
      argp_error(state, "%s", why.text);
    return 0;
  case KEY_SHARE:
    if (plm_number_real(&request->share, text, NULL) || !(request->share > 0 && request->share <= 1))
      argp_error(state, "--sheet-share \"%s\": must be a number above 0, at most 1", text);
    return 0;
  case KEY_CORPUS:
    request->corpus = text;
    return 0;
  case KEY_EPOCH:
    if (plm_number_real(&request->epoch_tokens, text, NULL) || !(request->epoch_tokens >= 1 && request->epoch_tokens <= 9e18))
      argp_error(state, "--epoch-tokens \"%s\": must be a number from 1 to 9e18", text);
    return 0;
  case ARGP_KEY_END:
    if (request->sheet_count && request->backend_count)
      argp_error(state, "--sheet and --backend: a plan is for devices that are here or for those that are not");
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
static void plan_fini(struct plan *plan) {
  free(plan->devices);
  free(plan->places);
  plm_workers_fini(&plan->workers);
  free(plan->forecasts);
  plm_corpus_close(plan->corpus);
  plm_study_destroy(plan->study);
}

/* ----------------------------------------------------------------- devices */

/* Names each device once, and for every worker which it is. */
static int devices_take(struct plan *plan, struct plm_error *err) {
  const struct plan_request *request = plan->request;
  const char *const named[] = {plan->study->config.run_devices};
  int64_t threads = request->threads ? request->threads : plan->study->config.run_threads;
  const char *sheets[PLM_PLAN_LIST_MAX];
  for (size_t i = 0; i < request->sheet_count; i++)
    sheets[i] = request->sheets[i].name;
  int code = request->sheet_count ? plm_workers_init(&plan->workers, sheets, request->sheet_count, err)
             : request->backend_count ? plm_workers_init(&plan->workers, request->backends, request->backend_count, err)
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
    if (request->sheet_count) {
      plan->devices[index].gflops = request->sheets[i].gflops;
      plan->devices[index].gbps = request->sheets[i].gbps;
    }
    plan->places[i] = index;
  }
  return 0;
}

static int devices_measure(struct plan *plan, struct plm_error *err) {
  struct plm_plan_shape *shapes = NULL;
  size_t count = 0;
  int code = plan_shapes(&shapes, &count, plan, err);
  if (code)
    return code;
  for (uint32_t i = 0; i < plan->device_count && !code; i++) {
    struct plm_plan_device *device = &plan->devices[i];
    if (device->gflops > 0) {
      code = plan_sheet_rates(device, plan, shapes, count, err);
      continue;
    }
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

/* --------------------------------------------------------------------- run */

static int plan_make(struct plan *plan, struct plm_error *err) {
  int code = plm_cli_study_read(&plan->study, plan->request->path, err);
  for (size_t i = 0; i < plan->request->setting_count && !code; i++)
    code = plm_prepare_setting(plan->study, plan->request->settings[i], err);
  if (!code)
    code = plm_corpus_open(&plan->corpus, plan->request->corpus ? plan->request->corpus : plan->study->corpus, err);
  if (code)
    return code;
  const struct plm_config *config = &plan->study->config;
  int64_t valid = plm_corpus_epoch_tokens(plan->corpus, PLM_SPLIT_VALID, config->data_length_max);
  plan_corpus(&plan->means, plan->corpus, config->data_length_max);
  if (plan->request->epoch_tokens > 0) {
    plan->means.sequences *= plan->request->epoch_tokens / plan->means.epoch_tokens;
    plan->means.epoch_tokens = plan->request->epoch_tokens;
  }
  plan->valid_tokens = fmin((double)valid, (double)config->evaluate_tokens);
  code = plm_study_expand(plan->study, plan->corpus->digest, (int64_t)plan->means.epoch_tokens, err);
  if (!code)
    code = plm_sweep_apply(plan->study, err);
  if (!code)
    code = devices_take(plan, err);
  if (!code && !plan->request->no_measure)
    code = devices_measure(plan, err);
  return code ? code : plan_forecast(plan, err);
}

int plm_cli_plan(int argc, char **argv, struct plm_error *err) {
  struct plan_request request = {.share = 0.5};
  struct plan plan = {.request = &request};
  int code = plm_cli_parse(&argp, argc, argv, &request, err);
  if (!code)
    code = plan_make(&plan, err);
  if (!code && request.json)
    code = plm_cli_print_json(plan_json(&plan), err);
  else if (!code)
    plan_print(&plan);
  plan_fini(&plan);
  return code;
}
