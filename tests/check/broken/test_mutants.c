/*
 * The conformance cases watch every word: the reference backend is made wrong at one operand of one op in one way, for
 * every operand and every way, and some case of that op must see it.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/case.h"
#include "runtime/plugin.h"

enum way { DRIFTED, WRONG_FIRST, WRONG_LAST, KEPT_LAST, SWALLOWED, NOISE, PAST_END, BEFORE_START, INPUT_CHANGED, WAYS };
static const char *const way_names[WAYS] = {
    "all of it is off by 2^-14",
    "its first element is off",
    "its last element is off",
    "its last element is not written",
    "its NaN and infinities become 0",
    "a second run differs in one bit",
    "4 bytes past its end are written",
    "4 bytes before its start are written",
    "its first word, an input, is changed",
};

/* The mutation at work: what mutated_op_run does to one operand of the case that runs. */
static struct {
  const struct plm_case *c;
  const struct plm_operand *operand;
  enum way way;
  int runs, applied;
} mutant;

static struct plm_plugin *reference;

static int mutate_outside(struct plm_queue *queue, const struct plm_view *view, struct plm_error *err) {
  static const uint32_t word = 0x11223344u;
  const uint64_t at = mutant.way == PAST_END ? view->offset + view->bytes : view->offset - sizeof word;
  mutant.applied = 1;
  return reference->backend.buffer_write(queue, view->buffer, at, &word, sizeof word, err);
}

static float nudge(float x) { return isfinite(x) ? x * 1.01f + 0.001f : 1; }

/* Alters after[0..count), which was before; 1 when there was something to alter. */
static int mutate_words(float *after, const float *before, uint64_t count) {
  uint64_t first = count, last = count;
  int found = 0;
  for (uint64_t i = 0; i < count; i++)
    if (memcmp(&after[i], &before[i], sizeof *after)) {
      first = first == count ? i : first;
      last = i;
    }
  for (uint64_t i = 0; i < count && mutant.way == SWALLOWED; i++)
    if (!isfinite(after[i])) {
      after[i] = 0;
      found = 1;
    }
  if (mutant.way == SWALLOWED || first == count)
    return found;
  for (uint64_t i = first; i <= last && mutant.way == DRIFTED; i++)
    after[i] *= 1 + 0x1p-14f;
  if (mutant.way == WRONG_FIRST)
    after[first] = nudge(after[first]);
  if (mutant.way == WRONG_LAST)
    after[last] = nudge(after[last]);
  if (mutant.way == KEPT_LAST)
    after[last] = before[last];
  if (mutant.way == NOISE && mutant.runs % 2 == 0)
    ((unsigned char *)&after[last])[0] ^= 1;
  return 1;
}

static int mutate_output(struct plm_queue *queue, const struct plm_view *view, float *after, const float *before,
                         struct plm_error *err) {
  const int code = reference->backend.buffer_read(queue, view->buffer, view->offset, after, view->bytes, err);
  if (code || !mutate_words(after, before, view->bytes / 4))
    return code;
  mutant.applied = 1;
  return reference->backend.buffer_write(queue, view->buffer, view->offset, after, view->bytes, err);
}

static int mutated_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  const struct plm_view *view = (const struct plm_view *)(const void *)((const char *)op + mutant.operand->view);
  float *before = malloc(view->bytes + 4), *after = malloc(view->bytes + 4);
  assert_true(before && after);
  mutant.runs++;
  int code = reference->backend.buffer_read(queue, view->buffer, view->offset, before, view->bytes, err);
  if (!code)
    code = reference->backend.op_run(queue, op, err);
  if (!code && (mutant.way == PAST_END || mutant.way == BEFORE_START)) {
    code = mutate_outside(queue, view, err);
  } else if (!code && mutant.way == INPUT_CHANGED) {
    mutant.applied = 1;
    ((unsigned char *)before)[0] ^= 1;
    code = reference->backend.buffer_write(queue, view->buffer, view->offset, before, 4, err);
  } else if (!code) {
    code = mutate_output(queue, view, after, before, err);
  }
  free(before);
  free(after);
  return code;
}

/* ---------------------------------------------------------------- one op */

/* What became of the mutations of one operand over all cases of an op with these flags. */
struct fate {
  const char *name;
  uint32_t flags;
  int written;
  uint32_t applied[WAYS], caught[WAYS];
};

#define FATES 64
struct trial {
  struct plm_backend mutated;
  struct plm_side right, wrong; /* the reference as it is, and mutated */
  struct fate fates[FATES];
  uint32_t fate_count;
};

static void must(int code, const struct plm_error *err) {
  if (code)
    fail_msg("%s", err->text);
}

static struct fate *fate_of(struct trial *trial, const struct plm_case *c, const struct plm_operand *operand) {
  for (uint32_t i = 0; i < trial->fate_count; i++)
    if (trial->fates[i].flags == c->op.flags && !strcmp(trial->fates[i].name, operand->name))
      return &trial->fates[i];
  assert_true(trial->fate_count < FATES);
  trial->fates[trial->fate_count] =
      (struct fate){.name = operand->name, .flags = c->op.flags, .written = operand->access != PLM_ACCESS_READ};
  return &trial->fates[trial->fate_count++];
}

