/* The support matrix of docs, made from the JSON of checks and never typed. */
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "check/check.h"

/* Text that grows; text NULL after running out of memory. */
struct page {
  char *text;
  size_t used, room;
  int failed;
};

static void page_add(struct page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void page_add(struct page *page, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  void *text = page->text;
  if (page->failed || length < 0 || plm_memory_grow(&text, &page->room, page->used + (size_t)length + 1, 1)) {
    page->failed = 1;
    return;
  }
  page->text = text;
  va_start(args, format);
  vsnprintf(page->text + page->used, (size_t)length + 1, format, args);
  va_end(args);
  page->used += (size_t)length;
}

static int report_load(json_t **out, const char *path, struct plm_error *err) {
  json_error_t why;
  json_t *report = json_load_file(path, 0, &why);
  const char *schema = json_string_value(json_object_get(report, "schema"));
  if (!report)
    return plm_error_set(err, PLM_E_DAMAGED, "check report \"%s\": %s", path, why.text);
  if (!schema || strcmp(schema, "plmscale.check/1") || !json_is_array(json_object_get(report, "cases")) ||
      !json_is_object(json_object_get(report, "plugin"))) {
    json_decref(report);
    return plm_error_set(err, PLM_E_DAMAGED, "check report \"%s\": not of schema plmscale.check/1 (plmscale check BACKEND "
                                             "--json)", path);
  }
  *out = report;
  return 0;
}

static const char *plugin_text(const json_t *report, const char *key) {
  const char *text = json_string_value(json_object_get(json_object_get(report, "plugin"), key));
  return text ? text : "";
}

/* "12/12" of one name and level in a report, with what was declined and failed; "-" when there is none. */
static void cell(struct page *page, const json_t *report, json_int_t level, const char *name) {
  size_t index, passed = 0, failed = 0, declined = 0;
  const json_t *entry;
  json_array_foreach(json_object_get(report, "cases"), index, entry) {
    const char *status = json_string_value(json_object_get(entry, "status"));
    const char *its = json_string_value(json_object_get(entry, "name"));
    if (!status || !its || json_integer_value(json_object_get(entry, "level")) != level || strcmp(its, name))
      continue;
    passed += !strcmp(status, "passed");
    declined += !strcmp(status, "declined");
    failed += !strcmp(status, "failed") || !strcmp(status, "not run");
  }
  if (failed)
    page_add(page, " **%zu of %zu failed** |", failed, passed + failed + declined);
  else if (passed && declined)
    page_add(page, " %zu, declines %zu |", passed, declined);
  else if (passed)
    page_add(page, " %zu |", passed);
  else
    page_add(page, declined ? " declined |" : " - |");
}

static void head(struct page *page, json_t *const *reports, uint32_t count) {
  page_add(page, "<!-- Made by `plmscale check --matrix`; do not edit. -->\n\n"
                 "| backend | version | ABI | device | driver | plugin sha256 | all levels passed |\n"
                 "|---|---|---|---|---|---|---|\n");
  for (uint32_t i = 0; i < count; i++)
    page_add(page, "| %s | %s | %s | %s | %s %s | `%.12s` | %s |\n", plugin_text(reports[i], "name"),
             plugin_text(reports[i], "version"), plugin_text(reports[i], "abi"), plugin_text(reports[i], "device"),
             plugin_text(reports[i], "driver"), plugin_text(reports[i], "driver_version"),
             plugin_text(reports[i], "sha256"), json_is_true(json_object_get(reports[i], "good")) ? "yes" : "**no**");
}

/* 1: an earlier entry, of this or an earlier report, has the name and level of this one. */
static int seen_before(json_t *const *reports, uint32_t r, size_t at, json_int_t level, const char *name) {
  for (uint32_t i = 0; i <= r; i++) {
    size_t index;
    const json_t *entry;
    json_array_foreach(json_object_get(reports[i], "cases"), index, entry) {
      const char *its = json_string_value(json_object_get(entry, "name"));
      if (i == r && index >= at)
        break;
      if (its && json_integer_value(json_object_get(entry, "level")) == level && !strcmp(its, name))
        return 1;
    }
  }
  return 0;
}

static void rows(struct page *page, json_t *const *reports, uint32_t count, json_int_t level) {
  for (uint32_t r = 0; r < count; r++) {
    size_t index;
    const json_t *entry;
    json_array_foreach(json_object_get(reports[r], "cases"), index, entry) {
      const char *name = json_string_value(json_object_get(entry, "name"));
      if (!name || json_integer_value(json_object_get(entry, "level")) != level ||
          seen_before(reports, r, index, level, name))
        continue;
      page_add(page, "| %d | %s |", (int)level, name);
      for (uint32_t i = 0; i < count; i++)
        cell(page, reports[i], level, name);
      page_add(page, "\n");
    }
  }
}

int plm_check_matrix(char **out, const char *const *paths, uint32_t count, struct plm_error *err) {
  json_t **reports = plm_memory_zeroed(count, sizeof *reports);
  struct page page = {0};
  int code = reports ? 0 : plm_error_memory(err, "the support matrix");
  for (uint32_t i = 0; i < count && !code; i++)
    code = report_load(&reports[i], paths[i], err);
  if (!code) {
    head(&page, reports, count);
    page_add(&page, "\nCases passed, by level and op or test. Declined: optional modes that the backend leaves to the host.\n\n"
                    "| level | op or test |");
    for (uint32_t i = 0; i < count; i++)
      page_add(&page, " %s |", plugin_text(reports[i], "name"));
    page_add(&page, "\n|---|---|");
    for (uint32_t i = 0; i < count; i++)
      page_add(&page, "---|");
    page_add(&page, "\n");
    for (json_int_t level = 0; level < (json_int_t)PLM_CHECK_LEVELS; level++)
      rows(&page, reports, count, level);
    if (page.failed)
      code = plm_error_memory(err, "the support matrix");
  }
  for (uint32_t i = 0; i < count && reports; i++)
    json_decref(reports[i]);
  free(reports);
  if (code)
    free(page.text);
  else
    *out = page.text;
  return code;
}
