/* Level 5: out of memory, failures between good ops, several queues and devices, a soak, and speed as it varies. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/memory.h"
#include "base/rng.h"
#include "check/check_test.h"
#include "check/operands.h"

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static struct plm_case *make(struct plm_check_outcome *out, uint32_t kind, uint32_t variant, uint64_t seed) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_case *c = NULL;
  plm_check_must(out, plm_case_make(&c, kind, variant, seed, &err), &err, "making a case");
  return c;
}

/* One case on a side of its own; a failure becomes *out's, with when in front. */
static void good_case(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_side *side, uint32_t kind,
                      uint32_t variant, uint64_t seed, const char *when) {
  struct plm_case *c = make(out, kind, variant, seed);
  struct plm_check_outcome outcome;
  if (!c)
    return;
  plm_check_case(&outcome, c, side, &rig->oracle);
  out->worst = fmax(out->worst, outcome.worst);
  if (outcome.status == PLM_CHECK_FAILED)
    plm_check_fail(out, "%s: %s:%" PRIu32 " (%s): %.300s", when, plm_op_name(kind), variant, c->label, outcome.text);
  plm_case_destroy(c);
}

/* ---------------------------------------------------------- out of memory */

#define HOARD_MAX 4096u

/* Address space of this process now. */
static uint64_t address_space(void) {
  unsigned long long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file && fscanf(file, "%llu", &pages) != 1)
    pages = 0;
  if (file)
    fclose(file);
  return pages * 4096;
}

/*
 * Buffers until one is refused: with PLM_E_NO_MEMORY, and everything works when they are given back. Devices in host memory
 * are held to 1 GiB of it; others to twice the memory that they say they have, as some hand out what they do not have.
 */
static void test_memory(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  static struct plm_buffer *hoard[HOARD_MAX];
  const struct plm_backend *backend = rig->tested.backend;
  const int in_host = rig->info.kind == PLM_DEVICE_CPU;
  const uint64_t limit = in_host ? (uint64_t)4 << 30 : 2 * rig->info.memory_bytes;
  uint64_t bytes = in_host ? 64u << 20 : limit / 64, total = 0;
  struct plm_error err = PLM_ERROR_INIT;
  struct rlimit before, room;
  uint32_t count = 0;
  int code = 0;
  if (rig->info.buffer_bytes_max && bytes > rig->info.buffer_bytes_max)
    bytes = rig->info.buffer_bytes_max;
  if (!bytes)
    bytes = 64u << 20;
  good_case(out, rig, &rig->tested, PLM_OP_LINEAR, 7, entry->seed, "before memory runs out");
  getrlimit(RLIMIT_AS, &before);
  room = before;
  room.rlim_cur = address_space() + ((uint64_t)1 << 30);
  if (in_host)
    setrlimit(RLIMIT_AS, &room);
  while (!code && count < HOARD_MAX && total < (limit ? limit : (uint64_t)16 << 30)) {
    code = backend->buffer_create(rig->tested.device, bytes, PLM_BUFFER_DEVICE, &hoard[count], &err);
    if (!code) {
      total += bytes;
      /* Touched, since a promise of memory may be broken at its first use. */
      code = backend->buffer_write(rig->tested.queue, hoard[count], bytes - 4, &total, 4, &err);
      count++;
    }
  }
  for (uint32_t i = count; i-- > 0;)
    backend->buffer_destroy(hoard[i]);
  setrlimit(RLIMIT_AS, &before);
  if (code && code != PLM_E_NO_MEMORY)
    plm_check_fail(out, "after %" PRIu64 " bytes a buffer is refused with code %d (%.200s), must be PLM_E_NO_MEMORY", total,
                   code, err.text);
  if (!code && in_host)
    plm_check_fail(out, "%" PRIu64 " bytes of buffers fit into 1 GiB of address space: no memory is behind them", total);
  if (!code && !in_host)
    snprintf(out->text, sizeof out->text, "%.1f GiB of buffers and none refused", (double)total / (1 << 30));
  good_case(out, rig, &rig->tested, PLM_OP_LINEAR, 7, entry->seed, "after memory ran out and was given back");
}

/* What a refused buffer had taken before it was refused is given back too. */
static void test_refused(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  enum { TIMES = 400 };
  const uint64_t bytes = (uint64_t)1 << 48; /* more than any address space has */
  uint64_t heap = 0;
  (void)entry;
  for (uint32_t i = 0; i < 2 * TIMES; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    struct plm_buffer *buffer = NULL;
    if (i == TIMES)
      heap = plm_check_heap();
    const int code = rig->tested.backend->buffer_create(rig->tested.device, bytes, PLM_BUFFER_DEVICE, &buffer, &err);
    if (!code)
      rig->tested.backend->buffer_destroy(buffer);
    if (!code || !err.text[0]) {
      plm_check_fail(out, code ? "a buffer of 2^48 bytes is refused without a reason" : "a buffer of 2^48 bytes is created");
      return;
    }
  }
  const double each = ((double)plm_check_heap() - (double)heap) / TIMES;
  if (each > 1024)
    plm_check_fail(out, "each refused buffer_create leaves %.0f bytes behind", each);
}

