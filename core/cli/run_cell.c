#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "cli/cli.h"
#include "runtime/layer.h"
#include "train/cell.h"
#include "train/prepare.h"
#include "train/stop.h"

#define THREADS_MAX 4096

struct arguments {
  const char *study, *cell, *backend, *threads, *report, *shadow;
  const char **settings, **layers; /* room for as many as there are arguments */
  size_t setting_count, layer_count;
};

static const struct argp_option cell_options[] = {
    {"backend", 'b', "NAME[:DEVICE]", 0, "where to train (default: the first of [run] devices)", 0},
    {"threads", 't', "N", 0, "CPU threads (default: [run] threads, or all cores)", 0},
    {"set", 's', "NAME.KEY=VALUE", 0, "one setting of the backend, as in [backend NAME]", 0},
    {"layer", 'l', "NAME[:ARGUMENT]", 0,
     "put trace, validate, time or fault over the backend, the first one outermost (docs/layers.md)", 0},
    {"shadow", 'S', "NAME[:DEVICE]", 0,
     "do every op again on this backend and stop at the first that disagrees (slow; docs/layers.md)", 0},
    {"report-fd", 'r', "FD", 0, "report progress as lines on this file descriptor (what `plmscale run` asks for)", 0},
    {0}};

static error_t take_argument(int key, char *text, struct argp_state *state) {
  struct arguments *a = state->input;
  switch (key) {
  case 'b':
    a->backend = text;
    return 0;
  case 't':
    a->threads = text;
    return 0;
  case 's':
    a->settings[a->setting_count++] = text;
    return 0;
  case 'l':
    a->layers[a->layer_count++] = text;
    return 0;
  case 'S':
    a->shadow = text;
    return 0;
  case 'r':
    a->report = text;
    return 0;
  case ARGP_KEY_ARG:
    if (a->study && a->cell)
      return ARGP_ERR_UNKNOWN;
    *(a->study ? &a->cell : &a->study) = text;
    return 0;
  case ARGP_KEY_END:
    if (!a->study || !a->cell)
      argp_error(state, "which cell of which study? (plmscale run-cell STUDY.ini ID|INDEX)");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp cell_argp = {
    .options = cell_options,
    .parser = take_argument,
    .args_doc = "STUDY.ini ID|INDEX",
    .doc =
        "Train one cell in this process, from its last checkpoint or from the start. The cell is named by its id, by "
        "the first digits of it, or by its place in the plan, from 0: what job arrays need. Exit code 75: stopped with "
        "a checkpoint, run again."};

/* The descriptor belongs to this process alone: a compiler that a driver starts must not keep it open. */
static int read_report(int *fd, const char *text, struct plm_error *err) {
  int64_t number;
  struct plm_error said = PLM_ERROR_INIT;
  *fd = -1;
  if (!text)
    return 0;
  if (plm_number_integer(&number, text, &said) || number > INT32_MAX || fcntl((int)number, F_SETFD, FD_CLOEXEC))
    return plm_error_set(err, PLM_E_USAGE, "--report-fd \"%.40s\": not an open file descriptor", text);
  *fd = (int)number;
  return 0;
}

static int read_threads(uint32_t *out, const char *text, const struct plm_study *study, struct plm_error *err) {
  int64_t threads = study->config.run_threads;
  struct plm_error said = PLM_ERROR_INIT;
  if (text && (plm_number_integer(&threads, text, &said) || threads < 1 || threads > THREADS_MAX))
    return plm_error_set(err, PLM_E_USAGE, "--threads \"%.40s\": a number from 1 to %d is right", text, THREADS_MAX);
  *out = (uint32_t)threads;
  return 0;
}

/* A whole id is an id even where it reads as a number. */
static int find_cell(struct plm_cell **out, struct plm_study *study, const char *text, struct plm_error *err) {
  int only_digits = text[strspn(text, "0123456789")] == 0;
  if (strlen(text) < PLM_CELL_ID - 1 && only_digits) {
    unsigned long long index = strtoull(text, NULL, 10);
    if (index < study->cell_count) {
      *out = &study->cells[index];
      return 0;
    }
    if (strlen(text) < 4)
      return plm_error_set(err, PLM_E_USAGE, "cell \"%.20s\": the study has cells 0 to %zu", text,
                           study->cell_count - 1);
  }
  return plm_study_cell(out, study, text, err);
}

/* Where to train: *first is owned by the caller, for the default. */
static const char *choose_backend(char **first, const struct arguments *a, const struct plm_study *study) {
  if (a->backend)
    return a->backend;
  const char *devices = study->config.run_devices + strspn(study->config.run_devices, " \t");
  *first = strndup(devices, strcspn(devices, ", \t"));
  return *first;
}

/* A parent that does not listen any more is no reason to stop; that it has ended comes as SIGTERM. */
static void report_progress(void *context, const struct plm_cell_progress *progress) {
  plm_report_progress(*(const int *)context, progress);
}

static void show_progress(void *context, const struct plm_cell_progress *p) {
  char text[200], rate[32], left[48];
  const struct plm_cell *cell = context;
  plm_number_short(rate, sizeof rate, p->tokens_per_second);
  plm_number_duration(left, sizeof left,
                      p->tokens_per_second > 0 ? ((double)cell->tokens - p->tokens) / p->tokens_per_second : 0);
  int used = snprintf(text, sizeof text, "step %lld/%lld, %s tokens/s, %s left", (long long)p->step,
                      (long long)p->steps, rate, left);
  if (isfinite(p->loss_mask))
    used += snprintf(text + used, sizeof text - (size_t)used, ", loss %.4f", p->loss_mask);
  if (isfinite(p->valid_loss_mask))
    snprintf(text + used, sizeof text - (size_t)used, ", valid %.4f", p->valid_loss_mask);
  plm_log_progress(text, 0);
}

static int train(const struct arguments *a, struct plm_study *study, int report, struct plm_error *err) {
  struct plm_prepared prepared;
  struct plm_cell *cell = NULL;
  struct plm_cell_options options = {.progress = report >= 0 ? report_progress : show_progress,
                                     .layers = a->layers,
                                     .layer_count = a->layer_count,
                                     .shadow = a->shadow};
  char *first = NULL;
  int diverged = 0, code = 0;
  for (size_t i = 0; i < a->setting_count && !code; i++)
    code = plm_prepare_setting(study, a->settings[i], err);
  if (code || (code = plm_layers_check(a->layers, a->layer_count, err)) ||
      (code = read_threads(&options.threads, a->threads, study, err)) ||
      (code = plm_prepare_study(&prepared, study, err)) || (code = find_cell(&cell, study, a->cell, err)) ||
      (code = plm_stop_install(&options.stop, report >= 0 ? PLM_STOP_IGNORED : PLM_STOP_EXITS, err)))
    return code;
  if (cell->refused) {
    plm_log(PLM_LOG_WARN, "cell %s is refused by the plan, nothing to do: %s", cell->id, cell->refused);
    return 0;
  }
  options.backend = choose_backend(&first, a, study);
  options.context = report >= 0 ? (void *)&report : (void *)cell;
  code =
      options.backend ? plm_cell_run(study, cell, &options, &diverged, err) : plm_error_memory(err, "naming a backend");
  free(first);
  plm_log_progress(NULL, 1);
  if (!code && report >= 0)
    dprintf(report, "end %s\n", diverged ? "diverged" : "done");
  else if (!code)
    plm_log(diverged ? PLM_LOG_WARN : PLM_LOG_INFO, "cell %s %s", cell->id, diverged ? "diverged" : "is done");
  return code;
}

int plm_cli_run_cell(int argc, char **argv, struct plm_error *err) {
  struct arguments arguments = {0};
  struct plm_study *study = NULL;
  int code, report = -1;
  arguments.settings = plm_memory_zeroed((size_t)argc, sizeof *arguments.settings);
  arguments.layers = plm_memory_zeroed((size_t)argc, sizeof *arguments.layers);
  code = arguments.settings && arguments.layers ? 0 : plm_error_memory(err, "reading the arguments");
  if (!code)
    code = plm_cli_parse(&cell_argp, argc, argv, &arguments, err);
  if (!code)
    code = read_report(&report, arguments.report, err);
  if (!code)
    code = plm_cli_study_read(&study, arguments.study, err);
  if (!code)
    code = train(&arguments, study, report, err);
  if (code && report >= 0)
    dprintf(report, "error %d %s\n", code, err->text);
  plm_study_destroy(study);
  free(arguments.settings);
  free(arguments.layers);
  return code;
}
