/* Old and new together: the plugin kept from ABI 1.0 in today's host, and today's plugins in a host of 1.0. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "runtime/plugin.h"

#define KEPT PLM_KEPT "/kept_v1_0.so"

#define MUST(call)                                                                                                     \
  do {                                                                                                                 \
    struct plm_error must_err = PLM_ERROR_INIT;                                                                        \
    if (call)                                                                                                          \
      fail_msg("%s: %s", #call, must_err.text);                                                                        \
  } while (0)

static void skip_elsewhere(void) {
#if !defined(__x86_64__) || !defined(__linux__)
  print_message("the kept plugin is for x86-64 Linux: skipped\n");
  skip();
#endif
}

static void test_kept__the_binary_is_the_one_that_was_kept(void **state) {
  char digest[PLM_SHA256_TEXT], *text;
  size_t bytes;
  (void)state;
  MUST(plm_sha256_file(digest, KEPT, &must_err));
  MUST(plm_file_read(&text, &bytes, PLM_KEPT "/README.md", 1 << 16, &must_err));
  if (!strstr(text, digest))
    fail_msg("kept_v1_0.so has the digest %s, which README.md beside it does not name: it must never be built again",
             digest);
  free(text);
}

/* ------------------------------------------------ the kept plugin, today */

#define SLOTS 24
#define SLOT 64 /* numbers in a slot of either arena */

struct side {
  struct plm_plugin *plugin;
  struct plm_device *device;
  struct plm_queue *queue;
  struct plm_buffer *floats, *integers;
  float result[SLOTS * SLOT];
};

static struct plm_view view(struct plm_buffer *buffer, uint32_t slot, uint32_t type) {
  return (struct plm_view){buffer, (uint64_t)slot * SLOT * 4, SLOT * 4, type, slot};
}
#define F(slot) view(s->floats, slot, PLM_TYPE_F32)
#define I(slot) view(s->integers, slot, PLM_TYPE_I32)

/* Every op of the kept plugin once, each with outputs of its own: slots 12 and up. Returns how many. */
static uint32_t program(struct plm_op *ops, const struct side *s) {
  const struct plm_extent five = {5, PLM_EXTENT_TOKENS}, three = {3, PLM_EXTENT_MASKED};
  uint32_t n = 0;
#define OP(KIND, FLAGS, member, ...)                                                                                   \
  ops[n] = (struct plm_op){.struct_size = sizeof *ops, .kind = PLM_OP_##KIND, .flags = FLAGS, .index = n,              \
                           .type = PLM_TYPE_F32, .u.member = {__VA_ARGS__}};                                           \
  n++
  OP(FILL, 0, fill, .x = F(12), .count = 37, .value = 1.5f);
  OP(EMBED, 0, embed, .table = F(0), .tokens = I(0), .scale = F(1), .y = F(13), .rows = five, .vocabulary = 7,
     .width = 8);
  OP(LINEAR, 0, linear, .x = F(2), .w = F(3), .y = F(14), .rows = five, .in = 8, .out = 6);
  OP(BIAS, 0, bias, .y = F(15), .bias = F(4), .rows = five, .width = 8);
  OP(ADD, 0, add, .a = F(5), .b = F(6), .y = F(16), .rows = five, .width = 8);
  OP(ROTARY, PLM_FLAG_INVERSE, rotary, .qkv = F(17), .positions = I(0), .cosine = F(7), .sine = F(8), .rows = five,
     .heads = 2, .head_size = 2, .table_rows = 7);
  OP(GATHER_ROWS, 0, gather_rows, .x = F(5), .index = I(1), .y = F(18), .rows = three, .source = five, .width = 8);
  OP(SCATTER_ROWS, 0, scatter_rows, .x = F(5), .index = I(1), .y = F(19), .rows = three, .target = five, .width = 8);
  OP(REDUCE_SUM, PLM_FLAG_ACCUMULATE, reduce_sum, .x = F(5), .weights = F(6), .out = F(20), .rows = five);
  OP(GRAD_NORM, 0, grad_norm, .grads = F(9), .out = F(21), .count = 60, .norm_max = 2);
  OP(ADAMW, 0, adamw, .params = F(22), .grads = F(9), .m = F(10), .v = F(11), .control = F(21), .schedule = F(1),
     .count = 60, .beta1 = 0.9f, .beta2 = 0.98f, .epsilon = 1e-8f, .decay = 0.01f, .rate_scale = 1);
  OP(RECORD, 0, record, .x = F(21), .index = I(2), .log = F(23), .count = 4, .capacity = 3);
#undef OP
  return n;
}

