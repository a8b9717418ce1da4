/* Layers over the reference backend, and over backends that break the rules in one place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/memory.h"
#include "model/ops.h"
#include "runtime/layer.h"

#define ROWS 5u
#define IN 7u
#define OUT 3u
#define BYTES 4096u

/* A backend under layers with one buffer in which a linear op has its views. */
struct bed {
  struct plm_plugin *plugin;
  struct plm_device *device;
  struct plm_queue *queue;
  struct plm_buffer *buffer;
  struct plm_op op;
  struct plm_error err;
};

#define GOOD(call) good((call), &bed->err, #call)
static void good(int code, const struct plm_error *err, const char *call) {
  if (code)
    fail_msg("%s: %s", call, err->text);
}

/* A breach with this text in its message. */
#define BREACH(call, part) breach((call), &bed->err, part, #call)
static void breach(int code, const struct plm_error *err, const char *part, const char *call) {
  if (code != PLM_E_INVALID || !strstr(err->text, part))
    fail_msg("%s: code %d \"%s\", wanted %d with \"%s\"", call, code, err->text, PLM_E_INVALID, part);
}

static struct plm_view view_at(struct bed *bed, uint64_t offset, uint64_t elements) {
  return (struct plm_view){.buffer = bed->buffer, .offset = offset, .bytes = 4 * elements, .type = PLM_TYPE_F32};
}

static void load(struct bed *bed) {
  *bed = (struct bed){.err = PLM_ERROR_INIT};
  GOOD(plm_plugin_load(&bed->plugin, PLM_TEST_BACKENDS "/reference.so", NULL, 0, 1, &bed->err));
}

static void open_bed(struct bed *bed, const char *layer) {
  const struct plm_backend *b = &bed->plugin->backend;
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  float values[BYTES / 4];
  GOOD(plm_layers_install(bed->plugin, &layer, layer ? 1 : 0, &bed->err));
  GOOD(b->device_open(0, &bed->device, &bed->err));
  GOOD(b->queue_create(bed->device, &bed->queue, &bed->err));
  GOOD(b->buffer_create(bed->device, BYTES, PLM_BUFFER_DEVICE, &bed->buffer, &bed->err));
  for (uint32_t i = 0; i < BYTES / 4; i++)
    values[i] = (float)i / 64;
  GOOD(b->buffer_write(bed->queue, bed->buffer, 0, values, BYTES, &bed->err));
  bed->op = (struct plm_op){.struct_size = sizeof bed->op, .kind = PLM_OP_LINEAR, .type = PLM_TYPE_F32, .index = 9};
  bed->op.u.linear = (struct plm_op_linear){.x = view_at(bed, 0, ROWS * IN),
                                            .w = view_at(bed, 1024, IN * OUT),
                                            .y = view_at(bed, 2048, ROWS * OUT),
                                            .rows = {ROWS, PLM_EXTENT_TOKENS},
                                            .in = IN,
                                            .out = OUT};
  GOOD(b->op_query(bed->device, &bed->op, &verdict, &bed->err));
  assert_int_equal(verdict.status, PLM_VERDICT_SUPPORTED);
}

static void open_over(struct bed *bed, const char *layer) {
  load(bed);
  open_bed(bed, layer);
}

static int run(struct bed *bed) { return bed->plugin->backend.op_run(bed->queue, &bed->op, &bed->err); }

static void close_bed(struct bed *bed) {
  const struct plm_backend *b = &bed->plugin->backend;
  b->queue_destroy(bed->queue);
  b->buffer_destroy(bed->buffer);
  b->device_close(bed->device);
}

/* Closes all and returns what the layers say. */
static int end(struct bed *bed) {
  FILE *quiet = fopen("/dev/null", "w");
  close_bed(bed);
  assert_non_null(quiet);
  int code = plm_layers_finish(bed->plugin, quiet, &bed->err);
  fclose(quiet);
  plm_plugin_destroy(bed->plugin);
  return code;
}

/* ------------------------------------------------------------ which layers */

