/* Where the files of a cell lie. */
#ifndef PLM_TRAIN_CELL_FOLDER_H
#define PLM_TRAIN_CELL_FOLDER_H

#include "study/study.h"

/* NAME.study/cells/ID; owned by the caller, NULL when out of memory. */
char *plm_cell_folder(const struct plm_study *study, const struct plm_cell *cell);

#endif