static void side_open(struct side *s, const char *path) {
  static float floats[SLOTS * SLOT];
  static const int32_t integers[3 * SLOT] = {[0] = 3, 0, 6, 6, 1, [SLOT] = 0, 2, 4, [2 * SLOT] = 7};
  for (uint32_t i = 0; i < SLOTS * SLOT; i++)
    floats[i] = (float)((i * 7 + i / SLOT) % 11) / 8 + 0.125f; /* exact sums, no zeros */
  const struct plm_backend *b;
  MUST(plm_plugin_load(&s->plugin, path, NULL, 0, 1, &must_err));
  b = &s->plugin->backend;
  MUST(b->device_open(0, &s->device, &must_err));
  MUST(b->queue_create(s->device, &s->queue, &must_err));
  MUST(b->buffer_create(s->device, sizeof floats, PLM_BUFFER_DEVICE, &s->floats, &must_err));
  MUST(b->buffer_create(s->device, sizeof integers, PLM_BUFFER_UPLOAD, &s->integers, &must_err));
  MUST(b->buffer_write(s->queue, s->floats, 0, floats, sizeof floats, &must_err));
  MUST(b->buffer_write(s->queue, s->integers, 0, integers, sizeof integers, &must_err));
}

static void side_run(struct side *s) {
  struct plm_op ops[SLOTS];
  const struct plm_backend *b = &s->plugin->backend;
  const uint32_t count = program(ops, s);
  uint32_t failed = 0;
  for (uint32_t i = 0; i < count; i++) {
    struct plm_verdict verdict = {.struct_size = sizeof verdict};
    MUST(b->op_query(s->device, &ops[i], &verdict, &must_err));
    assert_int_equal(verdict.status, PLM_VERDICT_SUPPORTED);
  }
  MUST(b->program_run(s->queue, ops, count, &failed, &must_err));
  MUST(b->queue_finish(s->queue, &must_err));
  MUST(b->buffer_read(s->queue, s->floats, 0, s->result, sizeof s->result, &must_err));
}

static void side_close(struct side *s) {
  const struct plm_backend *b = &s->plugin->backend;
  b->buffer_destroy(s->integers);
  b->buffer_destroy(s->floats);
  b->queue_destroy(s->queue);
  b->device_close(s->device);
  plm_plugin_destroy(s->plugin);
}

static void test_kept__its_ops_are_those_of_the_reference(void **state) {
  static struct side kept, reference;
  (void)state;
  skip_elsewhere();
  side_open(&kept, KEPT);
  side_open(&reference, PLM_REFERENCE);
  side_run(&kept);
  side_run(&reference);
  for (uint32_t i = 0; i < SLOTS * SLOT; i++)
    if (!(fabs((double)kept.result[i] - reference.result[i]) <= 1e-6 * fabs((double)reference.result[i])))
      fail_msg("slot %u, number %u: %.9g, the reference has %.9g", i / SLOT, i % SLOT, (double)kept.result[i],
               (double)reference.result[i]);
  side_close(&reference);
  side_close(&kept);
}

