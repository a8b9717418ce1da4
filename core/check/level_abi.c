/* Level 0: the file, the card, start, and hosts of other minor versions. Each test has a process of its own. */
#include <dlfcn.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "check/check_test.h"
#include "check/elf_exports.h"

/* Sizes of ABI 1.0, which tests/abi freezes: what the oldest host of this major has room for. */
#define HOST_1_0 72u
#define BACKEND_1_0 160u
#define INFO_1_0 488u
#define VERDICT_1_0 136u
#define CANARY 0x5a

/* ------------------------------------------------------------------ file */

static void test_exports(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_elf_exports exports = {0};
  int found = 0;
  (void)entry;
  if (plm_check_must(out, plm_elf_exports_read(&exports, rig->options->path, &err), &err, "reading the file"))
    return;
  for (size_t i = 0; i < exports.count; i++) {
    if (!strcmp(exports.names[i], PLM_PLUGIN_ENTRY_NAME))
      found = 1;
    else
      plm_check_fail(out, "exports \"%.100s\" (%zu symbols in all); " PLM_PLUGIN_ENTRY_NAME
                          " must be the only one: -fvisibility=hidden and PLM_EXPORT", exports.names[i], exports.count);
  }
  if (!found)
    plm_check_fail(out, "does not export " PLM_PLUGIN_ENTRY_NAME);
  plm_elf_exports_fini(&exports);
}

/* The library, opened the way a host does, under guard; NULL with *out failed. */
static void *open_library(struct plm_check_outcome *out, const char *path) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_guard guard;
  char *absolute = realpath(path, NULL);
  plm_guard_take(&guard);
  void *library = absolute ? dlopen(absolute, RTLD_NOW | RTLD_LOCAL) : NULL;
  free(absolute);
  if (plm_guard_check(&guard, "dlopen", &err)) {
    plm_check_fail(out, "%s", err.text);
    return NULL;
  }
  if (!library)
    plm_check_fail(out, "cannot be loaded with all symbols resolved: %.300s", dlerror());
  return library;
}

static plm_plugin_entry_fn entry_of(struct plm_check_outcome *out, void *library) {
  plm_plugin_entry_fn entry = NULL;
  void *symbol = dlsym(library, PLM_PLUGIN_ENTRY_NAME);
  memcpy(&entry, &symbol, sizeof entry);
  if (!symbol)
    plm_check_fail(out, "does not export " PLM_PLUGIN_ENTRY_NAME);
  return entry;
}

static void test_undefined(struct plm_check_outcome *out, struct plm_check_rig *rig,
                           const struct plm_check_entry *entry) {
  (void)entry;
  open_library(out, rig->options->path);
}

/* ------------------------------------------------------------------ card */

static int load(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_setting *settings,
                uint32_t count, struct plm_plugin **plugin) {
  struct plm_error err = PLM_ERROR_INIT;
  const int code = plm_plugin_load(plugin, rig->options->path, settings, count, rig->options->threads, &err);
  if (code)
    plm_check_fail(out, "%s", err.text);
  return code;
}

static int load_as_asked(struct plm_check_outcome *out, struct plm_check_rig *rig, struct plm_plugin **plugin) {
  return load(out, rig, rig->options->settings, rig->options->setting_count, plugin);
}

static void test_load(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_plugin *plugin = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  (void)entry;
  if (load_as_asked(out, rig, &plugin) ||
      plm_check_must(out, plm_plugin_device(&rig->device, plugin, rig->options->device, &err), &err, "device") ||
      plm_check_must(out, plm_plugin_describe(&rig->info, plugin, rig->device, &err), &err, "device_info"))
    return;
  rig->plugin = plugin; /* the report says whom it is about */
}

/* The entry function returns a static card and does nothing else. */
static void test_card(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_plugin *plugin = NULL;
  struct plm_plugin_card first;
  char path[512];
  (void)entry;
  if (load_as_asked(out, rig, &plugin))
    return;
  const plm_plugin_entry_fn again = entry_of(out, plugin->library);
  if (!again)
    return;
  const struct plm_plugin_card *card = again();
  memcpy(&first, card, sizeof first < card->struct_size ? sizeof first : (size_t)card->struct_size);
  if (again() != card)
    plm_check_fail(out, PLM_PLUGIN_ENTRY_NAME " returns another card each time: it must be static");
  if (!card->version[0])
    plm_check_fail(out, "version is empty");
  if (card->op_count < 2 || card->op_count > 1000000)
    plm_check_fail(out, "op_count is %" PRIu32 ": use PLM_CARD_BUILD", card->op_count);
  if (card->build_flags & ~PLM_BUILD_FAST_MATH)
    plm_check_fail(out, "build_flags are %" PRIx32 ": bits that no version has defined", card->build_flags);
  snprintf(path, sizeof path, "%s", rig->options->path);
  char *base = basename(path), *dot = strstr(base, ".so");
  if (dot)
    *dot = '\0';
  if (strcmp(base, card->name))
    plm_check_fail(out, "the file is named \"%s.so\", but the card's name is \"%s\": the file is named NAME.so", base,
                   card->name);
}

