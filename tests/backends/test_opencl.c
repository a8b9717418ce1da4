/*
 * What the opencl backend promises beyond conformance: devices that can be told apart, late errors that name their op,
 * launches that are cut without a difference, and a cache that survives damage. CTest runs it with POCL_DEVICES set, so
 * that PoCL shows two devices. Without any device the tests are skipped, and say so.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "runtime/plugin.h"

#define WIDTH 67u
#define ROWS 300u

struct bench {
  struct plm_plugin *plugin;
  const struct plm_backend *backend;
  struct plm_device *device;
  struct plm_queue *queue;
};

#define MUST(call)                        \
  do {                                    \
    struct plm_error must_err = PLM_ERROR_INIT; \
    if (call)                             \
      fail_msg("%s: %s", #call, must_err.text); \
  } while (0)

static struct plm_plugin *load(const struct plm_setting *settings, uint32_t count) {
  struct plm_plugin *plugin = NULL;
  uint32_t devices = 0;
  MUST(plm_plugin_load(&plugin, OPENCL_PATH, settings, count, 2, &must_err));
  MUST(plm_plugin_device_count(&devices, plugin, &must_err));
  if (devices == 0) {
    print_message("skipped: no OpenCL device\n");
    skip();
  }
  return plugin;
}

/* One option over the defaults; the cache stays out of the user's folder. */
static struct bench open_bench(const char *name, const char *value) {
  const struct plm_setting settings[] = {{"cache_path", CACHE_PATH}, {name, value}};
  struct bench b = {.plugin = load(settings, name ? 2 : 1)};
  b.backend = &b.plugin->backend;
  MUST(b.backend->device_open(0, &b.device, &must_err));
  MUST(b.backend->queue_create(b.device, &b.queue, &must_err));
  return b;
}

static void close_bench(struct bench *b) {
  b->backend->queue_destroy(b->queue);
  b->backend->device_close(b->device);
  plm_plugin_destroy(b->plugin);
}

static struct plm_view make_view(struct bench *b, const void *data, uint64_t count, uint32_t type) {
  struct plm_view view = {.bytes = 4 * count, .type = type};
  MUST(b->backend->buffer_create(b->device, view.bytes, PLM_BUFFER_DEVICE, &view.buffer, &must_err));
  if (data)
    MUST(b->backend->buffer_write(b->queue, view.buffer, 0, data, view.bytes, &must_err));
  return view;
}

static struct plm_op make_op(uint32_t kind) {
  return (struct plm_op){.struct_size = sizeof(struct plm_op), .kind = kind, .index = 5, .type = PLM_TYPE_F32};
}

static struct plm_op make_fill(struct bench *b, uint64_t count) {
  struct plm_op op = make_op(PLM_OP_FILL);
  op.u.fill = (struct plm_op_fill){make_view(b, NULL, count, PLM_TYPE_F32), count, 2.5f, 0};
  return op;
}

/* ------------------------------------------------------------------ devices */

/* In a process of its own: which PoCL may be used in once only. */
static int child_fills(uint32_t index) {
  struct bench b = {0};
  struct plm_error err = PLM_ERROR_INIT;
  float got[8] = {0};
  const struct plm_setting setting = {"cache", "no"};
  if (plm_plugin_load(&b.plugin, OPENCL_PATH, &setting, 1, 1, &err))
    return 1;
  b.backend = &b.plugin->backend;
  if (b.backend->device_open(index, &b.device, &err) || b.backend->queue_create(b.device, &b.queue, &err))
    return 2;
  const struct plm_op op = make_fill(&b, 8);
  if (b.backend->op_run(b.queue, &op, &err) ||
      b.backend->buffer_read(b.queue, op.u.fill.x.buffer, 0, got, sizeof got, &err) || got[7] != 2.5f)
    return 3;
  b.backend->buffer_destroy(op.u.fill.x.buffer);
  close_bench(&b);
  return 0;
}

