#include "model/program.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/builder.h"

#define STATE_RECORD 0u /* struct plm_step_record of the step under way */
#define STATE_LOG 64u

const char *plm_slot_name(uint32_t slot) {
  static const char *const names[PLM_SLOT_COUNT] = {"params", "grads",    "moment1", "moment2",  "activations",
                                                    "tables", "batch",    "schedule", "state", "workspace"};
  return slot < PLM_SLOT_COUNT ? names[slot] : "?";
}

/* ---------------------------------------------------------------- rooms */

/* The next bytes of a slot, growing it. */
static struct plm_view allot(struct plm_model *model, uint32_t slot, uint64_t elements, uint32_t type) {
  uint64_t bytes = elements * 4;
  struct plm_view view = {.offset = model->slot_bytes[slot], .bytes = bytes, .type = type, .slot = slot};
  model->slot_bytes[slot] += (bytes + PLM_ALIGN_BYTES - 1) / PLM_ALIGN_BYTES * PLM_ALIGN_BYTES;
  return view;
}

static void allot_batch(struct plm_model *model) {
  const struct plm_capacity *c = &model->capacity;
  struct plm_batch_places *p = &model->batch;
  p->token = allot(model, PLM_SLOT_BATCH, c->tokens, PLM_TYPE_I32).offset;
  p->position = allot(model, PLM_SLOT_BATCH, c->tokens, PLM_TYPE_I32).offset;
  p->scale = allot(model, PLM_SLOT_BATCH, c->tokens, PLM_TYPE_F32).offset;
  p->offset = allot(model, PLM_SLOT_BATCH, c->sequences + 1u, PLM_TYPE_I32).offset;
  p->row = allot(model, PLM_SLOT_BATCH, c->masked, PLM_TYPE_I32).offset;
  p->target = allot(model, PLM_SLOT_BATCH, c->masked, PLM_TYPE_I32).offset;
  p->mask_weight = allot(model, PLM_SLOT_BATCH, c->masked, PLM_TYPE_F32).offset;
}

static void allot_layer(struct plm_model *model, struct plm_layer_views *v) {
  uint64_t t = model->capacity.tokens, d = model->layout.shape.width;
#define ROOM(elements) allot(model, PLM_SLOT_ACTIVATIONS, elements, PLM_TYPE_F32)
  v->x = ROOM(t * d);
  v->mean1 = ROOM(t);
  v->rstd1 = ROOM(t);
  v->norm1 = ROOM(t * d);
  v->qkv = ROOM(t * d * 3);
  v->o = ROOM(t * d);
  v->lse = ROOM(t * model->layout.shape.heads);
  v->x_mid = ROOM(t * d);
  v->mean2 = ROOM(t);
  v->rstd2 = ROOM(t);
  v->norm2 = ROOM(t * d);
  v->pre = ROOM(t * d * 4);
  v->act = ROOM(t * d * 4);
}

static void allot_head(struct plm_builder *b) {
  struct plm_model *model = b->model;
  uint64_t t = model->capacity.tokens, m = model->capacity.masked, d = model->layout.shape.width;
  struct plm_head_views *h = &b->head;
  b->x_last = ROOM(t * d);
  h->rows = ROOM(m * d);
  h->mean1 = ROOM(m);
  h->rstd1 = ROOM(m);
  h->norm1 = ROOM(m * d);
  h->pre = ROOM(m * d);
  h->act = ROOM(m * d);
  h->mean2 = ROOM(m);
  h->rstd2 = ROOM(m);
  h->norm2 = ROOM(m * d);
  h->logits = ROOM(m * PLM_VOCABULARY);
  h->loss = ROOM(m);
  b->scratch.dx = ROOM(t * d);
  b->scratch.dwide = ROOM(t * d * 4);
  b->scratch.dnarrow = ROOM(t * d);
  b->scratch.dhead = ROOM(m * d);
  b->scratch.dhead2 = ROOM(m * d);
#undef ROOM
}