/* An input that an output is in place with may be written. */
static int is_shared(const struct plm_case *c, uint32_t at) {
  for (uint32_t k = 0; k < c->count; k++)
    if (c->operands[k].alias == (int32_t)at)
      return 1;
  return 0;
}

/* Whether the mutation makes sense for the operand and no case has caught it yet. */
static int is_open(struct trial *trial, const struct plm_case *c, uint32_t k, int way) {
  const struct fate *fate = fate_of(trial, c, &c->operands[k]);
  return (way == INPUT_CHANGED) != fate->written && !fate->caught[way] && c->operands[k].count > 0 &&
         !(way == INPUT_CHANGED && is_shared(c, k));
}

static int any_open(struct trial *trial, const struct plm_case *c) {
  for (uint32_t k = 0; k < c->count; k++)
    for (int way = 0; way < WAYS; way++)
      if (is_open(trial, c, k, way))
        return 1;
  return 0;
}

/* Whether the mutation now set up is seen by the case. */
static int is_caught(struct trial *trial, const struct plm_verdict *verdict, const struct plm_bounds *bounds,
                     const struct plm_result *expected) {
  const struct plm_case *c = mutant.c;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_result got = {.damage = ""}, again = {.damage = ""};
  struct plm_judgement judgement = {0};
  must(plm_case_run(&got, c, &trial->wrong, verdict, &err), &err);
  must(plm_case_run(&again, c, &trial->wrong, verdict, &err), &err);
  plm_case_judge(&judgement, c, bounds, &got, expected);
  const int caught = got.damage[0] != '\0' || judgement.wrong > 0 || plm_case_differs(c, &got, &again) != NULL;
  plm_result_fini(&got);
  plm_result_fini(&again);
  return caught;
}

/* Tries on one case every mutation that no case has caught yet. */
static void try_case(struct trial *trial, const struct plm_case *c) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_verdict verdict = {.struct_size = sizeof verdict};
  struct plm_result expected = {.damage = ""};
  struct plm_bounds bounds = {0};
  if (!any_open(trial, c))
    return;
  must(plm_case_query(&verdict, c, &trial->right, &err), &err);
  must(plm_case_run(&expected, c, &trial->right, &verdict, &err), &err);
  must(plm_bounds_init(&bounds, c, &err), &err);
  for (uint32_t k = 0; k < c->count; k++)
    for (int way = 0; way < WAYS; way++) {
      if (!is_open(trial, c, k, way))
        continue;
      struct fate *fate = fate_of(trial, c, &c->operands[k]);
      mutant.c = c;
      mutant.operand = &c->operands[k];
      mutant.way = (enum way)way;
      mutant.runs = mutant.applied = 0;
      fate->caught[way] += (uint32_t)is_caught(trial, &verdict, &bounds, &expected);
      fate->applied[way] += mutant.applied != 0;
    }
  plm_bounds_fini(&bounds);
  plm_result_fini(&expected);
}

/* No case has what the mutation needs: hostile values of hidden pairs, of which the definition of the gradient says nothing. */
static int is_left_open(uint32_t kind, const struct fate *fate, int way) {
  return kind == PLM_OP_ATTENTION_GRAD && (fate->flags & PLM_FLAG_CAUSAL) && way == SWALLOWED && !fate->applied[way];
}

static uint32_t survivors(const struct trial *trial, uint32_t kind) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < trial->fate_count; i++)
    for (int way = 0; way < WAYS; way++) {
      const struct fate *fate = &trial->fates[i];
      if ((way == INPUT_CHANGED) == fate->written || fate->caught[way] || is_left_open(kind, fate, way))
        continue;
      print_error("%s, flags 0x%x: operand \"%s\": %s: seen by none of the %u cases that had it\n", plm_op_name(kind),
                  fate->flags, fate->name, way_names[way], fate->applied[way]);
      count++;
    }
  return count;
}

static void test_mutants__some_case_sees_each_wrong_word_of_each_op(void **state) {
  (void)state;
  uint32_t alive = 0, tried = 0;
  struct plm_error err = PLM_ERROR_INIT;
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++) {
    struct trial trial = {.mutated = reference->backend};
    trial.mutated.op_run = mutated_op_run;
    must(plm_side_open(&trial.right, &reference->backend, 0, &err), &err);
    must(plm_side_open(&trial.wrong, &trial.mutated, 0, &err), &err);
    const uint32_t variants = plm_case_variants(kind), hostile = plm_case_hostile(kind);
    for (uint32_t i = 0; i < variants; i++) {
      struct plm_case *c = NULL;
      /* The hostile ones first: then nothing is left to be seen by the large ones. */
      must(plm_case_make(&c, kind, (i + variants - hostile) % variants, 1, &err), &err);
      try_case(&trial, c);
      plm_case_destroy(c);
    }
    alive += survivors(&trial, kind);
    tried += trial.fate_count;
    plm_side_close(&trial.wrong);
    plm_side_close(&trial.right);
  }
  assert_int_equal(alive, 0);
  assert_true(tried >= 2 * (PLM_OP_COUNT - 1) - 1); /* every op but fill has an input and an output */
}

static int setup(void **state) {
  struct plm_error err = PLM_ERROR_INIT;
  (void)state;
  must(plm_plugin_load(&reference, REFERENCE_PATH, NULL, 0, 1, &err), &err);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  plm_plugin_destroy(reference);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutants__some_case_sees_each_wrong_word_of_each_op)};
  return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
