/* What the opencl backend's attention promises beyond conformance, in both policies on the first device there is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "plmscale/kernels.h"
#include "runtime/plugin.h"

#define HEADS 2u
#define SIZE 8u
#define ROW (HEADS * SIZE)
#define TABLE_ROWS 640u
#define SEQUENCES 3u
#define TOKENS (37u + 600u + 5u)
static const uint32_t lengths[SEQUENCES] = {37, 600, 5};
static const char *const policies[] = {"cpu", "gpu"};

/* ---------------------------------------------------------------- a device */

struct rig {
  struct plm_plugin *plugin;
  const struct plm_backend *backend;
  struct plm_device *device;
  struct plm_queue *queue;
  struct plm_buffer *buffers[16];
  uint32_t buffer_count;
};

#define RUN(call)           \
  do {                      \
    if (call)               \
      fail_msg("%s", err.text); \
  } while (0)

static void rig_open(struct rig *rig, const char *policy, const char *launch_seconds) {
  const struct plm_setting settings[] = {{"policy", policy}, {"launch_seconds", launch_seconds}};
  struct plm_error err = PLM_ERROR_INIT;
  uint32_t devices = 0;
  *rig = (struct rig){0};
  RUN(plm_plugin_load(&rig->plugin, OPENCL_PATH, settings, 2, 2, &err));
  rig->backend = &rig->plugin->backend;
  RUN(rig->backend->device_count(&devices, &err));
  if (devices == 0)
    skip();
  RUN(rig->backend->device_open(0, &rig->device, &err));
  RUN(rig->backend->queue_create(rig->device, &rig->queue, &err));
}

static void rig_clear(struct rig *rig) {
  for (uint32_t i = 0; i < rig->buffer_count; i++)
    rig->backend->buffer_destroy(rig->buffers[i]);
  rig->buffer_count = 0;
}

static void rig_close(struct rig *rig) {
  rig_clear(rig);
  rig->backend->queue_destroy(rig->queue);
  rig->backend->device_close(rig->device);
  plm_plugin_destroy(rig->plugin);
}

/* A view of its own buffer that holds data; NULL: whatever it holds. */
static struct plm_view rig_view(struct rig *rig, const void *data, uint64_t count, uint32_t type) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_view view = {.bytes = 4 * count, .type = type};
  RUN(rig->backend->buffer_create(rig->device, 4 * count + 64, PLM_BUFFER_DEVICE, &view.buffer, &err));
  rig->buffers[rig->buffer_count++] = view.buffer;
  if (data)
    RUN(rig->backend->buffer_write(rig->queue, view.buffer, 0, data, view.bytes, &err));
  return view;
}

static void rig_read(struct rig *rig, float *out, const struct plm_view *view) {
  struct plm_error err = PLM_ERROR_INIT;
  RUN(rig->backend->buffer_read(rig->queue, view->buffer, 0, out, view->bytes, &err));
}

/* ---------------------------------------------------------------- a batch */

struct batch {
  float qkv[TOKENS * 3 * ROW], d_o[TOKENS * ROW], cosine[TABLE_ROWS * SIZE / 2], sine[TABLE_ROWS * SIZE / 2];
  int32_t offsets[SEQUENCES + 1], positions[TOKENS];
  uint32_t tokens, sequences;
};

struct result {
  float o[TOKENS * ROW], lse[TOKENS * HEADS], dqkv[TOKENS * 3 * ROW];
};

static struct batch *make_batch(void) {
  struct batch *b = calloc(1, sizeof *b);
  assert_non_null(b);
  b->sequences = SEQUENCES;
  plm_rng_normal(b->qkv, TOKENS * 3 * ROW, 1.0f, 7, 1, 0, 0);
  plm_rng_normal(b->d_o, TOKENS * ROW, 1.0f, 7, 2, 0, 0);
  for (uint32_t s = 0; s < SEQUENCES; s++) {
    for (uint32_t i = 0; i < lengths[s]; i++)
      b->positions[b->tokens++] = (int32_t)i;
    b->offsets[s + 1] = (int32_t)b->tokens;
  }
  for (uint32_t i = 0; i < TABLE_ROWS * SIZE / 2; i++) {
    const double angle = i / (SIZE / 2) * pow(100, -2.0 * (i % (SIZE / 2)) / SIZE);
    b->cosine[i] = (float)cos(angle);
    b->sine[i] = (float)sin(angle);
  }
  return b;
}

