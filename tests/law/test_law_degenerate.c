#include "law_fixture.h"

#define SIDE 6
#define POINTS ((size_t)SIDE * SIDE)
#define CURVE 10

/* Good points, so that only what a case breaks can be the reason: a grid in which every diagonal is a budget, learning
 * curves, half of the runs repeating their data. */
struct bed {
  struct plm_point points[POINTS];
  struct plm_point_curve curves[POINTS];
  double tokens[POINTS][CURVE], losses[POINTS][CURVE];
};

static void bed_make(struct bed *bed) {
  const struct surface s = {1.5, 30, 60, 0.3, 0.3};
  memset(bed, 0, sizeof *bed);
  for (size_t k = 0; k < POINTS; k++) {
    double budget = 1e12 * pow(4, (double)(k / SIDE)), n = sqrt(budget / 6) * 0.3 * pow(2, (double)(k % SIDE) - 2.5);
    double d = budget / (6 * n);
    bed->points[k] = (struct plm_point){.params = n,
                                        .tokens = d,
                                        .compute = budget,
                                        .budget = budget,
                                        .loss = surface_loss(&s, n, d),
                                        .weight = 1,
                                        .unique = k % 2 ? d : d / 3,
                                        .label = "p"};
    bed->curves[k] = (struct plm_point_curve){CURVE, bed->tokens[k], bed->losses[k]};
    bed->points[k].curve = &bed->curves[k];
    for (size_t i = 0; i < CURVE; i++) {
      bed->tokens[k][i] = d * (double)(i + 1) / CURVE;
      bed->losses[k][i] = surface_loss(&s, n, bed->tokens[k][i]);
    }
  }
}

static void losses_equal(struct bed *bed, size_t *count) {
  (void)count;
  for (size_t k = 0; k < POINTS; k++) {
    bed->points[k].loss = 2.5;
    for (size_t i = 0; i < CURVE; i++)
      bed->losses[k][i] = 2.5;
  }
}

static void one_size(struct bed *bed, size_t *count) {
  (void)count;
  for (size_t k = 0; k < POINTS; k++) {
    bed->points[k].params = 1e6;
    bed->points[k].compute = 6e6 * bed->points[k].tokens;
    bed->points[k].budget = bed->points[k].compute * pow(1.3, (double)k);
  }
}

static void two_points(struct bed *bed, size_t *count) {
  (void)bed;
  *count = 2;
}

static void no_points(struct bed *bed, size_t *count) {
  (void)bed;
  *count = 0;
}

static void loss_nan(struct bed *bed, size_t *count) {
  (void)count;
  bed->points[7].loss = (double)NAN;
}

static void loss_huge(struct bed *bed, size_t *count) {
  (void)count;
  bed->points[7].loss = 1e300;
}

static void loss_tiny(struct bed *bed, size_t *count) {
  (void)count;
  bed->points[7].loss = 1e-320;
}

static void loss_negative(struct bed *bed, size_t *count) {
  (void)count;
  bed->points[7].loss = -2.5;
}

static void loss_infinite(struct bed *bed, size_t *count) {
  (void)count;
  bed->points[7].loss = INFINITY;
}

static void size_nan(struct bed *bed, size_t *count) {
  (void)count;
  bed->points[3].params = (double)NAN;
}

static void size_huge(struct bed *bed, size_t *count) {
  (void)count;
  bed->points[3].params = 1e300;
}

static void tokens_zero(struct bed *bed, size_t *count) {
  (void)count;
  bed->points[3].tokens = 0;
}

static void compute_negative(struct bed *bed, size_t *count) {
  (void)count;
  bed->points[3].compute = -1;
}

static void weight_nan(struct bed *bed, size_t *count) {
  (void)count;
  bed->points[3].weight = (double)NAN;
}

static const struct {
  const char *name;
  void (*breaks)(struct bed *bed, size_t *count);
  const char *reason; /* part of it */
} CASES[] = {
    {"all losses equal", losses_equal, "all losses are equal (2.5)"},
    {"one size", one_size, "1 model size"},
    {"two points", two_points, "2 points"},
    {"no points", no_points, "0 points"},
    {"loss NaN", loss_nan, "loss is nan"},
    {"loss 1e300", loss_huge, "loss is 1e+300, which no study has"},
    {"loss 1e-320", loss_tiny, "which no study has (under 1e-30)"},
    {"negative loss", loss_negative, "loss is -2.5"},
    {"infinite loss", loss_infinite, "loss is inf"},
    {"N NaN", size_nan, "N (params) is nan"},
    {"N 1e300", size_huge, "N (params) is 1e+300, which no study has"},
    {"D zero", tokens_zero, "D (tokens) is 0"},
    {"C negative", compute_negative, "C (compute) is -1"},
    {"weight NaN", weight_nan, "weight is nan"},
};

static int run(struct plm_fit *fit, const struct plm_estimator *estimator, const struct bed *bed, size_t count,
               struct plm_error *err) {
  static const double compute = 1e13;
  struct plm_fit_task task = {
      .points = bed->points, .count = count, .compute = &compute, .compute_count = 1, .cost = {6, 1, 0}, .threads = 2};
  assert_int_equal(plm_fit_init(fit, estimator->name, &task, NULL), 0);
  return plm_estimator_fit(estimator, fit, &task, err);
}

static void test_estimators__refuse_degenerate_points_with_the_reason(void **state) {
  (void)state;
  size_t estimators, refusals = 0;
  const struct plm_estimator *table = plm_estimators(&estimators);
  struct bed *bed = malloc(sizeof *bed);
  assert_non_null(bed);
  for (size_t c = 0; c < sizeof CASES / sizeof *CASES; c++)
    for (size_t e = 0; e < estimators; e++) {
      size_t count = POINTS;
      struct plm_fit fit;
      struct plm_error err = PLM_ERROR_INIT;
      bed_make(bed);
      CASES[c].breaks(bed, &count);
      int code = run(&fit, &table[e], bed, count, &err);
      if (code != PLM_E_UNSUPPORTED || strchr(err.text, '\n'))
        fail_msg("%s, %s: code %d \"%s\"", CASES[c].name, table[e].name, code, err.text);
      if (!strstr(err.text, CASES[c].reason))
        fail_msg("%s, %s: \"%s\" lacks \"%s\"", CASES[c].name, table[e].name, err.text, CASES[c].reason);
      refusals++;
      plm_fit_fini(&fit);
    }
  free(bed);
  assert_int_equal(refusals, estimators * sizeof CASES / sizeof *CASES);
}

/* Nothing but the break is the reason. */
static void test_estimators__take_the_points_that_the_cases_break(void **state) {
  (void)state;
  size_t estimators;
  const struct plm_estimator *table = plm_estimators(&estimators);
  struct bed *bed = malloc(sizeof *bed);
  assert_non_null(bed);
  bed_make(bed);
  for (size_t e = 0; e < estimators; e++) {
    struct plm_fit fit;
    struct plm_error err = PLM_ERROR_INIT;
    int code = run(&fit, &table[e], bed, POINTS, &err);
    if (code)
      fail_msg("%s: %s", table[e].name, err.text);
    assert_true(fit.has_exponents && fit.points > 0 && isfinite(fit.objective));
    assert_true(fit.optimum[0].known && fit.optimum[0].params > 0 && fit.optimum[0].tokens > 0);
    plm_fit_fini(&fit);
  }
  free(bed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_estimators__refuse_degenerate_points_with_the_reason),
      cmocka_unit_test(test_estimators__take_the_points_that_the_cases_break),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
