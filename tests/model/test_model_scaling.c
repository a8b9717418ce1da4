/* muP: what the layout and the program make of a width, and that the base width is the standard parametrization. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "model/program.h"

static const struct plm_optimizer optimizer = {0.9f, 0.98f, 1e-8f, 0.01f, 1};
static const struct plm_capacity room = {.tokens = 64, .sequences = 4, .masked = 64, .length_max = 32};
static const struct plm_shape wide = {2, 128, 4}; /* heads of 32 */
#define BASE ((struct plm_scaling){32, 8})        /* a quarter of the width, a quarter of the head */

static int accept(void *context, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  (void)context, (void)op, (void)err;
  out->status = PLM_VERDICT_SUPPORTED;
  return 0;
}

static void build(struct plm_model *out, struct plm_shape shape, struct plm_scaling scaling) {
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_model_init(out, shape, scaling, &room, &optimizer, 8, accept, NULL, &err), 0);
}

static float *weights(const struct plm_model *model, double init_std) {
  float *out = malloc(model->layout.floats * sizeof *out);
  assert_non_null(out);
  plm_layout_weights(out, &model->layout, 7, init_std);
  return out;
}

static void test_scaling__base_width_is_the_standard_parametrization_bit_for_bit(void **state) {
  (void)state;
  struct plm_model standard, mup;
  build(&standard, wide, (struct plm_scaling){0});
  build(&mup, wide, (struct plm_scaling){128, 32});
  const struct plm_program *const a[] = {&standard.begin, &standard.accumulate, &standard.update, &standard.evaluate};
  const struct plm_program *const b[] = {&mup.begin, &mup.accumulate, &mup.update, &mup.evaluate};
  for (int p = 0; p < 4; p++) {
    assert_true(a[p]->count > 0);
    assert_int_equal(a[p]->count, b[p]->count);
    assert_memory_equal(a[p]->ops, b[p]->ops, a[p]->count * sizeof *a[p]->ops);
  }
  for (int own = 0; own < 2; own++) {
    float *x = weights(&standard, own ? 0 : 0.02), *y = weights(&mup, own ? 0 : 0.02);
    assert_memory_equal(x, y, standard.layout.floats * sizeof *x);
    free(x), free(y);
  }
  plm_model_fini(&standard);
  plm_model_fini(&mup);
}

static double deviation(const float *params, const struct plm_tensor *tensor) {
  double sum = 0, count = (double)tensor->rows * tensor->cols;
  for (uint64_t i = 0; i < (uint64_t)tensor->rows * tensor->cols; i++)
    sum += pow(params[tensor->offset + i], 2);
  return sqrt(sum / count);
}

static void test_scaling__initial_weights_follow_the_table(void **state) {
  (void)state;
  struct plm_model model;
  build(&model, wide, BASE);
  const struct plm_layout *layout = &model.layout;
  const struct {
    double init_std, embedding, hidden, down;
  } cases[] = {{0.02, 0.02, 0.01, 0.01}, {0, 1 / sqrt(32), 1 / sqrt(128), 1 / sqrt(512)}};
  for (size_t i = 0; i < 2; i++) {
    float *params = weights(&model, cases[i].init_std);
    /* 33 x 128 draws: a standard error of 1.1 %. */
    assert_true(fabs(deviation(params, plm_layout_top(layout, PLM_EMBED_W)) / cases[i].embedding - 1) < 0.05);
    assert_true(fabs(deviation(params, plm_layout_top(layout, PLM_HEAD_W)) / cases[i].hidden - 1) < 0.05);
    for (uint32_t l = 0; l < 2; l++) {
      assert_true(fabs(deviation(params, plm_layout_layer(layout, l, PLM_QKV_W)) / cases[i].hidden - 1) < 0.05);
      assert_true(fabs(deviation(params, plm_layout_layer(layout, l, PLM_OUT_W)) / cases[i].hidden - 1) < 0.05);
      assert_true(fabs(deviation(params, plm_layout_layer(layout, l, PLM_UP_W)) / cases[i].hidden - 1) < 0.05);
      assert_true(fabs(deviation(params, plm_layout_layer(layout, l, PLM_DOWN_W)) / cases[i].down - 1) < 0.05);
    }
    assert_true(params[plm_layout_top(layout, PLM_HEAD_LN_G)->offset] == 0.25f);
    assert_true(params[plm_layout_top(layout, PLM_FINAL_G)->offset] == 1);
    assert_true(params[plm_layout_layer(layout, 1, PLM_LN2_G)->offset] == 1);
    assert_true(params[plm_layout_top(layout, PLM_HEAD_LN_B)->offset] == 0);
    free(params);
  }
  plm_model_fini(&model);
}

/* The AdamW op that updates a place in the arena; there is exactly one. */
static const struct plm_op_adamw *update_of(const struct plm_model *model, uint64_t place) {
  const struct plm_op_adamw *found = NULL;
  for (uint32_t i = 0; i < model->update.count; i++) {
    const struct plm_op *op = &model->update.ops[i];
    const struct plm_op_adamw *u = &op->u.adamw;
    if (op->kind != PLM_OP_ADAMW || place * 4 < u->params.offset || place * 4 >= u->params.offset + u->params.bytes)
      continue;
    assert_null(found);
    assert_true(u->grads.offset == u->params.offset && u->m.offset == u->params.offset &&
                u->v.offset == u->params.offset && u->count * 4 == u->params.bytes);
    found = u;
  }
  assert_non_null(found);
  return found;
}

static void test_scaling__every_tensor_learns_once_at_its_rate(void **state) {
  (void)state;
  struct plm_model model;
  build(&model, wide, BASE);
  int quarter = 0;
  for (uint32_t i = 0; i < model.layout.count; i++) {
    const struct plm_tensor *tensor = &model.layout.tensors[i];
    int matrix = tensor->init == PLM_INIT_NORMAL;
    int readout = !strcmp(tensor->name, "head.layer_norm.weight") || !strcmp(tensor->name, "head.layer_norm.bias");
    float rate = (matrix && strcmp(tensor->name, "embed.weight")) || readout ? 0.25f : 1;
    const struct plm_op_adamw *u = update_of(&model, tensor->offset);
    assert_true(u == update_of(&model, tensor->offset + (uint64_t)tensor->rows * tensor->cols - 1));
    assert_true(u->rate_scale == rate);
    assert_true(u->decay == (matrix ? 0.01f : 0));
    quarter += rate == 0.25f;
  }
  assert_int_equal(quarter, 2 * 4 + 1 + 2);
  plm_model_fini(&model);
}

static void test_scaling__scores_are_divided_by_the_head_size(void **state) {
  (void)state;
  struct plm_model model;
  build(&model, wide, BASE);
  int seen = 0;
  for (uint32_t i = 0; i < model.accumulate.count; i++) {
    const struct plm_op *op = &model.accumulate.ops[i];
    if (op->kind != PLM_OP_ATTENTION && op->kind != PLM_OP_ATTENTION_GRAD)
      continue;
    float scale = op->kind == PLM_OP_ATTENTION ? op->u.attention.scale : op->u.attention_grad.scale;
    assert_true(fabs(scale - sqrt(8) / 32) < 1e-8);
    seen++;
  }
  assert_int_equal(seen, 4);
  plm_model_fini(&model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scaling__base_width_is_the_standard_parametrization_bit_for_bit),
      cmocka_unit_test(test_scaling__initial_weights_follow_the_table),
      cmocka_unit_test(test_scaling__every_tensor_learns_once_at_its_rate),
      cmocka_unit_test(test_scaling__scores_are_divided_by_the_head_size),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