static void refuse(const char *const *texts, size_t count, const char *part) {
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_layers_check(texts, count, &err), PLM_E_USAGE);
  if (!strstr(err.text, part))
    fail_msg("\"%s\" lacks \"%s\"", err.text, part);
}

static void test_layers__bad_texts_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *part;
  } bad[] = {
      {"tracer", "did you mean \"trace\"?"},
      {"", "unknown; there are trace, validate, time, fault"},
      {"time:all", "takes no argument"},
      {"validate:hard", "validate or validate:strict"},
      {"trace:", "no file behind the colon"},
      {"fault", "is not CALL@N=KIND"},
      {"fault:op_run=crash", "is not CALL@N=KIND"},
      {"fault:op_ran@1=crash", "did you mean \"op_run\"?"},
      {"fault:op_run@0=crash", "a number from 1"},
      {"fault:op_run@1=melt", "kind \"melt\" is unknown"},
      {"fault:buffer_read@1=nan", "is for op_run only"},
      {"fault:op_run@1=crash,op_run@2", "is not CALL@N=KIND"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    refuse(&bad[i].text, 1, bad[i].part);
  const char *twice[] = {"fault:op_run@1=crash", "fault:op_run@2=crash"};
  refuse(twice, 2, "given twice; several faults stand in one");
}

static void test_layers__all_at_once_change_no_result_and_come_off(void **state) {
  (void)state;
  struct bed plain, *bed = &plain;
  float wanted[ROWS * OUT], got[ROWS * OUT];
  const char *texts[] = {"trace:" PLM_TEST_SCRATCH ".all", "validate:strict", "time", "fault:op_run@99=crash"};
  open_over(bed, NULL);
  GOOD(run(bed));
  GOOD(bed->plugin->backend.buffer_read(bed->queue, bed->buffer, 2048, wanted, sizeof wanted, &bed->err));
  assert_memory_equal(&bed->plugin->backend, &bed->plugin->bare, sizeof bed->plugin->bare);
  assert_int_equal(end(bed), 0);
  load(bed);
  GOOD(plm_layers_install(bed->plugin, texts, 4, &bed->err));
  assert_memory_not_equal(&bed->plugin->backend, &bed->plugin->bare, sizeof bed->plugin->bare);
  open_bed(bed, NULL);
  GOOD(run(bed));
  GOOD(bed->plugin->backend.buffer_read(bed->queue, bed->buffer, 2048, got, sizeof got, &bed->err));
  assert_memory_equal(wanted, got, sizeof got);
  close_bed(bed);
  plm_layers_remove(bed->plugin);
  assert_memory_equal(&bed->plugin->backend, &bed->plugin->bare, sizeof bed->plugin->bare);
  plm_plugin_destroy(bed->plugin);
}

static void test_layers__one_cannot_stand_over_two_plugins(void **state) {
  (void)state;
  struct bed first, second, *bed = &second;
  const char *text = "time";
  open_over(&first, text);
  load(bed);
  assert_int_equal(plm_layers_install(bed->plugin, &text, 1, &bed->err), PLM_E_USAGE);
  assert_non_null(strstr(bed->err.text, "stands over backend \"reference\" already"));
  plm_plugin_destroy(bed->plugin);
  assert_int_equal(end(&first), 0);
}

/* ------------------------------------------------------------ trace and time */

static void test_trace__writes_one_line_a_call(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  char *text = NULL;
  static const char *const parts[] = {
      "device_open 0 -> ok",
      "buffer_create 4096 bytes, device",
      "op_query linear 5x7x3: yes",
      "op_run #9 linear 5x7x3 x=params@0 w=params@1024 y=params@2048 -> ok",
      "op_run #9 linear 5x7x3 x=params@0 w=params@1024 y=params@2048 -> INVALID \"",
      "device_close",
  };
  unlink(PLM_TEST_SCRATCH ".trace");
  open_over(bed, "trace:" PLM_TEST_SCRATCH ".trace");
  GOOD(run(bed));
  bed->op.u.linear.x.bytes = 0;
  bed->op.u.linear.x.buffer = NULL;
  bed->op.u.linear.x = (struct plm_view){.bytes = 4, .type = PLM_TYPE_F32, .buffer = bed->buffer};
  assert_int_equal(run(bed), PLM_E_INVALID);
  assert_int_equal(end(bed), 0);
  FILE *file = fopen(PLM_TEST_SCRATCH ".trace", "r");
  size_t size = 0, lines = 0;
  assert_non_null(file);
  assert_true(getdelim(&text, &size, 0, file) > 0);
  fclose(file);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!strstr(text, parts[i]))
      fail_msg("\"%s\" is not in the trace:\n%s", parts[i], text);
  for (const char *c = text; *c; c++)
    lines += *c == '\n';
  assert_int_equal(lines, 4 + 1 + 2 + 1 + 3 - 1); /* open, queue, buffer, write; query; two runs; three destroys */
  free(text);
}