static struct plm_view state_view(uint64_t offset, uint64_t bytes) {
  return (struct plm_view){.offset = offset, .bytes = bytes, .type = PLM_TYPE_F32, .slot = PLM_SLOT_STATE};
}

static void allot_all(struct plm_builder *b, uint32_t log_capacity) {
  struct plm_model *model = b->model;
  uint64_t arena = model->layout.floats * 4;
  for (uint32_t slot = PLM_SLOT_PARAMS; slot <= PLM_SLOT_MOMENT2; slot++)
    model->slot_bytes[slot] = arena;
  for (uint32_t l = 0; l < model->layout.shape.layers; l++)
    allot_layer(model, &b->layers[l]);
  allot_head(b);
  allot_batch(model);
  model->slot_bytes[PLM_SLOT_TABLES] = plm_model_table_stride(model) + plm_model_table_floats(model) * 4;
  model->slot_bytes[PLM_SLOT_SCHEDULE] = sizeof(struct plm_step_schedule);
  model->slot_bytes[PLM_SLOT_STATE] = STATE_LOG + (uint64_t)log_capacity * sizeof(struct plm_step_record);
  model->log_capacity = log_capacity;
  model->log = state_view(STATE_LOG, (uint64_t)log_capacity * sizeof(struct plm_step_record));
  model->row_loss = b->head.loss;
  model->logits = b->head.logits;
}

/* ------------------------------------------------------------- programs */

static struct plm_view schedule_view(size_t offset, uint64_t bytes, uint32_t type) {
  return (struct plm_view){.offset = offset, .bytes = bytes, .type = type, .slot = PLM_SLOT_SCHEDULE};
}

static void fill_zero(struct plm_builder *b, struct plm_view x) {
  struct plm_op op = plm_builder_op(PLM_OP_FILL, 0);
  op.u.fill = (struct plm_op_fill){.x = x, .count = x.bytes / 4, .value = 0};
  plm_builder_emit(b, op);
}

static void build_begin(struct plm_builder *b) {
  b->program = &b->model->begin;
  fill_zero(b, (struct plm_view){.bytes = b->model->layout.floats * 4, .type = PLM_TYPE_F32, .slot = PLM_SLOT_GRADS});
  fill_zero(b, state_view(STATE_RECORD, sizeof(struct plm_step_record)));
}

static void loss(struct plm_builder *b, uint32_t flags) {
  struct plm_op op = plm_builder_op(PLM_OP_SOFTMAX_LOSS, flags);
  op.u.softmax_loss = (struct plm_op_softmax_loss){
      .logits = b->head.logits,
      .targets = plm_builder_targets(b),
      .scale = schedule_view(offsetof(struct plm_step_schedule, loss_scale), 4, PLM_TYPE_F32),
      .loss = b->head.loss,
      .dlogits = flags ? b->head.logits : (struct plm_view){0},
      .rows = plm_builder_extent(b, PLM_EXTENT_MASKED),
      .vocabulary = PLM_VOCABULARY};
  plm_builder_emit(b, op);
}

static void sum_loss(struct plm_builder *b, struct plm_view weights, size_t field) {
  struct plm_op op = plm_builder_op(PLM_OP_REDUCE_SUM, PLM_FLAG_ACCUMULATE);
  op.u.reduce_sum = (struct plm_op_reduce_sum){.x = b->head.loss,
                                               .weights = weights,
                                               .out = state_view(STATE_RECORD + field, 4),
                                               .rows = plm_builder_extent(b, PLM_EXTENT_MASKED)};
  plm_builder_emit(b, op);
}

static void build_accumulate(struct plm_builder *b) {
  b->program = &b->model->accumulate;
  plm_build_forward(b, 1);
  loss(b, PLM_FLAG_GRADIENT);
  sum_loss(b, (struct plm_view){0}, offsetof(struct plm_step_record, loss_all));
  sum_loss(b, plm_builder_mask_weight(b), offsetof(struct plm_step_record, loss_mask));
  plm_build_backward(b);
}

static void build_evaluate(struct plm_builder *b) {
  b->program = &b->model->evaluate;
  plm_build_forward(b, 0);
  loss(b, 0);
}

