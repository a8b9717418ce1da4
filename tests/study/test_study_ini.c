/* The reader: what a file may look like, and what of it is refused where. */
#include "study_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "study/ini_reader.h"

struct bad_case {
  const char *text;
  const char *complaints[5]; /* NULL ends them */
};

static const struct bad_case bad[] = {
    /* keys and sections */
    {STUDY_GOOD "center_exponant = 1\n",
     {"6: unknown key \"center_exponant\" in [grid], did you mean \"center_exponent\"?"}},
    {STUDY_GOOD "[train]\nlength_max = 64\n", {"7: unknown key \"length_max\" in [train], it belongs to [data]"}},
    {STUDY_GOOD "[train]\nzzzzzzzzzzzzzz = 64\n",
     {"7: unknown key \"zzzzzzzzzzzzzz\" in [train], see `plmscale options`"}},
    {STUDY_GOOD "[trian]\nlr = 1\nfoo = 2\n", {"6: unknown section \"trian\", did you mean [train]?"}},
    {STUDY_GOOD "[hyperparameters]\n",
     {"6: unknown section \"hyperparameters\" (known: study, grid, model, data, train, evaluate, run, backend NAME)"}},
    {STUDY_GOOD "[]\n",
     {"6: unknown section \"\" (known: study, grid, model, data, train, evaluate, run, backend NAME)"}},
    {STUDY_GOOD "[backend]\nthreads = 2\n", {"6: section \"backend\": expected [backend NAME] with one name"}},
    {STUDY_GOOD "[backend a b]\n", {"6: section \"backend a b\": expected [backend NAME] with one name"}},
    {"seeds = 1\n" STUDY_GOOD, {"1: key \"seeds\" stands before the first [section]"}},
    {STUDY_GOOD "sizes = 30k\n", {"6: key \"sizes\" in [grid] is given twice, first in line 5"}},
    {STUDY_GOOD "[run]\n[grid]\nsizes = 30k\n", {"8: key \"sizes\" in [grid] is given twice, first in line 5"}},
    {STUDY_GOOD "[backend cpu]\na = 1\na = 2\n", {"8: key \"a\" in [backend cpu] is given twice, first in line 7"}},
    /* lines */
    {STUDY_GOOD "run_cap 12\n", {"6: \"run_cap 12\": no '=' (expected key = value or [section])"}},
    {STUDY_GOOD "= 12\n", {"6: \"= 12\": no key before '='"}},
    {STUDY_GOOD "[train\nlr = 1\nnonsense = 2\n", {"6: \"[train\": a section header without ']'"}},
    {STUDY_GOOD "[train] lr = 1\n", {"6: \"[train] lr = 1\": text after ']', put it on a line of its own"}},
    {STUDY_GOOD "[tr*in]\n",
     {"6: \"[tr*in]\": a section name may hold only letters, digits, '_', '-', '.' and blanks"}},
    {STUDY_GOOD "[backend aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee]\nx = 1\n",
     {"6: \"[backend aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee]\": a section name longer than 49 bytes"}},
    {STUDY_GOOD " run_cap = 12\n",
     {"6: \"run_cap = 12\": an indented line continues the value above, remove the blanks before it"}},
    {STUDY_GOOD "\t[train]\n",
     {"6: \"[train]\": an indented line continues the value above, remove the blanks before it"}},
    {STUDY_GOOD "run_cap\n  12\n", {"6: \"run_cap\": no '=' (expected key = value or [section])"}},
    /* whole files */
    {"",
     {"1: [study] corpus is required: corpus made by `plmscale data build`, relative to this file",
      "1: [grid] compute is required in mode isoflop", "1: [grid] sizes or center is required in mode isoflop"}},
    {"\n# nothing\n\n",
     {"3: [study] corpus is required: corpus made by `plmscale data build`, relative to this file",
      "3: [grid] compute is required in mode isoflop", "3: [grid] sizes or center is required in mode isoflop"}},
    {"[study]\nname = x\n[grid]\ncompute = 1e13\nsizes = 26k\n",
     {"1: [study] corpus is required: corpus made by `plmscale data build`, relative to this file"}},
    {"[study]\ncorpus = # later\n[grid]\ncompute = 1e13\nsizes = 26k\n",
     {"2: [study] corpus is required: corpus made by `plmscale data build`, relative to this file"}},
    {STUDY_GOOD "[train]\nlr =", {"7: [train] lr \"\" is neither `rule`, nor `sweep`, nor a number from 1e-9 to 10, nor a list SIZE: RATE, .."}},
    {"[study]\ncorp",
     {"1: [study] corpus is required: corpus made by `plmscale data build`, relative to this file",
      "2: \"corp\": no '=' (expected key = value or [section])", "2: [grid] compute is required in mode isoflop",
      "2: [grid] sizes or center is required in mode isoflop"}},
};