/* 1: text has a row that begins so. */
static int has_row(const char *text, const char *name, int calls) {
  char row[160];
  snprintf(row, sizeof row, "| %-52s | %8d |", name, calls);
  return strstr(text, row) != NULL;
}

static void test_time__adds_up_calls_and_leaves_the_first_one_out(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  char *text = NULL;
  size_t size = 0;
  open_over(bed, "time");
  for (int i = 0; i < 4; i++)
    GOOD(run(bed));
  bed->op.u.linear.rows.count = 4; /* another class of rows, called once: it stays */
  GOOD(run(bed));
  bed->op.u.linear.rows.count = 2;
  for (int i = 0; i < 3; i++)
    GOOD(run(bed));
  close_bed(bed);
  FILE *out = open_memstream(&text, &size);
  assert_non_null(out);
  GOOD(plm_layers_finish(bed->plugin, out, &bed->err));
  fclose(out);
  assert_true(has_row(text, "linear", 3 + 1 + 2));
  assert_true(has_row(text, "linear 5x7x3", 3));
  assert_true(has_row(text, "linear 4x7x3", 1));
  assert_true(has_row(text, "linear 2x7x3", 2));
  assert_true(has_row(text, "(buffer_write)", 1));
  free(text);
  plm_plugin_destroy(bed->plugin);
}

/* ------------------------------------------------------------ validate */

static void test_validate__good_use_passes(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  struct plm_event *event;
  float values[16];
  open_over(bed, "validate:strict");
  const struct plm_backend *b = &bed->plugin->backend;
  GOOD(run(bed));
  bed->op.u.linear.rows.count = 0;
  GOOD(run(bed));
  GOOD(b->event_record(bed->queue, &event, &bed->err));
  GOOD(b->event_wait(event, &bed->err));
  b->event_destroy(event);
  GOOD(b->buffer_read(bed->queue, bed->buffer, BYTES - sizeof values, values, sizeof values, &bed->err));
  b->buffer_destroy(NULL);
  GOOD(b->queue_finish(bed->queue, &bed->err));
  assert_int_equal(end(bed), 0);
}

/* One change of a good op, and what is said about it. */
static void test_validate__bad_ops_are_named(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  open_over(bed, "validate");
  const struct plm_op whole = bed->op;
  struct plm_op_linear *p = &bed->op.u.linear;
  p->x.bytes -= 4;
  BREACH(run(bed), "validate: linear (op 9): view \"x\": 136 bytes, 140 are needed");
  bed->op = whole;
  p->w.offset = BYTES - 64;
  BREACH(run(bed), "view \"w\": offset 4032 + 84 bytes reach past the buffer's 4096");
  bed->op = whole;
  p->w.offset += 4;
  BREACH(run(bed), "view \"w\": offset 1028 is not a multiple of 64");
  bed->op = whole;
  p->w.type = PLM_TYPE_I32;
  BREACH(run(bed), "view \"w\": type 2, must be 1");
  bed->op = whole;
  p->y.offset = 64;
  BREACH(run(bed), "views \"x\" and \"y\" overlap");
  bed->op = whole;
  p->rows.count = ROWS + 1;
  p->x.bytes = p->y.bytes = 1024;
  BREACH(run(bed), "op_query has not accepted it at these extents");
  bed->op = whole;
  bed->op.flags = PLM_FLAG_BIAS;
  BREACH(run(bed), "linear+bias 5x7x3: op_query has not accepted it");
  bed->op = whole;
  p->x.buffer = NULL;
  BREACH(run(bed), "x: the buffer is NULL");
  bed->op = whole;
  bed->op.kind = PLM_OP_COUNT;
  BREACH(run(bed), "an op of kind 24 and 504 bytes");
  bed->op = whole;
  bed->op.struct_size = 8;
  BREACH(run(bed), "an op of kind 6 and 8 bytes");
  bed->op = whole;
  GOOD(run(bed)); /* and none of it was done */
  assert_int_equal(end(bed), 0);
}

