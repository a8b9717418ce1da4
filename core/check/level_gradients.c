/* Level 3: gradients against finite differences of the tested backend's own forward ops, and many steps of the optimizer. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "check/check_test.h"
#include "check/operands.h"

/* 1: ran on the tested side, without damage. A decline is noted in *out. */
static int run_tested(struct plm_check_outcome *out, struct plm_result *result, const struct plm_case *c,
                      const struct plm_side *side) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_verdict verdict;
  if (plm_check_must(out, plm_case_query(&verdict, c, side, &err), &err, "op_query"))
    return 0;
  if (verdict.status != PLM_VERDICT_SUPPORTED) {
    if (!c->optional_flags)
      return !plm_check_fail(out, "declines %s, which is required: %s", plm_op_name(c->op.kind), verdict.text);
    out->status = PLM_CHECK_DECLINED;
    snprintf(out->text, sizeof out->text, "%s", verdict.text);
    return 0;
  }
  if (plm_check_must(out, plm_case_run(result, c, side, &verdict, &err), &err, plm_op_name(c->op.kind)))
    return 0;
  return result->damage[0] ? !plm_check_fail(out, "%s: %s", plm_op_name(c->op.kind), result->damage) : 1;
}

static const float *result_of(const struct plm_result *result, const struct plm_case *c, const char *name) {
  return result->data[plm_operand_find(c, name) - c->operands];
}

/* ------------------------------------------------------ finite differences */

/*
 * loss = sum of r*y. gradient is an op that takes r as its input named seed and gives the gradients named in wrt; shared are the
 * operands that it has from the forward op. seed NULL: the forward op makes the gradient of the sum of its own output.
 */
struct pair {
  const char *what;
  uint32_t forward;
  const char *forward_label;
  uint32_t gradient;
  const char *gradient_label;
  const char *y, *seed;
  struct {
    const char *input, *gradient;
  } wrt[3];
  struct {
    const char *from, *to;
  } shared[6];
};

#define ATTENTION_SHARED {{"qkv", "qkv"}, {"offsets", "offsets"}, {"positions", "positions"}, {"cosine", "cosine"}, {"sine", "sine"}}

static const struct pair pairs[] = {
    {"linear by its input", PLM_OP_LINEAR, "63x64x65", PLM_OP_LINEAR_GRAD_INPUT, "63x64x65",
     "y", "dy", {{"x", "dx"}}, {{"w", "w"}}},
    {"linear by its weights", PLM_OP_LINEAR, "100x97x129", PLM_OP_LINEAR_GRAD_WEIGHT, "100x97x129",
     "y", "dy", {{"w", "dw"}}, {{"x", "x"}}},
    {"bias", PLM_OP_BIAS, "61x67", PLM_OP_BIAS_GRAD, "61x67",
     "y", "dy", {{"bias", "dbias"}}, {{0}}},
    {"gelu", PLM_OP_GELU, "5x127", PLM_OP_GELU_GRAD, "5x127",
     "y", "dy", {{"x", "dx"}}, {{"x", "x"}}},
    {"embed", PLM_OP_EMBED, "T=257 V=33 D=20", PLM_OP_EMBED_GRAD, "T=257 V=33 D=20",
     "y", "dy", {{"table", "dtable"}},
     {{"tokens", "tokens"}, {"scale", "scale"}}},
    {"layer_norm", PLM_OP_LAYER_NORM, "64x64 mean 0 spread 1", PLM_OP_LAYER_NORM_GRAD, "64x64 mean 0 spread 1",
     "y", "dy",
     {{"x", "dx"}, {"gamma", "dgamma"}, {"beta", "dbeta"}},
     {{"x", "x"}, {"gamma", "gamma"}, {"mean", "mean"}, {"rstd", "rstd"}}},
    {"rotary", PLM_OP_ROTARY, "tails", PLM_OP_ROTARY, "tails inverse",
     "qkv", "qkv", {{"qkv", "qkv"}},
     {{"positions", "positions"}, {"cosine", "cosine"}, {"sine", "sine"}}},
    {"attention", PLM_OP_ATTENTION, "head of 6", PLM_OP_ATTENTION_GRAD, "head of 6",
     "o", "d_o", {{"qkv", "dqkv"}}, ATTENTION_SHARED},
    {"attention with rotary", PLM_OP_ATTENTION, "head of 6 rotary", PLM_OP_ATTENTION_GRAD, "head of 6 rotary",
     "o", "d_o", {{"qkv", "dqkv"}},
     ATTENTION_SHARED},
    {"attention, causal", PLM_OP_ATTENTION, "head of 6 causal", PLM_OP_ATTENTION_GRAD, "head of 6 causal",
     "o", "d_o", {{"qkv", "dqkv"}},
     ATTENTION_SHARED},
    {"gather_rows", PLM_OP_GATHER_ROWS, "39 of 257 rows of 20", PLM_OP_SCATTER_ROWS, "39 to 257 rows of 20",
     "y", "x", {{"x", "y"}}, {{"index", "index"}}},
    {"softmax_loss", PLM_OP_SOFTMAX_LOSS, "257x33 spread 3 gradient", PLM_OP_SOFTMAX_LOSS, "257x33 spread 3 gradient",
     "loss", NULL, {{"logits", "dlogits"}},
     {{"logits", "logits"}, {"targets", "targets"}, {"scale", "scale"}}},
};
#define PAIRS (sizeof pairs / sizeof *pairs)

