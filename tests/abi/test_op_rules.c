/* The rules that backends share: every operand of every op is asked for, and every breach is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "model/ops.h"
#include "plmscale/op_rules.h"

struct plm_buffer {
  uint64_t bytes;
};

static uint64_t buffer_bytes(const struct plm_buffer *buffer) { return buffer->bytes; }

static void set_extent(struct plm_op *op, size_t at, uint32_t value) {
  if (at)
    memcpy((unsigned char *)op + at, &value, sizeof value);
}

static struct plm_view *view_of(struct plm_op *op, const struct plm_operand *operand) {
  return (struct plm_view *)(void *)((unsigned char *)op + operand->view);
}

/* All flags that go together, all extents 2, every operand in a buffer of its own and exactly as large as needed. */
static void make_op(struct plm_op *op, uint32_t kind, struct plm_buffer *buffers) {
  const struct plm_rule *rule = plm_rules_of(kind);
  const uint64_t two = 2;
  uint32_t count;
  const struct plm_operand *operands = plm_rules_operands_of(kind, &count);
  memset(op, 0, sizeof *op);
  op->struct_size = sizeof *op;
  op->kind = kind;
  op->type = PLM_TYPE_F32;
  op->flags = (rule->required | rule->optional) & ~(rule->exclusive & ~PLM_FLAG_GELU);
  for (int i = 0; i < 3 && rule->extents[i].name; i++)
    set_extent(op, rule->extents[i].at, 2);
  for (uint32_t i = 0; i < count; i++) {
    for (int d = 0; d < 3; d++)
      set_extent(op, operands[i].extents[d], 2);
    if (operands[i].count)
      memcpy((unsigned char *)op + operands[i].count, &two, sizeof two);
  }
  for (uint32_t i = 0; i < count; i++) {
    struct plm_view *view = view_of(op, &operands[i]);
    *view = (struct plm_view){&buffers[i], operands[i].align, plm_rules_bytes(op, &operands[i]), operands[i].type, 0};
    buffers[i].bytes = view->offset + view->bytes;
  }
}

static void expect(const struct plm_op *op, const char *name, const char *words) {
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_rules_bind(op, 0, buffer_bytes, &err) != PLM_E_INVALID)
    fail_msg("%s, %s: \"%s\" was not refused", plm_op_name(op->kind), name, words);
  assert_int_equal(err.op_kind, op->kind);
  if (!strstr(err.text, name) || !strstr(err.text, words))
    fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.text, name, words);
}

static void test_op_rules__every_operand_is_asked_for(void **state) {
  (void)state;
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++) {
    struct plm_buffer buffers[PLM_RULES_OPERANDS_MAX];
    struct plm_op op, good;
    struct plm_error err = PLM_ERROR_INIT;
    struct plm_verdict verdict;
    uint32_t count, views;
    const struct plm_operand *o = plm_rules_operands_of(kind, &count);
    make_op(&good, kind, buffers);
    plm_op_views(&good, &views);
    assert_int_equal(plm_rules_judge(&verdict, &good, NULL, &err), PLM_OK);
    assert_int_equal(verdict.status, PLM_VERDICT_SUPPORTED);
    if (plm_rules_bind(&good, 0, buffer_bytes, &err))
      fail_msg("%s", err.text);
    for (uint32_t i = 0; i < count; i++, o++) {
      struct plm_view *view = view_of(&op, o);
      if (!plm_rules_has(&good, o))
        continue;
      op = good, view->buffer = NULL, expect(&op, o->name, "no buffer is bound");
      op = good, view->type = 9, expect(&op, o->name, "type 9");
      op = good, view->offset += o->align / 2, expect(&op, o->name, "is not a multiple of");
      op = good, view->bytes -= 1, expect(&op, o->name, "are needed");
      op = good, view->offset += 64, expect(&op, o->name, "reach past the buffer");
    }
  }
}

/* The tables against the op structs: every view once, in their order. */
static void test_op_rules__operands_are_the_views_of_the_op(void **state) {
  (void)state;
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++) {
    struct plm_op op = {.kind = kind};
    uint32_t count, views, all;
    const struct plm_operand *o = plm_rules_operands_of(kind, &count);
    const struct plm_view *first = plm_op_views(&op, &views);
    assert_int_equal(count, views);
    for (uint32_t i = 0; i < count; i++)
      assert_ptr_equal(view_of(&op, &o[i]), first + i);
    o = plm_rules_operands(&all);
    for (uint32_t i = 1; i < all; i++)
      assert_true(o[i - 1].kind <= o[i].kind);
  }
}

