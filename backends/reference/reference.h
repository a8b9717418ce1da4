/*
 * The reference backend: plain loops with double accumulation, the definition of every op and of what is legal.
 * Slow on purpose. One file per family of ops; all of an op's operands are checked before anything is written.
 */
#ifndef PLM_REFERENCE_H
#define PLM_REFERENCE_H

#include <math.h>

#include "plmscale/backend.h"

struct plm_device {
  const struct plm_host *host;
};
struct plm_queue {
  struct plm_device *device;
};
struct plm_buffer {
  struct plm_device *device;
  unsigned char *data;
  uint64_t bytes;
};

/* What an op does to an operand. SHARED operands of one op may be one and the same array (in place). */
#define REF_READ 1u
#define REF_WRITE 2u
#define REF_SHARED 4u

#define REF_OPERANDS_MAX 12

struct ref_operand {
  const char *name;
  const unsigned char *begin, *end;
  uint32_t access;
};

/* One op under way. The first violation of a rule is kept in code and err; later checks change nothing. */
struct ref_call {
  const struct plm_op *op;
  struct plm_error *err;
  int code;
  uint32_t operand_count;
  struct ref_operand operands[REF_OPERANDS_MAX];
};

/* Fills *err and returns code. op may be NULL. */
int ref_fail(struct plm_error *err, int code, const struct plm_op *op, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Keeps PLM_E_INVALID with this text as the call's outcome unless there is one already; returns the outcome. */
int ref_invalid(struct ref_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The array behind a view: rows x width elements at an offset that is a multiple of 64. Never NULL; valid only if
 * ref_check passes. */
float *ref_f32(struct ref_call *call, const struct plm_view *view, const char *name, uint32_t access, uint64_t rows,
               uint64_t width);
int32_t *ref_i32(struct ref_call *call, const struct plm_view *view, const char *name, uint32_t access, uint64_t rows,
                 uint64_t width);
/* The same for the few small views whose offset may be a multiple of align bytes only. */
float *ref_f32_at(struct ref_call *call, const struct plm_view *view, const char *name, uint32_t access, uint64_t align,
                  uint64_t count);
int32_t *ref_i32_at(struct ref_call *call, const struct plm_view *view, const char *name, uint32_t access,
                    uint64_t align, uint64_t count);
/* The op's workspace as count doubles. */
double *ref_workspace(struct ref_call *call, uint64_t count);
/* After the last operand: no output overlaps another operand, except in place. Returns the outcome so far. */
int ref_check(struct ref_call *call);
/* Each of values[0..count) is in 0..limit-1; ascending: and greater than the one before. Returns the outcome so far. */
int ref_check_index(struct ref_call *call, const char *name, const int32_t *values, uint32_t count, uint64_t limit,
                    int ascending);

/* A view that the op can do without is present when it has bytes. */
static inline int ref_present(const struct plm_view *view) { return view->bytes > 0; }

static inline double ref_gelu_value(double x) { return x * (1 + erf(x * M_SQRT1_2)) / 2; }
static inline double ref_gelu_slope(double x) {
  return (1 + erf(x * M_SQRT1_2)) / 2 + x * exp(-x * x / 2) * (M_2_SQRTPI * M_SQRT1_2 / 2);
}

/* Doubles of workspace that ATTENTION and ATTENTION_GRAD need for their longest sequence. */
uint64_t ref_attention_workspace(const struct plm_op *op);

/* The ops in the order of their ids. Attributes and flags are checked already. Return the call's outcome. */
int ref_fill(struct ref_call *call);
int ref_embed(struct ref_call *call);
int ref_embed_grad(struct ref_call *call);
int ref_layer_norm(struct ref_call *call);
int ref_layer_norm_grad(struct ref_call *call);
int ref_linear(struct ref_call *call);
int ref_linear_grad_input(struct ref_call *call);
int ref_linear_grad_weight(struct ref_call *call);
int ref_bias(struct ref_call *call);
int ref_bias_grad(struct ref_call *call);
int ref_gelu(struct ref_call *call);
int ref_gelu_grad(struct ref_call *call);
int ref_add(struct ref_call *call);
int ref_rotary(struct ref_call *call);
int ref_attention(struct ref_call *call);
int ref_attention_grad(struct ref_call *call);
int ref_gather_rows(struct ref_call *call);
int ref_scatter_rows(struct ref_call *call);
int ref_softmax_loss(struct ref_call *call);
int ref_reduce_sum(struct ref_call *call);
int ref_grad_norm(struct ref_call *call);
int ref_adamw(struct ref_call *call);
int ref_record(struct ref_call *call);

#endif
