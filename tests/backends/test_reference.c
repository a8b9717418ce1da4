/* The reference backend against known values, adjoint identities and finite differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reference_tests.h"
#include "rig.h"

#define ULP 6e-8 /* one rounding to float32, relative */

/* ---------------------------------------------------------------- layer_norm */

enum { ROWS = 3, WIDTH = 7 };

struct norm_case {
  float *x, *gamma, *beta, *dy;
  struct plm_view y, mean, rstd;
};

static double norm_loss(void *context) {
  struct norm_case *c = context;
  struct plm_op op = rig_op(PLM_OP_LAYER_NORM, 0);
  struct plm_op_layer_norm *p = &op.u.layer_norm;
  c->y = rig_f32(NULL, ROWS * WIDTH);
  c->mean = rig_f32(NULL, ROWS);
  c->rstd = rig_f32(NULL, ROWS);
  *p = (struct plm_op_layer_norm){rig_f32(c->x, ROWS * WIDTH),
                                  rig_f32(c->gamma, WIDTH),
                                  rig_f32(c->beta, WIDTH),
                                  c->y,
                                  c->mean,
                                  c->rstd,
                                  {ROWS, 0},
                                  WIDTH,
                                  1e-5f};
  rig_run(&op);
  return rig_dot(rig_read(&c->y), c->dy, ROWS * WIDTH);
}

static void test_reference__layer_norm_of_known_rows(void **state) {
  (void)state;
  float x[ROWS * WIDTH], gamma[WIDTH], beta[WIDTH];
  for (int i = 0; i < ROWS * WIDTH; i++)
    x[i] = i / WIDTH == 0 ? (float)i : i / WIDTH == 1 ? 5 : (float)(i % 2 ? 1000 : -1000);
  for (int d = 0; d < WIDTH; d++)
    gamma[d] = 2, beta[d] = (float)d;
  struct norm_case c = {x, gamma, beta, x, {0}, {0}, {0}};
  norm_loss(&c);
  const float *y = rig_read(&c.y), *mean = rig_read(&c.mean), *rstd = rig_read(&c.rstd);
  RIG_CLOSE(mean[0], 3, 1e-6); /* 0..6: mean 3, variance 4 */
  RIG_CLOSE(rstd[0], 1 / sqrt(4 + 1e-5), 1e-7);
  RIG_CLOSE(y[0], 2 * -3 / sqrt(4 + 1e-5), 1e-6);
  RIG_CLOSE(y[6], 2 * 3 / sqrt(4 + 1e-5) + 6, 1e-6);
  RIG_CLOSE(rstd[1], 1 / sqrt(1e-5), 1e-3); /* a constant row: only epsilon is left */
  for (int d = 0; d < WIDTH; d++)
    RIG_CLOSE(y[WIDTH + d], d, 1e-6);
}

static void test_reference__layer_norm_grad_matches_differences(void **state) {
  (void)state;
  struct norm_case c = {.x = rig_normal(1, ROWS * WIDTH),
                        .gamma = rig_normal(2, WIDTH),
                        .beta = rig_normal(3, WIDTH),
                        .dy = rig_normal(4, ROWS * WIDTH)};
  norm_loss(&c);
  const float *before = rig_normal(5, ROWS * WIDTH);
  for (int accumulate = 0; accumulate < 2; accumulate++) {
    struct plm_op op = rig_op(PLM_OP_LAYER_NORM_GRAD, accumulate ? PLM_FLAG_ACCUMULATE : 0);
    struct plm_op_layer_norm_grad *p = &op.u.layer_norm_grad;
    *p = (struct plm_op_layer_norm_grad){.dy = rig_f32(c.dy, ROWS * WIDTH),
                                         .x = rig_f32(c.x, ROWS * WIDTH),
                                         .gamma = rig_f32(c.gamma, WIDTH),
                                         .mean = c.mean,
                                         .rstd = c.rstd,
                                         .dx = rig_f32(before, ROWS * WIDTH),
                                         .dgamma = rig_f32(before, WIDTH),
                                         .dbeta = rig_f32(before, WIDTH),
                                         .rows = {ROWS, 0},
                                         .width = WIDTH};
    rig_run(&op);
    float dx[ROWS * WIDTH], dgamma[WIDTH], dbeta[WIDTH];
    for (int i = 0; i < ROWS * WIDTH; i++)
      dx[i] = rig_read(&p->dx)[i] - (accumulate ? before[i] : 0);
    for (int d = 0; d < WIDTH; d++) {
      dgamma[d] = rig_read(&p->dgamma)[d] - before[d];
      dbeta[d] = rig_read(&p->dbeta)[d] - before[d];
    }
    rig_check_gradient(norm_loss, &c, c.x, ROWS * WIDTH, dx, 5e-4, "x");
    rig_check_gradient(norm_loss, &c, c.gamma, WIDTH, dgamma, 2e-4, "gamma");
    rig_check_gradient(norm_loss, &c, c.beta, WIDTH, dbeta, 2e-4, "beta");
  }
}

