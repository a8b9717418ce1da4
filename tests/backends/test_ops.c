/*
 * test_ops BACKEND.so [--set NAME=VALUE]... [--device N] [--seed N] [--elements-max N] [OP[:CASE]]...: the conformance
 * cases on one backend against the reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "check/check_case.h"
#include "runtime/plugin.h"

/* From the command line. */
static const char *tested_path;
static struct plm_check_all arguments[PLM_OP_COUNT] = {{.variant = -1}}; /* none named: all ops */
static uint32_t argument_count;
static struct plm_setting settings[8];
static uint32_t setting_count, device_index;
static uint64_t seed = 1, elements_max;

static struct plm_plugin *tested, *reference;

static struct plm_plugin *load(const char *path, uint32_t count) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_plugin *plugin = NULL;
  if (plm_plugin_load(&plugin, path, settings, count, 2, &err))
    fail_msg("%s", err.text);
  return plugin;
}

static int setup(void **state) {
  (void)state;
  tested = load(tested_path, setting_count);
  reference = load(REFERENCE_PATH, 0);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  plm_plugin_destroy(reference);
  plm_plugin_destroy(tested);
  return 0;
}

static void test_ops__every_case_matches_the_reference(void **state) {
  (void)state;
  uint32_t passed = 0, failed = 0, declined = 0;
  for (uint32_t i = 0; i < argument_count || i == 0; i++) {
    struct plm_check_all check = arguments[i];
    struct plm_check_counts counts = {0};
    struct plm_error err = PLM_ERROR_INIT;
    check.tested = &tested->backend;
    check.reference = &reference->backend;
    check.device = device_index;
    check.seed = seed;
    check.elements_max = elements_max;
    check.stream = stdout;
    if (plm_check_all_cases(&counts, &check, &err))
      fail_msg("%s", err.text);
    passed += counts.passed;
    failed += counts.failed;
    declined += counts.declined;
  }
  printf("%u passed, %u failed, %u declined\n", passed, failed, declined);
  assert_int_equal(failed, 0);
  assert_true(passed > 0);
}

static uint32_t verdict_on(struct plm_device *device, const struct plm_op *op) {
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  struct plm_error err = PLM_ERROR_INIT;
  if (tested->backend.op_query(device, op, &verdict, &err))
    fail_msg("op_query: %s", err.text);
  if (verdict.status == PLM_VERDICT_UNSUPPORTED)
    assert_string_not_equal(verdict.text, "");
  return verdict.reason;
}

static void test_ops__unknown_ids_flags_and_types_are_declined(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_device *device = NULL;
  if (tested->backend.device_open(device_index, &device, &err))
    fail_msg("%s", err.text);
  struct plm_op op = {.struct_size = sizeof op, .kind = PLM_OP_ADD, .type = PLM_TYPE_F32};
  op.u.add.rows.count = 4;
  op.u.add.width = 4;
  assert_int_equal(verdict_on(device, &op), PLM_REASON_NONE);
  op.flags = 1u << 31;
  assert_int_equal(verdict_on(device, &op), PLM_REASON_FLAG);
  op.flags = PLM_FLAG_BIAS; /* a flag of another op */
  assert_int_equal(verdict_on(device, &op), PLM_REASON_FLAG);
  op.flags = 0;
  op.type = PLM_TYPE_I32;
  assert_int_equal(verdict_on(device, &op), PLM_REASON_TYPE);
  op.type = PLM_TYPE_F32;
  op.kind = 60000;
  assert_int_equal(verdict_on(device, &op), PLM_REASON_UNKNOWN_OP);
  op.kind = 0;
  assert_int_equal(verdict_on(device, &op), PLM_REASON_UNKNOWN_OP);
  tested->backend.device_close(device);
}

/* OP or OP:CASE; 0 when OP is not a name. */
static int parse_case(const char *text) {
  const char *colon = strchr(text, ':');
  const size_t length = colon ? (size_t)(colon - text) : strlen(text);
  struct plm_check_all *check = &arguments[argument_count];
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++)
    if (strlen(plm_op_name(kind)) == length && strncmp(plm_op_name(kind), text, length) == 0)
      check->op = kind;
  check->variant = colon ? (int32_t)strtol(colon + 1, NULL, 10) : -1;
  if (!check->op || argument_count + 1 == PLM_OP_COUNT)
    return 0;
  argument_count++;
  return 1;
}

/* An option and its value; 0 when it is none. */
static int parse_option(const char *name, char *value) {
  char *equals = strchr(value, '=');
  if (!strcmp(name, "--seed")) {
    seed = strtoull(value, NULL, 10);
  } else if (!strcmp(name, "--device")) {
    device_index = (uint32_t)strtoul(value, NULL, 10);
  } else if (!strcmp(name, "--elements-max")) {
    elements_max = strtoull(value, NULL, 10);
  } else if (!strcmp(name, "--set") && equals && setting_count < sizeof settings / sizeof *settings) {
    *equals = '\0';
    settings[setting_count++] = (struct plm_setting){value, equals + 1};
  } else {
    return 0;
  }
  return 1;
}

static int parse(int argc, char **argv) {
  if (argc < 2)
    return 0;
  tested_path = argv[1];
  for (int i = 2; i < argc; i++)
    if (argv[i][0] != '-') {
      if (!parse_case(argv[i]))
        return 0;
    } else if (i + 1 == argc || !parse_option(argv[i], argv[i + 1])) {
      return 0;
    } else {
      i++;
    }
  return 1;
}

int main(int argc, char **argv) {
  if (!parse(argc, argv)) {
    fprintf(stderr, "usage: test_ops BACKEND.so [--set NAME=VALUE]... [--device N] [--seed N] [--elements-max N] [OP[:CASE]]...\n");
    return 2;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ops__every_case_matches_the_reference),
      cmocka_unit_test(test_ops__unknown_ids_flags_and_types_are_declined),
  };
  return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
