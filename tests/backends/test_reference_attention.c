/* Rotary positions and attention of the reference backend: identities and finite differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reference_tests.h"
#include "rig.h"

enum { H = 2, SIZE = 4, HALF = SIZE / 2, ROW = 3 * H * SIZE, TABLE = 8, T_MAX = 8 };

/* The inputs of one attention, and the views of its last run. */
struct attention_case {
  float *qkv, *d_o;
  int32_t offsets[4];
  uint32_t sequences, tokens, flags;
  struct plm_view o, lse;
};

struct tables {
  float cosine[TABLE * HALF], sine[TABLE * HALF];
  int32_t positions[T_MAX];
};

static struct tables make_tables(const struct attention_case *c) {
  struct tables tables = {{0}, {0}, {0}};
  for (int p = 0; p < TABLE; p++)
    for (int j = 0; j < HALF; j++) {
      tables.cosine[p * HALF + j] = (float)cos(p * pow(10000, -2.0 * j / SIZE));
      tables.sine[p * HALF + j] = (float)sin(p * pow(10000, -2.0 * j / SIZE));
    }
  for (uint32_t s = 0; s < c->sequences; s++)
    for (int32_t t = c->offsets[s]; t < c->offsets[s + 1]; t++)
      tables.positions[t] = t - c->offsets[s];
  return tables;
}

static double attention_loss(void *context) {
  struct attention_case *c = context;
  struct tables tables = make_tables(c);
  struct plm_op op = rig_op(PLM_OP_ATTENTION, c->flags);
  c->o = rig_f32(NULL, c->tokens * H * SIZE);
  c->lse = rig_f32(NULL, c->tokens * H);
  op.u.attention = (struct plm_op_attention){.qkv = rig_f32(c->qkv, c->tokens * ROW),
                                             .offsets = rig_i32(c->offsets, c->sequences + 1),
                                             .positions = rig_i32(tables.positions, c->tokens),
                                             .cosine = rig_f32(tables.cosine, TABLE * HALF),
                                             .sine = rig_f32(tables.sine, TABLE * HALF),
                                             .o = c->o,
                                             .lse = c->lse,
                                             .rows = {c->tokens, 0},
                                             .sequences = {c->sequences, 0},
                                             .heads = H,
                                             .head_size = SIZE,
                                             .length_max = T_MAX,
                                             .table_rows = TABLE,
                                             .scale = 0.5f};
  rig_run(&op);
  return rig_dot(rig_read(&c->o), c->d_o, c->tokens * H * SIZE);
}

static const float *run_rotary(const struct attention_case *c, const float *qkv, uint32_t flags) {
  struct tables tables = make_tables(c);
  struct plm_op op = rig_op(PLM_OP_ROTARY, flags);
  op.u.rotary = (struct plm_op_rotary){.qkv = rig_f32(qkv, c->tokens * ROW),
                                       .positions = rig_i32(tables.positions, c->tokens),
                                       .cosine = rig_f32(tables.cosine, TABLE * HALF),
                                       .sine = rig_f32(tables.sine, TABLE * HALF),
                                       .rows = {c->tokens, 0},
                                       .heads = H,
                                       .head_size = SIZE,
                                       .table_rows = TABLE};
  rig_run(&op);
  return rig_read(&op.u.rotary.qkv);
}

/* Two sequences with an empty one between them. */
static struct attention_case make_case(uint32_t flags) {
  return (struct attention_case){.qkv = rig_normal(1, T_MAX * ROW),
                                 .d_o = rig_normal(2, T_MAX * H * SIZE),
                                 .offsets = {0, 3, 3, 5},
                                 .sequences = 3,
                                 .tokens = 5,
                                 .flags = flags};
}

void test_reference__one_key_returns_its_value(void **state) {
  (void)state;
  struct attention_case c = make_case(0);
  c.tokens = c.sequences = 1;
  c.offsets[1] = 1;
  attention_loss(&c);
  const float *o = rig_read(&c.o), *lse = rig_read(&c.lse), *v = c.qkv + 2 * H * SIZE;
  for (int i = 0; i < H * SIZE; i++)
    RIG_CLOSE(o[i], v[i], 0);
  for (int head = 0; head < H; head++)
    RIG_CLOSE(lse[head], 0.5 * rig_dot(c.qkv + head * SIZE, c.qkv + (H + head) * SIZE, SIZE), 1e-6);
}

void test_reference__equal_keys_average_the_values(void **state) {
  (void)state;
  struct attention_case c = make_case(0);
  for (uint32_t t = 0; t < c.tokens; t++)
    memset(c.qkv + t * ROW + H * SIZE, 0, H * SIZE * sizeof(float));
  attention_loss(&c);
  const float *o = rig_read(&c.o), *v = c.qkv + 2 * H * SIZE;
  for (int i = 0; i < H * SIZE; i++) {
    RIG_CLOSE(o[i], ((double)v[i] + v[ROW + i] + v[2 * ROW + i]) / 3, 1e-6);
    RIG_CLOSE(o[3 * H * SIZE + i], ((double)v[3 * ROW + i] + v[4 * ROW + i]) / 2, 1e-6);
  }
  RIG_CLOSE(rig_read(&c.lse)[0], log(3), 1e-6);
}

