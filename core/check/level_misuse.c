/* Level 2, the rules around ops: what must not be run (unknown ops, views that break a rule, ids out of range), and extents. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "check/check_test.h"
#include "check/operands.h"
#include "model/ops.h"

/* --------------------------------------------------------------- queries */

static void ask(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_op *op, uint32_t reason,
                const char *what) {
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_check_must(out, rig->tested.backend->op_query(rig->tested.device, op, &verdict, &err), &err, what))
    return;
  verdict.text[sizeof verdict.text - 1] = '\0';
  if (reason == PLM_REASON_NONE) {
    if (verdict.status != PLM_VERDICT_SUPPORTED)
      plm_check_fail(out, "%s: declined: %s", what, verdict.text);
    return;
  }
  if (verdict.status != PLM_VERDICT_UNSUPPORTED)
    plm_check_fail(out, "%s: status %" PRIu32 ", must be PLM_VERDICT_UNSUPPORTED", what, verdict.status);
  else if (verdict.reason != reason)
    plm_check_fail(out, "%s: declined with reason %" PRIu32 ", must be %" PRIu32, what, verdict.reason, reason);
  else if (!verdict.text[0])
    plm_check_fail(out, "%s: declined without a text", what);
}

static void test_queries(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_op op = {.struct_size = sizeof op, .kind = PLM_OP_ADD, .type = PLM_TYPE_F32};
  (void)entry;
  op.u.add.rows.count = 4;
  op.u.add.width = 4;
  ask(out, rig, &op, PLM_REASON_NONE, "op_query of add");
  op.flags = 1u << 31;
  ask(out, rig, &op, PLM_REASON_FLAG, "op_query of a flag that no version has");
  op.flags = PLM_FLAG_BIAS;
  ask(out, rig, &op, PLM_REASON_FLAG, "op_query of add with a flag of linear");
  op.flags = 0;
  op.type = PLM_TYPE_I32;
  ask(out, rig, &op, PLM_REASON_TYPE, "op_query of add on integers");
  op.type = PLM_TYPE_F32;
  op.kind = 60000;
  ask(out, rig, &op, PLM_REASON_UNKNOWN_OP, "op_query of op 60000");
  op.kind = 0;
  ask(out, rig, &op, PLM_REASON_UNKNOWN_OP, "op_query of op 0");
}

/* The same ops, sent without asking: an error, and the queue goes on. */
static void test_unknown(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  static const uint32_t kinds[] = {0, PLM_OP_COUNT, 60000, UINT32_MAX};
  (void)entry;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    struct plm_op op = {.struct_size = sizeof op, .kind = kinds[i], .type = PLM_TYPE_F32};
    struct plm_error err = PLM_ERROR_INIT;
    int code = rig->tested.backend->op_run(rig->tested.queue, &op, &err);
    if (!code)
      code = rig->tested.backend->queue_finish(rig->tested.queue, &err);
    if (!code)
      plm_check_fail(out, "op_run of op %" PRIu32 " succeeds", kinds[i]);
    struct plm_error after = PLM_ERROR_INIT;
    plm_check_must(out, rig->tested.backend->queue_finish(rig->tested.queue, &after), &after,
                   "queue_finish after a failure that was reported");
  }
}

/* ----------------------------------------------------------------- views */

enum bend { TOO_SMALL, MISALIGNED, PAST_THE_END, UNBOUND, WRONG_TYPE, BENDS };
static const char *const bend_words[BENDS] = {"4 bytes too small", "misaligned", "past the end of its buffer",
                                              "not bound to a buffer", "of another type"};

struct bending {
  const struct plm_operand *operand;
  enum bend bend;
};

static void bend_view(struct plm_op *op, void *context) {
  const struct bending *bending = context;
  struct plm_view *view = plm_operand_view(bending->operand, op);
  switch (bending->bend) {
  case TOO_SMALL:
    view->bytes -= 4;
    break;
  case MISALIGNED:
    view->offset += bending->operand->align == 4 ? 2 : 4;
    break;
  case PAST_THE_END:
    view->offset += (uint64_t)1 << 30;
    break;
  case UNBOUND:
    view->buffer = NULL;
    break;
  default:
    view->type = view->type == PLM_TYPE_F32 ? PLM_TYPE_I32 : PLM_TYPE_F32;
  }
}

