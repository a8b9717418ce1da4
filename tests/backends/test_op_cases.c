/* The conformance harness itself: a backend with a planted fault must be found, whatever the fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "op_case.h"
#include "op_cases.h"
#include "runtime/plugin.h"

static struct plm_plugin *plugin;

static int setup(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_plugin_load(&plugin, REFERENCE_PATH, NULL, 0, 1, &err))
    fail_msg("%s", err.text);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  plm_plugin_destroy(plugin);
  return 0;
}

/* Checks linear with this op_run and op_query in place of the reference's; returns how many cases failed. */
static uint32_t failures_with(int (*op_run)(struct plm_queue *, const struct plm_op *, struct plm_error *),
                              int (*op_query)(struct plm_device *, const struct plm_op *, struct plm_verdict *,
                                              struct plm_error *),
                              uint32_t op, uint32_t *skipped) {
  struct plm_backend broken = plugin->backend;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_check_counts counts = {0};
  FILE *quiet = fopen("/dev/null", "w");
  assert_non_null(quiet);
  if (op_run)
    broken.op_run = op_run;
  if (op_query)
    broken.op_query = op_query;
  const struct plm_check check = {&broken, &plugin->backend, 0, 7, op, -1, quiet};
  if (plm_check_ops(&counts, &check, &err))
    fail_msg("%s", err.text);
  fclose(quiet);
  if (skipped)
    *skipped = counts.skipped;
  return counts.failed;
}

/* Changes float number i of a view by the factor 1 + relative. */
static int nudge(struct plm_queue *queue, const struct plm_view *view, int64_t i, float relative,
                 struct plm_error *err) {
  float x;
  const uint64_t at = view->offset + (uint64_t)(4 * i);
  int code = plugin->backend.buffer_read(queue, view->buffer, at, &x, 4, err);
  x *= 1 + relative;
  return code ? code : plugin->backend.buffer_write(queue, view->buffer, at, &x, 4, err);
}

static int run_slightly_wrong(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const int code = plugin->backend.op_run(queue, op, err);
  return code || op->u.linear.rows.count == 0 ? code : nudge(queue, &op->u.linear.y, 0, 1e-4f, err);
}

static int run_beyond_the_end(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const int code = plugin->backend.op_run(queue, op, err);
  return code ? code : nudge(queue, &op->u.linear.y, (int64_t)(op->u.linear.y.bytes / 4), 1, err);
}

static int run_before_the_start(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const int code = plugin->backend.op_run(queue, op, err);
  return code ? code : nudge(queue, &op->u.linear.y, -1, 1, err);
}

static int run_and_change_an_input(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const int code = plugin->backend.op_run(queue, op, err);
  return code ? code : nudge(queue, &op->u.linear.w, 0, 1, err);
}

static int run_nothing(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  (void)queue, (void)op, (void)err;
  return PLM_OK;
}

static int run_never_the_same(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  static unsigned runs;
  const int code = plugin->backend.op_run(queue, op, err);
  return code || op->u.linear.rows.count == 0 || runs++ % 2 ? code : nudge(queue, &op->u.linear.y, 0, 2e-7f, err);
}

static int run_error(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  (void)queue, (void)op;
  return plm_error_set(err, PLM_E_INTERNAL, "planted");
}

static int run_as_overwrite(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct plm_op copy = *op;
  copy.flags &= ~PLM_FLAG_ACCUMULATE;
  return plugin->backend.op_run(queue, &copy, err);
}

static int run_as_accumulate(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct plm_op copy = *op;
  copy.flags |= PLM_FLAG_ACCUMULATE;
  return plugin->backend.op_run(queue, &copy, err);
}

static void test_op_cases__planted_faults_are_found(void **state) {
  (void)state;
  assert_int_equal(failures_with(NULL, NULL, PLM_OP_LINEAR, NULL), 0);
  assert_true(failures_with(run_slightly_wrong, NULL, PLM_OP_LINEAR, NULL) > 0);
  assert_true(failures_with(run_beyond_the_end, NULL, PLM_OP_LINEAR, NULL) > 0);
  assert_true(failures_with(run_before_the_start, NULL, PLM_OP_LINEAR, NULL) > 0);
  assert_true(failures_with(run_and_change_an_input, NULL, PLM_OP_LINEAR, NULL) > 0);
  assert_true(failures_with(run_nothing, NULL, PLM_OP_LINEAR, NULL) > 0);
  assert_true(failures_with(run_never_the_same, NULL, PLM_OP_LINEAR, NULL) > 0);
  assert_true(failures_with(run_error, NULL, PLM_OP_LINEAR, NULL) > 0);
}

static void test_op_cases__accumulation_is_told_from_overwriting(void **state) {
  (void)state;
  assert_true(failures_with(run_as_overwrite, NULL, PLM_OP_REDUCE_SUM, NULL) > 0);
  assert_true(failures_with(run_as_accumulate, NULL, PLM_OP_REDUCE_SUM, NULL) > 0);
}

static int query_decline(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                         struct plm_error *err) {
  (void)device, (void)op, (void)err;
  out->status = PLM_VERDICT_UNSUPPORTED;
  out->reason = PLM_REASON_FLAG;
  return PLM_OK;
}

static int query_decline_flags(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                               struct plm_error *err) {
  return op->flags ? query_decline(device, op, out, err) : plugin->backend.op_query(device, op, out, err);
}

static void test_op_cases__only_optional_flags_may_be_declined(void **state) {
  (void)state;
  uint32_t skipped = 0;
  assert_int_equal(failures_with(NULL, query_decline_flags, PLM_OP_LINEAR, &skipped), 0);
  assert_true(skipped > 0);
  assert_true(failures_with(NULL, query_decline_flags, PLM_OP_REDUCE_SUM, &skipped) > 0); /* ACCUMULATE is required */
  assert_int_equal(skipped, 0);
  assert_true(failures_with(NULL, query_decline, PLM_OP_LINEAR, NULL) > 0);
}

static void test_op_cases__no_case_at_all_is_an_error(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_check_counts counts = {0};
  const struct plm_check check = {&plugin->backend, &plugin->backend, 0, 7, PLM_OP_LINEAR, 100000, stdout};
  assert_int_equal(plm_check_ops(&counts, &check, &err), PLM_E_INVALID);
}

static void test_op_cases__every_op_has_cases(void **state) {
  (void)state;
  uint32_t seen[PLM_OP_COUNT] = {0};
  for (uint32_t i = 0; i < op_families_linear_count; i++)
    seen[op_families_linear[i].kind] += op_families_linear[i].variants;
  for (uint32_t i = 0; i < op_families_attention_count; i++)
    seen[op_families_attention[i].kind] += op_families_attention[i].variants;
  for (uint32_t i = 0; i < op_families_rows_count; i++)
    seen[op_families_rows[i].kind] += op_families_rows[i].variants;
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++)
    if (seen[kind] == 0)
      fail_msg("%s has no case", plm_op_name(kind));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_op_cases__planted_faults_are_found),
      cmocka_unit_test(test_op_cases__accumulation_is_told_from_overwriting),
      cmocka_unit_test(test_op_cases__only_optional_flags_may_be_declined),
      cmocka_unit_test(test_op_cases__no_case_at_all_is_an_error),
      cmocka_unit_test(test_op_cases__every_op_has_cases),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
