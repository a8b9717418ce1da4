#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "study/shape.h"

static const struct {
  const char *text;
  int64_t layers, total;
} published[] = {
    {"6x320x20", 7397760, 7512353},         {"12x480x20", 33252480, 33501153},
    {"30x640x20", 147705600, 148139553},    {"33x1280x20", 649355520, 651042593},
    {"36x2560x40", 2832353280, 2839004193}, {"48x5120x40", 15102689280, 15129098273},
};

static void test_shape__counts_are_those_of_the_published_models(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
    struct plm_shape shape;
    struct plm_error err = PLM_ERROR_INIT;
    char text[PLM_SHAPE_TEXT];
    assert_int_equal(plm_shape_parse(&shape, published[i].text, &err), 0);
    assert_int_equal(plm_shape_params_layers(shape), published[i].layers);
    assert_int_equal(plm_shape_params_total(shape), published[i].total);
    assert_int_equal(plm_shape_params_head(shape), published[i].total - 33 * (int64_t)shape.width);
    plm_shape_text(text, shape);
    assert_string_equal(text, published[i].text);
  }
}

static void test_shape__wrong_texts_are_refused_with_the_reason(void **state) {
  (void)state;
  static const struct {
    const char *text, *reason;
  } cases[] = {
      {"", "shape \"\": not LAYERSxWIDTHxHEADS, like 6x320x20"},
      {"6x320", "shape \"6x320\": not LAYERSxWIDTHxHEADS, like 6x320x20"},
      {"6x320x20x1", "shape \"6x320x20x1\": not LAYERSxWIDTHxHEADS, like 6x320x20"},
      {"-6x320x20", "shape \"-6x320x20\": not LAYERSxWIDTHxHEADS, like 6x320x20"},
      {"6 x 320 x 20", "shape \"6 x 320 x 20\": not LAYERSxWIDTHxHEADS, like 6x320x20"},
      {"6x99999999999999999999x20", "shape \"6x99999999999999999999x20\": not LAYERSxWIDTHxHEADS, like 6x320x20"},
      {"0x0x0", "shape \"0x0x0\": layers must be from 1 to 10000"},
      {"10001x32x2", "shape \"10001x32x2\": layers must be from 1 to 10000"},
      {"1x0x1", "shape \"1x0x1\": width must be from 1 to 1000000"},
      {"1x1000002x1", "shape \"1x1000002x1\": width must be from 1 to 1000000"},
      {"1x16x0", "shape \"1x16x0\": heads must be at least 1"},
      {"1x15x2", "shape \"1x15x2\": width 15 is not a multiple of heads 2"},
      {"1x15x3", "shape \"1x15x3\": head size 5 (width / heads) is odd, rotary needs it even"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct plm_shape shape = {7, 7, 7};
    struct plm_error err = PLM_ERROR_INIT;
    assert_int_equal(plm_shape_parse(&shape, cases[i].text, &err), PLM_E_USAGE);
    assert_string_equal(err.text, cases[i].reason);
    assert_int_equal(shape.layers, 7);
  }
}

/* The contract spelled out by search: three depths around the trend, every width. */
static struct plm_shape nearest_by_search(double params, uint32_t head_size) {
  struct plm_shape best = {0, 0, 0};
  double middle = round(0.17 * sqrt(sqrt(params))), distance = INFINITY;
  if (middle < 1)
    middle = 1;
  for (uint32_t layers = middle > 1 ? (uint32_t)middle - 1 : 1; layers <= (uint32_t)middle + 1; layers++)
    for (uint32_t heads = 1; heads <= 400; heads++) {
      struct plm_shape shape = {layers, heads * head_size, heads};
      double off = fabs((double)plm_shape_params_layers(shape) - params);
      if (off < distance) {
        distance = off;
        best = shape;
      }
    }
  return best;
}

static void test_shape__rule_finds_the_nearest_count(void **state) {
  (void)state;
  int taken = 0;
  for (uint32_t head_size = 4; head_size <= 64; head_size *= 2)
    for (double params = 100; params < 1e9; params *= 1.37) {
      struct plm_shape shape = {0, 0, 0}, expected = nearest_by_search(params, head_size);
      struct plm_error err = PLM_ERROR_INIT;
      int code = plm_shape_for_params(&shape, params, head_size, &err);
      if (fabs((double)plm_shape_params_layers(expected) - params) > 0.25 * params) {
        assert_int_equal(code, PLM_E_USAGE);
        assert_int_equal(shape.layers, 0);
        continue;
      }
      assert_int_equal(code, 0);
      assert_memory_equal(&shape, &expected, sizeof shape);
      taken++;
    }
  assert_true(taken > 150);
}

static void test_shape__rule_follows_the_trend_of_good_models(void **state) {
  (void)state;
  static const struct {
    double params;
    const char *text;
  } cases[] = {{3500, "1x16x1"}, {26000, "2x32x2"}, {1e6, "4x144x9"}, {7.4e6, "8x272x17"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct plm_shape shape;
    struct plm_error err = PLM_ERROR_INIT;
    char text[PLM_SHAPE_TEXT];
    assert_int_equal(plm_shape_for_params(&shape, cases[i].params, 16, &err), 0);
    plm_shape_text(text, shape);
    assert_string_equal(text, cases[i].text);
  }
}

static void test_shape__count_without_a_near_shape_is_refused(void **state) {
  (void)state;
  struct plm_shape shape;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_shape_for_params(&shape, 1000, 16, &err), PLM_E_USAGE);
  assert_string_equal(err.text, "size \"1000\": the nearest shape with heads of 16 is 1x16x1 with 3280 parameters, off "
                                "by more than 25 %");
  assert_int_equal(plm_shape_for_params(&shape, 1e6, 15, &err), PLM_E_USAGE);
  assert_string_equal(err.text, "head size \"15\": must be even and from 2 to 65536");
  static const double impossible[] = {0, -1, 1e16, NAN, INFINITY};
  for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
    assert_int_equal(plm_shape_for_params(&shape, impossible[i], 16, &err), PLM_E_USAGE);
    assert_non_null(strstr(err.text, "must be from 1 to 1e15 parameters"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shape__counts_are_those_of_the_published_models),
      cmocka_unit_test(test_shape__wrong_texts_are_refused_with_the_reason),
      cmocka_unit_test(test_shape__rule_finds_the_nearest_count),
      cmocka_unit_test(test_shape__rule_follows_the_trend_of_good_models),
      cmocka_unit_test(test_shape__count_without_a_near_shape_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
