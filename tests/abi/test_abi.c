/* What of the ABI is code: the helpers of the header that every plugin carries a copy of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plmscale/backend.h"
#include "runtime/loading.h"

struct older {
  uint64_t struct_size, a;
};
struct newer {
  uint64_t struct_size, a, b, c;
};

static void test_abi__a_newer_reader_sees_zeros_behind_an_older_struct(void **state) {
  struct older from = {sizeof from, 7};
  struct newer to;
  (void)state;
  memset(&to, 0xff, sizeof to);
  plm_table_copy(&to, sizeof to, &from);
  assert_int_equal(to.struct_size, sizeof from);
  assert_int_equal(to.a, 7);
  assert_int_equal(to.b, 0);
  assert_int_equal(to.c, 0);
}

static void test_abi__an_older_reader_takes_no_more_than_its_room(void **state) {
  struct newer from = {sizeof from, 7, 8, 9}, to;
  (void)state;
  memset(&to, 0x11, sizeof to);
  plm_table_copy(&to, sizeof(struct older), &from);
  assert_int_equal(to.struct_size, sizeof(struct older));
  assert_int_equal(to.a, 7);
  assert_int_equal(to.b, 0x1111111111111111);
  assert_int_equal(to.c, 0x1111111111111111);
}

static void test_abi__publish_fits_the_table_into_an_older_hosts_room(void **state) {
  struct plm_backend mine, out;
  (void)state;
  memset(&mine, 0x22, sizeof mine);
  memset(&out, 0x11, sizeof out);
  mine.struct_size = sizeof mine;
  out.struct_size = offsetof(struct plm_backend, program_run);
  assert_int_equal(plm_backend_publish(&out, &mine), PLM_OK);
  assert_int_equal(out.struct_size, offsetof(struct plm_backend, program_run));
  assert_memory_equal(&out.op_run, &mine.op_run, sizeof out.op_run);
  assert_memory_not_equal(&out.program_run, &mine.program_run, sizeof out.program_run);
}

/* The sizes the loader accepts for ever are those of 1.0, to which later versions only add. */
static void test_abi__least_sizes_are_those_of_the_first_version(void **state) {
  (void)state;
  assert_true(sizeof(struct plm_plugin_card) >= PLM_CARD_BYTES_1_0);
  assert_int_equal(PLM_CARD_BYTES_1_0, offsetof(struct plm_plugin_card, start) + sizeof(void *));
  assert_int_equal(PLM_BACKEND_BYTES_1_0, offsetof(struct plm_backend, extension) + sizeof(void *));
  assert_int_equal(PLM_OPTION_BYTES_1_0, offsetof(struct plm_option, reserved) + sizeof(uint32_t));
}

static void test_abi__entry_name_carries_the_major(void **state) {
  char name[64];
  (void)state;
  snprintf(name, sizeof name, "plm_plugin_entry_v%u", PLM_ABI_MAJOR);
  assert_string_equal(PLM_PLUGIN_ENTRY_NAME, name);
}

static void test_abi__every_op_has_a_name_and_a_body_that_fits(void **state) {
  (void)state;
  for (uint32_t kind = 1; kind < PLM_OP_COUNT; kind++) {
    assert_string_not_equal(plm_op_name(kind), "?");
    assert_in_range(plm_op_body_bytes(kind), 1, PLM_OP_BODY);
    for (uint32_t other = 1; other < kind; other++)
      assert_string_not_equal(plm_op_name(kind), plm_op_name(other));
  }
  assert_string_equal(plm_op_name(0), "?");
  assert_string_equal(plm_op_name(PLM_OP_COUNT), "?");
  assert_int_equal(plm_op_body_bytes(0), 0);
  assert_int_equal(plm_op_body_bytes(PLM_OP_COUNT), 0);
}

static void test_abi__names_follow_the_rule(void **state) {
  char long_name[65];
  (void)state;
  memset(long_name, 'a', 64);
  long_name[64] = '\0';
  assert_true(plm_name_valid("cpu"));
  assert_true(plm_name_valid("opencl_2"));
  assert_true(plm_name_valid(long_name + 1));
  assert_false(plm_name_valid(long_name));
  assert_false(plm_name_valid(NULL));
  assert_false(plm_name_valid(""));
  assert_false(plm_name_valid("2cpu"));
  assert_false(plm_name_valid("CPU"));
  assert_false(plm_name_valid("a-b"));
  assert_false(plm_name_valid("a b"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_abi__a_newer_reader_sees_zeros_behind_an_older_struct),
      cmocka_unit_test(test_abi__an_older_reader_takes_no_more_than_its_room),
      cmocka_unit_test(test_abi__publish_fits_the_table_into_an_older_hosts_room),
      cmocka_unit_test(test_abi__least_sizes_are_those_of_the_first_version),
      cmocka_unit_test(test_abi__entry_name_carries_the_major),
      cmocka_unit_test(test_abi__every_op_has_a_name_and_a_body_that_fits),
      cmocka_unit_test(test_abi__names_follow_the_rule),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
