/* The runner: what becomes of crashes, hangs and exits, what counts as passed, and what its output holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "check/check.h"
#include "check/check_plan.h"

static char broken_path[512];

/* The plugin of tests/check/broken by name. */
static const char *broken(const char *name) {
  snprintf(broken_path, sizeof broken_path, "%s/%s.so", PLM_BROKEN_PLUGINS, name);
  return broken_path;
}

static struct plm_check_options options_for(const char *path) {
  return (struct plm_check_options){.path = path,
                                    .reference = REFERENCE_PATH,
                                    .level_last = PLM_CHECK_LEVELS - 1,
                                    .seed = 1,
                                    .timeout = 60,
                                    .soak = 0.2,
                                    .subject = "it"};
}

static struct plm_check_report run(const struct plm_check_options *options) {
  struct plm_check_report report = {0};
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_check_run(&report, options, &err))
    fail_msg("%s", err.text);
  return report;
}

static const struct plm_check_entry *entry_of(const struct plm_check_report *report, const char *name, uint32_t variant) {
  for (uint32_t i = 0; i < report->count; i++)
    if (!strcmp(report->entries[i].name, name) && report->entries[i].variant == variant)
      return &report->entries[i];
  fail_msg("no case %s:%u", name, variant);
  return NULL;
}

static int refused(const struct plm_check_options *options, const char *text) {
  struct plm_check_report report = {0};
  struct plm_error err = PLM_ERROR_INIT;
  const int code = plm_check_run(&report, options, &err);
  if (code && !strstr(err.text, text))
    fail_msg("\"%s\" does not say \"%s\"", err.text, text);
  plm_check_report_fini(&report);
  return code;
}

/* ------------------------------------------------------------ children */

static void test_check_run__a_crash_is_one_failed_case_each(void **state) {
  (void)state;
  struct plm_check_options options = options_for(broken("crashes"));
  options.level_first = options.level_last = 2;
  options.op = "rotary";
  struct plm_check_report report = run(&options);
  for (uint32_t i = 0; i < 20; i++) {
    assert_int_equal(report.entries[i].state, PLM_CHECK_RAN);
    if (report.entries[i].outcome.status != PLM_CHECK_FAILED)
      fail_msg("rotary:%u did not fail", report.entries[i].variant);
    assert_non_null(strstr(report.entries[i].outcome.text, "SIGSEGV"));
  }
  /* After many crashes the rest is left, and does not count as passed. */
  const struct plm_check_tally tally = plm_check_count(&report, PLM_CHECK_LEVELS);
  assert_int_equal(tally.failed + tally.not_run, report.count);
  assert_true(tally.not_run > 0);
  assert_false(tally.good);
  plm_check_report_fini(&report);
}

static void test_check_run__a_hang_ends_at_the_timeout_and_the_rest_runs(void **state) {
  (void)state;
  struct plm_check_options options = options_for(broken("hangs"));
  options.level_first = options.level_last = 2;
  options.op = "gather_rows";
  options.timeout = 8;
  struct plm_check_report report = run(&options);
  assert_int_equal(entry_of(&report, "gather_rows", 3)->outcome.status, PLM_CHECK_PASSED);
  assert_int_equal(entry_of(&report, "gather_rows", 4)->outcome.status, PLM_CHECK_FAILED);
  assert_non_null(strstr(entry_of(&report, "gather_rows", 4)->outcome.text, "hang"));
  assert_int_equal(entry_of(&report, "gather_rows", 5)->state, PLM_CHECK_RAN);
  assert_int_equal(entry_of(&report, "gather_rows", 5)->outcome.status, PLM_CHECK_PASSED);
  plm_check_report_fini(&report);
}

static void test_check_run__what_cannot_be_opened_is_not_run_and_not_good(void **state) {
  (void)state;
  struct plm_check_options options = options_for(broken("open_exits"));
  options.level_first = options.level_last = 1;
  struct plm_check_report report = run(&options);
  const struct plm_check_tally tally = plm_check_count(&report, 1);
  assert_int_equal(report.entries[0].outcome.status, PLM_CHECK_FAILED);
  assert_non_null(strstr(report.entries[0].outcome.text, "exit code 3"));
  assert_true(tally.not_run > 0);
  assert_false(tally.good);
  plm_check_report_fini(&report);
}

static void test_check_run__what_is_not_broken_passes(void **state) {
  (void)state;
  struct plm_check_options options = options_for(broken("unbroken_late"));
  options.level_last = 1;
  struct plm_check_report report = run(&options);
  for (uint32_t i = 0; i < report.count; i++)
    if (report.entries[i].outcome.status == PLM_CHECK_FAILED)
      fail_msg("%s: %s", report.entries[i].name, report.entries[i].outcome.text);
  assert_true(plm_check_count(&report, PLM_CHECK_LEVELS).good);
  assert_string_equal(report.subject.name, "unbroken_late");
  plm_check_report_fini(&report);
}