struct difference {
  const struct pair *pair;
  struct plm_case *forward, *gradient;
  struct plm_bounds bounds;         /* of the forward op */
  struct plm_result value, slopes;  /* of the forward op at the point, and of the gradient op */
  double seed_scale;                /* softmax_loss: what its scale makes of the sum */
};

/* The weight of output j in the loss. */
static double weight_of(const struct difference *d, uint64_t j) {
  return d->pair->seed ? (double)plm_operand_f32(d->gradient, d->pair->seed)[j] : d->seed_scale;
}

static void share(struct difference *d) {
  for (uint32_t k = 0; k < d->gradient->count; k++) /* gradients that are added to begin at 0 */
    if (d->gradient->operands[k].access == PLM_ACCESS_UPDATE && d->gradient->op.kind != PLM_OP_ROTARY)
      memset(d->gradient->operands[k].data, 0, (size_t)d->gradient->operands[k].count * 4);
  for (uint32_t i = 0; i < 6 && d->pair->shared[i].from; i++) {
    if (!plm_operand_i32(d->forward, d->pair->shared[i].from))
      continue; /* the tables of rotary, where there is none */
    const struct plm_operand *from = plm_operand_find(d->forward, d->pair->shared[i].from);
    const struct plm_operand *to = plm_operand_find(d->gradient, d->pair->shared[i].to);
    const void *data = from->access == PLM_ACCESS_READ ? from->data : d->value.data[from - d->forward->operands];
    memcpy(to->data, data, (size_t)to->count * 4);
  }
  if (d->gradient->op.kind == PLM_OP_ATTENTION_GRAD) {
    const struct plm_operand *o = plm_operand_find(d->gradient, "o"), *lse = plm_operand_find(d->gradient, "lse");
    memcpy(o->data, result_of(&d->value, d->forward, "o"), (size_t)o->count * 4);
    memcpy(lse->data, result_of(&d->value, d->forward, "lse"), (size_t)lse->count * 4);
  }
  if (!d->pair->seed)
    d->seed_scale = plm_operand_f32(d->forward, "scale")[0];
}

