/* The conformance harness itself: a backend with a planted fault must be found, whatever the fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "check/check_case.h"
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

/* Checks an op (linear: one case) with this op_run and op_query in place of the reference's; returns how many failed. */
static uint32_t failures_with(int (*op_run)(struct plm_queue *, const struct plm_op *, struct plm_error *),
                              int (*op_query)(struct plm_device *, const struct plm_op *, struct plm_verdict *,
                                              struct plm_error *),
                              uint32_t op, uint32_t *declined) {
  struct plm_backend broken = plugin->backend;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_check_counts counts = {0};
  FILE *quiet = fopen("/dev/null", "w");
  assert_non_null(quiet);
  if (op_run)
    broken.op_run = op_run;
  if (op_query)
    broken.op_query = op_query;
  const struct plm_check_all check = {&broken, &plugin->backend, 0, 7, op, op == PLM_OP_LINEAR && op_run ? 7 : -1, 0, quiet};
  if (plm_check_all_cases(&counts, &check, &err))
    fail_msg("%s", err.text);
  fclose(quiet);
  if (declined)
    *declined = counts.declined;
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
  return code || op->u.linear.rows.count == 0 ? code : nudge(queue, &op->u.linear.y, 0, 1e-2f, err);
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
  assert_int_equal(failures_with(plugin->backend.op_run, NULL, PLM_OP_LINEAR, NULL), 0);
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
  strcpy(out->text, "planted");
  return PLM_OK;
}

static int query_decline_flags(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                               struct plm_error *err) {
  return op->flags ? query_decline(device, op, out, err) : plugin->backend.op_query(device, op, out, err);
}

static void test_op_cases__only_optional_flags_may_be_declined(void **state) {
  (void)state;
  uint32_t declined = 0;
  assert_int_equal(failures_with(NULL, query_decline_flags, PLM_OP_LINEAR, &declined), 0);
  assert_true(declined > 0);
  assert_true(failures_with(NULL, query_decline_flags, PLM_OP_REDUCE_SUM, &declined) > 0); /* ACCUMULATE is required */
  assert_int_equal(declined, 0);
  assert_true(failures_with(NULL, query_decline, PLM_OP_LINEAR, NULL) > 0);
}

static void test_op_cases__no_case_at_all_is_an_error(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_check_counts counts = {0};
  const struct plm_check_all check = {&plugin->backend, &plugin->backend, 0, 7, PLM_OP_LINEAR, 100000, 0, stdout};
  assert_int_equal(plm_check_all_cases(&counts, &check, &err), PLM_E_INVALID);
}

static void test_op_cases__every_op_has_cases(void **state) {
  (void)state;
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++)
    if (plm_case_variants(kind) == 0)
      fail_msg("%s has no case", plm_op_name(kind));
}

/* ------------------------------------------------------------------ files and captures */

static struct plm_case *made(uint32_t kind, uint32_t variant) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_case *c = NULL;
  if (plm_case_make(&c, kind, variant, 11, &err))
    fail_msg("%s", err.text);
  return c;
}

static void assert_same_case(const struct plm_case *a, const struct plm_case *b) {
  assert_int_equal(a->op.kind, b->op.kind);
  assert_int_equal(a->op.flags, b->op.flags);
  assert_int_equal(a->count, b->count);
  for (uint32_t k = 0; k < a->count; k++) {
    assert_string_equal(a->operands[k].name, b->operands[k].name);
    assert_int_equal(a->operands[k].count, b->operands[k].count);
    assert_int_equal(a->operands[k].alias, b->operands[k].alias);
    assert_int_equal(a->operands[k].shift, b->operands[k].shift);
    assert_memory_equal(a->operands[k].data, b->operands[k].data, a->operands[k].count * 4);
  }
}

static uint32_t labelled(uint32_t kind, const char *label) {
  struct plm_error err = PLM_ERROR_INIT;
  uint32_t variant = 0;
  if (plm_case_find(&variant, kind, label, &err))
    fail_msg("%s", err.text);
  return variant;
}

