#include "runtime/plugin.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "runtime/layer.h"
#include "runtime/loading.h"

/* plm_guard_check after a call of a plugin. */
static int guard_end(const struct plm_guard *guard, const char *what, const char *path, struct plm_error *err) {
  char where[512];
  snprintf(where, sizeof where, "%s of \"%.400s\"", what, path);
  return plm_guard_check(guard, where, err);
}

/* A plugin's error as one of ours: its code in the ABI's range, its text ended, cleaned and never empty. */
static int foreign_error(struct plm_error *err, int code, struct plm_error *said, const char *path, const char *what) {
  int known = code >= PLM_E_INVALID && code <= PLM_E_INTERNAL ? code : PLM_E_INTERNAL;
  said->text[PLM_ERROR_TEXT - 1] = '\0';
  if (said->text[0])
    plm_error_set(err, known, "%s", said->text);
  else
    plm_error_set(err, known, "plugin \"%s\": %s failed with code %d and no reason", path, what, code);
  if (err) {
    err->native_code = said->native_code;
    err->op_kind = said->op_kind;
  }
  return known;
}

#define CARD_FIELD(field, format, has, wants)                                                                          \
  if ((has) != (wants))                                                                                                \
  return plm_error_set(err, PLM_E_ABI, "plugin \"%s\": " field " is " format " (this host needs " format ")", path,    \
                       has, wants)

/* Magic and size first: nothing behind them may be read before they fit. */
static int card_check(const struct plm_plugin_card *card, const char *path, struct plm_error *err) {
  if (!card)
    return plm_error_set(err, PLM_E_ABI, "plugin \"%s\": " PLM_PLUGIN_ENTRY_NAME " returns no card", path);
  CARD_FIELD("magic", "%" PRIx64, card->magic, (uint64_t)PLM_PLUGIN_MAGIC);
  if (card->struct_size < PLM_CARD_BYTES_1_0)
    return plm_error_set(err, PLM_E_ABI, "plugin \"%s\": struct_size of the card is %" PRIu64 " (at least %u)", path,
                         card->struct_size, PLM_CARD_BYTES_1_0);
  CARD_FIELD("abi_major", "%u", card->abi_major, PLM_ABI_MAJOR);
  CARD_FIELD("endian_probe", "%08x", card->endian_probe, PLM_ENDIAN_PROBE);
  CARD_FIELD("pointer_size", "%u", card->pointer_size, (uint32_t)sizeof(void *));
  if (card->build_flags & PLM_BUILD_FAST_MATH)
    return plm_error_set(err, PLM_E_ABI,
                         "plugin \"%s\": build_flags say -ffast-math, which changes the host's arithmetic; use "
                         "-fno-math-errno and -ffp-contract instead",
                         path);
  if (!plm_name_valid(card->name))
    return plm_error_set(err, PLM_E_ABI, "plugin \"%s\": name \"%s\" (must be lower case letters, digits, _)", path,
                         card->name ? card->name : "NULL");
  if (!card->version || !card->license)
    return plm_error_set(err, PLM_E_ABI, "plugin \"%s\": %s is NULL", path, card->version ? "license" : "version");
  if (!card->start)
    return plm_error_set(err, PLM_E_ABI, "plugin \"%s\": start is NULL", path);
  return 0;
}