/* ---------------------------------------------------------------- linear */

enum { IN = 5, OUT = 4 };

static const float *run_linear(uint32_t flags, const float *x, const float *w, const float *bias, const float *residual,
                               const float **pre) {
  struct plm_op op = rig_op(PLM_OP_LINEAR, flags);
  struct plm_op_linear *p = &op.u.linear;
  p->x = rig_f32(x, ROWS * IN);
  p->w = rig_f32(w, OUT * IN);
  if (bias)
    p->bias = rig_f32(bias, OUT);
  if (residual)
    p->residual = rig_f32(residual, ROWS * OUT);
  if (pre)
    p->pre = rig_f32(NULL, ROWS * OUT);
  p->y = rig_f32(NULL, ROWS * OUT);
  p->rows.count = ROWS;
  p->in = IN;
  p->out = OUT;
  rig_run(&op);
  if (pre)
    *pre = rig_read(&p->pre);
  return rig_read(&p->y);
}

static void test_reference__linear_of_known_matrix(void **state) {
  (void)state;
  float x[ROWS * IN], w[OUT * IN];
  for (int i = 0; i < ROWS * IN; i++)
    x[i] = (float)(i + 1);
  for (int i = 0; i < OUT * IN; i++)
    w[i] = (float)(i / IN == i % IN); /* the first OUT columns of the identity */
  const float *y = run_linear(0, x, w, NULL, NULL, NULL);
  for (int r = 0; r < ROWS; r++)
    for (int o = 0; o < OUT; o++)
      RIG_CLOSE(y[r * OUT + o], x[r * IN + o], 0);
}

/* <w x, dy> = <x, wT dy> = <w, dyT x>: the two gradients are the adjoints of the product. */
static void test_reference__linear_gradients_are_adjoint(void **state) {
  (void)state;
  const float *x = rig_normal(1, ROWS * IN), *w = rig_normal(2, OUT * IN), *dy = rig_normal(3, ROWS * OUT);
  const double forward = rig_dot(run_linear(0, x, w, NULL, NULL, NULL), dy, ROWS * OUT);
  float zero[OUT * IN] = {0};
  struct plm_op op = rig_op(PLM_OP_LINEAR_GRAD_INPUT, 0);
  op.u.linear_grad_input = (struct plm_op_linear_grad_input){.dy = rig_f32(dy, ROWS * OUT),
                                                             .w = rig_f32(w, OUT * IN),
                                                             .dx = rig_f32(NULL, ROWS * IN),
                                                             .rows = {ROWS, 0},
                                                             .in = IN,
                                                             .out = OUT};
  rig_run(&op);
  RIG_CLOSE(rig_dot(rig_read(&op.u.linear_grad_input.dx), x, ROWS * IN), forward, 1e-5);
  op.flags = PLM_FLAG_ACCUMULATE;
  rig_run(&op);
  RIG_CLOSE(rig_dot(rig_read(&op.u.linear_grad_input.dx), x, ROWS * IN), 2 * forward, 2e-5);

  op = rig_op(PLM_OP_LINEAR_GRAD_WEIGHT, PLM_FLAG_BIAS);
  op.u.linear_grad_weight = (struct plm_op_linear_grad_weight){.dy = rig_f32(dy, ROWS * OUT),
                                                               .x = rig_f32(x, ROWS * IN),
                                                               .dw = rig_f32(zero, OUT * IN),
                                                               .dbias = rig_f32(zero, OUT),
                                                               .rows = {ROWS, 0},
                                                               .in = IN,
                                                               .out = OUT};
  rig_run(&op);
  RIG_CLOSE(rig_dot(rig_read(&op.u.linear_grad_weight.dw), w, OUT * IN), forward, 1e-5);
  for (int o = 0; o < OUT; o++)
    RIG_CLOSE(rig_read(&op.u.linear_grad_weight.dbias)[o], (double)dy[o] + dy[OUT + o] + dy[2 * OUT + o], 1e-6);
  rig_run(&op);
  RIG_CLOSE(rig_dot(rig_read(&op.u.linear_grad_weight.dw), w, OUT * IN), 2 * forward, 2e-5);
}

