/* The bounds of every op but attention, which has a file of its own. */
#include "check/error_model.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "check/error_terms.h"
#include "check/operands.h"

double plm_bounds_allowed(const struct plm_bounds *bounds, uint32_t operand, uint64_t i) {
  if (bounds->length[operand] == 0)
    return 0;
  return ldexp(32 + 8 * sqrt((double)bounds->length[operand]), -24) * bounds->magnitude[operand][i] + 1e-37;
}

double *plm_bounds_of(struct plm_terms *terms, const char *name, uint64_t length) {
  const struct plm_operand *operand = plm_operand_find(terms->c, name);
  const size_t at = (size_t)(operand - terms->c->operands);
  terms->bounds->length[at] = length;
  return terms->bounds->magnitude[at];
}

/* --------------------------------------------------------- rows by id */

static void bound_embed(struct plm_terms *t) {
  const struct plm_op_embed *p = &t->c->op.u.embed;
  const float *table = plm_operand_f32(t->c, "table"), *scale = plm_operand_f32(t->c, "scale");
  const int32_t *tokens = plm_operand_i32(t->c, "tokens");
  double *y = plm_bounds_of(t, "y", 1);
  for (uint64_t r = 0; r < p->rows.count; r++)
    for (uint64_t d = 0; d < p->width; d++)
      y[r * p->width + d] = plm_term(scale[r]) * plm_term(table[(uint64_t)tokens[r] * p->width + d]);
}

static void bound_embed_grad(struct plm_terms *t) {
  const struct plm_op_embed_grad *p = &t->c->op.u.embed_grad;
  const float *dy = plm_operand_f32(t->c, "dy"), *scale = plm_operand_f32(t->c, "scale");
  const int32_t *tokens = plm_operand_i32(t->c, "tokens");
  double *dtable = plm_bounds_of(t, "dtable", (uint64_t)p->rows.count + 1);
  for (uint64_t r = 0; r < p->rows.count; r++)
    for (uint64_t d = 0; d < p->width; d++)
      dtable[(uint64_t)tokens[r] * p->width + d] += plm_term(scale[r]) * plm_term(dy[r * p->width + d]);
}

/* FILL, GATHER_ROWS, SCATTER_ROWS, RECORD: lengths stay 0. */
static void bound_moves(struct plm_terms *t) { (void)t; }

/* --------------------------------------------------------- layer norm */

struct moments {
  double mean, rstd, absolute, largest; /* of one row, with the average and the maximum of |x| */
};

static struct moments row_moments(const float *x, uint32_t D, double epsilon) {
  struct moments m = {0};
  double variance = 0;
  for (uint32_t d = 0; d < D; d++) {
    m.mean += x[d] / (double)D;
    m.absolute += plm_term(x[d]) / D;
    m.largest = fmax(m.largest, plm_term(x[d]));
  }
  for (uint32_t d = 0; d < D; d++)
    variance += (x[d] - m.mean) * (x[d] - m.mean) / D;
  m.rstd = 1 / sqrt(variance + epsilon);
  return m;
}

/* x - mean is exact up to the magnitude of both, so rstd carries the condition largest*rstd. */
static void bound_layer_norm(struct plm_terms *t) {
  const struct plm_op_layer_norm *p = &t->c->op.u.layer_norm;
  const float *x = plm_operand_f32(t->c, "x"), *gamma = plm_operand_f32(t->c, "gamma");
  const float *beta = plm_operand_f32(t->c, "beta");
  double *y = plm_bounds_of(t, "y", p->width), *mean = plm_bounds_of(t, "mean", p->width);
  double *rstd = plm_bounds_of(t, "rstd", p->width);
  for (uint64_t r = 0; r < p->rows.count; r++) {
    const float *row = x + r * p->width;
    const struct moments m = row_moments(row, p->width, p->epsilon);
    const double condition = 1 + 2 * m.largest * m.rstd;
    mean[r] = m.absolute;
    rstd[r] = m.rstd * condition;
    for (uint32_t d = 0; d < p->width; d++) {
      const double n = fabs(row[d] - m.mean) * m.rstd, shift = (plm_term(row[d]) + m.absolute) * m.rstd;
      y[r * p->width + d] = plm_term(gamma[d]) * (shift + n * condition) + plm_term(beta[d]);
    }
  }
}

