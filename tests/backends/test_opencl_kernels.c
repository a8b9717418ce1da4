/*
 * The opencl backend's matrix products and its choice among them (x_kernels): every implementation computes the same
 * products, slices do not depend on threads, values that are not finite stay in their rows, and a profile is taken only by
 * the device, driver, library and kernels that it was made for. CTest gives it a folder of its own for the user's profile.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "plmscale/kernels.h"
#include "runtime/plugin.h"

#define ROWS 1100u /* several slices of a weight gradient, and no multiple of any tile */
#define IN 70u
#define OUT 35u
#define MOST (ROWS * (IN + OUT))

/* ---------------------------------------------------------------- a device */

struct bench {
  struct plm_plugin *plugin;
  const struct plm_backend *backend;
  const struct plm_kernels_extension *kernels;
  struct plm_device *device;
  struct plm_queue *queue;
  struct plm_buffer *buffers[64];
  uint32_t buffer_count;
};

#define MUST(call)                              \
  do {                                          \
    struct plm_error must_err = PLM_ERROR_INIT; \
    if (call)                                   \
      fail_msg("%s: %s", #call, must_err.text); \
  } while (0)

/* Loads with options and opens device 0; the code of device_open. Skips where there is no device. */
static int try_open(struct bench *b, const struct plm_setting *settings, uint32_t count, uint32_t threads,
                    struct plm_error *err) {
  uint32_t devices = 0;
  *b = (struct bench){0};
  MUST(plm_plugin_load(&b->plugin, OPENCL_PATH, settings, count, threads, &must_err));
  b->backend = &b->plugin->backend;
  MUST(plm_plugin_device_count(&devices, b->plugin, &must_err));
  if (devices == 0)
    skip();
  b->kernels = b->backend->extension(PLM_KERNELS_EXTENSION, PLM_KERNELS_VERSION);
  assert_non_null(b->kernels);
  const int code = b->backend->device_open(0, &b->device, err);
  if (!code)
    MUST(b->backend->queue_create(b->device, &b->queue, &must_err));
  return code;
}

static void open_bench(struct bench *b, const char *name, const char *value, uint32_t threads) {
  const struct plm_setting setting = {name, value};
  struct plm_error err = PLM_ERROR_INIT;
  if (try_open(b, &setting, name ? 1 : 0, threads, &err))
    fail_msg("%s", err.text);
}

static void clear(struct bench *b) {
  while (b->buffer_count > 0)
    b->backend->buffer_destroy(b->buffers[--b->buffer_count]);
}

static void close_bench(struct bench *b) {
  clear(b);
  b->backend->queue_destroy(b->queue);
  b->backend->device_close(b->device);
  plm_plugin_destroy(b->plugin);
}

static struct plm_view view_of(struct bench *b, const float *data, uint64_t count) {
  struct plm_view view = {.bytes = 4 * count, .type = PLM_TYPE_F32};
  MUST(b->backend->buffer_create(b->device, view.bytes, PLM_BUFFER_DEVICE, &view.buffer, &must_err));
  b->buffers[b->buffer_count++] = view.buffer;
  if (data)
    MUST(b->backend->buffer_write(b->queue, view.buffer, 0, data, view.bytes, &must_err));
  return view;
}

static void run(struct bench *b, struct plm_op *op) {
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  MUST(b->backend->op_query(b->device, op, &verdict, &must_err));
  assert_int_equal(verdict.status, PLM_VERDICT_SUPPORTED);
  if (verdict.workspace_bytes)
    op->workspace = view_of(b, NULL, verdict.workspace_bytes / 4 + 1);
  MUST(b->backend->op_run(b->queue, op, &must_err));
}

static void read_view(struct bench *b, float *out, const struct plm_view *view) {
  MUST(b->backend->buffer_read(b->queue, view->buffer, view->offset, out, view->bytes, &must_err));
}

/* ---------------------------------------------------------------- the three ops on the same data */

static float x[ROWS * IN], w[OUT * IN], dy[ROWS * OUT], got[MOST], before[MOST];

static int make_data(void **state) {
  (void)state;
  plm_rng_normal(x, ROWS * IN, 1, 1, PLM_RNG_TEST, 0, 1);
  plm_rng_normal(w, OUT * IN, 1, 1, PLM_RNG_TEST, 0, 2);
  plm_rng_normal(dy, ROWS * OUT, 1, 1, PLM_RNG_TEST, 0, 3);
  return 0;
}

static struct plm_op unbound(uint32_t kind, uint32_t rows) {
  struct plm_op op = {.struct_size = sizeof op, .kind = kind, .type = PLM_TYPE_F32};
  const struct plm_extent extent = {rows, PLM_EXTENT_TOKENS};
  if (kind == PLM_OP_LINEAR)
    op.u.linear = (struct plm_op_linear){.rows = extent, .in = IN, .out = OUT};
  else if (kind == PLM_OP_LINEAR_GRAD_INPUT)
    op.u.linear_grad_input = (struct plm_op_linear_grad_input){.rows = extent, .in = IN, .out = OUT};
  else
    op.u.linear_grad_weight = (struct plm_op_linear_grad_weight){.rows = extent, .in = IN, .out = OUT};
  return op;
}

/* Runs the op over all rows; its result, of *count elements, is in got. dw begins as zeros. */
static void product(struct bench *b, uint32_t kind, uint64_t *count) {
  static const float zeros[OUT * IN];
  struct plm_op op = unbound(kind, ROWS);
  struct plm_view result;
  if (kind == PLM_OP_LINEAR) {
    op.u.linear.x = view_of(b, x, ROWS * IN);
    op.u.linear.w = view_of(b, w, OUT * IN);
    result = op.u.linear.y = view_of(b, NULL, ROWS * OUT);
  } else if (kind == PLM_OP_LINEAR_GRAD_INPUT) {
    op.u.linear_grad_input.dy = view_of(b, dy, ROWS * OUT);
    op.u.linear_grad_input.w = view_of(b, w, OUT * IN);
    result = op.u.linear_grad_input.dx = view_of(b, NULL, ROWS * IN);
  } else {
    op.u.linear_grad_weight.dy = view_of(b, dy, ROWS * OUT);
    op.u.linear_grad_weight.x = view_of(b, x, ROWS * IN);
    result = op.u.linear_grad_weight.dw = view_of(b, zeros, OUT * IN);
  }
  run(b, &op);
  read_view(b, got, &result);
  *count = result.bytes / 4;
  clear(b);
}

static double expected(uint32_t kind, uint32_t i, double *magnitude) {
  double sum = 0;
  *magnitude = 0;
  const uint32_t columns = kind == PLM_OP_LINEAR ? OUT : IN, row = i / columns, column = i % columns;
  const uint32_t depth = kind == PLM_OP_LINEAR ? IN : kind == PLM_OP_LINEAR_GRAD_INPUT ? OUT : ROWS;
  for (uint32_t k = 0; k < depth; k++) {
    const double term = kind == PLM_OP_LINEAR              ? (double)x[row * IN + k] * w[column * IN + k]
                        : kind == PLM_OP_LINEAR_GRAD_INPUT ? (double)dy[row * OUT + k] * w[k * IN + column]
                                                           : (double)dy[k * OUT + row] * x[k * IN + column];
    sum += term;
    *magnitude += fabs(term);
  }
  return sum;
}

static void check_product(uint32_t kind, uint64_t count, const char *who) {
  for (uint32_t i = 0; i < count; i++) {
    double magnitude;
    const double right = expected(kind, i, &magnitude);
    if (!(fabs(got[i] - right) <= 6e-8 * (8 + 2 * sqrt(ROWS)) * magnitude))
      fail_msg("%s: %s[%u] is %.9g, expected %.9g", who, plm_op_name(kind), i, got[i], right);
  }
}

static const uint32_t kinds[] = {PLM_OP_LINEAR, PLM_OP_LINEAR_GRAD_INPUT, PLM_OP_LINEAR_GRAD_WEIGHT};

/* ---------------------------------------------------------------- implementations */

static void every_implementation(const char *policy) {
  struct bench b;
  open_bench(&b, "policy", policy, 2);
  for (int k = 0; k < 3; k++) {
    const struct plm_op op = unbound(kinds[k], ROWS);
    uint32_t count = 0, chosen;
    MUST(b.kernels->count(b.device, &op, &count, &must_err));
    assert_true(count >= 3);
    for (uint32_t which = 0; which < count; which++) {
      char name[PLM_KERNELS_NAME];
      uint64_t elements;
      MUST(b.kernels->name(b.device, &op, which, name, &must_err));
      MUST(b.kernels->choose(b.device, &op, which, 0, &must_err));
      MUST(b.kernels->chosen(b.device, &op, &chosen, &must_err));
      assert_int_equal(chosen, which);
      product(&b, kinds[k], &elements);
      check_product(kinds[k], elements, name);
    }
  }
  close_bench(&b);
}

static void test_opencl_kernels__every_implementation_is_right_cpu_policy(void **state) {
  (void)state;
  every_implementation("cpu");
}

static void test_opencl_kernels__every_implementation_is_right_gpu_policy(void **state) {
  (void)state;
  every_implementation("gpu");
}

static void test_opencl_kernels__names_differ_and_numbers_past_the_last_are_refused(void **state) {
  (void)state;
  struct bench b;
  struct plm_error err = PLM_ERROR_INIT;
  char names[32][PLM_KERNELS_NAME];
  uint32_t count = 0;
  open_bench(&b, NULL, NULL, 2);
  const struct plm_op op = unbound(PLM_OP_LINEAR, ROWS);
  MUST(b.kernels->count(b.device, &op, &count, &must_err));
  assert_true(count <= 32);
  for (uint32_t i = 0; i < count; i++) {
    MUST(b.kernels->name(b.device, &op, i, names[i], &must_err));
    for (uint32_t j = 0; j < i; j++)
      assert_string_not_equal(names[i], names[j]);
  }
  assert_int_equal(b.kernels->name(b.device, &op, count, names[0], &err), PLM_E_INVALID);
  assert_int_equal(b.kernels->choose(b.device, &op, count, 1, &err), PLM_E_INVALID);
  close_bench(&b);
}

static void test_opencl_kernels__option_gemm_leaves_what_it_names(void **state) {
  (void)state;
  struct bench b;
  static const char *const options[] = {"own", "clblast"};
  for (int i = 0; i < 2; i++) {
    const struct plm_op op = unbound(PLM_OP_LINEAR, ROWS);
    char name[PLM_KERNELS_NAME];
    uint32_t count = 0;
    open_bench(&b, "gemm", options[i], 2);
    if (b.kernels->count(b.device, &op, &count, &(struct plm_error)PLM_ERROR_INIT) == PLM_OK)
      for (uint32_t which = 0; which < count; which++) {
        MUST(b.kernels->name(b.device, &op, which, name, &must_err));
        assert_memory_equal(name, options[i], strlen(options[i]));
      }
    else
      assert_string_equal(options[i], "clblast"); /* a build without it */
    close_bench(&b);
  }
}

static void test_opencl_kernels__a_choice_holds_for_its_class_of_rows(void **state) {
  (void)state;
  struct bench b;
  uint32_t same, other, standard;
  open_bench(&b, "kernel_profile", "none", 2);
  const struct plm_op chosen = unbound(PLM_OP_LINEAR, ROWS), near = unbound(PLM_OP_LINEAR, ROWS + 1),
                      far = unbound(PLM_OP_LINEAR, 10 * ROWS);
  MUST(b.kernels->chosen(b.device, &far, &standard, &must_err));
  MUST(b.kernels->choose(b.device, &chosen, standard + 1, 0, &must_err));
  MUST(b.kernels->chosen(b.device, &near, &same, &must_err));
  MUST(b.kernels->chosen(b.device, &far, &other, &must_err));
  assert_int_equal(same, standard + 1);
  assert_int_equal(other, standard);
  close_bench(&b);
}

static void test_opencl_kernels__workspace_covers_smaller_batches(void **state) {
  (void)state;
  struct bench b;
  uint32_t count = 0;
  const struct plm_op whole = unbound(PLM_OP_LINEAR_GRAD_WEIGHT, 4096);
  open_bench(&b, NULL, NULL, 2);
  MUST(b.kernels->count(b.device, &whole, &count, &must_err));
  for (uint32_t which = 0; which < count; which++) {
    const struct plm_op few = unbound(PLM_OP_LINEAR_GRAD_WEIGHT, 200);
    struct plm_verdict most = {.struct_size = sizeof most};
    MUST(b.kernels->choose(b.device, &few, which, 0, &must_err));
    MUST(b.backend->op_query(b.device, &whole, &most, &must_err));
    for (uint32_t rows = 1; rows <= 4096; rows = rows * 5 / 4 + 1) {
      const struct plm_op op = unbound(PLM_OP_LINEAR_GRAD_WEIGHT, rows);
      struct plm_verdict verdict = {.struct_size = sizeof verdict};
      MUST(b.backend->op_query(b.device, &op, &verdict, &must_err));
      assert_true(verdict.workspace_bytes <= most.workspace_bytes);
    }
  }
  close_bench(&b);
}

/* ---------------------------------------------------------------- bits and special values */

static void same_bits(const char *policy) {
  struct bench b;
  uint64_t count = 0;
  for (uint32_t threads = 1; threads <= 2; threads++) {
    open_bench(&b, "policy", policy, threads);
    for (int again = 0; again < 2; again++) {
      product(&b, PLM_OP_LINEAR_GRAD_WEIGHT, &count);
      if (threads > 1 || again)
        assert_memory_equal(got, before, count * sizeof *got);
      memcpy(before, got, count * sizeof *got);
    }
    close_bench(&b);
  }
}

static void test_opencl_kernels__slices_give_the_same_bits_for_any_number_of_threads(void **state) {
  (void)state;
  same_bits("cpu");
  same_bits("gpu");
}

static void infinities_stay(const char *policy) {
  const uint32_t odd = ROWS - 2; /* in the last, partial tile */
  struct bench b;
  uint64_t count;
  const float kept = x[odd * IN], kept_w = w[3 * IN];
  open_bench(&b, "policy", policy, 2);
  product(&b, PLM_OP_LINEAR, &count);
  memcpy(before, got, count * sizeof *got);
  x[odd * IN] = INFINITY;
  w[3 * IN] = NAN;
  product(&b, PLM_OP_LINEAR, &count);
  x[odd * IN] = kept;
  w[3 * IN] = kept_w;
  for (uint32_t r = 0; r < ROWS; r++)
    for (uint32_t o = 0; o < OUT; o++) {
      const float now = got[r * OUT + o];
      if (o == 3)
        assert_true(isnan(now));
      else if (r == odd)
        assert_true(isinf(now));
      else
        assert_memory_equal(&now, &before[r * OUT + o], sizeof now);
    }
  close_bench(&b);
}

static void test_opencl_kernels__infinities_stay_in_their_row_and_column(void **state) {
  (void)state;
  infinities_stay("cpu");
  infinities_stay("gpu");
}

/* ---------------------------------------------------------------- profiles */

static const char profile[] = PROFILE_FOLDER "/made.json";

static void write_text(const char *path, const char *text) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
}