/* Every option takes its own default when it is given. */
static void test_options(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_plugin *plugin = NULL, *again = NULL;
  (void)entry;
  if (load_as_asked(out, rig, &plugin))
    return;
  const uint32_t count = plugin->card->option_count;
  struct plm_setting *settings = plm_memory_zeroed(count, sizeof *settings);
  if (!settings) {
    plm_check_fail(out, "out of memory");
    return;
  }
  for (uint32_t i = 0; i < count; i++) {
    struct plm_option option;
    plm_table_copy(&option, sizeof option, (const char *)plugin->card->options + (size_t)i * plugin->card->option_stride);
    settings[i] = (struct plm_setting){option.name, option.default_value};
    if (!option.help[0])
      plm_check_fail(out, "option \"%s\" has no help", option.name);
  }
  load(out, rig, settings, count, &again);
  free(settings);
}

/* --------------------------------------------------------------- devices */

static int list_devices(struct plm_check_outcome *out, const struct plm_plugin *plugin, struct plm_device_info *infos,
                        uint32_t room, uint32_t *count) {
  struct plm_error err = PLM_ERROR_INIT;
  int code = plm_check_must(out, plm_plugin_device_count(count, plugin, &err), &err, "device_count");
  for (uint32_t i = 0; i < *count && i < room && !code; i++)
    code = plm_check_must(out, plm_plugin_describe(&infos[i], plugin, i, &err), &err, "device_info");
  return code;
}

#define DEVICES_MAX 16u

static void judge_device(struct plm_check_outcome *out, const struct plm_device_info *infos, uint32_t i) {
  const struct plm_device_info *info = &infos[i];
  if (info->struct_size > sizeof *info || info->struct_size < INFO_1_0)
    plm_check_fail(out, "device %" PRIu32 ": struct_size came back as %" PRIu64 ": use plm_table_copy", i,
                   info->struct_size);
  if (info->kind < PLM_DEVICE_CPU || info->kind > PLM_DEVICE_OTHER)
    plm_check_fail(out, "device %" PRIu32 ": kind is %" PRIu32, i, info->kind);
  if (!info->id[0] || !info->name[0] || !info->driver[0])
    plm_check_fail(out, "device %" PRIu32 ": %s is empty", i, !info->id[0] ? "id" : !info->name[0] ? "name" : "driver");
  for (uint32_t k = 0; k < i; k++)
    if (!strcmp(infos[k].id, info->id))
      plm_check_fail(out, "devices %" PRIu32 " and %" PRIu32 " have the same id \"%s\"", k, i, info->id);
}

static void test_devices(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  static struct plm_device_info first[DEVICES_MAX], second[DEVICES_MAX];
  struct plm_plugin *plugin = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_device *const mark = (struct plm_device *)(void *)&err, *device = mark;
  uint32_t count = 0, again = 0;
  (void)entry;
  if (load_as_asked(out, rig, &plugin) || list_devices(out, plugin, first, DEVICES_MAX, &count) ||
      list_devices(out, plugin, second, DEVICES_MAX, &again))
    return;
  if (count == 0 || count != again) {
    plm_check_fail(out, "lists %" PRIu32 " devices, and then %" PRIu32, count, again);
    return;
  }
  for (uint32_t i = 0; i < count && i < DEVICES_MAX; i++) {
    judge_device(out, first, i);
    if (strcmp(first[i].id, second[i].id) || strcmp(first[i].name, second[i].name) || first[i].kind != second[i].kind)
      plm_check_fail(out, "device %" PRIu32 " is \"%s\" once and \"%s\" then", i, first[i].id, second[i].id);
  }
  struct plm_device_info beyond = {.struct_size = sizeof beyond};
  if (!plugin->backend.device_info(count, &beyond, &err))
    plm_check_fail(out, "device_info of device %" PRIu32 " succeeds, though there are %" PRIu32, count, count);
  if (!plugin->backend.device_open(count, &device, &err))
    plm_check_fail(out, "device_open of device %" PRIu32 " succeeds, though there are %" PRIu32, count, count);
  else if (device != mark)
    plm_check_fail(out, "device_open fails and changes *out all the same");
}

