/* A case on a backend: buffers with canaries, one op, what it left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "check/operands.h"

#define CANARY 0xc5
#define MARGIN 128u /* canary bytes on either side of every view */

enum { IN_DEVICE, IN_UPLOAD, IN_WORKSPACE, IMAGES };

int plm_side_open(struct plm_side *out, const struct plm_backend *backend, uint32_t device, struct plm_error *err) {
  struct plm_side side = {.backend = backend};
  int code = backend->device_open(device, &side.device, err);
  if (!code)
    code = backend->queue_create(side.device, &side.queue, err);
  if (code)
    plm_side_close(&side);
  else
    *out = side;
  return code;
}

void plm_side_close(struct plm_side *side) {
  if (side->queue)
    side->backend->queue_destroy(side->queue);
  if (side->device)
    side->backend->device_close(side->device);
  *side = (struct plm_side){0};
}

void plm_result_fini(struct plm_result *result) {
  for (uint32_t k = 0; k < PLM_CASE_OPERANDS; k++)
    free(result->data[k]);
  *result = (struct plm_result){0};
}

static int written(const struct plm_operand *operand) { return operand->access != PLM_ACCESS_READ; }

/* A place for every written operand's contents, by copy or by function. */
static int result_room(struct plm_result *out, const struct plm_case *c, struct plm_error *err) {
  for (uint32_t k = 0; k < c->count; k++)
    if (written(&c->operands[k])) {
      out->data[k] = plm_memory_zeroed((size_t)c->operands[k].count, 4);
      if (!out->data[k])
        return plm_error_memory(err, "the results of a case");
    }
  return 0;
}

/* ---------------------------------------------------------------- images */

/* What one buffer holds, byte by byte; mask says where the op may write. */
struct image {
  unsigned char *before, *after, *mask;
  uint64_t size;
};

struct run {
  const struct plm_case *c;
  const struct plm_side *side;
  struct plm_op op; /* with placed and bound views */
  struct image images[IMAGES];
  struct plm_buffer *buffers[IMAGES];
};

static int image_of(const struct plm_operand *operand) {
  return operand->type == PLM_TYPE_I32 ? IN_UPLOAD : IN_DEVICE;
}

/* Gives every operand its place; sizes, which may be NULL, gets the room that takes. */
static void place(struct plm_op *op, const struct plm_case *c, uint64_t sizes[IMAGES]) {
  uint64_t ends[IMAGES] = {MARGIN, MARGIN, MARGIN};
  for (uint32_t k = 0; k < c->count; k++) {
    const struct plm_operand *operand = &c->operands[k];
    struct plm_view *view = plm_operand_view(operand, op);
    uint64_t *end = &ends[image_of(operand)];
    *view = (struct plm_view){.bytes = operand->count * 4, .type = operand->type};
    if (operand->alias >= 0) {
      view->offset = plm_operand_view(&c->operands[operand->alias], op)->offset;
      continue;
    }
    view->offset = (*end + 63) / 64 * 64 + operand->shift;
    *end = view->offset + view->bytes + MARGIN;
  }
  if (sizes)
    memcpy(sizes, ends, sizeof ends);
}

int plm_case_query(struct plm_verdict *out, const struct plm_case *c, const struct plm_side *side,
                   struct plm_error *err) {
  struct plm_op op = c->op;
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  place(&op, c, NULL);
  const int code = side->backend->op_query(side->device, &op, &verdict, err);
  verdict.text[sizeof verdict.text - 1] = '\0';
  if (!code)
    *out = verdict;
  return code;
}

static int image_init(struct image *image, uint64_t size, struct plm_error *err) {
  image->size = size;
  image->before = plm_memory_aligned((size_t)size);
  image->after = plm_memory_aligned((size_t)size);
  image->mask = plm_memory_zeroed((size_t)size, 1);
  if (!image->before || !image->after || !image->mask)
    return plm_error_memory(err, "the buffers of a case");
  memset(image->before, CANARY, (size_t)size);
  return 0;
}

