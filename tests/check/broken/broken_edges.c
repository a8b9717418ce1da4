/* Level 2: forward ops that are right at most places, calls or offsets. */
#include "broken.h"

static int same_place(const struct plm_view *a, const struct plm_view *b) {
  return a->buffer == b->buffer && a->offset == b->offset;
}

BROKEN_BEFORE(add_rows, PLM_OP_ADD) { op->u.add.rows.count &= 0xffff; }

/* 4 bytes at that place of the view's buffer, if there is room for them there. */
static void scribble(const struct plm_view *view, uint64_t at) {
  if (at <= view->buffer->bytes && view->buffer->bytes - at >= 4)
    memset(view->buffer->data + at, 0x11, 4);
}

BROKEN_AFTER(writes_past, PLM_OP_ADD) {
  const struct plm_op_add *p = &op->u.add;
  if (p->rows.count)
    scribble(&p->y, p->y.offset + 4 * (uint64_t)p->rows.count * p->width);
}

BROKEN_AFTER(writes_before, PLM_OP_ADD) {
  if (op->u.add.rows.count)
    scribble(&op->u.add.y, op->u.add.y.offset - 4);
}

BROKEN_AFTER(writes_input, PLM_OP_LAYER_NORM) {
  if (op->u.layer_norm.rows.count)
    floats(&op->u.layer_norm.x)[0] += 1;
}

BROKEN_AFTER(workspace_past, PLM_OP_ATTENTION) {
  if (op->workspace.buffer)
    scribble(&op->workspace, op->workspace.offset + sizeof(double) * ref_attention_workspace(op));
}

static int workspace_zero_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const int works = op->kind == PLM_OP_ATTENTION && op->u.attention.rows.count && usable(&op->workspace, 4);
  const float found = works ? floats(&op->workspace)[0] : 0;
  const int code = right.op_run(queue, op, err);
  if (works && code == PLM_OK)
    floats(&op->u.attention.o)[0] += found;
  return code;
}
BROKEN_SLOT(workspace_zero, op_run)

BROKEN_AFTER(unrepeatable, PLM_OP_LINEAR) {
  static unsigned runs;
  if (runs++ % 2 && op->u.linear.rows.count)
    integers(&op->u.linear.y)[0] ^= 1;
}

BROKEN_AFTER(add_in_place, PLM_OP_ADD) {
  const struct plm_op_add *p = &op->u.add;
  if (p->rows.count && same_place(&p->y, &p->b))
    floats(&p->y)[(uint64_t)p->rows.count * p->width - 1] *= 2;
}

BROKEN_BEFORE(scale_aligned, PLM_OP_SOFTMAX_LOSS) { op->u.softmax_loss.scale.offset &= ~(uint64_t)63; }

BROKEN_SKIP(scatter_empty, op->kind == PLM_OP_SCATTER_ROWS && op->u.scatter_rows.rows.count == 0)
BROKEN_SKIP(sum_count, op->kind == PLM_OP_REDUCE_SUM && op->u.reduce_sum.rows.count == 0)
BROKEN_SKIP(does_nothing, op->kind == PLM_OP_GATHER_ROWS)

static int record_unwrapped_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  if (op->kind != PLM_OP_RECORD || !usable(&op->u.record.index, 4))
    return right.op_run(queue, op, err);
  const int32_t index = *integers(&op->u.record.index), last = (int32_t)op->u.record.capacity - 1;
  *integers(&op->u.record.index) = index < last ? index : last;
  const int code = right.op_run(queue, op, err);
  *integers(&op->u.record.index) = index;
  return code;
}
BROKEN_SLOT(record_unwrapped, op_run)

static int declines_op_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                             struct plm_error *err) {
  const int code = right.op_query(device, op, out, err);
  if (code == PLM_OK && op->kind == PLM_OP_EMBED) {
    out->status = PLM_VERDICT_UNSUPPORTED;
    out->reason = PLM_REASON_DEVICE;
    strcpy(out->text, "this device has no tables");
  }
  return code;
}
BROKEN_SLOT(declines, op_query)