static void test_ini__bad_lines_are_refused_with_file_and_line(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    study_fixture_refuse(bad[i].text, strlen(bad[i].text), PLM_E_USAGE, bad[i].complaints);
  }
}

static void test_ini__what_is_not_text_is_damaged(void **state) {
  (void)state;
#define BYTES(text) text, sizeof(text) - 1
  static const struct {
    const char *text;
    size_t bytes;
    const char *complaints[2];
  } cases[] = {
      {BYTES("[study]\nname = a\0b\n"), {"2: a NUL byte at offset 16: not a text file"}},
      {BYTES("\0"), {"1: a NUL byte at offset 0: not a text file"}},
      {BYTES("[study]\n\nname = \x1b[31mred\n"), {"3: control character 0x1b at offset 16: not a text file"}},
      {BYTES("[study]\rname = x\n"), {"1: control character 0x0d at offset 7: not a text file"}},
      {BYTES("name = \x7f\n"), {"1: control character 0x7f at offset 7: not a text file"}},
      {BYTES("[study]\nname = \xff\xfe\n"), {"2: byte 0xff at offset 15 is not UTF-8: not a text file"}},
      {BYTES("name = \xc0\xaf\n"), {"1: byte 0xc0 at offset 7 is not UTF-8: not a text file"}},
      {BYTES("name = \xed\xa0\x80\n"), {"1: byte 0xed at offset 7 is not UTF-8: not a text file"}},
      {BYTES("name = \xe2\x82"), {"1: byte 0xe2 at offset 7 is not UTF-8: not a text file"}},
      {BYTES("\x89HDF\r\n\x1a\n\0\0\0"), {"1: byte 0x89 at offset 0 is not UTF-8: not a text file"}},
      {BYTES("\x7f"
             "ELF\x02\x01\x01"),
       {"1: control character 0x7f at offset 0: not a text file"}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    study_fixture_refuse(cases[i].text, cases[i].bytes, PLM_E_DAMAGED, cases[i].complaints);
}

static void test_ini__file_over_a_megabyte_is_damaged(void **state) {
  (void)state;
  size_t bytes = 1024 * 1024 + 1;
  char *text = malloc(bytes);
  assert_non_null(text);
  memset(text, '#', bytes);
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_errors errors = {0};
  struct plm_study *study = NULL;
  assert_int_equal(plm_study_read(&study, study_fixture_write(text, bytes), &errors, &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "has 1048577 bytes, more than the 1048576 allowed here"));
  free(text);
}

/* STUDY_GOOD, then a line of so many bytes made of head and 'a'. Owned by the caller. */
static char *with_long_line(const char *head, size_t length) {
  size_t good = strlen(STUDY_GOOD);
  char *text = malloc(good + length + 2);
  assert_non_null(text);
  memcpy(text, STUDY_GOOD, good);
  memset(text + good, 'a', length);
  memcpy(text + good, head, strlen(head));
  strcpy(text + good + length, "\n");
  return text;
}

static void test_ini__long_lines_are_refused_not_cut(void **state) {
  (void)state;
  static const char *const complaints[] = {"6: line longer than 197 bytes, continue it on an indented line", NULL};
  static const char *const heads[] = {"run_cap = ", "[train] # ", "  26k, "};
  static const size_t lengths[] = {198, 199, 200, 201, 400, 1000000};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
    for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
      char *text = with_long_line(heads[i], lengths[j]);
      study_fixture_refuse(text, strlen(text), PLM_E_USAGE, complaints);
      free(text);
    }
}

static void test_ini__line_of_197_bytes_is_whole(void **state) {
  (void)state;
  char text[1024], name[200];
  memset(name, 'n', sizeof name);
  name[197 - strlen("name = ")] = 0;
  snprintf(text, sizeof text, STUDY_GOOD "[study]\r\nname = %s\r\n", name);
  struct plm_study *study = study_fixture_read(text);
  assert_string_equal(study->config.study_name, name);
  plm_study_destroy(study);
}

static void test_ini__long_comments_are_skipped(void **state) {
  (void)state;
  char *text = with_long_line("  # ", 5000);
  plm_study_destroy(study_fixture_read(text));
  free(text);
}

static void test_ini__a_long_header_does_not_give_its_keys_away(void **state) {
  (void)state;
  char *text = with_long_line("[grid] # ", 300);
  char *whole = malloc(strlen(text) + 64);
  assert_non_null(whole);
  sprintf(whole, "%sunknown = 1\n continued\n", text);
  static const char *const complaints[] = {"6: line longer than 197 bytes, continue it on an indented line", NULL};
  study_fixture_refuse(whole, strlen(whole), PLM_E_USAGE, complaints);
  free(whole);
  free(text);
}

static void test_ini__continuation_lines_are_joined(void **state) {
  (void)state;
  struct plm_study *study =
      study_fixture_read("[study]\ncorpus = c.h5\nseeds = 1, # one\n  # between\n\n  2,\n\t3 ; end\n"
                         "[grid]\ncompute =\n  1e13,\n  2e13\nsizes = 26k\n");
  assert_string_equal(study->config.study_seeds, "1, 2, 3");
  assert_string_equal(study->config.grid_compute, "1e13, 2e13");
  plm_study_destroy(study);
}

static void test_ini__a_list_may_be_longer_than_a_line(void **state) {
  (void)state;
  size_t capacity = 200000, used;
  char *text = malloc(capacity);
  assert_non_null(text);
  used = (size_t)sprintf(text, STUDY_GOOD "[study]\nseeds = 0");
  for (int i = 1; i < 20000; i++)
    used += (size_t)sprintf(text + used, ",%s%d", i % 20 ? "" : "\n  ", i);
  strcpy(text + used, "\n");
  struct plm_study *study = study_fixture_read(text);
  double *values = NULL;
  size_t count = 0;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_grid_parse(&values, &count, study->config.study_seeds, &err), 0);
  assert_int_equal(count, 20000);
  assert_true(values[19999] == 19999);
  free(values);
  plm_study_destroy(study);
  free(text);
}