static void bound_layer_norm_grad(struct plm_terms *t) {
  const struct plm_op_layer_norm_grad *p = &t->c->op.u.layer_norm_grad;
  const uint32_t D = p->width;
  const float *dy = plm_operand_f32(t->c, "dy"), *x = plm_operand_f32(t->c, "x");
  const float *gamma = plm_operand_f32(t->c, "gamma");
  const float *mean = plm_operand_f32(t->c, "mean"), *rstd = plm_operand_f32(t->c, "rstd");
  double *dx = plm_bounds_of(t, "dx", D), *dgamma = plm_bounds_of(t, "dgamma", (uint64_t)p->rows.count + 1);
  double *dbeta = plm_bounds_of(t, "dbeta", (uint64_t)p->rows.count + 1);
  for (uint64_t r = 0; r < p->rows.count; r++) {
    const double scale = plm_term(rstd[r]), middle = plm_term(mean[r]);
    double g_average = 0, gn_average = 0;
    for (uint32_t d = 0; d < D; d++) {
      const double g = plm_term(dy[r * D + d]) * plm_term(gamma[d]), n = (plm_term(x[r * D + d]) + middle) * scale;
      g_average += g / D;
      gn_average += g * n / D;
      dgamma[d] += plm_term(dy[r * D + d]) * n;
      dbeta[d] += plm_term(dy[r * D + d]);
    }
    for (uint32_t d = 0; d < D; d++) {
      const double g = plm_term(dy[r * D + d]) * plm_term(gamma[d]), n = (plm_term(x[r * D + d]) + middle) * scale;
      dx[r * D + d] += scale * (g + g_average + n * gn_average);
    }
  }
}

/* ------------------------------------------------------------ products */

/* The absolute values of a [rows, cols] array, transposed on demand, in doubles; NULL without memory. */
static double *absolute(const float *x, uint64_t rows, uint64_t cols, int transpose) {
  double *out = plm_memory_zeroed((size_t)(rows * cols), sizeof *out);
  for (uint64_t r = 0; out && r < rows; r++)
    for (uint64_t c = 0; c < cols; c++)
      out[transpose ? c * rows + r : r * cols + c] = plm_term(x[r * cols + c]);
  return out;
}

/* out [rows, cols] += a [rows, inner] b [inner, cols], in the order of loops that a compiler turns into vectors. */
static void product_add(double *out, const double *a, const double *b, uint64_t rows, uint64_t inner, uint64_t cols) {
  for (uint64_t r = 0; r < rows; r++)
    for (uint64_t k = 0; k < inner; k++) {
      const double factor = a[r * inner + k];
      for (uint64_t c = 0; c < cols; c++)
        out[r * cols + c] += factor * b[k * cols + c];
    }
}

/* out += |a| |b|, either transposed before. */
static void bound_product(struct plm_terms *t, double *out, const float *a, int a_transposed, const float *b,
                          int b_transposed, uint64_t rows, uint64_t inner, uint64_t cols) {
  double *A = a_transposed ? absolute(a, inner, rows, 1) : absolute(a, rows, inner, 0);
  double *B = b_transposed ? absolute(b, cols, inner, 1) : absolute(b, inner, cols, 0);
  if (A && B)
    product_add(out, A, B, rows, inner, cols);
  else
    t->code = PLM_E_NO_MEMORY;
  free(A);
  free(B);
}

