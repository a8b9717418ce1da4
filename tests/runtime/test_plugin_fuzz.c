/*
 * A plugin whose card, options, table and texts are patched at random: whatever they say, loading either succeeds with
 * a plugin that is whole, or refuses it with one clean line. Pointers are patched to NULL only: a wild pointer of a
 * plugin cannot be told from a right one.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "runtime/plugin.h"

#define ROUNDS 30000u
#define SEED 20261125u
#define PATH PLM_TEST_PLUGINS "/patched.so"

struct field {
  const char *place;
  uint32_t offset, bytes;
  int pointer;
};
#define CARD(field, pointer)                                                                                           \
  { "card", offsetof(struct plm_plugin_card, field), sizeof((struct plm_plugin_card *)0)->field, pointer }
#define OPTION(i, field, pointer)                                                                                      \
  {                                                                                                                    \
    "options", (i) * sizeof(struct plm_option) + offsetof(struct plm_option, field),                                   \
        sizeof((struct plm_option *)0)->field, pointer                                                                 \
  }
#define SLOT(field)                                                                                                    \
  { "table", offsetof(struct plm_backend, field), 8, 1 }
#define TEXT(i)                                                                                                        \
  { "text", (i)*32, 32, 0 }

static const struct field fields[] = {
    CARD(magic, 0),
    CARD(struct_size, 0),
    CARD(abi_major, 0),
    CARD(abi_minor, 0),
    CARD(endian_probe, 0),
    CARD(pointer_size, 0),
    CARD(op_count, 0),
    CARD(build_flags, 0),
    CARD(name, 1),
    CARD(version, 1),
    CARD(license, 1),
    CARD(options, 1),
    CARD(option_count, 0),
    CARD(option_stride, 0),
    CARD(start, 1),
    OPTION(0, struct_size, 0),
    OPTION(0, name, 1),
    OPTION(0, default_value, 1),
    OPTION(0, help, 1),
    OPTION(0, minimum, 0),
    OPTION(0, maximum, 0),
    OPTION(0, type, 0),
    OPTION(1, minimum, 0),
    OPTION(1, maximum, 0),
    OPTION(1, type, 0),
    OPTION(2, type, 0),
    OPTION(2, struct_size, 0),
    OPTION(2, name, 1),
    {"table", 0, 8, 0},
    SLOT(device_count),
    SLOT(device_info),
    SLOT(buffer_destroy),
    SLOT(op_run),
    TEXT(0),
    TEXT(1),
    TEXT(2),
    TEXT(3),
    TEXT(4),
    TEXT(5),
    TEXT(6),
    TEXT(7),
};

static uint32_t word(uint32_t round, uint32_t index) { return plm_rng_word(SEED, PLM_RNG_TEST, round, 0, index); }

/* The sizes that matter and their neighbours, small and huge numbers, NaN; or any bits. */
static uint64_t value_at(uint32_t round, uint32_t index) {
  static const uint64_t values[] = {0,
                                    1,
                                    2,
                                    4,
                                    7,
                                    8,
                                    55,
                                    56,
                                    57,
                                    63,
                                    64,
                                    104,
                                    111,
                                    112,
                                    113,
                                    160,
                                    168,
                                    4096,
                                    0x7fffffff,
                                    1u << 31,
                                    UINT32_MAX,
                                    UINT64_MAX,
                                    0x7ff8000000000000,
                                    0x7ff0000000000000,
                                    0xfff0000000000000,
                                    1ull << 40,
                                    0x4008000000000000};
  const uint32_t choice = word(round, index) % (sizeof values / sizeof *values + 4);
  if (choice < sizeof values / sizeof *values)
    return values[choice];
  return (uint64_t)word(round, index + 1) << 32 | word(round, index + 2);
}

/* Half of the texts are any bytes, half are made of what numbers and names are made of. */
static unsigned text_byte(uint32_t round, uint32_t index, uint32_t i) {
  static const char usual[] = "0123456789.eE-+ knifTy_";
  const uint32_t any = word(round, index + 1 + i);
  return word(round, index) % 2 ? any & 0xff : (unsigned char)usual[any % (sizeof usual - 1)];
}

