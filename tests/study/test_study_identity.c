/* A cell's id: what changes it, what does not, and that it stays what it was. */
#include "study_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/option_table.h"

#define BODY "corpus = c.h5\n[grid]\nmode = grid\nsizes = 2x32x2\ntokens = 1M\n"
#define STUDY "[study]\n" BODY
/* A study with one cell has had this id since the first release; results on disk are found by it. */
#define FROZEN_ID "37f70c1fb0aa733f"

static void id_of(char out[PLM_CELL_ID], const char *text) {
  struct plm_study *study = study_fixture_expand(text, 1000000);
  assert_int_equal(study->cell_count, 1);
  assert_null(study->cells[0].refused);
  strcpy(out, study->cells[0].id);
  plm_study_destroy(study);
}

static void test_identity__is_frozen(void **state) {
  (void)state;
  char id[PLM_CELL_ID];
  id_of(id, STUDY);
  assert_string_equal(id, FROZEN_ID);
}

static void test_identity__is_the_same_however_values_are_written(void **state) {
  (void)state;
  static const char *const texts[] = {
      "[study]\nname = other\nout = elsewhere\n" BODY,
      "# comment\n" STUDY "run_cap = 7\nepochs_max = 2\n[train]\nbatch_tokens = 8.192k\nlr_at_1m = 0.002\n",
      STUDY "[data]\nmask_rate = 15e-2\n[evaluate]\ntokens = 200_000\n[train]\nschedule = cosine\n",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    char id[PLM_CELL_ID];
    id_of(id, texts[i]);
    assert_string_equal(id, FROZEN_ID);
  }
  char first[PLM_CELL_ID], second[PLM_CELL_ID];
  id_of(first, STUDY "[train]\nlr = 1e-3\n");
  id_of(second, STUDY "[train]\nlr = 0.001\n");
  assert_string_equal(first, second);
  assert_string_not_equal(first, FROZEN_ID);
  id_of(second, STUDY "[train]\nlr = 25.4k: 1e-3\n");
  assert_string_equal(first, second);
}

/* Another value of a number that the ranges and the cross-checks take. */
static void other_number(char *out, size_t size, const struct plm_study_option *option) {
  double value = strtod(option->value, NULL);
  if (option->kind == PLM_KIND_INTEGER)
    snprintf(out, size, "%.0f%s", value + 2, option->value[strspn(option->value, "0123456789")] ? "k" : "");
  else
    snprintf(out, size, "%.17g", value * 0.9 + (value == 0));
}

static void test_identity__changes_with_every_number_that_matters(void **state) {
  (void)state;
  int changing = 0, keeping = 0;
  for (int i = 0; i < PLM_OPTION_COUNT; i++) {
    const struct plm_study_option *option = &plm_option_table[i];
    if (option->kind != PLM_KIND_INTEGER && option->kind != PLM_KIND_REAL)
      continue;
    if (i == PLM_AT_model_base_width || i == PLM_AT_train_sweep_tokens || i == PLM_AT_train_sweep_seed)
      continue; /* nothing by themselves */
    int matters = strcmp(option->section, "run") != 0 && strcmp(option->section, "grid") != 0;
    char value[64], text[1024], id[PLM_CELL_ID];
    other_number(value, sizeof value, option);
    if (i == PLM_AT_grid_center || i == PLM_AT_run_micro_tokens)
      snprintf(value, sizeof value, "%s", i == PLM_AT_grid_center ? "0" : "4096");
    snprintf(text, sizeof text, STUDY "[%s]\n%s = %s\n", option->section, option->key, value);
    id_of(id, text);
    if (matters)
      assert_string_not_equal(id, FROZEN_ID);
    else
      assert_string_equal(id, FROZEN_ID);
    changing += matters;
    keeping += !matters;
  }
  assert_true(changing >= 20 && keeping >= 10);
}

static void test_identity__changes_with_mup_and_its_base(void **state) {
  (void)state;
  char first[PLM_CELL_ID], second[PLM_CELL_ID];
  id_of(first, STUDY "[model]\nparametrization = standard\n");
  assert_string_equal(first, FROZEN_ID);
  id_of(first, STUDY "[model]\nparametrization = mup\nbase_width = 32\n");
  id_of(second, STUDY "[model]\nparametrization = mup\nbase_width = 64\n");
  assert_string_not_equal(first, FROZEN_ID);
  assert_string_not_equal(second, FROZEN_ID);
  assert_string_not_equal(first, second);
}

/* Ids of a study whose rates a sweep gives: count of them, in the plan's order. */
static void ids_of(char out[8][PLM_CELL_ID], size_t count, const char *text, int sweeps) {
  struct plm_study *study = study_fixture_expand(text, 1000000);
  size_t found = 0;
  for (size_t i = 0; i < study->cell_count; i++)
    if (study->cells[i].sweep == sweeps) {
      assert_true(found < count);
      assert_true(sweeps ? study->cells[i].lr > 0 : isnan(study->cells[i].lr));
      strcpy(out[found++], study->cells[i].id);
    }
  assert_int_equal(found, count);
  plm_study_destroy(study);
}

