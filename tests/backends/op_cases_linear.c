/* Cases of linear, its gradients, bias, bias_grad, gelu, gelu_grad and add. */
#include <math.h>

#include "op_case.h"

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

struct product {
  uint32_t rows, in, out;
};
/* One element, primes, tails around 8, 16, 32 and 64, no rows, a long and a wide one. */
static const struct product products[] = {
    {1, 1, 1},   {1, 17, 3},   {7, 5, 3},   {13, 31, 37},   {0, 5, 3},     {8, 16, 32},
    {33, 65, 9}, {63, 64, 65}, {257, 7, 5}, {100, 97, 129}, {29, 320, 72},
};
#define PRODUCTS COUNT(products)

static struct plm_extent rows_of(uint32_t count) { return (struct plm_extent){count, PLM_EXTENT_TOKENS}; }

/* ---------------------------------------------------------------- linear */

static const uint32_t linear_flags[] = {
    0,
    PLM_FLAG_BIAS,
    PLM_FLAG_RESIDUAL,
    PLM_FLAG_BIAS | PLM_FLAG_RESIDUAL,
    PLM_FLAG_GELU,
    PLM_FLAG_BIAS | PLM_FLAG_GELU,
};

/* Variants: flags, then shapes; with RESIDUAL, odd shapes are in place; with GELU, odd shapes do without pre. */
static void make_linear(struct op_case *c) {
  struct plm_op_linear *p = &c->op.u.linear;
  const uint32_t flags = linear_flags[c->variant / PRODUCTS];
  const struct product s = products[c->variant % PRODUCTS];
  const uint32_t odd = c->variant % PRODUCTS % 2;
  const uint64_t size = (uint64_t)s.rows * s.out;
  c->op.flags = c->optional_flags = flags;
  p->rows = rows_of(s.rows);
  p->in = s.in;
  p->out = s.out;
  const float *x = case_f32(c, &p->x, "x", (uint64_t)s.rows * s.in);
  const float *w = case_f32(c, &p->w, "w", (uint64_t)s.out * s.in);
  const float *bias = flags & PLM_FLAG_BIAS ? case_f32(c, &p->bias, "bias", s.out) : NULL;
  const float *residual = flags & PLM_FLAG_RESIDUAL ? case_f32(c, &p->residual, "residual", size) : NULL;
  double *y = case_out(c, &p->y, "y", size, s.in);
  if (residual && odd)
    case_in_place(c, "residual");
  double *pre = (flags & PLM_FLAG_GELU) && !odd ? case_out(c, &p->pre, "pre", size, s.in) : NULL;
  for (uint32_t r = 0; r < s.rows; r++)
    for (uint32_t o = 0; o < s.out; o++) {
      double sum = bias ? fabs(bias[o]) : 0;
      for (uint32_t i = 0; i < s.in; i++)
        sum += fabs((double)x[r * s.in + i] * w[o * s.in + i]);
      /* gelu has slope up to 1.13, and its own terms are as large as its argument. */
      y[r * s.out + o] = flags & PLM_FLAG_GELU ? 2.2 * sum : sum + (residual ? fabs(residual[r * s.out + o]) : 0);
      if (pre)
        pre[r * s.out + o] = sum;
    }
  case_label(c, "%ux%ux%u%s%s%s%s", s.rows, s.in, s.out, bias ? " bias" : "",
             flags & PLM_FLAG_GELU ? (pre ? " gelu+pre" : " gelu") : "", residual ? " residual" : "",
             residual && odd ? " in place" : "");
}

static const uint32_t grad_input_flags[] = {0, PLM_FLAG_ACCUMULATE, PLM_FLAG_GELU};

static void make_linear_grad_input(struct op_case *c) {
  struct plm_op_linear_grad_input *p = &c->op.u.linear_grad_input;
  const uint32_t flags = grad_input_flags[c->variant / PRODUCTS];
  const struct product s = products[c->variant % PRODUCTS];
  const uint64_t size = (uint64_t)s.rows * s.in;
  c->op.flags = flags;
  c->optional_flags = flags & PLM_FLAG_GELU;
  p->rows = rows_of(s.rows);
  p->in = s.in;
  p->out = s.out;
  const float *dy = case_f32(c, &p->dy, "dy", (uint64_t)s.rows * s.out);
  const float *w = case_f32(c, &p->w, "w", (uint64_t)s.out * s.in);
  const float *pre = flags & PLM_FLAG_GELU ? case_f32(c, &p->pre, "pre", size) : NULL;
  double *dx =
      flags & PLM_FLAG_ACCUMULATE ? case_update(c, &p->dx, "dx", size, s.out) : case_out(c, &p->dx, "dx", size, s.out);
  for (uint32_t r = 0; r < s.rows; r++)
    for (uint32_t i = 0; i < s.in; i++) {
      double sum = 0;
      for (uint32_t o = 0; o < s.out; o++)
        sum += fabs((double)dy[r * s.out + o] * w[o * s.in + i]);
      dx[r * s.in + i] += pre ? sum * (1 + fabs(pre[r * s.in + i])) : sum;
    }
  case_label(c, "%ux%ux%u%s%s", s.rows, s.in, s.out, pre ? " gelu" : "",
             flags & PLM_FLAG_ACCUMULATE ? " accumulate" : "");
}