static void adamw(struct plm_builder *b, const struct plm_optimizer *o, uint64_t first, uint64_t end, double rate_scale) {
  uint64_t count = end - first;
  struct plm_view at = {.offset = first * 4, .bytes = count * 4, .type = PLM_TYPE_F32};
  struct plm_op op = plm_builder_op(PLM_OP_ADAMW, 0);
  struct plm_op_adamw *u = &op.u.adamw;
  u->params = u->grads = u->m = u->v = at;
  u->params.slot = PLM_SLOT_PARAMS;
  u->grads.slot = PLM_SLOT_GRADS;
  u->m.slot = PLM_SLOT_MOMENT1;
  u->v.slot = PLM_SLOT_MOMENT2;
  u->control = state_view(STATE_RECORD + offsetof(struct plm_step_record, grad_norm), 16);
  u->schedule = schedule_view(0, 12, PLM_TYPE_F32);
  u->count = count;
  u->beta1 = o->beta1;
  u->beta2 = o->beta2;
  u->epsilon = o->epsilon;
  u->decay = first < b->model->layout.floats_decay ? o->weight_decay : 0;
  u->rate_scale = (float)rate_scale;
  plm_builder_emit(b, op);
}

/* One AdamW op for each stretch [.., end) of tensors that learn at one rate; *first moves to end. */
static void adamw_stretches(struct plm_builder *b, const struct plm_optimizer *optimizer, uint64_t *first, uint64_t end) {
  const struct plm_layout *layout = &b->model->layout;
  double rate = 0;
  /* Within the matrices, and within the vectors, tensors stand in the arena in their order. */
  for (uint32_t i = 0; i < layout->count; i++) {
    const struct plm_tensor *tensor = &layout->tensors[i];
    if (tensor->offset < *first || tensor->offset >= end)
      continue;
    double own = plm_scaling_rate(layout->scaling, tensor->role, layout->shape.width);
    if (own != rate && tensor->offset > *first) {
      adamw(b, optimizer, *first, tensor->offset, rate);
      *first = tensor->offset;
    }
    rate = own;
  }
  adamw(b, optimizer, *first, end, rate);
  *first = end;
}

static void build_update(struct plm_builder *b, const struct plm_optimizer *optimizer) {
  const struct plm_layout *layout = &b->model->layout;
  b->program = &b->model->update;
  struct plm_op norm = plm_builder_op(PLM_OP_GRAD_NORM, 0);
  norm.u.grad_norm = (struct plm_op_grad_norm){
      .grads = {.bytes = layout->floats * 4, .type = PLM_TYPE_F32, .slot = PLM_SLOT_GRADS},
      .out = state_view(STATE_RECORD + offsetof(struct plm_step_record, grad_norm), 16),
      .count = layout->floats,
      .norm_max = optimizer->clip};
  plm_builder_emit(b, norm);
  uint64_t first = 0;
  adamw_stretches(b, optimizer, &first, layout->floats_decay);
  adamw_stretches(b, optimizer, &first, layout->floats);
  struct plm_op record = plm_builder_op(PLM_OP_RECORD, 0);
  record.u.record = (struct plm_op_record){
      .x = state_view(STATE_RECORD, sizeof(struct plm_step_record)),
      .index = schedule_view(offsetof(struct plm_step_schedule, index), 4, PLM_TYPE_I32),
      .log = b->model->log,
      .count = sizeof(struct plm_step_record) / 4,
      .capacity = b->model->log_capacity};
  plm_builder_emit(b, record);
}

