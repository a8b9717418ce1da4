#include "law/parabola.h"
#include "law/vp.h"
#include "law_fixture.h"

static const double BUDGETS[4] = {1e18, 1e19, 1e20, 1e21};

static void assert_surface(const struct plm_fit *fit, const struct surface *s, double relative) {
  assert_close(fit->surface.E, s->E, relative);
  assert_close(fit->surface.A, s->A, relative);
  assert_close(fit->surface.B, s->B, relative);
  assert_close(fit->surface.alpha, s->alpha, relative);
  assert_close(fit->surface.beta, s->beta, relative);
}

static void test_vp__recovers_published_surfaces_without_noise(void **state) {
  (void)state;
  static const struct surface surfaces[] = {
      {1.69, 406.4, 410.7, 0.34, 0.28},                /* Hoffmann et al. 2022 */
      {1.8172, 482.01, 2085.43, 0.3478, 0.3658},       /* Besiroglu et al. 2024 */
      {1.8689, 520.9, 1488.0, 0.35265964, 0.35265964}, /* Muennighoff et al. 2023, exp of its logarithms */
      {1.2, 12.0, 55.0, 0.12, 0.31},
      {0.4, 3.0e4, 30.0, 0.71, 0.15},
  };
  for (size_t i = 0; i < sizeof surfaces / sizeof *surfaces; i++) {
    struct plm_points points = {0};
    grid_points_add(&points, &surfaces[i], 16, 8);
    assert_int_equal(points.count, 128);
    struct plm_law *law = law_of(&points, "vp", 0);
    assert_int_equal(law->fit_count, 1);
    assert_surface(&law->fits[0], &surfaces[i], 1e-6);
    double sum = surfaces[i].alpha + surfaces[i].beta;
    assert_close(law->fits[0].a, surfaces[i].beta / sum, 1e-7);
    assert_close(law->fits[0].b, surfaces[i].alpha / sum, 1e-7);
    assert_int_equal(law->fits[0].points, 128);
    plm_law_destroy(law);
    plm_points_fini(&points);
  }
}