/* The buffers as they are before the op: canaries, contents, poison in the workspace. */
static int images_init(struct run *run, uint64_t workspace, struct plm_error *err) {
  const struct plm_case *c = run->c;
  uint64_t sizes[IMAGES];
  place(&run->op, c, sizes);
  sizes[IN_WORKSPACE] = workspace + 2 * MARGIN;
  for (int i = 0; i < IMAGES; i++) {
    const int code = image_init(&run->images[i], sizes[i], err);
    if (code)
      return code;
  }
  for (uint32_t k = 0; k < c->count; k++) {
    const struct plm_operand *operand = &c->operands[k];
    const struct plm_view *view = plm_operand_view(operand, &run->op);
    struct image *image = &run->images[image_of(operand)];
    if (operand->alias < 0 && view->bytes)
      memcpy(image->before + view->offset, operand->data, (size_t)view->bytes);
    if (written(operand))
      memset(image->mask + view->offset, 1, (size_t)view->bytes);
  }
  run->op.workspace = (struct plm_view){NULL, MARGIN, workspace, PLM_TYPE_F32, 0};
  memset(run->images[IN_WORKSPACE].before + MARGIN, 0xff, (size_t)workspace); /* NaN, or -1 */
  memset(run->images[IN_WORKSPACE].mask + MARGIN, 1, (size_t)workspace);
  return 0;
}

static int buffers_fill(struct run *run, struct plm_error *err) {
  static const uint32_t kinds[IMAGES] = {PLM_BUFFER_DEVICE, PLM_BUFFER_UPLOAD, PLM_BUFFER_DEVICE};
  const struct plm_side *side = run->side;
  int code = 0;
  for (int i = 0; i < IMAGES && !code; i++) {
    const struct image *image = &run->images[i];
    code = side->backend->buffer_create(side->device, image->size, kinds[i], &run->buffers[i], err);
    if (!code)
      code = side->backend->buffer_write(side->queue, run->buffers[i], 0, image->before, image->size, err);
  }
  return code;
}

/* Under a misuse the op's code is kept, not returned: the buffers are looked at whatever it was. */
static int op_run(struct run *run, struct plm_misuse *misuse, struct plm_error *err) {
  const struct plm_side *side = run->side;
  for (uint32_t k = 0; k < run->c->count; k++)
    plm_operand_view(&run->c->operands[k], &run->op)->buffer = run->buffers[image_of(&run->c->operands[k])];
  run->op.workspace.buffer = run->op.workspace.bytes ? run->buffers[IN_WORKSPACE] : NULL;
  if (misuse)
    misuse->bend(&run->op, misuse->context);
  int code = side->backend->op_run(side->queue, &run->op, misuse ? &misuse->error : err);
  if (!code)
    code = side->backend->queue_finish(side->queue, misuse ? &misuse->error : err);
  if (misuse) {
    misuse->code = code;
    code = 0;
  }
  for (int i = 0; i < IMAGES && !code; i++)
    code = side->backend->buffer_read(side->queue, run->buffers[i], 0, run->images[i].after, run->images[i].size, err);
  return code;
}

/* Names the operand that a damaged byte belongs to, or the nearest one. */
static void describe_damage(struct plm_result *out, const struct run *run, int image, uint64_t at) {
  const struct plm_operand *nearest = NULL;
  uint64_t best = UINT64_MAX;
  int64_t from_end = 0;
  for (uint32_t k = 0; k < run->c->count && image != IN_WORKSPACE; k++) {
    const struct plm_operand *operand = &run->c->operands[k];
    const struct plm_view *view = plm_operand_view(operand, (struct plm_op *)(uintptr_t)&run->op);
    if (image_of(operand) != image)
      continue;
    const uint64_t end = view->offset + view->bytes;
    const uint64_t distance = at < view->offset ? view->offset - at : at >= end ? at - end + 1 : 0;
    if (distance < best) {
      best = distance;
      nearest = operand;
      from_end = at < view->offset ? -(int64_t)distance : (int64_t)(at - end);
    }
  }
  if (!nearest)
    snprintf(out->damage, sizeof out->damage, "wrote outside its workspace of %llu bytes, at byte %lld",
             (unsigned long long)run->op.workspace.bytes, (long long)at - (long long)MARGIN);
  else if (best == 0)
    snprintf(out->damage, sizeof out->damage, "changed its input %s", nearest->name);
  else
    snprintf(out->damage, sizeof out->damage, "wrote outside its outputs, %lld bytes %s %s",
             (long long)(from_end < 0 ? -from_end : from_end), from_end < 0 ? "before" : "past the end of", nearest->name);
}

/* The first byte from at that differs where it must not, size when there is none. By blocks: most of an image is as it was. */
static uint64_t next_damage(const struct image *image, uint64_t at) {
  const uint64_t block = 4096;
  while (at < image->size) {
    const uint64_t end = image->size - at < block ? image->size : at + block;
    if (!memcmp(image->before + at, image->after + at, (size_t)(end - at)))
      at = end;
    for (; at < end; at++)
      if (!image->mask[at] && image->before[at] != image->after[at])
        return at;
  }
  return image->size;
}

static void find_damage(struct plm_result *out, const struct run *run) {
  for (int i = 0; i < IMAGES; i++) {
    const uint64_t at = next_damage(&run->images[i], 0);
    if (at < run->images[i].size) {
      describe_damage(out, run, i, at);
      return;
    }
  }
}

