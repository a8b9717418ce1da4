#include "law/study_points.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/corpus.h"
#include "study/study.h"
#include "train/cell_folder.h"

#define CURVE_POINTS 400
#define CURVE_STEPS_MIN 20
#define CURVE_EVALUATIONS_MIN 8

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

/* The smoothed training loss about step i: the mean over the rows of a window of 5 % of i on either side, as far as
 * there are as many steps on both. sums: of loss * rows and of rows, before each step. */
static double smoothed_at(const struct plm_curve *curve, const double *losses, const double *rows, size_t i) {
  size_t half = i / 20, after = curve->steps - 1 - i;
  half = half < after ? half : after;
  size_t low = i - half, high = i + half + 1;
  return (losses[high] - losses[low]) / (rows[high] - rows[low]);
}

/* About CURVE_POINTS values, evenly spaced in the logarithm of the step. */
static int train_curve(struct plm_points *out, struct plm_point *point, const struct plm_curve *curve, int mask,
                       struct plm_error *err) {
  struct plm_point_curve *made = NULL;
  size_t steps = curve->steps, count = 0;
  if (steps < CURVE_STEPS_MIN)
    return 0;
  double *losses = plm_memory_zeroed(steps + 1, 2 * sizeof *losses), *rows = losses + steps + 1;
  if (!losses)
    return plm_error_memory(err, "the learning curves");
  for (size_t i = 0; i < steps; i++) {
    double n = curve->columns[mask ? PLM_CURVE_MASKED : PLM_CURVE_SELECTED][i];
    rows[i + 1] = rows[i] + n;
    losses[i + 1] = losses[i] + (n > 0 ? n * curve->columns[mask ? PLM_CURVE_LOSS_MASK : PLM_CURVE_LOSS_ALL][i] : 0);
  }
  int code = plm_points_add_curve(out, &made, CURVE_POINTS, err);
  for (size_t k = 0, last = 0; !code && k < CURVE_POINTS; k++) {
    size_t i = (size_t)(exp(log((double)steps) * ((double)k + 1) / CURVE_POINTS) + 0.5);
    i = i > steps ? steps - 1 : i - 1;
    double loss = smoothed_at(curve, losses, rows, i);
    if ((k > 0 && i <= last) || !(isfinite(loss) && loss > 0))
      continue;
    last = i;
    made->tokens[count] = curve->columns[PLM_CURVE_TOKENS][i];
    made->loss[count++] = loss;
  }
  free(losses);
  if (!code && count >= 2) {
    made->count = count;
    point->curve = made;
  }
  return code;
}

static int valid_curve(struct plm_points *out, struct plm_point *point, const struct plm_curve *curve, int mask,
                       struct plm_error *err) {
  struct plm_point_curve *made = NULL;
  if (curve->evaluation_count < CURVE_EVALUATIONS_MIN) {
    out->curves_absent = "the validation loss was measured fewer than 8 times in a run: fit a training loss (--loss "
                         "train_mask), or evaluate more often";
    return 0;
  }
  int code = plm_points_add_curve(out, &made, curve->evaluation_count, err);
  if (code)
    return code;
  for (size_t i = 0; i < curve->evaluation_count; i++) {
    made->tokens[i] = curve->evaluations[i].tokens;
    made->loss[i] = mask ? curve->evaluations[i].loss_mask : curve->evaluations[i].loss_all;
  }
  point->curve = made;
  return 0;
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
  point.unique = f->tokens_unique;
  int mask = choice->loss == PLM_POINTS_VALID_MASK || choice->loss == PLM_POINTS_TRAIN_MASK;
  int train = choice->loss == PLM_POINTS_TRAIN_MASK || choice->loss == PLM_POINTS_TRAIN_ALL;
  int code = (train ? train_curve : valid_curve)(out, &point, &run->curve, mask, err);
  return code ? code : plm_points_add(out, &point, err);
}

static int run_keep(struct plm_study_runs *out, const char *path, const struct plm_cell *cell, struct plm_error *err) {
  void *runs = out->runs;
  if (plm_memory_grow(&runs, &out->capacity, out->count + 1, sizeof *out->runs))
    return plm_error_memory(err, "the runs of a study");
  out->runs = runs;
  int code = plm_run_read(&out->runs[out->count], NULL, path, cell->id, err);
  out->count += !code;
  return code;
}

static int cell_read(struct plm_study_runs *out, const struct plm_study *study, const struct plm_cell *cell,
                     struct plm_error *err) {
  char label[PLM_POINT_LABEL];
  snprintf(label, sizeof label, "cell %s", cell->id);
  if (cell->refused || cell->sweep)
    return plm_points_leave_out(&out->absent, label, cell->refused ? cell->refused : "learning-rate sweep", err);
  char *folder = plm_cell_folder(study, cell);
  char *path = folder ? plm_file_join(folder, "run.h5") : NULL;
  int code = 0;
  if (!path)
    code = plm_error_memory(err, "naming a run file");
  else if (!plm_file_exists(path))
    code = plm_points_leave_out(&out->absent, label, "not done", err);
  else
    code = run_keep(out, path, cell, err);
  free(path);
  free(folder);
  return code;
}

int plm_study_runs_read(struct plm_study_runs *out, const char *ini, struct plm_error *err) {
  struct plm_study *study = NULL;
  struct plm_corpus *corpus = NULL;
  struct plm_errors errors = {0};
  int code = plm_study_read(&study, ini, &errors, err);
  if (code || (code = plm_corpus_open(&corpus, study->corpus, err)) ||
      (code = plm_study_expand(study, corpus->digest,
                               plm_corpus_epoch_tokens(corpus, PLM_SPLIT_TRAIN, study->config.data_length_max), err)))
    goto out;
  for (size_t i = 0; !code && i < study->cell_count; i++)
    code = cell_read(out, study, &study->cells[i], err);
out:
  plm_errors_fini(&errors);
  plm_corpus_close(corpus);
  plm_study_destroy(study);
  return code;
}

void plm_study_runs_fini(struct plm_study_runs *runs) {
  for (size_t i = 0; i < runs->count; i++)
    plm_run_fini(&runs->runs[i]);
  free(runs->runs);
  plm_points_fini(&runs->absent);
  *runs = (struct plm_study_runs){0};
}

int plm_points_from_runs(struct plm_points *out, const struct plm_study_runs *runs,
                         const struct plm_points_choice *choice, struct plm_error *err) {
  int code = 0;
  for (size_t i = 0; !code && i < runs->absent.left_out_count; i++)
    code = plm_points_leave_out(out, runs->absent.left_out[i].label, runs->absent.left_out[i].rule, err);
  for (size_t i = 0; !code && i < runs->count; i++)
    code = add_run(out, &runs->runs[i], choice, err);
  return code;
}

int plm_points_from_study(struct plm_points *out, const char *ini, const struct plm_points_choice *choice,
                          struct plm_error *err) {
  struct plm_study_runs runs = {0};
  int code = plm_study_runs_read(&runs, ini, err);
  if (!code)
    code = plm_points_from_runs(out, &runs, choice, err);
  plm_study_runs_fini(&runs);
  return code;
}
