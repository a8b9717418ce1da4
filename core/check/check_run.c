#include "check/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "check/check_child.h"
#include "check/elf_exports.h"

/* After so many crashes and hangs the rest of a level is not run: it would only take time. */
#define CRASHES_MAX 25u
#define HANGS_MAX 3u

struct runner {
  const struct plm_check_options *options;
  struct plm_check_plan plan;
  struct plm_check_report *report;
};

/* ------------------------------------------------------------- one level */

static void note_failure(const struct runner *r, uint32_t i) {
  const struct plm_check_entry *entry = &r->plan.entries[i];
  if (r->options->progress && entry->state == PLM_CHECK_RAN && entry->outcome.status == PLM_CHECK_FAILED)
    fprintf(r->options->progress, "FAIL %" PRIu32 "/%s:%" PRIu32 "@%" PRIu64 " (%s): %s\n", entry->level, entry->name,
            entry->variant, entry->seed, entry->label, entry->outcome.text);
}

static void fail_entry(struct runner *r, uint32_t i, const char *text) {
  struct plm_check_entry *entry = &r->plan.entries[i];
  entry->state = PLM_CHECK_RAN;
  entry->outcome = (struct plm_check_outcome){.status = PLM_CHECK_FAILED};
  snprintf(entry->outcome.text, sizeof entry->outcome.text, "%.500s", text);
}

/*
 * An entry during which a child ended that had run others before: is it the entry's own doing? It is run again alone. Failed
 * it is either way.
 */
static int pin_crash(struct runner *r, uint32_t first, uint32_t at, const char *text, struct plm_error *err) {
  struct plm_check_child_end end;
  char longer[PLM_CHECK_TEXT];
  if (at == first) {
    fail_entry(r, at, text);
    return 0;
  }
  int code = plm_check_child_run(&end, r->options, &r->plan, at, at + 1, &r->report->subject, err);
  if (code)
    return code;
  if (end.finished && r->plan.entries[at].outcome.status != PLM_CHECK_FAILED) {
    snprintf(longer, sizeof longer, "%.300s after %" PRIu32 " other cases in the same process, from %s:%" PRIu32
             " on; alone it does not fail", text, at - first, r->plan.entries[first].name, r->plan.entries[first].variant);
    fail_entry(r, at, longer);
  } else if (!end.finished) {
    fail_entry(r, at, end.text[0] ? end.text : text);
  }
  return 0;
}

/* What a child's end means for its entries. *next is where to go on; *stop ends the level. */
static int judge_end(struct runner *r, const struct plm_check_child_end *end, uint32_t first, uint32_t last,
                     uint32_t *next, int *stop, struct plm_error *err) {
  *next = end->next;
  if (end->finished && !end->setup)
    return 0;
  if (end->setup) { /* nothing of this level can run */
    fail_entry(r, end->next, end->text);
    *next = end->next + 1;
    *stop = 1;
    return 0;
  }
  if (end->next == last) { /* all ran, then closing failed */
    fail_entry(r, last - 1, end->text);
    return 0;
  }
  *next = end->next + 1;
  if (end->hung) {
    fail_entry(r, end->next, end->text);
    return 0;
  }
  return pin_crash(r, first, end->next, end->text, err);
}

/* The entries from first that share a child. */
static uint32_t batch_end(const struct plm_check_plan *plan, uint32_t first) {
  uint32_t end = first + 1;
  while (!plan->tests[first]->alone && end < plan->count && !plan->tests[end]->alone &&
         plan->entries[end].level == plan->entries[first].level)
    end++;
  return end;
}

