#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check/operands.h"

/* In units of what is allowed; at most 1 passes. */
static double error_of(double got, double expected, double magnitude, double allowed) {
  if (!isfinite(expected))
    return isfinite(got) ? INFINITY : 0;
  if (got == expected)
    return 0;
  if (!(magnitude <= FLT_MAX)) /* NaN too: the terms leave float's range though the result does not */
    return 0;
  if (!isfinite(got))
    return INFINITY;
  return allowed > 0 ? fabs(got - expected) / allowed : INFINITY;
}

void plm_judgement_write(struct plm_judgement *judgement, const char *operand, uint64_t element) {
  judgement->element = element;
  snprintf(judgement->text, sizeof judgement->text,
           "%s[%" PRIu64 "] = %.9g, the reference has %.9g, allowed error %.3g (%" PRIu64 " of %" PRIu64 " wrong)", operand,
           element, judgement->got, judgement->expected, judgement->allowed, judgement->operand_wrong,
           judgement->operand_checked);
}

static void judge_operand(struct plm_judgement *out, const struct plm_case *c, const struct plm_bounds *bounds,
                          uint32_t k, const float *got, const float *expected) {
  const int first = out->wrong == 0; /* operand with wrong elements */
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < c->operands[k].count; i++) {
    const double allowed = plm_bounds_allowed(bounds, k, i);
    const double magnitude = bounds->length[k] ? bounds->magnitude[k][i] : 0;
    const double error = error_of(got[i], expected[i], magnitude, allowed);
    out->worst = fmax(out->worst, error);
    if (error > 1 && wrong++ == 0 && first) {
      out->operand = k;
      out->element = i;
      out->got = got[i];
      out->expected = expected[i];
      out->allowed = allowed;
    }
  }
  out->checked += c->operands[k].count;
  out->wrong += wrong;
  if (!wrong || !first)
    return;
  out->operand_wrong = wrong;
  out->operand_checked = c->operands[k].count;
  plm_judgement_write(out, c->operands[k].name, out->element);
}

void plm_case_judge(struct plm_judgement *out, const struct plm_case *c, const struct plm_bounds *bounds,
                    const struct plm_result *got, const struct plm_result *expected) {
  *out = (struct plm_judgement){0};
  for (uint32_t k = 0; k < c->count; k++)
    if (c->operands[k].access != PLM_ACCESS_READ)
      judge_operand(out, c, bounds, k, got->data[k], expected->data[k]);
}

const char *plm_case_differs(const struct plm_case *c, const struct plm_result *a, const struct plm_result *b) {
  for (uint32_t k = 0; k < c->count; k++)
    if (a->data[k] && c->operands[k].count && memcmp(a->data[k], b->data[k], (size_t)c->operands[k].count * 4))
      return c->operands[k].name;
  return NULL;
}

int plm_case_confirm(struct plm_judgement *out, const struct plm_case *c, const struct plm_result *got,
                     const struct plm_side *reference, struct plm_error *err) {
  struct plm_verdict verdict;
  struct plm_bounds bounds = {0};
  struct plm_result expected = {0};
  int code = plm_case_query(&verdict, c, reference, err);
  if (!code && verdict.status != PLM_VERDICT_SUPPORTED)
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "the reference declines %s: %s", plm_op_name(c->op.kind), verdict.text);
  if (!code)
    code = plm_bounds_init(&bounds, c, err);
  if (!code)
    code = plm_case_run(&expected, c, reference, &verdict, err);
  if (!code)
    plm_case_judge(out, c, &bounds, got, &expected);
  plm_bounds_fini(&bounds);
  plm_result_fini(&expected);
  return code;
}