/* First in the list: nothing of OpenCL is in this process yet, and drivers do not survive a fork. */
static void test_opencl__two_devices_work_at_once_in_two_processes(void **state) {
  (void)state;
  pid_t children[2];
  for (uint32_t i = 0; i < 2; i++) {
    children[i] = fork();
    assert_true(children[i] >= 0);
    if (children[i] == 0)
      _exit(child_fills(i));
  }
  for (uint32_t i = 0; i < 2; i++) {
    int status = 0;
    assert_int_equal(waitpid(children[i], &status, 0), children[i]);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) && !(i == 1 && !getenv("POCL_DEVICES"))))
      fail_msg("device %u: wait status 0x%x", i, (unsigned)status);
  }
}

static void test_opencl__devices_are_told_apart_by_id_and_name(void **state) {
  (void)state;
  struct plm_plugin *plugin = load(NULL, 0);
  struct plm_device_info first, info;
  uint32_t count, found;
  MUST(plm_plugin_device_count(&count, plugin, &must_err));
  MUST(plm_plugin_describe(&first, plugin, 0, &must_err));
  assert_string_not_equal(first.id, "");
  assert_true(first.memory_bytes > 0 && first.buffer_bytes_max > 0 && first.compute_units > 0);
  for (uint32_t i = 0; i < count; i++) {
    MUST(plm_plugin_describe(&info, plugin, i, &must_err));
    if (i)
      assert_string_not_equal(info.id, first.id);
    MUST(plm_plugin_device(&found, plugin, info.id, &must_err));
    assert_int_equal(found, i);
  }
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plugin->backend.device_info(count, &info, &err), PLM_E_INVALID);
  plm_plugin_destroy(plugin);
}

static void test_opencl__options_that_make_no_sense_are_refused(void **state) {
  (void)state;
  const struct plm_setting setting = {"policy", "fpga"};
  struct plm_plugin *plugin = load(&setting, 1);
  struct plm_device *device = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plugin->backend.device_open(0, &device, &err), PLM_E_INVALID);
  assert_string_equal(err.text, "option \"policy\": \"fpga\" is not auto, cpu or gpu");
  assert_null(device);
  plm_plugin_destroy(plugin);
}

/* ------------------------------------------------------------------ errors */

static void expect(const struct plm_error *err, uint32_t kind, const char *words) {
  assert_int_equal(err->op_kind, kind);
  if (!strstr(err->text, words))
    fail_msg("\"%s\" lacks \"%s\"", err->text, words);
}

static void test_opencl__a_wrong_token_is_reported_late_and_once(void **state) {
  (void)state;
  struct bench b = open_bench(NULL, NULL);
  struct plm_error err = PLM_ERROR_INIT;
  const float table[6] = {1, 2, 3, 4, 5, 6}, scale[3] = {1, 1, 1}, before[6] = {7, 7, 7, 7, 7, 7};
  const int32_t tokens[3] = {0, 3, 2};
  float after[6];
  struct plm_op op = make_op(PLM_OP_EMBED);
  op.u.embed = (struct plm_op_embed){make_view(&b, table, 6, PLM_TYPE_F32), make_view(&b, tokens, 3, PLM_TYPE_I32),
                                     make_view(&b, scale, 3, PLM_TYPE_F32), make_view(&b, before, 6, PLM_TYPE_F32),
                                     {3, PLM_EXTENT_TOKENS},              3,
                                     2};
  MUST(b.backend->op_run(b.queue, &op, &must_err));
  assert_int_equal(b.backend->queue_finish(b.queue, &err), PLM_E_INVALID);
  expect(&err, PLM_OP_EMBED, "embed (op 5): tokens[1] = 3 is not in 0..2");
  MUST(b.backend->queue_finish(b.queue, &must_err));
  MUST(b.backend->buffer_read(b.queue, op.u.embed.y.buffer, 0, after, sizeof after, &must_err));
  const float expected[6] = {1, 2, 7, 7, 5, 6};
  assert_memory_equal(after, expected, sizeof after);
  b.backend->buffer_destroy(op.u.embed.table.buffer);
  b.backend->buffer_destroy(op.u.embed.tokens.buffer);
  b.backend->buffer_destroy(op.u.embed.scale.buffer);
  b.backend->buffer_destroy(op.u.embed.y.buffer);
  close_bench(&b);
}

