#include "law/asymmetric.h"
#include "law/huber.h"
#include "law/lad.h"
#include "law/mse.h"
#include "law_fixture.h"

enum design { ISOFLOP, OUTLIERS, BUDGET, GRID, RATIO };

/* The surfaces and the lowest objectives that another program found on them: the output of best_known.py. */
static const struct {
  struct surface surface;
  enum design design;
  double noise;
  double best[4]; /* huber, lad, mse, asymmetric */
} KNOWN[] = {
#include "best_known.inc"
};
#define KNOWN_COUNT (sizeof KNOWN / sizeof *KNOWN)

static const struct plm_objective *const OBJECTIVES[4] = {&plm_huber_objective, &plm_lad_objective, &plm_mse_objective,
                                                          &plm_asymmetric_objective};
static const char *const NAMES[4] = {"huber", "lad", "mse", "asymmetric"};

/* As points() of best_known.py. */
static void known_points(struct plm_points *out, size_t k) {
  enum design design = KNOWN[k].design;
  int rows = design == RATIO ? 12 : design == GRID ? 36 : design == BUDGET ? 9 : 25;
  int columns = design == GRID ? 6 : design == BUDGET ? 9 : 5;
  for (int r = 0; r < rows; r++) {
    int i = r / columns, j = r % columns;
    double n = 5e7 * pow(10, 0.24 * i) * pow(10, 0.3 * (j - 2)), d = 1e18 * pow(10, 0.5 * i) / (6 * n);
    if (design == GRID) {
      n = 1e6 * pow(10, 0.8 * i);
      d = 1e8 * pow(10, 0.8 * j);
    } else if (design == RATIO) {
      n = 1e6 * pow(10, 0.4 * r);
      d = 2e7 * pow(10, 0.4 * r);
    }
    double loss = surface_loss(&KNOWN[k].surface, n, d) + KNOWN[k].noise * sin(1.7 * r * r + 0.3 * (double)k);
    point_add(out, n, d, loss + (design == OUTLIERS && r % 7 == 3 ? 0.08 : 0));
  }
}

static struct plm_fit_task task_of(struct plm_points *points) {
  plm_budgets_assign(points);
  return (struct plm_fit_task){.points = points->items, .count = points->count, .cost = {6, 1, 0}, .threads = 2};
}

static void test_parametric__objectives_are_the_best_known(void **state) {
  (void)state;
  assert_true(KNOWN_COUNT >= 20);
  for (size_t k = 0; k < KNOWN_COUNT; k++) {
    struct plm_points points = {0};
    known_points(&points, k);
    struct plm_fit_task task = task_of(&points);
    for (size_t o = 0; o < 4; o++) {
      struct plm_fit fit;
      struct plm_error err = PLM_ERROR_INIT;
      assert_int_equal(plm_fit_init(&fit, NAMES[o], &task, NULL), 0);
      int code = plm_parametric_fit(&fit, &task, OBJECTIVES[o], &err);
      /* A surface without an optimum is refused; its minimum was found all the same. */
      assert_true(code == 0 || code == PLM_E_UNSUPPORTED);
      assert_true(fit.basin_count > 0);
      double found = fit.basins[0].objective, best = KNOWN[k].best[o];
      if (!(found <= best * (1 + 1e-6) + 1e-10))
        fail_msg("surface %zu, %s: %.12g, known is %.12g", k, NAMES[o], found, best);
      for (size_t i = 1; i < fit.basin_count; i++)
        assert_true(fit.basins[i].objective >= found);
      plm_fit_fini(&fit);
    }
    plm_points_fini(&points);
  }
}

static void test_parametric__noise_free_surfaces_are_recovered(void **state) {
  (void)state;
  for (size_t k = 0; k < 5; k++) {
    struct plm_points points = {0};
    known_points(&points, k);
    struct plm_law *law = law_of(&points, "huber,lad,mse,asymmetric,vp", 0);
    assert_int_equal(law->fit_count, 5);
    for (size_t f = 0; f < 5; f++) {
      const struct plm_surface *s = &law->fits[f].surface;
      const struct surface *t = &KNOWN[k].surface;
      assert_close(s->E, t->E, 1e-6);
      assert_close(s->A, t->A, 1e-6);
      assert_close(s->B, t->B, 1e-6);
      assert_close(s->alpha, t->alpha, 1e-6);
      assert_close(s->beta, t->beta, 1e-6);
    }
    plm_law_destroy(law);
    plm_points_fini(&points);
  }
}

/* Two roads to the same objective. */
static void test_parametric__mse_and_vp_agree(void **state) {
  (void)state;
  size_t compared = 0;
  for (size_t k = 5; k < KNOWN_COUNT; k++) {
    struct plm_points points = {0};
    known_points(&points, k);
    struct plm_law *law = law_of(&points, "mse,vp", 0);
    if (law->fit_count == 2 && !notes_have(&law->fits[1].notes, "do not determine") && law->fits[0].objective > 1e-12) {
      assert_close(law->fits[0].objective, law->fits[1].objective, 1e-6);
      assert_close(law->fits[0].a, law->fits[1].a, 1e-3);
      compared++;
    }
    plm_law_destroy(law);
    plm_points_fini(&points);
  }
  assert_true(compared >= 8);
}

static void test_parametric__outliers_move_mse_and_not_lad(void **state) {
  (void)state;
  struct plm_points points = {0};
  known_points(&points, 8);
  struct plm_law *law = law_of(&points, "lad,mse", 0);
  double truth = KNOWN[8].surface.E;
  assert_int_equal(law->fit_count, 2);
  assert_true(fabs(law->fits[0].surface.E - truth) < fabs(law->fits[1].surface.E - truth));
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* The law of the best runs lies below that of the mean run. */
static void test_parametric__asymmetric_lies_below(void **state) {
  (void)state;
  struct plm_points points = {0};
  known_points(&points, 6);
  struct plm_law *law = law_of(&points, "mse,asymmetric", 0);
  size_t above = 0;
  for (size_t i = 0; i < points.count; i++) {
    const struct plm_point *p = &points.items[i];
    above += plm_surface_loss(&law->fits[1].surface, p->params, p->tokens) > p->loss + 1e-9;
  }
  assert_true(above <= points.count / 11 + 1); /* a share of 1/(1 + 10) */
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_parametric__value_of_a_surface_is_the_objective(void **state) {
  (void)state;
  struct plm_points points = {0};
  known_points(&points, 10);
  struct plm_fit_task task = task_of(&points);
  struct plm_law *law = law_of(&points, "huber,lad,mse,asymmetric", 0);
  for (size_t o = 0; o < 4; o++)
    assert_close(plm_objective_value(OBJECTIVES[o], &law->fits[o].surface, &task), law->fits[o].objective, 1e-9);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parametric__objectives_are_the_best_known),
      cmocka_unit_test(test_parametric__noise_free_surfaces_are_recovered),
      cmocka_unit_test(test_parametric__mse_and_vp_agree),
      cmocka_unit_test(test_parametric__outliers_move_mse_and_not_lad),
      cmocka_unit_test(test_parametric__asymmetric_lies_below),
      cmocka_unit_test(test_parametric__value_of_a_surface_is_the_objective),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
