/* What the cpu backend promises beyond conformance: every instruction set and GEMM, any number of threads, exact
 * errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "check/check_case.h"
#include "runtime/plugin.h"

#define TOKENS 700u
#define WIDTH 72u
#define HEADS 6u
#define VOCABULARY 33u

static struct plm_plugin *load(const char *path, const char *isa, const char *gemm, uint32_t threads) {
  const struct plm_setting settings[] = {{"isa", isa}, {"gemm", gemm}};
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_plugin *plugin = NULL;
  if (plm_plugin_load(&plugin, path, settings, isa ? 2 : 0, threads, &err) == PLM_OK)
    return plugin;
  if (err.code != PLM_E_UNSUPPORTED)
    fail_msg("%s", err.text);
  print_message("skipped: %s\n", err.text);
  return NULL;
}

/* ------------------------------------------------------------------ conformance of every variant */

static void check_variant(const char *isa, const char *gemm, uint32_t *variants) {
  struct plm_plugin *cpu = load(CPU_PATH, isa, gemm, 3);
  if (!cpu)
    return;
  struct plm_plugin *reference = load(REFERENCE_PATH, NULL, NULL, 1);
  struct plm_check_all check = {
      .tested = &cpu->backend, .reference = &reference->backend, .seed = 2, .variant = -1, .stream = stdout};
  struct plm_check_counts counts = {0};
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_check_all_cases(&counts, &check, &err))
    fail_msg("%s", err.text);
  print_message("isa %s, gemm %s: %u passed, %u failed, %u declined\n", isa, gemm, counts.passed, counts.failed,
                counts.declined);
  assert_int_equal(counts.failed, 0);
  assert_int_equal(counts.declined, 0);
  assert_true(counts.passed > 0);
  ++*variants;
  plm_plugin_destroy(cpu);
  plm_plugin_destroy(reference);
}

static void test_cpu__every_instruction_set_and_gemm_matches_the_reference(void **state) {
  (void)state;
  uint32_t variants = 0;
  check_variant("baseline", "builtin", &variants);
  check_variant("avx2", "builtin", &variants);
  check_variant("avx512", "builtin", &variants);
  check_variant("auto", "library", &variants);
  check_variant("auto", "auto", &variants);
  assert_true(variants >= 1);
}

/* ------------------------------------------------------------------ any number of threads */

struct bench {
  struct plm_plugin *plugin;
  struct plm_device *device;
  struct plm_queue *queue;
  struct plm_view outputs[16];
  uint32_t output_count, op_count;
  struct plm_op ops[16];
};

static struct plm_view view_of(struct bench *b, uint64_t count, uint32_t type, const void *data) {
  struct plm_view view = {.bytes = count * 4, .type = type};
  struct plm_error err = PLM_ERROR_INIT;
  if (b->plugin->backend.buffer_create(b->device, view.bytes, PLM_BUFFER_DEVICE, &view.buffer, &err) ||
      b->plugin->backend.buffer_write(b->queue, view.buffer, 0, data, view.bytes, &err))
    fail_msg("%s", err.text);
  return view;
}

