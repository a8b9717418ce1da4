#include "law/bootstrap.h"
#include "law_fixture.h"

static const double BUDGETS[5] = {1e12, 3e12, 1e13, 3e13, 1e14};
static const struct surface SMALL = {1.9, 30.0, 90.0, 0.3, 0.3};

static void test_bootstrap__intervals_cover_the_truth_and_shrink_with_the_noise(void **state) {
  (void)state;
  double width[2][2];
  const float noise[2] = {0.004F, 0.0004F};
  for (size_t k = 0; k < 2; k++) {
    struct plm_points points = {0};
    isoflop_add(&points, &SMALL, BUDGETS, 5, 7, 8, noise[k]);
    struct plm_law *law = law_of(&points, "parabola,vp", 60);
    assert_int_equal(law->fit_count, 2);
    for (size_t i = 0; i < 2; i++) {
      const struct plm_fit *fit = &law->fits[i];
      assert_true(fit->a_interval.known && fit->b_interval.known);
      assert_true(fit->a_interval.low < 0.5 && 0.5 < fit->a_interval.high);
      assert_true(fit->a_interval.low <= fit->a && fit->a <= fit->a_interval.high);
      assert_close(fit->a_interval.low + fit->b_interval.high, 1, 1e-9);
      assert_true(fit->optimum[2].params_interval.low < fit->optimum[2].params);
      assert_true(fit->optimum[2].params < fit->optimum[2].params_interval.high);
      width[k][i] = fit->a_interval.high - fit->a_interval.low;
    }
    plm_law_destroy(law);
    plm_points_fini(&points);
  }
  /* A tenth of the noise, a tenth of the width; but the parabola's draws also differ by what it cannot bend to. */
  assert_true(width[1][0] < 0.5 * width[0][0]);
  assert_true(width[1][1] < 0.12 * width[0][1] && width[1][1] > 0.08 * width[0][1]);
}

static void test_bootstrap__is_the_same_whatever_the_order_of_the_points(void **state) {
  (void)state;
  struct plm_points forward = {0}, backward = {0};
  isoflop_add(&forward, &SMALL, BUDGETS, 3, 5, 8, 0.004F);
  for (size_t i = forward.count; i-- > 0;)
    assert_int_equal(plm_points_add(&backward, &forward.items[i], NULL), 0);
  struct plm_law *a = law_of(&forward, "parabola,vp", 30), *b = law_of(&backward, "parabola,vp", 30);
  for (size_t i = 0; i < 2; i++) {
    assert_close(a->fits[i].a, b->fits[i].a, 1e-12);
    assert_close(a->fits[i].a_interval.low, b->fits[i].a_interval.low, 1e-12);
    assert_close(a->fits[i].a_interval.high, b->fits[i].a_interval.high, 1e-12);
  }
  plm_law_destroy(a);
  plm_law_destroy(b);
  plm_points_fini(&forward);
  plm_points_fini(&backward);
}

static void test_bootstrap__six_points_give_no_interval_and_say_so(void **state) {
  (void)state;
  struct plm_points points = {0};
  isoflop_add(&points, &SMALL, BUDGETS, 2, 3, 8, 0.001F);
  struct plm_law *law = law_of(&points, "vp", 60);
  assert_int_equal(law->fit_count, 1);
  assert_false(law->fits[0].a_interval.known);
  assert_true(notes_have(&law->fits[0].notes, "no interval"));
  assert_true(notes_have(&law->fits[0].notes, "6 points understates"));
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* Drawn again with replacement, five sizes would lose two and a parabola often its minimum. */
static void test_bootstrap__isoflop_profiles_keep_their_sizes(void **state) {
  (void)state;
  struct plm_points points = {0};
  isoflop_add(&points, &SMALL, BUDGETS, 2, 5, 4, 0.001F);
  struct plm_law *law = law_of(&points, "parabola,akima", 200);
  assert_int_equal(law->fit_count, 2);
  assert_string_equal(law->noise.source, "residuals of vp");
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(law->fits[i].draws_done, 200);
    assert_true(law->fits[i].a_interval.known);
  }
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* An estimator that only watches: weight drawn from each budget, and so many draws of five allowed. */
static struct {
  size_t calls, allow_of_five;
  double least, most;
} watch;

static int watch_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  for (size_t start = 0, end; start < task->count; start = end) {
    double weight = 0;
    end = plm_budgets_end(task->points, task->count, start);
    for (size_t i = start; i < end; i++)
      weight += task->points[i].weight;
    watch.least = fmin(watch.least, weight);
    watch.most = fmax(watch.most, weight);
  }
  out->has_exponents = 1;
  out->a = (double)watch.calls;
  return watch.calls++ % 5 < watch.allow_of_five ? 0 : plm_error_set(err, PLM_E_UNSUPPORTED, "not this one");
}

