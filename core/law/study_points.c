#include "law/study_points.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/corpus.h"
#include "study/study.h"
#include "train/cell.h"
#include "train/runfile.h"

static double chosen_loss(const struct plm_run_figures *f, enum plm_points_loss loss) {
  switch (loss) {
  case PLM_POINTS_VALID_ALL:
    return f->valid_loss_all;
  case PLM_POINTS_TRAIN_MASK:
    return f->train_loss_mask;
  case PLM_POINTS_TRAIN_ALL:
    return f->train_loss_all;
  default:
    return f->valid_loss_mask;
  }
}

static double chosen_count(const struct plm_run_figures *f, enum plm_points_count count) {
  return count == PLM_POINTS_TOTAL ? f->n_total : count == PLM_POINTS_HEAD ? f->n_with_head : f->n_layers_only;
}

static int add_run(struct plm_points *out, const struct plm_run *run, const struct plm_points_choice *choice,
                   struct plm_error *err) {
  const struct plm_run_figures *f = &run->figures;
  struct plm_point point = {.tokens = f->tokens, .weight = 1, .seed = (uint64_t)f->seed};
  point.params = chosen_count(f, choice->count);
  point.loss = chosen_loss(f, choice->loss);
  point.compute = choice->flops == PLM_POINTS_EXACT ? f->flops_exact : 6 * point.params * f->tokens;
  if (choice->count == PLM_POINTS_LAYERS && choice->flops == PLM_POINTS_6ND)
    point.budget = f->budget;
  snprintf(point.label, sizeof point.label, "cell %s", run->cell_id);
  if (strcmp(run->status, "done"))
    return plm_points_leave_out(out, point.label, run->status, err);
  return plm_points_add(out, &point, err);
}

static int add_cell(struct plm_points *out, const struct plm_study *study, const struct plm_cell *cell,
                    const struct plm_points_choice *choice, struct plm_error *err) {
  char label[PLM_POINT_LABEL];
  snprintf(label, sizeof label, "cell %s", cell->id);
  if (cell->refused)
    return plm_points_leave_out(out, label, cell->refused, err);
  char *folder = plm_cell_folder(study, cell);
  char *path = folder ? plm_file_join(folder, "run.h5") : NULL;
  int code = 0;
  if (!path) {
    code = plm_error_memory(err, "naming a run file");
  } else if (!plm_file_exists(path)) {
    code = plm_points_leave_out(out, label, "not done", err);
  } else {
    struct plm_run run;
    code = plm_run_read(&run, NULL, path, cell->id, err);
    if (!code) {
      code = add_run(out, &run, choice, err);
      plm_run_fini(&run);
    }
  }
  free(path);
  free(folder);
  return code;
}

int plm_points_from_study(struct plm_points *out, const char *ini, const struct plm_points_choice *choice,
                          struct plm_error *err) {
  struct plm_study *study = NULL;
  struct plm_corpus *corpus = NULL;
  struct plm_errors errors = {0};
  int code = plm_study_read(&study, ini, &errors, err);
  if (code || (code = plm_corpus_open(&corpus, study->corpus, err)) ||
      (code = plm_study_expand(study, corpus->digest,
                               plm_corpus_epoch_tokens(corpus, PLM_SPLIT_TRAIN, study->config.data_length_max), err)))
    goto out;
  for (size_t i = 0; !code && i < study->cell_count; i++)
    code = add_cell(out, study, &study->cells[i], choice, err);
out:
  plm_errors_fini(&errors);
  plm_corpus_close(corpus);
  plm_study_destroy(study);
  return code;
}