/* The whole of a device's life leaves the floating-point state, locale and signals as they were. */
static void test_ambient(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_plugin *plugin = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_guard guard;
  struct plm_side side = {0};
  uint32_t device = 0;
  (void)entry;
  plm_guard_take(&guard);
  if (load_as_asked(out, rig, &plugin) ||
      plm_check_must(out, plm_plugin_device(&device, plugin, rig->options->device, &err), &err, "device") ||
      plm_check_must(out, plm_side_open(&side, &plugin->backend, device, &err), &err, "device_open"))
    return;
  if (plm_guard_check(&guard, "device_open and queue_create", &err))
    plm_check_fail(out, "%s", err.text);
  plm_check_must(out, side.backend->queue_finish(side.queue, &err), &err, "queue_finish");
  if (plm_guard_check(&guard, "queue_finish", &err))
    plm_check_fail(out, "%s", err.text);
  plm_side_close(&side);
  if (plm_guard_check(&guard, "device_close", &err))
    plm_check_fail(out, "%s", err.text);
}

/* ------------------------------------------------------------- extensions */

static void test_extension(struct plm_check_outcome *out, struct plm_check_rig *rig,
                           const struct plm_check_entry *entry) {
  static const char *const nobodys[] = {"x_no_such_extension", "", "x_kernels_and_more"};
  struct plm_plugin *plugin = NULL;
  (void)entry;
  if (load_as_asked(out, rig, &plugin))
    return;
  for (size_t i = 0; i < sizeof nobodys / sizeof *nobodys; i++)
    if (plugin->backend.extension(nobodys[i], 1))
      plm_check_fail(out, "extension \"%s\", which nobody has defined, is not NULL", nobodys[i]);
}

/* ------------------------------------------------------ a hundred times */

static void test_repeat(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct plm_error err = PLM_ERROR_INIT;
  uint64_t early = 0;
  uint32_t count = 0, again = 0;
  (void)entry;
  for (int i = 0; i < 100; i++) {
    struct plm_plugin *plugin = NULL;
    if (load_as_asked(out, rig, &plugin) ||
        plm_check_must(out, plm_plugin_device_count(&again, plugin, &err), &err, "device_count"))
      return;
    if (i == 0)
      count = again;
    if (i == 50)
      early = plm_check_heap();
    if (again != count)
      plm_check_fail(out, "start number %d: %" PRIu32 " devices, not %" PRIu32, i + 1, again, count);
    plm_plugin_destroy(plugin);
  }
  /* The host keeps what it gave to each start, as the ABI asks: a few hundred bytes a time. */
  const uint64_t late = plm_check_heap();
  if (late > early + 50 * 16384)
    plm_check_fail(out, "each load and start leaves %" PRIu64 " bytes behind", (late - early) / 50);
}

/* ---------------------------------------------------- hosts of other minors */

/* A host's structs as another minor version has them, each followed by canaries. */
struct other_host {
  union {
    struct plm_host host;
    unsigned char bytes[512];
  } host;
  union {
    struct plm_backend table;
    unsigned char bytes[1024];
  } backend;
  union {
    struct plm_device_info info;
    unsigned char bytes[1024];
  } info;
  union {
    struct plm_verdict verdict;
    unsigned char bytes[1024];
  } verdict;
};

/* 1: bytes[from..to) hold canaries still. */
static int intact(const unsigned char *bytes, size_t from, size_t to) {
  for (size_t i = from; i < to; i++)
    if (bytes[i] != CANARY)
      return 0;
  return 1;
}