static void test_vp__recovers_a_surface_from_isoflop_points_at_small_scale(void **state) {
  (void)state;
  const struct surface small = {1.9, 9.0, 60.0, 0.25, 0.3};
  const double budgets[3] = {3e11, 1e12, 3e12};
  struct plm_points points = {0};
  isoflop_add(&points, &small, budgets, 3, 5, 6, 0);
  struct plm_law *law = law_of(&points, "vp", 0);
  assert_surface(&law->fits[0], &small, 1e-6);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_vp__optimum_is_a_minimum_along_the_budget(void **state) {
  (void)state;
  struct plm_points points = {0};
  isoflop_add(&points, &CHINCHILLA, BUDGETS, 4, 7, 8, 0);
  struct plm_law *law = law_of(&points, "vp", 0);
  const struct plm_fit *fit = &law->fits[0];
  assert_int_equal(fit->optimum_count, 4);
  for (size_t i = 0; i < 4; i++) {
    const struct plm_optimum *o = &fit->optimum[i];
    assert_close(o->compute, BUDGETS[i], 1e-12);
    assert_close(6 * o->params * o->tokens, o->compute, 1e-12);
    assert_close(o->params, surface_params(&CHINCHILLA, o->compute), 1e-6);
    assert_close(o->loss, surface_loss(&CHINCHILLA, o->params, o->tokens), 1e-9);
    for (double factor = 0.5; factor < 3; factor += 1.5)
      assert_true(surface_loss(&CHINCHILLA, o->params * factor, o->tokens / factor) > o->loss);
  }
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_vp__a_floor_of_zero_is_reported(void **state) {
  (void)state;
  struct plm_points points = {0};
  /* Points below a surface without a floor pull E under 0, where it must not go. */
  for (size_t i = 0; i < 6; i++)
    for (size_t j = 0; j < 6; j++) {
      double n = 1e4 * pow(4, (double)i), d = 1e6 * pow(4, (double)j);
      point_add(&points, n, d, 20 * pow(n, -0.2) + 30 * pow(d, -0.2) - 0.3);
    }
  struct plm_law *law = law_of(&points, "vp", 0);
  assert_true(law->fits[0].surface.E == 0);
  assert_true(notes_have(&law->fits[0].notes, "E stopped at 0"));
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_vp__an_exponent_at_the_edge_is_reported(void **state) {
  (void)state;
  const struct surface steep = {1.5, 4e12, 40, 3.5, 0.3};
  struct plm_points points = {0};
  for (size_t i = 0; i < 6; i++)
    for (size_t j = 0; j < 6; j++) {
      double n = 1e4 * pow(1.3, (double)i), d = 1e6 * pow(4, (double)j);
      point_add(&points, n, d, surface_loss(&steep, n, d));
    }
  struct plm_law *law = law_of(&points, "vp", 0);
  assert_close(law->fits[0].surface.alpha, PLM_SURFACE_EXPONENT_MAX, 1e-9);
  assert_true(notes_have(&law->fits[0].notes, "alpha is 2: these points do not determine it"));
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* kind: 0 equal losses, 1 one size, 2 one token count, 3 five points, 4 no effect of N, 5 no effect of D. */
static double degenerate_loss(int kind, double n, double d) {
  const struct surface s = {1.5, kind == 4 ? 0 : 40, kind == 5 ? 0 : 40, 0.3, 0.3};
  return kind == 0 ? 2.5 : surface_loss(&s, n, d) + (kind == 4 ? 0.01 * log(n) : kind == 5 ? 0.01 * log(d) : 0);
}

static void test_vp__degenerate_points_are_refused_by_name(void **state) {
  (void)state;
  static const char *const reasons[6] = {
      "all losses are equal", "1 model size", "1 token count", "5 points", "A = 0", "B = 0"};
  for (int kind = 0; kind < 6; kind++) {
    struct plm_points points = {0};
    for (int k = 0; k < (kind == 3 ? 5 : 36); k++) {
      double n = kind == 1 ? 1e5 : 1e4 * pow(3, k % 6), d = kind == 2 ? 1e7 : 1e6 * pow(3, (double)(k / 6));
      point_add(&points, n, d, degenerate_loss(kind, n, d));
    }
    struct plm_law *law = law_of(&points, "vp", 0);
    assert_int_equal(law->fit_count, 0);
    assert_int_equal(law->failed_count, 1);
    assert_string_equal(law->failed[0].estimator, "vp");
    if (!strstr(law->failed[0].reason, reasons[kind]))
      fail_msg("\"%s\" lacks \"%s\"", law->failed[0].reason, reasons[kind]);
    plm_law_destroy(law);
    plm_points_fini(&points);
  }
}

static void test_vp__weights_count_as_repetition(void **state) {
  (void)state;
  struct plm_points twice = {0}, weighted = {0};
  isoflop_add(&twice, &CHINCHILLA, BUDGETS, 4, 5, 8, 0.01F);
  for (size_t i = 0; i < 20; i++) {
    struct plm_point p = twice.items[i];
    p.weight = i % 3 == 0 ? 2 : 1;
    assert_int_equal(plm_points_add(&weighted, &p, NULL), 0);
    if (i % 3 == 0)
      point_add(&twice, p.params, p.tokens, p.loss);
  }
  struct plm_law *a = law_of(&twice, "parabola,vp", 0), *b = law_of(&weighted, "parabola,vp", 0);
  assert_int_equal(a->fit_count, 2);
  for (size_t i = 0; i < 2; i++) {
    assert_close(a->fits[i].a, b->fits[i].a, 1e-5);
    assert_close(a->fits[i].objective, b->fits[i].objective, 1e-9);
  }
  plm_law_destroy(a);
  plm_law_destroy(b);
  plm_points_fini(&twice);
  plm_points_fini(&weighted);
}

/* Loss exactly quadratic in log N, with a vertex that grows as C^0.6. */
static void parabolas_add(struct plm_points *points, const double *budgets, size_t count, size_t sizes) {
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < sizes; j++) {
      double vertex = 0.02 * pow(budgets[i], 0.6), n = vertex * pow(2.5, (double)j - 1.7);
      point_add(points, n, budgets[i] / (6 * n), 2.5 - 0.05 * (double)i + 0.03 * pow(log(n / vertex), 2));
    }
}

static void test_parabola__exact_vertices_and_exponents(void **state) {
  (void)state;
  const double budgets[3] = {1e12, 1e13, 1e14};
  struct plm_points points = {0};
  parabolas_add(&points, budgets, 3, 5);
  struct plm_law *law = law_of(&points, "parabola", 0);
  const struct plm_fit *fit = &law->fits[0];
  assert_close(fit->a, 0.6, 1e-10);
  assert_close(fit->b, 0.4, 1e-10);
  assert_int_equal(fit->points, 15);
  assert_int_equal(fit->optimum_count, 3);
  for (size_t i = 0; i < 3; i++) {
    assert_close(fit->optimum[i].params, 0.02 * pow(budgets[i], 0.6), 1e-9);
    assert_close(6 * fit->optimum[i].params * fit->optimum[i].tokens, budgets[i], 1e-9);
    assert_close(fit->optimum[i].loss, 2.5 - 0.05 * (double)i, 1e-12);
  }
  assert_true(fit->objective < 1e-24);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* Czech 2026: centred grids give the exponent exactly (the surface repeats itself along C), and a biased vertex. */
static void test_parabola__has_the_known_bias_on_an_asymmetric_surface(void **state) {
  (void)state;
  const struct surface uneven = {1.69, 406.4, 410.7, 0.2, 0.45};
  struct plm_points points = {0};
  isoflop_add(&points, &uneven, BUDGETS, 4, 7, 16, 0);
  struct plm_law *law = law_of(&points, "parabola", 0);
  const struct plm_fit *fit = &law->fits[0];
  assert_close(fit->a, 0.45 / 0.65, 1e-9);
  double bias = fit->optimum[0].params / surface_params(&uneven, BUDGETS[0]);
  assert_true(fabs(log(bias)) > 0.02);
  assert_close(fit->optimum[3].params / surface_params(&uneven, BUDGETS[3]), bias, 1e-6);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_parabola__budgets_without_a_minimum_are_refused_with_the_reason(void **state) {
  (void)state;
  const double good[2] = {1e12, 1e13};
  struct plm_points points = {0};
  parabolas_add(&points, good, 2, 5);
  for (int i = 0; i < 4; i++) { /* falls all the way; rises all the way; curves downwards; two sizes */
    double n = 1e4 * pow(2, i), x = log(n);
    point_add(&points, n, 1e14 / (6 * n), 4 - 0.3 * x + 0.01 * x * x);
    point_add(&points, n, 1e15 / (6 * n), 2 + 0.1 * x + 0.01 * x * x);
    point_add(&points, n, 1e16 / (6 * n), 3 - 0.01 * x * x);
    if (i < 2)
      point_add(&points, n, 1e17 / (6 * n), 2.5 + 0.1 * i);
  }
  point_add(&points, 1e4, 1e18 / 6e4, 2.5);
  struct plm_law *law = law_of(&points, "parabola", 0);
  const struct plm_fit *fit = &law->fits[0];
  static const char *const reasons[4] = {"above the largest size", "below the smallest size", "does not curve upwards",
                                         "2 model sizes"};
  assert_int_equal(fit->refused_count, 4);
  for (size_t i = 0; i < 4; i++) {
    assert_close(fit->refused[i].budget, 1e14 * pow(10, (double)i), 1e-9);
    if (!strstr(fit->refused[i].reason, reasons[i]))
      fail_msg("\"%s\" lacks \"%s\"", fit->refused[i].reason, reasons[i]);
  }
  assert_true(notes_have(&fit->notes, "two budgets"));
  assert_int_equal(fit->left_out_count, 15);
  assert_string_equal(fit->left_out[14].rule, "alone at its compute: belongs to no budget");
  for (size_t i = 0; i < fit->optimum_count; i++)
    assert_int_equal(fit->optimum[i].known, fit->optimum[i].compute < 2e13);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_parabola__a_budget_of_unequal_compute_is_refused(void **state) {
  (void)state;
  const double budgets[2] = {1e12, 1e13};
  struct plm_points points = {0};
  parabolas_add(&points, budgets, 2, 5);
  for (size_t i = 0; i < 10; i++)
    points.items[i].budget = budgets[i / 5];
  points.items[1].tokens *= 1.2;
  points.items[1].compute *= 1.2;
  points.items[7].tokens *= 1.05;
  points.items[7].compute *= 1.05;
  struct plm_law *law = law_of(&points, "parabola", 0);
  assert_int_equal(law->fits[0].refused_count, 1);
  assert_true(law->fits[0].refused[0].budget == 1e12);
  assert_non_null(strstr(law->fits[0].refused[0].reason, "not of one compute: 1e+12 to 1.2e+12"));
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_parabola__one_budget_gives_an_optimum_and_no_exponents(void **state) {
  (void)state;
  const double budget = 1e12;
  struct plm_points points = {0};
  parabolas_add(&points, &budget, 1, 3);
  struct plm_law *law = law_of(&points, "parabola", 50);
  assert_int_equal(law->fit_count, 1);
  assert_int_equal(law->fits[0].has_exponents, 0);
  assert_int_equal(law->fits[0].optimum[0].known, 1);
  assert_true(notes_have(&law->fits[0].notes, "one budget only"));
  assert_true(notes_have(&law->fits[0].notes, "passes through its 3 points"));
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_parabola__seeds_of_a_size_are_not_sizes(void **state) {
  (void)state;
  struct plm_points points = {0};
  for (int i = 0; i < 6; i++)
    point_add(&points, i < 3 ? 1e4 : 2e4, 1e12 / (6 * (i < 3 ? 1e4 : 2e4)), 2.5 + 0.01 * i);
  struct plm_law *law = law_of(&points, "parabola", 0);
  assert_int_equal(law->failed_count, 1);
  assert_non_null(strstr(law->failed[0].reason, "2 model sizes"));
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_parabola__sizes_that_do_not_matter_have_no_minimum(void **state) {
  (void)state;
  struct plm_points points = {0};
  for (int i = 0; i < 10; i++)
    point_add(&points, 1e4 * pow(2, i % 5), (i < 5 ? 1e12 : 1e13) / (6e4 * pow(2, i % 5)), i < 5 ? 2.7 : 2.6);
  struct plm_law *law = law_of(&points, "parabola", 0);
  assert_int_equal(law->failed_count, 1);
  assert_non_null(strstr(law->failed[0].reason, "does not curve upwards"));
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_budgets__compute_within_one_percent_is_one_budget(void **state) {
  (void)state;
  struct plm_points points = {0};
  static const double computes[7] = {1e12, 1.009e12, 0.995e12, 1.1e12, 3e12, 3.03e12, 1.03e12};
  for (size_t i = 0; i < 7; i++)
    point_add(&points, 1e4 * (double)(i + 1), computes[i] / (6e4 * (double)(i + 1)), 2.5);
  points.items[3].budget = 1e12; /* planned, kept although its compute is 10 % off */
  plm_budgets_assign(&points);
  assert_true(points.items[0].budget == 1e12 && points.items[0].params == 4e4);
  assert_int_equal(plm_budgets_end(points.items, 7, 0), 1);
  assert_int_equal(plm_budgets_end(points.items, 7, 1), 4);
  assert_int_equal(plm_budgets_end(points.items, 7, 4), 5);
  assert_int_equal(plm_budgets_end(points.items, 7, 5), 7);
  assert_close(points.items[1].budget, 1e12 * cbrt(1.009 * 0.995), 1e-12);
  plm_points_fini(&points);
}

/* With C = 20 N^0.9 D the optimum moves; the closed form must follow, and lie in a minimum along the budget. */
static void test_cost__compute_that_is_not_6nd_is_fitted_and_used(void **state) {
  (void)state;
  struct plm_points points = {0};
  for (size_t i = 0; i < 6; i++)
    for (size_t j = 0; j < 6; j++) {
      double n = 1e6 * pow(4, (double)i), d = 1e8 * pow(4, (double)j);
      struct plm_point p = {n, d, 20 * pow(n, 0.9) * d, surface_loss(&CHINCHILLA, n, d), 1, 0, 0, "p", 0, NULL, 0};
      assert_int_equal(plm_points_add(&points, &p, NULL), 0);
    }
  struct plm_law *law = law_of(&points, "vp", 0);
  assert_close(law->cost.scale, 20, 1e-9);
  assert_close(law->cost.exponent, 0.9, 1e-9);
  assert_true(notes_have(&law->warnings, "compute is not 6 N D"));
  assert_close(law->fits[0].a, 0.28 / (0.34 + 0.9 * 0.28), 1e-6);
  assert_close(law->fits[0].a * 0.9 + law->fits[0].b, 1, 1e-12);
  const struct plm_optimum *o = &law->fits[0].optimum[0];
  assert_close(20 * pow(o->params, 0.9) * o->tokens, o->compute, 1e-9);
  for (double f = 0.9; f < 1.2; f += 0.2)
    assert_true(surface_loss(&CHINCHILLA, o->params * f, o->tokens * pow(f, -0.9)) > o->loss);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_cost__compute_that_falls_with_size_is_refused(void **state) {
  (void)state;
  struct plm_points points = {0};
  for (int i = 0; i < 6; i++) {
    struct plm_point p = {1e4 * pow(2, i), 1e6, 1e12 / pow(4, i), 2.5 - 0.1 * i, 1, 0, 0, "p", 0, NULL, 0};
    assert_int_equal(plm_points_add(&points, &p, NULL), 0);
  }
  struct plm_law_options options = {0};
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_law *law = NULL;
  assert_int_equal(plm_law_fit(&law, &points, "test", &options, &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "has to grow with N"));
  assert_null(law);
  plm_points_fini(&points);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vp__recovers_published_surfaces_without_noise),
      cmocka_unit_test(test_vp__recovers_a_surface_from_isoflop_points_at_small_scale),
      cmocka_unit_test(test_vp__optimum_is_a_minimum_along_the_budget),
      cmocka_unit_test(test_vp__a_floor_of_zero_is_reported),
      cmocka_unit_test(test_vp__an_exponent_at_the_edge_is_reported),
      cmocka_unit_test(test_vp__degenerate_points_are_refused_by_name),
      cmocka_unit_test(test_vp__weights_count_as_repetition),
      cmocka_unit_test(test_parabola__exact_vertices_and_exponents),
      cmocka_unit_test(test_parabola__has_the_known_bias_on_an_asymmetric_surface),
      cmocka_unit_test(test_parabola__budgets_without_a_minimum_are_refused_with_the_reason),
      cmocka_unit_test(test_parabola__a_budget_of_unequal_compute_is_refused),
      cmocka_unit_test(test_parabola__one_budget_gives_an_optimum_and_no_exponents),
      cmocka_unit_test(test_parabola__seeds_of_a_size_are_not_sizes),
      cmocka_unit_test(test_parabola__sizes_that_do_not_matter_have_no_minimum),
      cmocka_unit_test(test_budgets__compute_within_one_percent_is_one_budget),
      cmocka_unit_test(test_cost__compute_that_is_not_6nd_is_fitted_and_used),
      cmocka_unit_test(test_cost__compute_that_falls_with_size_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
