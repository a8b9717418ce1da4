#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "check/check.h"

static const char *const level_names[PLM_CHECK_LEVELS] = {
    "ABI", "memory and queues", "forward ops", "backward and optimizer", "training", "robustness"};
static const char *const statuses[] = {"passed", "failed", "declined"};

/* ---------------------------------------------------------------- people */

#define FAILURES_SHOWN 5u /* of one op or test */

/* How many entries before this one are failures of the same name and level. */
static uint32_t failures_before(const struct plm_check_report *report, uint32_t at) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < at; i++)
    count += report->entries[i].state == PLM_CHECK_RAN && report->entries[i].outcome.status == PLM_CHECK_FAILED &&
             report->entries[i].level == report->entries[at].level &&
             !strcmp(report->entries[i].name, report->entries[at].name);
  return count;
}

static void print_failure(FILE *stream, const struct plm_check_entry *entry, const struct plm_check_options *options) {
  fprintf(stream, "FAIL %" PRIu32 "/%s:%" PRIu32 " (%s): %s\n", entry->level, entry->name, entry->variant, entry->label,
          entry->outcome.text);
  if (options->replay && strstr(options->replay, ".h5"))
    return;
  fprintf(stream, "     plmscale check %s", options->subject);
  for (uint32_t i = 0; i < options->setting_count; i++)
    fprintf(stream, " --set %s=%s", options->settings[i].name, options->settings[i].value);
  fprintf(stream, " --replay %" PRIu32 "/%s:%" PRIu32 "@%" PRIu64 "\n", entry->level, entry->name, entry->variant,
          entry->seed);
}

/* Declined cases of one op are one line: which modes, and the first reason. */
static void print_declined(FILE *stream, const struct plm_check_report *report, uint32_t first) {
  const struct plm_check_entry *entry = &report->entries[first];
  uint32_t count = 0;
  for (uint32_t i = 0; i < report->count; i++) {
    const struct plm_check_entry *other = &report->entries[i];
    if (other->state == PLM_CHECK_NOT_RUN || other->outcome.status != PLM_CHECK_DECLINED ||
        strcmp(other->name, entry->name) || strcmp(other->outcome.text, entry->outcome.text))
      continue;
    if (i < first)
      return;
    count++;
  }
  fprintf(stream, "declined %" PRIu32 "/%s: %" PRIu32 " cases: %s\n", entry->level, entry->name, count,
          entry->outcome.text);
}

static void print_row(FILE *stream, const char *name, const struct plm_check_tally *t) {
  fprintf(stream, "%-26s %6" PRIu32 " %6" PRIu32 " %8" PRIu32 " %7" PRIu32 "  ", name, t->passed, t->failed, t->declined,
          t->not_run);
  if (t->worst > 0 && isfinite(t->worst))
    fprintf(stream, "%11.2g", t->worst);
  else
    fprintf(stream, "%11s", t->worst > 0 ? "inf" : "-");
  fprintf(stream, " %8.1f  %s\n", t->seconds, t->good ? "ok" : t->passed + t->failed + t->declined ? "FAIL" : "FAIL (no case)");
}

static void print_table(FILE *stream, const struct plm_check_report *report) {
  struct plm_check_tally tally;
  char name[64];
  fprintf(stream, "\n%-26s %6s %6s %8s %7s  %11s %8s\n", "level", "passed", "failed", "declined", "not run",
          "worst error", "seconds");
  for (uint32_t level = 0; level < PLM_CHECK_LEVELS; level++) {
    if (!report->levels[level])
      continue;
    tally = plm_check_count(report, level);
    snprintf(name, sizeof name, "%" PRIu32 " %s", level, level_names[level]);
    print_row(stream, name, &tally);
  }
  tally = plm_check_count(report, PLM_CHECK_LEVELS);
  print_row(stream, "all", &tally);
  fprintf(stream, "(worst error: in units of what the error model allows; declined: optional ops the backend does not take)\n");
}

