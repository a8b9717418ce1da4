/*
 * Fills the folder of a study with run files on a known surface, so that reports of rich studies need no hours of training.
 * Usage: report_runs STUDY.ini [hostile]. hostile: device names and failures as nobody should write them, and among the
 * cells one each that diverged, failed, is damaged, and was not run.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/h5.h"
#include "base/rng.h"
#include "train/cell_folder.h"
#include "train/failure.h"
#include "train/prepare.h"
#include "train/runfile.h"

#define STEPS 400
#define NOISE 1e-3f /* nats */
#define HOSTILE "</title><script>alert(1)</script><img src=http://example.invalid/x.png> & \" ' `touch EVIL` $(touch EVIL) \n {_^@} \xff\xfe ü ∑"

static double surface(double n, double d) { return 2.3 + 3 * pow(n, -0.3) + 30 * pow(d, -0.3); }

static void fail(const struct plm_error *err) {
  fprintf(stderr, "report_runs: %s\n", err->text);
  exit(1);
}

static char *copied(const char *text) {
  char *copy = strdup(text);
  if (!copy)
    abort();
  return copy;
}

static void texts_fill(struct plm_run *run, const struct plm_study *study, const char *digest, size_t index, int hostile) {
  char shape[PLM_SHAPE_TEXT], name[400];
  plm_shape_text(shape, (struct plm_shape){(uint32_t)run->figures.layers, (uint32_t)run->figures.width, (uint32_t)run->figures.heads});
#define X(field) run->field = copied("");
  PLM_RUN_TEXTS(X)
#undef X
  const struct {
    char **field;
    const char *text;
  } set[] = {{&run->status, hostile && index == 3 ? "diverged" : "done"},
             {&run->shape, shape},
             {&run->corpus_digest, digest},
             {&run->precision, "f32"},
             {&run->backend, index % 3 ? "cpu" : "opencl"},
             {&run->backend_version, "1.0"},
             {&run->backend_path, "/usr/lib/plmscale/backends/cpu.so"},
             {&run->backend_sha256, "00"},
             {&run->device_id, "0"},
             {&run->device_name, index % 3 ? "Example CPU" : "Example GPU"},
             {&run->driver, "example"},
             {&run->driver_version, "2"},
             {&run->host_name, "host"},
             {&run->self_check, "passed 36 cases, largest error 0.1 of what is allowed"}};
  for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
    free(*set[i].field);
    *set[i].field = copied(set[i].text);
  }
  if (hostile) {
    snprintf(name, sizeof name, "%s %s", run->device_name, HOSTILE);
    free(run->device_name);
    run->device_name = copied(name);
  }
  run->ini = copied(study->text);
  run->resolved_json = copied("{}");
}

static void curve_fill(struct plm_run *run, const struct plm_study *study, float *noise) {
  struct plm_curve *c = &run->curve;
  double n = run->figures.n_layers_only, d = run->figures.tokens;
  if (plm_curve_reserve(c, STEPS, NULL))
    abort();
  for (size_t i = 0; i < STEPS; i++) {
    double tokens = d * (double)(i + 1) / STEPS;
    c->columns[PLM_CURVE_TOKENS][i] = tokens;
    c->columns[PLM_CURVE_SELECTED][i] = 0.15 * d / STEPS;
    c->columns[PLM_CURVE_MASKED][i] = 0.12 * d / STEPS;
    c->columns[PLM_CURVE_RATE][i] = run->figures.lr;
    c->columns[PLM_CURVE_LOSS_MASK][i] = surface(n, tokens) + 0.02 + 5 * (double)noise[i];
    c->columns[PLM_CURVE_LOSS_ALL][i] = c->columns[PLM_CURVE_LOSS_MASK][i] - 0.1;
    c->columns[PLM_CURVE_GRAD_NORM][i] = c->columns[PLM_CURVE_CLIP][i] = 1;
    c->seconds[i] = run->figures.seconds * (double)(i + 1) / STEPS;
  }
  c->steps = STEPS;
  for (size_t k = 1; k <= (size_t)study->config.evaluate_count; k++) {
    double tokens = d * (double)k / (double)study->config.evaluate_count, loss = surface(n, tokens);
    struct plm_evaluation e = {.step = (double)(STEPS * k) / (double)study->config.evaluate_count, .tokens = tokens,
                               .loss_all = loss - 0.1, .loss_all_error = 0.005, .loss_mask = loss, .loss_mask_error = 0.005};
    if (plm_curve_add_evaluation(c, &e, NULL))
      abort();
  }
}

