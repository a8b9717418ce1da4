/* Level 1: buffers, queues, events, and what is given back. */
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "check/check_test.h"

/* The slots of the tested side under their own names. */
#define CALL(slot, ...) rig->tested.backend->slot(__VA_ARGS__)
#define QUEUE rig->tested.queue
#define DEVICE rig->tested.device

static uint32_t word(const struct plm_check_entry *entry, uint32_t stream, uint32_t index) {
  return plm_rng_word(entry->seed, PLM_RNG_TEST, 7000 + stream, entry->variant, index);
}

/* A new buffer, or NULL with *out failed. */
static struct plm_buffer *new_buffer(struct plm_check_outcome *out, struct plm_check_rig *rig, uint64_t bytes,
                                     uint32_t kind) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_buffer *buffer = NULL;
  const int code = CALL(buffer_create, DEVICE, bytes, kind, &buffer, &err);
  if (code)
    plm_check_fail(out, "buffer_create of %" PRIu64 " bytes: error %d: %s", bytes, code, err.text);
  else if (!buffer)
    plm_check_fail(out, "buffer_create of %" PRIu64 " bytes succeeds without a buffer", bytes);
  return code ? NULL : buffer;
}

static int put(struct plm_check_outcome *out, struct plm_check_rig *rig, struct plm_buffer *buffer, uint64_t offset,
               const void *data, uint64_t bytes) {
  struct plm_error err = PLM_ERROR_INIT;
  const int code = CALL(buffer_write, QUEUE, buffer, offset, data, bytes, &err);
  if (code)
    plm_check_fail(out, "buffer_write of %" PRIu64 " bytes at %" PRIu64 ": error %d: %s", bytes, offset, code, err.text);
  return code;
}

static int get(struct plm_check_outcome *out, struct plm_check_rig *rig, struct plm_buffer *buffer, uint64_t offset,
               void *data, uint64_t bytes) {
  struct plm_error err = PLM_ERROR_INIT;
  const int code = CALL(buffer_read, QUEUE, buffer, offset, data, bytes, &err);
  if (code)
    plm_check_fail(out, "buffer_read of %" PRIu64 " bytes at %" PRIu64 ": error %d: %s", bytes, offset, code, err.text);
  return code;
}

static void random_bytes(unsigned char *data, uint64_t bytes, const struct plm_check_entry *entry, uint32_t stream) {
  for (uint64_t i = 0; i < bytes; i++)
    data[i] = (unsigned char)(word(entry, stream, (uint32_t)(i / 4)) >> (8 * (i % 4)));
}

/* ------------------------------------------------------------------ sizes */

/* Every size comes back whole, to the last byte, and what lies beyond the read stays as it was. */
static void test_sizes(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  static const uint64_t sizes[] = {1, 2, 3, 4, 5, 31, 63, 64, 65, 127, 4095, 4096, 4097, 65537, 1u << 20, 9999991};
  const uint32_t kind = entry->variant ? PLM_BUFFER_UPLOAD : PLM_BUFFER_DEVICE;
  unsigned char *data = plm_memory_zeroed(10000064, 1), *back = plm_memory_zeroed(10000064, 1);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes && data && back; i++) {
    struct plm_buffer *buffer = new_buffer(out, rig, sizes[i], kind);
    if (!buffer)
      break;
    random_bytes(data, sizes[i], entry, (uint32_t)i);
    memset(back, 0xc5, (size_t)sizes[i] + 64);
    if (!put(out, rig, buffer, 0, data, sizes[i]) && !get(out, rig, buffer, 0, back, sizes[i])) {
      if (memcmp(data, back, (size_t)sizes[i]))
        plm_check_fail(out, "%" PRIu64 " bytes written and read come back changed", sizes[i]);
      for (int k = 0; k < 64; k++)
        if (back[sizes[i] + (uint64_t)k] != 0xc5)
          plm_check_fail(out, "buffer_read of %" PRIu64 " bytes writes past the end of the host's memory", sizes[i]);
    }
    CALL(buffer_destroy, buffer);
  }
  if (!data || !back)
    plm_check_fail(out, "out of memory");
  free(data);
  free(back);
}