void plm_check_print(FILE *stream, const struct plm_check_report *report, const struct plm_check_options *options) {
  const struct plm_check_subject *s = &report->subject;
  if (s->name[0])
    fprintf(stream, "%s %s (ABI %s) on %s [%s], driver %s %s\n", s->name, s->version, s->abi, s->device, s->device_id,
            s->driver, s->driver_version);
  fprintf(stream, "%s\nsha256 %s\n\n", report->path, report->sha256);
  for (uint32_t i = 0; i < report->count; i++) {
    const struct plm_check_entry *entry = &report->entries[i];
    if (entry->state == PLM_CHECK_NOT_RUN)
      continue;
    const uint32_t before = entry->outcome.status == PLM_CHECK_FAILED ? failures_before(report, i) : 0;
    if (before == FAILURES_SHOWN)
      fprintf(stream, "     more of %" PRIu32 "/%s failed: --op %s --json has them all\n", entry->level, entry->name,
              entry->name);
    if (entry->outcome.status == PLM_CHECK_FAILED && before < FAILURES_SHOWN)
      print_failure(stream, entry, options);
    else if (entry->outcome.status == PLM_CHECK_DECLINED)
      print_declined(stream, report, i);
    else if (entry->outcome.status == PLM_CHECK_PASSED && entry->outcome.text[0])
      fprintf(stream, "%" PRIu32 "/%s:%" PRIu32 ": %s\n", entry->level, entry->name, entry->variant, entry->outcome.text);
  }
  print_table(stream, report);
}

/* -------------------------------------------------------------- machines */

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *entry_json(const struct plm_check_entry *entry) {
  const int ran = entry->state == PLM_CHECK_RAN;
  return json_pack("{s:I, s:s, s:I, s:I, s:s, s:s, s:o, s:f, s:s%}", "level", (json_int_t)entry->level, "name",
                   entry->name, "variant", (json_int_t)entry->variant, "seed", (json_int_t)entry->seed, "label",
                   entry->label, "status", ran ? statuses[entry->outcome.status] : "not run", "worst",
                   number(entry->outcome.worst), "seconds", entry->seconds, "text", entry->outcome.text,
                   strnlen(entry->outcome.text, sizeof entry->outcome.text));
}

static json_t *level_json(const struct plm_check_report *report, uint32_t level) {
  const struct plm_check_tally t = plm_check_count(report, level);
  return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:o, s:f, s:b}", "level", (json_int_t)level, "name",
                   level_names[level], "passed", (json_int_t)t.passed, "failed", (json_int_t)t.failed, "declined",
                   (json_int_t)t.declined, "not_run", (json_int_t)t.not_run, "worst", number(t.worst), "seconds",
                   t.seconds, "good", t.good);
}

static json_t *subject_json(const struct plm_check_report *report) {
  const struct plm_check_subject *s = &report->subject;
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", s->name, "version", s->version, "abi",
                   s->abi, "path", report->path, "sha256", report->sha256, "device", s->device, "device_id",
                   s->device_id, "vendor", s->vendor, "driver", s->driver, "driver_version", s->driver_version);
}

/* What it was run with: the same again gives the same report. */
static json_t *options_json(const struct plm_check_options *options) {
  json_t *settings = json_object();
  int failed = !settings;
  for (uint32_t i = 0; i < options->setting_count && !failed; i++)
    failed = json_object_set_new(settings, options->settings[i].name, json_string(options->settings[i].value));
  json_t *object = failed ? NULL
                          : json_pack("{s:s, s:I, s:I, s:s*, s:s*, s:I, s:I, s:O}", "subject", options->subject, "level_first",
                                      (json_int_t)options->level_first, "level_last", (json_int_t)options->level_last, "op",
                                      options->op, "replay", options->replay, "seed", (json_int_t)options->seed, "threads",
                                      (json_int_t)options->threads, "settings", settings);
  json_decref(settings);
  return object;
}

json_t *plm_check_json(const struct plm_check_report *report, const struct plm_check_options *options) {
  json_t *levels = json_array(), *cases = json_array();
  int failed = !levels || !cases;
  for (uint32_t level = 0; level < PLM_CHECK_LEVELS && !failed; level++)
    if (report->levels[level])
      failed = json_array_append_new(levels, level_json(report, level));
  for (uint32_t i = 0; i < report->count && !failed; i++)
    failed = json_array_append_new(cases, entry_json(&report->entries[i]));
  json_t *object = failed ? NULL
                          : json_pack("{s:s, s:s, s:o, s:o, s:b, s:O, s:O}", "schema", "plmscale.check/1", "tool",
                                      PLM_VERSION, "plugin", subject_json(report), "options", options_json(options), "good",
                                      plm_check_count(report, PLM_CHECK_LEVELS).good, "levels", levels, "cases", cases);
  json_decref(levels);
  json_decref(cases);
  return object;
}
