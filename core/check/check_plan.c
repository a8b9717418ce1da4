#include "check/check_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static const struct {
  const struct plm_check_test *tests;
  const uint32_t *count;
} groups[] = {
    {plm_check_tests_abi, &plm_check_tests_abi_count},
    {plm_check_tests_memory, &plm_check_tests_memory_count},
    {plm_check_tests_misuse, &plm_check_tests_misuse_count},
    {plm_check_tests_gradients, &plm_check_tests_gradients_count},
    {plm_check_tests_training, &plm_check_tests_training_count},
    {plm_check_tests_robust, &plm_check_tests_robust_count},
};
#define GROUPS (sizeof groups / sizeof *groups)

/* What a replay line names; name NULL: nothing is replayed. */
struct replay {
  uint32_t level, variant;
  uint64_t seed;
  char name[64];
};

static int replay_parse(struct replay *out, const char *text, struct plm_error *err) {
  char *end;
  const char *slash = strchr(text, '/'), *colon = strchr(text, ':'), *at = strchr(text, '@');
  out->name[0] = '\0';
  errno = 0;
  out->level = (uint32_t)strtoul(text, &end, 10);
  if (end == text || end != slash || !colon || colon < slash || !at || at < colon ||
      (size_t)(colon - slash) > sizeof out->name)
    goto bad;
  memcpy(out->name, slash + 1, (size_t)(colon - slash - 1));
  out->name[colon - slash - 1] = '\0';
  out->variant = (uint32_t)strtoul(colon + 1, &end, 10);
  if (end != at || end == colon + 1)
    goto bad;
  out->seed = strtoull(at + 1, &end, 10);
  if (*end || end == at + 1 || errno)
    goto bad;
  return 0;
bad:
  return plm_error_set(err, PLM_E_USAGE, "--replay \"%s\": must be LEVEL/NAME:VARIANT@SEED as a failure prints it, or the "
                                         "path of a saved case", text);
}

static int plan_add(struct plm_check_plan *plan, const struct plm_check_test *test,
                    const struct plm_check_entry *entry, struct plm_error *err) {
  void *entries = plan->entries, *tests = plan->tests;
  int code = plm_memory_grow(&entries, &plan->entry_room, plan->count + 1u, sizeof *entry);
  plan->entries = entries;
  if (!code)
    code = plm_memory_grow(&tests, &plan->test_room, plan->count + 1u, sizeof *plan->tests);
  plan->tests = tests;
  if (code)
    return plm_error_memory(err, "the list of conformance cases");
  plan->entries[plan->count] = *entry;
  plan->tests[plan->count++] = test;
  return 0;
}

static int wanted(const struct plm_check_options *options, const struct replay *replay,
                  const struct plm_check_entry *entry) {
  if (replay->name[0])
    return entry->level == replay->level && entry->variant == replay->variant && !strcmp(entry->name, replay->name);
  return entry->level >= options->level_first && entry->level <= options->level_last &&
         (!options->op || !strcmp(options->op, entry->name));
}

/* Gradients and the optimizer are level 3. */
static uint32_t case_level(uint32_t kind) {
  switch (kind) {
  case PLM_OP_EMBED_GRAD:
  case PLM_OP_LAYER_NORM_GRAD:
  case PLM_OP_LINEAR_GRAD_INPUT:
  case PLM_OP_LINEAR_GRAD_WEIGHT:
  case PLM_OP_BIAS_GRAD:
  case PLM_OP_GELU_GRAD:
  case PLM_OP_ATTENTION_GRAD:
  case PLM_OP_GRAD_NORM:
  case PLM_OP_ADAMW:
    return 3;
  default:
    return 2;
  }
}

