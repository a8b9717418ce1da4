/* init and check as functions; tests/cli runs them as a program. */
#include "study_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"

static char verb[] = "plmscale verb";

static void test_init__writes_the_template_and_never_over_a_file(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  char *path = strdup(study_fixture_path("new.ini")), *text = NULL, *expected = plm_study_template();
  char *arguments[] = {verb, path, NULL};
  size_t bytes = 0;
  assert_int_equal(plm_cli_init(2, arguments, &err), 0);
  assert_int_equal(plm_file_read(&text, &bytes, path, 1 << 20, &err), 0);
  assert_string_equal(text, expected);
  free(text);
  assert_int_equal(plm_file_write_atomic(path, "mine", 4, &err), 0);
  assert_int_equal(plm_cli_init(2, arguments, &err), PLM_E_USAGE);
  assert_non_null(strstr(err.text, "new.ini\" exists, it is not overwritten"));
  assert_int_equal(plm_file_read(&text, &bytes, path, 1 << 20, &err), 0);
  assert_string_equal(text, "mine");
  free(text);
  free(expected);
  free(path);
}

static int check(const char *text, struct plm_error *err) {
  char *path = strdup(study_fixture_write(text, strlen(text)));
  char *arguments[] = {verb, path, NULL};
  int code = plm_cli_check(2, arguments, err);
  free(path);
  return code;
}

static void test_check__exit_codes_follow_the_errors(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  plm_log_level_set(0);
  assert_int_equal(check(STUDY_GOOD, &err), 0);
  assert_int_equal(plm_error_exit_code(check(STUDY_GOOD "x = 1\n", &err)), 2);
  assert_non_null(strstr(err.text, "study.ini:6: unknown key \"x\" in [grid]"));
  assert_int_equal(plm_error_exit_code(check(STUDY_GOOD "x = 1\ny = 2\n", &err)), 2);
  assert_non_null(strstr(err.text, "study.ini\": 2 errors"));
  assert_int_equal(plm_error_exit_code(check(STUDY_GOOD "\x01", &err)), 4);
  assert_non_null(strstr(err.text, "study.ini:6: control character 0x01"));
  assert_int_equal(plm_error_exit_code(check(STUDY_GOOD "[study]\nseeds = range(1,501,1)\n", &err)), 2);
  assert_non_null(strstr(err.text, "the grid has 501 cells, more than run_cap = 500"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_init__writes_the_template_and_never_over_a_file),
      cmocka_unit_test(test_check__exit_codes_follow_the_errors),
  };
  return cmocka_run_group_tests(tests, study_fixture_setup, study_fixture_teardown);
}