static void test_opencl__rows_that_do_not_ascend_are_reported(void **state) {
  (void)state;
  struct bench b = open_bench(NULL, NULL);
  struct plm_error err = PLM_ERROR_INIT;
  const int32_t index[2] = {1, 1};
  struct plm_op op = make_op(PLM_OP_SCATTER_ROWS);
  op.u.scatter_rows = (struct plm_op_scatter_rows){make_view(&b, NULL, 4, PLM_TYPE_F32),
                                                   make_view(&b, index, 2, PLM_TYPE_I32),
                                                   make_view(&b, NULL, 6, PLM_TYPE_F32),
                                                   {2, PLM_EXTENT_MASKED},
                                                   {3, PLM_EXTENT_TOKENS},
                                                   2,
                                                   0};
  MUST(b.backend->op_run(b.queue, &op, &must_err));
  assert_int_equal(b.backend->queue_finish(b.queue, &err), PLM_E_INVALID);
  expect(&err, PLM_OP_SCATTER_ROWS, "index[1] = 1 does not ascend");
  b.backend->buffer_destroy(op.u.scatter_rows.x.buffer);
  b.backend->buffer_destroy(op.u.scatter_rows.index.buffer);
  b.backend->buffer_destroy(op.u.scatter_rows.y.buffer);
  close_bench(&b);
}

static void test_opencl__kernels_that_do_not_compile_say_why_and_where_the_log_is(void **state) {
  (void)state;
  struct bench b = open_bench("build_options", "-Dfloat=nonsense");
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_op op = make_fill(&b, 64);
  assert_int_equal(b.backend->op_run(b.queue, &op, &err), PLM_E_BUILD_FAILED);
  expect(&err, 0, "kernels/pointwise.cl does not compile: ");
  expect(&err, 0, "CL_BUILD_PROGRAM_FAILURE (-11) on device");
  const char *begin = strstr(err.text, "(the whole log: ");
  assert_non_null(begin);
  begin += strlen("(the whole log: ");
  char path[512];
  snprintf(path, sizeof path, "%.*s", (int)strcspn(begin, ")"), begin);
  assert_int_equal(access(path, R_OK), 0);
  b.backend->buffer_destroy(op.u.fill.x.buffer);
  close_bench(&b);
}

static void test_opencl__a_buffer_that_no_device_has_is_out_of_memory(void **state) {
  (void)state;
  struct bench b = open_bench(NULL, NULL);
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_buffer *buffer = NULL;
  assert_int_equal(b.backend->buffer_create(b.device, (uint64_t)1 << 50, PLM_BUFFER_DEVICE, &buffer, &err),
                   PLM_E_NO_MEMORY);
  expect(&err, 0, "buffer of 1125899906842624 bytes");
  assert_null(buffer);
  close_bench(&b);
}

/* Last in the list: a queue that timed out is left behind. The last device, because PoCL's "basic" runs at once. */
static void test_opencl__a_device_that_takes_too_long_is_a_time_out(void **state) {
  (void)state;
  const struct plm_setting settings[] = {{"cache_path", CACHE_PATH}, {"timeout_seconds", "1e-7"}};
  struct bench b = {.plugin = load(settings, 2)};
  uint32_t count;
  b.backend = &b.plugin->backend;
  MUST(plm_plugin_device_count(&count, b.plugin, &must_err));
  MUST(b.backend->device_open(count - 1, &b.device, &must_err));
  MUST(b.backend->queue_create(b.device, &b.queue, &must_err));
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_op op = make_fill(&b, 64 << 20);
  int code = PLM_OK;
  for (int i = 0; i < 8 && !code; i++)
    code = b.backend->op_run(b.queue, &op, &err);
  if (!code)
    code = b.backend->queue_finish(b.queue, &err);
  assert_int_equal(code, PLM_E_TIMEOUT);
  expect(&err, PLM_OP_FILL, "fill is not done after");
  b.backend->queue_destroy(b.queue);
}