/* Writes at any offset and of any length, mirrored on the host. */
static void test_offsets(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  enum { BYTES = 70001, ROUNDS = 300 };
  unsigned char *mirror = plm_memory_zeroed(BYTES, 1), *data = plm_memory_zeroed(BYTES, 1);
  struct plm_buffer *buffer = mirror && data ? new_buffer(out, rig, BYTES, PLM_BUFFER_DEVICE) : NULL;
  if (buffer && !put(out, rig, buffer, 0, mirror, BYTES))
    for (uint32_t i = 0; i < ROUNDS && out->status == PLM_CHECK_PASSED; i++) {
      const uint64_t offset = word(entry, 0, 2 * i) % BYTES;
      const uint64_t length = i % 7 == 0 ? 0 : word(entry, 0, 2 * i + 1) % (i % 3 ? 40 : 20000) % (BYTES - offset + 1);
      random_bytes(data, length, entry, i);
      memcpy(mirror + offset, data, (size_t)length);
      if (put(out, rig, buffer, offset, data, length))
        break;
      memset(data, 0xc5, (size_t)length); /* when write returns, data may be changed */
      const uint64_t at = word(entry, 1, 2 * i) % BYTES;
      const uint64_t size = word(entry, 1, 2 * i + 1) % (BYTES - at + 1);
      if (get(out, rig, buffer, at, data, size))
        break;
      if (memcmp(data, mirror + at, (size_t)size))
        plm_check_fail(out, "after %" PRIu32 " writes, %" PRIu64 " bytes at offset %" PRIu64 " are not what was written",
                       i + 1, size, at);
    }
  if (buffer)
    CALL(buffer_destroy, buffer);
  free(mirror);
  free(data);
}

/* Buffers side by side do not share a byte. */
static void test_neighbours(struct plm_check_outcome *out, struct plm_check_rig *rig,
                            const struct plm_check_entry *entry) {
  enum { COUNT = 64 };
  static unsigned char data[4099];
  struct plm_buffer *buffers[COUNT] = {NULL};
  (void)entry;
  for (uint32_t i = 0; i < COUNT && out->status == PLM_CHECK_PASSED; i++) {
    buffers[i] = new_buffer(out, rig, 1 + 64 * i + i % 5, i % 2 ? PLM_BUFFER_UPLOAD : PLM_BUFFER_DEVICE);
    memset(data, (int)i + 1, sizeof data);
    if (buffers[i])
      put(out, rig, buffers[i], 0, data, 1 + 64 * i + i % 5);
  }
  for (uint32_t i = 0; i < COUNT && buffers[i]; i++) {
    const uint32_t bytes = 1 + 64 * i + i % 5;
    if (get(out, rig, buffers[i], 0, data, bytes))
      break;
    for (uint32_t k = 0; k < bytes; k++)
      if (data[k] != i + 1)
        plm_check_fail(out, "byte %" PRIu32 " of buffer %" PRIu32 " holds what was written to buffer %d", k, i,
                       data[k] - 1);
  }
  for (uint32_t i = COUNT; i-- > 0;)
    if (buffers[i])
      CALL(buffer_destroy, buffers[i]);
}

/* ------------------------------------------------------------- refusals */

/* A call that has to fail: with a code of the ABI, one line of text, and *created untouched. */
static void must_fail(struct plm_check_outcome *out, int code, const struct plm_error *err, const char *what) {
  if (!code)
    plm_check_fail(out, "%s: succeeds, must be refused", what);
  else if (code < PLM_E_INVALID || code > PLM_E_INTERNAL)
    plm_check_fail(out, "%s: code %d is none of the ABI's", what, code);
  else if (!err->text[0] || strchr(err->text, '\n') || !memchr(err->text, '\0', sizeof err->text))
    plm_check_fail(out, "%s: refused with code %d, but the error holds no line of text", what, code);
}