static char *read_text(const char *path) {
  static char text[65536];
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  return text;
}

/* A profile that takes the implementation after the standard one for LINEAR. Returns its number. */
static uint32_t make_profile(void) {
  struct bench b;
  uint32_t standard;
  const char *used = NULL;
  const struct plm_op op = unbound(PLM_OP_LINEAR, ROWS);
  unlink(profile);
  open_bench(&b, "kernel_profile", "none", 2);
  assert_string_equal(b.kernels->source(b.device), "default");
  MUST(b.kernels->chosen(b.device, &op, &standard, &must_err));
  MUST(b.kernels->choose(b.device, &op, standard + 1, 0.25, &must_err));
  MUST(b.kernels->save(b.device, profile, &used, &must_err));
  assert_string_equal(used, profile);
  close_bench(&b);
  return standard + 1;
}

static uint32_t chosen_with(const char *kernel_profile, char source[4096]) {
  struct bench b;
  uint32_t chosen;
  const struct plm_op op = unbound(PLM_OP_LINEAR, ROWS);
  open_bench(&b, "kernel_profile", kernel_profile, 2);
  MUST(b.kernels->chosen(b.device, &op, &chosen, &must_err));
  snprintf(source, 4096, "%s", b.kernels->source(b.device));
  close_bench(&b);
  return chosen;
}