/* ------------------------------------------------------------------ cut launches */

/* The gradient of a norm, all of whose kernels can be cut, with these options; its three outputs one after another. */
static void run_norm_grad(float *out, const char *policy, const char *seconds) {
  const struct plm_setting settings[] = {{"cache_path", CACHE_PATH}, {"policy", policy}, {"launch_seconds", seconds}};
  struct bench b = {.plugin = load(settings, 3)};
  static float data[ROWS * WIDTH];
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  struct plm_op op = make_op(PLM_OP_LAYER_NORM_GRAD);
  struct plm_op_layer_norm_grad *o = &op.u.layer_norm_grad;
  b.backend = &b.plugin->backend;
  MUST(b.backend->device_open(0, &b.device, &must_err));
  MUST(b.backend->queue_create(b.device, &b.queue, &must_err));
  for (uint32_t i = 0; i < ROWS * WIDTH; i++)
    data[i] = (float)((i * 7919u) % 1009u) / 1009.0f - 0.3f;
  o->rows.count = ROWS;
  o->width = WIDTH;
  o->dy = make_view(&b, data, ROWS * WIDTH, PLM_TYPE_F32);
  o->x = make_view(&b, data, ROWS * WIDTH, PLM_TYPE_F32);
  o->gamma = make_view(&b, data, WIDTH, PLM_TYPE_F32);
  o->mean = make_view(&b, data, ROWS, PLM_TYPE_F32);
  o->rstd = make_view(&b, data, ROWS, PLM_TYPE_F32);
  o->dx = make_view(&b, data, ROWS * WIDTH, PLM_TYPE_F32);
  o->dgamma = make_view(&b, data, WIDTH, PLM_TYPE_F32);
  o->dbeta = make_view(&b, data, WIDTH, PLM_TYPE_F32);
  MUST(b.backend->op_query(b.device, &op, &verdict, &must_err));
  op.workspace = make_view(&b, NULL, verdict.workspace_bytes / 4, PLM_TYPE_F32);
  MUST(b.backend->op_run(b.queue, &op, &must_err));
  MUST(b.backend->buffer_read(b.queue, o->dx.buffer, 0, out, o->dx.bytes, &must_err));
  MUST(b.backend->buffer_read(b.queue, o->dgamma.buffer, 0, out + ROWS * WIDTH, o->dgamma.bytes, &must_err));
  MUST(b.backend->buffer_read(b.queue, o->dbeta.buffer, 0, out + ROWS * WIDTH + WIDTH, o->dbeta.bytes, &must_err));
  const struct plm_view *views[] = {&o->dy, &o->x,      &o->gamma, &o->mean,     &o->rstd,
                                    &o->dx, &o->dgamma, &o->dbeta, &op.workspace};
  for (size_t i = 0; i < sizeof views / sizeof *views; i++)
    b.backend->buffer_destroy(views[i]->buffer);
  close_bench(&b);
}

static void test_opencl__cut_launches_give_the_same_bits(void **state) {
  (void)state;
  static float whole[ROWS * WIDTH + 2 * WIDTH], cut[ROWS * WIDTH + 2 * WIDTH];
  static const char *const policies[] = {"cpu", "gpu"};
  for (int i = 0; i < 2; i++) {
    run_norm_grad(whole, policies[i], "0");
    run_norm_grad(cut, policies[i], "1e-9");
    assert_memory_equal(cut, whole, sizeof whole);
  }
}

/* ------------------------------------------------------------------ the cache */

/* The one entry of the cache; its path and inode. Fails when there is not exactly one. */
static ino_t only_entry(char path[512]) {
  DIR *folder = opendir(CACHE_PATH "/one");
  struct stat status = {0};
  int count = 0;
  assert_non_null(folder);
  for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
    if (strstr(entry->d_name, ".bin")) {
      snprintf(path, 512, CACHE_PATH "/one/%.100s", entry->d_name);
      count++;
    }
  closedir(folder);
  assert_int_equal(count, 1);
  assert_int_equal(stat(path, &status), 0);
  return status.st_ino;
}

