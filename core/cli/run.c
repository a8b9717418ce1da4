#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "cli/cli.h"
#include "runtime/layer.h"
#include "runtime/plugin.h"
#include "runtime/probe.h"
#include "train/lock.h"
#include "train/merge.h"
#include "train/prepare.h"
#include "train/states.h"
#include "train/stop.h"
#include "train/supervisor.h"

#define THREADS_MAX 4096
#define PROBE_SECONDS 60.0 /* a driver may build kernels when it is first asked */
#define PATIENCE 30.0      /* s; children of a run that was killed write their checkpoints meanwhile */

struct arguments {
  const char *study, *threads, *progress, *shadow;
  const char **backends, **settings, **layers; /* room for as many as there are arguments */
  size_t backend_count, setting_count, layer_count;
  int dry_run;
};

static const struct argp_option run_options[] = {
    {"backend", 'b', "NAME[:DEVICE]", 0, "where to train, instead of [run] devices; once for each place", 0},
    {"threads", 't', "N", 0, "CPU threads for each running cell (default: [run] threads, or cores / places)", 0},
    {"set", 's', "NAME.KEY=VALUE", 0, "one setting of a backend, as in [backend NAME]", 0},
    {"layer", 'l', "NAME[:ARGUMENT]", 0,
     "put trace, validate, time or fault over the backend, the first one outermost; their output is in each cell's "
     "log.txt (docs/layers.md)",
     0},
    {"shadow", 'S', "NAME[:DEVICE]", 0,
     "do every op again on this backend, most likely reference, and stop at the first that disagrees, its inputs kept for "
     "`plmscale check --replay` (slow; docs/layers.md)",
     0},
    {"progress", 'p', "auto|bar|plain|none", 0, "bar on a terminal, lines on a pipe (auto, default)", 0},
    {"dry-run", 'n', NULL, 0, "only say what would be trained", 0},
    {0}};

