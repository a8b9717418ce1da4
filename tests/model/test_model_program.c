/* Programs as data: lowering, FLOP counts, parameter layout, refusals. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model_fixture.h"

static const struct plm_capacity room = {.tokens = 128, .sequences = 20, .masked = 128, .length_max = 64};
static const struct plm_optimizer optimizer = {0.9f, 0.98f, 1e-8f, 0.01f, 1};

struct policy {
  uint32_t declined_flags;
  uint32_t declined_kind;
};

static int answer(void *context, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  const struct policy *policy = context;
  (void)err;
  out->status = PLM_VERDICT_SUPPORTED;
  out->deterministic = 1;
  out->workspace_bytes = op->kind * 100;
  if (op->flags & policy->declined_flags || op->kind == policy->declined_kind) {
    out->status = PLM_VERDICT_UNSUPPORTED;
    snprintf(out->text, sizeof out->text, "not on this device");
  }
  return 0;
}

static uint32_t count_kind(const struct plm_program *program, uint32_t kind, uint32_t flags) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < program->count; i++)
    count += program->ops[i].kind == kind && (program->ops[i].flags & flags) == flags;
  return count;
}

static void test_program__fused_ops_are_used_where_they_are(void **state) {
  (void)state;
  struct plm_model model;
  struct policy all = {0};
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_model_init(&model, (struct plm_shape){3, 32, 2}, (struct plm_scaling){0}, &room, &optimizer, 8, answer, &all, &err), 0);
  assert_int_equal(model.lowered, 0);
  assert_string_equal(model.lowered_text, "");
  assert_int_equal(count_kind(&model.accumulate, PLM_OP_LINEAR, PLM_FLAG_GELU), 3 + 1);
  assert_int_equal(count_kind(&model.accumulate, PLM_OP_ATTENTION, PLM_FLAG_ROTARY), 3);
  assert_int_equal(count_kind(&model.accumulate, PLM_OP_ROTARY, 0), 0);
  assert_int_equal(model.slot_bytes[PLM_SLOT_WORKSPACE], PLM_OP_RECORD * 100);
  assert_true(model.deterministic);
  plm_model_fini(&model);
}

static void test_program__declined_fused_ops_are_lowered_and_named(void **state) {
  (void)state;
  struct plm_model model;
  struct policy plain = {PLM_FLAG_BIAS | PLM_FLAG_GELU | PLM_FLAG_RESIDUAL | PLM_FLAG_ROTARY, 0};
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_model_init(&model, (struct plm_shape){2, 32, 2}, (struct plm_scaling){0}, &room, &optimizer, 8, answer, &plain, &err), 0);
  assert_true(model.lowered > 0);
  assert_non_null(strstr(model.lowered_text, "linear+bias"));
  assert_non_null(strstr(model.lowered_text, "attention+rotary"));
  assert_non_null(strstr(model.lowered_text, "linear_grad_input+gelu"));
  assert_int_equal(count_kind(&model.accumulate, PLM_OP_BIAS, 0), 2 * 4 + 2);
  assert_int_equal(count_kind(&model.accumulate, PLM_OP_GELU, 0), 2 + 1);
  assert_int_equal(count_kind(&model.accumulate, PLM_OP_ADD, 0), 2 * 2);
  assert_int_equal(count_kind(&model.accumulate, PLM_OP_ROTARY, PLM_FLAG_INVERSE), 2);
  plm_model_fini(&model);
}

static void test_program__missing_required_op_refuses_the_backend_by_name(void **state) {
  (void)state;
  struct plm_model model;
  struct policy lame = {0, PLM_OP_SCATTER_ROWS};
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_model_init(&model, (struct plm_shape){2, 32, 2}, (struct plm_scaling){0}, &room, &optimizer, 8, answer, &lame, &err),
                   PLM_E_UNSUPPORTED);
  assert_non_null(strstr(err.text, "scatter_rows"));
  assert_non_null(strstr(err.text, "not on this device"));
}

/* The program's own count equals 6 N_matrices T + 12 L D sum(s^2), the head on selected rows only. */
static void test_program__flops_equal_the_closed_form(void **state) {
  (void)state;
  struct plm_model model;
  struct policy plain = {PLM_FLAG_BIAS | PLM_FLAG_GELU | PLM_FLAG_RESIDUAL | PLM_FLAG_ROTARY, 0}, all = {0};
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_shape shape = {6, 320, 20};
  struct plm_extents extents = {.tokens = 100, .sequences = 3, .masked = 14, .length_squares = 50 * 50 + 30 * 30 + 20 * 20};
  double expected = 6.0 * 100 * 6 * 12 * 320 * 320 + 6.0 * 14 * (320.0 * 320 + 33 * 320) + 12.0 * 6 * 320 * 3800;
  for (int lowered = 0; lowered < 2; lowered++) {
    assert_int_equal(plm_model_init(&model, shape, (struct plm_scaling){0}, &room, &optimizer, 8, answer, lowered ? &plain : &all, &err), 0);
    assert_true(plm_program_flops(&model.accumulate, &extents) == expected);
    plm_model_fini(&model);
  }
  assert_true(plm_shape_flops(shape, &extents) == expected);
}