static size_t patch_write(char *out, size_t room, const struct field *field, uint32_t round, uint32_t index) {
  size_t used = (size_t)snprintf(out, room, "%s %u ", field->place, field->offset);
  const uint64_t value = field->pointer ? 0 : value_at(round, index);
  for (uint32_t i = 0; i < field->bytes && i < 32; i++) {
    unsigned byte = (unsigned)(value >> 8 * (i % 8)) & 0xff;
    if (field->bytes == 32)
      byte = text_byte(round, index + 3, i);
    used += (size_t)snprintf(out + used, room - used, "%02x", byte);
  }
  return used + (size_t)snprintf(out + used, room - used, " ");
}

static void patches_set(char patches[1024], uint32_t round) {
  size_t used = 0;
  const uint32_t count = 1 + word(round, 0) % 3;
  for (uint32_t i = 0; i < count; i++)
    used += patch_write(patches + used, 1024 - used, &fields[word(round, 1 + i) % (sizeof fields / sizeof *fields)],
                        round, 100 + 50 * i);
  assert_int_equal(setenv("PLM_TEST_PATCHES", patches, 1), 0);
}

static int is_clean_line(const char *text) {
  size_t i = 0;
  for (; text[i] && !iscntrl((unsigned char)text[i]); i++)
    continue;
  return i > 0 && text[i] == '\0';
}

static void check_whole(const struct plm_plugin *plugin, const char *patches) {
  const struct plm_plugin_card *card = plugin->card;
  unsigned char none[sizeof(void (*)(void))] = {0};
  if (card->magic != PLM_PLUGIN_MAGIC || card->struct_size != sizeof *card || card->abi_major != PLM_ABI_MAJOR)
    fail_msg("%s: accepted with a card of another kind", patches);
  for (size_t at = sizeof plugin->backend.struct_size; at < sizeof plugin->backend; at += sizeof none)
    if (!memcmp((const char *)&plugin->backend + at, none, sizeof none))
      fail_msg("%s: accepted with an empty slot at byte %zu", patches, at);
  const char *label = plugin->host.option(plugin->host.context, "label");
  if (card->option_count >= 3 && !label)
    fail_msg("%s: accepted, but a declared option has no value", patches);
}

static int load_patched(char text[PLM_ERROR_TEXT], const char *patches) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_plugin *plugin = NULL;
  const int code = plm_plugin_load(&plugin, PATH, NULL, 0, 1, &err);
  if (code && (plugin || err.code != code || !is_clean_line(err.text)))
    fail_msg("%s: code %d with \"%s\"", patches, code, err.text);
  if (code != 0 && code != PLM_E_ABI && code != PLM_E_NO_MEMORY)
    fail_msg("%s: refused with code %d: %s", patches, code, err.text);
  if (!code)
    check_whole(plugin, patches);
  snprintf(text, PLM_ERROR_TEXT, "%s", err.text);
  plm_plugin_destroy(plugin);
  return code;
}

static void test_plugin_fuzz__any_card_is_whole_or_refused(void **state) {
  uint32_t accepted = 0, refused = 0;
  (void)state;
  for (uint32_t round = 0; round < ROUNDS; round++) {
    char patches[1024], once[PLM_ERROR_TEXT], twice[PLM_ERROR_TEXT];
    patches_set(patches, round);
    const int code = load_patched(once, patches);
    if (load_patched(twice, patches) != code || strcmp(once, twice))
      fail_msg("%s: \"%s\", then \"%s\"", patches, once, twice);
    accepted += code == 0;
    refused += code != 0;
  }
  print_message("%u accepted, %u refused\n", accepted, refused);
  assert_true(accepted > ROUNDS / 20 && refused > ROUNDS / 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_plugin_fuzz__any_card_is_whole_or_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
