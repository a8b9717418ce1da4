/*
 * The profile: choices in a JSON file, by device.
 *
 *   {"format": "plmscale opencl profile 1",
 *    "devices": [{"device": NAME, "driver": PLATFORM AND VERSION, "vector": 16, "clblast": FILE, "kernels": HASH,
 *                 "choices": [{"op": "linear", "flags": 6, "extents": [320, 1280], "rows": 4096,
 *                              "kernel": NAME, "seconds": 0.0061}, ..]}, ..]}
 *
 * kernels is a hash of the kernels' sources. An entry of devices is meant for a device when all of driver, vector, clblast and kernels are the same, and so is device,
 * which profiles that hold for every CPU of a driver leave out. Anything else about a file is damage.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ocl_choices.h"
#include "ocl_clblast.h"
#include "plmscale/op_rules.h"

#define FORMAT "plmscale opencl profile 1"
#define FILE_NAME "opencl-profile.json"
#define SHIPPED "opencl-profiles" /* the folder beside the plugin */
#define DIFFERENCES 512

/* ------------------------------------------------------------------ places */

static int user_path(char out[PATH_MAX]) {
  const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
  int length = -1;
  if (base && *base == '/')
    length = snprintf(out, PATH_MAX, "%s/plmscale/" FILE_NAME, base);
  else if (home && *home == '/')
    length = snprintf(out, PATH_MAX, "%s/.config/plmscale/" FILE_NAME, home);
  return length > 0 && length < PATH_MAX;
}

static int shipped_folder(char out[PATH_MAX]) {
  Dl_info info;
  const char *slash;
  if (!dladdr(&ocl_kernels_extension, &info) || !info.dli_fname || !(slash = strrchr(info.dli_fname, '/')))
    return 0;
  return snprintf(out, PATH_MAX, "%.*s/" SHIPPED, (int)(slash - info.dli_fname), info.dli_fname) < PATH_MAX;
}

/* ------------------------------------------------------------------ reading */

static int damaged(struct plm_error *err, const char *path, const char *what) {
  return plm_rules_error(err, PLM_E_INVALID, NULL,
                         "profile \"%s\": %s; make it again with `plmscale tune`, or remove it", path, what);
}

static uint32_t kind_of(const char *name) {
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++)
    if (!strcmp(plm_op_name(kind), name))
      return kind;
  return 0;
}

/* One choice; 0: damage. */
static int parse_choice(struct ocl_choice *out, const json_t *item) {
  const char *op, *kernel;
  json_int_t flags, rows, extent[OCL_CHOICE_EXTENTS] = {0};
  json_t *extents;
  double seconds;
  if (json_unpack_ex((json_t *)(uintptr_t)item, NULL, JSON_STRICT, "{s:s, s:I, s:o, s:I, s:s, s:F}", "op", &op, "flags", &flags,
                     "extents", &extents, "rows", &rows, "kernel", &kernel, "seconds", &seconds))
    return 0;
  const size_t count = json_array_size(extents);
  for (size_t i = 0; i < count && i < OCL_CHOICE_EXTENTS; i++) {
    const json_t *e = json_array_get(extents, i);
    extent[i] = json_integer_value(e);
    if (!json_is_integer(e) || extent[i] < 1 || extent[i] > UINT32_MAX)
      return 0;
    out->key.extent[i] = (uint32_t)extent[i];
  }
  out->key.kind = kind_of(op);
  out->key.flags = (uint32_t)flags;
  out->key.rows = (uint64_t)rows;
  out->seconds = seconds;
  return count > 0 && count <= OCL_CHOICE_EXTENTS && out->key.kind && flags >= 0 && flags <= UINT32_MAX && rows > 0 &&
         (uint64_t)rows == ocl_class_rows((uint64_t)rows) && seconds >= 0 &&
         snprintf(out->name, sizeof out->name, "%s", kernel) < (int)sizeof out->name;
}

/* What tells a device's entry from others. */
struct identity {
  const char *device, *driver, *clblast, *kernels;
  json_int_t vector;
};

/* FNV-1a over the sources of the families that have a choice, so that work on other kernels leaves profiles alone. */
static const char *kernels_hash(void) {
  static const char *const families[] = {"prelude", "linear", "attention_cpu", "attention_gpu"};
  static char hex[17];
  uint64_t hash = 14695981039346656037u;
  for (size_t f = 0; f < sizeof families / sizeof *families; f++)
    for (uint32_t i = 0; i < ocl_source_count; i++)
      for (size_t b = 0; !strcmp(ocl_sources[i].name, families[f]) && b < ocl_sources[i].bytes; b++)
        hash = (hash ^ (unsigned char)ocl_sources[i].text[b]) * 1099511628211u;
  snprintf(hex, sizeof hex, "%016" PRIx64, hash);
  return hex;
}

static struct identity identity_of(const struct plm_device *device) {
  return (struct identity){device->name, device->driver, ocl_clblast_version(), kernels_hash(),
                           (json_int_t)device->traits.vector};
}

