/* Noise model, draws, threads, held-out budgets. */
#include <string.h>

#include "law/holdout.h"
#include "law/noise.h"
#include "law/parametric.h"
#include "law/resample.h"
#include "law/workers.h"
#include "law_fixture.h"

static const double BUDGETS[5] = {1e12, 3e12, 1e13, 3e13, 1e14};
static const struct surface SMALL = {1.9, 30.0, 90.0, 0.3, 0.3};

/* Every point of isoflop_add seeds times, log loss with normal noise of that deviation. */
static void seeds_add(struct plm_points *out, size_t budgets, size_t sizes, size_t seeds, double sigma) {
  struct plm_points once = {0};
  isoflop_add(&once, &SMALL, BUDGETS, budgets, sizes, 4, 0);
  float *normal = calloc(once.count * seeds, sizeof *normal);
  assert_non_null(normal);
  plm_rng_normal(normal, once.count * seeds, (float)sigma, 5, PLM_RNG_TEST, 0, 0);
  for (size_t i = 0; i < once.count * seeds; i++) {
    struct plm_point p = once.items[i % once.count];
    p.seed = i / once.count;
    p.loss *= exp((double)normal[i]);
    assert_int_equal(plm_points_add(out, &p, NULL), 0);
  }
  free(normal);
  plm_points_fini(&once);
}

static struct plm_fit_task task_of(struct plm_points *points) {
  plm_budgets_assign(points);
  return (struct plm_fit_task){.points = points->items, .count = points->count, .cost = {6, 1, 0}};
}

static void test_noise__of_replicates_is_what_was_put_in(void **state) {
  (void)state;
  struct plm_points points = {0};
  struct plm_noise noise;
  seeds_add(&points, 5, 7, 12, 0.003);
  struct plm_fit_task task = task_of(&points);
  assert_int_equal(plm_noise_estimate(&noise, &task, NULL), 0);
  assert_string_equal(noise.source, "seed replicates");
  assert_int_equal(noise.freedom, 35 * 11);
  assert_close(noise.sigma, 0.003, 0.1);
  plm_points_fini(&points);
}

/* Log loss of SIZES sizes, BUDGETS budgets and seeds with noise that runs of one size and seed have in common to that part. */
static void kin_add(struct plm_points *out, size_t seeds, double sigma, double shared) {
  enum { SIZES = 8 };
  struct plm_points once = {0};
  float own[5 * SIZES * 20], common[SIZES * 20];
  assert_true(seeds <= 20);
  isoflop_add(&once, &SMALL, BUDGETS, 5, SIZES, 4, 0);
  plm_rng_normal(own, 5 * SIZES * 20, (float)sigma, 5, PLM_RNG_TEST, 1, 0);
  plm_rng_normal(common, SIZES * 20, (float)sigma, 5, PLM_RNG_TEST, 2, 0);
  for (size_t i = 0; i < once.count; i++)
    for (size_t seed = 0; seed < seeds; seed++) {
      struct plm_point p = once.items[i];
      size_t size = i % SIZES;
      p.params = 1e4 * exp2((double)size); /* one size at every budget */
      p.tokens = p.compute / (6 * p.params);
      p.seed = seed;
      p.loss *= exp(sqrt(1 - shared) * (double)own[i * 20 + seed] + sqrt(shared) * (double)common[size * 20 + seed]);
      assert_int_equal(plm_points_add(out, &p, NULL), 0);
    }
  plm_points_fini(&once);
}

static void test_noise__shared_by_a_size_and_seed_is_what_was_put_in(void **state) {
  (void)state;
  static const double parts[] = {0, 0.6, 1};
  for (size_t k = 0; k < 3; k++) {
    struct plm_points points = {0};
    struct plm_noise noise;
    kin_add(&points, 20, 0.003, parts[k]);
    struct plm_fit_task task = task_of(&points);
    assert_int_equal(plm_noise_estimate(&noise, &task, NULL), 0);
    assert_close(noise.sigma, 0.003, 0.1);
    assert_true(fabs(noise.shared - parts[k]) < 0.08);
    for (size_t i = 0; i < points.count; i++)
      points.items[i].seed = 0; /* replicates that are no seeds tell nothing of it */
    task = task_of(&points);
    assert_int_equal(plm_noise_estimate(&noise, &task, NULL), 0);
    assert_true(noise.shared == 0);
    plm_points_fini(&points);
  }
}

