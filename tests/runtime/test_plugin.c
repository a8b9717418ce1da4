/* Loading in this process: what is refused and why, what a loaded plugin is given, and how devices are chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "runtime/plugin.h"

#define PLUGIN(name) PLM_TEST_PLUGINS "/" name ".so"

struct refusal {
  const char *file; /* in the folder of test plugins */
  int code;
  const char *reason; /* what the message must say */
};

static const struct refusal refusals[] = {
    {"bad_magic", PLM_E_ABI, "magic is"},
    {"card_short", PLM_E_ABI, "struct_size of the card is 104 (at least 112)"},
    {"major_two", PLM_E_ABI, "abi_major is 2 (this host needs 1)"},
    {"endian_swapped", PLM_E_ABI, "endian_probe is 04030201"},
    {"pointer_four", PLM_E_ABI, "pointer_size is 4 (this host needs 8)"},
    {"fast_math_card", PLM_E_ABI, "build_flags say -ffast-math"},
    {"no_card", PLM_E_ABI, "returns no card"},
    {"bad_name", PLM_E_ABI, "name \"Bad Name\""},
    {"no_version", PLM_E_ABI, "version is NULL"},
    {"no_start", PLM_E_ABI, "start is NULL"},
    {"no_entry", PLM_E_ABI, "does not export " PLM_PLUGIN_ENTRY_NAME},
    {"borrower", PLM_E_ABI, "is not its own but of"},
    {"undefined_symbol", PLM_E_DAMAGED, "undefined symbol: plm_test_not_there"},
    {"flush_load", PLM_E_ABI, "changed the floating-point state"},
    {"rounding_load", PLM_E_ABI, "changed the rounding mode"},
    {"locale_load", PLM_E_ABI, "changed the locale from \"C\" to \"C.UTF-8\""},
    {"locale_start", PLM_E_ABI, "changed the locale"},
    {"locale_thread", PLM_E_ABI, "changed the thread's locale"},
    {"signal_start", PLM_E_ABI, "changed the handler of SIGTERM"},
    {"slot_missing", PLM_E_ABI, "required slot \"op_run\" is empty"},
    {"events_half", PLM_E_ABI, "slot \"event_wait\" is empty"},
    {"table_short", PLM_E_ABI, "struct_size of its table is 104 (at least 160)"},
    {"table_overrun", PLM_E_ABI, "wrote past the 160 bytes"},
    {"start_fails", PLM_E_DEVICE_LOST, "null driver: no device?answers"},
    {"start_mute", PLM_E_INTERNAL, "failed with code 4242 and no reason"},
    {"option_default", PLM_E_ABI, "its own default \"deep\" is not an integer"},
    {"option_range", PLM_E_ABI, "its own default \"9\" is outside 1 to 8"},
    {"option_twice", PLM_E_ABI, "option \"depth\" is declared twice"},
    {"option_type", PLM_E_ABI, "type 99 is unknown"},
    {"option_name", PLM_E_ABI, "name \"Depth!\""},
    {"option_stride", PLM_E_ABI, "option_stride is 8"},
    {"option_size", PLM_E_ABI, "struct_size 8"},
    {"option_help", PLM_E_ABI, "help is NULL"},
};

static void refused(const char *path, int code, const char *reason) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_plugin *plugin = NULL;
  struct plm_guard before;
  int got;
  plm_guard_take(&before);
  got = plm_plugin_load(&plugin, path, NULL, 0, 1, &err);
  if (got != code || !strstr(err.text, reason))
    fail_msg("%s: code %d (expected %d), \"%s\" (expected \"%s\")", path, got, code, err.text, reason);
  assert_null(plugin);
  assert_int_equal(err.code, code);
  if (plm_guard_check(&before, "the refusal", &err))
    fail_msg("%s: left behind: %s", path, err.text);
}

static void test_plugin__each_broken_one_is_refused_by_its_reason(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.so", PLM_TEST_PLUGINS, refusals[i].file);
    refused(path, refusals[i].code, refusals[i].reason);
  }
}

static void scratch_write(char path[4096], const char *name, const void *data, size_t bytes) {
  snprintf(path, 4096, "%s/%s", PLM_TEST_SCRATCH, name);
  assert_int_equal(plm_file_write_atomic(path, data, bytes, NULL), 0);
}

static void test_plugin__what_is_no_shared_library_is_refused(void **state) {
  char path[4096];
  (void)state;
  scratch_write(path, "text.so", "INPUT(libc.so.6)\n", 17);
  refused(path, PLM_E_DAMAGED, "not a shared library (17 bytes, no ELF header)");
  scratch_write(path, "empty.so", "", 0);
  refused(path, PLM_E_DAMAGED, "not a shared library (0 bytes");
  snprintf(path, sizeof path, "%s/folder.so", PLM_TEST_SCRATCH);
  assert_int_equal(plm_file_make_folders(path, NULL), 0);
  refused(path, PLM_E_DAMAGED, "a folder, not a shared library");
  refused("/dev/null", PLM_E_DAMAGED, "a special file, not a shared library");
  refused(PLM_TEST_SCRATCH "/nothing.so", PLM_E_IO, "No such file");
  refused("/proc/self/exe", PLM_E_DAMAGED, "cannot be loaded");
}

