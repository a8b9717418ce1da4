/* Numbers as users write them: what is taken, exactly, and what is refused, with which words. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/number.h"

static void test_base_number__real_takes_what_users_write(void **state) {
  (void)state;
  static const struct {
    const char *text;
    double value;
  } cases[] = {
      {"0", 0},          {"0.15", 0.15},      {"1e17", 1e17},        {"1E17", 1e17},      {"8M", 8e6},          {"1.1M", 1.1e6},
      {"1_000_000", 1e6}, {"20k", 2e4},       {"20K", 2e4},          {"2G", 2e9},         {"2B", 2e9},          {"2T", 2e12},
      {"2P", 2e15},      {"2E", 2e18},        {"-1.5", -1.5},        {"+3", 3},           {".5", 0.5},          {"5.", 5},
      {" \t7 \n", 7},    {"1e-300", 1e-300},  {"0.1k", 100},         {"1.7e308", 1.7e308}, {"1e-400", 0},       {"0.3M", 300000},
      {"1.005G", 1.005e9}, {"4.35k", 4350},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    double value = NAN;
    assert_int_equal(plm_number_real(&value, cases[i].text, &err), 0);
    if (value != cases[i].value)
      fail_msg("\"%s\" is %.17g, not %.17g", cases[i].text, value, cases[i].value);
  }
}

static void test_base_number__real_refuses_what_is_none(void **state) {
  (void)state;
  static const char *const cases[] = {
      "",       " ",       "1e400",  "-1e400", "nan",     "NaN",   "inf",   "infinity", "-inf", "0x10", "0x1p3", "1_",   "_1",   "1__0",
      "1_.5",   "1._5",    "1e1_",   "1 2",    "1,5",     "1;",    "k",     "M",        "1e3k", "1kM",  "1m",    "1Q",   "--1",  "+-1",
      "1-2",    "1e",      "e5",     ".",      "+",       "1.2.3", "1e2.5", "one",      "1%",   "\x01", "1\xc2\xa0",  "999999999999999999999E400",
      "11111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    double value = 42;
    if (plm_number_real(&value, cases[i], &err) != PLM_E_USAGE)
      fail_msg("\"%s\" was taken for %.17g", cases[i], value);
    assert_true(value == 42);
    assert_true(strlen(err.text) > 0 && !strchr(err.text, '\n'));
  }
}

static void test_base_number__real_says_why(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  double value;
  plm_number_real(&value, "1e400", &err);
  assert_string_equal(err.text, "\"1e400\" is out of range");
  plm_number_real(&value, "1e3k", &err);
  assert_string_equal(err.text, "\"1e3k\" has both an exponent and a suffix");
  plm_number_real(&value, "0x10", &err);
  assert_string_equal(err.text, "\"0x10\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000)");
}

static void test_base_number__integer_is_exact(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t value;
  } cases[] = {
      {"0", 0},
      {"1.5M", 1500000},
      {"1e3", 1000},
      {"8192.0", 8192},
      {"1_234_567", 1234567},
      {"9007199254740993", 9007199254740993},
      {"9_007_199_254_740_995", 9007199254740995},
      {"9223372036854775807", INT64_MAX},
      {"1E", 1000000000000000000},
      {"9E", 9000000000000000000},
      {"0e99999", 0},
      {"9007199254740.993k", 9007199254740993},
      {"0.000001T", 1000000},
      {"-0", 0},
      {"12345678901234567890e-1", 1234567890123456789},
      {"1000000000000000000000000000000e-20", 10000000000},
      {"4.611686018427387904E", 4611686018427387904},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    int64_t value = -1;
    if (plm_number_integer(&value, cases[i].text, &err) || value != cases[i].value)
      fail_msg("\"%s\" is %lld, not %lld (%s)", cases[i].text, (long long)value, (long long)cases[i].value, err.text);
  }
}

static void test_base_number__integer_refuses_parts_signs_and_huge_ones(void **state) {
  (void)state;
  static const char *const cases[] = {"1.5",  "-1", "-8M", "1.0005k", "9223372036854775808", "1e19", "1e300", "1e400", "nan", "0x20",
                                      "",     "10E", "99999999999999999999", "1e-3", "0.1", "-0.5", "9.3E",
                                      "1e-400", "0.1e-99999999999999999999", "1.0000000000000000000001", "9007199254740993.5"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    int64_t value = 42;
    if (plm_number_integer(&value, cases[i], &err) != PLM_E_USAGE)
      fail_msg("\"%s\" was taken for %lld", cases[i], (long long)value);
    assert_int_equal(value, 42);
  }
}

/* A comma as decimal point in the environment must not change what a study means. */
static void test_base_number__the_locale_does_not_matter(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C.UTF-8"};
  for (size_t i = 0; i < sizeof names / sizeof *names && !setlocale(LC_ALL, names[i]); i++)
    continue;
  double value = 0;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_number_real(&value, "1.5k", &err), 0);
  assert_true(value == 1500);
  assert_int_equal(plm_number_real(&value, "1,5", &err), PLM_E_USAGE);
  setlocale(LC_ALL, "C");
}

