#include "train/branch.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "train/cell_folder.h"

/* Owned by the caller, NULL when out of memory. */
static char *branch_path(const struct plm_study *study, const struct plm_cell *cell) {
  char *folder = plm_cell_folder(study, cell);
  char *path = folder ? plm_file_join(folder, "branch.h5") : NULL;
  free(folder);
  return path;
}

static const struct plm_cell *parent_of(const struct plm_study *study, const struct plm_cell *cell) {
  return study->config.run_trunks && cell->parent != PLM_NO_CELL ? &study->cells[cell->parent] : NULL;
}

int plm_branch_due(const struct plm_study *study, const struct plm_cell *cell, int64_t done) {
  return study->config.run_trunks && !cell->sweep && cell->trunk_steps > 0 && done == cell->trunk_steps;
}

int plm_branch_leave(const struct plm_study *study, const struct plm_cell *cell, const struct plm_checkpoint *checkpoint,
                     struct plm_error *err) {
  char *path = branch_path(study, cell);
  int code = path ? plm_checkpoint_save(path, checkpoint, err) : plm_error_memory(err, "leaving a trunk");
  free(path);
  return code;
}

int plm_branch_left(const struct plm_study *study, const struct plm_cell *cell) {
  char *path = branch_path(study, cell);
  int left = path && plm_file_exists(path);
  free(path);
  return left;
}

int plm_branch_take(struct plm_checkpoint *out, int *found, const struct plm_study *study, const struct plm_cell *cell,
                    uint64_t floats, struct plm_error *err) {
  *found = 0;
  for (const struct plm_cell *from = parent_of(study, cell); from && !*found; from = parent_of(study, from)) {
    struct plm_error said = PLM_ERROR_INIT;
    char *path = branch_path(study, from);
    if (!path)
      return plm_error_memory(err, "looking for a trunk");
    int there = plm_file_exists(path);
    int code = there ? plm_checkpoint_load(out, path, from->id, floats, &said) : 0;
    free(path);
    *found = there && !code;
    if (code == PLM_E_NO_MEMORY) {
      *err = said;
      return code;
    }
    if (code)
      plm_log(PLM_LOG_WARN, "%s; the trunk is trained again", said.text);
  }
  return 0;
}

void plm_branch_release(const struct plm_study *study, const struct plm_cell *cell) {
  const struct plm_cell *parent = parent_of(study, cell);
  if (!parent || !plm_branch_left(study, cell))
    return;
  char *path = branch_path(study, parent);
  if (path)
    unlink(path);
  free(path);
}
