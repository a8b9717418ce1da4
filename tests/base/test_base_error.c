/* The error idiom: one clean line, the right exit code, the nearest word. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void test_base_error__set_fills_all_fields_and_returns_the_code(void **state) {
  (void)state;
  struct plm_error err = {.native_code = 7, .op_kind = 9};
  assert_int_equal(plm_error_set(&err, PLM_E_USAGE, "option \"%s\": %d", "lr", 3), PLM_E_USAGE);
  assert_int_equal(err.code, PLM_E_USAGE);
  assert_int_equal(err.struct_size, sizeof err);
  assert_int_equal(err.native_code, 0);
  assert_int_equal(err.op_kind, 0);
  assert_string_equal(err.text, "option \"lr\": 3");
}

static void test_base_error__no_struct_is_fine(void **state) {
  (void)state;
  assert_int_equal(plm_error_set(NULL, PLM_E_DAMAGED, "%s", "x"), PLM_E_DAMAGED);
  assert_int_equal(plm_error_set_system(NULL, ENOENT, "%s", "x"), PLM_E_IO);
  assert_int_equal(plm_error_set_system(NULL, ENOMEM, "%s", "x"), PLM_E_NO_MEMORY);
  assert_int_equal(plm_error_memory(NULL, "x"), PLM_E_NO_MEMORY);
}

static void test_base_error__control_characters_become_question_marks(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  plm_error_set(&err, PLM_E_USAGE, "a\nb\rc\td\033[31me\177f\001g \xc3\xa9");
  assert_string_equal(err.text, "a?b?c?d?[31me?f?g \xc3\xa9");
}

static void test_base_error__long_text_is_cut_and_ends_in_nul(void **state) {
  (void)state;
  char text[3000];
  struct plm_error err;
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = 0;
  memset(&err, 0xff, sizeof err);
  plm_error_set(&err, PLM_E_USAGE, "%s", text);
  assert_int_equal(strlen(err.text), PLM_ERROR_TEXT - 1);
  memset(&err, 0xff, sizeof err);
  plm_error_set_system(&err, ENOENT, "%s", text);
  assert_int_equal(strlen(err.text), PLM_ERROR_TEXT - 1);
}

static void test_base_error__a_text_may_quote_the_struct_it_fills(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  plm_error_set(&err, PLM_E_IO, "inner");
  plm_error_set(&err, PLM_E_DAMAGED, "outer: %s", err.text);
  assert_string_equal(err.text, "outer: inner");
}

static void test_base_error__system_error_names_the_reason(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_error_set_system(&err, ENOENT, "cannot open \"%s\"", "x"), PLM_E_IO);
  assert_string_equal(err.text, "cannot open \"x\": No such file or directory");
  assert_int_equal(err.native_code, ENOENT);
}

static void test_base_error__exit_codes_are_the_documented_ones(void **state) {
  (void)state;
  assert_int_equal(plm_error_exit_code(PLM_OK), 0);
  assert_int_equal(plm_error_exit_code(PLM_E_USAGE), 2);
  assert_int_equal(plm_error_exit_code(PLM_E_CELLS), 3);
  assert_int_equal(plm_error_exit_code(PLM_E_DAMAGED), 4);
  assert_int_equal(plm_error_exit_code(PLM_E_ABI), 4);
  assert_int_equal(plm_error_exit_code(PLM_E_STOPPED), 75);
  static const int others[] = {PLM_E_INVALID,  PLM_E_UNSUPPORTED, PLM_E_NO_MEMORY, PLM_E_BUILD_FAILED, PLM_E_DEVICE_LOST, PLM_E_TIMEOUT,
                               PLM_E_INTERNAL,    PLM_E_IO,        PLM_E_DIVERGED,     PLM_E_BUSY, -1, 4711};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    assert_int_equal(plm_error_exit_code(others[i]), 1);
}

static void test_base_error__collector_keeps_clean_lines_in_order(void **state) {
  (void)state;
  struct plm_errors errors = {0};
  for (int i = 0; i < 100; i++)
    assert_int_equal(plm_errors_add(&errors, "line\t%d", i), PLM_E_USAGE);
  assert_int_equal(errors.count, 100);
  assert_string_equal(errors.lines[0], "line?0");
  assert_string_equal(errors.lines[99], "line?99");
  plm_errors_fini(&errors);
  assert_int_equal(errors.count, 0);
  assert_null(errors.lines);
  plm_errors_fini(&errors);
}

static void test_base_error__nearest_word_is_found_and_far_ones_are_not(void **state) {
  (void)state;
  static const char *const words[] = {"batch_tokens", "lr", "schedule", "warmup", "beta1", "beta2"};
  const size_t count = sizeof words / sizeof *words;
  assert_string_equal(plm_error_nearest("batch_token", words, count), "batch_tokens");
  assert_string_equal(plm_error_nearest("Shedule", words, count), "schedule");
  assert_string_equal(plm_error_nearest("WARMUP", words, count), "warmup");
  assert_string_equal(plm_error_nearest("beta", words, count), "beta1"); /* the first of equals */
  assert_string_equal(plm_error_nearest("l", words, count), "lr");
  assert_null(plm_error_nearest("xy", words, count)); /* both letters changed is no likeness */
  assert_null(plm_error_nearest("gradient_clip", words, count));
  assert_null(plm_error_nearest("", words, count));
  assert_null(plm_error_nearest("lr", words, 0));
  char huge[5000];
  memset(huge, 'b', sizeof huge - 1);
  huge[sizeof huge - 1] = 0;
  assert_null(plm_error_nearest(huge, words, count));
}

static void test_base_error__every_code_has_its_name(void **state) {
  (void)state;
  assert_string_equal(plm_error_name(PLM_OK), "OK");
  assert_string_equal(plm_error_name(PLM_E_INVALID), "INVALID");
  assert_string_equal(plm_error_name(PLM_E_DEVICE_LOST), "DEVICE_LOST");
  assert_string_equal(plm_error_name(PLM_E_INTERNAL), "INTERNAL");
  assert_string_equal(plm_error_name(PLM_E_USAGE), "USAGE");
  assert_string_equal(plm_error_name(PLM_E_WRONG), "WRONG");
  assert_string_equal(plm_error_name(PLM_E_INTERNAL + 1), "?");
  assert_string_equal(plm_error_name(PLM_E_WRONG + 1), "?");
  assert_string_equal(plm_error_name(-1), "?");
  assert_int_equal(plm_error_exit_code(PLM_E_WRONG), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_base_error__set_fills_all_fields_and_returns_the_code),
      cmocka_unit_test(test_base_error__no_struct_is_fine),
      cmocka_unit_test(test_base_error__control_characters_become_question_marks),
      cmocka_unit_test(test_base_error__long_text_is_cut_and_ends_in_nul),
      cmocka_unit_test(test_base_error__a_text_may_quote_the_struct_it_fills),
      cmocka_unit_test(test_base_error__system_error_names_the_reason),
      cmocka_unit_test(test_base_error__exit_codes_are_the_documented_ones),
      cmocka_unit_test(test_base_error__collector_keeps_clean_lines_in_order),
      cmocka_unit_test(test_base_error__nearest_word_is_found_and_far_ones_are_not),
      cmocka_unit_test(test_base_error__every_code_has_its_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
