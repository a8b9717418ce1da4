/*
 * plmscale/backend.h: everything a backend plugin needs, and all it may rely on.
 *
 * A plugin is a shared library that exports one function, PLM_PLUGIN_ENTRY. The
 * function returns a card: plain data that says what the plugin is and was built
 * for. The host reads the card before any plugin code does work, then calls
 * card->start, which hands over a table of functions (struct plm_backend). Host
 * services travel the other way in struct plm_host, so a plugin links to nothing of
 * plmscale's and can be linked with -Wl,-z,defs.
 *
 * Rules that hold for everything below:
 *  - struct_size comes first in every struct that crosses (in the card, after the
 *    magic; views and extents are parts of an op). The reader accepts any
 *    size from the v1.0 size upwards, copies the smaller of the two sizes into a
 *    zeroed struct of its own and never reads past it. plm_table_copy does that.
 *  - Fields have fixed widths and natural alignment, without hidden padding. Released
 *    offsets never change; fields are only appended. docs/abi.md holds the promise.
 *    Everything is \since 1.0 unless it says otherwise.
 *  - Functions return PLM_OK (0) or a PLM_E_ code, and on failure fill *err, which the
 *    caller supplies and which is never NULL. Nothing crosses by abort, exit, longjmp
 *    or a C++ exception. Out-parameters are untouched on failure.
 *  - Strings are UTF-8, end in NUL and are borrowed unless a comment says otherwise.
 *  - All data is row-major and contiguous, without padding between rows.
 *  - Threads: the host calls one device and its queues from one thread at a time. A
 *    plugin may use threads of its own inside a call; none may call back into the host.
 *  - The floating-point environment (rounding, flush-to-zero), the locale and the
 *    handlers of SIGINT and SIGTERM are as before when a library has been loaded and
 *    when a call returns; the host compares them and refuses a plugin that changes
 *    them.
 *
 * Letters for extents: T tokens in the batch, S sequences, M masked rows, L layers,
 * D model width, H heads, F feed-forward width, V vocabulary.
 *
 * The header stands alone: C99 and C++11, no include but the two below.
 */
#ifndef PLMSCALE_BACKEND_H
#define PLMSCALE_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- version */

#define PLM_ABI_MAJOR 1u /* equal in host and plugin, or the plugin is refused */
#define PLM_ABI_MINOR 0u /* may differ in either direction */

#define PLM_PLUGIN_ENTRY plm_plugin_entry_v1
#define PLM_PLUGIN_ENTRY_NAME "plm_plugin_entry_v1"
#define PLM_PLUGIN_MAGIC 0x314e4c5041435350ull
#define PLM_ENDIAN_PROBE 0x01020304u

#if defined(__GNUC__)
#define PLM_EXPORT __attribute__((visibility("default")))
#else
#define PLM_EXPORT
#endif

/* ----------------------------------------------------------------- errors */

#define PLM_OK 0             /* success */
#define PLM_E_INVALID 1      /* the caller broke a rule of this header */
#define PLM_E_UNSUPPORTED 2  /* the device or backend cannot do this */
#define PLM_E_NO_MEMORY 3    /* host or device memory exhausted */
#define PLM_E_BUILD_FAILED 4 /* a kernel did not compile */
#define PLM_E_DEVICE_LOST 5  /* the device no longer answers */
#define PLM_E_TIMEOUT 6      /* the device did not answer in time */
#define PLM_E_ABI 7          /* versions or layouts do not fit */
#define PLM_E_INTERNAL 8     /* a bug in the backend */
/* Codes from 100 upwards belong to the host; a plugin never returns them. */

#define PLM_ERROR_TEXT 1000

/* What went wrong. Supplied by the caller; the function that first knows the cause fills it. */
struct plm_error {
  uint64_t struct_size;
  int32_t code;        /* a PLM_E_ code */
  int32_t native_code; /* the driver's or the system's own code, 0 when there is none */
  uint32_t op_kind;    /* PLM_OP_ of the op at fault, 0 when none is */
  uint32_t reserved;
  char text[PLM_ERROR_TEXT]; /* one line, lower case: what "which": reason */
};

/* ------------------------------------------------------------------ types */

#define PLM_TYPE_F32 1u /* IEEE 754 binary32 */
#define PLM_TYPE_I32 2u /* two's complement, 32 bits */

#define PLM_DEVICE_CPU 1u
#define PLM_DEVICE_GPU 2u
#define PLM_DEVICE_OTHER 3u

#define PLM_BUFFER_DEVICE 1u /* written seldom, read and written by ops */
#define PLM_BUFFER_UPLOAD 2u /* written by the host for every batch */

