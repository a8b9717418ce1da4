#include "train/cell_folder.h"

#include "base/memory.h"

char *plm_cell_folder(const struct plm_study *study, const struct plm_cell *cell) {
  return plm_memory_format("%s/cells/%s", study->folder, cell->id);
}