/* The loss with input moved by h along the direction; the input is as before afterwards. */
static double loss_at(struct plm_check_outcome *out, const struct plm_check_rig *rig, const struct difference *d,
                      const struct plm_operand *input, const float *direction, double h) {
  float *x = input->data, *kept = plm_memory_zeroed((size_t)input->count, sizeof *kept);
  struct plm_result result = {0};
  double loss = NAN;
  if (!kept) {
    plm_check_fail(out, "out of memory");
    return loss;
  }
  memcpy(kept, x, (size_t)input->count * sizeof *x);
  for (uint64_t i = 0; i < input->count; i++)
    x[i] = (float)(x[i] + h * direction[i]);
  if (run_tested(out, &result, d->forward, &rig->tested)) {
    const float *y = result_of(&result, d->forward, d->pair->y);
    loss = 0;
    for (uint64_t j = 0; j < plm_operand_find(d->forward, d->pair->y)->count; j++)
      loss += weight_of(d, j) * y[j];
  }
  memcpy(x, kept, (size_t)input->count * sizeof *x);
  free(kept);
  plm_result_fini(&result);
  return loss;
}

/* What rounding of the outputs may add to a difference: independent errors, each as large as the error model allows. */
static double noise_of(const struct difference *d) {
  const struct plm_operand *y = plm_operand_find(d->forward, d->pair->y);
  double squares = 0;
  for (uint64_t j = 0; j < y->count; j++) {
    const double error = weight_of(d, j) * plm_bounds_allowed(&d->bounds, (uint32_t)(y - d->forward->operands), j);
    squares += error * error;
  }
  return sqrt(squares);
}

#define STEP 0x1p-7

/*
 * The slope along one direction. sparse 0: all elements at once; else the elements whose place modulo sparse is 0, the
 * first and the last, where edges go wrong.
 */
static void compare_slope(struct plm_check_outcome *out, const struct plm_check_rig *rig, const struct difference *d,
                          uint32_t which, uint32_t sparse, uint64_t seed) {
  const struct plm_operand *input = plm_operand_find(d->forward, d->pair->wrt[which].input);
  const float *gradient = result_of(&d->slopes, d->gradient, d->pair->wrt[which].gradient);
  float *direction = plm_memory_zeroed((size_t)input->count, sizeof *direction);
  double expected = 0, squares = 0;
  if (!direction) {
    plm_check_fail(out, "out of memory");
    return;
  }
  plm_rng_normal(direction, input->count, 1, seed, PLM_RNG_TEST, 9000 + which, sparse);
  for (uint64_t i = 0; i < input->count; i++) {
    if (sparse && i % sparse && i + 1 != input->count)
      direction[i] = 0;
    expected += (double)gradient[i] * direction[i];
    squares += (double)gradient[i] * direction[i] * gradient[i] * direction[i];
  }
  const double above = loss_at(out, rig, d, input, direction, STEP);
  const double below = loss_at(out, rig, d, input, direction, -STEP);
  const double slope = (above - below) / (2 * STEP);
  const double allowed = 4e-3 * sqrt(squares) + 1e-6 + noise_of(d) / STEP;
  free(direction);
  if (out->status != PLM_CHECK_PASSED)
    return;
  out->worst = fmax(out->worst, fabs(slope - expected) / allowed);
  if (!(fabs(slope - expected) <= allowed))
    plm_check_fail(out, "the gradient by %s says %.6g along a direction of every %" PRIu32 ". element, the finite "
                        "difference of the forward op %.6g, allowed %.2g",
                   d->pair->wrt[which].input, expected, sparse ? sparse : 1, slope, allowed);
}

/* variant: place in the list of pairs. */
static void test_differences(struct plm_check_outcome *out, struct plm_check_rig *rig,
                             const struct plm_check_entry *entry) {
  static const uint32_t directions[] = {0, 7, 101};
  struct difference d = {.pair = &pairs[entry->variant]};
  struct plm_error err = PLM_ERROR_INIT;
  uint32_t forward = 0, gradient = 0;
  int code = plm_case_find(&forward, d.pair->forward, d.pair->forward_label, &err);
  if (!code)
    code = plm_case_find(&gradient, d.pair->gradient, d.pair->gradient_label, &err);
  if (!code)
    code = plm_case_make(&d.forward, d.pair->forward, forward, entry->seed, &err);
  if (!code)
    code = plm_case_make(&d.gradient, d.pair->gradient, gradient, entry->seed + 1, &err);
  if (!code)
    code = plm_bounds_init(&d.bounds, d.forward, &err);
  if (!plm_check_must(out, code, &err, "the cases") && run_tested(out, &d.value, d.forward, &rig->tested)) {
    share(&d);
    if (run_tested(out, &d.slopes, d.gradient, &rig->tested))
      for (uint32_t w = 0; w < 3 && d.pair->wrt[w].input; w++)
        for (size_t i = 0; i < sizeof directions / sizeof *directions && out->status == PLM_CHECK_PASSED; i++)
          compare_slope(out, rig, &d, w, directions[i], entry->seed);
  }
  if (out->status == PLM_CHECK_FAILED) {
    char text[PLM_CHECK_TEXT];
    memcpy(text, out->text, sizeof text);
    snprintf(out->text, sizeof out->text, "%s: %.450s", d.pair->what, text);
  }
  plm_bounds_fini(&d.bounds);
  plm_result_fini(&d.slopes);
  plm_result_fini(&d.value);
  plm_case_destroy(d.gradient);
  plm_case_destroy(d.forward);
}