static void test_bad_create(struct plm_check_outcome *out, struct plm_check_rig *rig,
                            const struct plm_check_entry *entry) {
  const uint64_t most = rig->info.buffer_bytes_max;
  const struct {
    uint64_t bytes;
    uint32_t kind;
    const char *what;
  } bad[] = {
      {0, PLM_BUFFER_DEVICE, "buffer_create of 0 bytes"},
      {64, 0, "buffer_create of kind 0"},
      {64, 77, "buffer_create of kind 77"},
      {UINT64_MAX, PLM_BUFFER_DEVICE, "buffer_create of 2^64-1 bytes"},
      {UINT64_MAX - 63, PLM_BUFFER_UPLOAD, "buffer_create of 2^64-64 bytes"},
      {(uint64_t)1 << 62, PLM_BUFFER_DEVICE, "buffer_create of 2^62 bytes"},
      {(uint64_t)1 << 50, PLM_BUFFER_UPLOAD, "buffer_create of 2^50 bytes"},
      {most ? most + 1 : UINT64_MAX, PLM_BUFFER_DEVICE, "buffer_create of buffer_bytes_max + 1 bytes"},
  };
  (void)entry;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    struct plm_buffer *const mark = (struct plm_buffer *)(void *)&err, *buffer = mark;
    const int code = CALL(buffer_create, DEVICE, bad[i].bytes, bad[i].kind, &buffer, &err);
    must_fail(out, code, &err, bad[i].what);
    if (code && code != PLM_E_INVALID && code != PLM_E_NO_MEMORY && code != PLM_E_UNSUPPORTED)
      plm_check_fail(out, "%s: code %d (%s), must be PLM_E_INVALID or PLM_E_NO_MEMORY", bad[i].what, code, err.text);
    if (code && buffer != mark)
      plm_check_fail(out, "%s: refused, but *out was changed", bad[i].what);
    if (!code && buffer != mark)
      CALL(buffer_destroy, buffer);
  }
  struct plm_buffer *good = new_buffer(out, rig, 64, PLM_BUFFER_DEVICE);
  if (good)
    CALL(buffer_destroy, good);
}

static void test_ranges(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  static const struct {
    uint64_t offset, bytes;
  } bad[] = {{0, 101}, {100, 1}, {101, 0}, {99, 2}, {UINT64_MAX, 1}, {1, UINT64_MAX}, {UINT64_MAX - 3, 8}, {1u << 31, 4}};
  static unsigned char zeros[200], data[200];
  struct plm_buffer *buffer = new_buffer(out, rig, 100, entry->variant ? PLM_BUFFER_UPLOAD : PLM_BUFFER_DEVICE);
  if (!buffer || put(out, rig, buffer, 0, zeros, 100))
    return;
  memset(data, 0xc5, sizeof data);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char what[96];
    struct plm_error err = PLM_ERROR_INIT;
    snprintf(what, sizeof what, "buffer_write of %" PRIu64 " bytes at %" PRIu64 " of 100", bad[i].bytes, bad[i].offset);
    must_fail(out, CALL(buffer_write, QUEUE, buffer, bad[i].offset, data, bad[i].bytes, &err), &err, what);
    snprintf(what, sizeof what, "buffer_read of %" PRIu64 " bytes at %" PRIu64 " of 100", bad[i].bytes, bad[i].offset);
    struct plm_error read_err = PLM_ERROR_INIT;
    must_fail(out, CALL(buffer_read, QUEUE, buffer, bad[i].offset, data, bad[i].bytes, &read_err), &read_err, what);
  }
  for (size_t i = 0; i < sizeof data; i++)
    if (data[i] != 0xc5)
      plm_check_fail(out, "a refused buffer_read writes to the host's memory");
  if (!put(out, rig, buffer, 100, NULL, 0) && !get(out, rig, buffer, 100, NULL, 0) &&
      !put(out, rig, buffer, 0, NULL, 0) && !get(out, rig, buffer, 0, data, 100) && memcmp(data, zeros, 100))
    plm_check_fail(out, "a refused buffer_write changes the buffer");
  CALL(buffer_destroy, buffer);
}

/* ---------------------------------------------------------------- order */

static struct plm_op add_op(struct plm_buffer *a, struct plm_buffer *b, uint32_t count) {
  struct plm_op op = {.struct_size = sizeof op, .kind = PLM_OP_ADD, .type = PLM_TYPE_F32};
  op.u.add.a = op.u.add.y = (struct plm_view){a, 0, (uint64_t)count * 4, PLM_TYPE_F32, 0};
  op.u.add.b = (struct plm_view){b, 0, (uint64_t)count * 4, PLM_TYPE_F32, 0};
  op.u.add.rows = (struct plm_extent){1, PLM_EXTENT_FIXED};
  op.u.add.width = count;
  return op;
}