static void test_opencl_kernels__a_saved_choice_is_taken_when_opened_again(void **state) {
  (void)state;
  char source[4096];
  const uint32_t made = make_profile();
  assert_int_equal(chosen_with(profile, source), made);
  assert_string_equal(source, profile);
  assert_int_equal(chosen_with("none", source), made - 1);
  assert_string_equal(source, "default");
}

static void test_opencl_kernels__the_users_own_place_is_found(void **state) {
  (void)state;
  static const char own[] = PROFILE_FOLDER "/plmscale/opencl-profile.json";
  struct bench b;
  char source[4096];
  const char *used = NULL;
  uint32_t standard;
  const struct plm_op op = unbound(PLM_OP_LINEAR, ROWS);
  unlink(own);
  open_bench(&b, "kernel_profile", "none", 2);
  MUST(b.kernels->chosen(b.device, &op, &standard, &must_err));
  MUST(b.kernels->choose(b.device, &op, standard + 1, 0.25, &must_err));
  MUST(b.kernels->save(b.device, NULL, &used, &must_err));
  assert_string_equal(used, own);
  close_bench(&b);
  assert_int_equal(chosen_with("auto", source), standard + 1);
  assert_string_equal(source, own);
  write_text(own, "{\"format\": \"plmscale opencl profile 1\", \"devices\": [");
  chosen_with("auto", source); /* damage that nobody named: said and ignored */
  assert_string_not_equal(source, own);
  unlink(own);
}