#define PLM_LOG_ERROR 1u
#define PLM_LOG_WARN 2u
#define PLM_LOG_INFO 3u
#define PLM_LOG_DEBUG 4u

/* Opaque, owned by the plugin, released in reverse order of creation. */
struct plm_device;
struct plm_queue;
struct plm_buffer;
struct plm_event;

/*
 * A typed, contiguous piece of a buffer. bytes is the room that the op may touch.
 * slot is the host's name for the buffer (constant over a program); plugins may use
 * it for traces and must not depend on it. An absent view has bytes = 0.
 */
struct plm_view {
  struct plm_buffer *buffer;
  uint64_t offset; /* bytes from the start of the buffer, a multiple of 64 unless the op says otherwise */
  uint64_t bytes;
  uint32_t type; /* PLM_TYPE_ */
  uint32_t slot;
};

/*
 * How many rows. count is the number to process now (in op_query: the largest that
 * will ever be asked for); symbol says which of the batch's three extents it follows.
 * count may be 0: the op then writes nothing, except where its text says otherwise.
 */
#define PLM_EXTENT_FIXED 0u
#define PLM_EXTENT_TOKENS 1u    /* T */
#define PLM_EXTENT_SEQUENCES 2u /* S */
#define PLM_EXTENT_MASKED 3u    /* M */
struct plm_extent {
  uint32_t count;
  uint32_t symbol;
};

/* -------------------------------------------------------------------- ops */

/*
 * An op is data. Ids are never reused. A backend that does not know an id, or a flag
 * bit of a known id, answers PLM_VERDICT_UNSUPPORTED in op_query.
 *
 * Required: every op below with no fused flag set. Fused flags (marked FUSED) are
 * optional; the host lowers what a backend declines to required ops.
 *
 * "+=" means accumulate onto what the buffer holds; all other outputs are overwritten.
 * No output may overlap an input unless the op says "in place".
 * An op whose views or attributes break a rule is refused with PLM_E_INVALID, by op_run or by the next queue_finish, and
 * writes nothing outside its outputs. Contents that break one (an id out of range, offsets that do not ascend) may be
 * refused too or may give any outputs, but nothing is written outside them either, and the queue stays usable.
 * NaN and infinities go where the formula takes them, and nowhere else (in ATTENTION_GRAD a pair that CAUSAL hides may
 * count as 0 times its values); results below 2^-126 may be flushed to 0.
 * Formulas are exact mathematics; backends/reference is the definition in doubles.
 */
#define PLM_OP_FILL 1u
#define PLM_OP_EMBED 2u
#define PLM_OP_EMBED_GRAD 3u
#define PLM_OP_LAYER_NORM 4u
#define PLM_OP_LAYER_NORM_GRAD 5u
#define PLM_OP_LINEAR 6u
#define PLM_OP_LINEAR_GRAD_INPUT 7u
#define PLM_OP_LINEAR_GRAD_WEIGHT 8u
#define PLM_OP_BIAS 9u
#define PLM_OP_BIAS_GRAD 10u
#define PLM_OP_GELU 11u
#define PLM_OP_GELU_GRAD 12u
#define PLM_OP_ADD 13u
#define PLM_OP_ROTARY 14u
#define PLM_OP_ATTENTION 15u
#define PLM_OP_ATTENTION_GRAD 16u
#define PLM_OP_GATHER_ROWS 17u
#define PLM_OP_SCATTER_ROWS 18u
#define PLM_OP_SOFTMAX_LOSS 19u
#define PLM_OP_REDUCE_SUM 20u
#define PLM_OP_GRAD_NORM 21u
#define PLM_OP_ADAMW 22u
#define PLM_OP_RECORD 23u
#define PLM_OP_COUNT 24u /* one past the highest id of this header */

#define PLM_FLAG_ACCUMULATE 1u   /* LAYER_NORM_GRAD, LINEAR_GRAD_INPUT, REDUCE_SUM: "+=" on the output named there */
#define PLM_FLAG_BIAS 2u         /* FUSED. LINEAR: add bias. LINEAR_GRAD_WEIGHT: also dbias += column sums of dy */
#define PLM_FLAG_GELU 4u         /* FUSED. LINEAR: y = gelu(pre). LINEAR_GRAD_INPUT: dx = (dy w) * gelu'(pre) */
#define PLM_FLAG_RESIDUAL 8u     /* FUSED. LINEAR: add residual */
#define PLM_FLAG_CAUSAL 16u      /* OPTIONAL. ATTENTION and its gradient: key j only for j <= i; refused, not lowered */
#define PLM_FLAG_ROTARY 32u      /* FUSED. ATTENTION and its gradient: rotate q and k on the fly */
#define PLM_FLAG_INVERSE 64u     /* ROTARY: rotate by -theta (the gradient) */
#define PLM_FLAG_GRADIENT 128u   /* SOFTMAX_LOSS: also write dlogits */