static void test_reference__fused_linear_is_its_parts(void **state) {
  (void)state;
  const float *x = rig_normal(1, ROWS * IN), *w = rig_normal(2, OUT * IN), *bias = rig_normal(3, OUT);
  const float *residual = rig_normal(4, ROWS * OUT), *pre = NULL;
  const float *plain = run_linear(0, x, w, NULL, NULL, NULL);
  const float *added = run_linear(PLM_FLAG_BIAS | PLM_FLAG_RESIDUAL, x, w, bias, residual, NULL);
  const float *bent = run_linear(PLM_FLAG_BIAS | PLM_FLAG_GELU, x, w, bias, NULL, &pre);
  for (int i = 0; i < ROWS * OUT; i++) {
    const double sum = (double)plain[i] + bias[i % OUT];
    RIG_CLOSE(added[i], sum + residual[i], 1e-6);
    RIG_CLOSE(pre[i], sum, 1e-6);
    RIG_CLOSE(bent[i], sum * 0.5 * erfc(-sum / sqrt(2)), 1e-6);
  }
}

static void test_reference__fused_gelu_gradient_is_its_parts(void **state) {
  (void)state;
  const float *dy = rig_normal(1, ROWS * OUT), *w = rig_normal(2, OUT * IN), *pre = rig_normal(3, ROWS * IN);
  struct plm_op op = rig_op(PLM_OP_LINEAR_GRAD_INPUT, PLM_FLAG_GELU);
  op.u.linear_grad_input = (struct plm_op_linear_grad_input){rig_f32(dy, ROWS * OUT),
                                                             rig_f32(w, OUT * IN),
                                                             rig_f32(pre, ROWS * IN),
                                                             rig_f32(NULL, ROWS * IN),
                                                             {ROWS, 0},
                                                             IN,
                                                             OUT};
  rig_run(&op);
  const float *fused = rig_read(&op.u.linear_grad_input.dx);
  struct plm_op plain = op;
  plain.flags = 0;
  plain.u.linear_grad_input.dx = rig_f32(NULL, ROWS * IN);
  rig_run(&plain);
  struct plm_op bend = rig_op(PLM_OP_GELU_GRAD, 0);
  bend.u.gelu_grad = (struct plm_op_gelu_grad){
      plain.u.linear_grad_input.dx, op.u.linear_grad_input.pre, plain.u.linear_grad_input.dx, {ROWS, 0}, IN, 0};
  rig_run(&bend);
  for (int i = 0; i < ROWS * IN; i++)
    RIG_CLOSE(fused[i], rig_read(&bend.u.gelu_grad.dx)[i], 2e-6);
}

/* ---------------------------------------------------------------- gelu, bias, add, fill */

enum { POINTS = 9 };

struct gelu_case {
  float *x, *dy;
  struct plm_view y;
};

static double gelu_loss(void *context) {
  struct gelu_case *c = context;
  struct plm_op op = rig_op(PLM_OP_GELU, 0);
  c->y = rig_f32(NULL, POINTS);
  op.u.gelu = (struct plm_op_gelu){rig_f32(c->x, POINTS), c->y, {1, 0}, POINTS, 0};
  rig_run(&op);
  return rig_dot(rig_read(&c->y), c->dy, POINTS);
}

