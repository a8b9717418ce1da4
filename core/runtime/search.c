#include "runtime/plugin.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

struct search {
  struct plm_candidates *out;
  size_t item_capacity, folder_capacity;
};

/* A group of which the user is the only member: distributions make one for each user and give it write permission. */
static int private_group(gid_t gid) {
  const struct passwd *user = getpwuid(geteuid());
  const struct group *group;
  char name[256];
  if (gid == 0)
    return 1;
  if (!user || strlen(user->pw_name) >= sizeof name)
    return 0;
  strcpy(name, user->pw_name);
  group = getgrgid(gid);
  return group && !strcmp(group->gr_name, name) && !group->gr_mem[0];
}

/* Why others than root and the user could change what is at path: owned by the caller; NULL and *safe = 1 when they
 * cannot. */
static char *unsafe_reason(const char *path, int *safe) {
  struct stat status;
  const char *kind;
  *safe = 0;
  if (stat(path, &status))
    return plm_memory_format("\"%s\": %s", path, strerror(errno));
  kind = S_ISDIR(status.st_mode) ? "folder" : "file";
  if (status.st_uid != 0 && status.st_uid != geteuid())
    return plm_memory_format("unsafe: %s \"%s\" belongs to user %u, neither root nor you", kind, path,
                             (unsigned)status.st_uid);
  if (!(S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX))) {
    if (status.st_mode & S_IWOTH)
      return plm_memory_format("unsafe: %s \"%s\" is writable by others (mode %04o); chmod o-w", kind, path,
                               (unsigned)(status.st_mode & 07777));
    if ((status.st_mode & S_IWGRP) && !private_group(status.st_gid))
      return plm_memory_format("unsafe: %s \"%s\" is writable by group %u (mode %04o); chmod g-w", kind, path,
                               (unsigned)status.st_gid, (unsigned)(status.st_mode & 07777));
  }
  *safe = 1;
  return NULL;
}

static int unsafe_folder(char **out, const char *path, struct plm_error *err) {
  int safe;
  char *folder = plm_file_folder(path);
  if (!folder)
    return plm_error_memory(err, "plugin search");
  *out = unsafe_reason(folder, &safe);
  free(folder);
  return *out || safe ? 0 : plm_error_memory(err, "plugin search");
}

/* The file, the folder it was found in, and the folder it really is in when it is a link. */
static int unsafe_file(char **out, const char *path, struct plm_error *err) {
  int safe, code;
  char *real;
  *out = unsafe_reason(path, &safe);
  if (*out || !safe)
    return *out ? 0 : plm_error_memory(err, "plugin search");
  code = unsafe_folder(out, path, err);
  if (code || *out)
    return code;
  real = realpath(path, NULL);
  if (!real)
    return plm_error_set_system(err, errno, "plugin \"%s\"", path);
  code = unsafe_folder(out, real, err);
  free(real);
  return code;
}

static char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  char *name = strdup(slash ? slash + 1 : path);
  size_t length = name ? strlen(name) : 0;
  if (length > 3 && !strcmp(name + length - 3, ".so"))
    name[length - 3] = '\0';
  return name;
}

/* Takes skipped (may be NULL). */
static int candidate_add(struct search *search, const char *path, char *skipped, int named, struct plm_error *err) {
  struct plm_candidates *out = search->out;
  struct plm_candidate item = {strdup(path), name_of(path), skipped, named};
  void *items = out->items;
  int code = 0;
  if (!item.path || !item.name || plm_memory_grow(&items, &search->item_capacity, out->count + 1, sizeof item))
    code = plm_error_memory(err, "plugin search");
  out->items = items;
  if (!code && !item.skipped)
    code = unsafe_file(&item.skipped, path, err);
  for (size_t i = 0; i < out->count && !code && !item.skipped; i++)
    if (!out->items[i].skipped && !strcmp(out->items[i].name, item.name)) {
      item.skipped = plm_memory_format("the name \"%s\" was found first at \"%s\"", item.name, out->items[i].path);
      code = item.skipped ? 0 : plm_error_memory(err, "plugin search");
    }
  if (code) {
    free(item.path);
    free(item.name);
    free(item.skipped);
    return code;
  }
  out->items[out->count++] = item;
  return 0;
}

static int candidate_skip(struct search *search, const char *path, const char *reason, int named,
                          struct plm_error *err) {
  char *copy = strdup(reason);
  return copy ? candidate_add(search, path, copy, named, err) : plm_error_memory(err, "plugin search");
}

static int is_library(const struct dirent *entry) {
  size_t length = strlen(entry->d_name);
  return entry->d_name[0] != '.' && length > 3 && !strcmp(entry->d_name + length - 3, ".so");
}

