#include "runtime/accepted.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/ops.h"

/* An op without its place in a program and its views: what op_query's answer holds for, up to the extents. */
struct plm_accepted_op {
  struct plm_op key;
  struct plm_extent extents[2];
  uint32_t extent_count;
  uint64_t workspace_bytes;
};

static void reduce(struct plm_accepted_op *out, const struct plm_op *op) {
  uint32_t views;
  memset(out, 0, sizeof *out);
  out->key = *op;
  struct plm_view *view = plm_op_views(&out->key, &views);
  memset(view, 0, views * sizeof *view);
  struct plm_extent *extents = plm_op_extents(&out->key, &out->extent_count);
  memcpy(out->extents, extents, out->extent_count * sizeof *extents);
  memset(extents, 0, out->extent_count * sizeof *extents);
  memset(&out->key.workspace, 0, sizeof out->key.workspace);
  out->key.index = 0;
}

void plm_accepted_fini(struct plm_accepted *accepted) {
  free(accepted->items);
  memset(accepted, 0, sizeof *accepted);
}

int plm_accepted_add(struct plm_accepted *accepted, const struct plm_op *op, uint64_t workspace_bytes,
                     struct plm_error *err) {
  struct plm_accepted_op entry;
  void *items = accepted->items;
  reduce(&entry, op);
  for (size_t i = 0; i < accepted->count; i++) {
    struct plm_accepted_op *known = &accepted->items[i];
    if (memcmp(&known->key, &entry.key, sizeof entry.key) || memcmp(known->extents, entry.extents, sizeof entry.extents))
      continue;
    known->workspace_bytes = workspace_bytes; /* asked again: the last answer holds */
    return 0;
  }
  if (plm_memory_grow(&items, &accepted->capacity, accepted->count + 1, sizeof entry))
    return plm_error_memory(err, "noting an op");
  accepted->items = items;
  entry.workspace_bytes = workspace_bytes;
  accepted->items[accepted->count++] = entry;
  return 0;
}

static int covers(const struct plm_accepted_op *known, const struct plm_accepted_op *wanted) {
  if (memcmp(&known->key, &wanted->key, sizeof wanted->key))
    return 0;
  for (uint32_t i = 0; i < wanted->extent_count; i++)
    if (wanted->extents[i].count > known->extents[i].count || wanted->extents[i].symbol != known->extents[i].symbol)
      return 0;
  return 1;
}

int plm_accepted_check(uint64_t *workspace_bytes, const struct plm_accepted *accepted, const struct plm_op *op,
                       struct plm_error *err) {
  struct plm_accepted_op wanted;
  const struct plm_accepted_op *least = NULL;
  char title[PLM_OP_TEXT], shape[PLM_OP_TEXT];
  reduce(&wanted, op);
  for (size_t i = 0; i < accepted->count; i++) {
    const struct plm_accepted_op *known = &accepted->items[i];
    if (covers(known, &wanted) && (!least || known->workspace_bytes < least->workspace_bytes))
      least = known;
  }
  plm_op_title(title, op);
  plm_op_shape(shape, op);
  if (!least)
    return plm_error_set(err, PLM_E_INVALID, "validate: op #%u %s %s: op_query has not accepted it at these extents",
                         op->index, title, shape);
  if (least->workspace_bytes > op->workspace.bytes)
    return plm_error_set(err, PLM_E_INVALID,
                         "validate: op #%u %s %s: its workspace has %" PRIu64 " bytes, op_query asked for %" PRIu64,
                         op->index, title, shape, op->workspace.bytes, least->workspace_bytes);
  *workspace_bytes = least->workspace_bytes;
  return 0;
}
