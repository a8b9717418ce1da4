/* Levels 4 and 5: every op is right by itself; what is kept from one call to the next is not. */
#include "broken.h"

/* ---------------------------------------------------------------- training */

/* What a plugin has noted about a place in a buffer, until a buffer is destroyed: a later one may get the same address.
 */
struct note {
  struct plm_buffer *buffer;
  uint64_t offset;
  uint32_t times;
  float values[3];
};
static struct note notes[256];
static size_t note_count;

/* The note of a view's place; the last one when there is no room for more. */
static struct note *note_of(const struct plm_view *view) {
  for (size_t i = 0; i < note_count; i++)
    if (notes[i].buffer == view->buffer && notes[i].offset == view->offset)
      return &notes[i];
  if (note_count < sizeof notes / sizeof *notes)
    notes[note_count++] = (struct note){view->buffer, view->offset, 0, {0}};
  return &notes[note_count - 1];
}

static void forget_buffer_destroy(struct plm_buffer *buffer) {
  note_count = 0;
  right.buffer_destroy(buffer);
}
static void arm_with_notes(struct broken *self,
                           int (*op_run)(struct plm_queue *, const struct plm_op *, struct plm_error *)) {
  self->table.op_run = op_run;
  self->table.buffer_destroy = forget_buffer_destroy;
}

static int schedule_captured_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  float kept[3];
  if (op->kind != PLM_OP_ADAMW || !usable(&op->u.adamw.schedule, sizeof kept))
    return right.op_run(queue, op, err);
  struct note *note = note_of(&op->u.adamw.params);
  float *schedule = floats(&op->u.adamw.schedule);
  memcpy(kept, schedule, sizeof kept);
  if (note->times++ == 0)
    memcpy(note->values, schedule, sizeof kept);
  memcpy(schedule, note->values, sizeof kept);
  const int code = right.op_run(queue, op, err);
  memcpy(schedule, kept, sizeof kept);
  return code;
}
void arm_schedule_captured(struct broken *self) { arm_with_notes(self, schedule_captured_op_run); }

static int rows_captured_op_run(struct plm_queue *queue, const struct plm_op *given, struct plm_error *err) {
  struct plm_op op = *given;
  if (op.kind == PLM_OP_LINEAR_GRAD_WEIGHT) {
    struct note *note = note_of(&op.u.linear_grad_weight.dw);
    uint32_t *rows = &op.u.linear_grad_weight.rows.count;
    note->times = note->times ? note->times : *rows;
    *rows = note->times < *rows ? note->times : *rows;
  }
  return right.op_run(queue, &op, err);
}
void arm_rows_captured(struct broken *self) { arm_with_notes(self, rows_captured_op_run); }

static int update_lost_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  if (op->kind == PLM_OP_ADAMW && ++note_of(&op->u.adamw.params)->times % 4 == 0)
    return PLM_OK;
  return right.op_run(queue, op, err);
}
void arm_update_lost(struct broken *self) { arm_with_notes(self, update_lost_op_run); }

static int fill_once_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  if (op->kind == PLM_OP_FILL && note_of(&op->u.fill.x)->times++)
    return PLM_OK;
  return right.op_run(queue, op, err);
}
void arm_fill_once(struct broken *self) { arm_with_notes(self, fill_once_op_run); }

static void enlarge(const struct plm_view *view, uint64_t count) {
  for (uint64_t i = 0; i < count; i++)
    floats(view)[i] *= 1 + 0x1p-19f;
}

static int drifts_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const int code = right.op_run(queue, op, err);
  if (code == PLM_OK && op->kind == PLM_OP_LINEAR)
    enlarge(&op->u.linear.y, (uint64_t)op->u.linear.rows.count * op->u.linear.out);
  if (code == PLM_OK && op->kind == PLM_OP_LAYER_NORM)
    enlarge(&op->u.layer_norm.y, (uint64_t)op->u.layer_norm.rows.count * op->u.layer_norm.width);
  if (code == PLM_OK && op->kind == PLM_OP_ATTENTION)
    enlarge(&op->u.attention.o,
            (uint64_t)op->u.attention.rows.count * op->u.attention.heads * op->u.attention.head_size);
  return code;
}
BROKEN_SLOT(drifts, op_run)

/* ---------------------------------------------------------------- failures */

/* The first failure since the last queue_finish, and the kind of the last op. */
static struct plm_error failure;
static uint32_t last_kind;

static int late_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct plm_error said = *err;
  last_kind = op->kind;
  if (right.op_run(queue, op, &said) && !failure.code)
    failure = said;
  return PLM_OK;
}
static int late_queue_finish(struct plm_queue *queue, struct plm_error *err) {
  const int code = failure.code;
  (void)queue;
  if (code)
    *err = failure;
  failure.code = 0;
  return code;
}
void arm_unbroken_late(struct broken *self) {
  self->table.op_run = late_op_run;
  self->table.queue_finish = late_queue_finish;
}

static int error_op_queue_finish(struct plm_queue *queue, struct plm_error *err) {
  failure.op_kind = last_kind;
  return late_queue_finish(queue, err);
}
void arm_error_op(struct broken *self) {
  self->table.op_run = late_op_run;
  self->table.queue_finish = error_op_queue_finish;
}

static int error_stays_queue_finish(struct plm_queue *queue, struct plm_error *err) {
  const int code = late_queue_finish(queue, err);
  failure.code = code;
  return code;
}
void arm_error_stays(struct broken *self) {
  self->table.op_run = late_op_run;
  self->table.queue_finish = error_stays_queue_finish;
}

static int error_dropped_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  right.op_run(queue, op, err);
  return PLM_OK;
}
BROKEN_SLOT(error_dropped, op_run)

static int error_mute_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const int code = right.op_run(queue, op, err);
  if (code)
    err->text[0] = '\0';
  return code;
}
BROKEN_SLOT(error_mute, op_run)

static int full_keeps_buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                                    struct plm_error *err) {
  const int code = right.buffer_create(device, bytes, kind, out, err);
  if (code == PLM_E_NO_MEMORY)
    broken_host->allocate(broken_host->context, 64 << 10);
  return code;
}
BROKEN_SLOT(full_keeps, buffer_create)

static int full_forever_buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                                      struct plm_error *err) {
  static int full;
  const int code =
      full ? ref_fail(err, PLM_E_NO_MEMORY, NULL, "full") : right.buffer_create(device, bytes, kind, out, err);
  full = code == PLM_E_NO_MEMORY;
  return code;
}
BROKEN_SLOT(full_forever, buffer_create)

static int start_once_start(const struct plm_host *host, struct plm_backend *out, struct plm_error *err) {
  return broken_host ? ref_fail(err, PLM_E_INTERNAL, NULL, "started already") : broken_start(host, out, err);
}
void arm_start_once(struct broken *self) { self->card.start = start_once_start; }