static void fill_with_cache(const char *path) {
  const struct plm_setting settings[] = {{"cache_path", path}};
  struct bench b = {.plugin = load(settings, 1)};
  float got[64] = {0};
  b.backend = &b.plugin->backend;
  MUST(b.backend->device_open(0, &b.device, &must_err));
  MUST(b.backend->queue_create(b.device, &b.queue, &must_err));
  struct plm_op op = make_fill(&b, 64);
  MUST(b.backend->op_run(b.queue, &op, &must_err));
  MUST(b.backend->buffer_read(b.queue, op.u.fill.x.buffer, 0, got, sizeof got, &must_err));
  assert_true(got[0] == 2.5f && got[63] == 2.5f);
  b.backend->buffer_destroy(op.u.fill.x.buffer);
  close_bench(&b);
}

static void damage(const char *path, off_t cut_to, off_t at, unsigned char mask) {
  unsigned char byte;
  const int file = open(path, O_RDWR);
  assert_true(file >= 0);
  if (mask) {
    assert_int_equal(pread(file, &byte, 1, at), 1);
    byte ^= mask;
    assert_int_equal(pwrite(file, &byte, 1, at), 1);
  }
  if (cut_to >= 0)
    assert_int_equal(ftruncate(file, cut_to), 0);
  close(file);
}

/* An entry that is replaced is a new file: its inode tells. */
static void test_opencl__a_damaged_cache_entry_is_made_anew(void **state) {
  (void)state;
  char path[512];
  assert_int_equal(system("rm -rf '" CACHE_PATH "/one'"), 0);
  fill_with_cache(CACHE_PATH "/one");
  ino_t known = only_entry(path);
  struct stat status;
  assert_int_equal(stat(path, &status), 0);
  fill_with_cache(CACHE_PATH "/one");
  assert_int_equal(only_entry(path), known); /* whole: used as it is */
  static const struct {
    off_t cut_to, at;
    unsigned char mask;
  } damages[] = {{0, 0, 0}, {40, 0, 0}, {-1, 0, 0xff}, {-1, 8, 1}, {-1, 24, 1}, {-1, 40, 1}, {-1, -1, 1}, {-2, 0, 0}};
  for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
    const off_t last = status.st_size - 1;
    damage(path, damages[i].cut_to == -2 ? last : damages[i].cut_to, damages[i].at < 0 ? last : damages[i].at,
           damages[i].mask);
    fill_with_cache(CACHE_PATH "/one");
    const ino_t now = only_entry(path);
    if (now == known)
      fail_msg("damage %zu was not seen", i);
    known = now;
    assert_int_equal(stat(path, &status), 0);
  }
  assert_int_equal(chmod(path, 0666), 0); /* anybody might have written it */
  fill_with_cache(CACHE_PATH "/one");
  assert_int_not_equal(only_entry(path), known);
}

static void test_opencl__no_cache_folder_is_no_failure(void **state) {
  (void)state;
  fill_with_cache("/dev/null/none");
  fill_with_cache("relative/path");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_opencl__two_devices_work_at_once_in_two_processes),
      cmocka_unit_test(test_opencl__devices_are_told_apart_by_id_and_name),
      cmocka_unit_test(test_opencl__options_that_make_no_sense_are_refused),
      cmocka_unit_test(test_opencl__a_wrong_token_is_reported_late_and_once),
      cmocka_unit_test(test_opencl__rows_that_do_not_ascend_are_reported),
      cmocka_unit_test(test_opencl__kernels_that_do_not_compile_say_why_and_where_the_log_is),
      cmocka_unit_test(test_opencl__a_buffer_that_no_device_has_is_out_of_memory),
      cmocka_unit_test(test_opencl__cut_launches_give_the_same_bits),
      cmocka_unit_test(test_opencl__a_damaged_cache_entry_is_made_anew),
      cmocka_unit_test(test_opencl__no_cache_folder_is_no_failure),
      cmocka_unit_test(test_opencl__a_device_that_takes_too_long_is_a_time_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