/* ------------------------------------------------------------- between ops */

static void unbind(struct plm_op *op, void *context) {
  plm_operand_view(context, op)->buffer = NULL;
}

/* Ops that must fail, in between ops that must not. */
static void test_mixed(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  static const uint32_t kinds[] = {PLM_OP_LINEAR, PLM_OP_ATTENTION, PLM_OP_LAYER_NORM, PLM_OP_ADAMW, PLM_OP_ADD};
  for (uint32_t i = 0; i < 60 && out->status == PLM_CHECK_PASSED; i++) {
    const uint32_t kind = kinds[i % 5];
    struct plm_case *c = make(out, kind, 1, entry->seed + i);
    struct plm_error err = PLM_ERROR_INIT;
    struct plm_verdict verdict;
    struct plm_result result = {0};
    if (!c)
      return;
    struct plm_misuse misuse = {.bend = unbind, .context = &c->operands[i % c->count], .error = PLM_ERROR_INIT};
    if (!plm_check_must(out, plm_case_query(&verdict, c, &rig->tested, &err), &err, "op_query") &&
        !plm_check_must(out, plm_case_misuse(&result, &misuse, c, &rig->tested, &verdict, &err), &err, "misuse") &&
        !misuse.code)
      plm_check_fail(out, "%s with view %s not bound succeeds", plm_op_name(kind), c->operands[i % c->count].name);
    plm_result_fini(&result);
    plm_case_destroy(c);
    good_case(out, rig, &rig->tested, kinds[(i + 1) % 5], 1, entry->seed + i, "after an op that failed");
  }
}

/* An op with its views on one buffer that holds zeros: good enough to be run, not to be judged. */
static struct plm_op bound_op(uint32_t kind, struct plm_buffer *buffer) {
  struct plm_op op = {.struct_size = sizeof op, .kind = kind, .type = PLM_TYPE_F32};
  const struct plm_view views[] = {{buffer, 0, 64, PLM_TYPE_F32, 0}, {buffer, 64, 64, PLM_TYPE_F32, 0},
                                   {buffer, 128, 64, PLM_TYPE_F32, 0}};
  if (kind == PLM_OP_ADD) {
    op.u.add = (struct plm_op_add){.a = views[0], .b = views[1], .y = views[2], .rows = {4, PLM_EXTENT_FIXED}, .width = 4};
  } else {
    op.u.gelu = (struct plm_op_gelu){.x = views[0], .y = views[1], .rows = {4, PLM_EXTENT_FIXED}, .width = 4};
    op.u.gelu.x.buffer = NULL; /* what must fail */
  }
  return op;
}

static int add_workspace(struct plm_check_outcome *out, struct plm_check_rig *rig, struct plm_op *op,
                         struct plm_buffer **workspace) {
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  struct plm_error err = PLM_ERROR_INIT;
  int code = rig->tested.backend->op_query(rig->tested.device, op, &verdict, &err);
  if (!code && verdict.workspace_bytes) {
    code = rig->tested.backend->buffer_create(rig->tested.device, verdict.workspace_bytes, PLM_BUFFER_DEVICE, workspace, &err);
    op->workspace = (struct plm_view){*workspace, 0, verdict.workspace_bytes, PLM_TYPE_F32, 0};
  }
  return plm_check_must(out, code, &err, "op_query and workspace");
}

