#include "op_cases.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "op_case.h"

#define ARENA_BYTES ((size_t)48 << 20)
#define CANARY 0xc5
#define MARGIN 128u /* canary bytes on either side of every view */

enum { IN_DEVICE, IN_UPLOAD, IN_WORKSPACE, IMAGES };

/* One device under the harness. */
struct side {
  const struct plm_backend *backend;
  struct plm_device *device;
  struct plm_queue *queue;
};

/* What one buffer holds, byte by byte; mask says where an op may write. */
struct image {
  unsigned char *bytes, *mask;
  uint64_t size;
};

struct run {
  const struct plm_check *check;
  struct plm_check_counts counts, op_counts;
  double worst; /* largest error of the op so far, in tolerances */
  struct side tested, reference;
  struct op_case *c;
};

/* ---------------------------------------------------------------- reports */

__attribute__((format(printf, 3, 0))) static void say_case(const struct run *run, const char *outcome,
                                                           const char *format, va_list args) {
  FILE *out = run->check->out;
  fprintf(out, "%s %s:%" PRIu32 " (%s), seed %" PRIu64 ": ", outcome, plm_op_name(run->c->op.kind), run->c->variant,
          run->c->label, run->c->seed);
  vfprintf(out, format, args);
  fputc('\n', out);
}

static void fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct run *run, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say_case(run, "FAIL", format, args);
  va_end(args);
}

