#include "model/builder.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* ------------------------------------------------------------- emitting */

struct plm_op plm_builder_op(uint32_t kind, uint32_t flags) {
  struct plm_op op;
  memset(&op, 0, sizeof op);
  op.struct_size = sizeof op;
  op.kind = kind;
  op.flags = flags;
  op.type = PLM_TYPE_F32;
  return op;
}

static int ask(struct plm_builder *b, const struct plm_op *op, struct plm_verdict *verdict) {
  memset(verdict, 0, sizeof *verdict);
  verdict->struct_size = sizeof *verdict;
  if (!b->code)
    b->code = b->query(b->context, op, verdict, b->err);
  return b->code;
}

int plm_builder_accepts(struct plm_builder *b, const struct plm_op *op) {
  struct plm_verdict verdict;
  return !ask(b, op, &verdict) && verdict.status == PLM_VERDICT_SUPPORTED;
}

void plm_builder_emit(struct plm_builder *b, struct plm_op op) {
  struct plm_verdict verdict;
  if (ask(b, &op, &verdict))
    return;
  if (verdict.status != PLM_VERDICT_SUPPORTED) {
    verdict.text[sizeof verdict.text - 1] = 0;
    b->code = plm_error_set(b->err, PLM_E_UNSUPPORTED, "the backend declines the required op %s (flags 0x%x): %s",
                            plm_op_name(op.kind), op.flags, verdict.text[0] ? verdict.text : "it gives no reason");
    b->err->op_kind = op.kind;
    return;
  }
  if (!verdict.deterministic)
    b->model->deterministic = 0;
  if (verdict.workspace_bytes > b->model->slot_bytes[PLM_SLOT_WORKSPACE])
    b->model->slot_bytes[PLM_SLOT_WORKSPACE] = verdict.workspace_bytes;
  op.workspace = (struct plm_view){.bytes = verdict.workspace_bytes, .type = PLM_TYPE_F32, .slot = PLM_SLOT_WORKSPACE};
  op.index = b->program->count;
  void *ops = b->program->ops;
  if (plm_memory_grow(&ops, &b->program->capacity, (size_t)b->program->count + 1, sizeof op)) {
    b->code = plm_error_memory(b->err, "building a program");
    return;
  }
  b->program->ops = ops;
  b->program->ops[b->program->count++] = op;
}

void plm_builder_note(struct plm_builder *b, const char *what) {
  struct plm_model *model = b->model;
  model->lowered++;
  if (strstr(model->lowered_text, what))
    return;
  size_t used = strlen(model->lowered_text);
  snprintf(model->lowered_text + used, sizeof model->lowered_text - used, "%s%s", used ? ", " : "", what);
}

/* ---------------------------------------------------------------- views */

uint64_t plm_model_table_floats(const struct plm_model *model) {
  struct plm_shape shape = model->layout.shape;
  return (uint64_t)model->capacity.length_max * (shape.width / shape.heads / 2);
}
uint64_t plm_model_table_stride(const struct plm_model *model) {
  return (plm_model_table_floats(model) * 4 + PLM_ALIGN_BYTES - 1) / PLM_ALIGN_BYTES * PLM_ALIGN_BYTES;
}

static struct plm_view tensor_view(uint32_t slot, const struct plm_tensor *tensor) {
  return (struct plm_view){.offset = tensor->offset * 4,
                           .bytes = (uint64_t)tensor->rows * tensor->cols * 4,
                           .type = PLM_TYPE_F32,
                           .slot = slot};
}

static struct plm_view batch_view(const struct plm_builder *b, uint64_t place, uint64_t elements, uint32_t type) {
  (void)b;
  return (struct plm_view){.offset = place, .bytes = elements * 4, .type = type, .slot = PLM_SLOT_BATCH};
}

struct plm_view plm_builder_param(const struct plm_builder *b, const struct plm_tensor *tensor) {
  (void)b;
  return tensor_view(PLM_SLOT_PARAMS, tensor);
}
struct plm_view plm_builder_grad(const struct plm_builder *b, const struct plm_tensor *tensor) {
  (void)b;
  return tensor_view(PLM_SLOT_GRADS, tensor);
}
struct plm_view plm_builder_tokens(const struct plm_builder *b) {
  return batch_view(b, b->model->batch.token, b->model->capacity.tokens, PLM_TYPE_I32);
}
struct plm_view plm_builder_positions(const struct plm_builder *b) {
  return batch_view(b, b->model->batch.position, b->model->capacity.tokens, PLM_TYPE_I32);
}
struct plm_view plm_builder_scale(const struct plm_builder *b) {
  return batch_view(b, b->model->batch.scale, b->model->capacity.tokens, PLM_TYPE_F32);
}
struct plm_view plm_builder_offsets(const struct plm_builder *b) {
  return batch_view(b, b->model->batch.offset, b->model->capacity.sequences + 1u, PLM_TYPE_I32);
}
struct plm_view plm_builder_rows(const struct plm_builder *b) {
  return batch_view(b, b->model->batch.row, b->model->capacity.masked, PLM_TYPE_I32);
}
struct plm_view plm_builder_targets(const struct plm_builder *b) {
  return batch_view(b, b->model->batch.target, b->model->capacity.masked, PLM_TYPE_I32);
}
struct plm_view plm_builder_mask_weight(const struct plm_builder *b) {
  return batch_view(b, b->model->batch.mask_weight, b->model->capacity.masked, PLM_TYPE_F32);
}

struct plm_view plm_builder_cosine(const struct plm_builder *b) {
  return (struct plm_view){.bytes = plm_model_table_floats(b->model) * 4, .type = PLM_TYPE_F32, .slot = PLM_SLOT_TABLES};
}
struct plm_view plm_builder_sine(const struct plm_builder *b) {
  return (struct plm_view){.offset = plm_model_table_stride(b->model),
                           .bytes = plm_model_table_floats(b->model) * 4,
                           .type = PLM_TYPE_F32,
                           .slot = PLM_SLOT_TABLES};
}

struct plm_extent plm_builder_extent(const struct plm_builder *b, uint32_t symbol) {
  const struct plm_capacity *c = &b->model->capacity;
  uint32_t count = symbol == PLM_EXTENT_TOKENS ? c->tokens : symbol == PLM_EXTENT_MASKED ? c->masked : c->sequences;
  return (struct plm_extent){.count = count, .symbol = symbol};
}