static int run_level(struct runner *r, uint32_t begin, uint32_t end, struct plm_error *err) {
  uint32_t crashes = 0, hangs = 0;
  int stop = 0;
  for (uint32_t first = begin; first < end && !stop;) {
    struct plm_check_child_end ended;
    const uint32_t last = batch_end(&r->plan, first);
    uint32_t next = first;
    int code = plm_check_child_run(&ended, r->options, &r->plan, first, last, &r->report->subject, err);
    if (!code)
      code = judge_end(r, &ended, first, last, &next, &stop, err);
    if (code)
      return code;
    for (uint32_t i = first; i < next; i++)
      note_failure(r, i);
    hangs += (uint32_t)ended.hung;
    crashes += !ended.finished;
    if (r->plan.tests[first]->alone && ended.setup)
      stop = 0; /* of level 0 each test stands for itself */
    if (crashes >= CRASHES_MAX || hangs >= HANGS_MAX)
      stop = 1;
    first = next > first ? next : first + 1;
  }
  return 0;
}

/* --------------------------------------------------------------- the whole */

/* A file that is no plugin at all is the user's mistake, not a failed case. */
static int check_file(const char *path, struct plm_error *err) {
  struct plm_elf_exports exports;
  int found = 0, code = plm_elf_exports_read(&exports, path, err);
  if (code)
    return code;
  for (size_t i = 0; i < exports.count; i++)
    found |= !strncmp(exports.names[i], "plm_plugin_entry_v", strlen("plm_plugin_entry_v"));
  plm_elf_exports_fini(&exports);
  return found ? 0
               : plm_error_set(err, PLM_E_DAMAGED, "plugin \"%s\": does not export " PLM_PLUGIN_ENTRY_NAME
                                                   ": not a plmscale backend", path);
}

static int run_all(struct runner *r, struct plm_error *err) {
  int code = 0;
  for (uint32_t begin = 0, end; begin < r->plan.count && !code; begin = end) {
    for (end = begin; end < r->plan.count && r->plan.entries[end].level == r->plan.entries[begin].level; end++)
      ;
    r->report->levels[r->plan.entries[begin].level] = 1;
    code = run_level(r, begin, end, err);
  }
  return code;
}

int plm_check_run(struct plm_check_report *out, const struct plm_check_options *options, struct plm_error *err) {
  struct plm_check_report report = {0};
  struct runner runner = {.options = options, .report = &report};
  int code = check_file(options->path, err);
  if (!code)
    code = plm_sha256_file(report.sha256, options->path, err);
  if (!code)
    code = plm_check_plan_make(&runner.plan, options, err);
  if (code)
    return code;
  snprintf(report.path, sizeof report.path, "%s", options->path);
  for (uint32_t level = options->level_first; level <= options->level_last && !options->op && !options->replay; level++)
    report.levels[level] = 1;
  code = run_all(&runner, err);
  report.entries = runner.plan.entries;
  report.count = runner.plan.count;
  runner.plan.entries = NULL;
  plm_check_plan_fini(&runner.plan);
  if (code)
    plm_check_report_fini(&report);
  else
    *out = report;
  return code;
}

void plm_check_report_fini(struct plm_check_report *report) {
  free(report->entries);
  *report = (struct plm_check_report){0};
}

struct plm_check_tally plm_check_count(const struct plm_check_report *report, uint32_t level) {
  struct plm_check_tally tally = {0};
  for (uint32_t i = 0; i < report->count; i++) {
    const struct plm_check_entry *entry = &report->entries[i];
    if (level != PLM_CHECK_LEVELS && entry->level != level)
      continue;
    tally.not_run += entry->state == PLM_CHECK_NOT_RUN;
    if (entry->state == PLM_CHECK_NOT_RUN)
      continue;
    tally.passed += entry->outcome.status == PLM_CHECK_PASSED;
    tally.failed += entry->outcome.status == PLM_CHECK_FAILED;
    tally.declined += entry->outcome.status == PLM_CHECK_DECLINED;
    tally.worst = fmax(tally.worst, entry->outcome.worst);
    tally.seconds += entry->seconds;
  }
  tally.good = tally.passed > 0 && !tally.failed && !tally.not_run;
  for (uint32_t i = 0; i < PLM_CHECK_LEVELS && level == PLM_CHECK_LEVELS; i++)
    tally.good = tally.good && (!report->levels[i] || plm_check_count(report, i).good);
  return tally;
}
