/* The verb `backends`, run as users run it: what is contained in the child, and what is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"

#define PLUGIN(name) PLM_TEST_PLUGINS "/" name ".so"

/* Runs plmscale with arguments (as a shell reads them); its stdout, owned by the caller, and its exit code. */
static char *run(int *exit_code, const char *arguments) {
  char command[16384], *text = malloc(1 << 20);
  size_t used = 0, got;
  FILE *stream;
  int status;
  assert_non_null(text);
  snprintf(command, sizeof command, "%s %s 2>%s/stderr", PLM_TEST_PROGRAM, arguments, PLM_TEST_SCRATCH);
  stream = popen(command, "r");
  assert_non_null(stream);
  while ((got = fread(text + used, 1, (1 << 20) - 1 - used, stream)) > 0)
    used += got;
  text[used] = '\0';
  status = pclose(stream);
  assert_true(WIFEXITED(status));
  *exit_code = WEXITSTATUS(status);
  return text;
}

static json_t *listing(int *exit_code, const char *arguments) {
  json_error_t error;
  char *text = run(exit_code, arguments);
  json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (!json)
    fail_msg("%s: not JSON (%s): %s", arguments, error.text, text);
  assert_string_equal(json_string_value(json_object_get(json, "schema")), "plmscale.backends/1");
  assert_true(json_is_array(json_object_get(json, "candidates")));
  free(text);
  return json;
}

static const char *value(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  if (!text)
    fail_msg("key \"%s\" is not there, or is not text", key);
  return text;
}

struct expectation {
  const char *name, *outcome, *reason;
};

static const struct expectation expectations[] = {
    {"abort_load", "crashed", "SIGABRT"},
    {"bad_magic", "refused", "magic is"},
    {"bad_name", "refused", "name \"Bad Name\""},
    {"borrower", "refused", "is not its own"},
    {"card_short", "refused", "struct_size of the card"},
    {"crash_start", "crashed", "SIGSEGV"},
    {"endian_swapped", "refused", "endian_probe"},
    {"events_half", "refused", "event_wait"},
    {"exit_start", "failed", "without an answer"},
    {"fast_math_card", "refused", "-ffast-math"},
    {"flush_load", "refused", "floating-point state"},
    {"hang_start", "timeout", "no answer within 1.5 s"},
    {"info_fails", "refused", "fell off the bus"},
    {"locale_load", "refused", "locale"},
    {"locale_start", "refused", "locale"},
    {"locale_thread", "refused", "locale"},
    {"major_two", "refused", "abi_major is 2"},
    {"newer_minor", "accepted", ""},
    {"no_card", "refused", "no card"},
    {"no_entry", "refused", "does not export"},
    {"no_start", "refused", "start is NULL"},
    {"no_version", "refused", "version is NULL"},
    {"null", "accepted", ""},
    {"option_default", "refused", "not an integer"},
    {"option_help", "refused", "help is NULL"},
    {"option_name", "refused", "Depth!"},
    {"option_range", "refused", "outside 1 to 8"},
    {"option_size", "refused", "struct_size 8"},
    {"option_stride", "refused", "option_stride"},
    {"option_twice", "refused", "twice"},
    {"option_type", "refused", "type 99"},
    {"patched", "accepted", ""},
    {"pointer_four", "refused", "pointer_size is 4"},
    {"rounding_load", "refused", "rounding mode"},
    {"scribble_start", "failed", "wrote into the answer"},
    {"signal_start", "refused", "SIGTERM"},
    {"slot_missing", "refused", "op_run"},
    {"start_fails", "refused", "no device?answers"},
    {"start_mute", "refused", "code 4242"},
    {"table_overrun", "refused", "wrote past"},
    {"table_short", "refused", "struct_size of its table"},
    {"talker", "accepted", ""},
    {"undefined_symbol", "refused", "undefined symbol"},
};
#define EXPECTATIONS (sizeof expectations / sizeof *expectations)

static void test_backends__every_candidate_has_its_outcome_and_reason(void **state) {
  int code;
  json_t *json = listing(&code, "backends --json --timeout 1.5 " PLM_TEST_PLUGINS);
  const json_t *candidates = json_object_get(json, "candidates");
  (void)state;
  assert_int_equal(code, 4);
  assert_int_equal(json_array_size(candidates), EXPECTATIONS);
  for (size_t i = 0; i < EXPECTATIONS; i++) {
    const json_t *item = json_array_get(candidates, i);
    const struct expectation *expected = &expectations[i];
    assert_string_equal(value(item, "name"), expected->name);
    if (strcmp(value(item, "outcome"), expected->outcome) || !strstr(value(item, "reason"), expected->reason))
      fail_msg("%s: %s, \"%s\" (expected %s, \"%s\")", expected->name, value(item, "outcome"), value(item, "reason"),
               expected->outcome, expected->reason);
    if (strcmp(expected->outcome, "accepted"))
      assert_int_equal(json_array_size(json_object_get(item, "devices")), 0);
    else
      assert_string_equal(value(item, "reason"), "");
  }
  json_decref(json);
}