/* Numbers in -1..1 that depend on seed alone. */
static struct plm_view noise(struct bench *b, uint64_t count, uint32_t seed) {
  float *data = malloc(count * sizeof *data);
  assert_non_null(data);
  for (uint64_t i = 0; i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    data[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
  }
  struct plm_view view = view_of(b, count, PLM_TYPE_F32, data);
  free(data);
  return view;
}

static struct plm_view output(struct bench *b, uint64_t count, uint32_t seed) {
  return b->outputs[b->output_count++] = noise(b, count, seed);
}

static struct plm_op *add_op(struct bench *b, uint32_t kind, uint32_t flags) {
  struct plm_op *op = &b->ops[b->op_count];
  *op = (struct plm_op){
      .struct_size = sizeof *op, .kind = kind, .flags = flags, .index = b->op_count++, .type = PLM_TYPE_F32};
  return op;
}

static void open_bench(struct bench *b, uint32_t threads) {
  struct plm_error err = PLM_ERROR_INIT;
  memset(b, 0, sizeof *b);
  b->plugin = load(CPU_PATH, "auto", "auto", threads);
  assert_non_null(b->plugin);
  if (b->plugin->backend.device_open(0, &b->device, &err) ||
      b->plugin->backend.queue_create(b->device, &b->queue, &err))
    fail_msg("%s", err.text);
}

static void close_bench(struct bench *b, struct plm_view *views, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    b->plugin->backend.buffer_destroy(views[i].buffer);
  b->plugin->backend.queue_destroy(b->queue);
  b->plugin->backend.device_close(b->device);
  plm_plugin_destroy(b->plugin);
}

static void bind_workspaces(struct bench *b, struct plm_view *owned, uint32_t *owned_count) {
  struct plm_error err = PLM_ERROR_INIT;
  for (uint32_t i = 0; i < b->op_count; i++) {
    struct plm_verdict verdict = {.struct_size = sizeof verdict};
    if (b->plugin->backend.op_query(b->device, &b->ops[i], &verdict, &err))
      fail_msg("%s", err.text);
    assert_int_equal(verdict.status, PLM_VERDICT_SUPPORTED);
    assert_int_equal(verdict.deterministic, 1);
    if (verdict.workspace_bytes)
      b->ops[i].workspace = owned[(*owned_count)++] = noise(b, verdict.workspace_bytes / 4 + 1, 99);
  }
}

/* Attention and its gradient, every kind of sum, and products big enough for slices, tiles and edges. */
static void add_program(struct bench *b, struct plm_view *owned, uint32_t *owned_count) {
  static const int32_t offsets[] = {0, 1, 130, 130, 640, TOKENS};
  const struct plm_extent rows = {TOKENS, PLM_EXTENT_TOKENS}, sequences = {5, PLM_EXTENT_SEQUENCES};
  int32_t tokens[TOKENS];
  for (uint32_t t = 0; t < TOKENS; t++)
    tokens[t] = (int32_t)(t * 7 % VOCABULARY);
#define OWN(view) (owned[*owned_count] = (view), owned[(*owned_count)++])
  struct plm_view x = OWN(noise(b, TOKENS * WIDTH, 1)), w = OWN(noise(b, 4 * WIDTH * WIDTH, 2));
  struct plm_view wide = OWN(noise(b, TOKENS * 4 * WIDTH, 3)), bias = OWN(noise(b, 4 * WIDTH, 4));
  struct plm_view qkv = OWN(noise(b, TOKENS * 3 * WIDTH, 5)), small = OWN(noise(b, TOKENS, 6));
  struct plm_view ids = OWN(view_of(b, TOKENS, PLM_TYPE_I32, tokens));
  struct plm_view ends = OWN(view_of(b, 6, PLM_TYPE_I32, offsets));
  struct plm_view up = output(b, TOKENS * 4 * WIDTH, 7), dx = output(b, TOKENS * WIDTH, 8);
  struct plm_view dw = output(b, 4 * WIDTH * WIDTH, 9), db = output(b, 4 * WIDTH, 10),
                  o = output(b, TOKENS * WIDTH, 11);
  struct plm_view lse = output(b, TOKENS * HEADS, 12), dqkv = output(b, TOKENS * 3 * WIDTH, 13);
  struct plm_view dg = output(b, WIDTH, 14), dbeta = output(b, WIDTH, 15), dt = output(b, VOCABULARY * WIDTH, 16);
  struct plm_view norm = output(b, 4, 17), dsmall = output(b, 16 * 16, 18);
  add_op(b, PLM_OP_LINEAR, PLM_FLAG_BIAS | PLM_FLAG_GELU)->u.linear =
      (struct plm_op_linear){.x = x,
                             .w = w,
                             .bias = bias,
                             .y = up,
                             .pre = OWN(noise(b, TOKENS * 4 * WIDTH, 19)),
                             .rows = rows,
                             .in = WIDTH,
                             .out = 4 * WIDTH};
  add_op(b, PLM_OP_LINEAR_GRAD_INPUT, PLM_FLAG_ACCUMULATE)->u.linear_grad_input =
      (struct plm_op_linear_grad_input){.dy = wide, .w = w, .dx = dx, .rows = rows, .in = WIDTH, .out = 4 * WIDTH};
  add_op(b, PLM_OP_LINEAR_GRAD_WEIGHT, PLM_FLAG_BIAS)->u.linear_grad_weight =
      (struct plm_op_linear_grad_weight){wide, x, dw, db, rows, WIDTH, 4 * WIDTH};
  add_op(b, PLM_OP_LINEAR_GRAD_WEIGHT, 0)->u.linear_grad_weight =
      (struct plm_op_linear_grad_weight){.dy = wide, .x = x, .dw = dsmall, .rows = rows, .in = 16, .out = 16};
  add_op(b, PLM_OP_ATTENTION, 0)->u.attention = (struct plm_op_attention){.qkv = qkv,
                                                                          .offsets = ends,
                                                                          .o = o,
                                                                          .lse = lse,
                                                                          .rows = rows,
                                                                          .sequences = sequences,
                                                                          .heads = HEADS,
                                                                          .head_size = WIDTH / HEADS,
                                                                          .length_max = 600,
                                                                          .scale = 0.3f};
  add_op(b, PLM_OP_ATTENTION_GRAD, 0)->u.attention_grad = (struct plm_op_attention_grad){.qkv = qkv,
                                                                                         .offsets = ends,
                                                                                         .o = o,
                                                                                         .lse = lse,
                                                                                         .d_o = x,
                                                                                         .dqkv = dqkv,
                                                                                         .rows = rows,
                                                                                         .sequences = sequences,
                                                                                         .heads = HEADS,
                                                                                         .head_size = WIDTH / HEADS,
                                                                                         .length_max = 600,
                                                                                         .scale = 0.3f};
  add_op(b, PLM_OP_LAYER_NORM_GRAD, PLM_FLAG_ACCUMULATE)->u.layer_norm_grad =
      (struct plm_op_layer_norm_grad){o, x, bias, small, small, dx, dg, dbeta, rows, WIDTH, 0};
  add_op(b, PLM_OP_EMBED_GRAD, 0)->u.embed_grad =
      (struct plm_op_embed_grad){dx, ids, small, dt, rows, VOCABULARY, WIDTH};
  add_op(b, PLM_OP_BIAS_GRAD, 0)->u.bias_grad = (struct plm_op_bias_grad){dx, dg, rows, WIDTH, 0};
  add_op(b, PLM_OP_GRAD_NORM, 0)->u.grad_norm = (struct plm_op_grad_norm){dqkv, norm, TOKENS * 3 * WIDTH, 1.0f, 0};
  bind_workspaces(b, owned, owned_count);
}

/* All outputs, one after the other, after one run of the program; by single ops when threads is 0. */
static unsigned char *run_program(uint32_t threads, size_t *bytes) {
  struct bench b;
  struct plm_view owned[40];
  uint32_t owned_count = 0, failed = 0;
  struct plm_error err = PLM_ERROR_INIT;
  open_bench(&b, threads ? threads : 2);
  add_program(&b, owned, &owned_count);
  if (threads && b.plugin->backend.program_run(b.queue, b.ops, b.op_count, &failed, &err))
    fail_msg("op %u: %s", failed, err.text);
  for (uint32_t i = 0; !threads && i < b.op_count; i++)
    if (b.plugin->backend.op_run(b.queue, &b.ops[i], &err))
      fail_msg("%s", err.text);
  *bytes = 0;
  for (uint32_t i = 0; i < b.output_count; i++)
    *bytes += b.outputs[i].bytes;
  unsigned char *all = malloc(*bytes), *at = all;
  assert_non_null(all);
  for (uint32_t i = 0; i < b.output_count; at += b.outputs[i++].bytes)
    if (b.plugin->backend.buffer_read(b.queue, b.outputs[i].buffer, 0, at, b.outputs[i].bytes, &err))
      fail_msg("%s", err.text);
  for (uint32_t i = 0; i < b.output_count; i++)
    owned[owned_count++] = b.outputs[i];
  close_bench(&b, owned, owned_count);
  return all;
}

static void test_cpu__any_number_of_threads_gives_the_same_bits(void **state) {
  (void)state;
  size_t bytes, again_bytes;
  unsigned char *one = run_program(1, &bytes);
  static const uint32_t threads[] = {2, 3, 7, 1, 0};
  for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
    unsigned char *again = run_program(threads[i], &again_bytes);
    assert_int_equal(bytes, again_bytes);
    if (memcmp(one, again, bytes) != 0)
      fail_msg("%u threads give other bits than 1 (0: op by op)", threads[i]);
    free(again);
  }
  const float *norm = (const float *)(const void *)(one + bytes - (16 * 16 + 4) * sizeof(float));
  assert_true(norm[0] > 0 && norm[1] == 1.0f);
  free(one);
}