/* FILL: x[0..count) = value. Required on F32. */
struct plm_op_fill {
  struct plm_view x;
  uint64_t count;
  float value;
  uint32_t reserved;
};

/*
 * EMBED: y[t,:] = scale[t] * table[tokens[t],:].
 * ESM-2's token dropout is data here: scale is 0 at <mask> and
 * (1 - 0.15*0.8) / (1 - masked/length) elsewhere in a sequence.
 */
struct plm_op_embed {
  struct plm_view table;  /* F32 [V, D] */
  struct plm_view tokens; /* I32 [T], each in 0..V-1 */
  struct plm_view scale;  /* F32 [T] */
  struct plm_view y;      /* F32 [T, D] */
  struct plm_extent rows; /* T */
  uint32_t vocabulary;    /* V */
  uint32_t width;         /* D */
};

/* EMBED_GRAD: dtable[v,:] += sum over t with tokens[t] = v of scale[t] * dy[t,:]. */
struct plm_op_embed_grad {
  struct plm_view dy;     /* F32 [T, D] */
  struct plm_view tokens; /* I32 [T] */
  struct plm_view scale;  /* F32 [T] */
  struct plm_view dtable; /* F32 [V, D] */
  struct plm_extent rows; /* T */
  uint32_t vocabulary;    /* V */
  uint32_t width;         /* D */
};

/*
 * LAYER_NORM over each row: mean = avg(x), rstd = 1/sqrt(avg((x-mean)^2) + epsilon),
 * y = (x - mean) * rstd * gamma + beta.
 */
struct plm_op_layer_norm {
  struct plm_view x;     /* F32 [rows, D] */
  struct plm_view gamma; /* F32 [D] */
  struct plm_view beta;  /* F32 [D] */
  struct plm_view y;     /* F32 [rows, D] */
  struct plm_view mean;  /* F32 [rows] */
  struct plm_view rstd;  /* F32 [rows] */
  struct plm_extent rows;
  uint32_t width; /* D */
  float epsilon;
};

/*
 * LAYER_NORM_GRAD: with n = (x-mean)*rstd and g = dy*gamma,
 * dx = rstd * (g - avg(g) - n*avg(g*n)), "+=" under PLM_FLAG_ACCUMULATE (required);
 * dgamma += sum over rows of dy*n; dbeta += sum over rows of dy.
 */
struct plm_op_layer_norm_grad {
  struct plm_view dy;     /* F32 [rows, D] */
  struct plm_view x;      /* F32 [rows, D] */
  struct plm_view gamma;  /* F32 [D] */
  struct plm_view mean;   /* F32 [rows] */
  struct plm_view rstd;   /* F32 [rows] */
  struct plm_view dx;     /* F32 [rows, D] */
  struct plm_view dgamma; /* F32 [D] */
  struct plm_view dbeta;  /* F32 [D] */
  struct plm_extent rows;
  uint32_t width; /* D */
  uint32_t reserved;
};

/*
 * LINEAR: pre[r,o] = sum over i of x[r,i]*w[o,i] (+ bias[o]); y = pre, or gelu(pre)
 * under PLM_FLAG_GELU; then (+ residual[r,o]). GELU and RESIDUAL are never asked
 * together. pre is written when present (GELU only). residual may be y (in place).
 */
struct plm_op_linear {
  struct plm_view x;        /* F32 [rows, in] */
  struct plm_view w;        /* F32 [out, in] */
  struct plm_view bias;     /* F32 [out], PLM_FLAG_BIAS */
  struct plm_view residual; /* F32 [rows, out], PLM_FLAG_RESIDUAL */
  struct plm_view y;        /* F32 [rows, out] */
  struct plm_view pre;      /* F32 [rows, out], optional under PLM_FLAG_GELU */
  struct plm_extent rows;
  uint32_t in;
  uint32_t out;
};

/*
 * LINEAR_GRAD_INPUT: dx[r,i] = sum over o of dy[r,o]*w[o,i], "+=" under
 * PLM_FLAG_ACCUMULATE (required); times gelu'(pre[r,i]) under PLM_FLAG_GELU.
 * ACCUMULATE and GELU are never asked together.
 */
struct plm_op_linear_grad_input {
  struct plm_view dy;  /* F32 [rows, out] */
  struct plm_view w;   /* F32 [out, in] */
  struct plm_view pre; /* F32 [rows, in], PLM_FLAG_GELU */
  struct plm_view dx;  /* F32 [rows, in] */
  struct plm_extent rows;
  uint32_t in;
  uint32_t out;
};