static void test_reference__gelu_of_known_points_and_its_slope(void **state) {
  (void)state;
  float x[POINTS] = {0, 1, -1, 2, -2, 0.5f, 10, -10, 0.25f};
  /* x times the normal distribution function, from its tables */
  const double known[POINTS] = {0,
                                0.8413447460685429,
                                -0.15865525393145707,
                                1.9544997361036416,
                                -0.04550026389635842,
                                0.34573123063700656,
                                10,
                                0,
                                0.25 * 0.5987063256829237};
  float dy[POINTS] = {1, 2, -1, 0.5f, 3, 1, 1, 1, 1};
  struct gelu_case c = {x, dy, {0}};
  gelu_loss(&c);
  for (int i = 0; i < POINTS; i++)
    RIG_CLOSE(rig_read(&c.y)[i], known[i], 1e-7 * (1 + fabs(known[i])));
  struct plm_op op = rig_op(PLM_OP_GELU_GRAD, 0);
  op.u.gelu_grad =
      (struct plm_op_gelu_grad){rig_f32(dy, POINTS), rig_f32(x, POINTS), rig_f32(NULL, POINTS), {1, 0}, POINTS, 0};
  rig_run(&op);
  rig_check_gradient(gelu_loss, &c, x, POINTS, rig_read(&op.u.gelu_grad.dx), 3e-4, "x");
}

static void test_reference__bias_and_its_gradient_are_adjoint(void **state) {
  (void)state;
  const float *dy = rig_normal(1, ROWS * WIDTH), *bias = rig_normal(2, WIDTH);
  float zero[ROWS * WIDTH] = {0};
  struct plm_op op = rig_op(PLM_OP_BIAS, 0), grad = rig_op(PLM_OP_BIAS_GRAD, 0), add = rig_op(PLM_OP_ADD, 0);
  op.u.bias = (struct plm_op_bias){rig_f32(zero, ROWS * WIDTH), rig_f32(bias, WIDTH), {ROWS, 0}, WIDTH, 0};
  rig_run(&op);
  grad.u.bias_grad = (struct plm_op_bias_grad){rig_f32(dy, ROWS * WIDTH), rig_f32(zero, WIDTH), {ROWS, 0}, WIDTH, 0};
  rig_run(&grad);
  RIG_CLOSE(rig_dot(rig_read(&op.u.bias.y), dy, ROWS * WIDTH), rig_dot(rig_read(&grad.u.bias_grad.dbias), bias, WIDTH),
            1e-5);
  add.u.add = (struct plm_op_add){op.u.bias.y, rig_f32(dy, ROWS * WIDTH), op.u.bias.y, {ROWS, 0}, WIDTH, 0};
  rig_run(&add);
  for (int i = 0; i < ROWS * WIDTH; i++)
    RIG_CLOSE(rig_read(&add.u.add.y)[i], (double)bias[i % WIDTH] + dy[i], 3 * ULP);
}

static void test_reference__fill_stops_at_count(void **state) {
  (void)state;
  const float before[4] = {1, 2, 3, 4};
  struct plm_op op = rig_op(PLM_OP_FILL, 0);
  op.u.fill = (struct plm_op_fill){rig_f32(before, 4), 3, -2.5f, 0};
  rig_run(&op);
  const float *x = rig_read(&op.u.fill.x);
  RIG_CLOSE(x[0], -2.5, 0);
  RIG_CLOSE(x[2], -2.5, 0);
  RIG_CLOSE(x[3], 4, 0);
}

/* ---------------------------------------------------------------- rows */

static void test_reference__embed_and_its_gradient_are_adjoint(void **state) {
  (void)state;
  enum { T = 6, V = 4, D = 3 };
  const int32_t tokens[T] = {0, 3, 3, 1, 0, 3};
  const float scale[T] = {1, 0, 0.5f, 2, -1, 1};
  const float *table = rig_normal(1, V * D), *dy = rig_normal(2, T * D);
  float zero[V * D] = {0};
  struct plm_op op = rig_op(PLM_OP_EMBED, 0), grad = rig_op(PLM_OP_EMBED_GRAD, 0);
  op.u.embed = (struct plm_op_embed){
      rig_f32(table, V * D), rig_i32(tokens, T), rig_f32(scale, T), rig_f32(NULL, T * D), {T, 0}, V, D};
  rig_run(&op);
  grad.u.embed_grad = (struct plm_op_embed_grad){
      rig_f32(dy, T * D), rig_i32(tokens, T), rig_f32(scale, T), rig_f32(zero, V * D), {T, 0}, V, D};
  rig_run(&grad);
  const float *y = rig_read(&op.u.embed.y), *dtable = rig_read(&grad.u.embed_grad.dtable);
  RIG_CLOSE(rig_dot(y, dy, T * D), rig_dot(table, dtable, V * D), 1e-5);
  RIG_CLOSE(y[D], 0, 0); /* scale 0 */
  RIG_CLOSE(y[2 * D + 1], 0.5 * table[3 * D + 1], 0);
  RIG_CLOSE(dtable[2 * D], 0, 0); /* a token that does not occur */
}

