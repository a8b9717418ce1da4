/* From options to cells. */
#include "study_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "[study]\ncorpus = c.h5\n"
#define CORPUS_TOKENS 10000000

static void check_order(const struct plm_study *study) {
  for (size_t i = 1; i < study->cell_count; i++) {
    const struct plm_cell *a = &study->cells[i - 1], *b = &study->cells[i];
    assert_true(a->flops_6nd <= b->flops_6nd);
    if (a->flops_6nd == b->flops_6nd) {
      assert_true(a->n_layers_only <= b->n_layers_only);
      if (a->n_layers_only == b->n_layers_only)
        assert_true(a->seed <= b->seed);
    }
  }
}

static void test_expand__grid_is_sizes_by_tokens_by_seeds(void **state) {
  (void)state;
  struct plm_study *study = study_fixture_expand(
      HEAD "seeds = 7, 3\n[grid]\nmode = grid\nsizes = 2x32x2, 1x16x1, 6x320x20\ntokens = 1M, 2M\n", CORPUS_TOKENS);
  assert_int_equal(study->cell_count, 12);
  check_order(study);
  const struct plm_cell *cell = &study->cells[0];
  assert_int_equal(cell->n_layers_only, 3280);
  assert_int_equal(cell->seed, 3);
  assert_int_equal(study->cells[1].seed, 7);
  assert_true(strcmp(cell->id, study->cells[1].id) != 0);
  assert_int_equal(cell->tokens, 1000000);
  assert_int_equal(cell->steps, 123);
  assert_true(cell->flops_6nd == 6.0 * 3280 * 1e6 && cell->budget == 0);
  cell = &study->cells[11];
  assert_int_equal(cell->shape.layers, 6);
  assert_int_equal(cell->shape.width, 320);
  assert_int_equal(cell->shape.heads, 20);
  assert_int_equal(cell->n_layers_only, 7397760);
  assert_int_equal(cell->n_total, 7512353);
  assert_int_equal(cell->n_with_head, 7512353 - 33 * 320);
  assert_int_equal(cell->tokens, 2000000);
  assert_int_equal(cell->steps, 245);
  plm_study_destroy(study);
}

static void test_expand__zip_is_pairs(void **state) {
  (void)state;
  struct plm_study *study =
      study_fixture_expand(HEAD "[grid]\nmode = zip\nsizes = 2x32x2, 1x16x1\ntokens = 1M, 3M\n", CORPUS_TOKENS);
  assert_int_equal(study->cell_count, 2);
  assert_int_equal(study->cells[0].n_layers_only, 3280);
  assert_int_equal(study->cells[0].tokens, 3000000);
  assert_int_equal(study->cells[1].n_layers_only, 25408);
  assert_int_equal(study->cells[1].tokens, 1000000);
  plm_study_destroy(study);
}

static void test_expand__isoflop_spends_each_budget_on_every_size(void **state) {
  (void)state;
  struct plm_study *study =
      study_fixture_expand(HEAD "[grid]\ncompute = 3e12, 1e12\nsizes = 3280, 26k, 3x48x3\n", CORPUS_TOKENS);
  assert_int_equal(study->cell_count, 6);
  check_order(study);
  for (size_t i = 0; i < 6; i++) {
    const struct plm_cell *cell = &study->cells[i];
    double tokens = cell->budget / (6.0 * (double)cell->n_layers_only);
    assert_true(cell->budget == (i < 3 ? 1e12 : 3e12));
    assert_int_equal(cell->tokens, llround(tokens));
    assert_int_equal(cell->steps, (cell->tokens + 8191) / 8192);
    assert_true(cell->flops_6nd == 6.0 * (double)cell->n_layers_only * (double)cell->tokens);
    assert_true(fabs(cell->flops_6nd / cell->budget - 1) < 1e-4);
    assert_null(cell->refused);
  }
  plm_study_destroy(study);
}

static void test_expand__isoflop_without_sizes_follows_the_center(void **state) {
  (void)state;
  struct plm_study *study = study_fixture_expand(
      HEAD "[grid]\ncompute = 1e12, 1e14\ncenter = 1M\ncenter_exponent = 0.5\nspread = 4\npoints_per_budget = 5\n"
           "[train]\nbatch_tokens = 1024\n[data]\nlength_max = 1024\n",
      CORPUS_TOKENS);
  assert_int_equal(study->cell_count, 10);
  for (size_t i = 0; i < 10; i++) {
    const struct plm_cell *cell = &study->cells[i];
    size_t place = 0;
    for (size_t j = 0; j < 10; j++)
      place += study->cells[j].budget == cell->budget && study->cells[j].n_layers_only < cell->n_layers_only;
    double asked = (cell->budget == 1e12 ? 1e6 : 1e7) * pow(4, (double)place / 2 - 1);
    struct plm_shape shape;
    struct plm_error err = PLM_ERROR_INIT;
    assert_int_equal(plm_shape_for_params(&shape, asked, 16, &err), 0);
    assert_int_equal(cell->n_layers_only, plm_shape_params_layers(shape));
  }
  plm_study_destroy(study);
}

