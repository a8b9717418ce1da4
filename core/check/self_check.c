#include "check/self_check.h"

#include <math.h>
#include <time.h>

#include "check/case_shaped.h"
#include "model/distinct.h"

#define FLOATS (1u << 19) /* in the rows of a large case: nearly a micro-batch of a small model, tens of milliseconds */
#define WORK 1e7          /* multiply-adds that the reference does for a case */
#define SEED 20240611u    /* the cases of a shape are always the same */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

struct look {
  const struct plm_side *tested, *reference;
  const struct plm_self_check_options *options;
  struct plm_self_check found;
};

/* The message about a wrong op, its inputs kept for another look. */
static int refuse(const struct look *look, const struct plm_case *c, const char *why, struct plm_error *err) {
  struct plm_error unsaved = PLM_ERROR_INIT;
  char title[PLM_OP_TEXT], shape[PLM_OP_TEXT];
  plm_op_title(title, &c->op);
  plm_op_shape(shape, &c->op);
  if (plm_case_save(c, look->options->case_path, "a self-check before a run", &unsaved))
    plm_error_set(err, PLM_E_WRONG, "self-check: \"%s\" computes wrong and is not used: %s %s: %.300s (its inputs are lost: %.200s)",
                  look->options->device, title, shape, why, unsaved.text);
  else
    plm_error_set(err, PLM_E_WRONG,
                  "self-check: \"%s\" computes wrong and is not used: %s %s: %.300s; replay: plmscale check %s --replay %s",
                  look->options->device, title, shape, why, look->options->device, look->options->case_path);
  err->op_kind = c->op.kind;
  return PLM_E_WRONG;
}

static int judge(struct look *look, const struct plm_case *c, const struct plm_result *got, struct plm_error *err) {
  struct plm_judgement judgement;
  if (got->damage[0])
    return refuse(look, c, got->damage, err);
  int code = plm_case_confirm_part(&judgement, c, got, look->reference, WORK, err);
  if (code)
    return code;
  look->found.cases++;
  look->found.worst = fmax(look->found.worst, judgement.worst);
  return judgement.wrong ? refuse(look, c, judgement.text, err) : 0;
}

static int check_op(struct look *look, const struct plm_op *op, int whole, struct plm_error *err) {
  const struct plm_case_shape shape = plm_case_shape_of(op, whole, FLOATS);
  struct plm_case *c = NULL;
  struct plm_result got = {0};
  struct plm_verdict verdict;
  int code = plm_case_shaped(&c, op, &shape, SEED, look->tested, err);
  if (code)
    return code;
  code = plm_case_query(&verdict, c, look->tested, err);
  if (!code && verdict.status != PLM_VERDICT_SUPPORTED)
    code = refuse(look, c, "op_query took it at the capacity and declines it at fewer rows", err);
  if (!code)
    code = plm_case_run(&got, c, look->tested, &verdict, err);
  if (!code)
    code = judge(look, c, &got, err);
  plm_result_fini(&got);
  plm_case_destroy(c);
  return code;
}

/* A few rows by a large matrix of weights are as dear as many rows, and tell less. */
static int weighty(const struct plm_op *op) {
  const uint64_t linear = (uint64_t)op->u.linear.in * op->u.linear.out;
  const uint64_t input = (uint64_t)op->u.linear_grad_input.in * op->u.linear_grad_input.out;
  const uint64_t weight = (uint64_t)op->u.linear_grad_weight.in * op->u.linear_grad_weight.out;
  return (op->kind == PLM_OP_LINEAR ? linear
          : op->kind == PLM_OP_LINEAR_GRAD_INPUT ? input
          : op->kind == PLM_OP_LINEAR_GRAD_WEIGHT ? weight : 0) > FLOATS;
}

int plm_self_check_run(struct plm_self_check *out, const struct plm_model *model, const struct plm_side *tested,
                       const struct plm_side *reference, const struct plm_self_check_options *options,
                       struct plm_error *err) {
  struct look look = {.tested = tested, .reference = reference, .options = options};
  struct plm_distinct distinct;
  double start = now();
  int code = plm_distinct_init(&distinct, model, options->masked, err);
  if (code)
    return code;
  for (uint32_t i = 0; i < distinct.count && !code; i++)
    for (int whole = weighty(&distinct.ops[i]); whole < 2 && !code; whole++)
      code = check_op(&look, &distinct.ops[i], whole, err);
  plm_distinct_fini(&distinct);
  look.found.seconds = now() - start;
  if (!code)
    *out = look.found;
  return code;
}