static void test_reference__gather_and_scatter_are_adjoint(void **state) {
  (void)state;
  enum { T = 6, M = 3, D = 2 };
  const int32_t index[M] = {1, 2, 5};
  const float *x = rig_normal(1, T * D), *dy = rig_normal(2, M * D);
  struct plm_op op = rig_op(PLM_OP_GATHER_ROWS, 0), grad = rig_op(PLM_OP_SCATTER_ROWS, 0);
  op.u.gather_rows =
      (struct plm_op_gather_rows){rig_f32(x, T * D), rig_i32(index, M), rig_f32(NULL, M * D), {M, 0}, {T, 0}, D, 0};
  rig_run(&op);
  grad.u.scatter_rows =
      (struct plm_op_scatter_rows){rig_f32(dy, M * D), rig_i32(index, M), rig_f32(NULL, T * D), {M, 0}, {T, 0}, D, 0};
  rig_run(&grad);
  const float *y = rig_read(&op.u.gather_rows.y), *dx = rig_read(&grad.u.scatter_rows.y);
  RIG_CLOSE(rig_dot(y, dy, M * D), rig_dot(x, dx, T * D), 1e-6);
  RIG_CLOSE(y[2 * D], x[5 * D], 0);
  RIG_CLOSE(dx[0], 0, 0);
  RIG_CLOSE(dx[3 * D + 1], 0, 0);
  grad.u.scatter_rows.rows.count = 0;
  rig_run(&grad);
  for (int i = 0; i < T * D; i++)
    RIG_CLOSE(rig_read(&grad.u.scatter_rows.y)[i], 0, 0); /* zeroed even without rows */
}

/* ---------------------------------------------------------------- loss */

enum { M = 3, V = 6 };

struct loss_case {
  float *logits, *weights;
  const int32_t *targets;
  float scale;
  struct plm_view loss, dlogits;
};

static double softmax_loss(void *context) {
  struct loss_case *c = context;
  struct plm_op op = rig_op(PLM_OP_SOFTMAX_LOSS, PLM_FLAG_GRADIENT);
  c->loss = rig_f32(NULL, M);
  c->dlogits = rig_f32(NULL, M * V);
  op.u.softmax_loss = (struct plm_op_softmax_loss){
      rig_f32(c->logits, M * V), rig_i32(c->targets, M), rig_f32(&c->scale, 1), c->loss, c->dlogits, {M, 0}, V, 0};
  rig_run(&op);
  return rig_dot(rig_read(&c->loss), c->weights, M);
}

static void test_reference__loss_of_equal_logits_is_log_of_vocabulary(void **state) {
  (void)state;
  float logits[M * V], ones[M] = {1, 1, 1};
  const int32_t targets[M] = {0, 5, 2};
  for (int i = 0; i < M * V; i++)
    logits[i] = i < V ? 0 : i < 2 * V ? 500 : -1e30f; /* far from zero as well: the maximum is taken out */
  struct loss_case c = {logits, ones, targets, 1, {0}, {0}};
  RIG_CLOSE(softmax_loss(&c), 3 * log(V), 1e-4);
  RIG_CLOSE(rig_read(&c.loss)[0], log(V), 1e-6);
  RIG_CLOSE(rig_read(&c.dlogits)[0], 1.0 / V - 1, 1e-7);
  RIG_CLOSE(rig_read(&c.dlogits)[1], 1.0 / V, 1e-7);
}

static void test_reference__loss_gradient_matches_differences(void **state) {
  (void)state;
  const int32_t targets[M] = {0, 5, 2};
  float weights[M] = {1, 1, 1};
  struct loss_case c = {rig_normal(1, M * V), weights, targets, 1, {0}, {0}};
  softmax_loss(&c);
  const float *dlogits = rig_read(&c.dlogits);
  rig_check_gradient(softmax_loss, &c, c.logits, M * V, dlogits, 2e-4, "logits");
  for (int m = 0; m < M; m++) {
    double sum = 0;
    for (int v = 0; v < V; v++)
      sum += dlogits[m * V + v];
    RIG_CLOSE(sum, 0, 1e-6);
  }
  c.scale = 0.25f;
  softmax_loss(&c);
  RIG_CLOSE(rig_read(&c.dlogits)[4], 0.25 * dlogits[4], 1e-7);
}