void test_reference__causal_first_row_sees_itself_only(void **state) {
  (void)state;
  struct attention_case c = make_case(PLM_FLAG_CAUSAL);
  attention_loss(&c);
  const float *o = rig_read(&c.o);
  for (int i = 0; i < H * SIZE; i++) {
    RIG_CLOSE(o[i], c.qkv[2 * H * SIZE + i], 0);
    RIG_CLOSE(o[3 * H * SIZE + i], c.qkv[3 * ROW + 2 * H * SIZE + i], 0);
  }
  struct attention_case both = make_case(0);
  attention_loss(&both);
  for (int i = 0; i < H * SIZE; i++) /* the last row sees all keys either way */
    RIG_CLOSE(o[2 * H * SIZE + i], rig_read(&both.o)[2 * H * SIZE + i], 0);
}

void test_reference__rotary_keeps_norms_and_inverts(void **state) {
  (void)state;
  const struct attention_case c = make_case(0);
  const float *turned = run_rotary(&c, c.qkv, 0), *back = run_rotary(&c, turned, PLM_FLAG_INVERSE);
  double moved = 0;
  for (uint32_t i = 0; i < c.tokens * ROW; i += SIZE) {
    RIG_CLOSE(rig_dot(turned + i, turned + i, SIZE), rig_dot(c.qkv + i, c.qkv + i, SIZE), 5e-6);
    for (uint32_t e = 0; e < SIZE; e++) {
      RIG_CLOSE(back[i + e], c.qkv[i + e], 1e-6);
      if (i % ROW >= 2 * H * SIZE)
        RIG_CLOSE(turned[i + e], c.qkv[i + e], 0); /* v */
      moved += fabs(turned[i + e] - c.qkv[i + e]);
    }
  }
  assert_true(moved > 1);
  /* position 1, lowest frequency index 0: the angle is one radian */
  const float *x = c.qkv + ROW;
  RIG_CLOSE(turned[ROW], x[0] * cos(1) - x[HALF] * sin(1), 1e-6);
  RIG_CLOSE(turned[ROW + HALF], x[HALF] * cos(1) + x[0] * sin(1), 1e-6);
}

void test_reference__rotary_scores_depend_on_distance_only(void **state) {
  (void)state;
  struct attention_case c = make_case(0);
  c.sequences = 1;
  c.offsets[1] = 5;
  for (uint32_t t = 1; t < c.tokens; t++)
    memcpy(c.qkv + t * ROW, c.qkv, ROW * sizeof(float)); /* one q and one k at every position */
  const float *turned = run_rotary(&c, c.qkv, 0);
  const double near = rig_dot(turned, turned + ROW + H * SIZE, SIZE);
  RIG_CLOSE(rig_dot(turned + 3 * ROW, turned + 4 * ROW + H * SIZE, SIZE), near, 2e-6);
  assert_true(fabs(rig_dot(turned + ROW, turned + H * SIZE, SIZE) - near) >
              1e-3); /* the sign of the distance matters */
}

void test_reference__fused_rotary_is_rotary_then_attention(void **state) {
  (void)state;
  struct attention_case fused = make_case(PLM_FLAG_ROTARY), parts = make_case(0);
  attention_loss(&fused);
  memcpy(parts.qkv, run_rotary(&parts, parts.qkv, 0), parts.tokens * ROW * sizeof(float));
  attention_loss(&parts);
  for (uint32_t i = 0; i < fused.tokens * H * SIZE; i++)
    RIG_CLOSE(rig_read(&fused.o)[i], rig_read(&parts.o)[i], 1e-6);
}

void test_reference__sequences_do_not_see_each_other(void **state) {
  (void)state;
  struct attention_case c = make_case(0);
  attention_loss(&c);
  const float *before = rig_read(&c.o);
  for (int i = 0; i < ROW; i++)
    c.qkv[4 * ROW + i] = 50;
  attention_loss(&c);
  const float *after = rig_read(&c.o);
  assert_memory_equal(before, after, 3 * H * SIZE * sizeof(float));
  assert_true(fabs(before[3 * H * SIZE] - after[3 * H * SIZE]) > 1e-3);
}

static const float *run_attention_grad(const struct attention_case *c) {
  struct tables tables = make_tables(c);
  struct plm_op op = rig_op(PLM_OP_ATTENTION_GRAD, c->flags);
  op.u.attention_grad = (struct plm_op_attention_grad){.qkv = rig_f32(c->qkv, c->tokens * ROW),
                                                       .offsets = rig_i32(c->offsets, c->sequences + 1),
                                                       .positions = rig_i32(tables.positions, c->tokens),
                                                       .cosine = rig_f32(tables.cosine, TABLE * HALF),
                                                       .sine = rig_f32(tables.sine, TABLE * HALF),
                                                       .o = c->o,
                                                       .lse = c->lse,
                                                       .d_o = rig_f32(c->d_o, c->tokens * H * SIZE),
                                                       .dqkv = rig_f32(NULL, c->tokens * ROW),
                                                       .rows = {c->tokens, 0},
                                                       .sequences = {c->sequences, 0},
                                                       .heads = H,
                                                       .head_size = SIZE,
                                                       .length_max = T_MAX,
                                                       .table_rows = TABLE,
                                                       .scale = 0.5f};
  rig_run(&op);
  return rig_read(&op.u.attention_grad.dqkv);
}

void test_reference__attention_grad_matches_differences(void **state) {
  const uint32_t flags[] = {0, PLM_FLAG_ROTARY, PLM_FLAG_CAUSAL, PLM_FLAG_CAUSAL | PLM_FLAG_ROTARY};
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
    struct attention_case c = make_case(flags[i]);
    attention_loss(&c);
    rig_check_gradient(attention_loss, &c, c.qkv, c.tokens * ROW, run_attention_grad(&c), 5e-4, "qkv");
    rig_clear(state);
  }
}