/* Sequence s of b by itself. */
static struct batch *make_alone(const struct batch *b, uint32_t s) {
  struct batch *alone = calloc(1, sizeof *alone);
  assert_non_null(alone);
  const uint32_t first = (uint32_t)b->offsets[s];
  *alone = *b;
  alone->sequences = 1;
  alone->tokens = lengths[s];
  alone->offsets[1] = (int32_t)lengths[s];
  memmove(alone->qkv, b->qkv + first * 3 * ROW, sizeof(float) * lengths[s] * 3 * ROW);
  memmove(alone->d_o, b->d_o + first * ROW, sizeof(float) * lengths[s] * ROW);
  memmove(alone->positions, b->positions + first, sizeof(int32_t) * lengths[s]);
  return alone;
}

/* The op with the workspace that it asks for, run; what queue_finish says. */
static int run_op(struct rig *rig, struct plm_op *op, struct plm_error *err) {
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  if (rig->backend->op_query(rig->device, op, &verdict, err))
    fail_msg("%s", err->text);
  assert_int_equal(verdict.status, PLM_VERDICT_SUPPORTED);
  assert_int_equal(verdict.deterministic, 1);
  if (verdict.workspace_bytes)
    op->workspace = rig_view(rig, NULL, verdict.workspace_bytes / 4, PLM_TYPE_F32);
  if (rig->backend->op_run(rig->queue, op, err))
    fail_msg("%s", err->text);
  return rig->backend->queue_finish(rig->queue, err);
}

static struct plm_op forward_op(struct rig *rig, const struct batch *b, uint32_t length_max) {
  const uint64_t T = b->tokens, half = SIZE / 2;
  struct plm_op op = {.struct_size = sizeof op,
                      .kind = PLM_OP_ATTENTION,
                      .flags = PLM_FLAG_ROTARY,
                      .type = PLM_TYPE_F32};
  op.u.attention = (struct plm_op_attention){.qkv = rig_view(rig, b->qkv, T * 3 * ROW, PLM_TYPE_F32),
                                             .offsets = rig_view(rig, b->offsets, b->sequences + 1, PLM_TYPE_I32),
                                             .positions = rig_view(rig, b->positions, T, PLM_TYPE_I32),
                                             .cosine = rig_view(rig, b->cosine, TABLE_ROWS * half, PLM_TYPE_F32),
                                             .sine = rig_view(rig, b->sine, TABLE_ROWS * half, PLM_TYPE_F32),
                                             .o = rig_view(rig, NULL, T * ROW, PLM_TYPE_F32),
                                             .lse = rig_view(rig, NULL, T * HEADS, PLM_TYPE_F32),
                                             .rows = {b->tokens, PLM_EXTENT_TOKENS},
                                             .sequences = {b->sequences, PLM_EXTENT_SEQUENCES},
                                             .heads = HEADS,
                                             .head_size = SIZE,
                                             .length_max = length_max,
                                             .table_rows = TABLE_ROWS,
                                             .scale = 0.35f};
  return op;
}

static struct plm_op gradient_op(struct rig *rig, const struct batch *b, const struct plm_op *forward) {
  const struct plm_op_attention *a = &forward->u.attention;
  struct plm_op op = *forward;
  op.kind = PLM_OP_ATTENTION_GRAD;
  op.workspace = (struct plm_view){0};
  op.u.attention_grad =
      (struct plm_op_attention_grad){.qkv = a->qkv,
                                     .offsets = a->offsets,
                                     .positions = a->positions,
                                     .cosine = a->cosine,
                                     .sine = a->sine,
                                     .o = a->o,
                                     .lse = a->lse,
                                     .d_o = rig_view(rig, b->d_o, b->tokens * ROW, PLM_TYPE_F32),
                                     .dqkv = rig_view(rig, NULL, b->tokens * 3 * ROW, PLM_TYPE_F32),
                                     .rows = a->rows,
                                     .sequences = a->sequences,
                                     .heads = a->heads,
                                     .head_size = a->head_size,
                                     .length_max = a->length_max,
                                     .table_rows = a->table_rows,
                                     .scale = a->scale};
  return op;
}