static void skip(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void skip(struct run *run, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say_case(run, "skip", format, args);
  va_end(args);
}

/* ---------------------------------------------------------------- images */

static struct plm_view *operand_view(struct op_case *c, const struct op_operand *operand) {
  return (struct plm_view *)((unsigned char *)&c->op + operand->view);
}

static int operand_image(const struct op_operand *operand) {
  return operand->type == PLM_TYPE_I32 ? IN_UPLOAD : IN_DEVICE;
}

/* Gives every operand its place; returns the size of each image. */
static void place_operands(struct op_case *c, uint64_t sizes[IMAGES]) {
  sizes[IN_DEVICE] = sizes[IN_UPLOAD] = MARGIN;
  for (uint32_t i = 0; i < c->count; i++) {
    const struct op_operand *operand = &c->operands[i];
    struct plm_view *view = operand_view(c, operand);
    uint64_t *end = &sizes[operand_image(operand)];
    view->type = operand->type;
    view->bytes = operand->count * 4;
    if (operand->alias >= 0) {
      view->offset = operand_view(c, &c->operands[operand->alias])->offset;
      continue;
    }
    view->offset = (*end + 63) / 64 * 64 + operand->shift;
    *end = view->offset + view->bytes + MARGIN;
  }
}

static int image_init(struct image *image, uint64_t size, struct plm_error *err) {
  image->size = size;
  image->bytes = plm_memory_zeroed((size_t)size, 1);
  image->mask = plm_memory_zeroed((size_t)size, 1);
  if (!image->bytes || !image->mask)
    return plm_error_memory(err, "the image of a buffer");
  memset(image->bytes, CANARY, (size_t)size);
  return PLM_OK;
}

static void images_fini(struct image *images) {
  for (int i = 0; i < IMAGES; i++) {
    free(images[i].bytes);
    free(images[i].mask);
  }
}

/* The buffers as they are before the op: canaries, contents, poison in the workspace. */
static int images_init(struct image *images, struct op_case *c, uint64_t workspace, struct plm_error *err) {
  uint64_t sizes[IMAGES] = {0};
  place_operands(c, sizes);
  sizes[IN_WORKSPACE] = workspace + 2 * MARGIN;
  for (int i = 0; i < IMAGES; i++) {
    const int code = image_init(&images[i], sizes[i], err);
    if (code)
      return code;
  }
  for (uint32_t i = 0; i < c->count; i++) {
    const struct op_operand *operand = &c->operands[i];
    const struct plm_view *view = operand_view(c, operand);
    struct image *image = &images[operand_image(operand)];
    if (operand->alias < 0 && view->bytes)
      memcpy(image->bytes + view->offset, operand->data, (size_t)view->bytes);
    if (operand->written)
      memset(image->mask + view->offset, 1, (size_t)view->bytes);
  }
  c->op.workspace = (struct plm_view){NULL, MARGIN, workspace, PLM_TYPE_F32, 0};
  memset(images[IN_WORKSPACE].bytes + MARGIN, 0xff, (size_t)workspace);
  memset(images[IN_WORKSPACE].mask + MARGIN, 1, (size_t)workspace);
  return PLM_OK;
}

/* The first byte outside the mask that the op changed. */
static int find_damage(const struct image *before, const struct image *after, int *which, uint64_t *at) {
  for (int i = 0; i < IMAGES; i++)
    for (uint64_t k = 0; k < before[i].size; k++)
      if (!before[i].mask[k] && before[i].bytes[k] != after[i].bytes[k]) {
        *which = i;
        *at = k;
        return 1;
      }
  return 0;
}

/* ---------------------------------------------------------------- running one op */

static void bind_views(struct op_case *c, struct plm_buffer *const buffers[IMAGES]) {
  for (uint32_t i = 0; i < c->count; i++)
    operand_view(c, &c->operands[i])->buffer = buffers[operand_image(&c->operands[i])];
  c->op.workspace.buffer = c->op.workspace.bytes ? buffers[IN_WORKSPACE] : NULL;
}

/* Runs the op on fresh buffers that hold before; after gets what they hold then. */
static int run_op(const struct side *side, struct op_case *c, const struct image *before, struct image *after,
                  struct plm_error *err) {
  static const uint32_t kinds[IMAGES] = {PLM_BUFFER_DEVICE, PLM_BUFFER_UPLOAD, PLM_BUFFER_DEVICE};
  const struct plm_backend *backend = side->backend;
  struct plm_buffer *buffers[IMAGES] = {NULL};
  int code = PLM_OK;
  for (int i = 0; i < IMAGES && !code; i++) {
    code = backend->buffer_create(side->device, before[i].size, kinds[i], &buffers[i], err);
    if (!code)
      code = backend->buffer_write(side->queue, buffers[i], 0, before[i].bytes, before[i].size, err);
  }
  if (!code) {
    bind_views(c, buffers);
    code = backend->op_run(side->queue, &c->op, err);
  }
  if (!code)
    code = backend->queue_finish(side->queue, err);
  for (int i = 0; i < IMAGES && !code; i++)
    code = backend->buffer_read(side->queue, buffers[i], 0, after[i].bytes, before[i].size, err);
  for (int i = IMAGES - 1; i >= 0; i--)
    backend->buffer_destroy(buffers[i]);
  return code;
}

/* Initialises before and after for the side's workspace, runs, and looks for damage. 1: failed and reported. */
static int run_guarded(struct run *run, const struct side *side, const char *name, uint64_t workspace,
                       struct image *before, struct image *after) {
  struct plm_error err = PLM_ERROR_INIT;
  uint64_t at;
  int which;
  if (images_init(before, run->c, workspace, &err) || images_init(after, run->c, workspace, &err) ||
      run_op(side, run->c, before, after, &err)) {
    fail(run, "%s: error %d: %s", name, err.code, err.text);
    return 1;
  }
  if (find_damage(before, after, &which, &at)) {
    static const char *const places[IMAGES] = {"float", "integer", "workspace"};
    fail(run, "%s: wrote outside its outputs, at byte %" PRIu64 " of the %s buffer", name, at, places[which]);
    return 1;
  }
  return 0;
}

/* ---------------------------------------------------------------- comparing */

static double tolerance(const struct op_operand *operand, uint64_t i) {
  if (operand->length == 0)
    return 0;
  return ldexp(32 + 8 * sqrt((double)operand->length), -24) * operand->magnitude[i] + 1e-37;
}

/* Where the reference is not finite, which of the values that are not finite comes out is left open. */
static double error_of(double got, double expected, double allowed) {
  if (!isfinite(expected))
    return isfinite(got) ? INFINITY : 0;
  if (isnan(got))
    return INFINITY;
  if (got == expected)
    return 0;
  return allowed > 0 ? fabs(got - expected) / allowed : INFINITY;
}

static int compare_outputs(struct run *run, const struct image *got, const struct image *expected) {
  struct op_case *c = run->c;
  for (uint32_t k = 0; k < c->count; k++) {
    const struct op_operand *operand = &c->operands[k];
    if (!operand->written || operand->count == 0)
      continue;
    const uint64_t offset = operand_view(c, operand)->offset;
    const float *a = (const float *)(const void *)(got[IN_DEVICE].bytes + offset);
    const float *b = (const float *)(const void *)(expected[IN_DEVICE].bytes + offset);
    uint64_t wrong = 0, first = 0;
    for (uint64_t i = 0; i < operand->count; i++) {
      const double error = error_of(a[i], b[i], tolerance(operand, i));
      run->worst = fmax(run->worst, error);
      if (error > 1 && wrong++ == 0)
        first = i;
    }
    if (wrong) {
      fail(run, "%s[%" PRIu64 "] = %.9g, the reference has %.9g, allowed error %.3g (%" PRIu64 " of %" PRIu64 " wrong)",
           operand->name, first, (double)a[first], (double)b[first], tolerance(operand, first), wrong, operand->count);
      return 1;
    }
  }
  return 0;
}

static int compare_repeat(struct run *run, const struct image *once, const struct image *twice) {
  struct op_case *c = run->c;
  for (uint32_t k = 0; k < c->count; k++) {
    const struct op_operand *operand = &c->operands[k];
    const struct plm_view *view = operand_view(c, operand);
    if (operand->written && view->bytes &&
        memcmp(once[IN_DEVICE].bytes + view->offset, twice[IN_DEVICE].bytes + view->offset, (size_t)view->bytes)) {
      fail(run, "%s: a second run gives other bits, though the verdict says deterministic", operand->name);
      return 1;
    }
  }
  return 0;
}

/* ---------------------------------------------------------------- cases */

enum outcome { PASSED, FAILED, SKIPPED };

/* Asks a side. PASSED: supported. */
static enum outcome query(struct run *run, const struct side *side, const char *name, struct plm_verdict *out) {
  struct plm_error err = PLM_ERROR_INIT;
  *out = (struct plm_verdict){.struct_size = sizeof *out};
  if (side->backend->op_query(side->device, &run->c->op, out, &err)) {
    fail(run, "%s: op_query: error %d: %s", name, err.code, err.text);
    return FAILED;
  }
  if (out->status == PLM_VERDICT_SUPPORTED)
    return PASSED;
  if (out->status == PLM_VERDICT_UNSUPPORTED && run->c->optional_flags) {
    skip(run, "%s declines: %s", name, out->text);
    return SKIPPED;
  }
  fail(run, "%s: verdict %" PRIu32 " on a required op: %s", name, out->status, out->text);
  return FAILED;
}

static enum outcome run_case(struct run *run) {
  struct image before[IMAGES] = {{0}}, got[IMAGES] = {{0}}, twice[IMAGES] = {{0}}, expected[IMAGES] = {{0}};
  struct image unused[2][IMAGES] = {{{0}}};
  struct plm_verdict verdict, reference_verdict;
  uint64_t sizes[IMAGES];
  int failed = 1;
  place_operands(run->c, sizes); /* which views are present is known when the backend is asked; buffers come later */
  const enum outcome asked = query(run, &run->tested, "tested", &verdict);
  if (asked != PASSED)
    return asked;
  if (query(run, &run->reference, "reference", &reference_verdict) != PASSED)
    return FAILED;
  if (run_guarded(run, &run->tested, "tested", verdict.workspace_bytes, before, got))
    goto out;
  if (verdict.deterministic &&
      (run_guarded(run, &run->tested, "tested again", verdict.workspace_bytes, unused[0], twice) ||
       compare_repeat(run, got, twice)))
    goto out;
  if (run_guarded(run, &run->reference, "reference", reference_verdict.workspace_bytes, unused[1], expected))
    goto out;
  failed = compare_outputs(run, got, expected);
out:
  images_fini(before);
  images_fini(got);
  images_fini(twice);
  images_fini(expected);
  images_fini(unused[0]);
  images_fini(unused[1]);
  return failed ? FAILED : PASSED;
}

static void run_family(struct run *run, const struct op_family *family, unsigned char *arena) {
  const struct plm_check *check = run->check;
  run->op_counts = (struct plm_check_counts){0};
  run->worst = 0;
  for (uint32_t variant = 0; variant < family->variants; variant++) {
    struct op_case c = {.seed = check->seed, .variant = variant, .arena = arena, .arena_bytes = ARENA_BYTES};
    if (check->variant >= 0 && (uint32_t)check->variant != variant)
      continue;
    c.op.struct_size = sizeof c.op;
    c.op.kind = family->kind;
    c.op.index = variant;
    c.op.type = PLM_TYPE_F32;
    family->make(&c);
    run->c = &c;
    const enum outcome outcome = run_case(run);
    run->op_counts.passed += outcome == PASSED;
    run->op_counts.failed += outcome == FAILED;
    run->op_counts.skipped += outcome == SKIPPED;
  }
  run->counts.passed += run->op_counts.passed;
  run->counts.failed += run->op_counts.failed;
  run->counts.skipped += run->op_counts.skipped;
  fprintf(check->out,
          "%-20s %3" PRIu32 " passed, %" PRIu32 " failed, %" PRIu32 " skipped; largest error %.3f of what is allowed\n",
          plm_op_name(family->kind), run->op_counts.passed, run->op_counts.failed, run->op_counts.skipped, run->worst);
}

static int side_open(struct side *side, const struct plm_backend *backend, uint32_t device, struct plm_error *err) {
  side->backend = backend;
  const int code = backend->device_open(device, &side->device, err);
  return code ? code : backend->queue_create(side->device, &side->queue, err);
}

static void side_close(struct side *side) {
  if (side->queue)
    side->backend->queue_destroy(side->queue);
  if (side->device)
    side->backend->device_close(side->device);
}

int plm_check_ops(struct plm_check_counts *out, const struct plm_check *check, struct plm_error *err) {
  static const struct {
    const struct op_family *families;
    const uint32_t *count;
  } groups[] = {{op_families_rows, &op_families_rows_count},
                {op_families_linear, &op_families_linear_count},
                {op_families_attention, &op_families_attention_count}};
  struct run run = {.check = check};
  unsigned char *arena = plm_memory_aligned(ARENA_BYTES);
  int code = arena ? PLM_OK : plm_error_memory(err, "conformance cases");
  if (!code)
    code = side_open(&run.tested, check->tested, check->device, err);
  if (!code)
    code = side_open(&run.reference, check->reference, 0, err);
  if (code)
    goto out;
  for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
    for (uint32_t i = 0; i < *groups[g].count; i++)
      if (check->op == 0 || check->op == groups[g].families[i].kind)
        run_family(&run, &groups[g].families[i], arena);
  if (run.counts.passed + run.counts.failed == 0)
    code = plm_error_set(err, PLM_E_INVALID, "conformance: no case ran (op %" PRIu32 ", case %" PRId32 ")", check->op,
                         check->variant);
  else
    *out = run.counts;
out:
  side_close(&run.reference);
  side_close(&run.tested);
  free(arena);
  return code;
}