static void test_opencl_kernels__saving_keeps_what_others_chose(void **state) {
  (void)state;
  struct bench b;
  const char *used = NULL;
  uint32_t linear, weight;
  const uint32_t made = make_profile();
  const struct plm_op first = unbound(PLM_OP_LINEAR, ROWS), second = unbound(PLM_OP_LINEAR_GRAD_WEIGHT, ROWS);
  open_bench(&b, "kernel_profile", "none", 2);
  MUST(b.kernels->choose(b.device, &second, 1, 0.5, &must_err));
  MUST(b.kernels->save(b.device, profile, &used, &must_err));
  close_bench(&b);
  open_bench(&b, "kernel_profile", profile, 2);
  MUST(b.kernels->chosen(b.device, &first, &linear, &must_err));
  MUST(b.kernels->chosen(b.device, &second, &weight, &must_err));
  assert_int_equal(linear, made);
  assert_int_equal(weight, 1);
  close_bench(&b);
}

/* Replaces the value of a key in the profile. */
static void change(const char *key, const char *value) {
  static char changed[2 * 65536];
  const char *text = read_text(profile), *at = strstr(text, key);
  assert_non_null(at);
  at += strlen(key) + strlen(": ");
  const char *rest = *at == '"' ? strchr(at + 1, '"') + 1 : at + strcspn(at, ",");
  snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, value, rest);
  write_text(profile, changed);
}

