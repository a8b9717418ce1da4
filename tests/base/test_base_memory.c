/* Host memory: overflow and exhaustion are answers, not accidents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/memory.h"

/* Under AddressSanitizer too a size that cannot be had gives NULL. */
const char *__asan_default_options(void);
__attribute__((visibility("default"), used)) const char *__asan_default_options(void) {
  return "allocator_may_return_null=1";
}

/* The compiler must not see that these sizes cannot be had. */
static volatile size_t huge = SIZE_MAX;

static void test_base_memory__zeroed_is_zero_and_never_null_for_nothing(void **state) {
  (void)state;
  static const unsigned char zero[3000];
  unsigned char *memory = plm_memory_zeroed(1000, 3);
  assert_non_null(memory);
  assert_memory_equal(memory, zero, sizeof zero);
  free(memory);
  void *nothing[] = {plm_memory_zeroed(0, 8), plm_memory_zeroed(8, 0), plm_memory_zeroed(0, 0)};
  for (size_t i = 0; i < 3; i++) {
    assert_non_null(nothing[i]);
    free(nothing[i]);
  }
}

static void test_base_memory__overflowing_product_is_refused(void **state) {
  (void)state;
  assert_null(plm_memory_zeroed(huge / 2 + 1, 2));
  assert_null(plm_memory_zeroed(huge, huge));
}

static void test_base_memory__grow_doubles_and_keeps_what_is_there(void **state) {
  (void)state;
  void *array = NULL;
  size_t capacity = 0;
  for (size_t need = 1; need <= 1000; need++) {
    assert_int_equal(plm_memory_grow(&array, &capacity, need, sizeof(int)), 0);
    assert_true(capacity >= need);
    ((int *)array)[need - 1] = (int)need;
  }
  assert_int_equal(capacity, 1024);
  for (int i = 0; i < 1000; i++)
    assert_int_equal(((int *)array)[i], i + 1);
  assert_int_equal(plm_memory_grow(&array, &capacity, 0, sizeof(int)), 0);
  assert_int_equal(capacity, 1024);
  free(array);
}

static void test_base_memory__grow_refuses_overflow_and_leaves_the_array(void **state) {
  (void)state;
  void *array = NULL;
  size_t capacity = 0;
  assert_int_equal(plm_memory_grow(&array, &capacity, 4, 8), 0);
  memset(array, 7, 32);
  void *before = array;
  size_t capacity_before = capacity;
  const size_t needs[] = {huge, huge / 2 + 2, huge / 8 + 1, huge / 32};
  for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
    assert_int_equal(plm_memory_grow(&array, &capacity, needs[i], 64), PLM_E_NO_MEMORY);
    assert_ptr_equal(array, before);
    assert_int_equal(capacity, capacity_before);
  }
  assert_int_equal(((unsigned char *)array)[31], 7);
  free(array);
}

static void test_base_memory__aligned_is_aligned_to_64(void **state) {
  (void)state;
  for (size_t bytes = 0; bytes < 300; bytes += 7) {
    unsigned char *memory = plm_memory_aligned(bytes);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 64, 0);
    memset(memory, 1, bytes);
    free(memory);
  }
  assert_null(plm_memory_aligned(huge));
  assert_null(plm_memory_aligned(huge - 63));
}

static void test_base_memory__format_makes_texts_of_any_length(void **state) {
  (void)state;
  char *text = plm_memory_format("%s-%05d", "cell", 42);
  assert_string_equal(text, "cell-00042");
  free(text);
  text = plm_memory_format("%*s", 100000, "x");
  assert_int_equal(strlen(text), 100000);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_base_memory__zeroed_is_zero_and_never_null_for_nothing),
      cmocka_unit_test(test_base_memory__overflowing_product_is_refused),
      cmocka_unit_test(test_base_memory__grow_doubles_and_keeps_what_is_there),
      cmocka_unit_test(test_base_memory__grow_refuses_overflow_and_leaves_the_array),
      cmocka_unit_test(test_base_memory__aligned_is_aligned_to_64),
      cmocka_unit_test(test_base_memory__format_makes_texts_of_any_length),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