/* Covariance of the noise of two points over draws: the shared part of the variance for kin, none for others. */
static void test_draws__share_noise_within_a_size_and_seed(void **state) {
  (void)state;
  enum { DRAWS = 4000 };
  struct plm_points points = {0};
  struct plm_strata strata;
  struct plm_sample sample;
  kin_add(&points, 2, 0.003, 0.5);
  struct plm_fit_task task = task_of(&points);
  const struct plm_bootstrap bootstrap = {.draws = DRAWS, .seed = 3, .noise = {0.003, 100000, 0.7, "test"}};
  assert_int_equal(plm_strata_create(&strata, &task, NULL), 0);
  assert_int_equal(plm_sample_create(&sample, task.count, NULL), 0);
  size_t kin = 1, other = 1;
  while (strata.kin[kin] != strata.kin[0])
    kin++;
  while (strata.kin[other] == strata.kin[0])
    other++;
  double variance = 0, with_kin = 0, with_other = 0;
  for (uint32_t draw = 0; draw < DRAWS; draw++) {
    double shift[3];
    size_t which[3] = {0, kin, other};
    assert_int_equal(plm_sample_draw(&sample, &strata, &task, PLM_RESAMPLE_NOISE, &bootstrap, draw), task.count);
    for (int i = 0; i < 3; i++)
      shift[i] = log(sample.points[which[i]].loss / task.points[which[i]].loss) / 0.003;
    variance += shift[0] * shift[0] / DRAWS;
    with_kin += shift[0] * shift[1] / DRAWS;
    with_other += shift[0] * shift[2] / DRAWS;
  }
  assert_true(fabs(variance - 1) < 0.1 && fabs(with_kin - 0.7) < 0.1 && fabs(with_other) < 0.1);
  plm_sample_destroy(&sample);
  plm_strata_destroy(&strata);
  plm_points_fini(&points);
}

static void test_noise__without_replicates_is_of_residuals_or_nothing(void **state) {
  (void)state;
  struct plm_points points = {0}, few = {0};
  struct plm_noise noise;
  seeds_add(&points, 5, 20, 1, 0.003);
  struct plm_fit_task task = task_of(&points);
  assert_int_equal(plm_noise_estimate(&noise, &task, NULL), 0);
  assert_string_equal(noise.source, "residuals of vp");
  assert_int_equal(noise.freedom, 95);
  assert_close(noise.sigma, 0.003, 0.2);
  seeds_add(&few, 2, 4, 1, 0.003);
  task = task_of(&few);
  assert_int_equal(plm_noise_estimate(&noise, &task, NULL), 0);
  assert_string_equal(noise.source, "nothing");
  assert_true(noise.freedom == 0 && noise.sigma == 0);
  plm_points_fini(&points);
  plm_points_fini(&few);
}

/* Crops make the unique tokens of two seeds differ a little; another amount of data makes another run. */
static void test_noise__replicates_have_the_same_data(void **state) {
  (void)state;
  struct plm_points points = {0};
  struct plm_noise noise;
  seeds_add(&points, 3, 5, 2, 0.003);
  for (size_t i = 0; i < points.count; i++)
    points.items[i].unique = points.items[i].tokens * (1 + 0.002 * (double)points.items[i].seed);
  struct plm_fit_task task = task_of(&points);
  assert_int_equal(plm_noise_estimate(&noise, &task, NULL), 0);
  assert_string_equal(noise.source, "seed replicates");
  assert_int_equal(noise.freedom, 15);
  for (size_t i = 0; i < points.count; i++)
    if (points.items[i].seed == 1)
      points.items[i].unique /= 4;
  task = task_of(&points);
  assert_int_equal(plm_noise_estimate(&noise, &task, NULL), 0);
  assert_string_equal(noise.source, "residuals of vp, runs of one pass");
  assert_int_equal(noise.freedom, 15 - 5);
  plm_points_fini(&points);
}

