/* plmscale new-plugin: the installed template under another name. It is a backend itself, called "template". */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "runtime/plugin.h"

#define PLACE "template" /* what the name takes the place of, in files and in their names; PLACE_UPPER in macros */
#define PLACE_UPPER "TEMPLATE"
#define TEMPLATE_BYTES_MAX (1u << 20)

struct request {
  const char *name, *folder;
};

static error_t parse_argument(int key, char *argument, struct argp_state *state) {
  struct request *request = state->input;
  if (key == ARGP_KEY_ARG && !request->name)
    request->name = argument;
  else if (key == ARGP_KEY_ARG && !request->folder)
    request->folder = argument;
  else if (key == ARGP_KEY_END && !request->folder)
    argp_error(state, "a name and a folder are needed (plmscale new-plugin mine ./mine)");
  else
    return ARGP_ERR_UNKNOWN;
  return 0;
}

static const struct argp new_plugin_argp = {
    .parser = parse_argument,
    .args_doc = "NAME DIR",
    .doc = "Make DIR, a project that builds the backend plugin NAME outside plmscale's tree, runs a few ops and tests "
           "itself. DIR must be new or empty. docs/add-a-backend.md goes on from there."};

/* The name becomes a file, a CMake target and the beginning of C identifiers. */
static int name_check(const char *name, struct plm_error *err) {
  static const char *const targets[] = {"all",     "clean",      "depend",  "edit_cache",    "help",
                                        "install", "list_install_components", "package", "preinstall",
                                        "rebuild_cache", "test"};
  if (!plm_name_valid(name))
    return plm_error_set(err, PLM_E_USAGE,
                         "name \"%.80s\": must be at most 63 lower case letters, digits and _, a letter first", name);
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
    if (!strcmp(name, targets[i]))
      return plm_error_set(err, PLM_E_USAGE, "name \"%s\": CMake keeps this one for a target of its own", name);
  return 0;
}

static int is_shown(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* A new folder, or one that is there and empty. The current one cannot be exchanged for another. */
static int folder_check(const char *folder, struct plm_error *err) {
  struct stat status, current;
  struct dirent **entries;
  if (lstat(folder, &status))
    return errno == ENOENT ? 0 : plm_error_set_system(err, errno, "folder \"%s\"", folder);
  if (!S_ISDIR(status.st_mode))
    return plm_error_set(err, PLM_E_USAGE, "\"%s\" exists and is not a folder", folder);
  if (!stat(".", &current) && current.st_dev == status.st_dev && current.st_ino == status.st_ino)
    return plm_error_set(err, PLM_E_USAGE, "\"%s\" is the current folder: name a new one", folder);
  int count = scandir(folder, &entries, NULL, NULL);
  if (count < 0)
    return plm_error_set_system(err, errno, "folder \"%s\"", folder);
  for (int i = 0; i < count; i++)
    free(entries[i]);
  free(entries);
  return count <= 2 ? 0 : plm_error_set(err, PLM_E_USAGE, "\"%s\" exists and is not empty", folder);
}

/* text with every PLACE replaced, owned by the caller; NULL when out of memory. */
static char *renamed(const char *text, const char *name) {
  char *out = NULL;
  size_t bytes = 0;
  FILE *stream = open_memstream(&out, &bytes);
  if (!stream)
    return NULL;
  while (*text) {
    int upper = !strncmp(text, PLACE_UPPER, sizeof PLACE_UPPER - 1);
    if (!upper && strncmp(text, PLACE, sizeof PLACE - 1)) {
      putc(*text++, stream);
      continue;
    }
    for (const char *c = name; *c; c++)
      putc(upper ? toupper((unsigned char)*c) : *c, stream);
    text += sizeof PLACE - 1;
  }
  int failed = ferror(stream);
  if (fclose(stream) || failed) {
    free(out);
    return NULL;
  }
  return out;
}

static int file_copy(const char *from_folder, const char *file, const char *to_folder, const char *name,
                     struct plm_error *err) {
  char *from = plm_file_join(from_folder, file), *new_file = renamed(file, name);
  char *to = new_file ? plm_file_join(to_folder, new_file) : NULL, *old_text = NULL, *new_text = NULL;
  size_t bytes;
  int code = from && to ? plm_file_read(&old_text, &bytes, from, TEMPLATE_BYTES_MAX, err)
                        : plm_error_memory(err, "copying the template");
  if (!code) {
    new_text = renamed(old_text, name);
    code = new_text ? plm_file_write_atomic(to, new_text, strlen(new_text), err)
                    : plm_error_memory(err, "copying the template");
  }
  free(new_text);
  free(old_text);
  free(to);
  free(new_file);
  free(from);
  return code;
}

static void folder_remove(const char *folder) {
  struct dirent **entries;
  int count = scandir(folder, &entries, is_shown, NULL);
  for (int i = 0; i < count; i++) {
    char *path = plm_file_join(folder, entries[i]->d_name);
    if (path)
      unlink(path);
    free(path);
    free(entries[i]);
  }
  if (count >= 0)
    free(entries);
  rmdir(folder);
}

/* Into a folder beside the one asked for, which then takes its place: it is there whole or not at all. */
static int project_write(const char *from, const struct request *request, struct plm_error *err) {
  struct dirent **entries = NULL;
  char *work = plm_file_temporary(request->folder);
  if (!work)
    return plm_error_memory(err, "copying the template");
  int code = 0, count = scandir(from, &entries, is_shown, alphasort);
  if (count < 0)
    code = plm_error_set_system(err, errno, "template \"%s\"", from);
  else if (count == 0)
    code = plm_error_set(err, PLM_E_DAMAGED, "template \"%s\": the folder is empty", from);
  else if (mkdir(work, 0777))
    code = plm_error_set_system(err, errno, "cannot make the folder \"%s\"", work);
  if (code)
    goto out;
  for (int i = 0; i < count && !code; i++)
    code = file_copy(from, entries[i]->d_name, work, request->name, err);
  if (!code && rename(work, request->folder))
    code = plm_error_set_system(err, errno, "cannot make the folder \"%s\"", request->folder);
  if (code)
    folder_remove(work);
out:
  for (int i = 0; i < count; i++)
    free(entries[i]);
  free(entries);
  free(work);
  return code;
}

/* A path as one word of the shell, owned by the caller; NULL when out of memory. */
static char *shell_word(const char *path) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%";
  char *out = NULL;
  size_t bytes = 0;
  if (path[strspn(path, plain)] == '\0')
    return strdup(path);
  FILE *stream = open_memstream(&out, &bytes);
  if (!stream)
    return NULL;
  putc('\'', stream);
  for (; *path; path++)
    fputs(*path == '\'' ? "'\\''" : (char[2]){*path, '\0'}, stream);
  putc('\'', stream);
  return fclose(stream) ? NULL : out;
}