static error_t take_argument(int key, char *text, struct argp_state *state) {
  struct arguments *a = state->input;
  switch (key) {
  case 'b':
    a->backends[a->backend_count++] = text;
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
  case 'p':
    a->progress = text;
    return 0;
  case 'n':
    a->dry_run = 1;
    return 0;
  case ARGP_KEY_ARG:
    if (a->study)
      return ARGP_ERR_UNKNOWN;
    a->study = text;
    return 0;
  case ARGP_KEY_NO_ARGS:
    argp_error(state, "which study file? (plmscale run STUDY.ini)");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp run_argp = {
    .options = run_options,
    .parser = take_argument,
    .args_doc = "STUDY.ini",
    .doc =
        "Train every cell of a study that is not done yet, each in a process of its own, then merge the results into "
        "NAME.study/study.h5. SIGTERM, SIGINT or SIGUSR1: checkpoints, then exit code 75; run again to go on.\v"
        "Example: plmscale run study.ini --backend opencl:0 --backend opencl:1"};

static int read_progress(int *bar, const char *text, struct plm_error *err) {
  static const char *const names[] = {"auto", "bar", "plain", "none"}; /* in the order of PLM_PROGRESS_ */
  for (int mode = 0; mode < 4; mode++)
    if (!text || !strcmp(text, names[mode])) {
      plm_log_progress_mode(mode);
      *bar = mode == PLM_PROGRESS_BAR || (mode == PLM_PROGRESS_AUTO && isatty(STDERR_FILENO));
      return 0;
    }
  return plm_error_set(err, PLM_E_USAGE, "--progress \"%.40s\" is unknown; there are auto, bar, plain, none", text);
}

static int read_threads(uint32_t *out, const struct arguments *a, const struct plm_study *study,
                        const struct plm_workers *workers, struct plm_error *err) {
  int64_t threads = study->config.run_threads;
  struct plm_error said = PLM_ERROR_INIT;
  if (a->threads && (plm_number_integer(&threads, a->threads, &said) || threads < 1 || threads > THREADS_MAX))
    return plm_error_set(err, PLM_E_USAGE, "--threads \"%.40s\": a number from 1 to %d is right", a->threads,
                         THREADS_MAX);
  *out = threads > 0 ? (uint32_t)threads : plm_workers_threads(workers);
  return 0;
}

/* Looks at a plugin in a process of its own: this one loads none. */
static int probe_backend(char *name, char *path, struct plm_error *err) {
  const struct plm_candidate candidate = {.path = path, .name = name, .named = 1};
  json_t *found = NULL;
  int code = plm_probe_run(&found, &candidate, PROBE_SECONDS, 1, err);
  if (code)
    return code;
  const char *outcome = json_string_value(json_object_get(found, "outcome"));
  const char *reason = json_string_value(json_object_get(found, "reason"));
  if (!outcome || strcmp(outcome, PLM_OUTCOME_ACCEPTED))
    code = plm_error_set(err, PLM_E_USAGE, "backend \"%.200s\": %s: %.700s", name, outcome ? outcome : "no outcome",
                         reason ? reason : path);
  json_decref(found);
  return code;
}

/* A wrong name, or a file that is no backend for this host, is found before any work. */
static int check_backend(const char *text, struct plm_error *err) {
  char *name = NULL, *device = NULL, *path = NULL;
  int code = plm_plugin_select(&name, &device, text, err);
  if (!code && !(code = plm_plugin_resolve(&path, name, err)))
    code = probe_backend(name, path, err);
  free(name);
  free(device);
  free(path);
  return code;
}

static int check_backends(const struct plm_workers *workers, const char *shadow, struct plm_error *err) {
  int code = shadow ? check_backend(shadow, err) : 0;
  for (size_t i = 0; i < workers->count && !code; i++) {
    int known = 0;
    for (size_t j = 0; j < i; j++)
      known |= !strcmp(workers->items[i].device, workers->items[j].device);
    if (!known)
      code = check_backend(workers->items[i].device, err);
  }
  return code;
}

static int read_workers(struct plm_workers *out, const struct arguments *a, const struct plm_study *study,
                        struct plm_error *err) {
  const char *const named[] = {study->config.run_devices};
  int code = a->backend_count ? plm_workers_init(out, a->backends, a->backend_count, err)
                              : plm_workers_init(out, named, 1, err);
  return code ? code : check_backends(out, a->shadow, err);
}

static int write_study_json(const struct plm_study *study, const char *corpus_digest, struct plm_error *err) {
  json_t *json = plm_study_json(study, corpus_digest);
  char *text = json ? json_dumps(json, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17)) : NULL;
  char *path = plm_file_join(study->folder, "study.json");
  int code =
      text && path ? plm_file_write_atomic(path, text, strlen(text), err) : plm_error_memory(err, "writing study.json");
  free(path);
  free(text);
  json_decref(json);
  return code;
}

/* Writes nothing at all, the folders not excepted. */
static int show_plan(const struct plm_study *study, const struct plm_workers *workers, uint32_t threads,
                     struct plm_error *err) {
  size_t states[PLM_CELL_STATES] = {0};
  for (size_t i = 0; i < study->cell_count; i++) {
    const struct plm_cell *cell = &study->cells[i];
    struct plm_cell_standing standing;
    char shape[PLM_SHAPE_TEXT], tokens[32];
    int code = plm_cell_stand(&standing, study, cell, err);
    if (code)
      return code;
    states[standing.state]++;
    plm_shape_text(shape, cell->shape);
    plm_number_short(tokens, sizeof tokens, (double)cell->tokens);
    printf("%s  %-14s %8s tokens  %9.3g FLOP  %s%s%s\n", cell->id, shape, tokens, cell->flops_6nd,
           plm_cell_state_name(standing.state), *standing.reason ? ": " : "", standing.reason);
  }
  printf("%zu cells: %zu done, %zu refused, %zu to train; %u threads each on", study->cell_count,
         states[PLM_CELL_DONE] + states[PLM_CELL_DIVERGED], states[PLM_CELL_REFUSED],
         study->cell_count - states[PLM_CELL_DONE] - states[PLM_CELL_DIVERGED] - states[PLM_CELL_REFUSED], threads);
  for (size_t i = 0; i < workers->count; i++)
    printf("%s %s", i ? "," : "", workers->items[i].device);
  putchar('\n');
  return 0;
}

/* Trains, then merges what there is unless it was stopped. The first error stands. */
static int train_and_merge(const struct plm_study *study, const struct plm_prepared *prepared,
                           const struct plm_supervisor_options *options, struct plm_error *err) {
  struct plm_supervisor_result result;
  struct plm_error said = PLM_ERROR_INIT;
  size_t merged = 0;
  int code = plm_supervise(&result, study, prepared, options, err);
  if ((code && code != PLM_E_CELLS) || result.done + result.diverged == 0)
    return code;
  int failed = plm_merge_study(study, prepared->corpus_digest, &merged, &said);
  if (failed && code) {
    plm_log(PLM_LOG_WARN, "%s", said.text);
  } else if (failed) {
    *err = said;
    code = failed;
  }
  char diverged[48] = "";
  if (result.diverged)
    snprintf(diverged, sizeof diverged, " (%zu diverged)", result.diverged);
  if (!failed)
    plm_log(PLM_LOG_INFO, "cells: %zu done%s, all in %s/study.h5; `plmscale fit %s` fits the laws", merged, diverged,
            study->folder, study->path);
  return code;
}

static int run_study(const struct arguments *a, struct plm_study *study, struct plm_error *err) {
  struct plm_supervisor_options options = {
      .settings = a->settings,
      .setting_count = a->setting_count,
      .layers = a->layers,
      .layer_count = a->layer_count,
      .shadow = a->shadow,
      .patience = PATIENCE};
  struct plm_workers workers = {0};
  struct plm_prepared prepared;
  int code, lock = -1;
  options.workers = &workers;
  for (size_t i = 0; i < a->setting_count; i++)
    if ((code = plm_prepare_setting(study, a->settings[i], err)))
      return code;
  if ((code = read_progress(&options.bar, a->progress, err)) ||
      (code = plm_layers_check(a->layers, a->layer_count, err)) || (code = read_workers(&workers, a, study, err)) ||
      (code = read_threads(&options.threads, a, study, &workers, err)) ||
      (code = plm_prepare_study(&prepared, study, err)))
    goto out;
  if (a->dry_run) {
    code = show_plan(study, &workers, options.threads, err);
    goto out;
  }
  if ((code = plm_file_make_folders(study->folder, err)) ||
      (code = plm_lock_take(&lock, study->folder, "study", study->folder, err)) ||
      (code = write_study_json(study, prepared.corpus_digest, err)) ||
      (code = plm_stop_install(&options.stop, PLM_STOP_COUNTS, err)))
    goto out;
  code = train_and_merge(study, &prepared, &options, err);
out:
  plm_lock_release(lock);
  plm_workers_fini(&workers);
  return code;
}

int plm_cli_run(int argc, char **argv, struct plm_error *err) {
  struct arguments arguments = {0};
  struct plm_study *study = NULL;
  int code = 0;
  arguments.backends = plm_memory_zeroed((size_t)argc, sizeof *arguments.backends);
  arguments.settings = plm_memory_zeroed((size_t)argc, sizeof *arguments.settings);
  arguments.layers = plm_memory_zeroed((size_t)argc, sizeof *arguments.layers);
  if (!arguments.backends || !arguments.settings || !arguments.layers)
    code = plm_error_memory(err, "reading the arguments");
  if (!code)
    code = plm_cli_parse(&run_argp, argc, argv, &arguments, err);
  if (!code)
    code = plm_cli_study_read(&study, arguments.study, err);
  if (!code)
    code = run_study(&arguments, study, err);
  plm_study_destroy(study);
  free(arguments.backends);
  free(arguments.settings);
  free(arguments.layers);
  return code;
}