static int add_cases(struct plm_check_plan *plan, const struct plm_check_options *options, const struct replay *replay,
                     uint32_t level, struct plm_error *err) {
  int code = 0;
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++)
    for (uint32_t variant = 0; variant < plm_case_variants(kind) && !code; variant++) {
      struct plm_check_entry entry = {.name = plm_op_name(kind), .variant = variant};
      plm_case_describe(entry.label, kind, variant);
      entry.seed = replay->name[0] ? replay->seed : options->seed;
      entry.level = case_level(kind);
      if (entry.level == level && wanted(options, replay, &entry))
        code = plan_add(plan, &plm_check_test_case, &entry, err);
    }
  return code;
}

static int add_tests(struct plm_check_plan *plan, const struct plm_check_options *options, const struct replay *replay,
                     uint32_t level, struct plm_error *err) {
  int code = 0;
  for (size_t g = 0; g < GROUPS; g++)
    for (uint32_t i = 0; i < *groups[g].count; i++)
      for (uint32_t variant = 0; variant < groups[g].tests[i].variants && !code; variant++) {
        const struct plm_check_test *test = &groups[g].tests[i];
        struct plm_check_entry entry = {.level = test->level, .name = test->name, .variant = variant};
        entry.seed = replay->name[0] ? replay->seed : options->seed;
        snprintf(entry.label, sizeof entry.label, "%s", test->what);
        if (test->level == level && wanted(options, replay, &entry))
          code = plan_add(plan, test, &entry, err);
      }
  return code;
}

/* Every name that --op may take, once. */
static const char *nearest_name(const char *word) {
  const char *names[PLM_OP_COUNT + 128];
  size_t count = 0;
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++)
    names[count++] = plm_op_name(kind);
  for (size_t g = 0; g < GROUPS; g++)
    for (uint32_t i = 0; i < *groups[g].count && count < sizeof names / sizeof *names; i++)
      names[count++] = groups[g].tests[i].name;
  return plm_error_nearest(word, names, count);
}

static int nothing(const struct plm_check_options *options, struct plm_error *err) {
  const char *near = options->op ? nearest_name(options->op) : NULL;
  if (options->replay)
    return plm_error_set(err, PLM_E_USAGE, "--replay \"%s\": there is no such case", options->replay);
  return plm_error_set(err, PLM_E_USAGE, "--op \"%s\": no case of that name in levels %" PRIu32 " to %" PRIu32 "%s%s%s",
                       options->op ? options->op : "", options->level_first, options->level_last,
                       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int is_case_file(const char *replay) {
  const size_t length = strlen(replay);
  return length > 3 && !strcmp(replay + length - 3, ".h5");
}

static int plan_file(struct plm_check_plan *plan, const char *path, struct plm_error *err) {
  struct plm_case *c = NULL;
  int code = plm_case_load(&c, path, err);
  if (code)
    return code;
  struct plm_check_entry entry = {.name = plm_op_name(c->op.kind), .variant = 0, .seed = 0};
  entry.level = case_level(c->op.kind);
  snprintf(entry.label, sizeof entry.label, "%s", c->label);
  plm_case_destroy(c);
  return plan_add(plan, &plm_check_test_file, &entry, err);
}

int plm_check_plan_make(struct plm_check_plan *out, const struct plm_check_options *options, struct plm_error *err) {
  struct plm_check_plan plan = {0};
  struct replay replay = {0};
  int code = 0;
  if (options->replay && is_case_file(options->replay)) {
    code = plan_file(&plan, options->replay, err);
  } else {
    if (options->replay)
      code = replay_parse(&replay, options->replay, err);
    for (uint32_t level = 0; level < PLM_CHECK_LEVELS && !code; level++) {
      code = add_cases(&plan, options, &replay, level, err);
      if (!code)
        code = add_tests(&plan, options, &replay, level, err);
    }
  }
  if (!code && !plan.count)
    code = nothing(options, err);
  if (code)
    plm_check_plan_fini(&plan);
  else
    *out = plan;
  return code;
}

void plm_check_plan_fini(struct plm_check_plan *plan) {
  free(plan->entries);
  free(plan->tests);
  *plan = (struct plm_check_plan){0};
}
