#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "cli/cli.h"
#include "train/prepare.h"
#include "train/states.h"
#include "train/sweep.h"

#define SCHEMA "plmscale.status/1"

struct arguments {
  const char *study;
  int json;
};

static const struct argp_option status_options[] = {{"json", 'j', NULL, 0, "print " SCHEMA, 0}, {0}};

static error_t take_argument(int key, char *text, struct argp_state *state) {
  struct arguments *a = state->input;
  switch (key) {
  case 'j':
    a->json = 1;
    return 0;
  case ARGP_KEY_ARG:
    if (a->study)
      return ARGP_ERR_UNKNOWN;
    a->study = text;
    return 0;
  case ARGP_KEY_NO_ARGS:
    argp_error(state, "which study file? (plmscale status STUDY.ini)");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp status_argp = {
    .options = status_options,
    .parser = take_argument,
    .args_doc = "STUDY.ini",
    .doc = "Say where every cell of a study stands. Reads files only; can be asked at any time."};

struct status {
  const struct plm_study *study;
  struct plm_cell_standing *standings; /* one for each cell */
  size_t counts[PLM_CELL_STATES];
  double seconds_left; /* on one device, by the speed of the finished cells; NaN: not known */
};

static int has_run(const struct plm_cell_standing *standing) {
  return standing->state == PLM_CELL_DONE || standing->state == PLM_CELL_DIVERGED;
}

static int look(struct status *status, double mean_length, struct plm_error *err) {
  double flops = 0, seconds = 0, left = 0;
  for (size_t i = 0; i < status->study->cell_count; i++) {
    const struct plm_cell *cell = &status->study->cells[i];
    struct plm_cell_standing *standing = &status->standings[i];
    int code = plm_cell_stand(standing, status->study, cell, err);
    if (code)
      return code;
    status->counts[standing->state]++;
    double weight = plm_prepare_flops(status->study, cell, mean_length);
    double share = cell->steps > 0 ? fmin(1, (double)standing->step / (double)cell->steps) : 0;
    if (standing->state == PLM_CELL_DONE) {
      flops += weight;
      seconds += standing->seconds;
    } else if (standing->state != PLM_CELL_DIVERGED && standing->state != PLM_CELL_REFUSED) {
      left += weight * (1 - share);
    }
  }
  status->seconds_left = left == 0 ? 0 : flops > 0 && seconds > 0 ? left * seconds / flops : NAN;
  return 0;
}

static json_t *number_or_null(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

/* A driver's text may be in any encoding: what is no UTF-8 becomes null. */
static json_t *text_or_null(int there, const char *text) {
  json_t *json = there ? json_string(text) : NULL;
  return json ? json : json_null();
}

static json_t *cell_json(const struct plm_cell *cell, const struct plm_cell_standing *standing) {
  const struct plm_run_figures *f = &standing->figures;
  int run = has_run(standing);
  return json_pack(
      "{s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:s?, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "id", cell->id, "layers",
      (json_int_t)cell->shape.layers, "width", (json_int_t)cell->shape.width, "heads", (json_int_t)cell->shape.heads,
      "n_layers_only", (json_int_t)cell->n_layers_only, "tokens", (json_int_t)cell->tokens, "state",
      plm_cell_state_name(standing->state), "step", (json_int_t)standing->step, "steps", (json_int_t)cell->steps,
      "valid_loss_mask", number_or_null(run ? f->valid_loss_mask : NAN), "valid_loss_all",
      number_or_null(run ? f->valid_loss_all : NAN), "train_loss_mask", number_or_null(run ? f->train_loss_mask : NAN),
      "train_loss_all", number_or_null(run ? f->train_loss_all : NAN), "seconds", json_real(standing->seconds),
      "reason", *standing->reason ? standing->reason : NULL, "backend", text_or_null(run, standing->backend),
      "device_name", text_or_null(run, standing->device_name), "kernels_source",
      text_or_null(run, standing->kernels_source), "self_check", text_or_null(run, standing->self_check), "backend_layers",
      text_or_null(run, standing->backend_layers), "role", cell->sweep ? "sweep" : "point", "lr", number_or_null(cell->lr));
}

static json_t *status_json(const struct status *status) {
  json_t *cells = json_array(), *totals = json_object();
  for (size_t i = 0; i < status->study->cell_count; i++)
    if (json_array_append_new(cells, cell_json(&status->study->cells[i], &status->standings[i])))
      goto exhausted;
  for (int state = 0; state < PLM_CELL_STATES; state++)
    if (json_object_set_new(totals, plm_cell_state_name(state), json_integer((json_int_t)status->counts[state])))
      goto exhausted;
  return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "schema", SCHEMA, "study", status->study->config.study_name,
                   "folder", status->study->folder, "totals", totals, "seconds_left",
                   number_or_null(status->seconds_left), "cells", cells);
exhausted:
  json_decref(cells);
  json_decref(totals);
  return NULL;
}

static void print_cell(const struct plm_cell *cell, const struct plm_cell_standing *standing) {
  char shape[PLM_SHAPE_TEXT], tokens[32], seconds[48] = "-", all[16] = "-", mask[16] = "-", state[64];
  plm_shape_text(shape, cell->shape);
  plm_number_short(tokens, sizeof tokens, (double)cell->tokens);
  if (standing->seconds > 0)
    plm_number_duration(seconds, sizeof seconds, standing->seconds);
  if (has_run(standing)) {
    snprintf(mask, sizeof mask, "%.4f", standing->figures.valid_loss_mask);
    snprintf(all, sizeof all, "%.4f", standing->figures.valid_loss_all);
  }
  if (standing->step > 0 && !has_run(standing))
    snprintf(state, sizeof state, "%s, step %lld/%lld", plm_cell_state_name(standing->state), (long long)standing->step,
             (long long)cell->steps);
  else
    snprintf(state, sizeof state, "%s", plm_cell_state_name(standing->state));
  printf("%-16s  %-14s %8s  %8s %8s  %-12s  %s%s%s", cell->id, shape, tokens, mask, all, seconds, state,
         *standing->reason ? ": " : "", standing->reason);
  if (cell->sweep)
    printf(" (sweep, rate %.3g)", cell->lr);
  putchar('\n');
}

/* What the self-check came to, without its figures. */
static const char *check_word(const struct plm_cell_standing *standing) {
  if (!strncmp(standing->self_check, "passed", 6))
    return "passed";
  return *standing->self_check ? standing->self_check : "none";
}

static int same_place(const struct plm_cell_standing *a, const struct plm_cell_standing *b) {
  return !strcmp(a->backend, b->backend) && !strcmp(a->device_name, b->device_name) &&
         !strcmp(a->kernels_source, b->kernels_source) && !strcmp(a->backend_layers, b->backend_layers) &&
         !strcmp(check_word(a), check_word(b));
}

/* Who trained the finished cells, each place once. */
static void print_places(const struct status *status) {
  for (size_t i = 0; i < status->study->cell_count; i++) {
    const struct plm_cell_standing *here = &status->standings[i];
    size_t cells = 0, before = 0;
    for (size_t k = 0; k < status->study->cell_count; k++)
      if (has_run(here) && has_run(&status->standings[k]) && same_place(here, &status->standings[k])) {
        before += k < i;
        cells++;
      }
    if (!cells || before)
      continue;
    printf("%zu trained by %s on %s", cells, here->backend, here->device_name);
    if (*here->kernels_source)
      printf(", kernels: %s", here->kernels_source);
    printf(", self-check: %s", check_word(here));
    if (*here->backend_layers)
      printf(", under layers: %s", here->backend_layers);
    putchar('\n');
  }
}

/* What became of the sweep of each size. */
static int print_sweeps(const struct plm_study *study, struct plm_error *err) {
  for (size_t i = 0; i < study->cell_count; i++) {
    char shape[PLM_SHAPE_TEXT], text[PLM_SWEEP_TEXT];
    const struct plm_cell *cell = &study->cells[i];
    struct plm_sweep sweep;
    size_t first = 0;
    while (first < i && !(plm_sweep_awaits(&study->cells[first]) && !memcmp(&study->cells[first].shape, &cell->shape, sizeof cell->shape)))
      first++;
    if (first < i || !plm_sweep_awaits(cell))
      continue;
    int code = plm_sweep_read(&sweep, study, cell, err);
    if (code)
      return code;
    plm_sweep_text(text, &sweep);
    plm_sweep_fini(&sweep);
    plm_shape_text(shape, cell->shape);
    printf("%s: %s\n", shape, text);
  }
  return 0;
}

static void print_status(const struct status *status) {
  const struct plm_study *study = status->study;
  printf("%-16s  %-14s %8s  %8s %8s  %-12s  %s\n", "cell", "shape", "tokens", "<mask>", "all", "time", "state");
  for (size_t i = 0; i < study->cell_count; i++)
    print_cell(&study->cells[i], &status->standings[i]);
  printf("\n%s: %zu cells", study->config.study_name, study->cell_count);
  for (int state = PLM_CELL_STATES - 1; state >= 0; state--)
    if (status->counts[state])
      printf(", %zu %s", status->counts[state], plm_cell_state_name(state));
  if (status->seconds_left > 0) {
    char left[48];
    plm_number_duration(left, sizeof left, status->seconds_left);
    printf("; about %s of training left on one device", left);
  }
  putchar('\n');
  print_places(status);
}

int plm_cli_status(int argc, char **argv, struct plm_error *err) {
  struct arguments arguments = {0};
  struct plm_study *study = NULL;
  struct plm_prepared prepared;
  struct status status = {0};
  int code = plm_cli_parse(&status_argp, argc, argv, &arguments, err);
  if (code || (code = plm_cli_study_read(&study, arguments.study, err)) ||
      (code = plm_prepare_study(&prepared, study, err)))
    goto out;
  if ((code = plm_sweep_apply(study, err)))
    goto out;
  status.study = study;
  status.standings = plm_memory_zeroed(study->cell_count, sizeof *status.standings);
  if (!status.standings) {
    code = plm_error_memory(err, "looking at the cells");
    goto out;
  }
  if ((code = look(&status, prepared.mean_length, err)))
    goto out;
  if (arguments.json)
    code = plm_cli_print_json(status_json(&status), err);
  else {
    print_status(&status);
    code = print_sweeps(study, err);
  }
out:
  free(status.standings);
  plm_study_destroy(study);
  return code;
}