static void bound_linear(struct plm_terms *t) {
  const struct plm_op_linear *p = &t->c->op.u.linear;
  const float *bias = plm_operand_f32(t->c, "bias"), *residual = plm_operand_f32(t->c, "residual");
  double *y = plm_bounds_of(t, "y", p->in);
  const uint64_t size = (uint64_t)p->rows.count * p->out;
  bound_product(t, y, plm_operand_f32(t->c, "x"), 0, plm_operand_f32(t->c, "w"), 1, p->rows.count, p->in, p->out);
  for (uint64_t i = 0; i < size && bias; i++)
    y[i] += plm_term(bias[i % p->out]);
  if (plm_operand_f32(t->c, "pre")) {
    double *pre = plm_bounds_of(t, "pre", p->in);
    for (uint64_t i = 0; i < size; i++)
      pre[i] = y[i];
  }
  /* gelu has slope up to 1.13, and its own terms are as large as its argument. */
  for (uint64_t i = 0; i < size; i++)
    y[i] = t->c->op.flags & PLM_FLAG_GELU ? 2.2 * y[i] : y[i] + (residual ? plm_term(residual[i]) : 0);
}

static void bound_linear_grad_input(struct plm_terms *t) {
  const struct plm_op_linear_grad_input *p = &t->c->op.u.linear_grad_input;
  const float *pre = plm_operand_f32(t->c, "pre");
  double *dx = plm_bounds_of(t, "dx", p->out);
  bound_product(t, dx, plm_operand_f32(t->c, "dy"), 0, plm_operand_f32(t->c, "w"), 0, p->rows.count, p->out, p->in);
  for (uint64_t i = 0; i < (uint64_t)p->rows.count * p->in && pre; i++)
    dx[i] *= 1 + plm_term(pre[i]);
}

static void bound_columns(double *out, const float *dy, uint64_t rows, uint64_t width) {
  for (uint64_t i = 0; i < rows * width; i++)
    out[i % width] += plm_term(dy[i]);
}

static void bound_linear_grad_weight(struct plm_terms *t) {
  const struct plm_op_linear_grad_weight *p = &t->c->op.u.linear_grad_weight;
  const float *dy = plm_operand_f32(t->c, "dy");
  const uint64_t length = (uint64_t)p->rows.count + 1;
  bound_product(t, plm_bounds_of(t, "dw", length), dy, 1, plm_operand_f32(t->c, "x"), 0, p->out, p->rows.count, p->in);
  if (t->c->op.flags & PLM_FLAG_BIAS)
    bound_columns(plm_bounds_of(t, "dbias", length), dy, p->rows.count, p->out);
}

/* --------------------------------------------------- element by element */

static void bound_bias(struct plm_terms *t) {
  const struct plm_op_bias *p = &t->c->op.u.bias;
  const float *bias = plm_operand_f32(t->c, "bias");
  double *y = plm_bounds_of(t, "y", 1);
  for (uint64_t i = 0; i < (uint64_t)p->rows.count * p->width; i++)
    y[i] += plm_term(bias[i % p->width]);
}

static void bound_bias_grad(struct plm_terms *t) {
  const struct plm_op_bias_grad *p = &t->c->op.u.bias_grad;
  bound_columns(plm_bounds_of(t, "dbias", (uint64_t)p->rows.count + 1), plm_operand_f32(t->c, "dy"), p->rows.count,
                p->width);
}

static void bound_gelu(struct plm_terms *t) {
  const struct plm_op_gelu *p = &t->c->op.u.gelu;
  const float *x = plm_operand_f32(t->c, "x");
  double *y = plm_bounds_of(t, "y", 1);
  for (uint64_t i = 0; i < (uint64_t)p->rows.count * p->width; i++)
    y[i] = plm_term(x[i]);
}

static void bound_gelu_grad(struct plm_terms *t) {
  const struct plm_op_gelu_grad *p = &t->c->op.u.gelu_grad;
  const float *x = plm_operand_f32(t->c, "x"), *dy = plm_operand_f32(t->c, "dy");
  double *dx = plm_bounds_of(t, "dx", 1);
  for (uint64_t i = 0; i < (uint64_t)p->rows.count * p->width; i++)
    dx[i] = plm_term(dy[i]) * (1 + plm_term(x[i]));
}

