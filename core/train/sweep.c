#include "train/sweep.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/cell_folder.h"
#include "train/runfile.h"

static int same_shape(struct plm_shape a, struct plm_shape b) {
  return a.layers == b.layers && a.width == b.width && a.heads == b.heads;
}

int plm_sweep_awaits(const struct plm_cell *cell) { return !cell->sweep && cell->sweep_tokens > 0; }

int plm_sweep_belongs(const struct plm_cell *point, const struct plm_cell *run) {
  return plm_sweep_awaits(point) && run->sweep && same_shape(point->shape, run->shape);
}

/* *loss: NaN of a run that diverged. *found = 0: there is no run file. */
static int read_loss(double *loss, int *found, const struct plm_study *study, const struct plm_cell *cell,
                     struct plm_error *err) {
  struct plm_run run;
  char *folder = plm_cell_folder(study, cell);
  char *path = folder ? plm_file_join(folder, "run.h5") : NULL;
  int code = path ? 0 : plm_error_memory(err, "reading a sweep");
  *found = !code && plm_file_exists(path);
  if (*found && !(code = plm_run_read(&run, NULL, path, cell->id, err))) {
    *loss = strcmp(run.status, "done") ? NAN : run.figures.valid_loss_mask;
    plm_run_fini(&run);
  }
  free(path);
  free(folder);
  return code;
}

/* Takes a run with its loss in; runs is the JSON list. */
static int take(struct plm_sweep *sweep, json_t *runs, const struct plm_cell *cell, double loss) {
  sweep->done++;
  sweep->diverged += !isfinite(loss);
  /* Of equal losses the lower rate wins, whatever the order of the cells. */
  if (isfinite(loss) && (!sweep->winner || loss < sweep->loss || (loss == sweep->loss && cell->lr < sweep->winner->lr))) {
    sweep->winner = cell;
    sweep->loss = loss;
  }
  return json_array_append_new(runs, json_pack("{s:s, s:f, s:o}", "cell", cell->id, "lr", cell->lr, "loss",
                                               isfinite(loss) ? json_real(loss) : json_null()));
}

static void find_edge(struct plm_sweep *sweep, const struct plm_study *study, const struct plm_cell *point) {
  int below = 0, above = 0;
  for (size_t i = 0; i < study->cell_count; i++) {
    const struct plm_cell *cell = &study->cells[i];
    if (!plm_sweep_belongs(point, cell))
      continue;
    below |= cell->lr < sweep->winner->lr;
    above |= cell->lr > sweep->winner->lr;
  }
  sweep->edge = !above ? 1 : !below ? -1 : 0;
}

static int write_json(struct plm_sweep *sweep, json_t *runs, struct plm_error *err) {
  static const char *const edges[] = {"lowest", "none", "highest"};
  json_t *json = json_pack("{s:s, s:f, s:f, s:s, s:O}", "winner", sweep->winner->id, "lr", sweep->winner->lr, "loss",
                           sweep->loss, "edge", edges[sweep->edge + 1], "runs", runs);
  sweep->json = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
  json_decref(json);
  return sweep->json ? 0 : plm_error_memory(err, "reading a sweep");
}

int plm_sweep_read(struct plm_sweep *out, const struct plm_study *study, const struct plm_cell *point, struct plm_error *err) {
  struct plm_sweep sweep = {.loss = NAN};
  json_t *runs = json_array();
  int code = runs ? 0 : plm_error_memory(err, "reading a sweep");
  for (size_t i = 0; !code && i < study->cell_count; i++) {
    const struct plm_cell *cell = &study->cells[i];
    double loss = NAN;
    int found = 0;
    if (!plm_sweep_belongs(point, cell))
      continue;
    sweep.cells++;
    if (!cell->refused)
      code = read_loss(&loss, &found, study, cell, err);
    if (!code && found && take(&sweep, runs, cell, loss))
      code = plm_error_memory(err, "reading a sweep");
    if (!code && !found && !sweep.open)
      sweep.open = cell;
  }
  if (sweep.open)
    sweep.winner = NULL;
  if (!code && sweep.winner) {
    find_edge(&sweep, study, point);
    code = write_json(&sweep, runs, err);
  }
  json_decref(runs);
  if (!code)
    *out = sweep;
  return code;
}

void plm_sweep_fini(struct plm_sweep *sweep) {
  free(sweep->json);
  memset(sweep, 0, sizeof *sweep);
}

void plm_sweep_text(char out[PLM_SWEEP_TEXT], const struct plm_sweep *sweep) {
  if (sweep->open)
    snprintf(out, PLM_SWEEP_TEXT, "%zu of %zu runs of its learning-rate sweep are done, cell %s is not", sweep->done,
             sweep->cells, sweep->open->id);
  else if (!sweep->winner)
    snprintf(out, PLM_SWEEP_TEXT, "all %zu runs of its learning-rate sweep diverged: set lower [train] sweep_factors",
             sweep->cells);
  else
    snprintf(out, PLM_SWEEP_TEXT, "a peak rate of %.3g wins the sweep of %zu rates with loss %.4f%s", sweep->winner->lr,
             sweep->cells, sweep->loss,
             sweep->edge > 0   ? "; it is the HIGHEST that was tried: add higher [train] sweep_factors"
             : sweep->edge < 0 ? "; it is the LOWEST that was tried: add lower [train] sweep_factors"
                               : "");
}

int plm_sweep_resolve(double *lr, char **json, const struct plm_study *study, const struct plm_cell *point,
                      struct plm_error *err) {
  struct plm_sweep sweep;
  char text[PLM_SWEEP_TEXT];
  int code = plm_sweep_read(&sweep, study, point, err);
  if (code)
    return code;
  plm_sweep_text(text, &sweep);
  if (sweep.winner) {
    *lr = sweep.winner->lr;
    *json = sweep.json;
    sweep.json = NULL;
  } else {
    code = plm_error_set(err, PLM_E_CELLS, "cell %s: %s", point->id, text);
  }
  plm_sweep_fini(&sweep);
  return code;
}

int plm_sweep_apply(struct plm_study *study, struct plm_error *err) {
  for (size_t i = 0; i < study->cell_count; i++) {
    struct plm_sweep sweep;
    struct plm_error said = PLM_ERROR_INIT;
    if (!plm_sweep_awaits(&study->cells[i]) || !isnan(study->cells[i].lr))
      continue;
    int code = plm_sweep_read(&sweep, study, &study->cells[i], &said);
    if (code == PLM_E_NO_MEMORY) {
      *err = said;
      return code;
    }
    /* Every point of the size, so that its files are read once. */
    for (size_t k = i; !code && sweep.winner && k < study->cell_count; k++)
      if (plm_sweep_belongs(&study->cells[k], sweep.winner))
        study->cells[k].lr = sweep.winner->lr;
    if (!code)
      plm_sweep_fini(&sweep);
  }
  return 0;
}