/* -------------------------------------------------------------- optimizer */

#define ADAM_STEPS 50u
#define ADAM_VARIANT 2u /* 1031 elements */

/* The state that the next step starts from. */
static void carry_on(const struct plm_case *c, const struct plm_result *result) {
  static const char *const names[] = {"params", "m", "v"};
  for (size_t i = 0; i < 3; i++) {
    const struct plm_operand *operand = plm_operand_find(c, names[i]);
    memcpy(operand->data, result_of(result, c, names[i]), (size_t)operand->count * 4);
  }
}

static void set_step(const struct plm_case *c, uint32_t step, const struct plm_check_entry *entry) {
  const struct plm_operand *grads = plm_operand_find(c, "grads");
  float *schedule = plm_operand_f32(c, "schedule"), *control = plm_operand_f32(c, "control");
  plm_rng_normal(grads->data, grads->count, step % 10 ? 1.0f : 30.0f, entry->seed, PLM_RNG_TEST, 9100, step);
  control[1] = 1;
  control[2] = step % 10 ? 1.0f : 0.05f; /* now and then a spike that is clipped */
  schedule[0] = (float)(1e-3 * (step < 10 ? step / 10.0 : 1));
  schedule[1] = (float)(1 - pow((double)c->op.u.adamw.beta1, step));
  schedule[2] = (float)(1 - pow((double)c->op.u.adamw.beta2, step));
}

/* Each side carries its own state on; what the error model allows adds up over the steps. */
static void adam_step(struct plm_check_outcome *out, const struct plm_check_rig *rig, struct plm_case *tested,
                      struct plm_case *reference, double *allowed[PLM_CASE_OPERANDS], uint32_t step) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_bounds bounds = {0};
  struct plm_result got = {0}, expected = {0};
  if (!run_tested(out, &got, tested, &rig->tested) || !run_tested(out, &expected, reference, &rig->oracle) ||
      plm_check_must(out, plm_bounds_init(&bounds, reference, &err), &err, "the error model"))
    goto out;
  for (uint32_t k = 0; k < tested->count; k++)
    for (uint64_t i = 0; got.data[k] && i < tested->operands[k].count; i++) {
      const float a = ((const float *)got.data[k])[i], b = ((const float *)expected.data[k])[i];
      allowed[k][i] += plm_bounds_allowed(&bounds, k, i);
      out->worst = fmax(out->worst, fabs((double)a - b) / allowed[k][i]);
      if (!(fabs((double)a - b) <= allowed[k][i])) {
        plm_check_fail(out, "after step %" PRIu32 " %s[%" PRIu64 "] is %.9g, the reference has %.9g, allowed error %.3g", step,
                       tested->operands[k].name, i, (double)a, (double)b, allowed[k][i]);
        goto out;
      }
    }
  carry_on(tested, &got);
  carry_on(reference, &expected);
out:
  plm_bounds_fini(&bounds);
  plm_result_fini(&got);
  plm_result_fini(&expected);
}

