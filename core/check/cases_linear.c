/* Cases of linear, its gradients, bias, bias_grad, gelu, gelu_grad and add. */
#include "check/family.h"

struct product {
  uint32_t rows, in, out;
};
/* One element, primes, tails around 8, 16, 32 and 64, no rows, a long and a wide one. */
static const struct product products[] = {
    {1, 1, 1},   {1, 17, 3},   {7, 5, 3},   {13, 31, 37},   {0, 5, 3},     {8, 16, 32},
    {33, 65, 9}, {63, 64, 65}, {257, 7, 5}, {100, 97, 129}, {29, 320, 72},
};
#define PRODUCTS PLM_COUNT(products)
#define PRODUCT_HOSTILE 6u /* 33x65x9 */

/* After them, layers of real models, and more rows than 16 bits count. */
struct large {
  struct product size;
  uint32_t flags;
};

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
#define LINEAR_SMALL (PLM_COUNT(linear_flags) * PRODUCTS)
static const struct large linear_large[] = {
    {{4096, 320, 1280}, 0},
    {{1031, 320, 960}, PLM_FLAG_BIAS},
    {{517, 320, 1280}, PLM_FLAG_BIAS | PLM_FLAG_GELU},
    {{517, 1280, 320}, PLM_FLAG_BIAS | PLM_FLAG_RESIDUAL},
    {{70001, 5, 3}, 0},
};

/* Variants: flags, then shapes, then the large ones. With RESIDUAL, odd ones are in place; with GELU, odd ones have no pre. */
static void shape_linear(struct plm_case *c, uint32_t variant) {
  struct plm_op_linear *p = &c->op.u.linear;
  const struct large *large = variant < LINEAR_SMALL ? NULL : &linear_large[variant - LINEAR_SMALL];
  const uint32_t flags = large ? large->flags : linear_flags[variant / PRODUCTS];
  const struct product s = large ? large->size : products[variant % PRODUCTS];
  const uint32_t odd = variant % PRODUCTS % 2;
  c->op.flags = c->optional_flags = flags;
  p->rows = rows_of(s.rows);
  p->in = s.in;
  p->out = s.out;
  p->pre.bytes = (flags & PLM_FLAG_GELU) && !odd;
  plm_family_label(c, "%ux%ux%u%s%s%s%s", s.rows, s.in, s.out, flags & PLM_FLAG_BIAS ? " bias" : "",
                   flags & PLM_FLAG_GELU ? (odd ? " gelu" : " gelu+pre") : "",
                   flags & PLM_FLAG_RESIDUAL ? " residual" : "", (flags & PLM_FLAG_RESIDUAL) && odd ? " in place" : "");
}

static void place_linear(struct plm_case *c, uint32_t variant) {
  if ((c->op.flags & PLM_FLAG_RESIDUAL) && variant % PRODUCTS % 2)
    plm_family_in_place(c, "y", "residual");
}

static const uint32_t grad_input_flags[] = {0, PLM_FLAG_ACCUMULATE, PLM_FLAG_GELU};
#define GRAD_INPUT_SMALL (PLM_COUNT(grad_input_flags) * PRODUCTS)
static const struct large grad_input_large[] = {
    {{1031, 320, 1280}, 0}, {{517, 1280, 320}, PLM_FLAG_GELU}, {{70001, 5, 3}, 0}};

static void shape_linear_grad_input(struct plm_case *c, uint32_t variant) {
  struct plm_op_linear_grad_input *p = &c->op.u.linear_grad_input;
  const struct large *large = variant < GRAD_INPUT_SMALL ? NULL : &grad_input_large[variant - GRAD_INPUT_SMALL];
  const struct product s = large ? large->size : products[variant % PRODUCTS];
  c->op.flags = large ? large->flags : grad_input_flags[variant / PRODUCTS];
  c->optional_flags = c->op.flags & PLM_FLAG_GELU;
  p->rows = rows_of(s.rows);
  p->in = s.in;
  p->out = s.out;
  plm_family_label(c, "%ux%ux%u%s%s", s.rows, s.in, s.out, c->op.flags & PLM_FLAG_GELU ? " gelu" : "",
                   c->op.flags & PLM_FLAG_ACCUMULATE ? " accumulate" : "");
}

#define GRAD_WEIGHT_SMALL (2 * PRODUCTS)
static const struct large grad_weight_large[] = {
    {{4096, 320, 320}, 0}, {{1031, 320, 1280}, PLM_FLAG_BIAS}, {{70001, 5, 3}, 0}};

static void shape_linear_grad_weight(struct plm_case *c, uint32_t variant) {
  struct plm_op_linear_grad_weight *p = &c->op.u.linear_grad_weight;
  const struct large *large = variant < GRAD_WEIGHT_SMALL ? NULL : &grad_weight_large[variant - GRAD_WEIGHT_SMALL];
  const struct product s = large ? large->size : products[variant % PRODUCTS];
  c->op.flags = c->optional_flags = large ? large->flags : variant / PRODUCTS ? PLM_FLAG_BIAS : 0;
  p->rows = rows_of(s.rows);
  p->in = s.in;
  p->out = s.out;
  plm_family_label(c, "%ux%ux%u%s", s.rows, s.in, s.out, c->op.flags ? " bias" : "");
}

