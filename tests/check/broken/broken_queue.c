/* Level 1: what is wrong with the order of work, events and programs. */
#include "broken.h"

/* One write that is still to be done, by the next call of its queue. */
static struct {
  struct plm_queue *queue;
  struct plm_buffer *buffer;
  const void *data;
  uint64_t offset, bytes;
} late;
static void late_write(void) {
  struct plm_error unused;
  if (late.buffer)
    right.buffer_write(late.queue, late.buffer, late.offset, late.data, late.bytes, &unused);
  late.buffer = NULL;
}
static int write_late_buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset,
                                   const void *data, uint64_t bytes, struct plm_error *err) {
  late_write();
  if (offset > buffer->bytes || bytes > buffer->bytes - offset)
    return right.buffer_write(queue, buffer, offset, data, bytes, err);
  late.queue = queue;
  late.buffer = buffer;
  late.data = data;
  late.offset = offset;
  late.bytes = bytes;
  return PLM_OK;
}
static int write_late_buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data,
                                  uint64_t bytes, struct plm_error *err) {
  late_write();
  return right.buffer_read(queue, buffer, offset, data, bytes, err);
}
static int write_late_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  late_write();
  return right.op_run(queue, op, err);
}
static int write_late_queue_finish(struct plm_queue *queue, struct plm_error *err) {
  late_write();
  return right.queue_finish(queue, err);
}
void arm_write_late(struct broken *self) {
  self->table.buffer_write = write_late_buffer_write;
  self->table.buffer_read = write_late_buffer_read;
  self->table.op_run = write_late_op_run;
  self->table.queue_finish = write_late_queue_finish;
}

/* Ops that wait for the next read, finish or destroy. */
static struct plm_op waiting[64];
static size_t waiting_count;
static int run_waiting(struct plm_queue *queue, struct plm_error *err) {
  int code = PLM_OK;
  for (size_t i = 0; i < waiting_count; i++) {
    struct plm_error said = *err;
    const int one = right.op_run(queue, &waiting[i], &said);
    if (one && !code) {
      code = one;
      *err = said;
    }
  }
  waiting_count = 0;
  return code;
}
static int write_overtakes_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const int code = waiting_count == sizeof waiting / sizeof *waiting ? run_waiting(queue, err) : PLM_OK;
  waiting[waiting_count++] = *op;
  return code;
}
static int write_overtakes_buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data,
                                       uint64_t bytes, struct plm_error *err) {
  const int code = run_waiting(queue, err);
  return code ? code : right.buffer_read(queue, buffer, offset, data, bytes, err);
}
static void write_overtakes_queue_destroy(struct plm_queue *queue) {
  struct plm_error unused = {0};
  run_waiting(queue, &unused);
  right.queue_destroy(queue);
}
void arm_write_overtakes(struct broken *self) {
  self->table.op_run = write_overtakes_op_run;
  self->table.buffer_read = write_overtakes_buffer_read;
  self->table.queue_finish = run_waiting;
  self->table.queue_destroy = write_overtakes_queue_destroy;
}

/* ---------------------------------------------------------------- events */

struct plm_event {
  unsigned waits;
  char state[252]; /* what a driver keeps of one */
};
static int event_record(struct plm_queue *queue, struct plm_event **out, struct plm_error *err) {
  struct plm_event *event = broken_host->allocate(broken_host->context, sizeof *event);
  (void)queue;
  if (!event)
    return ref_fail(err, PLM_E_NO_MEMORY, NULL, "event: no host memory");
  event->waits = 0;
  *out = event;
  return PLM_OK;
}
static int event_wait(struct plm_event *event, struct plm_error *err) {
  (void)event;
  (void)err;
  return PLM_OK;
}
static int event_wait_once(struct plm_event *event, struct plm_error *err) {
  return event->waits++ ? ref_fail(err, PLM_E_INVALID, NULL, "event: waited for already") : PLM_OK;
}
static void event_destroy(struct plm_event *event) { broken_host->release(broken_host->context, event); }
static void event_forget(struct plm_event *event) { (void)event; }

void arm_event_twice(struct broken *self) {
  self->table.event_record = event_record;
  self->table.event_wait = event_wait_once;
  self->table.event_destroy = event_destroy;
}
void arm_event_leaks(struct broken *self) {
  self->table.event_record = event_record;
  self->table.event_wait = event_wait;
  self->table.event_destroy = event_forget;
}

/* -------------------------------------------------------------- programs */

static int program_failed_program_run(struct plm_queue *queue, const struct plm_op *ops, uint32_t count,
                                      uint32_t *failed, struct plm_error *err) {
  for (uint32_t i = 0; i < count; i++) {
    const int code = right.op_run(queue, &ops[i], err);
    if (code) {
      *failed = i + 1;
      return code;
    }
  }
  return PLM_OK;
}
BROKEN_SLOT(program_failed, program_run)

static int program_drops_program_run(struct plm_queue *queue, const struct plm_op *ops, uint32_t count,
                                     uint32_t *failed, struct plm_error *err) {
  for (uint32_t i = 0; i + 1 < count; i++) {
    const int code = right.op_run(queue, &ops[i], err);
    if (code) {
      *failed = i;
      return code;
    }
  }
  return PLM_OK;
}
BROKEN_SLOT(program_drops, program_run)