static void test_validate__in_place_is_fine_where_the_header_says_so(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  open_over(bed, "validate");
  bed->op = (struct plm_op){.struct_size = sizeof bed->op, .kind = PLM_OP_ADD, .type = PLM_TYPE_F32};
  struct plm_op_add *p = &bed->op.u.add;
  *p = (struct plm_op_add){.a = view_at(bed, 0, 16), .b = view_at(bed, 64, 16), .rows = {2, PLM_EXTENT_TOKENS}, .width = 8};
  GOOD(bed->plugin->backend.op_query(bed->device, &bed->op, &verdict, &bed->err));
  p->y = p->a;
  GOOD(run(bed));
  p->y = p->b;
  GOOD(run(bed));
  p->b = p->a;
  p->y = p->a;
  GOOD(run(bed));
  p->a = view_at(bed, 0, 32);
  p->b = view_at(bed, 512, 16);
  p->y = view_at(bed, 64, 16);
  GOOD(run(bed)); /* a has room for 32, the op takes 16 of them */
  p->y.offset = 0;
  p->b.offset = 0;
  p->a.offset = 1024;
  GOOD(run(bed));
  p->b.bytes = p->y.bytes = 128;
  p->y.offset = 64;
  p->rows.count = 4;
  BREACH(run(bed), "op_query has not accepted it");
  p->rows.count = 2;
  GOOD(run(bed)); /* b takes bytes 0 to 63, y 64 to 127 */
  assert_int_equal(end(bed), 0);
}

static void test_validate__dead_and_foreign_handles_are_named(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  struct plm_buffer *buffer;
  char byte = 0;
  open_over(bed, "validate");
  const struct plm_backend *b = &bed->plugin->backend;
  GOOD(b->buffer_create(bed->device, 64, PLM_BUFFER_UPLOAD, &buffer, &bed->err));
  BREACH(b->buffer_write(bed->queue, buffer, 64, &byte, 1, &bed->err), "bytes 64 to 65 of buffer 2, which has 64");
  BREACH(b->buffer_read(bed->queue, buffer, UINT64_MAX, &byte, 1, &bed->err), "of buffer 2, which has 64");
  b->buffer_destroy(buffer);
  BREACH(b->buffer_write(bed->queue, buffer, 0, &byte, 1, &bed->err), "buffer_write: buffer 2 is destroyed");
  bed->op.u.linear.x.buffer = buffer;
  BREACH(run(bed), "op #9 linear: x: buffer 2 is destroyed");
  BREACH(b->buffer_create(bed->device, 0, PLM_BUFFER_DEVICE, &buffer, &bed->err), "0 bytes");
  BREACH(b->buffer_create(bed->device, 64, 77, &buffer, &bed->err), "kind 77 is unknown");
  BREACH(b->queue_finish((struct plm_queue *)(void *)&byte, &bed->err), "is no queue of this backend");
  assert_int_equal(end(bed), 0);
}

static void test_validate__a_second_destroy_is_told_by_the_next_call(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  struct plm_buffer *buffer;
  open_over(bed, "validate");
  const struct plm_backend *b = &bed->plugin->backend;
  GOOD(b->buffer_create(bed->device, 64, PLM_BUFFER_DEVICE, &buffer, &bed->err));
  b->buffer_destroy(buffer);
  b->buffer_destroy(buffer);
  BREACH(b->queue_finish(bed->queue, &bed->err), "buffer_destroy: buffer 2 is destroyed");
  GOOD(b->queue_finish(bed->queue, &bed->err));
  assert_int_equal(end(bed), 0);
}

