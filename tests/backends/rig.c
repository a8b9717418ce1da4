#include "rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "runtime/plugin.h"

#define KEPT_MAX 65536

static struct plm_plugin *plugin;
static const struct plm_backend *backend;
static struct plm_device *device;
static struct plm_queue *queue;
static struct plm_buffer *buffers[KEPT_MAX];
static void *blocks[KEPT_MAX];
static size_t buffer_count, block_count;

#define MUST(call)                                                                                                     \
  do {                                                                                                                 \
    struct plm_error must_err = PLM_ERROR_INIT;                                                                        \
    if (call)                                                                                                          \
      fail_msg("%s: %s", #call, must_err.text);                                                                        \
  } while (0)

int rig_setup(void **state) {
  (void)state;
  MUST(plm_plugin_load(&plugin, REFERENCE_PATH, NULL, 0, 1, &must_err));
  backend = &plugin->backend;
  MUST(backend->device_open(0, &device, &must_err));
  MUST(backend->queue_create(device, &queue, &must_err));
  return 0;
}

int rig_teardown(void **state) {
  (void)state;
  backend->queue_destroy(queue);
  backend->device_close(device);
  plm_plugin_destroy(plugin);
  return 0;
}

int rig_clear(void **state) {
  (void)state;
  while (buffer_count > 0)
    backend->buffer_destroy(buffers[--buffer_count]);
  while (block_count > 0)
    free(blocks[--block_count]);
  return 0;
}

static struct plm_view view_create(const void *data, uint64_t bytes, uint32_t type) {
  struct plm_buffer *buffer = NULL;
  assert_true(buffer_count < KEPT_MAX);
  MUST(backend->buffer_create(device, bytes ? bytes : 4, PLM_BUFFER_DEVICE, &buffer, &must_err));
  buffers[buffer_count++] = buffer;
  if (data)
    MUST(backend->buffer_write(queue, buffer, 0, data, bytes, &must_err));
  return (struct plm_view){buffer, 0, bytes, type, 0};
}

struct plm_view rig_f32(const float *data, uint64_t count) {
  return view_create(data, 4 * count, PLM_TYPE_F32);
}
struct plm_view rig_i32(const int32_t *data, uint64_t count) {
  return view_create(data, 4 * count, PLM_TYPE_I32);
}

static void *keep(uint64_t bytes) {
  void *memory = plm_memory_zeroed((size_t)bytes, 1);
  assert_non_null(memory);
  assert_true(block_count < KEPT_MAX);
  blocks[block_count++] = memory;
  return memory;
}

const float *rig_read(const struct plm_view *view) {
  void *memory = keep(view->bytes);
  MUST(backend->buffer_read(queue, view->buffer, view->offset, memory, view->bytes, &must_err));
  return memory;
}

void rig_write(const struct plm_view *view, const float *data) {
  MUST(backend->buffer_write(queue, view->buffer, view->offset, data, view->bytes, &must_err));
}

struct plm_op rig_op(uint32_t kind, uint32_t flags) {
  return (struct plm_op){.struct_size = sizeof(struct plm_op), .kind = kind, .flags = flags, .type = PLM_TYPE_F32};
}

int rig_ask(const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  return backend->op_query(device, op, out, err);
}

struct plm_verdict rig_query(const struct plm_op *op) {
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  MUST(rig_ask(op, &verdict, &must_err));
  return verdict;
}

int rig_try(const struct plm_op *op, struct plm_error *err) {
  struct plm_op bound = *op;
  const struct plm_verdict verdict = rig_query(op);
  if (verdict.workspace_bytes && !bound.workspace.buffer)
    bound.workspace = view_create(NULL, verdict.workspace_bytes, PLM_TYPE_F32);
  return backend->op_run(queue, &bound, err);
}

void rig_run(const struct plm_op *op) { MUST(rig_try(op, &must_err)); }

float *rig_normal(uint32_t seed, uint64_t count) {
  float *x = keep(4 * count);
  plm_rng_normal(x, count, 1, 1234, PLM_RNG_TEST, 0, seed);
  return x;
}

void rig_close(double got, double expected, double tolerance, const char *what) {
  if (!(fabs(got - expected) <= tolerance))
    fail_msg("%s = %.10g, expected %.10g within %.2g", what, got, expected, tolerance);
}

void rig_check_gradient(double (*loss)(void *context), void *context, float *x, uint64_t count, const float *gradient,
                        double tolerance, const char *what) {
  for (uint64_t i = 0; i < count; i++) {
    const float kept = x[i], up = kept + 0x1p-7f, down = kept - 0x1p-7f;
    x[i] = up;
    const double above = loss(context);
    x[i] = down;
    const double below = loss(context);
    x[i] = kept;
    const double slope = (above - below) / ((double)up - down);
    if (!(fabs(slope - gradient[i]) <= tolerance))
      fail_msg("gradient of %s[%llu] = %.8g, finite difference %.8g, allowed %.2g", what, (unsigned long long)i,
               (double)gradient[i], slope, tolerance);
  }
}

double rig_dot(const float *a, const float *b, uint64_t count) {
  double sum = 0;
  for (uint64_t i = 0; i < count; i++)
    sum += (double)a[i] * b[i];
  return sum;
}
