/* What the reference backend refuses: it says what is legal, with the op and the value at fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reference_tests.h"
#include "rig.h"

/* The op is refused as PLM_E_INVALID with these words in the message and its kind in the error. */
static void expect_refusal(const struct plm_op *op, const char *words) {
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(rig_try(op, &err), PLM_E_INVALID);
  assert_int_equal(err.op_kind, op->kind);
  if (!strstr(err.text, words) || strstr(err.text, plm_op_name(op->kind)) != err.text)
    fail_msg("message \"%s\" lacks \"%s\"", err.text, words);
}

static struct plm_op make_embed(const int32_t *tokens, uint32_t count) {
  struct plm_op op = rig_op(PLM_OP_EMBED, 0);
  op.u.embed = (struct plm_op_embed){rig_f32(rig_normal(1, 8), 8),
                                     rig_i32(tokens, count),
                                     rig_f32(rig_normal(2, count), count),
                                     rig_f32(NULL, 2 * count),
                                     {count, 0},
                                     4,
                                     2};
  return op;
}

void test_reference__ids_out_of_range_are_refused(void **state) {
  (void)state;
  const int32_t high[3] = {0, 4, 1}, low[3] = {0, 1, -1};
  struct plm_op op = make_embed(high, 3);
  expect_refusal(&op, "tokens[1] = 4 is not in 0..3");
  op = make_embed(low, 3);
  expect_refusal(&op, "tokens[2] = -1 is not in 0..3");

  op = rig_op(PLM_OP_SOFTMAX_LOSS, 0);
  op.u.softmax_loss = (struct plm_op_softmax_loss){.logits = rig_f32(rig_normal(1, 8), 8),
                                                   .targets = rig_i32(high, 2),
                                                   .loss = rig_f32(NULL, 2),
                                                   .rows = {2, 0},
                                                   .vocabulary = 4};
  expect_refusal(&op, "targets[1] = 4 is not in 0..3");

  op = rig_op(PLM_OP_ROTARY, 0);
  op.u.rotary = (struct plm_op_rotary){.qkv = rig_f32(rig_normal(1, 18), 18),
                                       .positions = rig_i32(high, 3),
                                       .cosine = rig_f32(rig_normal(2, 4), 4),
                                       .sine = rig_f32(rig_normal(3, 4), 4),
                                       .rows = {3, 0},
                                       .heads = 1,
                                       .head_size = 2,
                                       .table_rows = 4};
  expect_refusal(&op, "positions[1] = 4 is not in 0..3");

  const int32_t negative = -1;
  op = rig_op(PLM_OP_RECORD, 0);
  op.u.record = (struct plm_op_record){rig_f32(rig_normal(1, 1), 1), rig_i32(&negative, 1), rig_f32(NULL, 2), 1, 2};
  expect_refusal(&op, "index[0] = -1 is negative");
}

static struct plm_op make_attention(const int32_t *offsets, uint32_t sequences) {
  enum { T = 4 };
  struct plm_op op = rig_op(PLM_OP_ATTENTION, 0);
  op.u.attention = (struct plm_op_attention){.qkv = rig_f32(rig_normal(1, T * 6), T * 6),
                                             .offsets = rig_i32(offsets, sequences + 1),
                                             .o = rig_f32(NULL, T * 2),
                                             .lse = rig_f32(NULL, T),
                                             .rows = {T, 0},
                                             .sequences = {sequences, 0},
                                             .heads = 1,
                                             .head_size = 2,
                                             .length_max = 3,
                                             .scale = 1};
  return op;
}

void test_reference__offsets_that_do_not_fit_are_refused(void **state) {
  (void)state;
  const int32_t good[3] = {0, 3, 4}, late[3] = {1, 3, 4}, back[4] = {0, 3, 2, 4}, part[3] = {0, 2, 3},
                whole[2] = {0, 4};
  struct plm_op op = make_attention(good, 2);
  rig_run(&op);
  op = make_attention(late, 2);
  expect_refusal(&op, "offsets[0] = 1, must be 0");
  op = make_attention(back, 3);
  expect_refusal(&op, "offsets[2] = 2 is below offsets[1] = 3");
  op = make_attention(part, 2);
  expect_refusal(&op, "offsets[2] = 3, must be the 4 tokens");
  op = make_attention(whole, 1);
  expect_refusal(&op, "sequence 0 has 4 tokens, length_max is 3");
}