/* A failed op is reported once, with its reason and its kind, though good ones follow it before anybody asks. */
static void test_errors(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  static const float zeros[64];
  const struct plm_backend *backend = rig->tested.backend;
  struct plm_buffer *buffer = NULL, *workspaces[2] = {NULL};
  struct plm_error err = PLM_ERROR_INIT, ignored = PLM_ERROR_INIT;
  (void)entry;
  if (plm_check_must(out, backend->buffer_create(rig->tested.device, 256, PLM_BUFFER_DEVICE, &buffer, &err), &err, "a buffer") ||
      plm_check_must(out, backend->buffer_write(rig->tested.queue, buffer, 0, zeros, 256, &err), &err, "buffer_write"))
    return;
  struct plm_op good = bound_op(PLM_OP_ADD, buffer), bad = bound_op(PLM_OP_GELU, buffer);
  if (!add_workspace(out, rig, &good, &workspaces[0]) && !add_workspace(out, rig, &bad, &workspaces[1])) {
    plm_check_must(out, backend->op_run(rig->tested.queue, &good, &err), &err, "a good op");
    int code = backend->op_run(rig->tested.queue, &bad, &err);
    const int at_once = code != 0;
    if (plm_check_must(out, backend->op_run(rig->tested.queue, &good, &ignored), &ignored, "a good op after a bad one"))
      goto out;
    if (!at_once)
      code = backend->queue_finish(rig->tested.queue, &err);
    const char *where = at_once ? "op_run" : "queue_finish";
    if (!code)
      plm_check_fail(out, "an op with an unbound view is reported neither by op_run nor by queue_finish");
    else if (!err.text[0])
      plm_check_fail(out, "%s fails with code %d and no text", where, code);
    else if (err.op_kind != PLM_OP_GELU)
      plm_check_fail(out, "%s reports a failure of gelu with op_kind %" PRIu32 " (%s): %.200s", where, err.op_kind,
                     plm_op_name(err.op_kind), err.text);
    struct plm_error after = PLM_ERROR_INIT;
    plm_check_must(out, backend->queue_finish(rig->tested.queue, &after), &after, "queue_finish after the failure was reported");
  }
out:
  backend->buffer_destroy(workspaces[1]);
  backend->buffer_destroy(workspaces[0]);
  backend->buffer_destroy(buffer);
}

/* ------------------------------------------------------ queues and devices */

/* variant 0: two queues of one device; 1: the device opened twice; 2: the next device of the plugin, where there is one. */
static void test_two(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_side other = {0};
  uint32_t devices = 1;
  int code = plm_plugin_device_count(&devices, rig->plugin, &err);
  if (!code && entry->variant == 2 && devices < 2) {
    snprintf(out->text, sizeof out->text, "the plugin has one device only");
    out->status = PLM_CHECK_DECLINED;
    return;
  }
  if (!code && entry->variant == 0) {
    other = rig->tested;
    code = other.backend->queue_create(other.device, &other.queue, &err);
  } else if (!code) {
    const uint32_t index = entry->variant == 2 ? (rig->device + 1) % devices : rig->device;
    code = plm_side_open(&other, rig->tested.backend, index, &err);
  }
  if (plm_check_must(out, code, &err, "a second queue or device"))
    return;
  for (uint32_t i = 0; i < 12 && out->status == PLM_CHECK_PASSED; i++) {
    const uint32_t kind = i % 3 == 0 ? PLM_OP_LINEAR : i % 3 == 1 ? PLM_OP_ATTENTION : PLM_OP_LAYER_NORM_GRAD;
    good_case(out, rig, i % 2 ? &other : &rig->tested, kind, 5, entry->seed + i, "two at once, in turn");
  }
  if (entry->variant == 0)
    other.backend->queue_destroy(other.queue);
  else
    plm_side_close(&other);
  good_case(out, rig, &rig->tested, PLM_OP_LINEAR, 5, entry->seed, "after the other one was closed");
}

/* variant 0: the device; 1: the whole plugin, loaded and started once more each time. */
static void test_reopen(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  for (uint32_t i = 0; i < 12 && out->status == PLM_CHECK_PASSED; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    struct plm_side side = {0};
    struct plm_plugin *plugin = NULL;
    const struct plm_check_options *o = rig->options;
    if (entry->variant && plm_check_must(out, plm_plugin_load(&plugin, o->path, o->settings, o->setting_count, o->threads, &err),
                                         &err, "started again"))
      return;
    if (plm_check_must(out, plm_side_open(&side, plugin ? &plugin->backend : rig->tested.backend, rig->device, &err), &err,
                       "device_open"))
      return;
    good_case(out, rig, &side, PLM_OP_LINEAR, 5, entry->seed, "opened anew");
    good_case(out, rig, &side, PLM_OP_ATTENTION_GRAD, 3, entry->seed, "opened anew");
    plm_side_close(&side);
    plm_plugin_destroy(plugin);
  }
}

/* ------------------------------------------------------------------- soak */

/* Small cases at random, each with a seed of its own, until the time is up. */
static void test_soak(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  const double end = now() + rig->options->soak;
  uint32_t count = 0;
  while (now() < end && out->status == PLM_CHECK_PASSED) {
    const uint32_t word = plm_rng_word(entry->seed, PLM_RNG_TEST, 9400, 0, count);
    const uint32_t kind = 1 + word % (PLM_OP_COUNT - 1);
    /* The first shapes of every op are small. */
    const uint32_t variant = word / 64 % (plm_case_variants(kind) < 5 ? plm_case_variants(kind) : 5);
    good_case(out, rig, &rig->tested, kind, variant, entry->seed + count, "soak");
    count++;
  }
  if (out->status == PLM_CHECK_PASSED)
    snprintf(out->text, sizeof out->text, "%" PRIu32 " cases in %.0f s", count, rig->options->soak);
}

/* ------------------------------------------------------------------ speed */

