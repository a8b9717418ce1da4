#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "study/grid.h"
#include "study/study.h"

static void check_list(const char *text, const double *expected, size_t expected_count) {
  double *values = NULL;
  size_t count = 0;
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_grid_parse(&values, &count, text, &err))
    fail_msg("%s: %s", text, err.text);
  assert_int_equal(count, expected_count);
  for (size_t i = 0; i < count; i++)
    assert_true(fabs(values[i] - expected[i]) <= 1e-12 * fabs(expected[i]));
  free(values);
}

static void test_grid__numbers_log_and_range_mix(void **state) {
  (void)state;
  check_list("8M", (double[]){8e6}, 1);
  check_list(" 1, 2 ,3", (double[]){1, 2, 3}, 3);
  check_list("log(1e4, 1e6, 5)", (double[]){1e4, 31622.776601683792, 1e5, 316227.76601683792, 1e6}, 5);
  check_list("range(1e8, 4e8, 1e8)", (double[]){1e8, 2e8, 3e8, 4e8}, 4);
  check_list("range(0, 0.3, 0.1)", (double[]){0, 0.1, 0.2, 0.3}, 4);
  check_list("range(1,2,0.75)", (double[]){1, 1.75}, 2);
  check_list("range(5,5,1)", (double[]){5}, 1);
  check_list("7, log(1,100,3), range(-1,1,1), 1_000", (double[]){7, 1, 10, 100, -1, 0, 1, 1000}, 8);
}

static void test_grid__ends_of_log_are_exact(void **state) {
  (void)state;
  double *values = NULL;
  size_t count = 0;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_grid_parse(&values, &count, "log(3,7e11,1000)", &err), 0);
  assert_int_equal(count, 1000);
  assert_true(values[0] == 3 && values[999] == 7e11);
  for (size_t i = 1; i < count; i++)
    assert_true(values[i] > values[i - 1]);
  free(values);
}

static void test_grid__a_hundred_thousand_values_are_allowed(void **state) {
  (void)state;
  double *values = NULL;
  size_t count = 0;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_grid_parse(&values, &count, "range(1,100000,1)", &err), 0);
  assert_int_equal(count, 100000);
  assert_true(values[99999] == 100000);
  free(values);
}

static void test_grid__errors_name_the_part(void **state) {
  (void)state;
  static const struct {
    const char *text, *reason;
  } cases[] = {
      {"", "list: empty, at least one value is needed"},
      {"  ", "list: empty, at least one value is needed"},
      {"1,,2", "list: an empty part, a comma too many"},
      {"1,2,", "list: an empty part, a comma too many"},
      {"1, two", "\"two\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000)"},
      {"1 2", "\"1 2\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000)"},
      {"1e400", "\"1e400\" is out of range"},
      {"nan", "\"nan\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000)"},
      {"0x10", "\"0x10\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000)"},
      {"3, log(1,2", "list part \"log(1,2\": missing ')'"},
      {"3), 4", "list part \"3), 4\": ')' without '('"},
      {"log(1,(2),3)", "list part \"log(1,(2),3)\": parentheses within parentheses"},
      {"log(1,2)", "list part \"log(1,2)\": 2 arguments where 3 are needed"},
      {"log(1,2,3,4)", "list part \"log(1,2,3,4)\": 4 arguments where 3 are needed"},
      {"log(0,2,3)", "list part \"log(0,2,3)\": log(a,b,n) needs 0 < a < b"},
      {"log(-1,2,3)", "list part \"log(-1,2,3)\": log(a,b,n) needs 0 < a < b"},
      {"log(2,2,3)", "list part \"log(2,2,3)\": log(a,b,n) needs 0 < a < b"},
      {"log(1,2,1)", "list part \"log(1,2,1)\": log(a,b,n) needs an integer n from 2 to 100000"},
      {"log(1,2,2.5)", "list part \"log(1,2,2.5)\": log(a,b,n) needs an integer n from 2 to 100000"},
      {"log(1,2,1e9)", "list part \"log(1,2,1e9)\": log(a,b,n) needs an integer n from 2 to 100000"},
      {"log(1,x,3)", "list part \"log(1,x,3)\": \"x\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000)"},
      {"log(1,2,3)4", "list part \"log(1,2,3)4\": text after ')'"},
      {"range(1,2,0)", "list part \"range(1,2,0)\": range(a,b,s) needs a <= b and s > 0"},
      {"range(2,1,1)", "list part \"range(2,1,1)\": range(a,b,s) needs a <= b and s > 0"},
      {"range(0,1,1e-300)", "list part \"range(0,1,1e-300)\": more than 100000 values"},
      {"range(1,100000,1), 7", "list part \"7\": more than 100000 values"},
      {"lin(1,2,3)", "list part \"lin(1,2,3)\": unknown function, known: log(a,b,n), range(a,b,s)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double *values = NULL;
    size_t count = 77;
    struct plm_error err = PLM_ERROR_INIT;
    assert_int_equal(plm_grid_parse(&values, &count, cases[i].text, &err), PLM_E_USAGE);
    assert_string_equal(err.text, cases[i].reason);
    assert_null(values);
    assert_int_equal(count, 77);
  }
}

static void test_grid__sizes_mix_counts_and_shapes(void **state) {
  (void)state;
  struct plm_size *sizes = NULL;
  size_t count = 0;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_grid_parse_sizes(&sizes, &count, "3.5k, 26k, 2x32x2, log(1e4,1e6,5)", &err), 0);
  assert_int_equal(count, 8);
  assert_int_equal(sizes[0].shape.layers, 0);
  assert_true(sizes[0].params == 3500 && sizes[1].params == 26000);
  assert_int_equal(sizes[2].shape.layers, 2);
  assert_int_equal(sizes[2].shape.width, 32);
  assert_int_equal(sizes[2].shape.heads, 2);
  assert_true(sizes[7].params == 1e6);
  free(sizes);
}

static void test_grid__wrong_sizes_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *reason;
  } cases[] = {
      {"26k, 0x0x0", "shape \"0x0x0\": layers must be from 1 to 10000"},
      {"1x15x2", "shape \"1x15x2\": width 15 is not a multiple of heads 2"},
      {"0", "size \"0\": must be from 1 to 1e15 parameters"},
      {"-26k", "size \"-26000\": must be from 1 to 1e15 parameters"},
      {"1e16", "size \"1e+16\": must be from 1 to 1e15 parameters"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct plm_size *sizes = NULL;
    size_t count = 0;
    struct plm_error err = PLM_ERROR_INIT;
    assert_int_equal(plm_grid_parse_sizes(&sizes, &count, cases[i].text, &err), PLM_E_USAGE);
    assert_string_equal(err.text, cases[i].reason);
    assert_null(sizes);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_grid__numbers_log_and_range_mix),
      cmocka_unit_test(test_grid__ends_of_log_are_exact),
      cmocka_unit_test(test_grid__a_hundred_thousand_values_are_allowed),
      cmocka_unit_test(test_grid__errors_name_the_part),
      cmocka_unit_test(test_grid__sizes_mix_counts_and_shapes),
      cmocka_unit_test(test_grid__wrong_sizes_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