/* ------------------------------------------------------------------ errors inside a program */

static void test_cpu__bad_token_stops_the_program_at_its_op(void **state) {
  (void)state;
  struct bench b;
  struct plm_error err = PLM_ERROR_INIT;
  uint32_t failed = 77;
  int32_t tokens[TOKENS] = {0};
  tokens[123] = 40;
  open_bench(&b, 2);
  const struct plm_extent rows = {TOKENS, PLM_EXTENT_TOKENS};
  struct plm_view views[] = {noise(&b, TOKENS * WIDTH, 1), noise(&b, VOCABULARY * WIDTH, 2),
                             view_of(&b, TOKENS, PLM_TYPE_I32, tokens), noise(&b, TOKENS, 3)};
  const float two = 2.0f;
  float first;
  add_op(&b, PLM_OP_FILL, 0)->u.fill = (struct plm_op_fill){views[0], TOKENS * WIDTH, two, 0};
  add_op(&b, PLM_OP_EMBED, 0)->u.embed =
      (struct plm_op_embed){views[1], views[2], views[3], views[0], rows, VOCABULARY, WIDTH};
  add_op(&b, PLM_OP_FILL, 0)->u.fill = (struct plm_op_fill){views[1], VOCABULARY * WIDTH, two, 0};
  assert_int_equal(b.plugin->backend.program_run(b.queue, b.ops, 3, &failed, &err), PLM_E_INVALID);
  assert_int_equal(failed, 1);
  assert_int_equal(err.op_kind, PLM_OP_EMBED);
  assert_non_null(strstr(err.text, "tokens[123] = 40 is not in 0..32"));
  assert_int_equal(b.plugin->backend.buffer_read(b.queue, views[1].buffer, 0, &first, sizeof first, &err), PLM_OK);
  assert_true(first != two);
  close_bench(&b, views, 4);
}