/* Of a step without fused ops: every float that a layer reads or writes, counted by hand for one layer and one shape. */
static void test_program__bytes_count_reads_and_writes_once(void **state) {
  (void)state;
  const struct plm_extents e = {.tokens = 100, .sequences = 3, .masked = 14, .length_squares = 3800};
  struct plm_op op = {.struct_size = sizeof op, .kind = PLM_OP_LINEAR, .flags = PLM_FLAG_BIAS | PLM_FLAG_RESIDUAL};
  op.u.linear.rows.symbol = PLM_EXTENT_TOKENS;
  op.u.linear.in = 8;
  op.u.linear.out = 16;
  assert_true(plm_op_bytes(&op, &e) == 4 * (100 * 8 + 16 * 8 + 16 + 2 * 100 * 16));
  op.flags = PLM_FLAG_GELU;
  op.u.linear.pre.bytes = 4;
  assert_true(plm_op_bytes(&op, &e) == 4 * (100 * 8 + 16 * 8 + 2 * 100 * 16));
  op = (struct plm_op){.struct_size = sizeof op, .kind = PLM_OP_ATTENTION};
  op.u.attention.rows.symbol = PLM_EXTENT_TOKENS;
  op.u.attention.sequences.symbol = PLM_EXTENT_SEQUENCES;
  op.u.attention.heads = 2;
  op.u.attention.head_size = 8;
  assert_true(plm_op_bytes(&op, &e) == 4 * (100 * (3 * 16 + 16 + 2) + 4));
  op = (struct plm_op){.struct_size = sizeof op, .kind = PLM_OP_SCATTER_ROWS};
  op.u.scatter_rows.rows.symbol = PLM_EXTENT_MASKED;
  op.u.scatter_rows.target.symbol = PLM_EXTENT_TOKENS;
  op.u.scatter_rows.width = 8;
  assert_true(plm_op_bytes(&op, &e) == 4 * (14 * 9 + 100 * 8));
}

static void test_program__every_op_moves_bytes(void **state) {
  (void)state;
  struct plm_model model;
  struct policy plain = {PLM_FLAG_BIAS | PLM_FLAG_GELU | PLM_FLAG_RESIDUAL | PLM_FLAG_ROTARY, 0}, all = {0};
  struct plm_error err = PLM_ERROR_INIT;
  const struct plm_extents e = {.tokens = 100, .sequences = 3, .masked = 14, .length_squares = 3800};
  for (int lowered = 0; lowered < 2; lowered++) {
    assert_int_equal(
        plm_model_init(&model, (struct plm_shape){2, 32, 2}, (struct plm_scaling){0}, &room, &optimizer, 8, answer, lowered ? &plain : &all, &err), 0);
    const struct plm_program *const programs[] = {&model.begin, &model.accumulate, &model.update};
    for (int p = 0; p < 3; p++)
      for (uint32_t i = 0; i < programs[p]->count; i++) {
        char text[64] = "?";
        assert_true(plm_op_bytes(&programs[p]->ops[i], &e) > 0);
        plm_op_describe(text, sizeof text, &programs[p]->ops[i]);
        assert_null(strchr(text, '?'));
      }
    plm_model_fini(&model);
  }
}