/* ------------------------------------------------------------- counting */

static struct plm_check_entry an_entry(uint32_t level, enum plm_check_state state, enum plm_check_status status) {
  return (struct plm_check_entry){.level = level, .name = "x", .state = state, .outcome = {.status = status}};
}

static int good(const struct plm_check_entry *entries, uint32_t count, uint32_t levels) {
  struct plm_check_report report = {.entries = (struct plm_check_entry *)(uintptr_t)entries, .count = count};
  for (uint32_t i = 0; i < levels; i++)
    report.levels[i] = 1;
  return plm_check_count(&report, PLM_CHECK_LEVELS).good;
}

static void test_check_run__zero_of_zero_is_no_pass(void **state) {
  (void)state;
  const struct plm_check_entry passed = an_entry(0, PLM_CHECK_RAN, PLM_CHECK_PASSED);
  const struct plm_check_entry declined = an_entry(0, PLM_CHECK_RAN, PLM_CHECK_DECLINED);
  const struct plm_check_entry both[] = {passed, declined};
  const struct plm_check_entry halves[] = {passed, an_entry(1, PLM_CHECK_RAN, PLM_CHECK_DECLINED)};
  const struct plm_check_entry left[] = {passed, an_entry(0, PLM_CHECK_NOT_RUN, PLM_CHECK_PASSED)};
  const struct plm_check_entry wrong[] = {passed, an_entry(0, PLM_CHECK_RAN, PLM_CHECK_FAILED)};
  assert_true(good(&passed, 1, 1));
  assert_true(good(both, 2, 1));
  assert_false(good(NULL, 0, 1));
  assert_false(good(&passed, 1, 2));   /* a level that was asked for and has no case */
  assert_false(good(&declined, 1, 1)); /* everything declined */
  assert_false(good(halves, 2, 2));    /* a level with nothing but declines */
  assert_false(good(left, 2, 1));      /* a case that was not run */
  assert_false(good(wrong, 2, 1));
}

/* ------------------------------------------------------------- choosing */

static uint32_t planned(struct plm_check_options options, uint32_t level) {
  struct plm_check_plan plan;
  struct plm_error err = PLM_ERROR_INIT;
  uint32_t count = 0;
  if (plm_check_plan_make(&plan, &options, &err))
    fail_msg("%s", err.text);
  for (uint32_t i = 0; i < plan.count; i++) {
    count += plan.entries[i].level == level;
    assert_true(plan.entries[i].label[0]);
  }
  plm_check_plan_fini(&plan);
  return count;
}

static void test_check_run__every_level_has_cases(void **state) {
  (void)state;
  for (uint32_t level = 0; level < PLM_CHECK_LEVELS; level++)
    assert_true(planned(options_for("-"), level) >= 5);
}

static void test_check_run__a_replay_line_is_one_case(void **state) {
  (void)state;
  struct plm_check_options options = options_for(REFERENCE_PATH);
  options.replay = "3/linear_grad_weight:7@12345";
  struct plm_check_report report = run(&options);
  assert_int_equal(report.count, 1);
  assert_int_equal(report.entries[0].variant, 7);
  assert_int_equal(report.entries[0].seed, 12345);
  assert_int_equal(report.entries[0].outcome.status, PLM_CHECK_PASSED);
  plm_check_report_fini(&report);
}

static void test_check_run__bad_choices_are_refused(void **state) {
  (void)state;
  static const char *const replays[] = {"",          "2",           "2/linear",     "2/linear:1",   "2/linear:1@",
                                        "/linear:1@1", "2/linear:@1", "2/linear:x@1", "2/linear:1@x", "2/linear:1@1 "};
  struct plm_check_options options = options_for(REFERENCE_PATH);
  for (size_t i = 0; i < sizeof replays / sizeof *replays; i++) {
    options.replay = replays[i];
    if (refused(&options, "--replay") != PLM_E_USAGE)
      fail_msg("--replay \"%s\" is accepted", replays[i]);
  }
  options.replay = "2/linear:100000@1";
  assert_int_equal(refused(&options, "there is no such case"), PLM_E_USAGE);
  options.replay = "3/linear:1@1"; /* of another level */
  assert_int_equal(refused(&options, "there is no such case"), PLM_E_USAGE);
  options.replay = NULL;
  options.op = "linaer";
  assert_int_equal(refused(&options, "did you mean \"linear\""), PLM_E_USAGE);
}