/* ------------------------------------------------------------------ vector functions */

struct math {
  uint64_t struct_size;
  void (*apply)(int function, const float *x, float *y, uint64_t count);
};
enum { EXP, EXP2, GELU, GELU_SLOPE };

static double exact(int function, double x) {
  const double normal = 0.5 * erfc(-x * M_SQRT1_2);
  switch (function) {
  case EXP:
    return exp(x);
  case EXP2:
    return exp2(x);
  case GELU:
    return x * normal;
  default:
    return normal + x * exp(-x * x / 2) * (M_2_SQRTPI * M_SQRT1_2 / 2);
  }
}

/* The largest relative and absolute error over a sweep of [low, high]. */
static void measure(const struct math *math, int function, double low, double high, double *relative,
                    double *absolute) {
  enum { COUNT = 1000003 };
  float *x = malloc(COUNT * sizeof *x), *y = malloc(COUNT * sizeof *y);
  assert_true(x && y);
  for (int i = 0; i < COUNT; i++)
    x[i] = (float)(low + (high - low) * i / (COUNT - 1));
  math->apply(function, x, y, COUNT);
  *relative = *absolute = 0;
  for (int i = 0; i < COUNT; i++) {
    const double expected = exact(function, (double)x[i]), error = fabs((double)y[i] - expected);
    *absolute = fmax(*absolute, error);
    if (fabs(expected) > 0x1p-120)
      *relative = fmax(*relative, error / fabs(expected));
  }
  free(x);
  free(y);
}