/* Cut at every 97th byte, and just before the end: a mapped page without a file behind it would be SIGBUS. */
static void test_plugin__a_cut_library_is_refused_wherever_it_is_cut(void **state) {
  struct plm_error err = PLM_ERROR_INIT;
  char path[4096], *data;
  size_t bytes;
  (void)state;
  assert_int_equal(plm_file_read(&data, &bytes, PLUGIN("null"), 1 << 26, &err), 0);
  for (size_t cut = 64; cut < bytes; cut += bytes / 97) {
    scratch_write(path, "cut.so", data, cut);
    refused(path, PLM_E_DAMAGED, "cut short at");
  }
  scratch_write(path, "cut.so", data, bytes - 1);
  refused(path, PLM_E_DAMAGED, "cut short at");
  free(data);
}

static struct plm_plugin *load(const char *path, const struct plm_setting *settings, uint32_t count, uint32_t threads) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_plugin *plugin = NULL;
  if (plm_plugin_load(&plugin, path, settings, count, threads, &err))
    fail_msg("%s: %s", path, err.text);
  return plugin;
}

static void test_plugin__a_newer_minor_with_longer_structs_is_accepted(void **state) {
  struct plm_plugin *plugin = load(PLUGIN("newer_minor"), NULL, 0, 1);
  (void)state;
  assert_int_equal(plugin->card->magic, PLM_PLUGIN_MAGIC);
  assert_int_equal(plugin->card->abi_minor, PLM_ABI_MINOR + 7);
  assert_int_equal(plugin->card->struct_size, sizeof *plugin->card);
  assert_int_equal(plugin->backend.struct_size, sizeof plugin->backend);
  plm_plugin_destroy(plugin);
}

static void test_plugin__empty_optional_slots_have_defaults(void **state) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_plugin *plugin = load(PLUGIN("null"), NULL, 0, 1), *other = load(PLUGIN("newer_minor"), NULL, 0, 1);
  const struct plm_backend *backend = &plugin->backend;
  struct plm_device *device = NULL;
  struct plm_queue *queue = NULL;
  struct plm_event *event = NULL;
  struct plm_op ops[2];
  uint64_t used, free_bytes;
  uint32_t failed = 99;
  (void)state;
  memset(ops, 0, sizeof ops);
  ops[0].kind = PLM_OP_FILL;
  ops[1].kind = PLM_OP_ADD;
  assert_int_equal(backend->device_open(0, &device, &err), 0);
  assert_int_equal(backend->queue_create(device, &queue, &err), 0);
  assert_int_equal(backend->program_run(queue, ops, 0, &failed, &err), 0);
  assert_int_equal(backend->program_run(queue, ops, 2, &failed, &err), PLM_E_UNSUPPORTED);
  assert_int_equal(failed, 0);
  assert_int_equal(err.op_kind, PLM_OP_FILL);
  assert_int_equal(backend->event_record(queue, &event, &err), 0);
  assert_non_null(event);
  assert_int_equal(backend->event_wait(event, &err), 0);
  backend->event_destroy(event);
  assert_int_equal(backend->memory_info(device, &used, &free_bytes, &err), PLM_E_UNSUPPORTED);
  assert_null(backend->extension("x_anything", 1));
  /* Each plugin has its own defaults: they call its own op_run. */
  assert_ptr_not_equal(backend->program_run, other->backend.program_run);
  backend->queue_destroy(queue);
  backend->device_close(device);
  plm_plugin_destroy(other);
  plm_plugin_destroy(plugin);
}

static void test_plugin__a_file_may_be_loaded_again_and_again(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) {
    struct plm_device_info info;
    char label[24];
    struct plm_setting setting = {"label", label};
    struct plm_plugin *plugin;
    snprintf(label, sizeof label, "round %d", i);
    plugin = load(PLUGIN("null"), &setting, 1, 1);
    assert_int_equal(plm_plugin_describe(&info, plugin, 0, NULL), 0);
    assert_memory_equal(info.name, label, strlen(label));
    plm_plugin_destroy(plugin);
  }
}

static void test_plugin__settings_reach_the_plugin_in_canonical_form(void **state) {
  const struct plm_setting settings[] = {
      {"devices", "0.003k"}, {"share", "25e-2"}, {"loud", "off"}, {"label", "Two words"}};
  struct plm_device_info info;
  struct plm_plugin *plugin = load(PLUGIN("null"), settings, 4, 3);
  uint32_t count;
  (void)state;
  assert_int_equal(plm_plugin_device_count(&count, plugin, NULL), 0);
  assert_int_equal(count, 3);
  assert_int_equal(plm_plugin_describe(&info, plugin, 2, NULL), 0);
  assert_string_equal(info.name, "Two words number 2");
  assert_string_equal(info.driver_version, "share=0.25 loud=0 threads=3");
  plm_plugin_destroy(plugin);
}