static void use_other_host(struct plm_check_outcome *out, struct other_host *other, uint64_t info_size,
                           uint64_t verdict_size, uint32_t index) {
  const struct plm_backend *backend = &other->backend.table;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_side side = {0};
  struct plm_op op = {.struct_size = sizeof op, .kind = PLM_OP_ADD, .type = PLM_TYPE_F32};
  memset(&other->info, CANARY, sizeof other->info);
  memset(&other->verdict, CANARY, sizeof other->verdict);
  other->info.info.struct_size = info_size;
  if (plm_check_must(out, backend->device_info(index, &other->info.info, &err), &err, "device_info"))
    return;
  if (!intact(other->info.bytes, (size_t)info_size, sizeof other->info.bytes))
    plm_check_fail(out, "device_info writes past the %" PRIu64 " bytes it was given: use plm_table_copy", info_size);
  if (other->info.info.struct_size > info_size || other->info.info.struct_size < INFO_1_0)
    plm_check_fail(out, "device_info sets struct_size to %" PRIu64 " of %" PRIu64, other->info.info.struct_size,
                   info_size);
  if (plm_check_must(out, plm_side_open(&side, backend, index, &err), &err, "device_open"))
    return;
  op.u.add.rows = (struct plm_extent){4, PLM_EXTENT_TOKENS};
  op.u.add.width = 4;
  memset(&other->verdict.verdict, 0, (size_t)verdict_size);
  other->verdict.verdict.struct_size = verdict_size;
  plm_check_must(out, backend->op_query(side.device, &op, &other->verdict.verdict, &err), &err, "op_query");
  if (!intact(other->verdict.bytes, (size_t)verdict_size, sizeof other->verdict.bytes))
    plm_check_fail(out, "op_query writes past the %" PRIu64 " bytes of verdict it was given", verdict_size);
  if (other->verdict.verdict.status != PLM_VERDICT_SUPPORTED)
    plm_check_fail(out, "op_query declines add, which is required, from a host of another minor");
  plm_side_close(&side);
}

/* variant 0: the oldest host, with the sizes of 1.0; 1: one of a later minor, with larger structs. */
static void test_host(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  static struct other_host other;
  const uint64_t more = entry->variant ? 64 : 0;
  struct plm_plugin *plugin = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  uint32_t index = 0;
  if (load_as_asked(out, rig, &plugin) ||
      plm_check_must(out, plm_plugin_device(&index, plugin, rig->options->device, &err), &err, "device"))
    return;
  const plm_plugin_entry_fn again = entry_of(out, plugin->library);
  if (!again)
    return;
  memset(&other, CANARY, sizeof other);
  memset(&other.host, 0, HOST_1_0 + more);
  memcpy(&other.host, &plugin->host, HOST_1_0);
  other.host.host.struct_size = HOST_1_0 + more;
  other.host.host.abi_minor = entry->variant ? PLM_ABI_MINOR + 7 : 0;
  memset(&other.backend, 0, BACKEND_1_0 + more);
  other.backend.table.struct_size = BACKEND_1_0 + more;
  if (plm_check_must(out, again()->start(&other.host.host, &other.backend.table, &err), &err, "start"))
    return;
  if (!intact(other.backend.bytes, BACKEND_1_0 + (size_t)more, sizeof other.backend.bytes))
    plm_check_fail(out, "start writes past the %" PRIu64 " bytes of room for its table: use plm_backend_publish",
                   BACKEND_1_0 + more);
  if (other.backend.table.struct_size > BACKEND_1_0 + more || other.backend.table.struct_size < BACKEND_1_0)
    plm_check_fail(out, "start leaves a table with struct_size %" PRIu64 ", room was %" PRIu64,
                   other.backend.table.struct_size, BACKEND_1_0 + more);
  use_other_host(out, &other, INFO_1_0 + more, VERDICT_1_0 + more, index);
}

#define TEST(name, variants, run, what) {0, name, variants, PLM_NEED_FILE, 1, 0, what, run}

const struct plm_check_test plm_check_tests_abi[] = {
    TEST("exports", 1, test_exports, "the entry function is all that the file exports"),
    TEST("undefined", 1, test_undefined, "loads with every symbol resolved"),
    TEST("load", 1, test_load, "card, start and table pass the host's checks"),
    TEST("card", 1, test_card, "the card is static and says what the file is"),
    TEST("options", 1, test_options, "every option takes its own default"),
    TEST("devices", 1, test_devices, "the device list is stable and complete"),
    TEST("ambient", 1, test_ambient, "floating point, locale and signals stay as they were"),
    TEST("extension", 1, test_extension, "extensions that nobody has defined are not there"),
    TEST("repeat", 1, test_repeat, "loaded and started a hundred times"),
    TEST("host", 2, test_host, "hosts of other minors: 0 the oldest, 1 a later one"),
};
const uint32_t plm_check_tests_abi_count = sizeof plm_check_tests_abi / sizeof *plm_check_tests_abi;