static int parse_identity(struct identity *out, const json_t *entry) {
  *out = (struct identity){0};
  return !json_unpack_ex((json_t *)(uintptr_t)entry, NULL, 0, "{s?s, s:s, s:s, s:s, s:I}", "device", &out->device, "driver",
                         &out->driver, "clblast", &out->clblast, "kernels", &out->kernels, "vector", &out->vector);
}

static void differ(char *text, const char *what, const char *theirs, const char *ours) {
  const size_t used = strlen(text);
  if (strcmp(theirs, ours))
    snprintf(text + used, DIFFERENCES - used, "%s%s \"%s\", here \"%s\"", used ? "; " : "", what, theirs, ours);
}

/* Whether an entry is meant for the device; where it is for another version of it, differences says how. */
static int meant_for(char differences[DIFFERENCES], const struct identity *theirs, const struct identity *ours) {
  char mine[24], other[24];
  differences[0] = 0;
  if (theirs->device && strcmp(theirs->device, ours->device))
    return 0;
  snprintf(mine, sizeof mine, "%lld", (long long)ours->vector);
  snprintf(other, sizeof other, "%lld", (long long)theirs->vector);
  differ(differences, "driver", theirs->driver, ours->driver);
  differ(differences, "vector width", other, mine);
  differ(differences, "CLBlast", theirs->clblast, ours->clblast);
  differ(differences, "kernels", theirs->kernels, ours->kernels);
  return !differences[0];
}

static int take_choices(struct plm_device *device, const char *path, const json_t *entry, struct plm_error *err) {
  const json_t *choices = json_object_get(entry, "choices"), *item;
  size_t i;
  if (!json_is_array(choices))
    return damaged(err, path, "a device without a list of choices");
  json_array_foreach(choices, i, item) {
    struct ocl_choice choice = {0};
    if (!parse_choice(&choice, item)) {
      char what[64];
      snprintf(what, sizeof what, "choice %zu is not one", i + 1);
      return damaged(err, path, what);
    }
    struct ocl_choice *added = ocl_choices_find(device->choices, &choice.key);
    if (!added)
      added = ocl_choices_add(device, &choice.key, err);
    if (!added)
      return PLM_E_NO_MEMORY;
    *added = choice;
  }
  return PLM_OK;
}

static int parse_file(json_t **out, const char *path, struct plm_error *err) {
  json_error_t why;
  const char *format = NULL;
  char what[JSON_ERROR_TEXT_LENGTH + 64];
  json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
  if (!file) {
    snprintf(what, sizeof what, "line %d: %s", why.line, why.text);
    return damaged(err, path, what);
  }
  if (json_unpack(file, "{s:s}", "format", &format) || strcmp(format, FORMAT) ||
      !json_is_array(json_object_get(file, "devices"))) {
    json_decref(file);
    return damaged(err, path, "is not a \"" FORMAT "\"");
  }
  *out = file;
  return PLM_OK;
}

/* Reads a file's entry for the device, if there is one: *found. unfit_level: of the line that says why one is not. */
static int load_file(int *found, struct plm_device *device, const char *path, uint32_t unfit_level,
                     struct plm_error *err) {
  const struct identity ours = identity_of(device);
  json_t *file, *entry;
  size_t i;
  int code = parse_file(&file, path, err);
  if (code)
    return code;
  json_array_foreach(json_object_get(file, "devices"), i, entry) {
    char differences[DIFFERENCES];
    struct identity theirs;
    if (!parse_identity(&theirs, entry)) {
      code = damaged(err, path, "a device without driver, vector, clblast and kernels");
      break;
    }
    if (meant_for(differences, &theirs, &ours)) {
      code = take_choices(device, path, entry, err);
      *found = 1;
      break;
    }
    if (differences[0])
      ocl_log(device->host, unfit_level, "profile \"%s\" does not fit: %s", path, differences);
  }
  json_decref(file);
  if (code)
    device->choices->count = 0;
  else if (*found)
    snprintf(device->choices->source, sizeof device->choices->source, "%s", path);
  return code;
}