static int say_how_to_go_on(const char *prefix, const struct request *request, struct plm_error *err) {
  char *folder = shell_word(request->folder), *sdk = shell_word(prefix);
  if (folder && sdk)
    printf("made \"%s\": the backend \"%s\", which runs fill, bias and add. To build it and to test levels 0 and 1:\n\n"
           "  cmake -S %s -B %s/build -DCMAKE_PREFIX_PATH=%s\n"
           "  cmake --build %s/build\n"
           "  ctest --test-dir %s/build --output-on-failure\n",
           request->folder, request->name, folder, folder, sdk, folder, folder);
  int code = folder && sdk ? 0 : plm_error_memory(err, "printing");
  free(sdk);
  free(folder);
  return code;
}

int plm_cli_new_plugin(int argc, char **argv, struct plm_error *err) {
  struct request request = {0};
  char *program = NULL, *up = NULL, *prefix = NULL, *from = NULL, *folder = NULL;
  int code = plm_cli_parse(&new_plugin_argp, argc, argv, &request, err);
  if (code)
    return code;
  folder = strdup(request.folder);
  if (!folder)
    return plm_error_memory(err, "naming a folder");
  for (size_t last = strlen(folder); last > 1 && folder[last - 1] == '/'; last--)
    folder[last - 1] = '\0';
  request.folder = folder;
  code = name_check(request.name, err);
  if (!code)
    code = folder_check(request.folder, err);
  if (!code)
    code = plm_file_program_folder(&program, err);
  if (code)
    goto out;
  up = plm_file_folder(program);
  prefix = up ? realpath(up, NULL) : NULL;
  from = plm_memory_format("%s/" PLM_DATA_SUBDIR "/template", prefix ? prefix : "");
  if (!prefix || !from)
    code = plm_error_memory(err, "naming a folder");
  else
    code = project_write(from, &request, err);
  if (!code)
    code = say_how_to_go_on(prefix, &request, err);
out:
  free(from);
  free(prefix);
  free(up);
  free(program);
  free(folder);
  return code;
}
