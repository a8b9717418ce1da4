#include "train/failure.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

#define NAME "failure.json"
#define SCHEMA "plmscale.failure/1"
#define BYTES_MAX (64u << 10)

/* Drivers say what they like; JSON is UTF-8. */
static json_t *foreign_text(const char *text) {
  char clean[PLM_ERROR_TEXT];
  json_t *json = json_string(text);
  if (json)
    return json;
  snprintf(clean, sizeof clean, "%s", text);
  for (char *c = clean; *c; c++)
    if ((unsigned char)*c > 0x7e)
      *c = '?';
  return json_string(clean);
}

int plm_failure_write(const char *folder, const char *cell_id, const struct plm_failure *failure,
                      struct plm_error *err) {
  char when[PLM_FAILURE_TIME];
  time_t now = time(NULL);
  struct tm utc;
  gmtime_r(&now, &utc);
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
  json_t *json = json_pack("{s:s, s:s, s:s, s:i, s:o, s:s, s:I, s:o}", "schema", SCHEMA, "cell", cell_id, "kind",
                           failure->kind, "code", failure->code, "device", foreign_text(failure->device), "time", when,
                           "step", (json_int_t)failure->step, "text", foreign_text(failure->text));
  char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
  char *path = plm_file_join(folder, NAME);
  int code =
      text && path ? plm_file_write_atomic(path, text, strlen(text), err) : plm_error_memory(err, "keeping a failure");
  free(path);
  free(text);
  json_decref(json);
  return code;
}

static int parse(struct plm_failure *out, const char *data, size_t bytes, const char *path, struct plm_error *err) {
  const char *schema, *kind, *device, *when, *text;
  json_int_t code, step;
  json_error_t where;
  json_t *json = json_loadb(data, bytes, JSON_REJECT_DUPLICATES, &where);
  if (!json ||
      json_unpack(json, "{s:s, s:s, s:I, s:s, s:s, s:I, s:s}", "schema", &schema, "kind", &kind, "code", &code,
                  "device", &device, "time", &when, "step", &step, "text", &text) ||
      strcmp(schema, SCHEMA)) {
    json_decref(json);
    return plm_error_set(err, PLM_E_DAMAGED, "\"%s\" is not a %s file", path, SCHEMA);
  }
  *out = (struct plm_failure){.code = (int)code, .step = step};
  snprintf(out->kind, sizeof out->kind, "%s", kind);
  snprintf(out->device, sizeof out->device, "%s", device);
  snprintf(out->time, sizeof out->time, "%s", when);
  snprintf(out->text, sizeof out->text, "%s", text);
  json_decref(json);
  return 0;
}

int plm_failure_read(struct plm_failure *out, int *found, const char *folder, struct plm_error *err) {
  char *data = NULL, *path = plm_file_join(folder, NAME);
  size_t bytes;
  int code = 0;
  if (!path)
    return plm_error_memory(err, "reading a failure");
  *found = plm_file_exists(path);
  if (*found && !(code = plm_file_read(&data, &bytes, path, BYTES_MAX, err)))
    code = parse(out, data, bytes, path, err);
  free(data);
  free(path);
  return code;
}

int plm_failure_remove(const char *folder, struct plm_error *err) {
  char *path = plm_file_join(folder, NAME);
  int code = 0;
  if (!path)
    return plm_error_memory(err, "removing a failure");
  if (unlink(path) && errno != ENOENT)
    code = plm_error_set_system(err, errno, "cannot remove \"%s\"", path);
  free(path);
  return code;
}
