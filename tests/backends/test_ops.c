/* test_ops BACKEND.so [OP[:CASE] [SEED]]: the conformance cases on one backend against the reference. */
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
static struct plm_check_all arguments = {.seed = 1, .variant = -1};

static struct plm_plugin *tested, *reference;

static struct plm_plugin *load(const char *path) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_plugin *plugin = NULL;
  if (plm_plugin_load(&plugin, path, NULL, 0, 2, &err))
    fail_msg("%s", err.text);
  return plugin;
}

static int setup(void **state) {
  (void)state;
  tested = load(tested_path);
  reference = load(REFERENCE_PATH);
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
  struct plm_check_all check = arguments;
  struct plm_check_counts counts = {0};
  struct plm_error err = PLM_ERROR_INIT;
  check.tested = &tested->backend;
  check.reference = &reference->backend;
  check.stream = stdout;
  if (plm_check_all_cases(&counts, &check, &err))
    fail_msg("%s", err.text);
  printf("%u passed, %u failed, %u declined\n", counts.passed, counts.failed, counts.declined);
  assert_int_equal(counts.failed, 0);
  assert_true(counts.passed > 0);
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
  if (tested->backend.device_open(0, &device, &err))
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

/* OP or OP:CASE into check; 0 when OP is not a name. */
static int parse_case(struct plm_check_all *check, const char *text) {
  const char *colon = strchr(text, ':');
  const size_t length = colon ? (size_t)(colon - text) : strlen(text);
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++)
    if (strlen(plm_op_name(kind)) == length && strncmp(plm_op_name(kind), text, length) == 0)
      check->op = kind;
  check->variant = colon ? (int32_t)strtol(colon + 1, NULL, 10) : -1;
  return check->op != 0;
}

int main(int argc, char **argv) {
  if (argc < 2 || (argc > 2 && !parse_case(&arguments, argv[2]))) {
    fprintf(stderr, "usage: test_ops BACKEND.so [OP[:CASE] [SEED]]\n");
    return 2;
  }
  tested_path = argv[1];
  if (argc > 3)
    arguments.seed = strtoull(argv[3], NULL, 10);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ops__every_case_matches_the_reference),
      cmocka_unit_test(test_ops__unknown_ids_flags_and_types_are_declined),
  };
  return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