/* LINEAR_GRAD_WEIGHT: dw[o,i] += sum over r of dy[r,o]*x[r,i]; dbias[o] += sum over r of dy[r,o] under PLM_FLAG_BIAS. */
struct plm_op_linear_grad_weight {
  struct plm_view dy;    /* F32 [rows, out] */
  struct plm_view x;     /* F32 [rows, in] */
  struct plm_view dw;    /* F32 [out, in] */
  struct plm_view dbias; /* F32 [out], PLM_FLAG_BIAS */
  struct plm_extent rows;
  uint32_t in;
  uint32_t out;
};

/* BIAS: y[r,o] += bias[o]. */
struct plm_op_bias {
  struct plm_view y;    /* F32 [rows, width] */
  struct plm_view bias; /* F32 [width] */
  struct plm_extent rows;
  uint32_t width;
  uint32_t reserved;
};

/* BIAS_GRAD: dbias[o] += sum over r of dy[r,o]. */
struct plm_op_bias_grad {
  struct plm_view dy;    /* F32 [rows, width] */
  struct plm_view dbias; /* F32 [width] */
  struct plm_extent rows;
  uint32_t width;
  uint32_t reserved;
};

/* GELU: y = x * (1 + erf(x/sqrt(2))) / 2, element by element. */
struct plm_op_gelu {
  struct plm_view x; /* F32 [rows, width] */
  struct plm_view y; /* F32 [rows, width] */
  struct plm_extent rows;
  uint32_t width;
  uint32_t reserved;
};

/* GELU_GRAD: dx = dy * ((1 + erf(x/sqrt(2)))/2 + x*exp(-x*x/2)/sqrt(2 pi)). dx may be dy (in place). */
struct plm_op_gelu_grad {
  struct plm_view dy; /* F32 [rows, width] */
  struct plm_view x;  /* F32 [rows, width]: the input of GELU */
  struct plm_view dx; /* F32 [rows, width] */
  struct plm_extent rows;
  uint32_t width;
  uint32_t reserved;
};

/* ADD: y = a + b. y may be a or b (in place). */
struct plm_op_add {
  struct plm_view a; /* F32 [rows, width] */
  struct plm_view b; /* F32 [rows, width] */
  struct plm_view y; /* F32 [rows, width] */
  struct plm_extent rows;
  uint32_t width;
  uint32_t reserved;
};

/*
 * ROTARY, in place on the q and k thirds of qkv (v is untouched). For a head of size
 * h, j < h/2 and p = positions[t]: (a, b) = (x[j], x[j+h/2]) becomes
 * (a*cos[p,j] - b*sin[p,j], b*cos[p,j] + a*sin[p,j]); sin changes sign under
 * PLM_FLAG_INVERSE. h is even. The tables come from the host, so every backend
 * rotates by the same angles.
 */
struct plm_op_rotary {
  struct plm_view qkv;       /* F32 [T, 3, H, h] */
  struct plm_view positions; /* I32 [T], index in the sequence, below table_rows */
  struct plm_view cosine;    /* F32 [table_rows, h/2] */
  struct plm_view sine;      /* F32 [table_rows, h/2] */
  struct plm_extent rows;    /* T */
  uint32_t heads;            /* H */
  uint32_t head_size;        /* h */
  uint32_t table_rows;
  uint32_t reserved;
};

/*
 * ATTENTION within each sequence: rows offsets[s] .. offsets[s+1]-1 belong together.
 * Per head: a[i,j] = scale * q_i.k_j; lse[i] = log sum_j exp(a[i,j]);
 * o_i = sum_j exp(a[i,j] - lse[i]) v_j. A sequence may be empty.
 * Under PLM_FLAG_ROTARY q and k are rotated as ROTARY does, qkv stays as it is.
 */
struct plm_op_attention {
  struct plm_view qkv;         /* F32 [T, 3, H, h] */
  struct plm_view offsets;     /* I32 [S+1], ascending, offsets[0] = 0, offsets[S] = T */
  struct plm_view positions;   /* I32 [T], PLM_FLAG_ROTARY */
  struct plm_view cosine;      /* F32 [table_rows, h/2], PLM_FLAG_ROTARY */
  struct plm_view sine;        /* F32 [table_rows, h/2], PLM_FLAG_ROTARY */
  struct plm_view o;           /* F32 [T, H, h] */
  struct plm_view lse;         /* F32 [T, H] */
  struct plm_extent rows;      /* T */
  struct plm_extent sequences; /* S */
  uint32_t heads;              /* H */
  uint32_t head_size;          /* h */
  uint32_t length_max;         /* no sequence is longer */
  uint32_t table_rows;
  float scale;
  uint32_t reserved;
};

