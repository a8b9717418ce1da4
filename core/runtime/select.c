#include "runtime/plugin.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

static int is_path(const char *text) {
  size_t length = strlen(text);
  return strchr(text, '/') || (length > 3 && !strcmp(text + length - 3, ".so"));
}

/* Where the name ends: at the first colon, in a path at the colon behind the last ".so" (folders may have colons). */
static const char *name_end(const char *text) {
  const char *end = NULL;
  for (const char *so = strstr(text, ".so"); so; so = strstr(so + 1, ".so"))
    if ((so[3] == ':' && !strchr(so, '/')) || so[3] == '\0')
      end = end ? end : so + 3;
  if (end)
    return end;
  return strchr(text, '/') ? text + strlen(text) : text + strcspn(text, ":");
}

int plm_plugin_select(char **name, char **device, const char *text, struct plm_error *err) {
  const char *end = name_end(text);
  char *first, *second = NULL;
  if (end == text)
    return plm_error_set(err, PLM_E_USAGE, "backend \"%s\": no name (NAME, NAME:DEVICE, PATH.so or PATH.so:DEVICE)",
                         text);
  if (end[0] == ':' && end[1] == '\0')
    return plm_error_set(err, PLM_E_USAGE,
                         "backend \"%s\": no device behind the colon (a number, an id, or part of a name)", text);
  first = strndup(text, (size_t)(end - text));
  if (end[0] == ':')
    second = strdup(end + 1);
  if (!first || (end[0] == ':' && !second)) {
    free(first);
    free(second);
    return plm_error_memory(err, "backend name");
  }
  *name = first;
  *device = second;
  return 0;
}

static int resolve_path(char **out, const char *path, struct plm_error *err) {
  struct plm_candidates found;
  struct stat status;
  int code;
  if (!stat(path, &status) && S_ISDIR(status.st_mode))
    return plm_error_set(err, PLM_E_USAGE, "backend \"%s\": a folder; name the file in it", path);
  code = plm_plugin_search(&found, &path, 1, err);
  if (code)
    return code;
  if (found.items[0].skipped) {
    code = plm_error_set(err, PLM_E_USAGE, "backend \"%s\": %s", path, found.items[0].skipped);
  } else {
    *out = found.items[0].path;
    found.items[0].path = NULL;
  }
  plm_candidates_fini(&found);
  return code;
}

/* "a, b, c" of the names that could be had, and those names as an array; NULL without memory. */
static char *available(const struct plm_candidates *found, const char **names, size_t *count) {
  char *list = strdup("");
  *count = 0;
  for (size_t i = 0; i < found->count && list; i++)
    if (!found->items[i].skipped) {
      char *longer = plm_memory_format("%s%s%s", list, *count ? ", " : "", found->items[i].name);
      free(list);
      list = longer;
      names[(*count)++] = found->items[i].name;
    }
  return list;
}

static int unknown(const struct plm_candidates *found, const char *name, struct plm_error *err) {
  const char **names = plm_memory_zeroed(found->count, sizeof *names);
  const char *near;
  char *list = NULL;
  size_t count;
  int code;
  if (names)
    list = available(found, names, &count);
  if (!list) {
    free(names);
    return plm_error_memory(err, "backend names");
  }
  near = plm_error_nearest(name, names, count);
  code = plm_error_set(err, PLM_E_USAGE, "backend \"%s\": not found%s%s%s; available: %s", name,
                       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
                       count ? list : "none (plmscale backends -v shows where was searched)");
  free(list);
  free(names);
  return code;
}

int plm_plugin_resolve(char **out, const char *name, struct plm_error *err) {
  struct plm_candidates found;
  const struct plm_candidate *skipped = NULL;
  int code;
  if (is_path(name))
    return resolve_path(out, name, err);
  code = plm_plugin_search(&found, NULL, 0, err);
  if (code)
    return code;
  for (size_t i = 0; i < found.count; i++) {
    if (strcmp(found.items[i].name, name))
      continue;
    if (!found.items[i].skipped) {
      *out = found.items[i].path;
      found.items[i].path = NULL;
      plm_candidates_fini(&found);
      return 0;
    }
    skipped = skipped ? skipped : &found.items[i];
  }
  if (skipped)
    code = plm_error_set(err, PLM_E_USAGE, "backend \"%s\": \"%s\" is not used: %s", name, skipped->path,
                         skipped->skipped);
  else
    code = unknown(&found, name, err);
  plm_candidates_fini(&found);
  return code;
}