/* Forward and gradient. Owned by the caller. */
static struct result *run_batch(struct rig *rig, const struct batch *b) {
  struct result *r = calloc(1, sizeof *r);
  struct plm_error err = PLM_ERROR_INIT;
  assert_non_null(r);
  struct plm_op forward = forward_op(rig, b, 600);
  RUN(run_op(rig, &forward, &err));
  struct plm_op gradient = gradient_op(rig, b, &forward);
  RUN(run_op(rig, &gradient, &err));
  rig_read(rig, r->o, &forward.u.attention.o);
  rig_read(rig, r->lse, &forward.u.attention.lse);
  rig_read(rig, r->dqkv, &gradient.u.attention_grad.dqkv);
  rig_clear(rig);
  return r;
}

/* Rows first .. first+count-1 of a are rows 0 .. of b, bit by bit. */
static void assert_same(const struct result *a, uint32_t first, const struct result *b, uint32_t other,
                        uint32_t count) {
  assert_memory_equal(a->o + first * ROW, b->o + other * ROW, sizeof(float) * count * ROW);
  assert_memory_equal(a->lse + first * HEADS, b->lse + other * HEADS, sizeof(float) * count * HEADS);
  assert_memory_equal(a->dqkv + first * 3 * ROW, b->dqkv + other * 3 * ROW, sizeof(float) * count * 3 * ROW);
}

/* ---------------------------------------------------------------- tests */

static void test_opencl_attention__a_sequence_is_the_same_in_any_company(void **state) {
  (void)state;
  struct batch *b = make_batch();
  for (uint32_t policy = 0; policy < 2; policy++) {
    struct rig rig;
    rig_open(&rig, policies[policy], "0.5");
    struct result *together = run_batch(&rig, b);
    for (uint32_t s = 0; s < SEQUENCES; s++) {
      struct batch *alone = make_alone(b, s);
      struct result *r = run_batch(&rig, alone);
      assert_same(together, (uint32_t)b->offsets[s], r, 0, lengths[s]);
      free(r);
      free(alone);
    }
    free(together);
    rig_close(&rig);
  }
  free(b);
}

static void test_opencl_attention__a_bad_sequence_spoils_no_other(void **state) {
  (void)state;
  struct batch *b = make_batch();
  const uint32_t first = (uint32_t)b->offsets[1], after = (uint32_t)b->offsets[2];
  for (uint32_t policy = 0; policy < 2; policy++) {
    struct rig rig;
    rig_open(&rig, policies[policy], "0.5");
    struct result *good = run_batch(&rig, b);
    const float kept = b->qkv[(after - 1) * 3 * ROW + ROW];
    b->qkv[(after - 1) * 3 * ROW + ROW] = NAN; /* the last key of the middle sequence, head 0 */
    struct result *bad = run_batch(&rig, b);
    b->qkv[(after - 1) * 3 * ROW + ROW] = kept;
    assert_same(good, 0, bad, 0, first);
    assert_same(good, after, bad, after, TOKENS - after);
    for (uint32_t t = first; t < after; t++)
      assert_true(isnan(bad->lse[t * HEADS]) && isnan(bad->o[t * ROW]));
    free(good);
    free(bad);
    rig_close(&rig);
  }
  free(b);
}

static void test_opencl_attention__cut_launches_change_no_bit(void **state) {
  (void)state;
  struct batch *b = make_batch();
  for (uint32_t policy = 0; policy < 2; policy++) {
    struct rig rig;
    rig_open(&rig, policies[policy], "0");
    struct result *whole = run_batch(&rig, b);
    rig_close(&rig);
    rig_open(&rig, policies[policy], "1e-6");
    struct result *cut = run_batch(&rig, b);
    rig_close(&rig);
    assert_same(whole, 0, cut, 0, TOKENS);
    free(whole);
    free(cut);
  }
  free(b);
}

/* Largest difference of a and b over the largest number in a. */
static double distance(const float *a, const float *b, uint32_t count) {
  double most = 0, apart = 0;
  for (uint32_t i = 0; i < count; i++) {
    most = fmax(most, fabs((double)a[i]));
    apart = fmax(apart, fabs((double)a[i] - b[i]));
    assert_true(isfinite(b[i]));
  }
  return apart / most;
}