/* Not alphasort: its order depends on the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int folder_note(struct search *search, const char *folder, struct plm_error *err) {
  struct plm_candidates *out = search->out;
  void *folders = out->folders;
  char *copy = strdup(folder);
  int full = plm_memory_grow(&folders, &search->folder_capacity, out->folder_count + 1, sizeof *out->folders);
  out->folders = folders;
  if (!copy || full) {
    free(copy);
    return plm_error_memory(err, "plugin search");
  }
  out->folders[out->folder_count++] = copy;
  return 0;
}

/* A folder that is not there holds no plugins; one that cannot be read is said. */
static int folder_scan(struct search *search, const char *folder, int named, struct plm_error *err) {
  struct dirent **entries;
  int count, code = folder_note(search, folder, err);
  if (code)
    return code;
  count = scandir(folder, &entries, is_library, by_bytes);
  if (count < 0)
    return errno == ENOENT && !named ? 0 : candidate_skip(search, folder, strerror(errno), named, err);
  for (int i = 0; i < count; i++) {
    char *path = code ? NULL : plm_file_join(folder, entries[i]->d_name);
    if (!code)
      code = path ? candidate_add(search, path, NULL, named, err) : plm_error_memory(err, "plugin search");
    free(path);
    free(entries[i]);
  }
  free(entries);
  return code;
}

static int named_add(struct search *search, const char *path, struct plm_error *err) {
  struct stat status;
  int code;
  char *real = realpath(path, NULL);
  if (!real)
    return candidate_skip(search, path, strerror(errno), 1, err);
  if (!stat(real, &status) && S_ISDIR(status.st_mode)) {
    code = folder_scan(search, real, 1, err);
  } else {
    /* The name and the link's own folder count, so only the folder part is resolved. */
    char *folder = plm_file_folder(path), *real_folder = folder ? realpath(folder, NULL) : NULL;
    const char *slash = strrchr(path, '/');
    char *whole = real_folder ? plm_file_join(real_folder, slash ? slash + 1 : path) : NULL;
    code = whole ? candidate_add(search, whole, NULL, 1, err) : plm_error_memory(err, "plugin search");
    free(whole);
    free(real_folder);
    free(folder);
  }
  free(real);
  return code;
}

/* The elements of PLMSCALE_PLUGIN_PATH. Relative ones would mean another folder in another current directory. */
static int listed_add(struct search *search, struct plm_error *err) {
  const char *value = secure_getenv("PLMSCALE_PLUGIN_PATH");
  char *list, *rest, *element;
  int code = 0;
  if (!value)
    return 0;
  list = rest = strdup(value);
  if (!list)
    return plm_error_memory(err, "plugin search");
  while (!code && (element = strsep(&rest, ":"))) {
    if (element[0] == '/')
      code = folder_scan(search, element, 0, err);
    else if (element[0])
      code = candidate_skip(search, element, "relative folder in PLMSCALE_PLUGIN_PATH: only absolute ones are searched",
                            0, err);
  }
  free(list);
  return code;
}

static int installed_add(struct search *search, struct plm_error *err) {
  static const char subfolder[] = PLM_BACKEND_SUBDIR;
  char *program, *folder, *real;
  int code = plm_file_program_folder(&program, err);
  if (code)
    return code;
  folder = subfolder[0] == '/' ? strdup(subfolder) : plm_memory_format("%s/../%s", program, subfolder);
  free(program);
  if (!folder)
    return plm_error_memory(err, "plugin search");
  real = realpath(folder, NULL);
  code = folder_scan(search, real ? real : folder, 0, err);
  free(real);
  free(folder);
  return code;
}

int plm_plugin_search(struct plm_candidates *out, const char *const *extra, uint32_t extra_count,
                      struct plm_error *err) {
  struct plm_candidates found = {0};
  struct search search = {&found, 0, 0};
  int code = 0;
  for (uint32_t i = 0; i < extra_count && !code; i++)
    code = named_add(&search, extra[i], err);
  if (!code)
    code = listed_add(&search, err);
  if (!code)
    code = installed_add(&search, err);
  if (code) {
    plm_candidates_fini(&found);
    return code;
  }
  *out = found;
  return 0;
}

void plm_candidates_fini(struct plm_candidates *candidates) {
  for (size_t i = 0; i < candidates->count; i++) {
    free(candidates->items[i].path);
    free(candidates->items[i].name);
    free(candidates->items[i].skipped);
  }
  for (size_t i = 0; i < candidates->folder_count; i++)
    free(candidates->folders[i]);
  free(candidates->items);
  free(candidates->folders);
  *candidates = (struct plm_candidates){0};
}