/*
 * ATTENTION_GRAD: gradient of the sum of do*o. With P recomputed from lse and
 * delta_i = do_i.o_i: dv_j = sum_i P[i,j] do_i; da[i,j] = P[i,j]*(do_i.v_j - delta_i);
 * dq_i = scale * sum_j da[i,j] k_j; dk_j = scale * sum_i da[i,j] q_i. All of dqkv is written.
 * Under PLM_FLAG_ROTARY q and k are rotated first, and dq, dk rotated back.
 */
struct plm_op_attention_grad {
  struct plm_view qkv;         /* F32 [T, 3, H, h], as ATTENTION read it */
  struct plm_view offsets;     /* I32 [S+1] */
  struct plm_view positions;   /* I32 [T], PLM_FLAG_ROTARY */
  struct plm_view cosine;      /* F32 [table_rows, h/2], PLM_FLAG_ROTARY */
  struct plm_view sine;        /* F32 [table_rows, h/2], PLM_FLAG_ROTARY */
  struct plm_view o;           /* F32 [T, H, h] */
  struct plm_view lse;         /* F32 [T, H] */
  struct plm_view d_o;         /* F32 [T, H, h] */
  struct plm_view dqkv;        /* F32 [T, 3, H, h] */
  struct plm_extent rows;      /* T */
  struct plm_extent sequences; /* S */
  uint32_t heads;              /* H */
  uint32_t head_size;          /* h */
  uint32_t length_max;
  uint32_t table_rows;
  float scale;
  uint32_t reserved;
};

/* GATHER_ROWS: y[m,:] = x[index[m],:]. */
struct plm_op_gather_rows {
  struct plm_view x;      /* F32 [source, D] */
  struct plm_view index;  /* I32 [M], ascending, distinct */
  struct plm_view y;      /* F32 [M, D] */
  struct plm_extent rows; /* M */
  struct plm_extent source; /* T */
  uint32_t width;         /* D */
  uint32_t reserved;
};

/* SCATTER_ROWS: y = 0 everywhere, then y[index[m],:] = x[m,:]. With M = 0, y is still zeroed. */
struct plm_op_scatter_rows {
  struct plm_view x;      /* F32 [M, D] */
  struct plm_view index;  /* I32 [M], ascending, distinct */
  struct plm_view y;      /* F32 [target, D] */
  struct plm_extent rows; /* M */
  struct plm_extent target; /* T */
  uint32_t width;         /* D */
  uint32_t reserved;
};

/*
 * SOFTMAX_LOSS: per row, loss = logsumexp(logits) - logits[target];
 * dlogits = (softmax(logits) - onehot(target)) * scale[0] under PLM_FLAG_GRADIENT.
 * dlogits may be logits (in place).
 */
struct plm_op_softmax_loss {
  struct plm_view logits;  /* F32 [M, V] */
  struct plm_view targets; /* I32 [M], each in 0..V-1 */
  struct plm_view scale;   /* F32 [1], read on the device; its offset is a multiple of 4 */
  struct plm_view loss;    /* F32 [M] */
  struct plm_view dlogits; /* F32 [M, V], PLM_FLAG_GRADIENT */
  struct plm_extent rows;  /* M */
  uint32_t vocabulary;     /* V */
  uint32_t reserved;
};

/*
 * REDUCE_SUM: out[0] = sum of x[i]*weights[i] (weights absent: of x[i]), "+=" under
 * PLM_FLAG_ACCUMULATE. The order of summation depends on count alone. With count 0
 * and no ACCUMULATE, out[0] = 0. out's offset is a multiple of 4.
 */
struct plm_op_reduce_sum {
  struct plm_view x;       /* F32 [rows] */
  struct plm_view weights; /* F32 [rows], may be absent */
  struct plm_view out;     /* F32 [1] */
  struct plm_extent rows;
};

/*
 * GRAD_NORM: out = {norm, finite, clip, 0}: norm = sqrt(sum g^2); finite = 1 when every
 * g and the norm are finite, else 0; clip = min(1, norm_max/(norm + 1e-6)), 1 when
 * norm_max = 0, and 0 when finite = 0.
 */
struct plm_op_grad_norm {
  struct plm_view grads; /* F32 [count] */
  struct plm_view out;   /* F32 [4]; its offset is a multiple of 16 */
  uint64_t count;
  float norm_max;
  uint32_t reserved;
};

/*
 * ADAMW (Loshchilov and Hutter 2019) on one segment. control is GRAD_NORM's output:
 * nothing is written when control[1] = 0, else g = grads*control[2] and
 *   m = beta1*m + (1-beta1)*g;  v = beta2*v + (1-beta2)*g*g;
 *   p -= rate * ((m/schedule[1]) / (sqrt(v/schedule[2]) + epsilon) + decay*p),
 * rate = schedule[0]*rate_scale. schedule = {learning rate, 1-beta1^step, 1-beta2^step}.
 */