static void test_backends__an_accepted_one_shows_its_devices_and_options(void **state) {
  int code;
  json_t *json = listing(&code, "backends --json " PLUGIN("null"));
  const json_t *item = json_array_get(json_object_get(json, "candidates"), 0);
  const json_t *device = json_array_get(json_object_get(item, "devices"), 0);
  const json_t *option = json_array_get(json_object_get(item, "options"), 2);
  (void)state;
  assert_int_equal(code, 0);
  assert_int_equal(json_array_size(json_object_get(json, "candidates")), 1);
  assert_string_equal(value(item, "abi"), "1.0");
  assert_string_equal(value(item, "license"), "MIT");
  assert_true(json_is_null(json_object_get(item, "url")));
  assert_string_equal(value(device, "id"), "null-0 0000:00:00.0");
  assert_string_equal(value(device, "name"), "Null device number 0");
  assert_string_equal(value(device, "driver"), "null");
  assert_int_equal(json_integer_value(json_object_get(device, "memory_bytes")), 1 << 20);
  assert_string_equal(value(option, "name"), "share");
  assert_string_equal(value(option, "default"), "0.5");
  assert_string_equal(value(option, "type"), "real");
  json_decref(json);
}

static void test_backends__a_hang_costs_its_time_limit_and_no_more(void **state) {
  int code;
  time_t start = time(NULL);
  json_t *json = listing(&code, "backends --json --timeout 0.5 " PLUGIN("hang_start"));
  (void)state;
  assert_string_equal(value(json_array_get(json_object_get(json, "candidates"), 0), "outcome"), "timeout");
  /* The limit is half a second; the margin is for a machine under load, far from the default of 20. */
  assert_in_range(time(NULL) - start, 0, 15);
  json_decref(json);
}

static void test_backends__what_is_missing_or_cut_is_said(void **state) {
  int code;
  char *data;
  size_t bytes;
  json_t *json;
  (void)state;
  assert_int_equal(plm_file_read(&data, &bytes, PLUGIN("null"), 1 << 26, NULL), 0);
  assert_int_equal(plm_file_write_atomic(PLM_TEST_SCRATCH "/cut.so", data, bytes / 2, NULL), 0);
  free(data);
  json = listing(&code, "backends --json " PLM_TEST_SCRATCH "/cut.so " PLM_TEST_SCRATCH "/gone.so");
  assert_int_equal(code, 4);
  assert_string_equal(value(json_array_get(json_object_get(json, "candidates"), 0), "outcome"), "refused");
  assert_non_null(strstr(value(json_array_get(json_object_get(json, "candidates"), 0), "reason"), "cut short"));
  assert_string_equal(value(json_array_get(json_object_get(json, "candidates"), 1), "outcome"), "skipped");
  assert_string_equal(value(json_array_get(json_object_get(json, "candidates"), 1), "reason"),
                      "No such file or directory");
  json_decref(json);
}

/* The environment's folders hold broken plugins, but the user named none: the listing worked. */
static void test_backends__a_broken_one_that_merely_lies_there_is_no_failure(void **state) {
  int code;
  json_t *json;
  (void)state;
  setenv("PLMSCALE_PLUGIN_PATH", PLM_TEST_PLUGINS, 1);
  json = listing(&code, "backends --json --timeout 0.5");
  unsetenv("PLMSCALE_PLUGIN_PATH");
  assert_int_equal(code, 0);
  assert_true(json_array_size(json_object_get(json, "candidates")) >= EXPECTATIONS);
  assert_string_equal(json_string_value(json_array_get(json_object_get(json, "folders"), 0)), PLM_TEST_PLUGINS);
  json_decref(json);
}

static void test_backends__the_table_says_the_same(void **state) {
  int code;
  char *text = run(&code, "backends " PLUGIN("null") " " PLUGIN("crash_start"));
  (void)state;
  assert_int_equal(code, 4);
  assert_non_null(strstr(text, "null         accepted  1.0\n"));
  assert_non_null(strstr(text, "  null:0  Null device number 0, other, "));
  assert_non_null(strstr(text, "crash_start  crashed   killed by SIGSEGV"));
  assert_null(strstr(text, "option share"));
  free(text);
  text = run(&code, "backends -v " PLUGIN("null"));
  assert_int_equal(code, 0);
  assert_non_null(strstr(text, "option devices = 1  (integer, 0 to 4) how many devices there are"));
  assert_non_null(strstr(text, "searched "));
  free(text);
}

static void test_backends__wrong_arguments_are_usage_errors(void **state) {
  static const char *const wrong[] = {"backends --timeout 0", "backends --timeout soon", "backends --jsn", "probe",
                                      "probe a b"};
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    int code;
    char *text = run(&code, wrong[i]);
    assert_int_equal(code, 2);
    assert_string_equal(text, "");
    free(text);
  }
}

static void test_backends__a_talking_plugin_does_not_disturb_the_answer(void **state) {
  int code;
  char *text = run(&code, "probe " PLUGIN("talker"));
  json_t *json = json_loads(text, 0, NULL);
  (void)state;
  assert_int_equal(code, 0);
  assert_string_equal(value(json, "outcome"), "accepted");
  json_decref(json);
  free(text);
}

static int scratch_make(void **state) {
  (void)state;
  unsetenv("PLMSCALE_PLUGIN_PATH");
  return plm_file_make_folders(PLM_TEST_SCRATCH, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_backends__every_candidate_has_its_outcome_and_reason),
      cmocka_unit_test(test_backends__an_accepted_one_shows_its_devices_and_options),
      cmocka_unit_test(test_backends__a_hang_costs_its_time_limit_and_no_more),
      cmocka_unit_test(test_backends__what_is_missing_or_cut_is_said),
      cmocka_unit_test(test_backends__a_broken_one_that_merely_lies_there_is_no_failure),
      cmocka_unit_test(test_backends__the_table_says_the_same),
      cmocka_unit_test(test_backends__wrong_arguments_are_usage_errors),
      cmocka_unit_test(test_backends__a_talking_plugin_does_not_disturb_the_answer),
  };
  return cmocka_run_group_tests(tests, scratch_make, NULL);
}