static void setting_refused(const char *name, const char *value, const char *reason) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_setting setting = {name, value};
  struct plm_plugin *plugin = NULL;
  int code = plm_plugin_load(&plugin, PLUGIN("null"), &setting, 1, 1, &err);
  if (code != PLM_E_USAGE || !strstr(err.text, reason))
    fail_msg("%s = %s: code %d, \"%s\" (expected \"%s\")", name, value, code, err.text, reason);
  assert_null(plugin);
}

static void test_plugin__wrong_settings_are_usage_errors(void **state) {
  (void)state;
  setting_refused("devises", "1", "option \"devises\" of backend \"null\": no such option; did you mean \"devices\"?");
  setting_refused("zzz", "1", "no such option");
  setting_refused("devices", "5", "value \"5\" is outside 0 to 4");
  setting_refused("devices", "-1", "value \"-1\" is outside 0 to 4");
  setting_refused("devices", "--1", "value \"--1\" is not an integer");
  setting_refused("devices", "-+1", "is not an integer");
  setting_refused("devices", "1.5", "value \"1.5\" is not an integer");
  setting_refused("devices", "", "value \"\" is not an integer");
  setting_refused("share", "half", "value \"half\" is not a number");
  setting_refused("share", "nan", "value \"nan\" is not a number");
  setting_refused("share", "1.0001", "is outside 0 to 1");
  setting_refused("loud", "maybe", "value \"maybe\" is not a boolean (yes or no)");
}

static void chosen(const struct plm_plugin *plugin, const char *device, int64_t expected, const char *reason) {
  struct plm_error err = PLM_ERROR_INIT;
  uint32_t index = 77;
  int code = plm_plugin_device(&index, plugin, device, &err);
  if (expected >= 0) {
    assert_int_equal(code, 0);
    assert_int_equal(index, expected);
    return;
  }
  assert_int_equal(code, PLM_E_USAGE);
  assert_int_equal(index, 77);
  if (!strstr(err.text, reason))
    fail_msg("\"%s\": \"%s\" (expected \"%s\")", device, err.text, reason);
}

static void test_plugin__devices_are_chosen_by_number_id_or_part_of_the_name(void **state) {
  const struct plm_setting two = {"devices", "2"}, none = {"devices", "0"};
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_plugin *plugin = load(PLUGIN("null"), &two, 1, 1);
  uint32_t index;
  (void)state;
  chosen(plugin, NULL, 0, NULL);
  chosen(plugin, "1", 1, NULL);
  chosen(plugin, "null-1 0000:01:00.0", 1, NULL);
  chosen(plugin, "null-1", 1, NULL);
  chosen(plugin, "0000:00:00.0", 0, NULL);
  chosen(plugin, "0000:0", -1, "no such device");
  chosen(plugin, "NUMBER 1", 1, NULL);
  chosen(plugin, "2", -1, "no such device; there is: 0 (Null device number 0, null-0 0000:00:00.0), 1 (");
  chosen(plugin, "Radeon", -1, "device \"Radeon\" of backend \"null\": no such device");
  chosen(plugin, "null device", -1, "fits 2 devices, say which");
  plm_plugin_destroy(plugin);
  plugin = load(PLUGIN("null"), &none, 1, 1);
  assert_int_equal(plm_plugin_device(&index, plugin, NULL, &err), PLM_E_UNSUPPORTED);
  plm_plugin_destroy(plugin);
}

static void test_plugin__a_device_that_cannot_be_described_says_so(void **state) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_device_info info;
  struct plm_plugin *plugin = load(PLUGIN("info_fails"), NULL, 0, 1);
  (void)state;
  assert_int_equal(plm_plugin_describe(&info, plugin, 0, &err), PLM_E_DEVICE_LOST);
  assert_string_equal(err.text, "null driver: device 0 fell off the bus");
  plm_plugin_destroy(plugin);
}

static int scratch_make(void **state) {
  (void)state;
  return plm_file_make_folders(PLM_TEST_SCRATCH, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plugin__each_broken_one_is_refused_by_its_reason),
      cmocka_unit_test(test_plugin__what_is_no_shared_library_is_refused),
      cmocka_unit_test(test_plugin__a_cut_library_is_refused_wherever_it_is_cut),
      cmocka_unit_test(test_plugin__a_newer_minor_with_longer_structs_is_accepted),
      cmocka_unit_test(test_plugin__empty_optional_slots_have_defaults),
      cmocka_unit_test(test_plugin__a_file_may_be_loaded_again_and_again),
      cmocka_unit_test(test_plugin__settings_reach_the_plugin_in_canonical_form),
      cmocka_unit_test(test_plugin__wrong_settings_are_usage_errors),
      cmocka_unit_test(test_plugin__devices_are_chosen_by_number_id_or_part_of_the_name),
      cmocka_unit_test(test_plugin__a_device_that_cannot_be_described_says_so),
  };
  return cmocka_run_group_tests(tests, scratch_make, NULL);
}