static void test_validate__a_buffer_in_use_must_not_be_destroyed(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  open_over(bed, "validate");
  const struct plm_backend *b = &bed->plugin->backend;
  GOOD(run(bed));
  b->buffer_destroy(bed->buffer);
  bed->buffer = NULL;
  BREACH(end(bed), "a queue may still use buffer 1");
}

static void test_validate__leaks_are_counted_when_the_device_is_closed(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  struct plm_buffer *leaked[2];
  open_over(bed, "validate");
  for (int i = 0; i < 2; i++)
    GOOD(bed->plugin->backend.buffer_create(bed->device, 100, PLM_BUFFER_DEVICE, &leaked[i], &bed->err));
  for (int i = 0; i < 2; i++)
    bed->plugin->bare.buffer_destroy(leaked[i]); /* past the layer: only it sees a leak */
  BREACH(end(bed), "device_close: 2 of its buffers are not destroyed (200 bytes), the first is buffer 2");
}

static void test_validate__events_are_watched(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  struct plm_event *event;
  open_over(bed, "validate");
  const struct plm_backend *b = &bed->plugin->backend;
  BREACH(b->event_wait(NULL, &bed->err), "event_wait: the event is NULL");
  GOOD(b->event_record(bed->queue, &event, &bed->err));
  b->event_destroy(event);
  BREACH(b->event_wait(event, &bed->err), "event_wait: event 1 is destroyed");
  b->event_destroy(event);
  BREACH(b->queue_finish(bed->queue, &bed->err), "event_destroy: event 1 is destroyed");
  assert_int_equal(end(bed), 0);
}

/* Backends with one fault, made from the reference's functions. */
static struct plm_backend honest;

static int overrun(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const float x = 0;
  return honest.buffer_write(queue, op->u.linear.y.buffer, BYTES + 4, &x, 4, err);
}
static int mute(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  (void)queue, (void)op, (void)err;
  return PLM_E_DEVICE_LOST;
}
static int odd_code(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  (void)queue, (void)op, (void)err;
  return 4711;
}
static int greedy(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  int code = honest.op_query(device, op, out, err);
  out->workspace_bytes = 512;
  return code;
}

static void open_broken(struct bed *bed, int (*op_run)(struct plm_queue *, const struct plm_op *, struct plm_error *),
                        const char *layer) {
  load(bed);
  honest = bed->plugin->bare;
  if (op_run)
    bed->plugin->backend.op_run = op_run;
  else
    bed->plugin->backend.op_query = greedy;
  open_bed(bed, layer);
}

static void test_validate__a_backend_that_breaks_the_rules_is_caught(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  open_broken(bed, overrun, "validate:strict");
  BREACH(run(bed), "op #9 linear: byte 4 behind the end of buffer 1 (4096 bytes) is written");
  BREACH(end(bed), "queue_destroy: byte 4 behind the end of buffer 1");
  open_broken(bed, overrun, "validate");
  GOOD(run(bed));
  BREACH(bed->plugin->backend.queue_finish(bed->queue, &bed->err), "queue_finish: byte 4 behind the end of buffer 1");
  BREACH(end(bed), "queue_destroy: byte 4 behind the end of buffer 1");
  open_broken(bed, mute, "validate");
  bed->err = (struct plm_error)PLM_ERROR_INIT;
  BREACH(run(bed), "the backend fails with DEVICE_LOST and gives no reason");
  assert_int_equal(end(bed), 0);
  open_broken(bed, odd_code, "validate");
  BREACH(run(bed), "the backend returns 4711, no code of the ABI");
  assert_int_equal(end(bed), 0);
  open_broken(bed, NULL, "validate");
  BREACH(run(bed), "its workspace has 0 bytes, op_query asked for 512");
  bed->op.workspace = view_at(bed, 2048, 128);
  BREACH(run(bed), "views \"y\" and \"workspace\" overlap");
  bed->op.workspace.offset = 3072;
  GOOD(run(bed));
  assert_int_equal(end(bed), 0);
}