static void test_identity__of_a_sweep_hangs_on_its_options_and_not_on_its_outcome(void **state) {
  (void)state;
  char point[8][PLM_CELL_ID], other[8][PLM_CELL_ID], runs[8][PLM_CELL_ID], more[8][PLM_CELL_ID];
  ids_of(point, 1, STUDY "[train]\nlr = sweep\n", 0);
  assert_string_not_equal(point[0], FROZEN_ID);
  ids_of(other, 1, STUDY "[train]\nlr = sweep\nsweep_factors = 0.25,0.50, 1.0, 2, 4\nsweep_tokens = 250k\n", 0);
  assert_string_equal(point[0], other[0]); /* 0.25 of a million tokens, and the same numbers */
  static const char *const changes[] = {"sweep_factors = 0.5, 1, 2\n", "sweep_tokens = 0.5\n", "sweep_seed = 2\n",
                                        "lr_at_1m = 1e-3\n"};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    char text[512];
    snprintf(text, sizeof text, STUDY "[train]\nlr = sweep\n%s", changes[i]);
    ids_of(other, 1, text, 0);
    assert_string_not_equal(point[0], other[0]);
  }
  /* More factors leave the runs that were there what they are. */
  ids_of(runs, 3, STUDY "[train]\nlr = sweep\nsweep_factors = 0.5, 1, 2\n", 1);
  ids_of(more, 4, STUDY "[train]\nlr = sweep\nsweep_factors = 0.5, 1, 2, 4\n", 1);
  for (size_t i = 0; i < 3; i++) {
    size_t same = 0;
    for (size_t k = 0; k < 4; k++)
      same += strcmp(runs[i], more[k]) == 0;
    assert_int_equal(same, 1);
  }
}

static void test_identity__changes_with_schedule_shape_tokens_seed_and_corpus(void **state) {
  (void)state;
  static const char *const texts[] = {
      STUDY "[train]\nschedule = wsd\n",
      "[study]\nseeds = 2\n" BODY,
      "[study]\ncorpus = c.h5\n[grid]\nmode = grid\nsizes = 2x32x4\ntokens = 1M\n",
      "[study]\ncorpus = c.h5\n[grid]\nmode = grid\nsizes = 2x32x2\ntokens = 1000001\n",
  };
  char id[PLM_CELL_ID];
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    id_of(id, texts[i]);
    assert_string_not_equal(id, FROZEN_ID);
  }
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_study *study = study_fixture_read(STUDY);
  assert_int_equal(plm_study_expand(study, "another", 1000000, &err), 0);
  assert_string_not_equal(study->cells[0].id, FROZEN_ID);
  plm_study_destroy(study);
}

static void test_identity__does_not_change_with_devices_or_backends(void **state) {
  (void)state;
  char id[PLM_CELL_ID];
  id_of(id, STUDY "[run]\ndevices = opencl:0, cpu\nthreads = 3\n[backend cpu]\nx = 1\n");
  assert_string_equal(id, FROZEN_ID);
}

static void test_identity__study_json_holds_the_whole_study(void **state) {
  (void)state;
  struct plm_study *study = study_fixture_expand(STUDY "[backend cpu]\nx = 1\ny = 2\n[backend gpu]\nx = 3\n", 1000000);
  json_t *json = plm_study_json(study, "c0ffee");
  assert_non_null(json);
  assert_string_equal(json_string_value(json_object_get(json, "schema")), "plmscale.study/1");
  assert_string_equal(json_string_value(json_object_get(json, "corpus_digest")), "c0ffee");
  assert_string_equal(json_string_value(json_object_get(json, "ini")), study->text);
  json_t *options = json_object_get(json, "options");
  size_t count = 0;
  const char *section;
  json_t *object;
  json_object_foreach(options, section, object) count += json_object_size(object);
  assert_int_equal(count, PLM_OPTION_COUNT);
  assert_int_equal(json_integer_value(json_object_get(json_object_get(options, "train"), "batch_tokens")), 8192);
  assert_string_equal(json_string_value(json_object_get(json_object_get(options, "train"), "schedule")), "cosine");
  json_t *backends = json_object_get(json, "backends");
  assert_string_equal(json_string_value(json_object_get(json_object_get(backends, "cpu"), "y")), "2");
  assert_string_equal(json_string_value(json_object_get(json_object_get(backends, "gpu"), "x")), "3");
  json_t *cell = json_array_get(json_object_get(json, "cells"), 0);
  assert_string_equal(json_string_value(json_object_get(cell, "id")), study->cells[0].id);
  assert_int_equal(json_integer_value(json_object_get(cell, "n_layers_only")), 25408);
  assert_true(json_is_null(json_object_get(cell, "refused")));
  json_decref(json);
  plm_study_destroy(study);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_identity__is_frozen),
      cmocka_unit_test(test_identity__is_the_same_however_values_are_written),
      cmocka_unit_test(test_identity__changes_with_every_number_that_matters),
      cmocka_unit_test(test_identity__changes_with_mup_and_its_base),
      cmocka_unit_test(test_identity__of_a_sweep_hangs_on_its_options_and_not_on_its_outcome),
      cmocka_unit_test(test_identity__changes_with_schedule_shape_tokens_seed_and_corpus),
      cmocka_unit_test(test_identity__does_not_change_with_devices_or_backends),
      cmocka_unit_test(test_identity__study_json_holds_the_whole_study),
  };
  return cmocka_run_group_tests(tests, study_fixture_setup, study_fixture_teardown);
}