void test_reference__rows_must_ascend(void **state) {
  (void)state;
  const int32_t same[3] = {0, 2, 2}, beyond[2] = {1, 4};
  struct plm_op op = rig_op(PLM_OP_GATHER_ROWS, 0);
  op.u.gather_rows = (struct plm_op_gather_rows){
      rig_f32(rig_normal(1, 8), 8), rig_i32(same, 3), rig_f32(NULL, 6), {3, 0}, {4, 0}, 2, 0};
  expect_refusal(&op, "index[2] = 2 does not ascend from 2");
  op.u.gather_rows.index = rig_i32(beyond, 2);
  op.u.gather_rows.rows.count = 2;
  expect_refusal(&op, "index[1] = 4 is not in 0..3");
  op = rig_op(PLM_OP_SCATTER_ROWS, 0);
  op.u.scatter_rows = (struct plm_op_scatter_rows){
      rig_f32(rig_normal(1, 6), 6), rig_i32(same, 3), rig_f32(NULL, 8), {3, 0}, {4, 0}, 2, 0};
  expect_refusal(&op, "index[2] = 2 does not ascend from 2");
}

static struct plm_op make_add(void) {
  struct plm_op op = rig_op(PLM_OP_ADD, 0);
  op.u.add = (struct plm_op_add){
      rig_f32(rig_normal(1, 64), 64), rig_f32(rig_normal(2, 64), 64), rig_f32(NULL, 64), {4, 0}, 4, 0};
  return op;
}

void test_reference__views_must_fit(void **state) {
  (void)state;
  struct plm_op op = make_add();
  op.u.add.b.bytes = 60;
  expect_refusal(&op, "view \"b\": 60 bytes, 64 are needed");
  op = make_add();
  op.u.add.y.offset = 192;
  expect_refusal(&op, "view \"y\": offset 192 + 256 bytes reach past the buffer's 256");
  op = make_add();
  op.u.add.y.offset = UINT64_MAX - 63;
  expect_refusal(&op, "reach past the buffer's 256");
  op = make_add();
  op.u.add.a.offset = 4;
  expect_refusal(&op, "view \"a\": offset 4 is not a multiple of 64");
  op = make_add();
  op.u.add.a.type = PLM_TYPE_I32;
  expect_refusal(&op, "view \"a\": type 2 (i32), must be f32");
  op = make_add();
  op.u.add.y.buffer = NULL;
  expect_refusal(&op, "view \"y\": no buffer is bound");
  op = make_add();
  op.u.add.rows.count = UINT32_MAX;
  op.u.add.width = 1 << 24;
  expect_refusal(&op, "are needed");
  const int32_t good[3] = {0, 3, 4};
  op = make_attention(good, 2);
  op.workspace = rig_f32(NULL, 4);
  expect_refusal(&op, "view \"workspace\": 16 bytes");
}

void test_reference__overlap_is_refused_but_in_place_is_not(void **state) {
  (void)state;
  struct plm_op op = make_add();
  op.u.add.y = op.u.add.a;
  rig_run(&op);
  op = make_add();
  op.u.add.y = op.u.add.a;
  op.u.add.y.offset = 64; /* the last 16 of y would be beyond a: shifted, not in place */
  op.u.add.y.bytes = op.u.add.a.bytes = 128;
  op.u.add.width = 8;
  expect_refusal(&op, "views \"a\" and \"y\" overlap");
  struct plm_op gelu = rig_op(PLM_OP_GELU, 0);
  gelu.u.gelu = (struct plm_op_gelu){op.u.add.b, op.u.add.b, {4, 0}, 4, 0};
  expect_refusal(&gelu, "views \"x\" and \"y\" overlap");
}

static void expect_verdict(const struct plm_op *op, uint32_t reason, const char *words) {
  struct plm_error err = PLM_ERROR_INIT;
  const struct plm_verdict verdict = rig_query(op);
  assert_int_equal(verdict.status, PLM_VERDICT_UNSUPPORTED);
  assert_int_equal(verdict.reason, reason);
  if (!strstr(verdict.text, words))
    fail_msg("verdict \"%s\" lacks \"%s\"", verdict.text, words);
  assert_int_equal(rig_try(op, &err), PLM_E_UNSUPPORTED);
}

void test_reference__verdicts_name_the_attribute(void **state) {
  (void)state;
  const int32_t good[3] = {0, 3, 4};
  struct plm_op op = make_attention(good, 2);
  op.u.attention.head_size = 3;
  expect_verdict(&op, PLM_REASON_SHAPE, "head_size 3: must be even");
  op.u.attention.head_size = 2;
  op.flags = PLM_FLAG_ROTARY;
  expect_verdict(&op, PLM_REASON_SHAPE, "table_rows 0");
  op.flags = PLM_FLAG_BIAS;
  expect_verdict(&op, PLM_REASON_FLAG, "flags 0x2 are unknown");
  op = make_add();
  op.u.add.width = 0;
  expect_verdict(&op, PLM_REASON_SHAPE, "add.width 0");
  op.type = 9;
  expect_verdict(&op, PLM_REASON_TYPE, "type 9: must be f32");
  op.kind = PLM_OP_COUNT;
  expect_verdict(&op, PLM_REASON_UNKNOWN_OP, "is unknown");
  op = rig_op(PLM_OP_LINEAR, PLM_FLAG_GELU | PLM_FLAG_RESIDUAL);
  op.u.linear.in = op.u.linear.out = 1;
  expect_verdict(&op, PLM_REASON_FLAG, "exclude each other");
}