static void test_program__layout_holds_every_parameter_once(void **state) {
  (void)state;
  struct plm_layout layout;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_shape shape = {6, 320, 20};
  assert_int_equal(plm_layout_init(&layout, shape, (struct plm_scaling){0}, &err), 0);
  uint64_t floats = 0;
  for (uint32_t i = 0; i < layout.count; i++) {
    const struct plm_tensor *t = &layout.tensors[i];
    floats += (uint64_t)t->rows * t->cols;
    assert_int_equal(t->offset % 16, 0);
    assert_true((t->init == PLM_INIT_NORMAL) == (t->offset < layout.floats_decay));
    for (uint32_t j = 0; j < i; j++) {
      const struct plm_tensor *o = &layout.tensors[j];
      assert_true(t->offset + (uint64_t)t->rows * t->cols <= o->offset ||
                  o->offset + (uint64_t)o->rows * o->cols <= t->offset);
    }
  }
  assert_int_equal(floats, 7512353);
  plm_layout_fini(&layout);
}

static struct plm_backend real;

static int declining_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                           struct plm_error *err) {
  const uint32_t fused = PLM_FLAG_BIAS | PLM_FLAG_GELU | PLM_FLAG_RESIDUAL | PLM_FLAG_ROTARY;
  int code = real.op_query(device, op, out, err);
  if (!code && op->flags & fused)
    out->status = PLM_VERDICT_UNSUPPORTED;
  return code;
}

/* Lowered and fused programs are one computation. */
static void test_program__lowered_model_gives_the_same_gradients(void **state) {
  (void)state;
  const uint32_t lengths[] = {20, 3, 41};
  struct plm_batch batch;
  struct model_rig fused, plain;
  float *grads_fused, *grads_plain;
  struct plm_shape shape = {2, 32, 4};
  model_batch_random(&batch, lengths, 3, 2);
  model_rig_open(&fused, "reference", shape, batch.tokens, batch.tokens);
  float *params = model_params_random(&fused.session->model.layout, 4, 0.2);
  double loss_fused = model_rig_gradients(&fused, params, &batch, &grads_fused);
  real = fused.plugin->backend;
  struct plm_plugin declining = *fused.plugin;
  declining.backend.op_query = declining_query;
  struct plm_session_options options = {.shape = shape, .optimizer = optimizer, .batch_tokens = batch.tokens,
                                        .length_max = batch.tokens, .micro_tokens = batch.tokens, .log_capacity = 4};
  struct plm_error err = PLM_ERROR_INIT;
  plain.plugin = &declining;
  assert_int_equal(plm_session_open(&plain.session, &declining, 0, &options, &err), 0);
  assert_true(plain.session->model.lowered > 0);
  double loss_plain = model_rig_gradients(&plain, params, &batch, &grads_plain);
  assert_true(fabs(loss_plain - loss_fused) < 1e-6 * loss_fused);
  double difference = 0, norm = 0;
  for (uint64_t i = 0; i < fused.session->model.layout.floats; i++) {
    difference += pow((double)grads_plain[i] - grads_fused[i], 2);
    norm += pow(grads_fused[i], 2);
  }
  assert_true(norm > 0 && sqrt(difference / norm) < 1e-6);
  plm_session_close(plain.session);
  model_rig_close(&fused);
  plm_batch_fini(&batch);
  free(params), free(grads_fused), free(grads_plain);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_program__fused_ops_are_used_where_they_are),
      cmocka_unit_test(test_program__declined_fused_ops_are_lowered_and_named),
      cmocka_unit_test(test_program__missing_required_op_refuses_the_backend_by_name),
      cmocka_unit_test(test_program__flops_equal_the_closed_form),
      cmocka_unit_test(test_program__bytes_count_reads_and_writes_once),
      cmocka_unit_test(test_program__every_op_moves_bytes),
      cmocka_unit_test(test_program__layout_holds_every_parameter_once),
      cmocka_unit_test(test_program__lowered_model_gives_the_same_gradients),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
