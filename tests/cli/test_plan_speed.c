#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/plan_speed.h"

static void test_plan_speed__nothing_measured_is_not_known(void **state) {
  const struct plm_plan_device device = {0};
  (void)state;
  assert_true(plm_plan_tokens_per_s(&device, 1e6) == 0);
}

static void test_plan_speed__between_points_a_power_law_holds(void **state) {
  /* 1e9 / f^0.5 at three points. */
  const struct plm_plan_device device = {
      .count = 3, .points = {{{{1, 16, 1}, 1e4}, 1e7, 0}, {{{2, 16, 1}, 1e6}, 1e6, 0}, {{{3, 16, 1}, 1e8}, 1e5, 0}}};
  static const double at[] = {1e4, 3e4, 1e6, 2e7, 1e8};
  (void)state;
  for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
    assert_float_equal(plm_plan_tokens_per_s(&device, at[i]) * sqrt(at[i]) / 1e9, 1, 1e-9);
}

static void test_plan_speed__beyond_the_points_the_flop_rate_holds(void **state) {
  const struct plm_plan_device device = {.count = 2,
                                         .points = {{{{1, 16, 1}, 1e4}, 1e6, 0}, {{{2, 16, 1}, 1e6}, 5e4, 0}}};
  (void)state;
  assert_float_equal(plm_plan_tokens_per_s(&device, 1e8), 500, 1e-6);
  assert_float_equal(plm_plan_tokens_per_s(&device, 1e3), 1e7, 1e-3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plan_speed__nothing_measured_is_not_known),
      cmocka_unit_test(test_plan_speed__between_points_a_power_law_holds),
      cmocka_unit_test(test_plan_speed__beyond_the_points_the_flop_rate_holds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