static void test_reference__reduce_sum_weighs_and_accumulates(void **state) {
  (void)state;
  const float x[4] = {1, 2, 3, 4}, weights[4] = {1, 0, 0, -1}, before = 100;
  struct plm_op op = rig_op(PLM_OP_REDUCE_SUM, 0);
  op.u.reduce_sum = (struct plm_op_reduce_sum){rig_f32(x, 4), {0}, rig_f32(&before, 1), {4, 0}};
  rig_run(&op);
  RIG_CLOSE(rig_read(&op.u.reduce_sum.out)[0], 10, 0);
  op.u.reduce_sum.weights = rig_f32(weights, 4);
  op.flags = PLM_FLAG_ACCUMULATE;
  rig_run(&op);
  RIG_CLOSE(rig_read(&op.u.reduce_sum.out)[0], 7, 0);
  op.u.reduce_sum.rows.count = 0;
  rig_run(&op);
  RIG_CLOSE(rig_read(&op.u.reduce_sum.out)[0], 7, 0);
  op.flags = 0;
  rig_run(&op);
  RIG_CLOSE(rig_read(&op.u.reduce_sum.out)[0], 0, 0);
}

static void test_reference__record_goes_round(void **state) {
  (void)state;
  float log[6] = {0};
  struct plm_op op = rig_op(PLM_OP_RECORD, 0);
  op.u.record.log = rig_f32(log, 6);
  op.u.record.count = 2;
  op.u.record.capacity = 3;
  for (int32_t step = 0; step < 5; step++) {
    const float x[2] = {(float)step, (float)-step};
    op.u.record.x = rig_f32(x, 2);
    op.u.record.index = rig_i32(&step, 1);
    rig_run(&op);
  }
  const float expected[6] = {3, -3, 4, -4, 2, -2};
  for (int i = 0; i < 6; i++)
    RIG_CLOSE(rig_read(&op.u.record.log)[i], expected[i], 0);
}

/* ---------------------------------------------------------------- optimizer */

static const float *run_grad_norm(const float *grads, uint64_t count, float norm_max) {
  struct plm_op op = rig_op(PLM_OP_GRAD_NORM, 0);
  op.u.grad_norm = (struct plm_op_grad_norm){rig_f32(grads, count), rig_f32(NULL, 4), count, norm_max, 0};
  rig_run(&op);
  return rig_read(&op.u.grad_norm.out);
}

static void test_reference__grad_norm_of_three_and_four_is_five(void **state) {
  (void)state;
  const float grads[2] = {3, -4}, broken[3] = {1, NAN, 2}, endless[2] = {INFINITY, 1}, huge[2] = {3e38f, 3e38f};
  const float *out = run_grad_norm(grads, 2, 1);
  RIG_CLOSE(out[0], 5, 0);
  RIG_CLOSE(out[1], 1, 0);
  RIG_CLOSE(out[2], 1 / 5.000001, ULP);
  RIG_CLOSE(out[3], 0, 0);
  RIG_CLOSE(run_grad_norm(grads, 2, 0)[2], 1, 0);
  RIG_CLOSE(run_grad_norm(grads, 2, 10)[2], 1, 0);
  RIG_CLOSE(run_grad_norm(broken, 3, 1)[1], 0, 0);
  RIG_CLOSE(run_grad_norm(broken, 3, 1)[2], 0, 0);
  RIG_CLOSE(run_grad_norm(endless, 2, 0)[1], 0, 0);
  RIG_CLOSE(run_grad_norm(endless, 2, 0)[2], 0, 0);
  RIG_CLOSE(run_grad_norm(huge, 2, 1)[1], 0, 0); /* the norm itself is past float32 */
}