/* Gives op the workspace that its verdict asks for; *workspace is the caller's to destroy. */
static int bind_workspace(struct plm_check_outcome *out, struct plm_check_rig *rig, struct plm_op *op,
                          struct plm_buffer **workspace) {
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_check_must(out, CALL(op_query, DEVICE, op, &verdict, &err), &err, "op_query"))
    return 1;
  if (verdict.status != PLM_VERDICT_SUPPORTED)
    return plm_check_fail(out, "op_query declines %s, which is required: %.100s", plm_op_name(op->kind), verdict.text);
  if (verdict.workspace_bytes) {
    *workspace = new_buffer(out, rig, verdict.workspace_bytes, PLM_BUFFER_DEVICE);
    op->workspace = (struct plm_view){*workspace, 0, verdict.workspace_bytes, PLM_TYPE_F32, 0};
    return !*workspace;
  }
  return 0;
}

/* Writes, ops and reads without a finish between them act in the order of the calls. */
static void test_order(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  enum { COUNT = 5003, ROUNDS = 60 };
  static float ones[COUNT], x[COUNT], back[COUNT];
  struct plm_buffer *a = new_buffer(out, rig, sizeof x, PLM_BUFFER_DEVICE), *workspace = NULL;
  struct plm_buffer *b = new_buffer(out, rig, sizeof ones, PLM_BUFFER_UPLOAD);
  struct plm_error err = PLM_ERROR_INIT;
  if (!a || !b)
    return;
  struct plm_op op = add_op(a, b, COUNT);
  if (bind_workspace(out, rig, &op, &workspace))
    return;
  for (uint32_t round = 0; round < ROUNDS && out->status == PLM_CHECK_PASSED; round++) {
    const uint32_t times = 1 + word(entry, 0, round) % 5;
    for (uint32_t i = 0; i < COUNT; i++) {
      x[i] = (float)(round + i % 3);
      ones[i] = 1;
    }
    if (put(out, rig, a, 0, x, sizeof x) || put(out, rig, b, 0, ones, sizeof ones))
      break;
    memset(x, 0xff, sizeof x);
    for (uint32_t k = 0; k < times; k++)
      plm_check_must(out, CALL(op_run, QUEUE, &op, &err), &err, "op_run of add");
    for (uint32_t i = 0; i < COUNT; i++)
      ones[i] = 1000; /* written after the ops, so none of them sees it */
    if (put(out, rig, b, 0, ones, sizeof ones) || get(out, rig, a, 0, back, sizeof back))
      break;
    for (uint32_t i = 0; i < COUNT; i++)
      if (back[i] != (float)(round + i % 3 + times))
        plm_check_fail(out, "round %" PRIu32 ": element %" PRIu32 " is %g after a write of %g and %" PRIu32
                            " additions of 1: not in order", round, i, (double)back[i], (double)(round + i % 3), times);
  }
  plm_check_must(out, CALL(queue_finish, QUEUE, &err), &err, "queue_finish");
  CALL(buffer_destroy, workspace);
  CALL(buffer_destroy, b);
  CALL(buffer_destroy, a);
}

/* Events: marks in a queue, waited for in any order or not at all. */
static void test_events(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  enum { COUNT = 4096, EVENTS = 24 };
  static float x[COUNT];
  struct plm_event *events[EVENTS] = {NULL};
  struct plm_buffer *a = new_buffer(out, rig, sizeof x, PLM_BUFFER_DEVICE), *workspace = NULL;
  struct plm_buffer *b = new_buffer(out, rig, sizeof x, PLM_BUFFER_DEVICE);
  struct plm_error err = PLM_ERROR_INIT;
  if (!a || !b)
    return;
  struct plm_op op = add_op(a, b, COUNT);
  memset(x, 0, sizeof x);
  if (put(out, rig, a, 0, x, sizeof x) || bind_workspace(out, rig, &op, &workspace))
    return;
  for (uint32_t i = 0; i < COUNT; i++)
    x[i] = 1;
  put(out, rig, b, 0, x, sizeof x);
  for (uint32_t i = 0; i < EVENTS && out->status == PLM_CHECK_PASSED; i++) {
    plm_check_must(out, CALL(op_run, QUEUE, &op, &err), &err, "op_run of add");
    plm_check_must(out, CALL(event_record, QUEUE, &events[i], &err), &err, "event_record");
  }
  for (uint32_t i = 0; i < EVENTS && events[EVENTS - 1]; i++) {
    const uint32_t at = entry->variant ? EVENTS - 1 - i : i; /* the last one first */
    if (at % 5 != 3)
      plm_check_must(out, CALL(event_wait, events[at], &err), &err, "event_wait");
    if (at % 5 == 1)
      plm_check_must(out, CALL(event_wait, events[at], &err), &err, "event_wait, a second time");
    CALL(event_destroy, events[at]);
  }
  if (!get(out, rig, a, 0, x, sizeof x) && (x[0] != EVENTS || x[COUNT - 1] != EVENTS))
    plm_check_fail(out, "after %d additions of 1 with events between them the sum is %g", EVENTS, (double)x[0]);
  CALL(buffer_destroy, workspace);
  CALL(buffer_destroy, b);
  CALL(buffer_destroy, a);
}