static void make_linear_grad_weight(struct op_case *c) {
  struct plm_op_linear_grad_weight *p = &c->op.u.linear_grad_weight;
  const uint32_t flags = c->variant / PRODUCTS ? PLM_FLAG_BIAS : 0;
  const struct product s = products[c->variant % PRODUCTS];
  c->op.flags = c->optional_flags = flags;
  p->rows = rows_of(s.rows);
  p->in = s.in;
  p->out = s.out;
  const float *dy = case_f32(c, &p->dy, "dy", (uint64_t)s.rows * s.out);
  const float *x = case_f32(c, &p->x, "x", (uint64_t)s.rows * s.in);
  double *dw = case_update(c, &p->dw, "dw", (uint64_t)s.out * s.in, s.rows);
  double *dbias = flags ? case_update(c, &p->dbias, "dbias", s.out, s.rows) : NULL;
  for (uint32_t r = 0; r < s.rows; r++)
    for (uint32_t o = 0; o < s.out; o++) {
      for (uint32_t i = 0; i < s.in; i++)
        dw[o * s.in + i] += fabs((double)dy[r * s.out + o] * x[r * s.in + i]);
      if (dbias)
        dbias[o] += fabs(dy[r * s.out + o]);
    }
  case_label(c, "%ux%ux%u%s", s.rows, s.in, s.out, flags ? " bias" : "");
}

/* ---------------------------------------------------------------- element by element */

struct plane {
  uint32_t rows, width;
};
static const struct plane planes[] = {{1, 1}, {3, 7}, {0, 5}, {16, 32}, {257, 3}, {5, 127}, {61, 67}};
#define PLANES COUNT(planes)

static void make_bias(struct op_case *c) {
  struct plm_op_bias *p = &c->op.u.bias;
  const struct plane s = planes[c->variant];
  p->rows = rows_of(s.rows);
  p->width = s.width;
  double *y = case_update(c, &p->y, "y", (uint64_t)s.rows * s.width, 1);
  const float *bias = case_f32(c, &p->bias, "bias", s.width);
  for (uint32_t i = 0; i < s.rows * s.width; i++)
    y[i] += fabs(bias[i % s.width]);
  case_label(c, "%ux%u", s.rows, s.width);
}

static void make_bias_grad(struct op_case *c) {
  struct plm_op_bias_grad *p = &c->op.u.bias_grad;
  const struct plane s = planes[c->variant];
  p->rows = rows_of(s.rows);
  p->width = s.width;
  const float *dy = case_f32(c, &p->dy, "dy", (uint64_t)s.rows * s.width);
  double *dbias = case_update(c, &p->dbias, "dbias", s.width, s.rows);
  for (uint32_t i = 0; i < s.rows * s.width; i++)
    dbias[i % s.width] += fabs(dy[i]);
  case_label(c, "%ux%u", s.rows, s.width);
}

/* The second round spreads the argument far into both tails. */
static void spread(float *x, uint64_t count, uint32_t round) {
  for (uint64_t i = 0; i < count && round; i++)
    x[i] *= 8;
}

static void make_gelu(struct op_case *c) {
  struct plm_op_gelu *p = &c->op.u.gelu;
  const struct plane s = planes[c->variant % PLANES];
  const uint32_t size = s.rows * s.width;
  p->rows = rows_of(s.rows);
  p->width = s.width;
  float *x = case_f32(c, &p->x, "x", size);
  spread(x, size, c->variant / PLANES);
  double *y = case_out(c, &p->y, "y", size, 1);
  for (uint32_t i = 0; i < size; i++)
    y[i] = fabs(x[i]);
  case_label(c, "%ux%u%s", s.rows, s.width, c->variant / PLANES ? " far" : "");
}

static void make_gelu_grad(struct op_case *c) {
  struct plm_op_gelu_grad *p = &c->op.u.gelu_grad;
  const struct plane s = planes[c->variant % PLANES];
  const uint32_t size = s.rows * s.width, round = c->variant / PLANES;
  p->rows = rows_of(s.rows);
  p->width = s.width;
  const float *dy = case_f32(c, &p->dy, "dy", size);
  float *x = case_f32(c, &p->x, "x", size);
  spread(x, size, round);
  double *dx = case_out(c, &p->dx, "dx", size, 1);
  if (round)
    case_in_place(c, "dy");
  for (uint32_t i = 0; i < size; i++)
    dx[i] = fabs(dy[i]) * (1 + fabs(x[i]));
  case_label(c, "%ux%u%s", s.rows, s.width, round ? " far, in place" : "");
}

static void make_add(struct op_case *c) {
  struct plm_op_add *p = &c->op.u.add;
  const struct plane s = planes[c->variant % PLANES];
  const uint32_t size = s.rows * s.width, round = c->variant / PLANES;
  p->rows = rows_of(s.rows);
  p->width = s.width;
  const float *a = case_f32(c, &p->a, "a", size);
  const float *b = case_f32(c, &p->b, "b", size);
  double *y = case_out(c, &p->y, "y", size, 1);
  if (round)
    case_in_place(c, round == 1 ? "a" : "b");
  for (uint32_t i = 0; i < size; i++)
    y[i] = fabs(a[i]) + fabs(b[i]);
  case_label(c, "%ux%u%s", s.rows, s.width, round == 0 ? "" : round == 1 ? " in place of a" : " in place of b");
}

const struct op_family op_families_linear[] = {
    {PLM_OP_LINEAR, COUNT(linear_flags) * PRODUCTS, make_linear},
    {PLM_OP_LINEAR_GRAD_INPUT, COUNT(grad_input_flags) * PRODUCTS, make_linear_grad_input},
    {PLM_OP_LINEAR_GRAD_WEIGHT, 2 * PRODUCTS, make_linear_grad_weight},
    {PLM_OP_BIAS, PLANES, make_bias},
    {PLM_OP_BIAS_GRAD, PLANES, make_bias_grad},
    {PLM_OP_GELU, 2 * PLANES, make_gelu},
    {PLM_OP_GELU_GRAD, 2 * PLANES, make_gelu_grad},
    {PLM_OP_ADD, 3 * PLANES, make_add},
};
const uint32_t op_families_linear_count = COUNT(op_families_linear);