void test_reference__short_op_is_refused(void **state) {
  (void)state;
  struct plm_op op = make_add();
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  struct plm_error err = PLM_ERROR_INIT;
  op.struct_size = 64;
  assert_int_equal(rig_ask(&op, &verdict, &err), PLM_E_INVALID);
  assert_non_null(strstr(err.text, "struct_size 64"));
  assert_int_equal(verdict.status, 0); /* untouched */
}

void test_reference__refused_op_writes_nothing(void **state) {
  (void)state;
  const int32_t high[3] = {0, 1, 4};
  const float before[6] = {1, 2, 3, 4, 5, 6};
  struct plm_op op = make_embed(high, 3);
  op.u.embed.y = rig_f32(before, 6);
  expect_refusal(&op, "tokens[2] = 4");
  assert_memory_equal(rig_read(&op.u.embed.y), before, sizeof before);
}

/* All extents of an op set to 2, no view bound. */
static struct plm_op make_unbound(uint32_t kind) {
  struct plm_op op = rig_op(kind, 0);
  switch (kind) {
  case PLM_OP_FILL: op.u.fill.count = 2; break;
  case PLM_OP_GRAD_NORM: op.u.grad_norm.count = 2; break;
  case PLM_OP_ADAMW: op.u.adamw.count = 2; break;
  case PLM_OP_RECORD: op.u.record.count = op.u.record.capacity = 2; break;
  case PLM_OP_REDUCE_SUM: op.u.reduce_sum.rows.count = 2; break;
  case PLM_OP_EMBED: op.u.embed.rows.count = op.u.embed.vocabulary = op.u.embed.width = 2; break;
  case PLM_OP_EMBED_GRAD: op.u.embed_grad.rows.count = op.u.embed_grad.vocabulary = op.u.embed_grad.width = 2; break;
  case PLM_OP_LAYER_NORM: op.u.layer_norm.rows.count = op.u.layer_norm.width = 2; break;
  case PLM_OP_LAYER_NORM_GRAD: op.u.layer_norm_grad.rows.count = op.u.layer_norm_grad.width = 2; break;
  case PLM_OP_LINEAR: op.u.linear.rows.count = op.u.linear.in = op.u.linear.out = 2; break;
  case PLM_OP_LINEAR_GRAD_INPUT:
    op.u.linear_grad_input.rows.count = op.u.linear_grad_input.in = op.u.linear_grad_input.out = 2;
    break;
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    op.u.linear_grad_weight.rows.count = op.u.linear_grad_weight.in = op.u.linear_grad_weight.out = 2;
    break;
  case PLM_OP_BIAS: op.u.bias.rows.count = op.u.bias.width = 2; break;
  case PLM_OP_BIAS_GRAD: op.u.bias_grad.rows.count = op.u.bias_grad.width = 2; break;
  case PLM_OP_GELU: op.u.gelu.rows.count = op.u.gelu.width = 2; break;
  case PLM_OP_GELU_GRAD: op.u.gelu_grad.rows.count = op.u.gelu_grad.width = 2; break;
  case PLM_OP_ADD: op.u.add.rows.count = op.u.add.width = 2; break;
  case PLM_OP_ROTARY:
    op.u.rotary.rows.count = op.u.rotary.heads = op.u.rotary.head_size = op.u.rotary.table_rows = 2;
    break;
  case PLM_OP_ATTENTION:
    op.u.attention.rows.count = op.u.attention.heads = op.u.attention.head_size = op.u.attention.length_max = 2;
    break;
  case PLM_OP_ATTENTION_GRAD:
    op.u.attention_grad.rows.count = op.u.attention_grad.heads = 2;
    op.u.attention_grad.head_size = op.u.attention_grad.length_max = 2;
    break;
  case PLM_OP_GATHER_ROWS: op.u.gather_rows.rows.count = op.u.gather_rows.width = 2; break;
  case PLM_OP_SCATTER_ROWS: op.u.scatter_rows.rows.count = op.u.scatter_rows.width = 2; break;
  case PLM_OP_SOFTMAX_LOSS: op.u.softmax_loss.rows.count = op.u.softmax_loss.vocabulary = 2; break;
  default: fail_msg("op %u is missing here", kind);
  }
  return op;
}

void test_reference__every_kind_refuses_unbound_views(void **state) {
  (void)state;
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++) {
    const struct plm_op op = make_unbound(kind);
    assert_int_equal(rig_query(&op).status, PLM_VERDICT_SUPPORTED);
    expect_refusal(&op, kind == PLM_OP_GATHER_ROWS ? "view \"index\": no buffer is bound" : "no buffer is bound");
  }
}