/* ------------------------------------------------------------- programs */

static struct plm_op fill_op(struct plm_buffer *x, uint32_t count, float value) {
  struct plm_op op = {.struct_size = sizeof op, .kind = PLM_OP_FILL, .type = PLM_TYPE_F32};
  op.u.fill.x = (struct plm_view){x, 0, (uint64_t)count * 4, PLM_TYPE_F32, 0};
  op.u.fill.count = count;
  op.u.fill.value = value;
  return op;
}

/* With y = 0 before: x = 1, x += y, y = 5, y += x makes y = 6, in this order only. *workspace is the caller's. */
static int make_program(struct plm_op ops[4], struct plm_check_outcome *out, struct plm_check_rig *rig,
                        struct plm_buffer *x, struct plm_buffer *y, struct plm_buffer **workspace) {
  ops[0] = fill_op(x, 256, 1);
  ops[1] = add_op(x, y, 256);
  ops[2] = fill_op(y, 256, 5);
  ops[3] = add_op(y, x, 256);
  for (uint32_t i = 0; i < 4; i++)
    ops[i].index = i;
  if (bind_workspace(out, rig, &ops[1], workspace))
    return 1;
  ops[3].workspace = ops[1].workspace;
  return 0;
}

/* Whoever reports that op 2, a fill, has no buffer: it is blamed, by its kind and by its place. */
static void run_bad_program(struct plm_check_outcome *out, struct plm_check_rig *rig, struct plm_op ops[4]) {
  struct plm_error err = PLM_ERROR_INIT, late = PLM_ERROR_INIT;
  uint32_t failed = 99;
  ops[2].u.fill.x.buffer = NULL;
  const int code = CALL(program_run, QUEUE, ops, 4, &failed, &err);
  const int at_finish = CALL(queue_finish, QUEUE, &late);
  const uint32_t blamed = code ? err.op_kind : late.op_kind;
  if (!code && !at_finish)
    plm_check_fail(out, "a program with a fill that has no buffer succeeds");
  else if (blamed != PLM_OP_FILL)
    plm_check_fail(out, "a fill of a program fails, op_kind is %" PRIu32 " (%s)", blamed, plm_op_name(blamed));
  else if (code && failed != 2)
    plm_check_fail(out, "op 2 of a program fails, program_run says op %" PRIu32, failed);
  plm_check_must(out, CALL(queue_finish, QUEUE, &late), &late, "queue_finish after a failure that was reported");
}

/* program_run acts as its ops one by one, and tells which of them failed. */
static void test_program(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_buffer *x = new_buffer(out, rig, 1024, PLM_BUFFER_DEVICE), *workspace = NULL;
  struct plm_buffer *y = new_buffer(out, rig, 1024, PLM_BUFFER_DEVICE);
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_op ops[4];
  float back[256] = {0};
  uint32_t failed = 99;
  (void)entry;
  if (!x || !y || put(out, rig, y, 0, back, sizeof back) || make_program(ops, out, rig, x, y, &workspace))
    return;
  plm_check_must(out, CALL(program_run, QUEUE, ops, 4, &failed, &err), &err, "program_run");
  plm_check_must(out, CALL(program_run, QUEUE, ops, 0, &failed, &err), &err, "program_run of no op");
  if (!get(out, rig, y, 0, back, sizeof back) && (back[0] != 6 || back[255] != 6))
    plm_check_fail(out, "with y = 0, x = 1, x += y, y = 5, y += x makes y = %g in one program", (double)back[0]);
  if (failed != 99)
    plm_check_fail(out, "program_run succeeds and sets *failed to %" PRIu32, failed);
  run_bad_program(out, rig, ops);
  CALL(buffer_destroy, workspace);
  CALL(buffer_destroy, y);
  CALL(buffer_destroy, x);
}