/* A small variant of each op with every operand present and nothing in place. */
static struct plm_case *small_case(struct plm_check_outcome *out, uint32_t kind, uint64_t seed) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_case *c = NULL;
  uint32_t variant = 1;
  int code = 0;
  if (kind == PLM_OP_REDUCE_SUM)
    code = plm_case_find(&variant, kind, "7 weighted", &err);
  else if (kind == PLM_OP_SOFTMAX_LOSS)
    code = plm_case_find(&variant, kind, "5x33 spread 1 gradient", &err);
  if (!code)
    code = plm_case_make(&c, kind, variant, seed, &err);
  plm_check_must(out, code, &err, "making the case");
  return c;
}

/* Whether the backend takes the op at all: one that it declines is failed by its own cases, not by how it is misused. */
static int is_taken(struct plm_verdict *verdict, struct plm_check_outcome *out, struct plm_check_rig *rig,
                    const struct plm_case *c) {
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_check_must(out, plm_case_query(verdict, c, &rig->tested, &err), &err, "op_query"))
    return 0;
  if (verdict->status == PLM_VERDICT_SUPPORTED)
    return 1;
  out->status = PLM_CHECK_DECLINED;
  snprintf(out->text, sizeof out->text, "%.*s", (int)sizeof verdict->text, verdict->text);
  return 0;
}

/* After misuse the queue works as before. */
static void still_works(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_case *c,
                        const char *after) {
  struct plm_check_outcome again;
  if (out->status != PLM_CHECK_PASSED)
    return;
  plm_check_case(&again, c, &rig->tested, &rig->oracle);
  if (again.status == PLM_CHECK_FAILED)
    plm_check_fail(out, "after %s the same op, asked properly, fails: %.300s", after, again.text);
}

static void misuse_view(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_case *c,
                        const struct plm_verdict *verdict, struct bending bending) {
  struct plm_misuse misuse = {.bend = bend_view, .context = &bending, .error = PLM_ERROR_INIT};
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_result result = {0};
  if (plm_check_must(out, plm_case_misuse(&result, &misuse, c, &rig->tested, verdict, &err), &err, "buffers"))
    return;
  const char *name = bending.operand->name, *word = bend_words[bending.bend];
  if (result.damage[0])
    plm_check_fail(out, "view %s %s: %s", name, word, result.damage);
  if (!misuse.code)
    plm_check_fail(out, "view %s %s: op_run succeeds, must be PLM_E_INVALID", name, word);
  else if (misuse.code != PLM_E_INVALID)
    plm_check_fail(out, "view %s %s: error %d (%s), must be PLM_E_INVALID", name, word, misuse.code, misuse.error.text);
  plm_result_fini(&result);
}

/* variant: the op's id less 1. Each of its views with each fault is refused, and nothing outside the outputs is touched. */
static void test_views(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_case *c = small_case(out, entry->variant + 1, entry->seed);
  struct plm_verdict verdict;
  if (!c)
    return;
  if (is_taken(&verdict, out, rig, c))
    for (uint32_t k = 0; k < c->count && out->status == PLM_CHECK_PASSED; k++)
      for (enum bend bend = 0; bend < BENDS && out->status == PLM_CHECK_PASSED; bend++)
        if (c->operands[k].count)
          misuse_view(out, rig, c, &verdict, (struct bending){&c->operands[k], bend});
  if (out->status == PLM_CHECK_FAILED) {
    char text[PLM_CHECK_TEXT];
    memcpy(text, out->text, sizeof text);
    snprintf(out->text, sizeof out->text, "%s: %.450s", plm_op_name(c->op.kind), text);
  }
  still_works(out, rig, c, "views that were refused");
  plm_case_destroy(c);
}

/* -------------------------------------------------------------- contents */

/* Integer inputs and what must not be followed: out of range, negative, not ascending. */
static const struct {
  uint32_t kind;
  const char *name;
  uint32_t base; /* variant */
} indexed[] = {
    {PLM_OP_EMBED, "tokens", 3},        {PLM_OP_EMBED_GRAD, "tokens", 3},   {PLM_OP_ROTARY, "positions", 7},
    {PLM_OP_ATTENTION, "offsets", 5},   {PLM_OP_GATHER_ROWS, "index", 3},   {PLM_OP_SCATTER_ROWS, "index", 3},
    {PLM_OP_SOFTMAX_LOSS, "targets", 3}, {PLM_OP_RECORD, "index", 1},       {PLM_OP_ATTENTION_GRAD, "offsets", 5},
};
#define INDEXED (sizeof indexed / sizeof *indexed)

