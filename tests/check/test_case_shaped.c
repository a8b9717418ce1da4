/* Cases of a study's shapes: made from a model's programs, judged on parts, and a planted error in a part is found. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/case_shaped.h"
#include "model/distinct.h"
#include "runtime/plugin.h"

static struct plm_plugin *plugin;
static struct plm_side side;
static struct plm_model model;
static struct plm_distinct distinct;

#define GOOD(call) good((call), &err, #call)
static void good(int code, const struct plm_error *err, const char *call) {
  if (code)
    fail_msg("%s: %s", call, err->text);
}

static int ask(void *context, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  (void)context;
  return side.backend->op_query(side.device, op, out, err);
}

static int setup(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const struct plm_capacity room = {.tokens = 300, .sequences = 100, .masked = 300, .length_max = 150};
  const struct plm_optimizer optimizer = {0.9f, 0.98f, 1e-8f, 0.01f, 1};
  GOOD(plm_plugin_load(&plugin, PLM_TEST_BACKENDS "/reference.so", NULL, 0, 1, &err));
  GOOD(plm_side_open(&side, &plugin->backend, 0, &err));
  GOOD(plm_model_init(&model, (struct plm_shape){3, 40, 5}, (struct plm_scaling){0}, &room, &optimizer, 8, ask, NULL, &err));
  GOOD(plm_distinct_init(&distinct, &model, 0, &err));
  return 0;
}

static int teardown(void **state) {
  (void)state;
  plm_distinct_fini(&distinct);
  plm_model_fini(&model);
  plm_side_close(&side);
  plm_plugin_destroy(plugin);
  return 0;
}

static const struct plm_op *find(uint32_t kind) {
  for (uint32_t i = 0; i < distinct.count; i++)
    if (distinct.ops[i].kind == kind)
      return &distinct.ops[i];
  fail_msg("no %s among the distinct ops", plm_op_name(kind));
  return NULL;
}

static void test_distinct__every_matrix_op_once_with_all_its_uses(void **state) {
  (void)state;
  uint32_t uses = 0, wanted = 0;
  const struct plm_program *const programs[] = {&model.begin, &model.accumulate, &model.evaluate, &model.update};
  for (uint32_t i = 0; i < distinct.count; i++)
    for (uint32_t k = 0; k < i; k++)
      assert_memory_not_equal(&distinct.ops[i], &distinct.ops[k], sizeof distinct.ops[i]);
  for (uint32_t i = 0; i < distinct.count; i++)
    uses += distinct.uses[i];
  for (size_t p = 0; p < 4; p++)
    for (uint32_t i = 0; i < programs[p]->count; i++) {
      uint32_t kind = programs[p]->ops[i].kind;
      wanted += (kind >= PLM_OP_LINEAR && kind <= PLM_OP_LINEAR_GRAD_WEIGHT) || kind == PLM_OP_ATTENTION ||
                kind == PLM_OP_ATTENTION_GRAD;
    }
  assert_int_equal(uses, wanted);
  assert_true(distinct.count > 10 && distinct.count < wanted);
  assert_int_equal(find(PLM_OP_ATTENTION)->u.attention.rows.count, 300);
  struct plm_distinct usual;
  struct plm_error err = PLM_ERROR_INIT;
  GOOD(plm_distinct_init(&usual, &model, 45, &err));
  assert_int_equal(usual.count, distinct.count);
  for (uint32_t i = 0; i < usual.count; i++) {
    struct plm_op copy = usual.ops[i];
    uint32_t extents;
    const struct plm_extent *rows = plm_op_extents(&copy, &extents);
    assert_int_equal(rows->count, rows->symbol == PLM_EXTENT_MASKED ? 45 : 300);
  }
  plm_distinct_fini(&usual);
}

static void test_shape__is_within_the_capacity_and_odd(void **state) {
  (void)state;
  for (uint32_t i = 0; i < distinct.count; i++) {
    const struct plm_case_shape shape = plm_case_shape_of(&distinct.ops[i], 1, 1 << 19);
    if (!shape.sequences) {
      assert_int_equal(shape.rows, 299);
      continue;
    }
    uint32_t longest = 0, one = 0;
    for (uint32_t s = 0; s < shape.sequences; s++) {
      longest = shape.lengths[s] > longest ? shape.lengths[s] : longest;
      one |= shape.lengths[s] == 1;
    }
    assert_int_equal(longest, 150);
    assert_true(one);
  }
}

/* A case at its whole size, and what the reference makes of it. */
static struct plm_case *make(struct plm_result *result, uint32_t kind) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_case *c = NULL;
  struct plm_verdict verdict;
  const struct plm_op *op = find(kind);
  const struct plm_case_shape shape = plm_case_shape_of(op, 1, 1 << 19);
  GOOD(plm_case_shaped(&c, op, &shape, 5, &side, &err));
  GOOD(plm_case_query(&verdict, c, &side, &err));
  GOOD(plm_case_run(result, c, &side, &verdict, &err));
  assert_string_equal(result->damage, "");
  return c;
}