static void test_kept__its_card_and_options_are_read(void **state) {
  static const struct plm_setting settings[] = {{"devices", "2"}, {"label", "still here"}};
  struct plm_device_info info;
  struct plm_plugin *plugin;
  uint32_t count = 0;
  (void)state;
  skip_elsewhere();
  MUST(plm_plugin_load(&plugin, KEPT, settings, 2, 3, &must_err));
  assert_string_equal(plugin->card->name, "kept_v1_0");
  assert_int_equal(plugin->card->abi_major, 1);
  assert_int_equal(plugin->card->abi_minor, 0);
  assert_int_equal(plugin->card->op_count, 24);
  MUST(plm_plugin_device_count(&count, plugin, &must_err));
  assert_int_equal(count, 2);
  MUST(plm_plugin_describe(&info, plugin, 1, &must_err));
  assert_string_equal(info.id, "kept:1");
  assert_string_equal(info.name, "still here");
  assert_int_equal(info.compute_units, 3);
  assert_int_equal(info.memory_bytes, 1 << 30);
  plm_plugin_destroy(plugin);
}

static void test_kept__its_optional_slots_are_called(void **state) {
  static struct side s;
  const struct plm_backend *b;
  struct plm_event *event;
  const uint64_t *answer;
  uint64_t used = 0, unused = 0;
  (void)state;
  skip_elsewhere();
  side_open(&s, KEPT);
  b = &s.plugin->backend;
  MUST(b->event_record(s.queue, &event, &must_err));
  MUST(b->event_wait(event, &must_err));
  b->event_destroy(event);
  MUST(b->memory_info(s.device, &used, &unused, &must_err));
  assert_int_equal(used, SLOTS * SLOT * 4 + 3 * SLOT * 4);
  assert_int_equal(used + unused, 1 << 30);
  answer = b->extension("x_kept", 1);
  assert_non_null(answer);
  assert_int_equal(answer[1], 42);
  assert_null(b->extension("x_kernels", 1));
  side_close(&s);
}

static void test_kept__its_refusals_arrive(void **state) {
  static struct side s;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  struct plm_op op = {.struct_size = sizeof op, .kind = PLM_OP_GELU, .type = PLM_TYPE_F32, .u.gelu = {.width = 8}};
  (void)state;
  skip_elsewhere();
  side_open(&s, KEPT);
  MUST(s.plugin->backend.op_query(s.device, &op, &verdict, &must_err));
  assert_int_equal(verdict.status, PLM_VERDICT_UNSUPPORTED);
  assert_int_equal(verdict.reason, PLM_REASON_UNKNOWN_OP);
  assert_string_equal(verdict.text, "gelu is not in this plugin");
  assert_int_equal(s.plugin->backend.op_run(s.queue, &op, &err), PLM_E_UNSUPPORTED);
  assert_int_equal(err.op_kind, PLM_OP_GELU);
  side_close(&s);
}

/* ------------------------------------------------- today's plugins, then */

/* How old_host ended: its exit code, or minus the signal. */
static int old_host(const char *plugin) {
  int status = 0;
  const pid_t child = fork();
  if (child == 0) {
    execl(PLM_OLD_HOST, "old_host", plugin, (char *)NULL);
    _exit(127);
  }
  assert_true(child > 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_kept__plugins_of_today_run_in_a_host_of_1_0(void **state) {
  static const char *const plugins[] = {PLM_PLUGINS};
  (void)state;
  for (size_t i = 0; i < sizeof plugins / sizeof *plugins; i++)
    if (old_host(plugins[i]))
      fail_msg("\"%s\" does not run in a host of ABI 1.0", plugins[i]);
}

static void test_kept__the_old_host_sees_a_plugin_that_does_not_ask_for_room(void **state) {
  (void)state;
  assert_int_not_equal(old_host(PLM_OVERRUN), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kept__the_binary_is_the_one_that_was_kept),
      cmocka_unit_test(test_kept__its_ops_are_those_of_the_reference),
      cmocka_unit_test(test_kept__its_card_and_options_are_read),
      cmocka_unit_test(test_kept__its_optional_slots_are_called),
      cmocka_unit_test(test_kept__its_refusals_arrive),
      cmocka_unit_test(test_kept__plugins_of_today_run_in_a_host_of_1_0),
      cmocka_unit_test(test_kept__the_old_host_sees_a_plugin_that_does_not_ask_for_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
