#include "report/facts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/corpus.h"
#include "law/misfit.h"
#include "train/cell_folder.h"

#define LINE_POINTS 25

static int corpus_look(struct plm_corpus_facts *out, struct plm_study *study, struct plm_error *err) {
  struct plm_corpus *corpus = NULL;
  int code = plm_corpus_open(&corpus, study->corpus, err);
  if (code)
    return code;
  snprintf(out->digest, sizeof out->digest, "%s", corpus->digest);
  for (int s = 0; s < PLM_SPLIT_COUNT; s++) {
    out->sequences[s] = corpus->splits[s].sequences;
    out->residues[s] = corpus->splits[s].residues;
  }
  out->epoch_tokens = plm_corpus_epoch_tokens(corpus, PLM_SPLIT_TRAIN, study->config.data_length_max);
  plm_corpus_close(corpus);
  return plm_study_expand(study, out->digest, out->epoch_tokens, err);
}

/* A run that stands as finished, read whole. */
static int run_read(struct plm_facts *out, const struct plm_cell *cell, struct plm_error *err) {
  char *folder = plm_cell_folder(out->study, cell), *path = folder ? plm_file_join(folder, "run.h5") : NULL;
  int code = path ? plm_run_read(&out->runs.runs[out->runs.count], NULL, path, cell->id, err)
                  : plm_error_memory(err, "naming a run file");
  out->runs.count += !code;
  free(path);
  free(folder);
  return code;
}

static int cell_look(struct plm_facts *out, const struct plm_cell *cell, struct plm_error *err) {
  char label[PLM_POINT_LABEL];
  if (cell->sweep) {
    snprintf(label, sizeof label, "cell %s", cell->id);
    out->sweep_count++;
    return plm_points_leave_out(&out->runs.absent, label, "learning-rate sweep", err);
  }
  struct plm_cell_facts *facts = &out->cells[out->cell_count++];
  facts->cell = cell;
  int code = plm_cell_stand(&facts->standing, out->study, facts->cell, err);
  if (code)
    return code;
  out->state_counts[facts->standing.state]++;
  if (facts->standing.state == PLM_CELL_DONE || facts->standing.state == PLM_CELL_DIVERGED) {
    if (!(code = run_read(out, facts->cell, err)))
      facts->run = &out->runs.runs[out->runs.count - 1];
    return code;
  }
  snprintf(label, sizeof label, "cell %s", facts->cell->id);
  return plm_points_leave_out(&out->runs.absent, label, plm_cell_state_name(facts->standing.state), err);
}

static int cells_look(struct plm_facts *out, struct plm_error *err) {
  size_t count = out->study->cell_count;
  out->cells = plm_memory_zeroed(count, sizeof *out->cells);
  out->runs.runs = plm_memory_zeroed(count, sizeof *out->runs.runs); /* all at once: cells point into it */
  if (!out->cells || !out->runs.runs)
    return plm_error_memory(err, "the cells of a study");
  out->runs.capacity = count;
  int code = 0;
  for (size_t i = 0; !code && i < count; i++)
    code = cell_look(out, &out->study->cells[i], err);
  return code;
}

/* ------------------------------------------------------------ the fits */

static int is_answer(const struct plm_law *law, const struct plm_fit *fit, size_t *at) {
  int found = 0;
  for (size_t i = 0; fit->has_exponents && i < fit->optimum_count; i++)
    if (fit->optimum[i].known && fit->optimum[i].compute <= law->compute_max * (1 + 1e-9)) {
      *at = i;
      found = 1;
    }
  return found;
}

/* PLM_LAW_MAIN unless its surface misses the runs; then, as without its answer, the first of the table, which begins with profiles. */
static void main_choose(struct plm_facts *out) {
  const struct plm_law *law = out->law;
  for (size_t i = 0; i < law->fit_count; i++) {
    const struct plm_fit *fit = &law->fits[i];
    size_t at;
    int usual = !strcmp(fit->estimator, PLM_LAW_MAIN);
    if (usual)
      out->misfit = isnan(fit->misfit) ? 0 : fit->misfit;
    if (!is_answer(law, fit, &at) || !strcmp(fit->estimator, "envelope"))
      continue;
    if (!out->main || (usual && !(fit->misfit > PLM_MISFIT_LARGE))) {
      out->main = fit;
      out->at = at;
    }
  }
}

/* A profile answers a measured budget by itself, not by the line through all: such answers are no part of the line. */
static void line_only(struct plm_law *line, const double *at, size_t count) {
  for (size_t i = 0; line->fit_count && i < line->fits[0].optimum_count; i++) {
    struct plm_optimum *o = &line->fits[0].optimum[i];
    int asked = 0;
    for (size_t k = 0; k < count; k++)
      asked |= fabs(o->compute - at[k]) <= 1e-9 * at[k];
    o->known &= asked;
  }
}

/* The main estimator over the measured range and a little beyond. */
static int line_fit(struct plm_facts *out, const char *source, struct plm_error *err) {
  double at[LINE_POINTS], low = out->law->compute_min / 1.5, high = out->law->compute_max * 1.5;
  for (int i = 0; i < LINE_POINTS; i++)
    at[i] = low * pow(high / low, (double)i / (LINE_POINTS - 1));
  const struct plm_law_options options = {.estimators = out->main->estimator,
                                          .draws = out->options.draws,
                                          .seed = out->options.seed,
                                          .at = at,
                                          .at_count = LINE_POINTS,
                                          .threads = out->options.threads};
  int code = plm_law_fit(&out->line, &out->points, source, &options, err);
  if (!code)
    line_only(out->line, at, LINE_POINTS);
  return code;
}