static void watch_run(struct plm_fit *fit, struct plm_points *points, size_t allow_of_five) {
  static const struct plm_estimator watcher = {"watch", "", "", PLM_RESAMPLE_CELLS, watch_fit, 0};
  const double compute = 1e12;
  plm_budgets_assign(points);
  struct plm_fit_task task = {
      .points = points->items, .count = points->count, .compute = &compute, .compute_count = 1, .cost = {6, 1, 0}};
  const struct plm_bootstrap bootstrap = {.draws = 100, .seed = 1};
  watch.calls = 0;
  watch.allow_of_five = allow_of_five;
  watch.least = INFINITY;
  watch.most = 0;
  assert_int_equal(plm_fit_init(fit, "watch", &task, NULL), 0);
  fit->has_exponents = 1;
  assert_int_equal(plm_bootstrap_run(fit, &watcher, &task, &bootstrap, NULL), 0);
  assert_int_equal(watch.calls, 100);
}

static void test_bootstrap__draws_as_many_from_each_budget_as_it_has(void **state) {
  (void)state;
  struct plm_points points = {0};
  struct plm_fit fit;
  isoflop_add(&points, &SMALL, BUDGETS, 3, 5, 8, 0);
  watch_run(&fit, &points, 5);
  assert_true(watch.least == 5 && watch.most == 5);
  plm_fit_fini(&fit);
  plm_points_fini(&points);
  for (int i = 0; i < 8; i++) /* no budget has three points: one stratum */
    point_add(&points, 1e4 + 1e4 * (i % 2), 1e6 * pow(2, i) / (1 + i % 2), 2.5 - 0.01 * i);
  watch_run(&fit, &points, 5);
  assert_true(watch.least == 1 && watch.most > 4);
  plm_fit_fini(&fit);
  plm_points_fini(&points);
}

static void test_bootstrap__under_half_of_the_draws_give_no_interval(void **state) {
  (void)state;
  for (size_t allow = 2; allow <= 3; allow++) {
    struct plm_points points = {0};
    struct plm_fit fit;
    isoflop_add(&points, &SMALL, BUDGETS, 3, 5, 8, 0);
    watch_run(&fit, &points, allow);
    assert_int_equal(fit.draws_done, 20 * allow);
    assert_int_equal(fit.a_interval.known, allow == 3);
    assert_int_equal(notes_have(&fit.notes, "only 40 of 100"), allow == 2);
    assert_int_equal(notes_have(&fit.notes, "60 of 100"), allow == 3);
    plm_fit_fini(&fit);
    plm_points_fini(&points);
  }
}

static void test_bootstrap__percentiles_interpolate(void **state) {
  (void)state;
  const double values[5] = {0, 10, 20, 30, 40};
  assert_true(plm_bootstrap_percentile(values, 5, 0) == 0);
  assert_true(plm_bootstrap_percentile(values, 5, 1) == 40);
  assert_close(plm_bootstrap_percentile(values, 5, 0.5), 20, 1e-15);
  assert_close(plm_bootstrap_percentile(values, 5, 0.025), 1, 1e-12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bootstrap__intervals_cover_the_truth_and_shrink_with_the_noise),
      cmocka_unit_test(test_bootstrap__is_the_same_whatever_the_order_of_the_points),
      cmocka_unit_test(test_bootstrap__six_points_give_no_interval_and_say_so),
      cmocka_unit_test(test_bootstrap__isoflop_profiles_keep_their_sizes),
      cmocka_unit_test(test_bootstrap__draws_as_many_from_each_budget_as_it_has),
      cmocka_unit_test(test_bootstrap__under_half_of_the_draws_give_no_interval),
      cmocka_unit_test(test_bootstrap__percentiles_interpolate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