static void bound_add(struct plm_terms *t) {
  const struct plm_op_add *p = &t->c->op.u.add;
  const float *a = plm_operand_f32(t->c, "a"), *b = plm_operand_f32(t->c, "b");
  double *y = plm_bounds_of(t, "y", 1);
  for (uint64_t i = 0; i < (uint64_t)p->rows.count * p->width; i++)
    y[i] = plm_term(a[i]) + plm_term(b[i]);
}

/* ------------------------------------------------------ loss, optimizer */

static void bound_softmax_loss(struct plm_terms *t) {
  const struct plm_op_softmax_loss *p = &t->c->op.u.softmax_loss;
  const uint32_t V = p->vocabulary;
  const float *logits = plm_operand_f32(t->c, "logits"), *scale = plm_operand_f32(t->c, "scale");
  const int32_t *targets = plm_operand_i32(t->c, "targets");
  double *loss = plm_bounds_of(t, "loss", V);
  double *dlogits = t->c->op.flags & PLM_FLAG_GRADIENT ? plm_bounds_of(t, "dlogits", V) : NULL;
  for (uint64_t m = 0; m < p->rows.count; m++) {
    const float *row = logits + m * V;
    double top = row[0], sum = 0;
    for (uint32_t v = 1; v < V; v++)
      top = fmax(top, row[v]);
    for (uint32_t v = 0; v < V; v++)
      sum += exp(row[v] - top);
    const double lse = top + log(sum);
    loss[m] = 1 + fabs(top) + fabs(lse) + fabs(row[targets[m]]);
    for (uint32_t v = 0; v < V && dlogits; v++)
      dlogits[m * V + v] = plm_term(scale[0]) * (exp(row[v] - lse) * (1 + fabs(row[v]) + fabs(lse)) +
                                                 (v == (uint32_t)targets[m]) + PLM_TERM_TINY);
  }
}

static void bound_reduce_sum(struct plm_terms *t) {
  const uint64_t count = t->c->op.u.reduce_sum.rows.count;
  const float *x = plm_operand_f32(t->c, "x"), *weights = plm_operand_f32(t->c, "weights");
  double *out = plm_bounds_of(t, "out", count + 1);
  for (uint64_t i = 0; i < count; i++)
    out[0] += weights ? plm_term(x[i]) * plm_term(weights[i]) : plm_term(x[i]);
}

/*
 * A norm past 1e19 need not be told from an infinite one: its square leaves float's range. Squares of gradients below 2^-63
 * may vanish: 2^-44 times the 32 u of every tolerance is 2^-63.
 */
static void bound_grad_norm(struct plm_terms *t) {
  const struct plm_op_grad_norm *p = &t->c->op.u.grad_norm;
  const float *grads = plm_operand_f32(t->c, "grads");
  double *out = plm_bounds_of(t, "out", p->count + 1), squares = 0;
  for (uint64_t i = 0; i < p->count; i++)
    squares += (double)grads[i] * grads[i];
  const double norm = sqrt(squares);
  if (!isfinite(norm))
    return;
  if (norm > 1e19) {
    out[0] = out[1] = out[2] = INFINITY;
    return;
  }
  out[0] = norm + ldexp(sqrt((double)p->count), -44);
  out[2] = p->norm_max == 0 ? 0 : fmin(1, p->norm_max / (norm + 1e-6));
}