/* ---------------------------------------------------------- given back */

/* One life of a device: a queue, buffers of some size, an op, an event. */
static int one_life(struct plm_check_outcome *out, struct plm_check_rig *rig, uint64_t floats) {
  struct plm_check_rig own = *rig;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_buffer *workspace = NULL;
  struct plm_event *event = NULL;
  static float x[256];
  if (plm_check_must(out, plm_side_open(&own.tested, rig->tested.backend, rig->device, &err), &err, "device_open"))
    return 1;
  struct plm_buffer *a = new_buffer(out, &own, floats * 4, PLM_BUFFER_DEVICE);
  struct plm_buffer *b = new_buffer(out, &own, floats * 4, PLM_BUFFER_UPLOAD);
  if (a && b) {
    struct plm_op op = add_op(a, b, 256);
    put(out, &own, a, 0, x, sizeof x);
    put(out, &own, b, 0, x, sizeof x);
    if (!bind_workspace(out, &own, &op, &workspace))
      plm_check_must(out, own.tested.backend->op_run(own.tested.queue, &op, &err), &err, "op_run of add");
    if (!plm_check_must(out, own.tested.backend->event_record(own.tested.queue, &event, &err), &err, "event_record")) {
      plm_check_must(out, own.tested.backend->event_wait(event, &err), &err, "event_wait");
      own.tested.backend->event_destroy(event);
    }
    get(out, &own, a, 0, x, sizeof x);
  }
  own.tested.backend->buffer_destroy(workspace);
  own.tested.backend->buffer_destroy(b);
  own.tested.backend->buffer_destroy(a);
  plm_side_close(&own.tested);
  return out->status == PLM_CHECK_FAILED;
}

/* NULL to every destroy, and lives one after the other. */
static void test_lives(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  (void)entry;
  CALL(buffer_destroy, NULL);
  CALL(queue_destroy, NULL);
  CALL(device_close, NULL);
  for (int i = 0; i < 20; i++)
    if (one_life(out, rig, 4096))
      return;
}

static uint64_t resident(void) {
  unsigned long long size = 0, pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file) {
    if (fscanf(file, "%llu %llu", &size, &pages) != 2)
      pages = 0;
    fclose(file);
  }
  return pages * 4096;
}

static uint32_t open_files(void) {
  uint32_t count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (folder && readdir(folder))
    count++;
  if (folder)
    closedir(folder);
  return count;
}

/* Bytes that a life may leave behind: what drivers keep of each context. */
#define KEPT_PER_LIFE 65536u
#define KEPT_PER_OBJECT 64u

/* One queue, buffer and event of the device; 1: *out failed. */
static int one_cycle(struct plm_check_outcome *out, struct plm_check_rig *rig, uint32_t kind) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_queue *queue = NULL;
  struct plm_event *event = NULL;
  struct plm_buffer *buffer = new_buffer(out, rig, 1u << 16, kind);
  if (!buffer || plm_check_must(out, CALL(queue_create, DEVICE, &queue, &err), &err, "queue_create") ||
      plm_check_must(out, CALL(buffer_write, queue, buffer, 0, &err, sizeof err, &err), &err, "buffer_write") ||
      plm_check_must(out, CALL(event_record, queue, &event, &err), &err, "event_record"))
    return 1;
  CALL(event_wait, event, &err);
  CALL(event_destroy, event);
  CALL(queue_destroy, queue);
  CALL(buffer_destroy, buffer);
  return 0;
}

static int one_refusal(struct plm_check_outcome *out, struct plm_check_rig *rig) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_buffer *buffer = NULL;
  must_fail(out, CALL(buffer_create, DEVICE, (uint64_t)1 << 62, PLM_BUFFER_DEVICE, &buffer, &err), &err,
            "buffer_create of 2^62 bytes");
  return out->status == PLM_CHECK_FAILED;
}

/*
 * variant 0: whole lives; 1: queues, buffers and events of one device; 2: buffers that are refused. The heap, resident pages
 * and files are watched.
 */
