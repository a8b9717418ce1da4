/* How many tokens a micro-batch takes on devices of different memory and cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "runtime/session.h"

static const struct plm_shape shape = {.layers = 6, .width = 320, .heads = 20};
#define BATCH 65536u
#define LENGTH 1024u

static uint32_t micro(uint64_t memory, uint64_t buffer_max, uint64_t cache) {
  const struct plm_device_info info = {
      .struct_size = sizeof info, .memory_bytes = memory, .buffer_bytes_max = buffer_max, .cache_bytes = cache};
  return plm_session_micro(&info, shape, LENGTH, BATCH);
}

static uint64_t total_bytes(uint64_t *largest, uint32_t tokens) {
  const struct plm_capacity capacity = plm_session_capacity(tokens, LENGTH);
  return plm_shape_bytes(largest, shape, &capacity);
}

static void test_micro__whole_batch_where_nothing_is_known(void **state) {
  (void)state;
  assert_int_equal(micro(0, 0, 0), BATCH);
}

static void test_micro__activations_stay_in_the_cache(void **state) {
  (void)state;
  const uint64_t token_bytes = (uint64_t)2 * 16 * shape.width * 4;
  assert_int_equal(micro(0, 0, 5000 * token_bytes), 5000);
  assert_int_equal(micro(0, 0, 1), LENGTH); /* never less than the longest sequence */
}

static void test_micro__largest_buffer_is_one_the_device_allows(void **state) {
  (void)state;
  const uint64_t allowed = (uint64_t)1 << 30;
  const uint32_t tokens = micro(0, allowed, 0);
  uint64_t largest = 0;
  assert_in_range(tokens, LENGTH, BATCH - 1);
  total_bytes(&largest, tokens);
  assert_true(largest <= allowed);
  total_bytes(&largest, tokens + 256);
  assert_true(largest > allowed);
}

static void test_micro__all_buffers_leave_a_tenth_of_the_memory(void **state) {
  (void)state;
  const uint64_t memory = (uint64_t)2 << 30;
  const uint32_t tokens = micro(memory, 0, 0);
  assert_in_range(tokens, LENGTH, BATCH - 1);
  assert_true(total_bytes(NULL, tokens) <= memory / 10 * 9);
  assert_true(total_bytes(NULL, tokens + 256) > memory / 10 * 9);
}

static void test_micro__too_small_a_device_gets_the_least(void **state) {
  (void)state;
  assert_int_equal(micro(1 << 20, 1 << 16, 0), LENGTH);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_micro__whole_batch_where_nothing_is_known),
      cmocka_unit_test(test_micro__activations_stay_in_the_cache),
      cmocka_unit_test(test_micro__largest_buffer_is_one_the_device_allows),
      cmocka_unit_test(test_micro__all_buffers_leave_a_tenth_of_the_memory),
      cmocka_unit_test(test_micro__too_small_a_device_gets_the_least),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