struct plm_op_adamw {
  struct plm_view params;   /* F32 [count] */
  struct plm_view grads;    /* F32 [count] */
  struct plm_view m;        /* F32 [count] */
  struct plm_view v;        /* F32 [count] */
  struct plm_view control;  /* F32 [4]; offset a multiple of 16 */
  struct plm_view schedule; /* F32 [3]; offset a multiple of 4 */
  uint64_t count;
  float beta1;
  float beta2;
  float epsilon;
  float decay;
  float rate_scale;
  uint32_t reserved;
};

/*
 * RECORD: log[(index[0] mod capacity)*count + j] = x[j], j < count: keeps a step's
 * figures on the device, so that the host reads them back every few steps only.
 */
struct plm_op_record {
  struct plm_view x;     /* F32 [count]; offset a multiple of 4 */
  struct plm_view index; /* I32 [1], not negative; offset a multiple of 4 */
  struct plm_view log;   /* F32 [capacity, count] */
  uint32_t count;
  uint32_t capacity;
};

#define PLM_OP_BODY 448 /* bytes of the union below, for ever */

/* Programs are arrays of these, so this struct keeps its size within a major version; new ops fit into the body. */
struct plm_op {
  uint64_t struct_size;
  uint32_t kind;  /* PLM_OP_ */
  uint32_t flags; /* PLM_FLAG_ */
  uint32_t index; /* place in its program, for messages */
  uint32_t type;  /* arithmetic and storage, PLM_TYPE_F32 */
  struct plm_view workspace; /* at least the bytes that op_query asked for; contents undefined */
  union {
    struct plm_op_fill fill;
    struct plm_op_embed embed;
    struct plm_op_embed_grad embed_grad;
    struct plm_op_layer_norm layer_norm;
    struct plm_op_layer_norm_grad layer_norm_grad;
    struct plm_op_linear linear;
    struct plm_op_linear_grad_input linear_grad_input;
    struct plm_op_linear_grad_weight linear_grad_weight;
    struct plm_op_bias bias;
    struct plm_op_bias_grad bias_grad;
    struct plm_op_gelu gelu;
    struct plm_op_gelu_grad gelu_grad;
    struct plm_op_add add;
    struct plm_op_rotary rotary;
    struct plm_op_attention attention;
    struct plm_op_attention_grad attention_grad;
    struct plm_op_gather_rows gather_rows;
    struct plm_op_scatter_rows scatter_rows;
    struct plm_op_softmax_loss softmax_loss;
    struct plm_op_reduce_sum reduce_sum;
    struct plm_op_grad_norm grad_norm;
    struct plm_op_adamw adamw;
    struct plm_op_record record;
    uint64_t body[PLM_OP_BODY / 8];
  } u;
};

/* op_query's answer. Can (status) is apart from should (preference). */
#define PLM_VERDICT_SUPPORTED 1u
#define PLM_VERDICT_UNSUPPORTED 2u
#define PLM_REASON_NONE 0u
#define PLM_REASON_UNKNOWN_OP 1u
#define PLM_REASON_FLAG 2u   /* a flag is not supported; the host may lower the op */
#define PLM_REASON_SHAPE 3u  /* these extents are not supported */
#define PLM_REASON_TYPE 4u
#define PLM_REASON_DEVICE 5u /* this device lacks something */
struct plm_verdict {
  uint64_t struct_size;
  uint32_t status; /* PLM_VERDICT_ */
  uint32_t reason; /* PLM_REASON_ */
  uint64_t workspace_bytes;
  uint32_t deterministic; /* 1: same inputs, same bits, on this device and driver */
  uint32_t preference;    /* 0 to 100; below 50 the host may prefer the lowered form of a fused op */
  char text[104];         /* one line: which attribute and value, and what would do */
};

/* ---------------------------------------------------------------- options */

#define PLM_OPTION_TEXT 1u
#define PLM_OPTION_INTEGER 2u
#define PLM_OPTION_REAL 3u
#define PLM_OPTION_BOOLEAN 4u

/* One setting that a plugin declares; users give it in [backend NAME] or with --set. */
struct plm_option {
  uint64_t struct_size;
  const char *name;          /* lower case, words joined by _ */
  const char *default_value; /* as text, always valid */
  const char *help;          /* one line, with the unit */
  double minimum;            /* numbers only; minimum = maximum: any */
  double maximum;
  uint32_t type; /* PLM_OPTION_ */
  uint32_t reserved;
};

/* ------------------------------------------------------------------- host */