/* A file that nobody named: damage is said and ignored. */
static int try_file(struct plm_device *device, const char *path, uint32_t unfit_level) {
  struct plm_error err = {.struct_size = sizeof err};
  int found = 0;
  if (access(path, F_OK) == 0 && load_file(&found, device, path, unfit_level, &err)) {
    ocl_log(device->host, PLM_LOG_WARN, "%s", err.text);
    return 0;
  }
  return found;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int is_json(const struct dirent *entry) {
  const size_t length = strlen(entry->d_name);
  return length > 5 && !strcmp(entry->d_name + length - 5, ".json");
}

static void try_shipped(struct plm_device *device) {
  char folder[PATH_MAX], path[2 * PATH_MAX];
  struct dirent **entries = NULL;
  int found = 0;
  if (!shipped_folder(folder))
    return;
  const int count = scandir(folder, &entries, is_json, by_name);
  for (int i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
    found = found || try_file(device, path, PLM_LOG_DEBUG); /* most are for other devices */
    free(entries[i]);
  }
  free(entries);
}

int ocl_choices_load(struct plm_device *device, struct plm_error *err) {
  const char *option = device->host->option(device->host->context, "kernel_profile");
  char path[PATH_MAX];
  int found = 0;
  if (!strcmp(option, "none"))
    return PLM_OK;
  if (strcmp(option, "auto")) {
    const int code = load_file(&found, device, option, PLM_LOG_INFO, err);
    if (!code && !found)
      ocl_log(device->host, PLM_LOG_WARN, "profile \"%s\" has nothing for this device; taking the defaults", option);
    return code;
  }
  if (!user_path(path) || !try_file(device, path, PLM_LOG_INFO))
    try_shipped(device);
  return PLM_OK;
}

/* ------------------------------------------------------------------ writing */

static json_t *choice_to_json(const struct ocl_choice *choice) {
  json_t *extents = json_array();
  for (size_t i = 0; i < OCL_CHOICE_EXTENTS && choice->key.extent[i]; i++)
    json_array_append_new(extents, json_integer(choice->key.extent[i]));
  return json_pack("{s:s, s:I, s:o, s:I, s:s, s:f}", "op", plm_op_name(choice->key.kind), "flags",
                   (json_int_t)choice->key.flags, "extents", extents, "rows", (json_int_t)choice->key.rows, "kernel",
                   choice->name, "seconds", choice->seconds);
}

/* Replaces the choice of the same key, or adds one. 0: out of memory. */
static int merge_choice(json_t *choices, const struct ocl_choice *choice) {
  json_t *item, *made = choice_to_json(choice);
  size_t i;
  json_array_foreach(choices, i, item) {
    struct ocl_choice old = {0};
    if (parse_choice(&old, item) && old.key.kind == choice->key.kind && old.key.flags == choice->key.flags &&
        old.key.rows == choice->key.rows && !memcmp(old.key.extent, choice->key.extent, sizeof old.key.extent))
      return json_array_set_new(choices, i, made) == 0;
  }
  return json_array_append_new(choices, made) == 0;
}

/* The device's own entry, made when there is none. Entries of the same device under older versions are dropped. */
static json_t *own_entry(json_t *devices, const struct identity *ours) {
  char differences[DIFFERENCES];
  struct identity theirs;
  for (size_t i = json_array_size(devices); i-- > 0;) {
    json_t *entry = json_array_get(devices, i);
    if (!parse_identity(&theirs, entry) || !theirs.device || strcmp(theirs.device, ours->device))
      continue;
    if (meant_for(differences, &theirs, ours))
      return entry;
    json_array_remove(devices, i);
  }
  json_t *entry = json_pack("{s:s, s:s, s:I, s:s, s:s, s:[]}", "device", ours->device, "driver", ours->driver, "vector",
                            ours->vector, "clblast", ours->clblast, "kernels", ours->kernels, "choices");
  return json_array_append_new(devices, entry) ? NULL : entry;
}

static int make_folders(const char *path, struct plm_error *err) {
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%s", path);
  for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdir(folder, 0777) && errno != EEXIST)
      return plm_rules_error(err, PLM_E_INVALID, NULL, "profile \"%s\": cannot make folder \"%s\": %s", path, folder,
                             strerror(errno));
    *slash = '/';
  }
  return PLM_OK;
}

/* A whole new file in the old one's place. */
static int write_file(const json_t *file, const char *path, struct plm_error *err) {
  char draft[PATH_MAX + 16];
  int code = make_folders(path, err);
  if (code)
    return code;
  snprintf(draft, sizeof draft, "%s.%ld", path, (long)getpid());
  FILE *f = fopen(draft, "w");
  int wrong = !f || json_dumpf(file, f, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) || fputc('\n', f) == EOF || fflush(f) ||
              fsync(fileno(f));
  if (f && fclose(f))
    wrong = 1;
  if (!wrong && !rename(draft, path))
    return PLM_OK;
  code = plm_rules_error(err, PLM_E_INVALID, NULL, "profile \"%s\": %s", path, strerror(errno));
  unlink(draft);
  return code;
}

int ocl_choices_save(struct plm_device *device, const char *path, const char **used, struct plm_error *err) {
  struct ocl_choices *choices = device->choices;
  const struct identity ours = identity_of(device);
  char own_place[PATH_MAX];
  json_t *file = NULL, *entry;
  int code = PLM_OK;
  if (!path && !user_path(own_place))
    return plm_rules_error(err, PLM_E_INVALID, NULL, "profile: neither XDG_CONFIG_HOME nor HOME says where to keep it");
  path = path ? path : own_place;
  if (access(path, F_OK) == 0)
    code = parse_file(&file, path, err);
  else
    file = json_pack("{s:s, s:[]}", "format", FORMAT, "devices");
  if (code)
    return code;
  entry = own_entry(json_object_get(file, "devices"), &ours);
  for (uint32_t i = 0; i < choices->count && entry; i++)
    if (choices->items[i].keep && !merge_choice(json_object_get(entry, "choices"), &choices->items[i]))
      entry = NULL;
  code = entry ? write_file(file, path, err) : plm_rules_error(err, PLM_E_NO_MEMORY, NULL, "profile: no host memory");
  json_decref(file);
  if (!code) {
    snprintf(choices->saved, sizeof choices->saved, "%s", path);
    *used = choices->saved;
  }
  return code;
}