/* The bounds of docs/numerics.md. */
static void check_math(const char *isa, uint32_t *checked) {
  struct plm_plugin *cpu = load(CPU_PATH, isa, "auto", 1);
  if (!cpu)
    return;
  const struct math *math = cpu->backend.extension("x_cpu_math", 1);
  assert_non_null(math);
  double relative, absolute;
  measure(math, EXP, -87, 88, &relative, &absolute);
  print_message("%s: exp relative %.3g", isa, relative);
  assert_true(relative < 2.0e-7);
  measure(math, EXP2, -125, 126, &relative, &absolute);
  print_message("; exp2 relative %.3g", relative);
  assert_true(relative < 1.5e-7);
  measure(math, GELU, -6, 6, &relative, &absolute);
  print_message("; gelu relative %.3g, absolute %.3g", relative, absolute);
  assert_true(relative < 2e-6 && absolute < 6e-7);
  measure(math, GELU, -14, -6, &relative, &absolute);
  print_message("; tail absolute %.3g", absolute);
  assert_true(absolute < 1e-13);
  measure(math, GELU_SLOPE, -12, 12, &relative, &absolute);
  print_message("; gelu slope absolute %.3g\n", absolute);
  assert_true(absolute < 4e-7);
  ++*checked;
  plm_plugin_destroy(cpu);
}

static void test_cpu__vector_functions_keep_their_error_bounds(void **state) {
  (void)state;
  uint32_t checked = 0;
  check_math("baseline", &checked);
  check_math("avx2", &checked);
  check_math("avx512", &checked);
  assert_true(checked >= 1);
}

static void test_cpu__vector_functions_keep_nan_and_the_ends(void **state) {
  (void)state;
  static const char *const isas[] = {"baseline", "avx2", "avx512"};
  for (size_t i = 0; i < 3; i++) {
    struct plm_plugin *cpu = load(CPU_PATH, isas[i], "auto", 1);
    if (!cpu)
      continue;
    const struct math *math = cpu->backend.extension("x_cpu_math", 1);
    const float x[] = {NAN, -INFINITY, -1000.0f, 0.0f, -0.0f, INFINITY};
    float y[6];
    for (int f = EXP; f <= GELU_SLOPE; f++) {
      math->apply(f, x, y, 6);
      assert_true(isnan(y[0]));
      assert_true(f == EXP || f == EXP2 ? y[1] == 0.0f && y[2] == 0.0f && y[3] == 1.0f : y[2] == 0.0f);
    }
    math->apply(GELU, x, y, 6);
    assert_true(y[3] == 0.0f && !signbit(y[3]) && y[4] == 0.0f && signbit(y[4]) && isinf(y[5]));
    plm_plugin_destroy(cpu);
  }
}

/* ------------------------------------------------------------------ options and device */

static void test_cpu__options_that_do_not_fit_are_refused(void **state) {
  (void)state;
  static const struct plm_setting wrong[] = {{"isa", "sse9"}, {"gemm", "fast"}, {"threads", "-1"}};
  for (size_t i = 0; i < 3; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    struct plm_plugin *plugin = NULL;
    assert_int_not_equal(plm_plugin_load(&plugin, CPU_PATH, &wrong[i], 1, 1, &err), PLM_OK);
    assert_null(plugin);
    assert_non_null(strstr(err.text, wrong[i].name));
    assert_non_null(strstr(err.text, wrong[i].value));
  }
}

static void test_cpu__device_names_its_instruction_set_and_gemm(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_device_info info = {.struct_size = sizeof info};
  struct plm_plugin *cpu = load(CPU_PATH, "baseline", "builtin", 1);
  assert_non_null(cpu);
  assert_int_equal(plm_plugin_describe(&info, cpu, 0, &err), PLM_OK);
  assert_memory_equal(info.id, "cpu:", 4);
  assert_true(strlen(info.id) > 4 && info.compute_units >= 1 && info.memory_bytes > 0);
  assert_non_null(strstr(info.driver_version, "baseline"));
  assert_non_null(strstr(info.driver_version, "GEMM built in"));
  plm_plugin_destroy(cpu);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cpu__every_instruction_set_and_gemm_matches_the_reference),
      cmocka_unit_test(test_cpu__any_number_of_threads_gives_the_same_bits),
      cmocka_unit_test(test_cpu__bad_token_stops_the_program_at_its_op),
      cmocka_unit_test(test_cpu__vector_functions_keep_their_error_bounds),
      cmocka_unit_test(test_cpu__vector_functions_keep_nan_and_the_ends),
      cmocka_unit_test(test_cpu__options_that_do_not_fit_are_refused),
      cmocka_unit_test(test_cpu__device_names_its_instruction_set_and_gemm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