static void test_op_cases__a_saved_case_is_the_same_case(void **state) {
  (void)state;
  char path[] = "/tmp/plm_case_XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++) {
    struct plm_error err = PLM_ERROR_INIT;
    struct plm_case *c = made(kind, kind == PLM_OP_ADD ? labelled(kind, "3x7 in place of a") : 1), *again = NULL;
    if (plm_case_save(c, path, "a test", &err) || plm_case_load(&again, path, &err))
      fail_msg("%s: %s", plm_op_name(kind), err.text);
    assert_same_case(c, again);
    assert_string_equal(c->label, again->label);
    assert_int_equal(c->optional_flags, again->optional_flags);
    plm_case_destroy(again);
    plm_case_destroy(c);
  }
  unlink(path);
}

static void test_op_cases__a_file_that_is_no_case_is_refused(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_case *c = NULL;
  assert_int_equal(plm_case_load(&c, REFERENCE_PATH, &err), PLM_E_DAMAGED);
  assert_null(c);
}

/* The steps of a layer that looks over a backend's shoulder: capture, run, collect, confirm. */
static void shadow(uint32_t kind, uint32_t variant, float nudged, uint64_t *wrong) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_side side = {0};
  struct plm_case *c = made(kind, variant), *captured = NULL;
  struct plm_result result = {0};
  struct plm_judgement judgement;
  struct plm_buffer *buffers[PLM_CASE_OPERANDS];
  assert_int_equal(plm_side_open(&side, &plugin->backend, 0, &err), 0);
  struct plm_op op = c->op;
  for (uint32_t k = 0; k < c->count; k++) {
    const struct plm_operand *operand = &c->operands[k];
    struct plm_view *view = (struct plm_view *)(void *)((unsigned char *)&op + operand->view);
    assert_int_equal(side.backend->buffer_create(side.device, operand->count * 4 + 64, 1, &buffers[k], &err), 0);
    *view = (struct plm_view){buffers[operand->alias < 0 ? k : (uint32_t)operand->alias], operand->shift,
                              operand->count * 4, operand->type, 0};
    if (operand->alias < 0)
      assert_int_equal(
          side.backend->buffer_write(side.queue, buffers[k], operand->shift, operand->data, view->bytes, &err), 0);
  }
  assert_int_equal(plm_case_capture(&captured, &op, side.backend, side.queue, &err), 0);
  assert_same_case(c, captured);
  assert_int_equal(side.backend->op_run(side.queue, &op, &err), 0);
  if (nudged != 0)
    assert_int_equal(nudge(side.queue, &op.u.add.y, 0, nudged, &err), 0);
  assert_int_equal(plm_result_collect(&result, captured, &op, side.backend, side.queue, &err), 0);
  if (plm_case_confirm(&judgement, captured, &result, &side, &err))
    fail_msg("%s", err.text);
  *wrong = judgement.wrong;
  for (uint32_t k = 0; k < c->count; k++)
    side.backend->buffer_destroy(buffers[k]);
  plm_result_fini(&result);
  plm_case_destroy(captured);
  plm_case_destroy(c);
  plm_side_close(&side);
}

static void test_op_cases__a_captured_op_is_judged(void **state) {
  (void)state;
  uint64_t wrong = 1;
  const uint32_t in_place = labelled(PLM_OP_ADD, "61x67 in place of a");
  shadow(PLM_OP_ADD, in_place, 0, &wrong);
  assert_int_equal(wrong, 0);
  shadow(PLM_OP_LINEAR, 7, 0, &wrong);
  assert_int_equal(wrong, 0);
  shadow(PLM_OP_SCATTER_ROWS, 3, 0, &wrong);
  assert_int_equal(wrong, 0);
  shadow(PLM_OP_ADD, in_place, 1e-3f, &wrong);
  assert_int_equal(wrong, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_op_cases__planted_faults_are_found),
      cmocka_unit_test(test_op_cases__accumulation_is_told_from_overwriting),
      cmocka_unit_test(test_op_cases__only_optional_flags_may_be_declined),
      cmocka_unit_test(test_op_cases__no_case_at_all_is_an_error),
      cmocka_unit_test(test_op_cases__every_op_has_cases),
      cmocka_unit_test(test_op_cases__a_saved_case_is_the_same_case),
      cmocka_unit_test(test_op_cases__a_file_that_is_no_case_is_refused),
      cmocka_unit_test(test_op_cases__a_captured_op_is_judged),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