static void test_ini__bom_crlf_colon_and_comments_are_read(void **state) {
  (void)state;
  struct plm_study *study = study_fixture_read("\xEF\xBB\xBF# hello\r\n; there\r\n[study] ; header\r\n"
                                               "corpus: a#b;c.h5 # not a#b\r\nname = Stra\xC3\x9F"
                                               "e ; x\r\n"
                                               "[grid]\r\ncompute=1e13\r\nsizes=26k\r\n");
  assert_string_equal(study->config.study_corpus, "a#b;c.h5");
  assert_string_equal(study->config.study_name, "Stra\xC3\x9F"
                                                "e");
  assert_string_equal(study->config.grid_compute, "1e13");
  plm_study_destroy(study);
}

static void test_ini__complaints_are_sorted_and_bounded(void **state) {
  (void)state;
  size_t lines = 300000, used = 0;
  char *text = malloc(lines * 3 + 64);
  assert_non_null(text);
  used = (size_t)sprintf(text, "[grid]\n");
  for (size_t i = 0; i < lines; i++)
    used += (size_t)sprintf(text + used, "q=\n");
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_errors errors = {0};
  struct plm_study *study = NULL;
  const char *path = study_fixture_write(text, used);
  assert_int_equal(plm_study_read(&study, path, &errors, &err), PLM_E_USAGE);
  assert_int_equal(errors.count, 100);
  assert_non_null(strstr(errors.lines[99], "more than 4096 keys in one file"));
  assert_string_equal(err.text, errors.lines[0]);
  plm_errors_fini(&errors);
  free(text);
}