static void figures_fill(struct plm_run *run, const struct plm_cell *cell, size_t index, double noise) {
  struct plm_run_figures *f = &run->figures;
  double rate = (index % 3 ? 2e10 : 8e10) * (1 - exp(-(double)cell->n_layers_only / 1e5)) + 2e9;
  *f = (struct plm_run_figures){.layers = cell->shape.layers, .width = cell->shape.width, .heads = cell->shape.heads,
                                .n_layers_only = (double)cell->n_layers_only, .n_with_head = (double)cell->n_with_head,
                                .n_total = (double)cell->n_total, .budget = cell->budget,
                                .tokens_planned = (double)cell->tokens, .tokens = (double)cell->tokens,
                                .tokens_unique = (double)cell->tokens, .epochs = 0.5, .steps_planned = STEPS,
                                .steps = STEPS, .seed = (double)cell->seed, .lr = cell->lr, .threads = 1, .deterministic = 1};
  f->flops_6nd = 6 * f->n_layers_only * f->tokens;
  f->flops_exact = 1.3 * f->flops_6nd;
  f->seconds = f->flops_exact / rate;
  f->tokens_per_second = f->tokens / f->seconds;
  f->valid_loss_mask = surface(f->n_layers_only, f->tokens) + noise;
  f->valid_loss_all = f->valid_loss_mask - 0.1;
  f->train_loss_mask = f->valid_loss_mask + 0.02;
  f->train_loss_all = f->valid_loss_all + 0.02;
  f->valid_loss_mask_error = f->valid_loss_all_error = 0.005;
}

static void run_write(const char *path, const struct plm_study *study, const struct plm_cell *cell, const char *digest,
                      size_t index, int hostile) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_run run = {0};
  struct plm_layout layout;
  float noise[STEPS + 1];
  plm_rng_normal(noise, STEPS + 1, NOISE, 7, PLM_RNG_TEST, (uint32_t)index, 0);
  memcpy(run.cell_id, cell->id, sizeof run.cell_id);
  figures_fill(&run, cell, index, (double)noise[STEPS]);
  texts_fill(&run, study, digest, index, hostile);
  curve_fill(&run, study, noise);
  if (plm_layout_init(&layout, cell->shape, (struct plm_scaling){0}, &err))
    fail(&err);
  float *weights = calloc(layout.floats, sizeof *weights);
  if (!weights)
    abort();
  if (plm_run_write(path, &run, &layout, weights, &err))
    fail(&err);
  free(weights);
  plm_layout_fini(&layout);
  plm_run_fini(&run);
}

static void cell_write(const struct plm_study *study, const struct plm_cell *cell, const char *digest, size_t index,
                       int hostile) {
  struct plm_error err = PLM_ERROR_INIT;
  if (cell->refused)
    return;
  char *folder = plm_cell_folder(study, cell), *path = folder ? plm_file_join(folder, "run.h5") : NULL;
  if (!path)
    abort();
  if (plm_file_make_folders(folder, &err))
    fail(&err);
  if (hostile && index == 4) {
    struct plm_failure failure = {.kind = "error", .code = PLM_E_DEVICE_LOST, .step = 3, .device = "opencl:0", .text = HOSTILE};
    if (plm_failure_write(folder, cell->id, &failure, &err))
      fail(&err);
  } else if (hostile && index == 6) {
    if (plm_file_write_atomic(path, "<script>", 8, &err))
      fail(&err);
  } else if (!hostile || index != 5) {
    run_write(path, study, cell, digest, index, hostile);
  }
  free(path);
  free(folder);
}

int main(int argc, char **argv) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_errors errors = {0};
  struct plm_prepared prepared;
  struct plm_study *study = NULL;
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: report_runs STUDY.ini [hostile]\n");
    return 2;
  }
  if (plm_h5_start(&err) || plm_study_read(&study, argv[1], &errors, &err) || plm_prepare_study(&prepared, study, &err))
    fail(&err);
  for (size_t i = 0; i < study->cell_count; i++)
    cell_write(study, &study->cells[i], prepared.corpus_digest, i, argc == 3);
  printf("%zu cells\n", study->cell_count);
  plm_study_destroy(study);
  plm_errors_fini(&errors);
  return 0;
}