/* --------------------------------------------------- element by element */

struct plane {
  uint32_t rows, width;
};
static const struct plane planes[] = {{1, 1}, {3, 7}, {0, 5}, {16, 32}, {257, 3}, {5, 127}, {61, 67}, {1031, 320}, {70001, 3}};
#define PLANES PLM_COUNT(planes)
#define PLANE_HOSTILE 5u /* 5x127 */

static void shape_bias(struct plm_case *c, uint32_t variant) {
  c->op.u.bias.rows = rows_of(planes[variant].rows);
  c->op.u.bias.width = planes[variant].width;
  plm_family_label(c, "%ux%u", planes[variant].rows, planes[variant].width);
}

static void shape_bias_grad(struct plm_case *c, uint32_t variant) {
  c->op.u.bias_grad.rows = rows_of(planes[variant].rows);
  c->op.u.bias_grad.width = planes[variant].width;
  plm_family_label(c, "%ux%u", planes[variant].rows, planes[variant].width);
}

/* The second round of gelu and its gradient spreads the argument far into both tails. */
static void fill_gelu(struct plm_case *c, uint32_t variant) {
  if (variant / PLANES)
    plm_family_spread(c, "x", 8, 0);
}

static void shape_gelu(struct plm_case *c, uint32_t variant) {
  const struct plane s = planes[variant % PLANES];
  c->op.u.gelu.rows = rows_of(s.rows);
  c->op.u.gelu.width = s.width;
  plm_family_label(c, "%ux%u%s", s.rows, s.width, variant / PLANES ? " far" : "");
}

static void shape_gelu_grad(struct plm_case *c, uint32_t variant) {
  const struct plane s = planes[variant % PLANES];
  c->op.u.gelu_grad.rows = rows_of(s.rows);
  c->op.u.gelu_grad.width = s.width;
  plm_family_label(c, "%ux%u%s", s.rows, s.width, variant / PLANES ? " far, in place" : "");
}

static void place_gelu_grad(struct plm_case *c, uint32_t variant) {
  if (variant / PLANES)
    plm_family_in_place(c, "dx", "dy");
}

static void shape_add(struct plm_case *c, uint32_t variant) {
  static const char *const rounds[] = {"", " in place of a", " in place of b"};
  const struct plane s = planes[variant % PLANES];
  c->op.u.add.rows = rows_of(s.rows);
  c->op.u.add.width = s.width;
  plm_family_label(c, "%ux%u%s", s.rows, s.width, rounds[variant / PLANES]);
}

static void place_add(struct plm_case *c, uint32_t variant) {
  if (variant / PLANES)
    plm_family_in_place(c, "y", variant / PLANES == 1 ? "a" : "b");
}

const struct plm_family plm_families_linear[] = {
    {PLM_OP_LINEAR, LINEAR_SMALL + PLM_COUNT(linear_large), shape_linear, place_linear, NULL, PRODUCT_HOSTILE,
     PLM_COUNT(linear_flags), PRODUCTS, {{"x", 0}, {"w", 0}}},
    {PLM_OP_LINEAR_GRAD_INPUT, GRAD_INPUT_SMALL + PLM_COUNT(grad_input_large), shape_linear_grad_input, NULL, NULL,
     PRODUCT_HOSTILE, PLM_COUNT(grad_input_flags), PRODUCTS, {{"dy", 0}, {"w", 0}}},
    {PLM_OP_LINEAR_GRAD_WEIGHT, GRAD_WEIGHT_SMALL + PLM_COUNT(grad_weight_large), shape_linear_grad_weight, NULL, NULL,
     PRODUCT_HOSTILE, 2, PRODUCTS, {{"dy", 0}, {"x", 0}, {"dw", 0}}},
    {PLM_OP_BIAS, PLANES, shape_bias, NULL, NULL, PLANE_HOSTILE, 1, 0, {{"y", 0}, {"bias", 0}}},
    {PLM_OP_BIAS_GRAD, PLANES, shape_bias_grad, NULL, NULL, PLANE_HOSTILE, 1, 0, {{"dy", 0}}},
    {PLM_OP_GELU, 2 * PLANES, shape_gelu, NULL, fill_gelu, PLANE_HOSTILE, 1, 0, {{"x", 0}}},
    {PLM_OP_GELU_GRAD, 2 * PLANES, shape_gelu_grad, place_gelu_grad, fill_gelu, PLANE_HOSTILE, 1, 0,
     {{"dy", 0}, {"x", 0}}},
    {PLM_OP_ADD, 3 * PLANES, shape_add, place_add, NULL, PLANE_HOSTILE, 1, 0, {{"a", 0}, {"b", 0}}},
};
const uint32_t plm_families_linear_count = PLM_COUNT(plm_families_linear);
