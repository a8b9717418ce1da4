#include "check/check_case.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

#include "check/family.h"

int plm_check_fail(struct plm_check_outcome *out, const char *format, ...) {
  va_list args;
  if (out->status == PLM_CHECK_FAILED)
    return 1;
  out->status = PLM_CHECK_FAILED;
  va_start(args, format);
  vsnprintf(out->text, sizeof out->text, format, args);
  va_end(args);
  return 1;
}

/* 1: the side takes the case. Else *out says why not. */
static int takes(struct plm_check_outcome *out, struct plm_verdict *verdict, const struct plm_case *c,
                 const struct plm_side *side, const char *name) {
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_case_query(verdict, c, side, &err))
    return !plm_check_fail(out, "%s: op_query: error %d: %s", name, err.code, err.text);
  if (verdict->status == PLM_VERDICT_SUPPORTED)
    return 1;
  if (verdict->status != PLM_VERDICT_UNSUPPORTED)
    return !plm_check_fail(out, "%s: op_query answers with status %" PRIu32, name, verdict->status);
  if (!verdict->text[0])
    return !plm_check_fail(out, "%s: declines without a reason", name);
  if (!c->optional_flags)
    return !plm_check_fail(out, "%s: declines a required op: %s", name, verdict->text);
  out->status = PLM_CHECK_DECLINED;
  snprintf(out->text, sizeof out->text, "%s", verdict->text);
  return 0;
}

/* 0: ran, and wrote nothing but its outputs. */
static int runs(struct plm_check_outcome *out, struct plm_result *result, const struct plm_case *c,
                const struct plm_side *side, const struct plm_verdict *verdict, const char *name) {
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_case_run(result, c, side, verdict, &err))
    return plm_check_fail(out, "%s: error %d: %s", name, err.code, err.text);
  return result->damage[0] ? plm_check_fail(out, "%s: %s", name, result->damage) : 0;
}

static int repeats(struct plm_check_outcome *out, const struct plm_case *c, const struct plm_side *tested,
                   const struct plm_verdict *verdict, const struct plm_result *once) {
  struct plm_result twice = {0};
  const char *differs = NULL;
  int failed = runs(out, &twice, c, tested, verdict, "tested again");
  if (!failed)
    differs = plm_case_differs(c, once, &twice);
  if (differs)
    failed = plm_check_fail(out, "%s: a second run gives other bits, though the verdict says deterministic", differs);
  plm_result_fini(&twice);
  return !failed;
}

static void judge(struct plm_check_outcome *out, const struct plm_case *c, const struct plm_result *got,
                  const struct plm_result *expected) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_bounds bounds = {0};
  struct plm_judgement judgement;
  if (plm_bounds_init(&bounds, c, &err)) {
    plm_check_fail(out, "error model: %s", err.text);
    return;
  }
  plm_case_judge(&judgement, c, &bounds, got, expected);
  plm_bounds_fini(&bounds);
  out->worst = judgement.worst;
  if (judgement.wrong)
    plm_check_fail(out, "%s", judgement.text);
}

void plm_check_case(struct plm_check_outcome *out, const struct plm_case *c, const struct plm_side *tested,
                    const struct plm_side *reference) {
  struct plm_result got = {0}, expected = {0};
  struct plm_verdict verdict, reference_verdict;
  *out = (struct plm_check_outcome){.status = PLM_CHECK_PASSED};
  if (!takes(out, &verdict, c, tested, "tested") ||
      !takes(out, &reference_verdict, c, reference, "reference"))
    return;
  if (!runs(out, &got, c, tested, &verdict, "tested") &&
      (!verdict.deterministic || repeats(out, c, tested, &verdict, &got)) &&
      !runs(out, &expected, c, reference, &reference_verdict, "reference"))
    judge(out, c, &got, &expected);
  plm_result_fini(&got);
  plm_result_fini(&expected);
}

/* ------------------------------------------------------------- all cases */

struct tally {
  struct plm_check_counts counts;
  double worst;
};

static uint64_t elements(const struct plm_case *c) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < c->count; i++)
    count += c->operands[i].count;
  return count;
}

static int run_one(struct tally *tally, const struct plm_check_all *check, uint32_t kind, uint32_t variant,
                   const struct plm_side *tested, const struct plm_side *reference, struct plm_error *err) {
  struct plm_check_outcome outcome;
  struct plm_case *c = NULL;
  int code = plm_case_make(&c, kind, variant, check->seed, err);
  if (code)
    return code;
  if (check->elements_max && elements(c) > check->elements_max) {
    plm_case_destroy(c);
    return 0;
  }
  plm_check_case(&outcome, c, tested, reference);
  tally->counts.passed += outcome.status == PLM_CHECK_PASSED;
  tally->counts.failed += outcome.status == PLM_CHECK_FAILED;
  tally->counts.declined += outcome.status == PLM_CHECK_DECLINED;
  tally->worst = fmax(tally->worst, outcome.worst);
  if (outcome.status != PLM_CHECK_PASSED)
    fprintf(check->stream, "%s %s:%" PRIu32 "@%" PRIu64 " (%s): %s\n",
            outcome.status == PLM_CHECK_FAILED ? "FAIL" : "declined", plm_op_name(kind), variant, check->seed, c->label,
            outcome.text);
  plm_case_destroy(c);
  return 0;
}

static int run_family(struct plm_check_counts *total, const struct plm_check_all *check, uint32_t kind,
                      const struct plm_side *tested, const struct plm_side *reference, struct plm_error *err) {
  struct tally tally = {{0}, 0};
  int code = 0;
  for (uint32_t variant = 0; variant < plm_case_variants(kind) && !code; variant++)
    if (check->variant < 0 || (uint32_t)check->variant == variant)
      code = run_one(&tally, check, kind, variant, tested, reference, err);
  total->passed += tally.counts.passed;
  total->failed += tally.counts.failed;
  total->declined += tally.counts.declined;
  fprintf(check->stream,
          "%-20s %3" PRIu32 " passed, %" PRIu32 " failed, %" PRIu32 " declined; largest error %.3f of what is allowed\n",
          plm_op_name(kind), tally.counts.passed, tally.counts.failed, tally.counts.declined, tally.worst);
  return code;
}

int plm_check_all_cases(struct plm_check_counts *out, const struct plm_check_all *check, struct plm_error *err) {
  struct plm_check_counts counts = {0};
  struct plm_side tested = {0}, reference = {0};
  int code = plm_side_open(&tested, check->tested, check->device, err);
  if (!code)
    code = plm_side_open(&reference, check->reference, 0, err);
  for (uint32_t kind = 1; kind < PLM_OP_COUNT && !code; kind++)
    if (check->op == 0 || check->op == kind)
      code = run_family(&counts, check, kind, &tested, &reference, err);
  plm_side_close(&reference);
  plm_side_close(&tested);
  if (!code && counts.passed + counts.failed == 0)
    code = plm_error_set(err, PLM_E_INVALID, "conformance: no case ran (op %" PRIu32 ", case %" PRId32 ")", check->op,
                         check->variant);
  if (!code)
    *out = counts;
  return code;
}
