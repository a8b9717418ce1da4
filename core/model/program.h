/*
 * A training step as programs: arrays of ops over named buffer slots, built once per cell from the shape, the room for one
 * micro-batch and what the backend can do. Fused ops that the backend declines are lowered here to required ones.
 */
#ifndef PLM_MODEL_PROGRAM_H
#define PLM_MODEL_PROGRAM_H

#include <stdint.h>

#include "base/error.h"
#include "model/layout.h"
#include "model/ops.h"

/* The buffers of a model, one for each slot. */
enum plm_slot {
  PLM_SLOT_PARAMS,
  PLM_SLOT_GRADS,
  PLM_SLOT_MOMENT1,
  PLM_SLOT_MOMENT2,
  PLM_SLOT_ACTIVATIONS,
  PLM_SLOT_TABLES,   /* rotary cosine and sine */
  PLM_SLOT_BATCH,    /* uploaded for every micro-batch */
  PLM_SLOT_SCHEDULE, /* uploaded for every step: struct plm_step_schedule */
  PLM_SLOT_STATE,    /* the step's figures, and the log of the last steps */
  PLM_SLOT_WORKSPACE,
  PLM_SLOT_COUNT
};
const char *plm_slot_name(uint32_t slot);

/* What the host tells the device for each optimizer step. */
struct plm_step_schedule {
  float rate;        /* learning rate */
  float correction1; /* 1 - beta1^step */
  float correction2; /* 1 - beta2^step */
  float loss_scale;  /* 1 / selected rows of the whole step */
  int32_t index;     /* row of the log, modulo its capacity */
  int32_t reserved[3];
};

/* What a step leaves in the log. */
struct plm_step_record {
  float loss_all;  /* sum over selected rows */
  float loss_mask; /* sum over rows whose input is <mask> */
  float reserved[2];
  float grad_norm;
  float finite; /* 1 or 0 */
  float clip;
  float reserved2;
};

/* Room for one micro-batch. */
struct plm_capacity {
  uint32_t tokens, sequences, masked;
  uint32_t length_max; /* longest sequence */
};

/* What the optimizer is, fixed for a cell. */
struct plm_optimizer {
  float beta1, beta2, epsilon, weight_decay, clip;
};

struct plm_program {
  struct plm_op *ops;
  uint32_t count;
  size_t capacity;
};

/* Where the pieces of a batch lie in PLM_SLOT_BATCH, bytes. */
struct plm_batch_places {
  uint64_t token, position, scale, offset, row, target, mask_weight;
};

struct plm_model {
  struct plm_layout layout;
  struct plm_capacity capacity;
  struct plm_program begin;      /* zero gradients and sums */
  struct plm_program accumulate; /* forward and backward of one micro-batch */
  struct plm_program update;     /* norm, AdamW, log */
  struct plm_program evaluate;   /* forward only; losses per selected row */
  uint64_t slot_bytes[PLM_SLOT_COUNT];
  struct plm_batch_places batch;
  struct plm_view row_loss;   /* [masked], after accumulate or evaluate */
  struct plm_view logits;     /* [masked, V] after evaluate; after accumulate it holds their gradient */
  struct plm_view log;        /* [log_capacity] struct plm_step_record */
  uint32_t log_capacity;
  uint32_t lowered;           /* fused ops that the backend declined */
  char lowered_text[256];     /* which, for the run file: "linear+gelu, attention+rotary" */
  int deterministic;          /* every op says so */
};

/* A backend's answer to one op. */
typedef int (*plm_query_fn)(void *context, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err);

/*
 * Builds all programs. A required op that the backend declines is PLM_E_UNSUPPORTED, naming op and reason.
 * Owned by the caller: plm_model_fini.
 */
int plm_model_init(struct plm_model *out, struct plm_shape shape, struct plm_scaling scaling,
                   const struct plm_capacity *capacity, const struct plm_optimizer *optimizer, uint32_t log_capacity,
                   plm_query_fn query, void *context, struct plm_error *err);
void plm_model_fini(struct plm_model *model);

/* Sets buffers (one for each slot) in every op of a program. */
void plm_program_bind(struct plm_program *program, struct plm_buffer *const buffers[PLM_SLOT_COUNT]);

/* Sets the extents of one micro-batch in every op of a program. */
void plm_program_extend(struct plm_program *program, const struct plm_extents *extents);

/* Matrix-product FLOPs of a program at these extents. */
double plm_program_flops(const struct plm_program *program, const struct plm_extents *extents);

/* Rotary tables into out (length_max rows of head_size/2 cosines, then as many sines): angle p * 10000^(-2j/h), in double. */
void plm_model_tables(float *out, const struct plm_model *model);

/*
 * Exact matrix FLOPs per step without a program: forward and backward of T tokens with sum of squared lengths and M masked
 * rows, as plm_program_flops counts them on the accumulate program.
 */
double plm_shape_flops(struct plm_shape shape, const struct plm_extents *extents);

/*
 * Bytes of all slots but the workspace for a shape and a capacity: what plan shows. *largest, when not NULL: of the largest
 * slot, which is one buffer. 0 when a size overflows or there is no memory to count it.
 */
uint64_t plm_shape_bytes(uint64_t *largest, struct plm_shape shape, const struct plm_capacity *capacity);

#endif