/* Three steps of two parameters as torch.optim.AdamW (2.15, float64) takes them. */
static void test_reference__adamw_takes_known_steps(void **state) {
  (void)state;
  const float grads[3][2] = {{0.5f, 0}, {-0.25f, 1}, {0.125f, -3}};
  const double params[3][2] = {
      {0.8990000020, -1.9980000000}, {0.8713902313, -2.0700611952}, {0.8362403863, -2.0259293258}};
  const double m[2] = {0.0305, -0.21}, v[2] = {0.0063395, 0.1996};
  const float start[2] = {1, -2}, zero[2] = {0};
  struct plm_op op = rig_op(PLM_OP_ADAMW, 0);
  struct plm_op_adamw *p = &op.u.adamw;
  *p = (struct plm_op_adamw){.params = rig_f32(start, 2),
                             .m = rig_f32(zero, 2),
                             .v = rig_f32(zero, 2),
                             .count = 2,
                             .beta1 = 0.9f,
                             .beta2 = 0.98f,
                             .epsilon = 1e-8f,
                             .decay = 0.01f,
                             .rate_scale = 0.5f};
  for (int step = 1; step <= 3; step++) {
    const float doubled[2] = {2 * grads[step - 1][0], 2 * grads[step - 1][1]};
    const float control[4] = {9, 1, 0.5f, 0}; /* the clip halves what is doubled here */
    const float schedule[3] = {0.2f, (float)(1 - pow(0.9, step)), (float)(1 - pow(0.98, step))};
    p->grads = rig_f32(doubled, 2);
    p->control = rig_f32(control, 4);
    p->schedule = rig_f32(schedule, 3);
    rig_run(&op);
    for (int i = 0; i < 2; i++)
      RIG_CLOSE(rig_read(&p->params)[i], params[step - 1][i], 1e-6);
  }
  for (int i = 0; i < 2; i++) {
    RIG_CLOSE(rig_read(&p->m)[i], m[i], 1e-7);
    RIG_CLOSE(rig_read(&p->v)[i], v[i], 1e-6); /* 1 - beta2 is taken of a float32 */
  }
  const float not_finite[4] = {NAN, 0, 0, 0};
  p->control = rig_f32(not_finite, 4);
  rig_run(&op);
  RIG_CLOSE(rig_read(&p->params)[0], params[2][0], 1e-6); /* nothing is written */
  RIG_CLOSE(rig_read(&p->m)[1], m[1], 1e-7);
}

#define TEST(function) cmocka_unit_test_teardown(function, rig_clear)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_reference__layer_norm_of_known_rows),
      TEST(test_reference__layer_norm_grad_matches_differences),
      TEST(test_reference__linear_of_known_matrix),
      TEST(test_reference__linear_gradients_are_adjoint),
      TEST(test_reference__fused_linear_is_its_parts),
      TEST(test_reference__fused_gelu_gradient_is_its_parts),
      TEST(test_reference__gelu_of_known_points_and_its_slope),
      TEST(test_reference__bias_and_its_gradient_are_adjoint),
      TEST(test_reference__fill_stops_at_count),
      TEST(test_reference__embed_and_its_gradient_are_adjoint),
      TEST(test_reference__gather_and_scatter_are_adjoint),
      TEST(test_reference__loss_of_equal_logits_is_log_of_vocabulary),
      TEST(test_reference__loss_gradient_matches_differences),
      TEST(test_reference__reduce_sum_weighs_and_accumulates),
      TEST(test_reference__record_goes_round),
      TEST(test_reference__grad_norm_of_three_and_four_is_five),
      TEST(test_reference__adamw_takes_known_steps),
      TEST(test_reference__one_key_returns_its_value),
      TEST(test_reference__equal_keys_average_the_values),
      TEST(test_reference__causal_first_row_sees_itself_only),
      TEST(test_reference__rotary_keeps_norms_and_inverts),
      TEST(test_reference__rotary_scores_depend_on_distance_only),
      TEST(test_reference__fused_rotary_is_rotary_then_attention),
      TEST(test_reference__sequences_do_not_see_each_other),
      TEST(test_reference__attention_grad_matches_differences),
      TEST(test_reference__ids_out_of_range_are_refused),
      TEST(test_reference__offsets_that_do_not_fit_are_refused),
      TEST(test_reference__rows_must_ascend),
      TEST(test_reference__views_must_fit),
      TEST(test_reference__overlap_is_refused_but_in_place_is_not),
      TEST(test_reference__verdicts_name_the_attribute),
      TEST(test_reference__short_op_is_refused),
      TEST(test_reference__refused_op_writes_nothing),
      TEST(test_reference__every_kind_refuses_unbound_views),
  };
  return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