/* What the host offers. Valid from start() until the process ends; context goes back with every call. */
struct plm_host {
  uint64_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  void *context;
  /* One line to the host's log. Any thread. */
  void (*log)(void *context, uint32_t level, const char *text);
  /*
   * The validated value of a declared option, its default when the user gave none; NULL for an undeclared name. Always in
   * the form that strtoll and strtod read: integers in decimal, reals as %.17g, booleans as 0 or 1, whatever was typed.
   */
  const char *(*option)(void *context, const char *name);
  /* Memory aligned to 64 bytes, NULL when there is none left; release takes NULL. Any thread. */
  void *(*allocate)(void *context, uint64_t bytes);
  void (*release)(void *context, void *memory);
  /* How many threads the user allows this device, at least 1. */
  uint32_t (*threads)(void *context);
  /* Seconds of a monotonic clock. */
  double (*clock)(void *context);
};

/* ---------------------------------------------------------------- backend */

struct plm_device_info {
  uint64_t struct_size;
  uint32_t kind; /* PLM_DEVICE_ */
  uint32_t compute_units;
  uint64_t memory_bytes;     /* 0: unknown */
  uint64_t buffer_bytes_max; /* largest single buffer, 0: unknown */
  uint64_t cache_bytes;      /* working set that stays fast (last-level cache share), 0: unknown */
  char id[64];               /* stable identity: PCI address, UUID, or what else survives a reboot */
  char name[128];
  char vendor[64];
  char driver[64];
  char driver_version[128];
};

/* The functions of a backend. "Required" slots must be set; the host fills the others. */
struct plm_backend {
  uint64_t struct_size;
  /* Required. Devices are numbered from 0; listing and describing opens none of them. */
  int (*device_count)(uint32_t *out, struct plm_error *err);
  int (*device_info)(uint32_t index, struct plm_device_info *out, struct plm_error *err);
  int (*device_open)(uint32_t index, struct plm_device **out, struct plm_error *err);
  void (*device_close)(struct plm_device *device); /* takes NULL */
  /* Required. Contents of a new buffer are undefined; its start is aligned to 64 bytes. bytes > 0. */
  int (*buffer_create)(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                       struct plm_error *err);
  void (*buffer_destroy)(struct plm_buffer *buffer); /* takes NULL; no queue may still use it */
  /* Required. A queue runs what it is given in order. */
  int (*queue_create)(struct plm_device *device, struct plm_queue **out, struct plm_error *err);
  void (*queue_destroy)(struct plm_queue *queue); /* takes NULL; waits */
  /* Required. Waits for all work; reports the first failure since the last call, with its op_kind. */
  int (*queue_finish)(struct plm_queue *queue, struct plm_error *err);
  /* Required. In order with the ops. When write returns, data may be changed; read waits. bytes may be 0. */
  int (*buffer_write)(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                      uint64_t bytes, struct plm_error *err);
  int (*buffer_read)(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                     struct plm_error *err);
  /* Required. Can this device run this op at these extents? Views need not be bound. Returns PLM_OK even for "no". */
  int (*op_query)(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out, struct plm_error *err);
  /* Required. Runs or enqueues one op, bound to buffers. May return before the op is done. */
  int (*op_run)(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
  /* Optional. Runs ops in order, as count calls of op_run would; *failed is the index at fault. Default: that loop. */
  int (*program_run)(struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,
                     struct plm_error *err);
  /* Optional, all three or none. Marks a point in a queue. Default: the host finishes the queue instead. */
  int (*event_record)(struct plm_queue *queue, struct plm_event **out, struct plm_error *err);
  int (*event_wait)(struct plm_event *event, struct plm_error *err);
  void (*event_destroy)(struct plm_event *event);
  /* Optional. Bytes in use and free on the device now. Default: PLM_E_UNSUPPORTED. */
  int (*memory_info)(struct plm_device *device, uint64_t *used, uint64_t *free_bytes, struct plm_error *err);
  /* Optional. A table that starts with struct_size, or NULL. Names starting x_ are experimental. Default: NULL. */
  const void *(*extension)(const char *name, uint32_t version);
};

/* ------------------------------------------------------------------- card */

#define PLM_BUILD_FAST_MATH 1u /* compiled with -ffast-math: refused */

struct plm_plugin_card {
  uint64_t magic; /* PLM_PLUGIN_MAGIC */
  uint64_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t endian_probe; /* PLM_ENDIAN_PROBE as the plugin's compiler stores it */
  uint32_t pointer_size;
  uint32_t op_count;    /* PLM_OP_COUNT when built */
  uint32_t build_flags; /* PLM_BUILD_ */
  const char *name;     /* lower case letters, digits, _; starts with a letter; the file is named NAME.so */
  const char *version;
  const char *license;
  const char *vendor;   /* this and the next two may be NULL */
  const char *url;
  const char *compiler;
  const struct plm_option *options; /* option_count of them, option_stride bytes apart */
  uint32_t option_count;
  uint32_t option_stride;
  /*
   * Keeps host for later calls and fills *out, whose struct_size says how much room it has: use plm_backend_publish. May be
   * called again in the same process: the newer host then takes the older one's place. On failure *out does not matter.
   */
  int (*start)(const struct plm_host *host, struct plm_backend *out, struct plm_error *err);
};

typedef const struct plm_plugin_card *(*plm_plugin_entry_fn)(void);

/* The one exported function: returns a static card and does nothing else. */
PLM_EXPORT const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void);