static void test_opencl_kernels__a_profile_for_something_else_is_not_taken(void **state) {
  (void)state;
  static const char *const changes[][2] = {{"\"device\"", "\"another device\""},
                                           {"\"driver\"", "\"Portable Computing Language 99.1\""},
                                           {"\"vector\"", "2"},
                                           {"\"clblast\"", "\"libclblast.so.9\""},
                                           {"\"kernels\"", "\"0123456789abcdef\""}};
  char source[4096];
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    const uint32_t made = make_profile();
    change(changes[i][0], changes[i][1]);
    assert_int_equal(chosen_with(profile, source), made - 1);
    assert_string_equal(source, "default");
  }
}

static void test_opencl_kernels__an_implementation_that_is_gone_gives_the_default(void **state) {
  (void)state;
  char source[4096];
  const uint32_t made = make_profile();
  change("\"kernel\"", "\"own 999x999\"");
  assert_int_equal(chosen_with(profile, source), made - 1);
}

static void test_opencl_kernels__a_damaged_profile_that_was_named_is_refused(void **state) {
  (void)state;
  struct bench b;
  static const char *const texts[] = {
      "",
      "{\"format\": ",
      "{\"format\": \"something else\", \"devices\": []}",
      "{\"format\": \"plmscale opencl profile 1\"}",
      "{\"format\": \"plmscale opencl profile 1\", \"devices\": [7]}",
      "{\"format\": \"plmscale opencl profile 1\", \"devices\": [{\"driver\": \"x\"}]}",
  };
  const struct plm_setting setting = {"kernel_profile", profile};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    write_text(profile, texts[i]);
    assert_int_equal(try_open(&b, &setting, 1, 2, &err), PLM_E_INVALID);
    assert_non_null(strstr(err.text, profile));
    plm_plugin_destroy(b.plugin);
  }
  make_profile();
  change("\"rows\"", "1000"); /* no class ends there */
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(try_open(&b, &setting, 1, 2, &err), PLM_E_INVALID);
  plm_plugin_destroy(b.plugin);
  unlink(profile);
  assert_int_equal(try_open(&b, &setting, 1, 2, &err), PLM_E_INVALID);
  plm_plugin_destroy(b.plugin);
}