static uint32_t choose(struct rig *rig, const struct plm_op *op, uint32_t which) {
  const struct plm_kernels_extension *kernels = rig->backend->extension(PLM_KERNELS_EXTENSION, PLM_KERNELS_VERSION);
  struct plm_error err = PLM_ERROR_INIT;
  char name[PLM_KERNELS_NAME] = "";
  uint32_t count = 0;
  assert_non_null(kernels);
  RUN(kernels->count(rig->device, op, &count, &err));
  RUN(kernels->name(rig->device, op, which % count, name, &err));
  RUN(kernels->choose(rig->device, op, which % count, 0, &err));
  print_message("%s: %s\n", plm_op_name(op->kind), name);
  return count;
}

static void test_opencl_attention__every_choice_gives_the_same_numbers(void **state) {
  (void)state;
  struct batch *b = make_batch();
  for (uint32_t policy = 0; policy < 2; policy++) {
    struct rig rig;
    rig_open(&rig, policies[policy], "0.5");
    struct result *standard = run_batch(&rig, b);
    const struct plm_op forward = forward_op(&rig, b, 600), gradient = gradient_op(&rig, b, &forward);
    rig_clear(&rig);
    uint32_t count = 2;
    for (uint32_t which = 1; which < count; which++) {
      const uint32_t forwards = choose(&rig, &forward, which), gradients = choose(&rig, &gradient, which);
      count = forwards > gradients ? forwards : gradients;
      struct result *r = run_batch(&rig, b);
      assert_true(distance(standard->o, r->o, TOKENS * ROW) < 1e-5);
      assert_true(distance(standard->lse, r->lse, TOKENS * HEADS) < 1e-6);
      assert_true(distance(standard->dqkv, r->dqkv, TOKENS * 3 * ROW) < 1e-5);
      free(r);
    }
    assert_true(count >= 3);
    free(standard);
    rig_close(&rig);
  }
  free(b);
}

/* The op on b in both policies fails with this text, and the queue then works again. */
static void expect_fault(const struct batch *b, uint32_t length_max, const char *text) {
  struct batch *good = make_batch();
  for (uint32_t policy = 0; policy < 2; policy++) {
    struct rig rig;
    struct plm_error err = PLM_ERROR_INIT;
    rig_open(&rig, policies[policy], "0.5");
    struct plm_op forward = forward_op(&rig, b, length_max);
    assert_int_equal(run_op(&rig, &forward, &err), PLM_E_INVALID);
    assert_int_equal(err.op_kind, PLM_OP_ATTENTION);
    if (!strstr(err.text, text))
      fail_msg("\"%s\" does not say \"%s\"", err.text, text);
    struct plm_op gradient = gradient_op(&rig, b, &forward);
    assert_int_equal(run_op(&rig, &gradient, &err), PLM_E_INVALID);
    assert_int_equal(err.op_kind, PLM_OP_ATTENTION_GRAD);
    rig_clear(&rig);
    free(run_batch(&rig, good));
    rig_close(&rig);
  }
  free(good);
}

static void test_opencl_attention__wrong_offsets_are_reported(void **state) {
  (void)state;
  struct batch *b = make_batch();
  expect_fault(b, 599, "offsets[2] = 637 is not in 0..636");
  b->offsets[2] = 30;
  expect_fault(b, 640, "offsets[2] = 30 does not ascend");
  b->offsets[2] = (int32_t)TOKENS;
  b->offsets[3] = (int32_t)TOKENS + 1;
  expect_fault(b, 640, "offsets[3] = 643, must be 642");
  b->offsets[3] = (int32_t)TOKENS;
  b->offsets[0] = 2;
  expect_fault(b, 640, "offsets[0] = 2, must be 0");
  free(b);
}

static void test_opencl_attention__wrong_positions_are_reported(void **state) {
  (void)state;
  struct batch *b = make_batch();
  b->positions[40] = (int32_t)TABLE_ROWS;
  expect_fault(b, 600, "positions[40] = 640 is not in 0..639");
  b->positions[40] = -1;
  expect_fault(b, 600, "positions[40] = -1 is not in 0..639");
  free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_opencl_attention__a_sequence_is_the_same_in_any_company),
      cmocka_unit_test(test_opencl_attention__a_bad_sequence_spoils_no_other),
      cmocka_unit_test(test_opencl_attention__cut_launches_change_no_bit),
      cmocka_unit_test(test_opencl_attention__every_choice_gives_the_same_numbers),
      cmocka_unit_test(test_opencl_attention__wrong_offsets_are_reported),
      cmocka_unit_test(test_opencl_attention__wrong_positions_are_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