static const struct {
  int32_t value;
  const char *word;
} wrong_ids[] = {{1 << 20, "far too large"}, {-1, "-1"}, {INT32_MAX, "2^31-1"}, {INT32_MIN, "-2^31"}};

static void keep_op(struct plm_op *op, void *context) { (void)op, (void)context; }

/*
 * The header: contents that break a rule may be refused or may give any outputs, but nothing is written outside the outputs and
 * the queue stays usable.
 */
static void test_contents(struct plm_check_outcome *out, struct plm_check_rig *rig,
                          const struct plm_check_entry *entry) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_case *c = NULL;
  struct plm_verdict verdict;
  const uint32_t kind = indexed[entry->variant].kind;
  if (plm_check_must(out, plm_case_make(&c, kind, indexed[entry->variant].base, entry->seed, &err), &err, "the case"))
    return;
  const struct plm_operand *ids = plm_operand_find(c, indexed[entry->variant].name);
  int32_t *values = ids->data;
  const int taken = is_taken(&verdict, out, rig, c);
  for (size_t i = 0; i < sizeof wrong_ids / sizeof *wrong_ids && taken && out->status == PLM_CHECK_PASSED; i++) {
    struct plm_misuse misuse = {.bend = keep_op, .error = PLM_ERROR_INIT};
    struct plm_result result = {0};
    const int32_t kept = values[ids->count / 2];
    values[ids->count / 2] = wrong_ids[i].value;
    if (!plm_check_must(out, plm_case_misuse(&result, &misuse, c, &rig->tested, &verdict, &err), &err, "the buffers") &&
        result.damage[0])
      plm_check_fail(out, "%s with one of its %s %s: %s", plm_op_name(kind), ids->name, wrong_ids[i].word,
                     result.damage);
    plm_result_fini(&result);
    values[ids->count / 2] = kept;
  }
  still_works(out, rig, c, "ids out of range");
  plm_case_destroy(c);
}

/* --------------------------------------------------------------- extents */

/*
 * A program asks once, for the largest extents that will come, and runs with whatever a batch has: variant: the op's id less 1,
 * asked for five times its rows and run in the workspace of that answer.
 */
static void test_extents(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_case *c = small_case(out, entry->variant + 1, entry->seed);
  struct plm_verdict large;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_result result = {0};
  struct plm_judgement judgement;
  uint32_t count;
  if (!c)
    return;
  struct plm_case asked = *c;
  struct plm_extent *extents = plm_op_extents(&asked.op, &count);
  for (uint32_t i = 0; i < count; i++)
    extents[i].count *= 5;
  if (is_taken(&large, out, rig, &asked) &&
      !plm_check_must(out, plm_case_run(&result, c, &rig->tested, &large, &err), &err, plm_op_name(c->op.kind)) &&
      !plm_check_must(out, plm_case_confirm(&judgement, c, &result, &rig->oracle, &err), &err, "the reference")) {
    out->worst = judgement.worst;
    if (result.damage[0] || judgement.wrong)
      plm_check_fail(out, "%s with fewer rows than it was asked for: %.300s", plm_op_name(c->op.kind),
                     result.damage[0] ? result.damage : judgement.text);
  }
  plm_result_fini(&result);
  plm_case_destroy(c);
}

const struct plm_check_test plm_check_tests_misuse[] = {
    {2, "queries", 1, PLM_NEED_SIDES, 0, 0, "unknown ids, flags and types are declined with the reason", test_queries},
    {2, "unknown", 1, PLM_NEED_SIDES, 0, 0, "unknown ops are refused, the queue goes on", test_unknown},
    {2, "extents", PLM_OP_COUNT - 1, PLM_NEED_SIDES, 0, 0, "fewer rows than asked for (variant: op id less 1)", test_extents},
    {2, "views", PLM_OP_COUNT - 1, PLM_NEED_SIDES, 0, 0, "views that break a rule are refused (variant: op id less 1)",
     test_views},
    {2, "contents", INDEXED, PLM_NEED_SIDES, 0, 0, "ids out of range do no harm (variant: place in a list of ops)",
     test_contents},
};
const uint32_t plm_check_tests_misuse_count = sizeof plm_check_tests_misuse / sizeof *plm_check_tests_misuse;
