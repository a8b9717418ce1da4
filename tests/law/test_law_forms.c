/* The estimators that are not surfaces fitted to ends of runs: interpolation, envelope, power law, repetition. */
#include "law/akima.h"
#include "law/power.h"
#include "law/repeat.h"
#include "law_fixture.h"

/* scipy 1.x, Akima1DInterpolator, and the root of its derivative. */
static void test_akima__agrees_with_scipy(void **state) {
  (void)state;
  const double x[7] = {0, 0.7, 1.5, 2.1, 3.0, 3.4, 4.6}, y[7] = {3.0, 2.2, 1.7, 1.62, 1.9, 2.1, 3.3};
  const double known[7] = {-1.4017857142857137, -0.8772110849056606, -0.3604123711340206, 0.187755102040816,
                           0.4000000000000002,  0.6370967741935493,  1.2499999999999996};
  double slopes[7], at;
  plm_akima_slopes(slopes, x, y, 7);
  for (size_t i = 0; i < 7; i++)
    assert_close(slopes[i], known[i], 1e-12);
  double least = plm_akima_minimum(&at, x, y, slopes, 7);
  assert_close(at, 1.95188421, 1e-8);
  assert_close(least, 1.6065195228630889, 1e-12);
}

static void test_akima__finds_the_minima_of_a_surface(void **state) {
  (void)state;
  const double budgets[3] = {1e19, 1e20, 1e21};
  struct plm_points points = {0};
  isoflop_add(&points, &CHINCHILLA, budgets, 3, 11, 8, 0);
  struct plm_law *law = law_of(&points, "akima", 0);
  assert_close(law->fits[0].a, 0.28 / 0.62, 1e-4);
  for (size_t i = 0; i < 3; i++)
    assert_close(law->fits[0].optimum[i].params, surface_params(&CHINCHILLA, budgets[i]), 0.02);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_akima__names_the_budgets_it_refuses(void **state) {
  (void)state;
  const double good = 1e20;
  struct plm_points points = {0};
  isoflop_add(&points, &CHINCHILLA, &good, 1, 7, 8, 0);
  for (int i = 0; i < 5; i++) /* falls all the way */
    point_add(&points, 1e7 * pow(2, i), 1e19 / (6e7 * pow(2, i)), 4 - 0.1 * i);
  for (int i = 0; i < 4; i++)
    point_add(&points, 1e7 * pow(2, i), 1e18 / (6e7 * pow(2, i)), 4 + 0.1 * (i - 1.5) * (i - 1.5));
  struct plm_law *law = law_of(&points, "akima", 0);
  const struct plm_fit *fit = &law->fits[0];
  assert_int_equal(fit->refused_count, 2);
  assert_non_null(strstr(fit->refused[0].reason, "4 model sizes; Akima's spline needs 5"));
  assert_non_null(strstr(fit->refused[1].reason, "lowest at the largest size"));
  assert_int_equal(fit->left_out_count, 9);
  assert_string_equal(fit->left_out[0].rule, fit->refused[0].reason);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* Runs of sizes sizes, each at every one of tokens counts, whose curves lie on the surface. */
static void curves_add(struct plm_points *points, const struct surface *s, size_t sizes, size_t counts) {
  for (size_t i = 0; i < sizes; i++)
    for (size_t j = 0; j < counts; j++) {
      double n = 1e6 * pow(1e4, (double)i / (double)(sizes - 1)), d = 3e9 * pow(100, (double)j / (double)counts);
      struct plm_point_curve *curve = NULL;
      assert_int_equal(plm_points_add_curve(points, &curve, 200, NULL), 0);
      for (size_t k = 0; k < 200; k++) {
        curve->tokens[k] = d * pow(10, (double)k / 199 * 2 - 2);
        curve->loss[k] = surface_loss(s, n, curve->tokens[k]);
      }
      point_add(points, n, d, surface_loss(s, n, d));
      points->items[points->count - 1].curve = curve;
    }
}

static void test_envelope__follows_the_surface(void **state) {
  (void)state;
  struct plm_points points = {0};
  curves_add(&points, &CHINCHILLA, 41, 3);
  struct plm_law *law = law_of(&points, "envelope", 0);
  const struct plm_fit *fit = &law->fits[0];
  assert_int_equal(law->fit_count, 1);
  assert_int_equal(fit->points, 123);
  assert_true(fabs(fit->a - 0.28 / 0.62) < 0.01);
  assert_true(fabs(fit->b - 0.34 / 0.62) < 0.01);
  assert_true(notes_have(&fit->notes, "smallest or largest size at hand"));
  size_t compared = 0;
  for (size_t i = 0; i < fit->optimum_count; i++) {
    const struct plm_optimum *o = &fit->optimum[i];
    double best = surface_params(&CHINCHILLA, o->compute);
    if (!isfinite(o->loss))
      continue;
    assert_close(o->params, best, 0.15);
    assert_close(o->loss, surface_loss(&CHINCHILLA, best, o->compute / (6 * best)), 2e-3);
    compared++;
  }
  assert_true(compared > 0);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_envelope__is_refused_by_name_where_it_cannot_be(void **state) {
  (void)state;
  struct plm_points points = {0}, bare = {0};
  curves_add(&points, &CHINCHILLA, 3, 3);
  struct plm_law *law = law_of(&points, "envelope", 0);
  assert_non_null(strstr(law->failed[0].reason, "3 model sizes with a learning curve"));
  plm_law_destroy(law);
  grid_points_add(&bare, &CHINCHILLA, 4, 4);
  bare.curves_absent = "this table has none";
  law = law_of(&bare, "envelope", 0);
  assert_string_equal(law->failed[0].estimator, "envelope");
  assert_non_null(strstr(law->failed[0].reason, "whole learning curves: this table has none"));
  plm_law_destroy(law);
  plm_points_fini(&points);
  plm_points_fini(&bare);
}

static void test_power__recovers_a_law_with_and_without_an_asymptote(void **state) {
  (void)state;
  for (int asymptote = 0; asymptote <= 1; asymptote++) {
    struct plm_points points = {0};
    double E = asymptote ? 1.7 : 0;
    for (int i = 0; i < 6; i++) {
      double c = 1e17 * pow(7, i), n = 0.2 * pow(c, 0.45);
      point_add(&points, n, c / (6 * n), E + 40 * pow(c, -0.08));
    }
    struct plm_law *law = law_of(&points, "power", 0);
    const struct plm_fit *fit = &law->fits[0];
    assert_int_equal(law->fit_count, 1);
    assert_string_equal(fit->params[0].name, "E");
    assert_true(fabs(fit->params[0].value - E) < 1e-5);
    assert_close(fit->params[1].value, 40, 1e-4);
    assert_close(fit->params[2].value, 0.08, 1e-5);
    assert_close(fit->a, 0.45, 1e-9);
    assert_string_equal(fit->params[5].name, "objective_no_asymptote");
    assert_true(asymptote ? fit->params[5].value > 1e-6 : fit->params[5].value < 1e-20);
    assert_true(notes_have(&fit->notes, "no two points share a budget"));
    plm_law_destroy(law);
    plm_points_fini(&points);
  }
}

static void test_power__takes_the_minima_of_the_budgets(void **state) {
  (void)state;
  const double budgets[5] = {1e18, 1e19, 1e20, 1e21, 1e22};
  struct plm_points points = {0};
  isoflop_add(&points, &CHINCHILLA, budgets, 5, 7, 2, 0);
  struct plm_law *law = law_of(&points, "power", 0);
  const struct plm_fit *fit = &law->fits[0];
  /* The optimum of the surface falls as C^-(alpha beta/(alpha + beta)). */
  assert_close(fit->params[0].value, 1.69, 0.01);
  assert_close(fit->params[2].value, 0.34 * 0.28 / 0.62, 0.02);
  for (size_t i = 0; i < 5; i++) {
    double n = surface_params(&CHINCHILLA, budgets[i]);
    assert_close(fit->optimum[i].loss, surface_loss(&CHINCHILLA, n, budgets[i] / (6 * n)), 1e-3);
  }
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* Muennighoff et al. 2023. */
static const struct plm_repeat_law REPEAT = {{1.8688, 520.9, 1488.0, 0.3526596, 0.3526596}, 1, 15.387756, 5.309743};

static void repeat_points(struct plm_points *points) {
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 5; j++) {
      double n = 1e7 * pow(4, i), d = 1e9 * pow(4, j);
      for (int pass = 0; pass < 2; pass++) {
        double tokens = pass ? 3 * pow(2, j) * 1e9 : d, unique = pass ? 1e9 : 1e15;
        point_add(points, n, tokens, plm_repeat_loss(&REPEAT, n, tokens, unique));
        points->items[points->count - 1].unique = unique;
      }
    }
}

static void test_repeat__recovers_the_law(void **state) {
  (void)state;
  struct plm_points points = {0};
  repeat_points(&points);
  struct plm_law *law = law_of(&points, "repeat", 0);
  const struct plm_fit *fit = &law->fits[0];
  assert_int_equal(law->fit_count, 1);
  assert_int_equal(fit->points, 50);
  assert_string_equal(fit->params[5].name, "R_D");
  assert_close(fit->params[5].value, REPEAT.data, 1e-3);
  assert_close(fit->params[6].value, REPEAT.size, 1e-3);
  assert_close(fit->a, 0.5, 1e-6);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* As of real studies: a first pass sees as many unique tokens as tokens, so that large models of it have faded size. */
static void test_repeat__recovers_the_law_when_first_passes_have_faded_size(void **state) {
  (void)state;
  struct plm_points points = {0};
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 5; j++)
      for (int passes = 1; passes <= (i < 3 ? 1 : 64); passes *= 4) {
        double budget = 1e20 * pow(10, 0.5 * i), n = 0.1 * sqrt(budget) * pow(2, j - 2);
        double tokens = budget / (6 * n), unique = tokens / passes;
        point_add(&points, n, tokens, plm_repeat_loss(&REPEAT, n, tokens, unique));
        points.items[points.count - 1].unique = unique;
      }
  struct plm_law *law = law_of(&points, "repeat", 0);
  assert_int_equal(law->fit_count, 1);
  const struct plm_fit *fit = &law->fits[0];
  const double truth[7] = {REPEAT.base.E,    REPEAT.base.A,    REPEAT.base.B, REPEAT.base.alpha,
                           REPEAT.base.beta, REPEAT.data, REPEAT.size};
  for (size_t i = 0; i < 7; i++)
    assert_close(fit->params[i].value, truth[i], 1e-6);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* What vp's surface misses of such rows is no noise: intervals are of what the law itself leaves. */
static void test_repeat__intervals_are_of_its_own_residuals(void **state) {
  (void)state;
  struct plm_points points = {0};
  float normal[55];
  size_t at = 0;
  plm_rng_normal(normal, 55, 0.0015F, 3, PLM_RNG_TEST, 0, 0);
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 5; j++)
      for (int passes = 1; passes <= (i < 3 ? 1 : 64); passes *= 4, at++) {
        double budget = 1e20 * pow(10, 0.5 * i), n = 0.1 * sqrt(budget) * pow(2, j - 2), tokens = budget / (6 * n);
        point_add(&points, n, tokens, plm_repeat_loss(&REPEAT, n, tokens, tokens / passes) * exp((double)normal[at]));
        points.items[at].unique = tokens / passes;
      }
  struct plm_law *law = law_of(&points, "repeat", 100);
  const struct plm_fit *fit = &law->fits[0];
  assert_int_equal(law->fit_count, 1);
  assert_close(fit->scatter, 0.0015, 0.3);
  assert_true(law->noise.sigma > 2 * fit->scatter);
  assert_true(fit->params[5].interval.low < REPEAT.data && REPEAT.data < fit->params[5].interval.high);
  assert_true(fit->a_interval.low < 0.5 && 0.5 < fit->a_interval.high);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_repeat__refuses_rows_in_which_size_does_nothing(void **state) {
  (void)state;
  struct plm_points points = {0};
  for (int i = 0; i < 25; i++) { /* models twenty times too large for what they see */
    double n = 1e10 * pow(2, i % 5), tokens = 1e9 * pow(2, i / 5.0);
    for (int passes = 1; passes <= 64; passes *= 4) {
      point_add(&points, n, tokens, plm_repeat_loss(&REPEAT, n, tokens, tokens / passes));
      points.items[points.count - 1].unique = tokens / passes;
    }
  }
  struct plm_law *law = law_of(&points, "repeat", 0);
  assert_int_equal(law->fit_count, 0);
  assert_non_null(strstr(law->failed[0].reason, "does not fall with N"));
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* Worth of repeated tokens: nearly all of the first repetitions, none of the last. */
static void test_repeat__tokens_fade(void **state) {
  (void)state;
  double n = 1e8, u = 1e9;
  double once = plm_repeat_loss(&REPEAT, n, u, u), four = plm_repeat_loss(&REPEAT, n, 4 * u, u);
  double fresh = plm_repeat_loss(&REPEAT, n, 4 * u, 4 * u), many = plm_repeat_loss(&REPEAT, n, 1e3 * u, u);
  assert_true(fresh < four && four < once);
  assert_close(plm_repeat_loss(&REPEAT, n, 1e6 * u, u), many, 1e-9);
  assert_true(plm_repeat_loss(&REPEAT, n, u, 0) == plm_surface_loss(&REPEAT.base, n, u));
}

static void test_repeat__optimum_is_a_minimum_along_the_budget(void **state) {
  (void)state;
  const double at = 1e21;
  struct plm_points points = {0};
  repeat_points(&points);
  for (size_t i = 0; i < points.count; i++) /* the single passes' data is no larger than what they saw */
    if (points.items[i].unique == 1e15)
      points.items[i].unique = points.items[i].tokens;
  struct plm_law_options options = {.estimators = "repeat", .at = &at, .at_count = 1};
  struct plm_law *law = NULL;
  assert_int_equal(plm_law_fit(&law, &points, "test", &options, NULL), 0);
  assert_int_equal(law->fit_count, 1);
  const struct plm_optimum *o = &law->fits[0].optimum[law->fits[0].optimum_count - 1];
  struct plm_repeat_law found = {law->fits[0].surface, 1, law->fits[0].params[5].value, law->fits[0].params[6].value};
  for (size_t i = 0; i < 5; i++)
    *(&found.base.E + i) = law->fits[0].params[i].value;
  assert_true(o->compute == at && o->known);
  double unique = 256e9; /* the most that any of them saw once */
  assert_close(o->loss, plm_repeat_loss(&found, o->params, o->tokens, unique), 1e-12);
  for (double f = 0.8; f < 1.3; f += 0.4)
    assert_true(plm_repeat_loss(&found, o->params * f, o->tokens / f, unique) > o->loss);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_repeat__says_what_is_missing(void **state) {
  (void)state;
  struct plm_points points = {0};
  grid_points_add(&points, &CHINCHILLA, 4, 4);
  struct plm_law *law = law_of(&points, "repeat", 0);
  assert_non_null(strstr(law->failed[0].reason, "how many unique tokens"));
  plm_law_destroy(law);
  for (size_t i = 0; i < points.count; i++)
    points.items[i].unique = points.items[i].tokens;
  law = law_of(&points, "repeat", 0);
  assert_non_null(strstr(law->failed[0].reason, "0 of 16 rows repeat their data"));
  plm_law_destroy(law);
  for (size_t i = 0; i < points.count; i++)
    points.items[i].unique = points.items[i].tokens / 2;
  law = law_of(&points, "repeat", 0);
  assert_non_null(strstr(law->failed[0].reason, "0 rows of at most one pass"));
  plm_law_destroy(law);
  plm_points_fini(&points);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_akima__agrees_with_scipy),
      cmocka_unit_test(test_akima__finds_the_minima_of_a_surface),
      cmocka_unit_test(test_akima__names_the_budgets_it_refuses),
      cmocka_unit_test(test_envelope__follows_the_surface),
      cmocka_unit_test(test_envelope__is_refused_by_name_where_it_cannot_be),
      cmocka_unit_test(test_power__recovers_a_law_with_and_without_an_asymptote),
      cmocka_unit_test(test_power__takes_the_minima_of_the_budgets),
      cmocka_unit_test(test_repeat__recovers_the_law),
      cmocka_unit_test(test_repeat__recovers_the_law_when_first_passes_have_faded_size),
      cmocka_unit_test(test_repeat__intervals_are_of_its_own_residuals),
      cmocka_unit_test(test_repeat__refuses_rows_in_which_size_does_nothing),
      cmocka_unit_test(test_repeat__tokens_fade),
      cmocka_unit_test(test_repeat__optimum_is_a_minimum_along_the_budget),
      cmocka_unit_test(test_repeat__says_what_is_missing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
