#include "law/least_squares.h"

#include "law/simplex.h"
#include "law_fixture.h"

#define ROWS 12

static void columns_make(double one[ROWS], double x[ROWS], double square[ROWS]) {
  for (size_t i = 0; i < ROWS; i++) {
    one[i] = 1;
    x[i] = (double)i / 3;
    square[i] = x[i] * x[i];
  }
}

static void test_least_squares__recovers_a_polynomial(void **state) {
  (void)state;
  double one[ROWS], x[ROWS], square[ROWS], y[ROWS], work[PLM_LEAST_SQUARES_WORK(ROWS)], c[3], residual;
  columns_make(one, x, square);
  for (size_t i = 0; i < ROWS; i++)
    y[i] = 3 - 2 * x[i] + 0.5 * square[i];
  assert_int_equal(plm_least_squares(c, &residual, (const double *const[]){one, x, square}, 3, y, ROWS, work), 1);
  assert_close(c[0], 3, 1e-13);
  assert_close(c[1], -2, 1e-13);
  assert_close(c[2], 0.5, 1e-13);
  assert_true(residual < 1e-26);
}

static void test_least_squares__residual_is_orthogonal_to_the_columns(void **state) {
  (void)state;
  double one[ROWS], x[ROWS], square[ROWS], y[ROWS], work[PLM_LEAST_SQUARES_WORK(ROWS)], c[2], residual;
  columns_make(one, x, square);
  for (size_t i = 0; i < ROWS; i++)
    y[i] = sin(x[i]);
  assert_int_equal(plm_least_squares(c, &residual, (const double *const[]){one, x}, 2, y, ROWS, work), 1);
  double with_one = 0, with_x = 0, sum = 0;
  for (size_t i = 0; i < ROWS; i++) {
    double r = y[i] - c[0] - c[1] * x[i];
    with_one += r;
    with_x += r * x[i];
    sum += r * r;
  }
  assert_true(fabs(with_one) < 1e-13 && fabs(with_x) < 1e-13);
  assert_close(residual, sum, 1e-12);
}

static void test_least_squares__dependent_columns_are_refused(void **state) {
  (void)state;
  double one[ROWS], x[ROWS], twice[ROWS], y[ROWS], work[PLM_LEAST_SQUARES_WORK(ROWS)], c[3] = {7, 7, 7}, residual;
  columns_make(one, x, y);
  for (size_t i = 0; i < ROWS; i++)
    twice[i] = 2 * x[i] + 1;
  assert_int_equal(plm_least_squares(c, &residual, (const double *const[]){one, x, twice}, 3, y, ROWS, work), 0);
  assert_true(c[0] == 7);
  assert_int_equal(plm_least_squares(c, &residual, (const double *const[]){one, x, y}, 3, y, 2, work), 0);
}

/* The conditions of Karush, Kuhn and Tucker: c >= 0, gradient >= 0, and one of them 0 for each unknown. */
static void test_least_squares_positive__meets_the_optimality_conditions(void **state) {
  (void)state;
  double data[4 * ROWS], work[PLM_LEAST_SQUARES_WORK(ROWS)];
  int bound = 0;
  for (uint32_t trial = 0; trial < 200; trial++) {
    float normal[4 * ROWS];
    plm_rng_normal(normal, 4 * ROWS, 1, 3, PLM_RNG_TEST, trial, 0);
    for (size_t i = 0; i < 4 * ROWS; i++)
      data[i] = (double)normal[i] + (i < ROWS ? 1 : 0);
    const double *columns[3] = {data, data + ROWS, data + 2 * ROWS}, *y = data + 3 * ROWS;
    double c[3] = {0}, residual = 0;
    if (!plm_least_squares_positive(c, &residual, columns, 3, y, ROWS, work))
      continue; /* every column points away from y: c = 0 */
    for (size_t j = 0; j < 3; j++) {
      double gradient = 0;
      for (size_t i = 0; i < ROWS; i++)
        gradient -= columns[j][i] * (y[i] - c[0] * data[i] - c[1] * data[ROWS + i] - c[2] * data[2 * ROWS + i]);
      assert_true(c[j] >= 0);
      assert_true(c[j] > 0 ? fabs(gradient) < 1e-10 : gradient > -1e-10);
      bound += c[j] == 0;
    }
  }
  assert_true(bound > 50);
}

static double rosenbrock(const double *x, void *context) {
  (void)context;
  return 100 * (x[1] - x[0] * x[0]) * (x[1] - x[0] * x[0]) + (1 - x[0]) * (1 - x[0]);
}

static void test_simplex__finds_the_minimum_of_a_curved_valley(void **state) {
  (void)state;
  double low[2] = {-5, -5}, high[2] = {5, 5}, x[2] = {-1.2, 1};
  struct plm_simplex simplex = {rosenbrock, NULL, 2, low, high, 0.5, 1e-12, 2000};
  assert_true(plm_simplex_minimise(&simplex, x) < 1e-18);
  assert_close(x[0], 1, 1e-8);
  assert_close(x[1], 1, 1e-8);
}

static void test_simplex__stops_on_the_face_of_the_box(void **state) {
  (void)state;
  double low[2] = {-5, -5}, high[2] = {0.5, 5}, x[2] = {-1.2, 1};
  struct plm_simplex simplex = {rosenbrock, NULL, 2, low, high, 0.5, 1e-12, 2000};
  assert_close(plm_simplex_minimise(&simplex, x), 0.25, 1e-9);
  assert_true(x[0] == 0.5);
  assert_close(x[1], 0.25, 1e-5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_least_squares__recovers_a_polynomial),
      cmocka_unit_test(test_least_squares__residual_is_orthogonal_to_the_columns),
      cmocka_unit_test(test_least_squares__dependent_columns_are_refused),
      cmocka_unit_test(test_least_squares_positive__meets_the_optimality_conditions),
      cmocka_unit_test(test_simplex__finds_the_minimum_of_a_curved_valley),
      cmocka_unit_test(test_simplex__stops_on_the_face_of_the_box),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