static void test_expand__learning_rate_is_fixed_or_follows_the_rule(void **state) {
  (void)state;
  struct plm_study *study = study_fixture_expand(
      HEAD "[grid]\nmode = grid\nsizes = 6x320x20, 1x2x1\ntokens = 1M\n[train]\nlr_at_1m = 3e-3\nlr_exponent = -0.5\n"
           "lr_max = 1e-2\n",
      CORPUS_TOKENS);
  assert_int_equal(study->cell_count, 2);
  assert_true(study->cells[0].lr == 1e-2); /* 74 parameters: the rule gives 0.35 */
  assert_true(fabs(study->cells[1].lr / (3e-3 / sqrt(7.39776)) - 1) < 1e-12);
  plm_study_destroy(study);
  study = study_fixture_expand(
      HEAD "[grid]\nmode = grid\nsizes = 6x320x20\ntokens = 1M\n[train]\nlr = 4e-4\nlr_max = 1e-4\n", CORPUS_TOKENS);
  assert_true(study->cells[0].lr == 4e-4);
  plm_study_destroy(study);
}

static void test_expand__listed_rates_are_found_by_model(void **state) {
  (void)state;
  /* 26k is 2x32x2; 1000 has no shape, and its refused cell has its rate all the same. */
  struct plm_study *study = study_fixture_expand(
      HEAD "[grid]\nmode = grid\nsizes = 26k, 6x320x20, log(1e5, 1e6, 2), 1000\ntokens = 1M, 2M\n[train]\n"
           "lr = 6x320x20: 1e-3, 2x32x2: 8e-3,\n  log(1e5, 1e6, 2): 2e-3, 1e3: 3e-2\n",
      CORPUS_TOKENS);
  static const double rates[] = {3e-2, 8e-3, 2e-3, 2e-3, 1e-3};
  assert_int_equal(study->cell_count, 10);
  for (size_t i = 0; i < 10; i++) {
    const struct plm_cell *cell = &study->cells[i];
    size_t size = cell->shape.layers == 0 ? 0 : cell->shape.width == 320 ? 4 : cell->shape.width == 32 ? 1 : 2;
    assert_true(cell->lr == rates[size]);
  }
  /* What a model that is not listed would be given. */
  const struct plm_config *config = &study->config;
  assert_true(plm_study_peak_rate(config, 10) == 3e-2 && plm_study_peak_rate(config, 1e9) == 1e-3);
  assert_true(plm_study_peak_rate(config, 25408) == 8e-3);
  assert_true(fabs(plm_study_peak_rate(config, sqrt(25408 * 1e5)) - 4e-3) < 1e-15);
  plm_study_destroy(study);
}