int plm_model_init(struct plm_model *out, struct plm_shape shape, struct plm_scaling scaling,
                   const struct plm_capacity *capacity, const struct plm_optimizer *optimizer, uint32_t log_capacity,
                   plm_query_fn query, void *context, struct plm_error *err) {
  struct plm_model model = {.capacity = *capacity, .deterministic = 1};
  struct plm_builder builder = {.model = &model, .query = query, .context = context, .err = err};
  int code = plm_layout_init(&model.layout, shape, scaling, err);
  if (code)
    return code;
  builder.layers = plm_memory_zeroed(shape.layers, sizeof *builder.layers);
  if (!builder.layers) {
    plm_model_fini(&model);
    return plm_error_memory(err, "building a program");
  }
  allot_all(&builder, log_capacity);
  build_begin(&builder);
  build_accumulate(&builder);
  build_evaluate(&builder);
  build_update(&builder, optimizer);
  free(builder.layers);
  if (builder.code)
    plm_model_fini(&model);
  else
    *out = model;
  return builder.code;
}

void plm_model_fini(struct plm_model *model) {
  plm_layout_fini(&model->layout);
  free(model->begin.ops);
  free(model->accumulate.ops);
  free(model->update.ops);
  free(model->evaluate.ops);
  memset(model, 0, sizeof *model);
}

void plm_program_bind(struct plm_program *program, struct plm_buffer *const buffers[PLM_SLOT_COUNT]) {
  for (uint32_t i = 0; i < program->count; i++) {
    uint32_t count;
    struct plm_view *views = plm_op_views(&program->ops[i], &count);
    for (uint32_t v = 0; v < count; v++)
      if (views[v].bytes)
        views[v].buffer = buffers[views[v].slot];
    if (program->ops[i].workspace.bytes)
      program->ops[i].workspace.buffer = buffers[PLM_SLOT_WORKSPACE];
  }
}

void plm_program_extend(struct plm_program *program, const struct plm_extents *extents) {
  const uint32_t now[] = {0, extents->tokens, extents->sequences, extents->masked};
  for (uint32_t i = 0; i < program->count; i++) {
    uint32_t count;
    struct plm_extent *extent = plm_op_extents(&program->ops[i], &count);
    for (uint32_t e = 0; e < count; e++)
      if (extent[e].symbol != PLM_EXTENT_FIXED)
        extent[e].count = now[extent[e].symbol];
  }
}

double plm_program_flops(const struct plm_program *program, const struct plm_extents *extents) {
  double flops = 0;
  for (uint32_t i = 0; i < program->count; i++)
    flops += plm_op_flops(&program->ops[i], extents);
  return flops;
}

void plm_model_tables(float *out, const struct plm_model *model) {
  struct plm_shape shape = model->layout.shape;
  uint32_t half = shape.width / shape.heads / 2;
  float *sine = out + plm_model_table_stride(model) / 4;
  for (uint32_t p = 0; p < model->capacity.length_max; p++)
    for (uint32_t j = 0; j < half; j++) {
      double angle = p * pow(10000, -(double)j / half);
      out[(size_t)p * half + j] = (float)cos(angle);
      sine[(size_t)p * half + j] = (float)sin(angle);
    }
}

double plm_shape_flops(struct plm_shape shape, const struct plm_extents *extents) {
  double d = shape.width, l = shape.layers;
  return 6 * extents->tokens * l * 12 * d * d + 6 * extents->masked * (d * d + PLM_VOCABULARY * d) +
         12 * l * d * extents->length_squares;
}

static int accept_all(void *context, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err) {
  (void)context, (void)op, (void)err;
  out->status = PLM_VERDICT_SUPPORTED;
  return 0;
}

uint64_t plm_shape_bytes(uint64_t *largest, struct plm_shape shape, const struct plm_capacity *capacity) {
  struct plm_model model;
  struct plm_optimizer optimizer = {0};
  struct plm_error err = PLM_ERROR_INIT;
  uint64_t bytes = 0, most = 0;
  if (plm_model_init(&model, shape, (struct plm_scaling){0}, capacity, &optimizer, 64, accept_all, NULL, &err))
    return 0;
  for (uint32_t slot = 0; slot < PLM_SLOT_COUNT; slot++) {
    bytes += model.slot_bytes[slot];
    most = model.slot_bytes[slot] > most ? model.slot_bytes[slot] : most;
  }
  plm_model_fini(&model);
  if (largest)
    *largest = most;
  return bytes;
}