/* Of absolute residuals: draws lie about the surface, so they are of the noise and not of which points were left out. */
static void test_bootstrap__a_surface_through_its_points_is_as_wide_as_its_noise(void **state) {
  (void)state;
  double width[2];
  for (int k = 0; k < 2; k++) {
    struct plm_points points = {0};
    seeds_add(&points, 5, 5, 1, k ? 0.0015 : 0.00075);
    struct plm_law *law = law_of(&points, "lad", 200);
    const struct plm_fit *fit = &law->fits[0];
    assert_true(fit->a_interval.known && fit->draws_done == 200);
    assert_true(fit->a_interval.low < 0.5 && fit->a_interval.high > 0.5);
    width[k] = fit->a_interval.high - fit->a_interval.low;
    plm_law_destroy(law);
    plm_points_fini(&points);
  }
  /* 0.0235 is what 2,000 studies give, whose scatter of that is a quarter. */
  assert_true(width[1] > 0.012 && width[1] < 0.035);
  assert_close(width[0], width[1] / 2, 0.1);
}

/* The mean of a stratum over draws varies as the mean of as many new points would: sigma^2/n, not (n - 1)/n of it. */
static void test_draws__have_the_variance_of_new_studies(void **state) {
  (void)state;
  enum { N = 4, DRAWS = 4000 };
  struct plm_points points = {0};
  static const double loss[N] = {2.0 * 0.99, 2.0 * 0.997, 2.0 * 1.003, 2.0 * 1.01};
  for (size_t i = 0; i < N; i++)
    point_add(&points, 1e4 * (double)(i + 1), 1e12 / (6e4 * (double)(i + 1)), loss[i]);
  struct plm_fit_task task = task_of(&points);
  double spread = 0;
  for (size_t i = 0; i < N; i++)
    spread += pow(log(loss[i] / 2), 2) / (N - 1);
  const struct plm_bootstrap bootstrap = {.draws = DRAWS, .seed = 3, .noise = {sqrt(spread), 100, 0, "test"}};
  struct plm_strata strata;
  struct plm_sample sample;
  assert_int_equal(plm_strata_create(&strata, &task, NULL), 0);
  assert_int_equal(plm_sample_create(&sample, N, NULL), 0);
  for (int kind = 0; kind < 2; kind++) {
    double sum = 0, squares = 0;
    for (uint32_t draw = 0; draw < DRAWS; draw++) {
      double mean = 0;
      size_t count =
          plm_sample_draw(&sample, &strata, &task, kind ? PLM_RESAMPLE_NOISE : PLM_RESAMPLE_CELLS, &bootstrap, draw);
      assert_int_equal(count, N);
      for (size_t i = 0; i < count; i++)
        mean += log(sample.points[i].loss / 2) / N;
      sum += mean / DRAWS;
      squares += mean * mean / DRAWS;
    }
    assert_close(squares - sum * sum, spread / N, 0.1);
  }
  plm_sample_destroy(&sample);
  plm_strata_destroy(&strata);
  plm_points_fini(&points);
}

static void test_bootstrap__is_the_same_whatever_the_threads(void **state) {
  (void)state;
  struct plm_points points = {0};
  seeds_add(&points, 4, 5, 2, 0.003);
  struct plm_law *laws[2];
  for (unsigned k = 0; k < 2; k++) {
    struct plm_law_options options = {
        .estimators = "parabola,akima,huber,lad,vp,power", .draws = 60, .seed = 1, .holdout = 1, .threads = 1 + 4 * k};
    assert_int_equal(plm_law_fit(&laws[k], &points, "test", &options, NULL), 0);
  }
  assert_int_equal(laws[0]->fit_count, 6);
  for (size_t i = 0; i < 6; i++) {
    const struct plm_fit *a = &laws[0]->fits[i], *b = &laws[1]->fits[i];
    assert_true(a->a == b->a && a->objective == b->objective && a->draws_done == b->draws_done);
    assert_true(a->a_interval.known && a->a_interval.low == b->a_interval.low &&
                a->a_interval.high == b->a_interval.high);
    assert_int_equal(a->basin_count, b->basin_count);
    for (size_t k = 0; k < a->basin_count; k++)
      assert_true(a->basins[k].objective == b->basins[k].objective && a->basins[k].starts == b->basins[k].starts);
  }
  plm_law_destroy(laws[0]);
  plm_law_destroy(laws[1]);
  plm_points_fini(&points);
}