static void test_base_number__boolean_takes_eight_words(void **state) {
  (void)state;
  static const char *const yes[] = {"yes", "true", "on", "1", "YES"}, *const no[] = {"no", "false", "off", "0", "Off"},
                    *const wrong[] = {"", "2", "y", "maybe", " yes"};
  struct plm_error err = PLM_ERROR_INIT;
  for (int i = 0; i < 5; i++) {
    int value = -1;
    assert_int_equal(plm_number_boolean(&value, yes[i], &err), 0);
    assert_int_equal(value, 1);
    assert_int_equal(plm_number_boolean(&value, no[i], &err), 0);
    assert_int_equal(value, 0);
    assert_int_equal(plm_number_boolean(&value, wrong[i], &err), PLM_E_USAGE);
    assert_int_equal(value, 0);
  }
}

static void test_base_number__short_forms_have_three_digits(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *text;
  } cases[] = {
      {0, "0"},          {7512353, "7.51M"}, {75123530, "75.1M"}, {751235300, "751M"}, {1e15, "1.00e+15"}, {1e17, "1.00e+17"},
      {0.0012, "0.0012"}, {999.9, "1.00k"},   {999999, "1.00M"},   {1e9, "1.00G"},      {2.5e12, "2.50T"},  {-1500, "-1.50k"},
      {12.3456, "12.3"}, {1e-9, "1.00e-09"}, {9.996e3, "10.0k"},  {99.96e3, "100k"},   {999.4e12, "999T"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[32];
    plm_number_short(text, sizeof text, cases[i].value);
    assert_string_equal(text, cases[i].text);
  }
}

static void test_base_number__bytes_and_durations_are_readable(void **state) {
  (void)state;
  static const struct {
    uint64_t bytes;
    const char *text;
  } sizes[] = {{0, "0 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"}, {1400000000, "1.3 GiB"}, {150u << 20, "150 MiB"}, {UINT64_MAX, "16384 PiB"}};
  static const struct {
    double seconds;
    const char *text;
  } times[] = {{0, "0.0 s"},          {9.94, "9.9 s"},  {41.2, "41 s"}, {119.6, "2 min"}, {3600, "60 min"}, {7500, "2 h 05 min"},
               {86400 * 3, "3.0 days"}, {-1, "?"},        {NAN, "?"},     {INFINITY, "?"}};
  char text[32];
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    plm_number_bytes(text, sizeof text, sizes[i].bytes);
    assert_string_equal(text, sizes[i].text);
  }
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    plm_number_duration(text, sizeof text, times[i].seconds);
    assert_string_equal(text, times[i].text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_base_number__real_takes_what_users_write),
      cmocka_unit_test(test_base_number__real_refuses_what_is_none),
      cmocka_unit_test(test_base_number__real_says_why),
      cmocka_unit_test(test_base_number__integer_is_exact),
      cmocka_unit_test(test_base_number__integer_refuses_parts_signs_and_huge_ones),
      cmocka_unit_test(test_base_number__the_locale_does_not_matter),
      cmocka_unit_test(test_base_number__boolean_takes_eight_words),
      cmocka_unit_test(test_base_number__short_forms_have_three_digits),
      cmocka_unit_test(test_base_number__bytes_and_durations_are_readable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