static void test_leaks(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  const uint32_t cycles = entry->variant ? 2000 : 60, allowed = entry->variant ? KEPT_PER_OBJECT : KEPT_PER_LIFE;
  uint64_t heap = 0, pages = 0;
  uint32_t files = 0;
  for (uint32_t i = 0; i < 2 * cycles; i++) {
    if (i == cycles) {
      heap = plm_check_heap();
      pages = resident();
      files = open_files();
    }
    if (entry->variant == 0   ? one_life(out, rig, 1u << 18)
        : entry->variant == 1 ? one_cycle(out, rig, i % 2 ? PLM_BUFFER_UPLOAD : PLM_BUFFER_DEVICE)
                              : one_refusal(out, rig))
      return;
  }
  const double heap_each = ((double)plm_check_heap() - (double)heap) / cycles;
  const double pages_each = ((double)resident() - (double)pages) / cycles;
  if (heap_each > allowed)
    plm_check_fail(out, "each of %" PRIu32 " cycles leaves %.0f bytes of heap behind", cycles, heap_each);
  else if (pages_each > 2.0 * allowed + 4096) /* room for a few huge pages that the system hands out */
    plm_check_fail(out, "each of %" PRIu32 " cycles leaves %.0f resident bytes behind", cycles, pages_each);
  else if (open_files() > files + 2)
    plm_check_fail(out, "%" PRIu32 " cycles leave %" PRIu32 " open files behind", cycles, open_files() - files);
}

/* memory_info, where there is one, sees a buffer come and go. */
static void test_memory_info(struct plm_check_outcome *out, struct plm_check_rig *rig,
                             const struct plm_check_entry *entry) {
  enum { BYTES = 32 << 20 };
  struct plm_error err = PLM_ERROR_INIT;
  uint64_t before = 0, during = 0, after = 0, left = 0;
  int code = CALL(memory_info, DEVICE, &before, &left, &err);
  (void)entry;
  if (code == PLM_E_UNSUPPORTED) {
    out->status = PLM_CHECK_DECLINED;
    snprintf(out->text, sizeof out->text, "memory_info is not offered");
    return;
  }
  if (plm_check_must(out, code, &err, "memory_info"))
    return;
  struct plm_buffer *buffer = new_buffer(out, rig, BYTES, PLM_BUFFER_DEVICE);
  if (!buffer)
    return;
  plm_check_must(out, CALL(memory_info, DEVICE, &during, &left, &err), &err, "memory_info");
  CALL(buffer_destroy, buffer);
  plm_check_must(out, CALL(memory_info, DEVICE, &after, &left, &err), &err, "memory_info");
  if (during < before + BYTES / 2 || after > during - BYTES / 2)
    plm_check_fail(out, "memory_info says %" PRIu64 " bytes used, %" PRIu64 " with a buffer of %d more, %" PRIu64
                        " after it is gone", before, during, BYTES, after);
}

#define TEST(name, variants, run, what) {1, name, variants, PLM_NEED_SIDES, 0, 0, what, run}

const struct plm_check_test plm_check_tests_memory[] = {
    TEST("sizes", 2, test_sizes, "sizes from 1 byte to 10 MB come back whole (0 device, 1 upload buffers)"),
    TEST("offsets", 1, test_offsets, "writes and reads at any offset"),
    TEST("neighbours", 1, test_neighbours, "buffers do not share bytes"),
    TEST("bad_create", 1, test_bad_create, "impossible buffers are refused"),
    TEST("ranges", 2, test_ranges, "ranges past the end are refused (0 device, 1 upload buffers)"),
    TEST("order", 1, test_order, "writes, ops and reads act in order"),
    TEST("events", 2, test_events, "events (0 waited for in order, 1 the last one first)"),
    TEST("program", 1, test_program, "a program acts as its ops one by one"),
    TEST("lives", 1, test_lives, "devices, queues and buffers come and go"),
    {1, "leaks", 3, PLM_NEED_SIDES, 1, 2, "all is given back (0 devices, 1 queues and buffers, 2 refused buffers)", test_leaks},
    TEST("memory_info", 1, test_memory_info, "memory_info sees a buffer come and go"),
};
const uint32_t plm_check_tests_memory_count = sizeof plm_check_tests_memory / sizeof *plm_check_tests_memory;
