#include "train/states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/h5.h"
#include "train/cell_folder.h"

const char *plm_cell_state_name(enum plm_cell_state state) {
  static const char *const names[PLM_CELL_STATES] = {"refused", "waiting", "checkpoint", "running",
                                                     "failed",  "damaged", "done",       "diverged"};
  return names[state];
}

static void because(struct plm_cell_standing *out, enum plm_cell_state state, const char *reason) {
  out->state = state;
  snprintf(out->reason, sizeof out->reason, "%s", reason);
}

/* *found = 1 when there is a run file, good or bad. */
static int look_at_run(struct plm_cell_standing *out, int *found, const char *folder, const char *id,
                       struct plm_error *err) {
  struct plm_run run;
  char *path = plm_file_join(folder, "run.h5");
  if (!path)
    return plm_error_memory(err, "looking at a cell");
  struct plm_error said = PLM_ERROR_INIT;
  *found = plm_file_exists(path);
  int code = *found ? plm_run_read(&run, NULL, path, id, &said) : 0;
  free(path);
  if (!*found)
    return 0;
  if (code == PLM_E_DAMAGED) {
    because(out, PLM_CELL_DAMAGED, said.text);
    return 0;
  }
  if (code) {
    if (err)
      *err = said;
    return code;
  }
  out->state = strcmp(run.status, "diverged") ? PLM_CELL_DONE : PLM_CELL_DIVERGED;
  out->figures = run.figures;
  snprintf(out->backend, sizeof out->backend, "%s", run.backend);
  snprintf(out->device_name, sizeof out->device_name, "%s", run.device_name);
  snprintf(out->kernels_source, sizeof out->kernels_source, "%s", run.kernels_source);
  snprintf(out->self_check, sizeof out->self_check, "%s", run.self_check);
  snprintf(out->backend_layers, sizeof out->backend_layers, "%s", run.backend_layers);
  out->step = (int64_t)run.figures.steps;
  out->seconds = run.figures.seconds;
  plm_run_fini(&run);
  return 0;
}

/* Only the root attributes: the arenas are large, and who goes on with a checkpoint verifies them. */
static int look_at_checkpoint(struct plm_cell_standing *out, const char *folder, struct plm_error *err) {
  static const char *const generations[] = {"checkpoint.h5", "checkpoint.previous.h5"};
  for (size_t g = 0; g < sizeof generations / sizeof *generations; g++) {
    struct plm_error ignored = PLM_ERROR_INIT;
    double step, seconds;
    hid_t file;
    char *path = plm_file_join(folder, generations[g]);
    if (!path)
      return plm_error_memory(err, "looking at a cell");
    int there =
        plm_file_exists(path) && !plm_h5_open(&file, path, PLM_CHECKPOINT_FORMAT, PLM_CHECKPOINT_VERSION, &ignored);
    free(path);
    if (!there)
      continue;
    int read =
        !plm_h5_get_real(&step, file, "steps", &ignored) && !plm_h5_get_real(&seconds, file, "seconds", &ignored);
    H5Fclose(file);
    if (!read || !(step >= 0 && step < 9e15))
      continue;
    out->state = PLM_CELL_CHECKPOINTED;
    out->step = (int64_t)step;
    out->seconds = seconds;
    return 0;
  }
  return 0;
}

static int look_at_failure(struct plm_cell_standing *out, const char *folder, struct plm_error *err) {
  struct plm_failure failure;
  struct plm_error said = PLM_ERROR_INIT;
  int found, code = plm_failure_read(&failure, &found, folder, &said);
  if (code && code != PLM_E_DAMAGED) {
    if (err)
      *err = said;
    return code;
  }
  if (code)
    because(out, PLM_CELL_FAILED, said.text);
  else if (found)
    because(out, PLM_CELL_FAILED, failure.text);
  return 0;
}

int plm_cell_stand(struct plm_cell_standing *out, const struct plm_study *study, const struct plm_cell *cell,
                   struct plm_error *err) {
  struct plm_cell_standing standing = {.state = PLM_CELL_WAITING};
  char holder[PLM_LOCK_HOLDER];
  int found = 0;
  if (cell->refused) {
    because(&standing, PLM_CELL_REFUSED, cell->refused);
    *out = standing;
    return 0;
  }
  char *folder = plm_cell_folder(study, cell);
  if (!folder)
    return plm_error_memory(err, "looking at a cell");
  int code = look_at_run(&standing, &found, folder, cell->id, err);
  if (!code && !found) {
    if (!(code = look_at_checkpoint(&standing, folder, err)))
      code = look_at_failure(&standing, folder, err);
    if (!code && plm_lock_held(holder, folder))
      because(&standing, PLM_CELL_RUNNING, holder);
  }
  free(folder);
  if (!code)
    *out = standing;
  return code;
}
