#include "supervisor_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "train/runfile.h"

static const char study_text[] =
    "[study]\ncorpus = none.h5\n[grid]\nmode = grid\nsizes = 1x4x1, 1x8x1, 2x8x2, 2x16x2\n"
    "tokens = 640\n[data]\nlength_max = 32\n[train]\nbatch_tokens = 64\n[run]\nhang_seconds = 1\n";

/* plmscale run-cell STUDY ID --backend DEVICE --threads T --report-fd 3 .. */
static const char program_text[] =
    "#!/bin/sh\n"
    "work=$(dirname \"$2\")\n"
    "cell=$work/s.study/cells/$3\n"
    "finish() { cp \"$work/ready/$3.h5\" \"$cell/run.h5\"; echo 'end done' >&3; }\n"
    "echo 'progress 1 4 100 50 2.5 2.6 nan 1' >&3\n"
    "case $5 in\n"
    "good) finish \"$@\" ;;\n"
    "arguments) echo \"$@\"; finish \"$@\" ;;\n"
    "crash) echo 'plmscale: error: about to fall' >&2; kill -s SEGV $$ ;;\n"
    "hang) sleep 60 ;;\n"
    "error) echo 'error 8 kernel \"x\": did not work' >&3; exit 1 ;;\n"
    "lost) echo 'error 5 device \"x\": gone' >&3; exit 1 ;;\n"
    "usage) echo 'error 101 option \"x\": unknown' >&3; exit 2 ;;\n"
    "busy) echo 'error 107 cell: process 1 works on it' >&3; exit 1 ;;\n"
    "liar) echo 'end done' >&3 ;;\n"
    "mute) echo 'plain words' >&2; exit 7 ;;\n"
    "flaky) if [ -e \"$cell/tried\" ]; then finish \"$@\"; else : >\"$cell/tried\"; exit 1; fi ;;\n"
    "polite) trap 'exit 75' TERM; while :; do sleep 0.05; echo 'progress 2 4 1 1 1 1 1 1' >&3; done ;;\n"
    "stubborn) trap '' TERM; while :; do sleep 0.05; echo 'progress 2 4 1 1 1 1 1 1' >&3; done ;;\n"
    "esac\n";

void fixture_write(const char *path, const char *text) {
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_file_write_atomic(path, text, strlen(text), &err))
    fail_msg("%s", err.text);
}

const char *fixture_path(const struct supervisor_fixture *f, size_t index, const char *name) {
  static char paths[4][160];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/s.study/cells/%s/%s", f->folder, f->study->cells[index].id, name);
  return path;
}

static void fill_run(struct plm_run *run, const struct plm_cell *cell, double loss, const char *status) {
  struct plm_run_figures *figures = &run->figures;
  struct plm_error err = PLM_ERROR_INIT;
  memcpy(run->cell_id, cell->id, sizeof run->cell_id);
  figures->layers = cell->shape.layers;
  figures->width = cell->shape.width;
  figures->heads = cell->shape.heads;
  figures->steps = figures->steps_planned = (double)cell->steps;
  figures->tokens = (double)cell->tokens;
  figures->valid_loss_mask = loss;
  figures->valid_loss_all = loss - 0.5;
  figures->seconds = 3;
#define X(name) run->name = strdup(#name);
  PLM_RUN_TEXTS(X)
#undef X
  free(run->status);
  run->status = strdup(status);
  run->ini = strdup(study_text);
  run->resolved_json = strdup("{}");
  assert_int_equal(plm_curve_reserve(&run->curve, 2, &err), 0);
  for (int c = 0; c < PLM_CURVE_COLUMNS; c++)
    for (int i = 0; i < 2; i++)
      run->curve.columns[c][i] = c + 10 * i;
  run->curve.seconds[0] = 1;
  run->curve.seconds[1] = 2;
  run->curve.steps = 2;
  const struct plm_evaluation evaluation = {.step = 2, .loss_mask = loss};
  assert_int_equal(plm_curve_add_evaluation(&run->curve, &evaluation, &err), 0);
}

void fixture_write_run(const struct supervisor_fixture *f, size_t index, const char *path, double loss,
                       const char *status) {
  struct plm_run run = {0};
  struct plm_layout layout = {0};
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_layout_init(&layout, f->study->cells[index].shape, (struct plm_scaling){0}, &err), 0);
  float *weights = calloc(layout.floats, sizeof *weights);
  assert_non_null(weights);
  plm_layout_weights(weights, &layout, 1, 0.02);
  fill_run(&run, &f->study->cells[index], loss, status);
  if (plm_run_write(path, &run, &layout, weights, &err))
    fail_msg("%s", err.text);
  free(weights);
  plm_run_fini(&run);
  plm_layout_fini(&layout);
}

int fixture_setup(void **state) {
  struct supervisor_fixture *f = calloc(1, sizeof *f);
  struct plm_errors errors = {0};
  struct plm_error err = PLM_ERROR_INIT;
  char path[160];
  if (!f)
    return 1;
  *state = f;
  plm_log_progress_mode(PLM_PROGRESS_NONE);
  strcpy(f->folder, "/tmp/plm-supervisor-XXXXXX");
  if (!mkdtemp(f->folder))
    return 1;
  snprintf(f->program, sizeof f->program, "%s/program", f->folder);
  fixture_write(f->program, program_text);
  snprintf(path, sizeof path, "%s/s.ini", f->folder);
  fixture_write(path, study_text);
  if (chmod(f->program, 0700) || plm_study_read(&f->study, path, &errors, &err) ||
      plm_study_expand(f->study, FIXTURE_DIGEST, 0, &err) || f->study->cell_count != FIXTURE_CELLS) {
    fprintf(stderr, "%s\n", err.text);
    return 1;
  }
  plm_errors_fini(&errors);
  for (size_t i = 0; i < FIXTURE_CELLS; i++) {
    snprintf(path, sizeof path, "%s/ready", f->folder);
    if (plm_file_make_folders(path, &err) || plm_file_make_folders(fixture_path(f, i, ""), &err))
      return 1;
    snprintf(path, sizeof path, "%s/ready/%s.h5", f->folder, f->study->cells[i].id);
    fixture_write_run(f, i, path, 2.5 + (double)i, "done");
  }
  return 0;
}

int fixture_teardown(void **state) {
  struct supervisor_fixture *f = *state;
  char command[80];
  plm_study_destroy(f->study);
  snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
  int failed = system(command);
  free(f);
  return failed;
}