int plm_case_misuse(struct plm_result *out, struct plm_misuse *misuse, const struct plm_case *c,
                    const struct plm_side *side, const struct plm_verdict *verdict, struct plm_error *err) {
  struct run run = {.c = c, .side = side, .op = c->op};
  struct plm_result result = {0};
  int code = images_init(&run, verdict->workspace_bytes, err);
  if (!code)
    code = result_room(&result, c, err);
  if (!code)
    code = buffers_fill(&run, err);
  if (!code)
    code = op_run(&run, misuse, err);
  if (!code) {
    struct plm_op placed = c->op; /* without what a misuse did to it */
    place(&placed, c, NULL);
    run.op = placed;
    run.op.workspace.bytes = verdict->workspace_bytes;
    find_damage(&result, &run);
    for (uint32_t k = 0; k < c->count; k++)
      if (written(&c->operands[k]))
        memcpy(result.data[k], run.images[image_of(&c->operands[k])].after + plm_operand_view(&c->operands[k], &placed)->offset,
               (size_t)c->operands[k].count * 4);
  }
  for (int i = IMAGES - 1; i >= 0; i--) {
    side->backend->buffer_destroy(run.buffers[i]);
    free(run.images[i].before);
    free(run.images[i].after);
    free(run.images[i].mask);
  }
  if (code)
    plm_result_fini(&result);
  else
    *out = result;
  return code;
}

int plm_case_run(struct plm_result *out, const struct plm_case *c, const struct plm_side *side,
                 const struct plm_verdict *verdict, struct plm_error *err) {
  return plm_case_misuse(out, NULL, c, side, verdict, err);
}

/* ------------------------------------------------------------- capturing */

static int same_place(const struct plm_view *a, const struct plm_view *b) {
  return a->buffer == b->buffer && a->offset == b->offset && a->bytes && b->bytes;
}

/* An output in the place of an input of the same size is in place. */
static void find_aliases(struct plm_case *c, const struct plm_op *op) {
  struct plm_op bound = *op;
  for (uint32_t k = 0; k < c->count; k++) {
    struct plm_operand *operand = &c->operands[k];
    const struct plm_view *view = plm_operand_view(operand, &bound);
    operand->shift = view->offset % 64;
    for (uint32_t i = 0; i < k && written(operand) && operand->alias < 0; i++)
      if (same_place(view, plm_operand_view(&c->operands[i], &bound)) && operand->count == c->operands[i].count)
        operand->alias = (int32_t)i;
  }
}

int plm_case_capture(struct plm_case **out, const struct plm_op *op, const struct plm_backend *backend,
                     struct plm_queue *queue, struct plm_error *err) {
  struct plm_case *c = plm_memory_zeroed(1, sizeof *c);
  struct plm_op bound = *op;
  if (!c)
    return plm_error_memory(err, "capturing an op");
  c->op = *op;
  snprintf(c->label, sizeof c->label, "captured, op %u of its program", op->index);
  int code = plm_operands_list(c, err);
  if (!code) {
    find_aliases(c, op);
    code = plm_operands_allocate(c, err);
  }
  for (uint32_t k = 0; k < c->count && !code; k++) {
    const struct plm_operand *operand = &c->operands[k];
    const struct plm_view *view = plm_operand_view(operand, &bound);
    if (operand->alias < 0 && operand->count)
      code = backend->buffer_read(queue, view->buffer, view->offset, operand->data, operand->count * 4, err);
  }
  for (uint32_t k = 0; k < c->count && !code; k++) {
    struct plm_view *view = plm_operand_view(&c->operands[k], &c->op);
    view->buffer = NULL;
    view->offset = 0;
  }
  c->op.workspace = (struct plm_view){0};
  if (code)
    plm_case_destroy(c);
  else
    *out = c;
  return code;
}

int plm_result_collect(struct plm_result *out, const struct plm_case *c, const struct plm_op *op,
                       const struct plm_backend *backend, struct plm_queue *queue, struct plm_error *err) {
  struct plm_result result = {0};
  struct plm_op bound = *op;
  int code = result_room(&result, c, err);
  for (uint32_t k = 0; k < c->count && !code; k++) {
    const struct plm_operand *operand = &c->operands[k];
    const struct plm_view *view = plm_operand_view(operand, &bound);
    if (written(operand) && operand->count)
      code = backend->buffer_read(queue, view->buffer, view->offset, result.data[k], operand->count * 4, err);
  }
  if (code)
    plm_result_fini(&result);
  else
    *out = result;
  return code;
}