static void test_adamw_steps(struct plm_check_outcome *out, struct plm_check_rig *rig,
                             const struct plm_check_entry *entry) {
  struct plm_case *tested = NULL, *reference = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  double *allowed[PLM_CASE_OPERANDS] = {NULL};
  int code = plm_case_make(&tested, PLM_OP_ADAMW, ADAM_VARIANT, entry->seed, &err);
  if (!code)
    code = plm_case_make(&reference, PLM_OP_ADAMW, ADAM_VARIANT, entry->seed, &err);
  for (uint32_t k = 0; !code && k < tested->count; k++) {
    allowed[k] = plm_memory_zeroed((size_t)tested->operands[k].count, sizeof(double));
    code = allowed[k] ? 0 : plm_error_memory(&err, "the optimizer's state");
  }
  if (!plm_check_must(out, code, &err, "the cases")) {
    for (uint32_t i = 0; i < 2; i++) { /* moments begin at 0, as in training */
      const struct plm_case *c = i ? tested : reference;
      memset(plm_operand_f32(c, "m"), 0, (size_t)plm_operand_find(c, "m")->count * 4);
      memset(plm_operand_f32(c, "v"), 0, (size_t)plm_operand_find(c, "v")->count * 4);
    }
    for (uint32_t step = 1; step <= ADAM_STEPS && out->status == PLM_CHECK_PASSED; step++) {
      set_step(tested, step, entry);
      set_step(reference, step, entry);
      adam_step(out, rig, tested, reference, allowed, step);
    }
  }
  for (uint32_t k = 0; k < PLM_CASE_OPERANDS; k++)
    free(allowed[k]);
  plm_case_destroy(reference);
  plm_case_destroy(tested);
}

/* A gradient that is not finite, found by GRAD_NORM, makes ADAMW write nothing. variant: NaN, Inf, -Inf. */
static void test_skipped(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  static const float values[] = {NAN, INFINITY, -INFINITY};
  struct plm_case *norm = NULL, *adam = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_result found = {0}, after = {0};
  int code = plm_case_make(&norm, PLM_OP_GRAD_NORM, 2, entry->seed, &err);
  if (!code)
    code = plm_case_make(&adam, PLM_OP_ADAMW, ADAM_VARIANT, entry->seed, &err);
  if (plm_check_must(out, code, &err, "the cases"))
    goto out;
  plm_operand_f32(norm, "grads")[plm_operand_find(norm, "grads")->count - 1] = values[entry->variant];
  if (!run_tested(out, &found, norm, &rig->tested))
    goto out;
  const float *control = result_of(&found, norm, "out");
  if (control[1] != 0 || control[2] != 0 || isfinite(control[0]))
    plm_check_fail(out, "grad_norm of gradients with %g gives norm %g, finite %g, clip %g", (double)values[entry->variant],
                   (double)control[0], (double)control[1], (double)control[2]);
  memcpy(plm_operand_f32(adam, "control"), control, 16);
  if (!run_tested(out, &after, adam, &rig->tested))
    goto out;
  for (uint32_t k = 0; k < adam->count; k++)
    if (after.data[k] && memcmp(after.data[k], adam->operands[k].data, (size_t)adam->operands[k].count * 4))
      plm_check_fail(out, "adamw changes %s though the gradients were not finite", adam->operands[k].name);
out:
  plm_result_fini(&after);
  plm_result_fini(&found);
  plm_case_destroy(adam);
  plm_case_destroy(norm);
}

const struct plm_check_test plm_check_tests_gradients[] = {
    {3, "differences", PAIRS, PLM_NEED_SIDES, 0, 0, "gradients agree with finite differences (variant: place in a list of ops)",
     test_differences},
    {3, "adamw_steps", 1, PLM_NEED_SIDES, 0, 0, "50 steps of AdamW with warm-up, spikes and clipping", test_adamw_steps},
    {3, "skipped", 3, PLM_NEED_SIDES, 0, 0, "no update on gradients that are not finite (0 NaN, 1 Inf, 2 -Inf)",
     test_skipped},
};
const uint32_t plm_check_tests_gradients_count = sizeof plm_check_tests_gradients / sizeof *plm_check_tests_gradients;
