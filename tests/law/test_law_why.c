#include "law/why.h"

#include "law_fixture.h"

static const double BUDGETS[4] = {1e12, 1e13, 1e14, 1e15};
static const struct surface MASKED = {1.9, 30.0, 90.0, 0.3, 0.3};
/* N_opt ~ C^0.4 and larger: what the losses over all positions say. */
static const struct surface ALL = {1.2, 30.0, 90.0, 0.3, 0.2};

/* 4 budgets x 5 sizes x 2 seeds, as the run files of a study have them. */
static void runs_make(struct plm_study_runs *runs) {
  runs->runs = calloc(40, sizeof *runs->runs);
  assert_non_null(runs->runs);
  runs->capacity = 40;
  for (size_t i = 0; i < 40; i++) {
    struct plm_run *run = &runs->runs[runs->count++];
    struct plm_run_figures *f = &run->figures;
    snprintf(run->cell_id, sizeof run->cell_id, "%zu", i);
    run->status = strdup("done");
    f->budget = BUDGETS[i / 10];
    f->n_layers_only = surface_params(&MASKED, f->budget) * pow(2, (double)(i / 2 % 5) - 2);
    f->n_with_head = f->n_layers_only + 1000;
    f->n_total = f->n_layers_only + 2000;
    f->tokens = f->budget / (6 * f->n_layers_only);
    f->tokens_unique = f->tokens;
    f->flops_exact = 1.2 * f->budget;
    f->seed = (double)(i % 2 + 1);
    double noise = (i % 2 ? 1 : -1) * 1e-4 * sin((double)(i / 2));
    f->valid_loss_mask = surface_loss(&MASKED, f->n_layers_only, f->tokens) + noise;
    f->valid_loss_all = surface_loss(&ALL, f->n_layers_only, f->tokens) + noise;
    f->train_loss_mask = f->valid_loss_mask - 0.01;
    f->train_loss_all = f->valid_loss_all - 0.01;
  }
}

static void test_why__names_the_choice_that_moves_the_answer(void **state) {
  (void)state;
  struct plm_study_runs runs = {0};
  struct plm_why *why = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  const struct plm_why_options options = {.draws = 40, .threads = 2};
  size_t estimators;
  plm_estimators(&estimators);
  runs_make(&runs);
  if (plm_why_fit(&why, &runs, "test", &options, &err))
    fail_msg("%s", err.text);
  assert_int_equal(why->row_count, estimators * 3 * 2 * 2 * 2 * 2 * 3);
  assert_int_equal(why->single_count, estimators - 1 + 2 + 1 + 1 + 1 + 1 + 2);
  assert_true(why->compute == 1e15);
  assert_int_equal(why->rows[0].single, -1);
  assert_close(why->rows[0].params, surface_params(&MASKED, 1e15), 0.05);
  assert_close(why->rows[0].a, 0.5, 0.02);
  assert_true(why->rows[0].a_interval.known && why->rows[0].moved == 0);
  /* Sorted, and the positions stand first: the surfaces' own optima are that far apart. */
  double wanted = log10(surface_params(&ALL, 1e15) / surface_params(&MASKED, 1e15));
  assert_true(fabs(wanted) > 0.3);
  assert_int_equal(why->rows[1].single, PLM_WHY_POSITIONS);
  assert_true(fabs(why->rows[1].moved - wanted) < 0.05);
  for (size_t i = 2; i <= why->single_count; i++)
    if (isfinite(why->rows[i].moved))
      assert_true(fabs(why->rows[i].moved) <= fabs(why->rows[i - 1].moved));
    else
      assert_true(why->rows[i].reason[0] != 0);
  assert_true(why->params_min < why->params_max && why->fitted > 100);
  plm_why_destroy(why);
  plm_study_runs_fini(&runs);
}

static void test_why__judges_the_plateau(void **state) {
  (void)state;
  struct plm_study_runs runs = {0};
  struct plm_why *why = NULL;
  const struct plm_why_options options = {.draws = 40, .threads = 2};
  runs_make(&runs);
  assert_int_equal(plm_why_fit(&why, &runs, "test", &options, NULL), 0);
  const struct plm_plateau *p = &why->plateau;
  assert_true(p->known && p->needed && p->E_interval.known);
  assert_close(p->E, 1.9, 0.01);
  /* The reducible loss falls as C^-0.15 on this surface. */
  double n = surface_params(&MASKED, 1e15), left = surface_loss(&MASKED, n, 1e15 / (6 * n)) - 1.9;
  assert_close(p->reducible, left, 0.02);
  assert_close(p->seen_from, 1e15 * pow(2 * p->sigma / p->reducible, -1 / 0.15), 0.3);
  json_t *json = plm_why_json(why);
  assert_non_null(json);
  assert_string_equal(json_string_value(json_object_get(json, "schema")), PLM_WHY_SCHEMA);
  assert_int_equal(json_array_size(json_object_get(json, "rows")), why->row_count);
  json_t *first = json_array_get(json_object_get(json, "rows"), 1);
  assert_string_equal(json_string_value(json_object_get(first, "changed")), "positions");
  assert_string_equal(json_string_value(json_object_get(json_object_get(first, "choices"), "positions")),
                      "all selected");
  assert_true(json_is_true(json_object_get(json_object_get(json, "plateau"), "needed")));
  json_decref(json);
  plm_why_destroy(why);
  plm_study_runs_fini(&runs);
}

static void test_why__without_runs_is_refused(void **state) {
  (void)state;
  struct plm_study_runs runs = {0};
  struct plm_why *why = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  const struct plm_why_options options = {0};
  assert_int_equal(plm_why_fit(&why, &runs, "s.ini", &options, &err), PLM_E_UNSUPPORTED);
  assert_non_null(strstr(err.text, "no run is done"));
  assert_null(why);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_why__names_the_choice_that_moves_the_answer),
      cmocka_unit_test(test_why__judges_the_plateau),
      cmocka_unit_test(test_why__without_runs_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