static void test_expand__refused_cells_stay_with_their_reason(void **state) {
  (void)state;
  static const struct {
    const char *text, *reason;
  } cases[] = {
      {"sizes = 6x320x20\ncompute = 1e11\n", "2253 tokens are fewer than one batch (batch_tokens = 8192)"},
      {"sizes = 2x32x2\ncompute = 1e12\ntokens_min = 1e7\n", "6559614 tokens are fewer than tokens_min = 1e+07"},
      {"sizes = 2x32x2\ncompute = 1e13\nepochs_max = 5\n", "6.56 epochs of the corpus are more than epochs_max = 5"},
      {"sizes = 1000\ncompute = 1e13\n", "size \"1000\": the nearest shape with heads of 16 is 1x16x1 with 3280 "
                                         "parameters, off by more than 25 %"},
      {"sizes = 1x16x1\ncompute = 1e30\n", "5.081e+25 tokens are more than 4294967295 steps of batch_tokens = 8192"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[512];
    snprintf(text, sizeof text, HEAD "[grid]\n%s", cases[i].text);
    struct plm_study *study = study_fixture_expand(text, CORPUS_TOKENS);
    assert_int_equal(study->cell_count, 1);
    assert_non_null(study->cells[0].refused);
    assert_string_equal(study->cells[0].refused, cases[i].reason);
    assert_true(isfinite(study->cells[0].flops_6nd) && isfinite(study->cells[0].lr));
    plm_study_destroy(study);
  }
}

static void test_expand__epochs_are_not_judged_without_a_corpus(void **state) {
  (void)state;
  struct plm_study *study = study_fixture_expand(HEAD "[grid]\nsizes = 2x32x2\ncompute = 1e13\nepochs_max = 5\n", 0);
  assert_null(study->cells[0].refused);
  plm_study_destroy(study);
}

static void test_expand__extreme_centers_are_refused_not_undefined(void **state) {
  (void)state;
  struct plm_study *study = study_fixture_expand(
      HEAD "[grid]\ncompute = 1, 1e30\ncenter = 1e15\ncenter_exponent = 2\nspread = 1000\n", CORPUS_TOKENS);
  for (size_t i = 0; i < study->cell_count; i++) {
    assert_non_null(study->cells[i].refused);
    assert_true(isfinite(study->cells[i].flops_6nd) && study->cells[i].n_layers_only > 0);
  }
  json_t *json = plm_study_json(study, "c0ffee");
  assert_non_null(json);
  json_decref(json);
  plm_study_destroy(study);
}

static void test_expand__sizes_named_twice_become_one_cell(void **state) {
  (void)state;
  struct plm_study *study = study_fixture_expand(
      HEAD "seeds = 1, 1\n[grid]\ncompute = 1e12\nsizes = 2x32x2, 25408, 26k, 3280\n", CORPUS_TOKENS);
  assert_int_equal(study->cell_count, 2);
  plm_study_destroy(study);
}

static void test_expand__more_cells_than_run_cap_is_an_error(void **state) {
  (void)state;
  static const struct {
    const char *text;
    double cells;
  } cases[] = {
      {"compute = log(1e12,1e13,10)\nsizes = 26k, 30k\nrun_cap = 19\n", 20},
      {"compute = log(1e12,1e13,10)\ncenter = 30k\nrun_cap = 69\n", 70},
      {"mode = zip\nsizes = 26k, 30k\ntokens = 1M, 2M\nrun_cap = 1\n", 2},
      {"mode = grid\nsizes = log(1e4,1e9,100000)\ntokens = log(1e6,1e9,100000)\nrun_cap = 1000000\n", 1e10},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[512], reason[100];
    struct plm_error err = PLM_ERROR_INIT;
    snprintf(text, sizeof text, HEAD "[grid]\n%s", cases[i].text);
    struct plm_study *study = study_fixture_read(text);
    assert_int_equal(plm_study_expand(study, "c0ffee", CORPUS_TOKENS, &err), PLM_E_USAGE);
    snprintf(reason, sizeof reason, "the grid has %.0f cells, more than run_cap = ", cases[i].cells);
    assert_non_null(strstr(err.text, reason));
    assert_int_equal(study->cell_count, 0);
    plm_study_destroy(study);
  }
}

static void test_expand__again_gives_the_same_cells(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_study *study = study_fixture_expand(HEAD "[grid]\ncompute = 1e12, 1e11\ncenter = 30k\n", CORPUS_TOKENS);
  size_t count = study->cell_count;
  assert_true(count >= 10 && count <= 14);
  char ids[14][PLM_CELL_ID];
  for (size_t i = 0; i < count; i++)
    strcpy(ids[i], study->cells[i].id);
  assert_int_equal(plm_study_expand(study, "c0ffee", CORPUS_TOKENS, &err), 0);
  assert_int_equal(study->cell_count, count);
  for (size_t i = 0; i < count; i++)
    assert_string_equal(ids[i], study->cells[i].id);
  plm_study_destroy(study);
}

static void test_expand__cells_are_found_by_a_prefix_of_their_id(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_study *study = study_fixture_expand(HEAD "[grid]\ncompute = 1e12\ncenter = 30k\n", CORPUS_TOKENS);
  struct plm_cell *cell = NULL;
  char prefix[9];
  snprintf(prefix, sizeof prefix, "%.8s", study->cells[2].id);
  assert_int_equal(plm_study_cell(&cell, study, study->cells[1].id, &err), 0);
  assert_ptr_equal(cell, &study->cells[1]);
  assert_int_equal(plm_study_cell(&cell, study, prefix, &err), 0);
  assert_ptr_equal(cell, &study->cells[2]);
  assert_int_equal(plm_study_cell(&cell, study, "abc", &err), PLM_E_USAGE);
  assert_string_equal(err.text, "cell \"abc\": at least 4 digits of its id are needed");
  assert_int_equal(plm_study_cell(&cell, study, "zzzz", &err), PLM_E_USAGE);
  assert_non_null(strstr(err.text, "cell \"zzzz\": not among the"));
  memcpy(study->cells[2].id, study->cells[1].id, 8);
  snprintf(prefix, sizeof prefix, "%.8s", study->cells[1].id);
  assert_int_equal(plm_study_cell(&cell, study, prefix, &err), PLM_E_USAGE);
  assert_non_null(strstr(err.text, "both begin so, give more digits"));
  plm_study_destroy(study);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_expand__grid_is_sizes_by_tokens_by_seeds),
      cmocka_unit_test(test_expand__zip_is_pairs),
      cmocka_unit_test(test_expand__isoflop_spends_each_budget_on_every_size),
      cmocka_unit_test(test_expand__isoflop_without_sizes_follows_the_center),
      cmocka_unit_test(test_expand__learning_rate_is_fixed_or_follows_the_rule),
      cmocka_unit_test(test_expand__listed_rates_are_found_by_model),
      cmocka_unit_test(test_expand__refused_cells_stay_with_their_reason),
      cmocka_unit_test(test_expand__epochs_are_not_judged_without_a_corpus),
      cmocka_unit_test(test_expand__extreme_centers_are_refused_not_undefined),
      cmocka_unit_test(test_expand__sizes_named_twice_become_one_cell),
      cmocka_unit_test(test_expand__more_cells_than_run_cap_is_an_error),
      cmocka_unit_test(test_expand__again_gives_the_same_cells),
      cmocka_unit_test(test_expand__cells_are_found_by_a_prefix_of_their_id),
  };
  return cmocka_run_group_tests(tests, study_fixture_setup, study_fixture_teardown);
}