/* Points without a law in them are no error here: the report says so. */
static int why_find(struct plm_facts *out, const char *source, struct plm_error *err) {
  const struct plm_why_options options = {.draws = out->options.draws, .threads = out->options.threads};
  struct plm_error said = PLM_ERROR_INIT;
  int code = plm_why_fit(&out->why, &out->runs, source, &options, &said);
  if (code == PLM_E_UNSUPPORTED || code == PLM_E_DAMAGED) {
    snprintf(out->why_absent, sizeof out->why_absent, "%s", said.text);
    return 0;
  }
  if (code && err)
    *err = said;
  return code;
}

static int laws_fit(struct plm_facts *out, const char *source, struct plm_error *err) {
  const struct plm_points_choice usual = {PLM_POINTS_VALID_MASK, PLM_POINTS_LAYERS, PLM_POINTS_6ND};
  const struct plm_law_options options = {.draws = out->options.draws,
                                          .seed = out->options.seed,
                                          .holdout = 1,
                                          .threads = out->options.threads};
  int code = plm_points_from_runs(&out->points, &out->runs, &usual, err);
  if (!code)
    code = plm_law_fit(&out->law, &out->points, source, &options, err);
  if (code)
    return code;
  main_choose(out);
  if (out->main && (code = line_fit(out, source, err)))
    return code;
  return why_find(out, source, err);
}

int plm_facts_gather(struct plm_facts *out, struct plm_study *study, const struct plm_facts_options *options,
                     struct plm_error *err) {
  out->options = *options;
  out->study = study;
  int code = corpus_look(&out->corpus, study, err);
  if (!code)
    code = cells_look(out, err);
  return code ? code : laws_fit(out, study->path, err);
}

void plm_facts_fini(struct plm_facts *facts) {
  plm_why_destroy(facts->why);
  plm_law_destroy(facts->line);
  plm_law_destroy(facts->law);
  plm_points_fini(&facts->points);
  plm_study_runs_fini(&facts->runs);
  free(facts->cells);
  plm_study_destroy(facts->study);
  *facts = (struct plm_facts){0};
}

/* ------------------------------------------------------------ questions */

const struct plm_optimum *plm_facts_best(const struct plm_facts *facts) {
  return facts->main ? &facts->main->optimum[facts->at] : NULL;
}

const char *plm_facts_left_out(const struct plm_cell_facts *cell) {
  switch (cell->standing.state) {
  case PLM_CELL_DONE:
    return NULL;
  case PLM_CELL_DIVERGED:
    return "diverged: a loss or gradient was not finite";
  case PLM_CELL_REFUSED:
    return "refused by the plan";
  case PLM_CELL_FAILED:
    return "failed";
  case PLM_CELL_DAMAGED:
    return "its run file is damaged";
  case PLM_CELL_RUNNING:
    return "still running";
  case PLM_CELL_CHECKPOINTED:
    return "stopped on the way";
  default:
    return "not yet run";
  }
}

size_t plm_facts_spread(const struct plm_facts *facts, const struct plm_fit **low, const struct plm_fit **high) {
  size_t count = 0;
  for (size_t i = 0; facts->main && i < facts->law->fit_count; i++) {
    const struct plm_fit *fit = &facts->law->fits[i];
    if (facts->at >= fit->optimum_count || !fit->optimum[facts->at].known)
      continue;
    double params = fit->optimum[facts->at].params;
    *low = !count || params < (*low)->optimum[facts->at].params ? fit : *low;
    *high = !count || params > (*high)->optimum[facts->at].params ? fit : *high;
    count++;
  }
  return count;
}

/* "passed", "off", ..: what a self-check came to, without its figures, which differ from run to run. */
static int check_length(const char *text) { return (int)strcspn(text, " "); }

static int same_training(const struct plm_run *a, const struct plm_run *b) {
  return !strcmp(a->backend, b->backend) && !strcmp(a->backend_version, b->backend_version) &&
         !strcmp(a->backend_path, b->backend_path) && !strcmp(a->backend_sha256, b->backend_sha256) &&
         !strcmp(a->device_id, b->device_id) && !strcmp(a->device_name, b->device_name) && !strcmp(a->driver, b->driver) &&
         !strcmp(a->driver_version, b->driver_version) && !strcmp(a->host_name, b->host_name) &&
         !strcmp(a->lowered_ops, b->lowered_ops) && !strcmp(a->backend_layers, b->backend_layers) &&
         !strcmp(a->kernels_source, b->kernels_source) && !strcmp(a->precision, b->precision) &&
         a->figures.deterministic == b->figures.deterministic && check_length(a->self_check) == check_length(b->self_check) &&
         !strncmp(a->self_check, b->self_check, (size_t)check_length(a->self_check));
}

size_t plm_facts_training(const struct plm_study_runs *runs, const struct plm_run *run) {
  size_t number = 1;
  for (size_t i = 0; i < runs->count; i++) {
    size_t k = 0;
    if (same_training(&runs->runs[i], run))
      return number;
    while (!same_training(&runs->runs[k], &runs->runs[i]))
      k++;
    number += k == i;
  }
  return number;
}
