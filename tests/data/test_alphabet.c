#include "data_fixture.h"

#include <stdio.h>
#include <string.h>

#include "data/alphabet.h"

/* Encodes text; tokens go to out, the length is returned, -1 for a byte that is not allowed. */
static int64_t encode(const char *text, int out[64], struct plm_alphabet_counts *counts) {
  struct plm_alphabet_reader reader = {0};
  for (const char *c = text; *c != '\0'; c++) {
    uint64_t place = reader.length;
    int token = plm_alphabet_take(&reader, (unsigned char)*c);
    if (token == -2)
      return -1;
    if (token >= 0)
      out[place] = token;
  }
  uint64_t length = plm_alphabet_end(&reader);
  *counts = reader.counts;
  return (int64_t)length;
}

static void test_alphabet__ids_are_those_of_esm2(void **state) {
  (void)state;
  int out[64];
  struct plm_alphabet_counts counts;
  assert_int_equal(encode("LAGVSERTIDPKQNFYMHWCXBUZO", out, &counts), 25);
  for (int i = 0; i < 25; i++)
    assert_int_equal(out[i], 4 + i);
  assert_string_equal(plm_alphabet_name(0), "<cls>");
  assert_string_equal(plm_alphabet_name(2), "<eos>");
  assert_string_equal(plm_alphabet_name(31), "<null_1>");
  assert_string_equal(plm_alphabet_name(32), "<mask>");
  assert_string_equal(plm_alphabet_name(33), "?");
  assert_string_equal(plm_alphabet_name(-1), "?");
}

static void test_alphabet__vocabulary_lists_the_names_in_order(void **state) {
  (void)state;
  char text[512] = "";
  for (int i = 0; i < PLM_TOKEN_COUNT; i++) {
    strcat(text, i > 0 ? " " : "");
    strcat(text, plm_alphabet_name(i));
  }
  assert_string_equal(text, plm_alphabet_vocabulary());
}

static void test_alphabet__rules_are_counted(void **state) {
  (void)state;
  int out[64];
  struct plm_alphabet_counts counts;
  assert_int_equal(encode("acXBUZOJ*-.jM**", out, &counts), 11);
  assert_int_equal(out[0], 5);
  assert_int_equal(out[7], PLM_TOKEN_X); /* J */
  assert_int_equal(out[8], PLM_TOKEN_X); /* the inner stop */
  assert_int_equal(out[9], PLM_TOKEN_X); /* j */
  assert_int_equal(out[10], 20);
  assert_int_equal(counts.lower_case, 3);
  assert_int_equal(counts.gaps, 2);
  assert_int_equal(counts.stops_inside, 1);
  assert_int_equal(counts.stops_end, 2);
  assert_int_equal(counts.letter_j, 2);
  assert_int_equal(counts.letter_x, 1);
  assert_int_equal(counts.letter_b + counts.letter_u + counts.letter_z + counts.letter_o, 4);
}

static void test_alphabet__stops_before_gaps_are_at_the_end(void **state) {
  (void)state;
  int out[64];
  struct plm_alphabet_counts counts;
  assert_int_equal(encode("MK*--", out, &counts), 2);
  assert_int_equal(counts.stops_end, 1);
  assert_int_equal(encode("***", out, &counts), 0);
  assert_int_equal(counts.stops_end, 3);
}

static void test_alphabet__exactly_55_bytes_are_allowed(void **state) {
  (void)state;
  int allowed = 0;
  for (int byte = 0; byte < 256; byte++) {
    struct plm_alphabet_reader reader = {0};
    allowed += plm_alphabet_take(&reader, (unsigned char)byte) != -2;
  }
  assert_int_equal(allowed, 26 + 26 + 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alphabet__ids_are_those_of_esm2),
      cmocka_unit_test(test_alphabet__vocabulary_lists_the_names_in_order),
      cmocka_unit_test(test_alphabet__rules_are_counted),
      cmocka_unit_test(test_alphabet__stops_before_gaps_are_at_the_end),
      cmocka_unit_test(test_alphabet__exactly_55_bytes_are_allowed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