static void test_op_rules__overlap_is_refused_but_in_place_is_not(void **state) {
  (void)state;
  struct plm_buffer buffers[PLM_RULES_OPERANDS_MAX];
  struct plm_op op;
  struct plm_error err = PLM_ERROR_INIT;
  make_op(&op, PLM_OP_ADD, buffers);
  op.u.add.y = op.u.add.a;
  assert_int_equal(plm_rules_bind(&op, 0, buffer_bytes, &err), PLM_OK);
  op.u.add.b = op.u.add.a; /* two inputs may be one, and the output too */
  assert_int_equal(plm_rules_bind(&op, 0, buffer_bytes, &err), PLM_OK);
  buffers[0].bytes = 1024;
  op.u.add.width = 32;
  op.u.add.a.bytes = op.u.add.b.bytes = op.u.add.y.bytes = 256;
  op.u.add.y.offset += 64;
  expect(&op, "\"y\"", "overlap");
  op.u.add.y.offset = op.u.add.a.offset + 256;
  assert_int_equal(plm_rules_bind(&op, 0, buffer_bytes, &err), PLM_OK);
  op.workspace = op.u.add.a;
  assert_int_equal(plm_rules_bind(&op, 256, buffer_bytes, &err), PLM_E_INVALID);
  assert_non_null(strstr(err.text, "\"a\" and \"workspace\" overlap"));
  make_op(&op, PLM_OP_GELU, buffers);
  op.u.gelu.y = op.u.gelu.x;
  expect(&op, "\"x\" and \"y\"", "overlap");
}

static void expect_verdict(const struct plm_op *op, const uint32_t *taken, uint32_t reason, const char *words) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_verdict verdict;
  assert_int_equal(plm_rules_judge(&verdict, op, taken, &err), PLM_OK);
  assert_int_equal(verdict.reason, reason);
  if (!strstr(verdict.text, words))
    fail_msg("verdict \"%s\" lacks \"%s\"", verdict.text, words);
}

static void test_op_rules__a_backend_says_which_optional_flags_it_takes(void **state) {
  (void)state;
  struct plm_buffer buffers[PLM_RULES_OPERANDS_MAX];
  uint32_t taken[PLM_OP_COUNT] = {0};
  struct plm_op op;
  make_op(&op, PLM_OP_LINEAR, buffers);
  op.flags = PLM_FLAG_BIAS;
  expect_verdict(&op, taken, PLM_REASON_FLAG, "flags 0x2 are not supported here, supported are 0x0");
  taken[PLM_OP_LINEAR] = PLM_FLAG_BIAS;
  expect_verdict(&op, taken, PLM_REASON_NONE, "");
  op.flags = PLM_FLAG_CAUSAL;
  expect_verdict(&op, NULL, PLM_REASON_FLAG, "flags 0x10 are unknown");
  op.flags = PLM_FLAG_GELU | PLM_FLAG_RESIDUAL;
  expect_verdict(&op, NULL, PLM_REASON_FLAG, "exclude each other");
  make_op(&op, PLM_OP_LAYER_NORM_GRAD, buffers); /* ACCUMULATE is required, a mask cannot take it away */
  expect_verdict(&op, taken, PLM_REASON_NONE, "");
}

static void test_op_rules__verdicts_name_the_attribute(void **state) {
  (void)state;
  struct plm_buffer buffers[PLM_RULES_OPERANDS_MAX];
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_verdict verdict = {.struct_size = 3};
  struct plm_op op;
  make_op(&op, PLM_OP_ATTENTION, buffers);
  op.u.attention.head_size = 3;
  expect_verdict(&op, NULL, PLM_REASON_SHAPE, "head_size 3: must be even");
  op.u.attention.head_size = 2, op.u.attention.table_rows = 0;
  expect_verdict(&op, NULL, PLM_REASON_SHAPE, "table_rows 0");
  op.flags = 0;
  expect_verdict(&op, NULL, PLM_REASON_NONE, "");
  op.u.attention.heads = PLM_RULES_EXTENT_MAX + 1;
  expect_verdict(&op, NULL, PLM_REASON_SHAPE, "heads 16777217: must be in 1..16777216");
  op.type = PLM_TYPE_I32;
  expect_verdict(&op, NULL, PLM_REASON_TYPE, "type 2: must be f32");
  op.kind = PLM_OP_COUNT;
  expect_verdict(&op, NULL, PLM_REASON_UNKNOWN_OP, "op id 24 is unknown");
  op.struct_size = 64;
  assert_int_equal(plm_rules_judge(&verdict, &op, NULL, &err), PLM_E_INVALID);
  assert_non_null(strstr(err.text, "struct_size 64"));
  assert_int_equal(verdict.struct_size, 3);
}

static void test_op_rules__overflowing_extents_are_refused(void **state) {
  (void)state;
  struct plm_buffer buffers[PLM_RULES_OPERANDS_MAX];
  struct plm_op op;
  make_op(&op, PLM_OP_ROTARY, buffers);
  op.u.rotary.rows.count = UINT32_MAX;
  op.u.rotary.heads = op.u.rotary.head_size = PLM_RULES_EXTENT_MAX;
  expect(&op, "qkv", "overflow");
  make_op(&op, PLM_OP_FILL, buffers);
  op.u.fill.count = UINT64_MAX / 2;
  expect(&op, "\"x\"", "overflow");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_op_rules__every_operand_is_asked_for),
      cmocka_unit_test(test_op_rules__operands_are_the_views_of_the_op),
      cmocka_unit_test(test_op_rules__overlap_is_refused_but_in_place_is_not),
      cmocka_unit_test(test_op_rules__a_backend_says_which_optional_flags_it_takes),
      cmocka_unit_test(test_op_rules__verdicts_name_the_attribute),
      cmocka_unit_test(test_op_rules__overflowing_extents_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