static void test_ini__every_truncation_is_read_or_refused(void **state) {
  (void)state;
  static const char text[] =
      "\xEF\xBB\xBF[study]\ncorpus = c.h5 # x\n[grid]\ncompute =\n 1e13,\n  2e13\nsizes = log(1e4,1e6,5)\n";
  int good = 0, refused = 0;
  for (size_t bytes = 0; bytes < sizeof text; bytes++) {
    struct plm_error err = PLM_ERROR_INIT;
    struct plm_errors errors = {0};
    struct plm_study *study = NULL;
    const char *path = study_fixture_write(text, bytes);
    int code = plm_study_read(&study, path, &errors, &err);
    assert_true(code == 0 || code == PLM_E_USAGE || code == PLM_E_DAMAGED);
    assert_true((code == 0) == (study != NULL));
    assert_true((code == PLM_E_USAGE) == (errors.count > 0));
    if (code)
      assert_memory_equal(err.text, path, strlen(path));
    good += code == 0;
    refused += code != 0;
    plm_study_destroy(study);
    plm_errors_fini(&errors);
  }
  assert_true(good >= 1 && refused > 60);
}

static void test_ini__damaged_bytes_are_parsed_or_refused(void **state) {
  (void)state;
  static const char *const pieces[] = {"[",  "]",    "=",       ":",    "\n",   "\n ", " ;",
                                       " #", "\r\n", "key = 1", "\xC3", "\x01", "[x]"};
  int parsed = 0, refused = 0;
  for (uint32_t round = 0; round < 20000; round++) {
    char text[1200] = "";
    size_t used = 0;
    uint32_t count = plm_rng_word(1, PLM_RNG_TEST, round, 0, 0) % 60;
    for (uint32_t i = 0; i < count; i++) {
      uint32_t word = plm_rng_word(1, PLM_RNG_TEST, round, 1, i);
      /* Text that is damaged beyond parsing is the exception. */
      size_t piece = word % 13;
      if ((piece == 10 || piece == 11) && word >> 16 > 2000)
        piece = 9;
      used += (size_t)sprintf(text + used, "%s", pieces[piece]);
    }
    struct plm_ini ini = {0};
    struct plm_errors errors = {0};
    struct plm_error err = PLM_ERROR_INIT;
    struct plm_ini_complaints complaints = {"f", &errors, 0, 0};
    int code = plm_ini_parse(&ini, text, used, &complaints, &err);
    assert_true(code == 0 || code == PLM_E_DAMAGED);
    for (size_t i = 0; i < ini.count; i++) {
      assert_true(ini.entries[i].line >= 1 && ini.entries[i].line <= ini.lines && *ini.entries[i].key);
      assert_null(strpbrk(ini.entries[i].value, "\r\n"));
    }
    parsed += code == 0;
    refused += code != 0;
    plm_ini_fini(&ini);
    plm_errors_fini(&errors);
  }
  assert_true(parsed > 10000 && refused > 100);
}

static void test_ini__missing_file_is_an_io_error(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_errors errors = {0};
  struct plm_study *study = NULL;
  assert_int_equal(plm_study_read(&study, study_fixture_path("absent.ini"), &errors, &err), PLM_E_IO);
  assert_non_null(strstr(err.text, "absent.ini\": No such file or directory"));
  assert_int_equal(plm_study_read(&study, study_fixture_path("."), &errors, &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "is not a regular file"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ini__bad_lines_are_refused_with_file_and_line),
      cmocka_unit_test(test_ini__what_is_not_text_is_damaged),
      cmocka_unit_test(test_ini__file_over_a_megabyte_is_damaged),
      cmocka_unit_test(test_ini__long_lines_are_refused_not_cut),
      cmocka_unit_test(test_ini__line_of_197_bytes_is_whole),
      cmocka_unit_test(test_ini__long_comments_are_skipped),
      cmocka_unit_test(test_ini__a_long_header_does_not_give_its_keys_away),
      cmocka_unit_test(test_ini__continuation_lines_are_joined),
      cmocka_unit_test(test_ini__a_list_may_be_longer_than_a_line),
      cmocka_unit_test(test_ini__bom_crlf_colon_and_comments_are_read),
      cmocka_unit_test(test_ini__complaints_are_sorted_and_bounded),
      cmocka_unit_test(test_ini__every_truncation_is_read_or_refused),
      cmocka_unit_test(test_ini__damaged_bytes_are_parsed_or_refused),
      cmocka_unit_test(test_ini__missing_file_is_an_io_error),
  };
  return cmocka_run_group_tests(tests, study_fixture_setup, study_fixture_teardown);
}