static void bound_adamw(struct plm_terms *t) {
  const struct plm_op_adamw *p = &t->c->op.u.adamw;
  const float *grads = plm_operand_f32(t->c, "grads"), *before = plm_operand_f32(t->c, "v");
  const float *control = plm_operand_f32(t->c, "control"), *schedule = plm_operand_f32(t->c, "schedule");
  const uint64_t length = control[1] == 0 ? 0 : 1; /* a skipped update moves nothing */
  double *params = plm_bounds_of(t, "params", length), *m = plm_bounds_of(t, "m", length);
  double *v = plm_bounds_of(t, "v", length);
  const double rate = fabs((double)schedule[0] * p->rate_scale), b1 = p->beta1, b2 = p->beta2;
  for (uint64_t i = 0; i < p->count; i++) {
    const double g = plm_term(grads[i]) * plm_term(control[2]);
    const double square = b2 * before[i] + (1 - b2) * (double)grads[i] * grads[i] * control[2] * control[2];
    m[i] = b1 * m[i] + (1 - b1) * g;
    v[i] = b2 * v[i] + (1 - b2) * g * g;
    params[i] += rate * (m[i] / schedule[1] / (sqrt(fmax(square, 0) / schedule[2]) + p->epsilon) + p->decay * params[i]);
  }
}

/* ------------------------------------------------------------------ all */

static void (*const models[PLM_OP_COUNT])(struct plm_terms *) = {
    [PLM_OP_FILL] = bound_moves,
    [PLM_OP_EMBED] = bound_embed,
    [PLM_OP_EMBED_GRAD] = bound_embed_grad,
    [PLM_OP_LAYER_NORM] = bound_layer_norm,
    [PLM_OP_LAYER_NORM_GRAD] = bound_layer_norm_grad,
    [PLM_OP_LINEAR] = bound_linear,
    [PLM_OP_LINEAR_GRAD_INPUT] = bound_linear_grad_input,
    [PLM_OP_LINEAR_GRAD_WEIGHT] = bound_linear_grad_weight,
    [PLM_OP_BIAS] = bound_bias,
    [PLM_OP_BIAS_GRAD] = bound_bias_grad,
    [PLM_OP_GELU] = bound_gelu,
    [PLM_OP_GELU_GRAD] = bound_gelu_grad,
    [PLM_OP_ADD] = bound_add,
    [PLM_OP_ROTARY] = plm_terms_rotary,
    [PLM_OP_ATTENTION] = plm_terms_attention,
    [PLM_OP_ATTENTION_GRAD] = plm_terms_attention_grad,
    [PLM_OP_GATHER_ROWS] = bound_moves,
    [PLM_OP_SCATTER_ROWS] = bound_moves,
    [PLM_OP_SOFTMAX_LOSS] = bound_softmax_loss,
    [PLM_OP_REDUCE_SUM] = bound_reduce_sum,
    [PLM_OP_GRAD_NORM] = bound_grad_norm,
    [PLM_OP_ADAMW] = bound_adamw,
    [PLM_OP_RECORD] = bound_moves,
};

int plm_bounds_init(struct plm_bounds *out, const struct plm_case *c, struct plm_error *err) {
  struct plm_bounds bounds = {.count = c->count};
  struct plm_terms terms = {.c = c, .bounds = &bounds};
  int code = plm_terms_legal(c, err);
  for (uint32_t k = 0; k < c->count && !code; k++) {
    const struct plm_operand *operand = &c->operands[k];
    if (operand->access == PLM_ACCESS_READ)
      continue;
    bounds.magnitude[k] = plm_memory_zeroed((size_t)operand->count, sizeof(double));
    if (!bounds.magnitude[k])
      code = plm_error_memory(err, "the error model of a case");
    for (uint64_t i = 0; i < operand->count && !code && operand->access == PLM_ACCESS_UPDATE; i++)
      bounds.magnitude[k][i] = plm_term(((const float *)operand->data)[i]);
  }
  if (!code)
    models[c->op.kind](&terms);
  if (!code && terms.code)
    code = plm_error_memory(err, "the error model of a case");
  if (code)
    plm_bounds_fini(&bounds);
  else
    *out = bounds;
  return code;
}

void plm_bounds_fini(struct plm_bounds *bounds) {
  for (uint32_t k = 0; k < bounds->count; k++)
    free(bounds->magnitude[k]);
  *bounds = (struct plm_bounds){0};
}
