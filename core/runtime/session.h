/*
 * One model on one device: its buffers, its programs bound to them, and the calls that make a training step of them.
 */
#ifndef PLM_RUNTIME_SESSION_H
#define PLM_RUNTIME_SESSION_H

#include <stdint.h>

#include "base/error.h"
#include "data/batch.h"
#include "model/program.h"
#include "runtime/plugin.h"

/* Opaque to callers but for these fields, which are read-only. */
struct plm_session {
  const struct plm_plugin *plugin; /* borrowed */
  struct plm_device_info info;
  struct plm_model model;
  uint32_t micro_tokens; /* token limit of a micro-batch */
  double flops;          /* matrix FLOPs of accumulate since opening; a caller may set it back to 0 */
  struct plm_device *device;
  struct plm_queue *queue;
  struct plm_buffer *buffers[PLM_SLOT_COUNT];
  struct plm_batch micro;
  struct plm_guard guard; /* the floating-point environment as it was before the device was opened */
};

struct plm_session_options {
  struct plm_shape shape;
  struct plm_scaling scaling;
  struct plm_optimizer optimizer;
  uint32_t batch_tokens; /* most tokens that one call of accumulate or evaluate brings */
  uint32_t length_max;   /* longest sequence */
  uint32_t micro_tokens; /* 0: chosen by plm_session_micro */
  uint32_t log_capacity; /* steps that the device's log holds */
};

/*
 * The token limit of a micro-batch: the saved activations of two layers (16 D floats a token each) fill the device's cache,
 * within [max(length_max, 256), batch_tokens]; the whole batch where the cache is unknown. Then fewer, down to the same
 * least, until every buffer is one that the device allows and all of them take at most 9/10 of its memory.
 */
uint32_t plm_session_micro(const struct plm_device_info *info, struct plm_shape shape, uint32_t length_max,
                           uint32_t batch_tokens);

/* Room for a micro-batch of so many tokens: the shortest sequence is <cls> residue <eos>, and every row may be selected. */
struct plm_capacity plm_session_capacity(uint32_t tokens, uint32_t length_max);

/* Opens the device, builds the programs, makes the buffers; parameters and moments are undefined. plm_session_close takes NULL. */
int plm_session_open(struct plm_session **out, const struct plm_plugin *plugin, uint32_t device,
                     const struct plm_session_options *options, struct plm_error *err);
void plm_session_close(struct plm_session *session);

/* Copies a whole arena (PLM_SLOT_PARAMS, GRADS, MOMENT1 or MOMENT2; layout.floats floats) to or from the device. */
int plm_session_write(struct plm_session *session, enum plm_slot slot, const float *data, struct plm_error *err);
int plm_session_read(struct plm_session *session, enum plm_slot slot, float *data, struct plm_error *err);

/* Starts a step: uploads its schedule, zeroes gradients and sums. */
int plm_session_begin(struct plm_session *session, const struct plm_step_schedule *schedule, struct plm_error *err);

/* Adds a batch's loss and gradients, micro-batch by micro-batch. */
int plm_session_accumulate(struct plm_session *session, const struct plm_batch *batch, struct plm_error *err);

/* Ends a step: gradient norm, AdamW, one row in the log. Does not wait. */
int plm_session_update(struct plm_session *session, struct plm_error *err);

/* Waits and reads rows first .. first+count-1 (modulo the log's capacity; count <= capacity) of the log. */
int plm_session_records(struct plm_session *session, struct plm_step_record *out, uint32_t first, uint32_t count,
                        struct plm_error *err);

/* Forward only: the loss of every selected row of a batch, in its order, into row_loss [batch->masked]; and, when logits is
 * not NULL, the logits [batch->masked, V]. */
int plm_session_evaluate(struct plm_session *session, const struct plm_batch *batch, float *row_loss, float *logits,
                         struct plm_error *err);

/* Waits for everything and checks that the backend left the floating-point environment as it was. */
int plm_session_finish(struct plm_session *session, struct plm_error *err);

#endif