/* Multiply-adds for a part: less than the case takes whole. */
static double part_of(uint32_t kind) {
  return kind == PLM_OP_ATTENTION ? 4e6 : kind == PLM_OP_ATTENTION_GRAD ? 1e7 : 1e5;
}

static struct plm_judgement judge(const struct plm_case *c, const struct plm_result *result, double work) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_judgement judgement;
  GOOD(plm_case_confirm_part(&judgement, c, result, &side, work, &err));
  return judgement;
}

static uint32_t operand_at(const struct plm_case *c, const char *name) {
  for (uint32_t k = 0; k < c->count; k++)
    if (!strcmp(c->operands[k].name, name))
      return k;
  fail_msg("no operand %s", name);
  return 0;
}

/* An error in the first or the last number of an output is seen in a part; without it the part is right. */
static void check_output(uint32_t kind, const char *name) {
  struct plm_result result = {0};
  struct plm_case *c = make(&result, kind);
  const uint32_t k = operand_at(c, name);
  float *numbers = result.data[k];
  const uint64_t places[] = {0, c->operands[k].count - 1};
  for (int whole = 0; whole < 2; whole++) {
    const double work = whole ? 1e12 : part_of(kind);
    const struct plm_judgement good = judge(c, &result, work);
    assert_int_equal(good.wrong, 0);
    assert_true(good.worst <= 1e-3);
    for (int i = whole ? 0 : 1; i < 2; i++) {
      const float kept = numbers[places[i]];
      numbers[places[i]] = kept * 1.25f + 1;
      const struct plm_judgement bad = judge(c, &result, work);
      numbers[places[i]] = kept;
      if (bad.wrong != 1 || bad.element != places[i])
        fail_msg("%s of %s: an error in number %llu is found %llu times, in number %llu", name, plm_op_name(kind),
                 (unsigned long long)places[i], (unsigned long long)bad.wrong, (unsigned long long)bad.element);
    }
  }
  plm_result_fini(&result);
  plm_case_destroy(c);
}

static void test_part__an_error_at_an_edge_is_found(void **state) {
  (void)state;
  check_output(PLM_OP_LINEAR, "y");
  check_output(PLM_OP_LINEAR_GRAD_INPUT, "dx");
  check_output(PLM_OP_LINEAR_GRAD_WEIGHT, "dw");
  check_output(PLM_OP_ATTENTION, "o");
  check_output(PLM_OP_ATTENTION, "lse");
  check_output(PLM_OP_ATTENTION_GRAD, "dqkv");
}

/* Any number that the part has, not only those at the ends. */
static void test_part__an_error_is_named_by_its_place_in_the_whole(void **state) {
  (void)state;
  static const struct {
    uint32_t kind;
    const char *name;
  } outputs[] = {{PLM_OP_LINEAR, "y"}, {PLM_OP_LINEAR_GRAD_WEIGHT, "dw"}, {PLM_OP_ATTENTION, "o"},
                 {PLM_OP_ATTENTION, "lse"}, {PLM_OP_ATTENTION_GRAD, "dqkv"}};
  for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
    struct plm_result result = {0};
    struct plm_case *c = make(&result, outputs[i].kind);
    const uint32_t k = operand_at(c, outputs[i].name);
    float *numbers = result.data[k];
    uint32_t found = 0;
    for (uint64_t n = 1; n < c->operands[k].count; n += c->operands[k].count / 97 + 1) {
      const float kept = numbers[n];
      numbers[n] = kept * 1.25f + 1;
      const struct plm_judgement bad = judge(c, &result, part_of(outputs[i].kind));
      numbers[n] = kept;
      if (bad.wrong && bad.element != n)
        fail_msg("%s[%llu] is called number %llu", outputs[i].name, (unsigned long long)n, (unsigned long long)bad.element);
      found += bad.wrong == 1;
    }
    assert_true(found > 2);
    plm_result_fini(&result);
    plm_case_destroy(c);
  }
}

static void test_part__is_smaller_than_the_whole(void **state) {
  (void)state;
  static const uint32_t kinds[] = {PLM_OP_LINEAR, PLM_OP_LINEAR_GRAD_INPUT, PLM_OP_LINEAR_GRAD_WEIGHT, PLM_OP_ATTENTION,
                                   PLM_OP_ATTENTION_GRAD};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    struct plm_result result = {0};
    struct plm_case *c = make(&result, kinds[i]);
    const uint64_t part = judge(c, &result, part_of(kinds[i])).checked, whole = judge(c, &result, 1e12).checked;
    assert_true(part > 0 && part < whole);
    plm_result_fini(&result);
    plm_case_destroy(c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_distinct__every_matrix_op_once_with_all_its_uses),
      cmocka_unit_test(test_shape__is_within_the_capacity_and_odd),
      cmocka_unit_test(test_part__an_error_at_an_edge_is_found),
      cmocka_unit_test(test_part__an_error_is_named_by_its_place_in_the_whole),
      cmocka_unit_test(test_part__is_smaller_than_the_whole),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