/* ------------------------------------------------------------ fault */

static void test_fault__the_named_call_fails_as_asked(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  struct plm_buffer *buffer = NULL;
  open_over(bed, "fault:op_run@2=BUILD_FAILED,buffer_create@2=NO_MEMORY,queue_finish@1=timeout");
  const struct plm_backend *b = &bed->plugin->backend;
  GOOD(run(bed));
  assert_int_equal(run(bed), PLM_E_BUILD_FAILED);
  assert_string_equal(bed->err.text, "op_run of linear: BUILD_FAILED, as the fault layer was asked for call 2");
  assert_int_equal(bed->err.op_kind, PLM_OP_LINEAR);
  GOOD(run(bed));
  assert_int_equal(b->buffer_create(bed->device, 64, PLM_BUFFER_DEVICE, &buffer, &bed->err), PLM_E_NO_MEMORY);
  assert_null(buffer);
  assert_int_equal(b->queue_finish(bed->queue, &bed->err), PLM_E_TIMEOUT);
  GOOD(b->queue_finish(bed->queue, &bed->err));
  assert_int_equal(end(bed), 0);
}

static void test_fault__a_lost_device_stays_lost(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  uint32_t failed = 99;
  open_over(bed, "fault:op_run@2=DEVICE_LOST");
  struct plm_op program[3] = {bed->op, bed->op, bed->op};
  const struct plm_backend *b = &bed->plugin->backend;
  assert_int_equal(b->program_run(bed->queue, program, 3, &failed, &bed->err), PLM_E_DEVICE_LOST);
  assert_int_equal(failed, 1);
  assert_int_equal(b->queue_finish(bed->queue, &bed->err), PLM_E_DEVICE_LOST);
  assert_non_null(strstr(bed->err.text, "the device is lost"));
  assert_int_equal(end(bed), 0);
}

static void test_fault__wrong_and_nan_change_one_number(void **state) {
  (void)state;
  struct bed it, *bed = &it;
  float runs[3][ROWS * OUT];
  open_over(bed, "fault:op_run@2=wrong,op_run@3=nan");
  for (int i = 0; i < 3; i++) {
    GOOD(run(bed));
    GOOD(bed->plugin->backend.buffer_read(bed->queue, bed->buffer, 2048, runs[i], sizeof runs[i], &bed->err));
  }
  for (uint32_t i = 0; i < ROWS * OUT; i++) {
    int changed = i == ROWS * OUT / 2;
    assert_int_equal(runs[1][i] != runs[0][i], changed);
    assert_int_equal(runs[2][i] != runs[2][i], changed);
  }
  assert_int_equal(end(bed), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_layers__bad_texts_are_refused),
      cmocka_unit_test(test_layers__all_at_once_change_no_result_and_come_off),
      cmocka_unit_test(test_layers__one_cannot_stand_over_two_plugins),
      cmocka_unit_test(test_trace__writes_one_line_a_call),
      cmocka_unit_test(test_time__adds_up_calls_and_leaves_the_first_one_out),
      cmocka_unit_test(test_validate__good_use_passes),
      cmocka_unit_test(test_validate__bad_ops_are_named),
      cmocka_unit_test(test_validate__in_place_is_fine_where_the_header_says_so),
      cmocka_unit_test(test_validate__dead_and_foreign_handles_are_named),
      cmocka_unit_test(test_validate__a_second_destroy_is_told_by_the_next_call),
      cmocka_unit_test(test_validate__a_buffer_in_use_must_not_be_destroyed),
      cmocka_unit_test(test_validate__leaks_are_counted_when_the_device_is_closed),
      cmocka_unit_test(test_validate__events_are_watched),
      cmocka_unit_test(test_validate__a_backend_that_breaks_the_rules_is_caught),
      cmocka_unit_test(test_fault__the_named_call_fails_as_asked),
      cmocka_unit_test(test_fault__a_lost_device_stays_lost),
      cmocka_unit_test(test_fault__wrong_and_nan_change_one_number),
  };
  plm_log_level_set(0);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