struct slot {
  const char *name;
  size_t offset;
};
#define SLOT(name)                                                                                                     \
  { #name, offsetof(struct plm_backend, name) }

static int slot_set(const struct plm_backend *backend, const struct slot *slot) {
  void (*function)(void);
  memcpy(&function, (const char *)backend + slot->offset, sizeof function);
  return function != NULL;
}

static int table_check(const struct plm_backend *backend, const char *path, struct plm_error *err) {
  static const struct slot required[] = {
      SLOT(device_count),   SLOT(device_info),  SLOT(device_open),   SLOT(device_close), SLOT(buffer_create),
      SLOT(buffer_destroy), SLOT(queue_create), SLOT(queue_destroy), SLOT(queue_finish), SLOT(buffer_write),
      SLOT(buffer_read),    SLOT(op_query),     SLOT(op_run)};
  static const struct slot events[] = {SLOT(event_record), SLOT(event_wait), SLOT(event_destroy)};
  int present = 0;
  if (backend->struct_size < PLM_BACKEND_BYTES_1_0)
    return plm_error_set(err, PLM_E_ABI, "plugin \"%s\": struct_size of its table is %" PRIu64 " (at least %u)", path,
                         backend->struct_size, PLM_BACKEND_BYTES_1_0);
  if (backend->struct_size > sizeof *backend)
    return plm_error_set(err, PLM_E_ABI,
                         "plugin \"%s\": start left a table of %" PRIu64 " bytes where there is room for %zu: use "
                         "plm_backend_publish",
                         path, backend->struct_size, sizeof *backend);
  for (size_t i = 0; i < sizeof required / sizeof *required; i++)
    if (!slot_set(backend, &required[i]))
      return plm_error_set(err, PLM_E_ABI, "plugin \"%s\": required slot \"%s\" is empty", path, required[i].name);
  for (int i = 0; i < 3; i++)
    present += slot_set(backend, &events[i]);
  for (int i = 0; i < 3 && present; i++)
    if (!slot_set(backend, &events[i]))
      return plm_error_set(err, PLM_E_ABI, "plugin \"%s\": slot \"%s\" is empty, but other event slots are set", path,
                           events[i].name);
  return 0;
}

#define CANARY 0xa5

/* The table a plugin fills, followed by canaries: a plugin that copies more than the room it was told is found out. */
struct table_room {
  struct plm_backend table;
  unsigned char canaries[512];
};

static int backend_start(struct plm_plugin *plugin, struct plm_error *err) {
  struct table_room room;
  struct plm_guard guard;
  struct plm_error said = PLM_ERROR_INIT;
  int code, changed;
  memset(&room.table, 0, sizeof room.table);
  memset(room.canaries, CANARY, sizeof room.canaries);
  room.table.struct_size = sizeof room.table;
  plm_guard_take(&guard);
  code = plugin->card->start(plm_services_host(plugin->services), &room.table, &said);
  changed = guard_end(&guard, "start", plugin->path, err);
  if (changed)
    return changed;
  if (code)
    return foreign_error(err, code, &said, plugin->path, "start");
  for (size_t i = 0; i < sizeof room.canaries; i++)
    if (room.canaries[i] != CANARY)
      return plm_error_set(
          err, PLM_E_ABI,
          "plugin \"%s\": start wrote past the %zu bytes of room for its table: use plm_backend_publish", plugin->path,
          sizeof room.table);
  code = table_check(&room.table, plugin->path, err);
  if (code)
    return code;
  plugin->backend = room.table;
  code = plm_defaults_fill(&plugin->backend, plugin->library, err);
  plugin->bare = plugin->backend;
  return code;
}

/* Asks a library for its card, checks it, and starts what is behind it. */
static int plugin_start(struct plm_plugin *plugin, plm_plugin_entry_fn entry, const struct plm_setting *settings,
                        uint32_t setting_count, uint32_t threads, struct plm_error *err) {
  struct plm_services *services;
  struct plm_guard guard;
  const struct plm_plugin_card *card;
  int code;
  plm_guard_take(&guard);
  card = entry();
  code = guard_end(&guard, PLM_PLUGIN_ENTRY_NAME, plugin->path, err);
  if (!code)
    code = card_check(card, plugin->path, err);
  if (!code)
    code = plm_services_create(&services, card, settings, setting_count, threads, err);
  if (code)
    return code;
  plugin->services = services;
  plugin->card = plm_services_card(services);
  plugin->host = *plm_services_host(services);
  return backend_start(plugin, err);
}

int plm_plugin_load(struct plm_plugin **out, const char *path, const struct plm_setting *settings,
                    uint32_t setting_count, uint32_t threads, struct plm_error *err) {
  plm_plugin_entry_fn entry;
  int code;
  struct plm_plugin *plugin = plm_memory_zeroed(1, sizeof *plugin);
  if (!plugin)
    return plm_error_memory(err, "plugin");
  /* Absolute, because dlopen looks a name without a slash up in the system's folders. */
  plugin->path = realpath(path, NULL);
  if (!plugin->path)
    code = plm_error_set_system(err, errno, "plugin \"%s\"", path);
  else
    code = plm_library_open(&plugin->library, &entry, plugin->path, err);
  if (!code)
    code = plugin_start(plugin, entry, settings, setting_count, threads, err);
  if (code) {
    plm_plugin_destroy(plugin);
    return code;
  }
  *out = plugin;
  return 0;
}

void plm_plugin_destroy(struct plm_plugin *plugin) {
  if (!plugin)
    return;
  plm_layers_remove(plugin);
  free(plugin->path);
  free(plugin);
}

int plm_plugin_device_count(uint32_t *out, const struct plm_plugin *plugin, struct plm_error *err) {
  struct plm_error said = PLM_ERROR_INIT;
  struct plm_guard guard;
  uint32_t count = 0;
  int code, changed;
  plm_guard_take(&guard);
  code = plugin->backend.device_count(&count, &said);
  changed = guard_end(&guard, "device_count", plugin->path, err);
  if (changed)
    return changed;
  if (code)
    return foreign_error(err, code, &said, plugin->path, "device_count");
  *out = count;
  return 0;
}

int plm_plugin_describe(struct plm_device_info *out, const struct plm_plugin *plugin, uint32_t index,
                        struct plm_error *err) {
  struct plm_error said = PLM_ERROR_INIT;
  struct plm_device_info info;
  struct plm_guard guard;
  int code, changed;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  plm_guard_take(&guard);
  code = plugin->backend.device_info(index, &info, &said);
  changed = guard_end(&guard, "device_info", plugin->path, err);
  if (changed)
    return changed;
  if (code)
    return foreign_error(err, code, &said, plugin->path, "device_info");
  info.id[sizeof info.id - 1] = info.name[sizeof info.name - 1] = info.vendor[sizeof info.vendor - 1] = '\0';
  info.driver[sizeof info.driver - 1] = info.driver_version[sizeof info.driver_version - 1] = '\0';
  *out = info;
  return 0;
}

#define MATCH_NONE 0
#define MATCH_PART 1
#define MATCH_WHOLE 2

/* An id may hold more than one identity with a blank between them: a PCI address and a UUID. */
static int is_word(const char *words, const char *text) {
  const size_t length = strlen(text);
  for (const char *at = words; length && (at = strcasestr(at, text)); at++)
    if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
      return 1;
  return 0;
}

static int device_match(const struct plm_device_info *info, uint32_t index, const char *text) {
  char number[16];
  snprintf(number, sizeof number, "%" PRIu32, index);
  if (!strcmp(number, text) || !strcmp(info->id, text) || !strcasecmp(info->name, text))
    return MATCH_WHOLE;
  return is_word(info->id, text) || strcasestr(info->name, text) ? MATCH_PART : MATCH_NONE;
}

static int device_unknown(const char *backend, const char *device, uint32_t matches, const char *list,
                          struct plm_error *err) {
  if (matches > 1)
    return plm_error_set(err, PLM_E_USAGE, "device \"%s\" of backend \"%s\": fits %u devices, say which:%s", device,
                         backend, matches, list);
  return plm_error_set(err, PLM_E_USAGE, "device \"%s\" of backend \"%s\": no such device; there is:%s", device,
                       backend, list);
}

int plm_plugin_device(uint32_t *out, const struct plm_plugin *plugin, const char *device, struct plm_error *err) {
  char list[700] = "";
  size_t used = 0;
  uint32_t count, found = 0, matches = 0;
  int code = plm_plugin_device_count(&count, plugin, err);
  if (code)
    return code;
  if (!count)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "backend \"%s\": found no device", plugin->card->name);
  if (!device) {
    *out = 0;
    return 0;
  }
  for (uint32_t i = 0; i < count; i++) {
    struct plm_device_info info;
    int match;
    code = plm_plugin_describe(&info, plugin, i, err);
    if (code)
      return code;
    match = device_match(&info, i, device);
    if (match == MATCH_WHOLE) {
      *out = i;
      return 0;
    }
    if (match == MATCH_PART) {
      found = i;
      matches++;
    }
    if (used < sizeof list)
      used += (size_t)snprintf(list + used, sizeof list - used, "%s %u (%s, %s)", i ? "," : "", i, info.name, info.id);
  }
  if (matches != 1)
    return device_unknown(plugin->card->name, device, matches, list, err);
  *out = found;
  return 0;
}