#define TIMINGS 15u
#define TIMING_SECONDS 2.0

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Seconds of one op with its buffers in place, up to TIMINGS of them in TIMING_SECONDS, after one for warm-up. */
static int time_op(struct plm_check_outcome *out, struct plm_check_rig *rig, struct plm_case *c, double seconds[TIMINGS],
                   uint32_t *count) {
  const struct plm_side *side = &rig->tested;
  struct plm_buffer *buffers[PLM_CASE_OPERANDS + 1] = {NULL};
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_verdict verdict;
  struct plm_op op = c->op;
  int code = plm_case_query(&verdict, c, side, &err);
  for (uint32_t k = 0; k < c->count && !code; k++) {
    const uint64_t bytes = c->operands[k].count * 4;
    code = side->backend->buffer_create(side->device, bytes, PLM_BUFFER_DEVICE, &buffers[k], &err);
    if (!code)
      code = side->backend->buffer_write(side->queue, buffers[k], 0, c->operands[k].data, bytes, &err);
    *plm_operand_view(&c->operands[k], &op) = (struct plm_view){buffers[k], 0, bytes, c->operands[k].type, 0};
  }
  if (!code && verdict.workspace_bytes) {
    code = side->backend->buffer_create(side->device, verdict.workspace_bytes, PLM_BUFFER_DEVICE,
                                        &buffers[PLM_CASE_OPERANDS], &err);
    op.workspace = (struct plm_view){buffers[PLM_CASE_OPERANDS], 0, verdict.workspace_bytes, PLM_TYPE_F32, 0};
  }
  const double begin = now();
  for (int i = -1; i < (int)TIMINGS && !code && (i < 1 || now() < begin + TIMING_SECONDS); i++) {
    const double start = now();
    code = side->backend->op_run(side->queue, &op, &err);
    if (!code)
      code = side->backend->queue_finish(side->queue, &err);
    if (i >= 0)
      seconds[i] = now() - start;
    *count = (uint32_t)(i + 1);
  }
  for (uint32_t k = PLM_CASE_OPERANDS + 1; k-- > 0;)
    side->backend->buffer_destroy(buffers[k]);
  return plm_check_must(out, code, &err, plm_op_name(c->op.kind));
}

/* Reported, never judged. variant 0: a product of 1031x320x1280; 1: attention over 1026 tokens. */
static void test_speed(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  const uint32_t kind = entry->variant ? PLM_OP_ATTENTION : PLM_OP_LINEAR_GRAD_INPUT;
  struct plm_error err = PLM_ERROR_INIT;
  uint32_t variant = 0;
  if (plm_check_must(out, plm_case_find(&variant, kind, entry->variant ? "a protein of 1024 residues" : "1031x320x1280", &err),
                     &err, "the case"))
    return;
  struct plm_case *c = make(out, kind, variant, entry->seed);
  double seconds[TIMINGS] = {0};
  uint32_t count = 0;
  if (!c)
    return;
  const double flops = entry->variant ? 4.0 * 1026 * 1026 * 24 : 2.0 * 1031 * 320 * 1280;
  if (!time_op(out, rig, c, seconds, &count)) {
    qsort(seconds, count, sizeof *seconds, by_size);
    snprintf(out->text, sizeof out->text, "%s %s: median of %" PRIu32 " %.3f ms (%.3f to %.3f), %.1f GFLOP/s",
             plm_op_name(c->op.kind), c->label, count, 1e3 * seconds[count / 2], 1e3 * seconds[0], 1e3 * seconds[count - 1],
             1e-9 * flops / seconds[count / 2]);
  }
  plm_case_destroy(c);
}

#define TEST(name, variants, run, what) {5, name, variants, PLM_NEED_SIDES, 0, 2, what, run}

const struct plm_check_test plm_check_tests_robust[] = {
    {5, "memory", 1, PLM_NEED_SIDES, 1, 2, "memory runs out, is given back, and all is well", test_memory},
    TEST("refused", 1, test_refused, "what a refused buffer took is given back"),
    TEST("errors", 1, test_errors, "a failure is reported once, with its reason and the op at fault"),
    TEST("mixed", 1, test_mixed, "ops that fail in between ops that do not"),
    TEST("two", 3, test_two, "0 two queues, 1 a device opened twice, 2 two devices, in turn"),
    TEST("reopen", 2, test_reopen, "opened and closed again and again (0 the device, 1 the plugin started each time)"),
    {5, "soak", 1, PLM_NEED_SIDES, 1, 1000, "cases at random for --soak seconds", test_soak},
    TEST("speed", 2, test_speed, "speed with its spread, reported and not judged (0 a product, 1 attention)"),
};
const uint32_t plm_check_tests_robust_count = sizeof plm_check_tests_robust / sizeof *plm_check_tests_robust;