static void test_check_run__what_is_no_plugin_is_told(void **state) {
  (void)state;
  char path[] = "/tmp/plm_check_XXXXXX";
  struct plm_check_options options = options_for(path);
  const int fd = mkstemp(path);
  assert_true(fd >= 0 && write(fd, "\177ELF", 4) == 4);
  close(fd);
  assert_int_equal(refused(&options, "shared library"), PLM_E_DAMAGED);
  unlink(path);
  options.path = CMOCKA_PATH;
  assert_int_equal(refused(&options, PLM_PLUGIN_ENTRY_NAME), PLM_E_DAMAGED);
}

/* --------------------------------------------------------------- saved cases */

static void test_check_run__a_saved_case_is_replayed(void **state) {
  (void)state;
  char path[] = "/tmp/plm_check_XXXXXX.h5";
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_case *c = NULL;
  const int fd = mkstemps(path, 3);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(plm_case_make(&c, PLM_OP_GELU, 4, 9, &err), 0);
  assert_int_equal(plm_case_save(c, path, "test", &err), 0);
  plm_case_destroy(c);
  struct plm_check_options options = options_for(REFERENCE_PATH);
  options.replay = path;
  struct plm_check_report report = run(&options);
  assert_int_equal(report.count, 1);
  assert_string_equal(report.entries[0].name, "gelu");
  assert_int_equal(report.entries[0].outcome.status, PLM_CHECK_PASSED);
  plm_check_report_fini(&report);
  options.path = broken("gelu_tail");
  report = run(&options);
  assert_int_equal(report.entries[0].outcome.status, PLM_CHECK_FAILED);
  plm_check_report_fini(&report);
  unlink(path);
}

/* ------------------------------------------------------------------ output */

static void write_report(const char *path, const struct plm_check_report *report, const struct plm_check_options *options) {
  json_t *json = plm_check_json(report, options);
  assert_non_null(json);
  assert_int_equal(json_dump_file(json, path, 0), 0);
  json_decref(json);
}

static void test_check_run__the_matrix_is_made_of_reports(void **state) {
  (void)state;
  char first[] = "/tmp/plm_check_XXXXXX", second[] = "/tmp/plm_check_XXXXXX";
  const char *paths[] = {first, second};
  struct plm_error err = PLM_ERROR_INIT;
  char *text = NULL;
  close(mkstemp(first));
  close(mkstemp(second));
  struct plm_check_options options = options_for(REFERENCE_PATH);
  options.op = "gelu";
  struct plm_check_report report = run(&options);
  write_report(first, &report, &options);
  plm_check_report_fini(&report);
  options.path = broken("gelu_tail");
  report = run(&options);
  write_report(second, &report, &options);
  plm_check_report_fini(&report);
  if (plm_check_matrix(&text, paths, 2, &err))
    fail_msg("%s", err.text);
  assert_non_null(strstr(text, "| level | op or test | reference | gelu_tail |"));
  assert_non_null(strstr(text, "| 2 | gelu |"));
  assert_non_null(strstr(text, "failed**"));
  free(text);
  paths[1] = REFERENCE_PATH;
  text = NULL;
  assert_int_equal(plm_check_matrix(&text, paths, 2, &err), PLM_E_DAMAGED);
  assert_null(text);
  unlink(first);
  unlink(second);
}

static void test_check_run__a_failure_prints_its_replay_line(void **state) {
  (void)state;
  char *text = NULL;
  size_t size = 0;
  struct plm_check_options options = options_for(broken("gelu_tail"));
  options.op = "gelu";
  options.seed = 77;
  struct plm_check_report report = run(&options);
  FILE *stream = open_memstream(&text, &size);
  assert_non_null(stream);
  plm_check_print(stream, &report, &options);
  fclose(stream);
  assert_non_null(strstr(text, "plmscale check it --replay 2/gelu:0@77\n"));
  free(text);
  plm_check_report_fini(&report);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_check_run__a_crash_is_one_failed_case_each),
      cmocka_unit_test(test_check_run__a_hang_ends_at_the_timeout_and_the_rest_runs),
      cmocka_unit_test(test_check_run__what_cannot_be_opened_is_not_run_and_not_good),
      cmocka_unit_test(test_check_run__what_is_not_broken_passes),
      cmocka_unit_test(test_check_run__zero_of_zero_is_no_pass),
      cmocka_unit_test(test_check_run__every_level_has_cases),
      cmocka_unit_test(test_check_run__a_replay_line_is_one_case),
      cmocka_unit_test(test_check_run__bad_choices_are_refused),
      cmocka_unit_test(test_check_run__what_is_no_plugin_is_told),
      cmocka_unit_test(test_check_run__a_saved_case_is_replayed),
      cmocka_unit_test(test_check_run__the_matrix_is_made_of_reports),
      cmocka_unit_test(test_check_run__a_failure_prints_its_replay_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