static void test_bootstrap__gives_intervals_of_parameters_tokens_and_loss(void **state) {
  (void)state;
  struct plm_points points = {0};
  seeds_add(&points, 5, 5, 2, 0.002);
  struct plm_law *law = law_of(&points, "vp", 100);
  const struct plm_fit *fit = &law->fits[0];
  assert_int_equal(fit->param_count, 5);
  for (size_t i = 0; i < 5; i++)
    assert_true(fit->params[i].interval.known && fit->params[i].interval.low < fit->params[i].value &&
                fit->params[i].value < fit->params[i].interval.high);
  const struct plm_optimum *o = &fit->optimum[4];
  assert_true(o->tokens_interval.low < o->tokens && o->tokens < o->tokens_interval.high);
  assert_true(o->loss_interval.low < o->loss && o->loss < o->loss_interval.high);
  assert_close(6 * o->params_interval.low * o->tokens_interval.high, o->compute, 1e-3);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* Weight w is the mean of w runs: its noise is smaller by the root of w. */
static void test_draws__weights_make_the_noise_smaller(void **state) {
  (void)state;
  struct plm_points points = {0};
  for (size_t i = 0; i < 3; i++) {
    point_add(&points, 1e4 * (double)(i + 1), 1e7, 2.5);
    points.items[i].weight = i == 0 ? 1e4 : 1;
  }
  struct plm_fit_task task = task_of(&points);
  const struct plm_bootstrap bootstrap = {.draws = 1, .seed = 3, .noise = {0.01, 100, 0, "test"}};
  struct plm_strata strata;
  struct plm_sample sample;
  assert_int_equal(plm_strata_create(&strata, &task, NULL), 0);
  assert_int_equal(plm_sample_create(&sample, 3, NULL), 0);
  double heavy = 0, light = 0;
  for (uint32_t draw = 0; draw < 100; draw++) {
    plm_sample_draw(&sample, &strata, &task, PLM_RESAMPLE_NOISE, &bootstrap, draw);
    for (size_t i = 0; i < 3; i++)
      *(sample.points[i].weight > 1 ? &heavy : &light) += fabs(log(sample.points[i].loss / 2.5));
  }
  assert_true(heavy > 0 && heavy < 0.01 * light);
  plm_sample_destroy(&sample);
  plm_strata_destroy(&strata);
  plm_points_fini(&points);
}

static void test_holdout__a_true_law_predicts_what_it_has_not_seen(void **state) {
  (void)state;
  struct plm_points points = {0};
  isoflop_add(&points, &SMALL, BUDGETS, 5, 7, 8, 0);
  struct plm_law_options options = {.estimators = "parabola,huber,vp", .holdout = 1};
  struct plm_law *law = NULL;
  assert_int_equal(plm_law_fit(&law, &points, "test", &options, NULL), 0);
  assert_int_equal(law->fit_count, 3);
  for (size_t f = 0; f < 3; f++) {
    const struct plm_fit *fit = &law->fits[f];
    assert_int_equal(fit->holdout_count, 5 + 3);
    for (size_t i = 0; i < 8; i++) {
      const struct plm_holdout *h = &fit->holdouts[i];
      assert_int_equal(h->rollout, i >= 5);
      assert_int_equal(h->budgets_kept, i < 5 ? 4 : i - 3);
      assert_close(h->budget, BUDGETS[i < 5 ? i : 4], 1e-9);
      assert_int_equal(h->points_held, 7);
      assert_string_equal(h->refused, "");
      assert_close(h->params, h->params_all, f ? 1e-4 : 0.02);
      assert_int_equal(isfinite(h->loss_rms), f > 0); /* a parabola predicts no loss elsewhere */
      assert_true(f == 0 || h->loss_rms < 1e-6);
    }
  }
  plm_law_destroy(law);
  plm_points_fini(&points);
}

/* Above 3e13 FLOP every run is worse than the law of the smaller ones says. */
static void test_holdout__a_law_that_breaks_is_seen(void **state) {
  (void)state;
  struct plm_points points = {0};
  isoflop_add(&points, &SMALL, BUDGETS, 5, 7, 8, 0);
  for (size_t i = 28; i < 35; i++)
    points.items[i].loss += 0.05;
  struct plm_law_options options = {.estimators = "vp", .holdout = 1};
  struct plm_law *law = NULL;
  assert_int_equal(plm_law_fit(&law, &points, "test", &options, NULL), 0);
  const struct plm_holdout *last = &law->fits[0].holdouts[7];
  assert_int_equal(last->rollout, 1);
  assert_close(last->loss_rms, 0.05, 1e-3);
  assert_close(last->loss_bias, 0.05, 1e-3);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_holdout__says_why_it_cannot(void **state) {
  (void)state;
  struct plm_points points = {0};
  isoflop_add(&points, &SMALL, BUDGETS, 3, 3, 8, 0);
  struct plm_law_options options = {.estimators = "vp", .holdout = 1};
  struct plm_law *law = NULL;
  assert_int_equal(plm_law_fit(&law, &points, "test", &options, NULL), 0);
  const struct plm_fit *fit = &law->fits[0];
  assert_int_equal(fit->holdout_count, 4);
  for (size_t i = 0; i < 4; i++)
    assert_int_equal(fit->holdouts[i].refused[0] == 0, isfinite(fit->holdouts[i].params) != 0);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

struct tally {
  int done[100];
  unsigned workers;
};

static int tally_job(size_t index, unsigned worker, void *context, struct plm_error *err) {
  struct tally *tally = context;
  assert_true(worker < tally->workers);
  tally->done[index]++;
  return index == 40 || index == 41 ? plm_error_set(err, PLM_E_DAMAGED, "job %zu", index) : 0;
}

static void test_workers__every_job_once_and_the_first_error(void **state) {
  (void)state;
  for (unsigned threads = 0; threads < 9; threads += 4) {
    struct tally tally = {.workers = threads ? threads : 1};
    struct plm_error err = PLM_ERROR_INIT;
    assert_int_equal(plm_workers_run(threads, 40, tally_job, &tally, &err), 0);
    for (size_t i = 0; i < 40; i++)
      assert_int_equal(tally.done[i], 1);
    assert_int_equal(plm_workers_run(threads, 100, tally_job, &tally, &err), PLM_E_DAMAGED);
    assert_string_equal(err.text, "job 40");
  }
  assert_true(plm_workers_default() >= 1);
}

/* A surface of the right form misses points by their noise; one valley that moves with compute as no sum of powers does, by more. */
static void test_misfit__is_one_for_the_right_form_and_more_for_another(void **state) {
  (void)state;
  struct plm_law_options options = {.estimators = "vp,parabola", .draws = 40, .seed = 1, .threads = 2};
  struct plm_points right = {0}, wrong = {0};
  struct plm_law *law;
  seeds_add(&right, 5, 7, 3, 0.002);
  assert_int_equal(plm_law_fit(&law, &right, "test", &options, NULL), 0);
  assert_string_equal(law->fits[1].estimator, "vp");
  assert_true(law->fits[1].misfit > 0.5 && law->fits[1].misfit < 1.5);
  assert_true(isnan(law->fits[0].misfit)); /* parabolas have no surface */
  assert_int_equal(law->warnings.count, 0);
  plm_law_destroy(law);
  seeds_add(&wrong, 5, 7, 3, 0.002);
  for (size_t i = 0; i < wrong.count; i++)
    wrong.items[i].loss += 0.05 * sin(2 * log(wrong.items[i].params)) * sin(2 * log(wrong.items[i].tokens));
  assert_int_equal(plm_law_fit(&law, &wrong, "test", &options, NULL), 0);
  assert_true(law->fits[law->fit_count - 1].misfit > 5);
  assert_non_null(strstr(law->warnings.lines[0], "what seeds explain"));
  plm_law_destroy(law);
  plm_points_fini(&wrong);
  plm_points_fini(&right);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_misfit__is_one_for_the_right_form_and_more_for_another),
      cmocka_unit_test(test_noise__shared_by_a_size_and_seed_is_what_was_put_in),
      cmocka_unit_test(test_draws__share_noise_within_a_size_and_seed),
      cmocka_unit_test(test_noise__of_replicates_is_what_was_put_in),
      cmocka_unit_test(test_noise__without_replicates_is_of_residuals_or_nothing),
      cmocka_unit_test(test_noise__replicates_have_the_same_data),
      cmocka_unit_test(test_bootstrap__a_surface_through_its_points_is_as_wide_as_its_noise),
      cmocka_unit_test(test_draws__have_the_variance_of_new_studies),
      cmocka_unit_test(test_draws__weights_make_the_noise_smaller),
      cmocka_unit_test(test_bootstrap__is_the_same_whatever_the_threads),
      cmocka_unit_test(test_bootstrap__gives_intervals_of_parameters_tokens_and_loss),
      cmocka_unit_test(test_holdout__a_true_law_predicts_what_it_has_not_seen),
      cmocka_unit_test(test_holdout__a_law_that_breaks_is_seen),
      cmocka_unit_test(test_holdout__says_why_it_cannot),
      cmocka_unit_test(test_workers__every_job_once_and_the_first_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