/* ---------------------------------------------------------------- helpers */

#if defined(__FAST_MATH__)
#define PLM_BUILD_FLAGS PLM_BUILD_FAST_MATH
#else
#define PLM_BUILD_FLAGS 0u
#endif

#if defined(__VERSION__)
#define PLM_COMPILER __VERSION__
#else
#define PLM_COMPILER "unknown"
#endif

/* The card's fields that say what it was built for, in order: nobody stamps them by hand. */
#define PLM_CARD_BUILD                                                                                   \
  PLM_PLUGIN_MAGIC, sizeof(struct plm_plugin_card), PLM_ABI_MAJOR, PLM_ABI_MINOR, PLM_ENDIAN_PROBE,      \
      (uint32_t)sizeof(void *), PLM_OP_COUNT, PLM_BUILD_FLAGS

/*
 * Copies a struct that starts with struct_size between two versions of itself: the
 * smaller of room (the reader's size) and its own size, the rest of *to zeroed;
 * to->struct_size becomes what was copied.
 */
static inline void plm_table_copy(void *to, uint64_t room, const void *from) {
  unsigned char *t = (unsigned char *)to;
  const unsigned char *f = (const unsigned char *)from;
  uint64_t size = *(const uint64_t *)from, i;
  if (size > room)
    size = room;
  for (i = 0; i < size; i++)
    t[i] = f[i];
  for (; i < room; i++)
    t[i] = 0;
  *(uint64_t *)to = size;
}

/* For start(): hands the plugin's table to a host of any minor version. mine->struct_size is set already. */
static inline int plm_backend_publish(struct plm_backend *out, const struct plm_backend *mine) {
  plm_table_copy(out, out->struct_size, mine);
  return PLM_OK;
}

/* Bytes of an op's union member in use by kind, 0 for an unknown kind. */
static inline uint64_t plm_op_body_bytes(uint32_t kind) {
  static const uint16_t bytes[PLM_OP_COUNT] = {
      0,
      sizeof(struct plm_op_fill),
      sizeof(struct plm_op_embed),
      sizeof(struct plm_op_embed_grad),
      sizeof(struct plm_op_layer_norm),
      sizeof(struct plm_op_layer_norm_grad),
      sizeof(struct plm_op_linear),
      sizeof(struct plm_op_linear_grad_input),
      sizeof(struct plm_op_linear_grad_weight),
      sizeof(struct plm_op_bias),
      sizeof(struct plm_op_bias_grad),
      sizeof(struct plm_op_gelu),
      sizeof(struct plm_op_gelu_grad),
      sizeof(struct plm_op_add),
      sizeof(struct plm_op_rotary),
      sizeof(struct plm_op_attention),
      sizeof(struct plm_op_attention_grad),
      sizeof(struct plm_op_gather_rows),
      sizeof(struct plm_op_scatter_rows),
      sizeof(struct plm_op_softmax_loss),
      sizeof(struct plm_op_reduce_sum),
      sizeof(struct plm_op_grad_norm),
      sizeof(struct plm_op_adamw),
      sizeof(struct plm_op_record),
  };
  return kind < PLM_OP_COUNT ? bytes[kind] : 0;
}

/* The name of an op kind for messages, "?" when unknown. */
static inline const char *plm_op_name(uint32_t kind) {
  static const char *const names[PLM_OP_COUNT] = {
      "?",           "fill",          "embed",           "embed_grad",  "layer_norm",   "layer_norm_grad",
      "linear",      "linear_grad_input", "linear_grad_weight", "bias", "bias_grad",   "gelu",
      "gelu_grad",   "add",           "rotary",          "attention",   "attention_grad", "gather_rows",
      "scatter_rows", "softmax_loss", "reduce_sum",      "grad_norm",   "adamw",        "record"};
  return kind < PLM_OP_COUNT ? names[kind] : names[0];
}

#ifdef __cplusplus
}
#endif

#endif
