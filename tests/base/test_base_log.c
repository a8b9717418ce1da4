/* The log on stderr: one line an entry, and a bar that entries do not tear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "plmscale/backend.h"

static int saved = -1;
static FILE *captured;

static int capture(void **state) {
  (void)state;
  fflush(stderr);
  captured = tmpfile();
  saved = dup(STDERR_FILENO);
  return captured && saved >= 0 && dup2(fileno(captured), STDERR_FILENO) >= 0 ? 0 : -1;
}

static int release(void **state) {
  (void)state;
  fflush(stderr);
  dup2(saved, STDERR_FILENO);
  close(saved);
  fclose(captured);
  plm_log_progress_mode(PLM_PROGRESS_NONE);
  plm_log_level_set(PLM_LOG_INFO);
  return 0;
}

/* All that was written to stderr so far. */
static const char *said(void) {
  static char text[8192];
  fflush(stderr);
  rewind(captured);
  text[fread(text, 1, sizeof text - 1, captured)] = 0;
  return text;
}

static void test_base_log__a_line_has_its_level_in_front(void **state) {
  (void)state;
  plm_log(PLM_LOG_ERROR, "cell \"%s\"", "a");
  plm_log(PLM_LOG_WARN, "b");
  plm_log(PLM_LOG_INFO, "c");
  plm_log(PLM_LOG_DEBUG, "not shown");
  assert_string_equal(said(), "plmscale: error: cell \"a\"\nplmscale: warning: b\nplmscale: c\n");
}

static void test_base_log__the_level_decides_what_is_shown(void **state) {
  (void)state;
  plm_log_level_set(PLM_LOG_ERROR);
  plm_log(PLM_LOG_WARN, "hidden");
  plm_log_level_set(PLM_LOG_DEBUG);
  plm_log(PLM_LOG_DEBUG, "shown");
  assert_string_equal(said(), "plmscale: debug: shown\n");
}

static void test_base_log__an_entry_clears_the_bar_first(void **state) {
  (void)state;
  plm_log_progress_mode(PLM_PROGRESS_BAR);
  plm_log_progress("half", 1);
  plm_log(PLM_LOG_INFO, "entry");
  plm_log(PLM_LOG_INFO, "next");
  assert_string_equal(said(), "\r\033[Khalf\r\033[Kplmscale: entry\nplmscale: next\n");
}

static void test_base_log__removing_the_bar_clears_it_once(void **state) {
  (void)state;
  plm_log_progress_mode(PLM_PROGRESS_BAR);
  plm_log_progress("x", 1);
  plm_log_progress(NULL, 1);
  plm_log_progress(NULL, 1);
  assert_string_equal(said(), "\r\033[Kx\r\033[K");
}

static void test_base_log__plain_progress_is_rare_unless_forced(void **state) {
  (void)state;
  plm_log_progress_mode(PLM_PROGRESS_PLAIN);
  for (int i = 0; i < 100; i++)
    plm_log_progress("one", 0);
  plm_log_progress("two", 1);
  assert_string_equal(said(), "plmscale: one\nplmscale: two\n");
}

static void test_base_log__automatic_progress_into_a_file_is_plain(void **state) {
  (void)state;
  plm_log_progress_mode(PLM_PROGRESS_AUTO);
  plm_log_progress("line", 1);
  assert_string_equal(said(), "plmscale: line\n");
}

static void test_base_log__no_progress_is_none(void **state) {
  (void)state;
  plm_log_progress_mode(PLM_PROGRESS_NONE);
  plm_log_progress("x", 1);
  plm_log_progress(NULL, 1);
  assert_string_equal(said(), "");
}

static void test_base_log__the_bar_fills_from_none_to_all(void **state) {
  (void)state;
  static const struct {
    double fraction;
    const char *text;
  } cases[] = {{0, "[----------]"},   {0.5, "[#####-----]"}, {1, "[##########]"}, {-3, "[----------]"},
               {7, "[##########]"},   {0.04, "[----------]"}, {0.06, "[#---------]"}, {0.0 / 0.0, "[----------]"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char bar[13];
    memset(bar, 'x', sizeof bar);
    plm_log_bar(bar, 10, cases[i].fraction);
    assert_string_equal(bar, cases[i].text);
  }
  char none[3];
  plm_log_bar(none, 0, 0.7);
  assert_string_equal(none, "[]");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_base_log__##name, capture, release)
int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_line_has_its_level_in_front),
      TEST(the_level_decides_what_is_shown),
      TEST(an_entry_clears_the_bar_first),
      TEST(removing_the_bar_clears_it_once),
      TEST(plain_progress_is_rare_unless_forced),
      TEST(automatic_progress_into_a_file_is_plain),
      TEST(no_progress_is_none),
      TEST(the_bar_fills_from_none_to_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