static void test_opencl_kernels__a_damaged_profile_is_not_written_over(void **state) {
  (void)state;
  struct bench b;
  struct plm_error err = PLM_ERROR_INIT;
  const char *used = NULL;
  const struct plm_op op = unbound(PLM_OP_LINEAR, ROWS);
  write_text(profile, "not mine");
  open_bench(&b, "kernel_profile", "none", 2);
  MUST(b.kernels->choose(b.device, &op, 1, 0.5, &must_err));
  assert_int_equal(b.kernels->save(b.device, profile, &used, &err), PLM_E_INVALID);
  assert_string_equal(read_text(profile), "not mine");
  close_bench(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_opencl_kernels__every_implementation_is_right_cpu_policy),
      cmocka_unit_test(test_opencl_kernels__every_implementation_is_right_gpu_policy),
      cmocka_unit_test(test_opencl_kernels__names_differ_and_numbers_past_the_last_are_refused),
      cmocka_unit_test(test_opencl_kernels__option_gemm_leaves_what_it_names),
      cmocka_unit_test(test_opencl_kernels__a_choice_holds_for_its_class_of_rows),
      cmocka_unit_test(test_opencl_kernels__workspace_covers_smaller_batches),
      cmocka_unit_test(test_opencl_kernels__slices_give_the_same_bits_for_any_number_of_threads),
      cmocka_unit_test(test_opencl_kernels__infinities_stay_in_their_row_and_column),
      cmocka_unit_test(test_opencl_kernels__a_saved_choice_is_taken_when_opened_again),
      cmocka_unit_test(test_opencl_kernels__the_users_own_place_is_found),
      cmocka_unit_test(test_opencl_kernels__saving_keeps_what_others_chose),
      cmocka_unit_test(test_opencl_kernels__a_profile_for_something_else_is_not_taken),
      cmocka_unit_test(test_opencl_kernels__an_implementation_that_is_gone_gives_the_default),
      cmocka_unit_test(test_opencl_kernels__a_damaged_profile_that_was_named_is_refused),
      cmocka_unit_test(test_opencl_kernels__a_damaged_profile_is_not_written_over),
  };
  mkdir(PROFILE_FOLDER, 0777);
  setenv("XDG_CONFIG_HOME", PROFILE_FOLDER, 1);
  return cmocka_run_group_tests(tests, make_data, NULL) ? 1 : 0;
}
