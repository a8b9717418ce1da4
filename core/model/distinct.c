#include "model/distinct.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static int multiplies(uint32_t kind) {
  return kind == PLM_OP_LINEAR || kind == PLM_OP_LINEAR_GRAD_INPUT || kind == PLM_OP_LINEAR_GRAD_WEIGHT ||
         kind == PLM_OP_ATTENTION || kind == PLM_OP_ATTENTION_GRAD;
}

/* The op at these extents, with nothing of its views but whether they are there. */
static struct plm_op reduce(const struct plm_op *op, const struct plm_capacity *capacity) {
  const uint32_t most[] = {0, capacity->tokens, capacity->sequences, capacity->masked};
  struct plm_op reduced = *op;
  uint32_t count;
  struct plm_view *views = plm_op_views(&reduced, &count);
  for (uint32_t v = 0; v < count; v++)
    views[v] = (struct plm_view){.bytes = views[v].bytes ? 4 : 0, .type = views[v].type};
  struct plm_extent *extents = plm_op_extents(&reduced, &count);
  for (uint32_t e = 0; e < count; e++)
    if (extents[e].symbol != PLM_EXTENT_FIXED)
      extents[e].count = most[extents[e].symbol];
  reduced.workspace = (struct plm_view){0};
  reduced.index = 0;
  return reduced;
}

static void add(struct plm_distinct *distinct, const struct plm_op *op, const struct plm_capacity *capacity) {
  struct plm_op reduced = reduce(op, capacity);
  for (uint32_t i = 0; i < distinct->count; i++)
    if (!memcmp(&distinct->ops[i], &reduced, sizeof reduced)) {
      distinct->uses[i]++;
      return;
    }
  distinct->uses[distinct->count] = 1;
  distinct->ops[distinct->count++] = reduced;
}

int plm_distinct_init(struct plm_distinct *out, const struct plm_model *model, uint32_t masked, struct plm_error *err) {
  const struct plm_program *const programs[] = {&model->begin, &model->accumulate, &model->evaluate, &model->update};
  struct plm_distinct distinct = {0};
  struct plm_capacity usual = model->capacity;
  if (masked && masked < usual.masked)
    usual.masked = masked;
  size_t most = 0;
  for (size_t p = 0; p < sizeof programs / sizeof *programs; p++)
    most += programs[p]->count;
  distinct.ops = plm_memory_zeroed(most, sizeof *distinct.ops);
  distinct.uses = plm_memory_zeroed(most, sizeof *distinct.uses);
  if (!distinct.ops || !distinct.uses) {
    plm_distinct_fini(&distinct);
    return plm_error_memory(err, "listing the ops of a model");
  }
  for (size_t p = 0; p < sizeof programs / sizeof *programs; p++)
    for (uint32_t i = 0; i < programs[p]->count; i++)
      if (multiplies(programs[p]->ops[i].kind))
        add(&distinct, &programs[p]->ops[i], &usual);
  *out = distinct;
  return 0;
}

void plm_distinct_fini(struct plm_distinct *distinct) {
  free(distinct->ops);
  free(distinct->uses);
  memset(distinct, 0, sizeof *distinct);
}
