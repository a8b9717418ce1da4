#include "data_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/fasta.h"

struct outcome {
  int code;
  uint64_t records, residues, skipped, last_line;
  char text[PLM_ERROR_TEXT];
  char sha256[PLM_SHA256_TEXT];
};

static struct outcome read_with(const char *path, uint64_t length_max, int skip_bad) {
  struct outcome outcome = {0};
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_fasta_options options = {length_max, skip_bad};
  struct plm_fasta *fasta = NULL;
  struct plm_fasta_record record;
  int end = 0;
  outcome.code = plm_fasta_open(&fasta, path, &options, &err);
  while (outcome.code == 0) {
    outcome.code = plm_fasta_next(fasta, &record, &end, &err);
    if (outcome.code != 0 || end)
      break;
    outcome.records++;
    outcome.residues += record.length;
    outcome.last_line = record.line;
  }
  if (outcome.code == 0) {
    outcome.skipped = plm_fasta_skipped(fasta);
    assert_int_equal(plm_fasta_digest(fasta, outcome.sha256, &err), 0);
  }
  plm_fasta_close(fasta);
  snprintf(outcome.text, sizeof outcome.text, "%s", err.text);
  return outcome;
}

static struct outcome read_text(const char *text) { return read_with(fixture_text("in.fasta", text), 0, 0); }

/* The message names FILE:LINE and a reason, on one line. */
static void expect_damaged(struct outcome outcome, int line, const char *reason) {
  char place[64];
  snprintf(place, sizeof place, ":%d: ", line);
  if (outcome.code != PLM_E_DAMAGED || strstr(outcome.text, place) == NULL || strstr(outcome.text, reason) == NULL ||
      strchr(outcome.text, '\n') != NULL)
    fail_msg("code %d, expected line %d and \"%s\": %s", outcome.code, line, reason, outcome.text);
}

static void test_fasta__lines_blank_lines_and_crlf_are_read(void **state) {
  (void)state;
  struct outcome outcome = read_text("\r\n>a first\r\nMKV\r\nLA\r\n\r\n>b\n\nMM\n>c\nMKVLAA");
  assert_int_equal(outcome.code, 0);
  assert_int_equal(outcome.records, 3);
  assert_int_equal(outcome.residues, 13);
  assert_int_equal(outcome.last_line, 9);
}

static void test_fasta__an_empty_record_is_a_record(void **state) {
  (void)state;
  struct outcome outcome = read_text(">a\n>b\n>c");
  assert_int_equal(outcome.code, 0);
  assert_int_equal(outcome.records, 3);
  assert_int_equal(outcome.residues, 0);
}

static void test_fasta__the_digest_is_that_of_the_bytes_on_disk(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  char expected[PLM_SHA256_TEXT];
  size_t bytes;
  char *text = fixture_read(fixture_proteins(), &bytes);
  const char *path = fixture_pack("p.fasta.xz", "xz", text, bytes, 0);
  assert_int_equal(plm_sha256_file(expected, path, &err), 0);
  assert_string_equal(read_with(path, 0, 0).sha256, expected);
  free(text);
}

static void test_fasta__every_filter_gives_the_same_records(void **state) {
  (void)state;
  static const char *const filters[] = {"gzip", "bzip2", "xz", "lzma", "lzip", "zstd", "lz4", "compress"};
  size_t bytes;
  char *text = fixture_read(fixture_proteins(), &bytes);
  struct outcome plain = read_with(fixture_proteins(), 0, 0);
  assert_int_equal(plain.records, 100);
  for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
    struct outcome packed = read_with(fixture_pack("p.packed", filters[i], text, bytes, 0), 0, 0);
    if (packed.code != 0 || packed.records != plain.records || packed.residues != plain.residues)
      fail_msg("%s: %llu records: %s", filters[i], (unsigned long long)packed.records, packed.text);
  }
  free(text);
}

static void test_fasta__concatenated_members_are_all_read(void **state) {
  (void)state;
  static const char *const filters[] = {"gzip", "bzip2", "xz", "zstd"};
  for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
    fixture_pack("two", filters[i], ">a\nMKV", 6, 0);
    struct outcome outcome = read_with(fixture_pack("two", filters[i], "LA\n>b\nMM\n", 9, 1), 0, 0);
    if (outcome.code != 0 || outcome.records != 2 || outcome.residues != 7)
      fail_msg("%s: %llu records: %s", filters[i], (unsigned long long)outcome.records, outcome.text);
  }
}

static void test_fasta__a_truncated_compressed_file_is_damaged(void **state) {
  (void)state;
  static const char *const filters[] = {"gzip", "bzip2", "xz", "zstd", "lz4"};
  size_t bytes, packed_bytes;
  char *text = fixture_read(fixture_proteins(), &bytes);
  for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
    char *packed = fixture_read(fixture_pack("cut", filters[i], text, bytes, 0), &packed_bytes);
    for (int eighth = 1; eighth < 8; eighth++) {
      struct outcome outcome = read_with(fixture_write("cut", packed, packed_bytes * (size_t)eighth / 8), 0, 0);
      if (outcome.code != PLM_E_DAMAGED || strstr(outcome.text, "cut:") == NULL)
        fail_msg("%s cut at %d/8: code %d: %s", filters[i], eighth, outcome.code, outcome.text);
    }
    struct outcome outcome = read_with(fixture_write("cut", packed, packed_bytes - 1), 0, 0);
    if (outcome.code != PLM_E_DAMAGED)
      fail_msg("%s without its last byte: code %d", filters[i], outcome.code);
    free(packed);
  }
  free(text);
}

static void test_fasta__a_wrong_gzip_checksum_is_damage(void **state) {
  (void)state;
  size_t bytes;
  fixture_pack("crc.gz", "gzip", ">a\nMKVLA\n", 9, 0);
  char *packed = fixture_read(fixture_path("crc.gz"), &bytes);
  for (size_t i = 1; i <= 8; i++) { /* CRC-32 and length */
    packed[bytes - i] ^= 1;
    struct outcome outcome = read_with(fixture_write("crc.gz", packed, bytes), 0, 0);
    packed[bytes - i] ^= 1;
    expect_damaged(outcome, 1, "incorrect");
  }
  free(packed);
}

static void test_fasta__bytes_after_the_compressed_data_are_damage(void **state) {
  (void)state;
  fixture_pack("tail", "gzip", ">a\nMKV\n", 7, 0);
  size_t bytes;
  char *packed = fixture_read(fixture_path("tail"), &bytes);
  packed = realloc(packed, bytes + 8);
  memcpy(packed + bytes, "garbage!", 8);
  struct outcome outcome = read_with(fixture_write("tail", packed, bytes + 8), 0, 0);
  free(packed);
  assert_int_equal(outcome.code, PLM_E_DAMAGED);
  assert_non_null(strstr(outcome.text, "bytes follow the end"));
}

static void test_fasta__files_that_are_not_fasta_are_refused(void **state) {
  (void)state;
  expect_damaged(read_text(""), 1, "empty");
  expect_damaged(read_text("\n\n\n"), 4, "empty");
  expect_damaged(read_text("MKVLA\n"), 1, "not FASTA");
  expect_damaged(read_text("\n@read\nACGT\n"), 2, "not FASTA");
  expect_damaged(read_with(fixture_write("in.fasta", "\0\0\0\0", 4), 0, 0), 1, "0x00");
  expect_damaged(read_with(fixture_pack("e.gz", "gzip", "", 0, 0), 0, 0), 1, "empty");
}

static void test_fasta__a_byte_that_is_not_a_residue_is_named_with_its_line(void **state) {
  (void)state;
  expect_damaged(read_text(">a\nMKV\nM1K\n"), 3, "0x31 '1'");
  expect_damaged(read_text(">a\nMK VL\n"), 2, "0x20");
  expect_damaged(read_text(">a\nMKV \n"), 2, "0x20");
  expect_damaged(read_text(">a\nMK\rVL\n"), 2, "0x0d");
  expect_damaged(read_text(">a\nMK>b\n"), 2, "0x3e");
  expect_damaged(read_text(">a\nM\xc3\xa4K\n"), 2, "0xc3");
  expect_damaged(read_with(fixture_write("in.fasta", ">a\nMK\0VL\n", 9), 0, 0), 2, "0x00");
  expect_damaged(read_with(fixture_write("in.fasta", ">a\0b\nMKVL\n", 10), 0, 0), 1, "0x00");
}

static void test_fasta__over_long_headers_and_sequences_are_refused(void **state) {
  (void)state;
  size_t size = 1 << 20;
  char *text = malloc(size + 8);
  assert_non_null(text);
  memset(text, 'A', size);
  text[0] = '>';
  memcpy(text + size - 5, "\nMKV\n", 5);
  const char *path = fixture_write("long.fasta", text, size);
  expect_damaged(read_with(path, 0, 0), 1, "header line longer");
  memcpy(text, ">a\n", 3);
  path = fixture_write("long.fasta", text, size);
  expect_damaged(read_with(path, 0, 0), 2, "longer than 100000");
  struct outcome outcome = read_with(path, 1000, 0);
  assert_int_equal(outcome.code, 0);
  assert_int_equal(outcome.residues, size - 3 - 2);
  free(text);
}

static void test_fasta__a_stop_at_the_length_limit_still_fits(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_fasta_options options = {4, 0};
  struct plm_fasta *fasta;
  struct plm_fasta_record record;
  int end;
  assert_int_equal(plm_fasta_open(&fasta, fixture_text("in.fasta", ">a\nMKVL***\n>b\nMKVLA\n"), &options, &err), 0);
  assert_int_equal(plm_fasta_next(fasta, &record, &end, &err), 0);
  assert_int_equal(record.length, 4);
  assert_non_null(record.tokens);
  assert_int_equal(record.tokens[3], 4);
  assert_int_equal(plm_fasta_next(fasta, &record, &end, &err), 0);
  assert_int_equal(record.length, 5);
  assert_null(record.tokens);
  plm_fasta_close(fasta);
}

static void test_fasta__skip_bad_leaves_out_and_counts_bad_records(void **state) {
  (void)state;
  static const char text[] = ">a\nMKV\n>b\nM1\nKKK\n>c\0\nMM\n>d\nMK\r\rV\n>e\nMKVL\n";
  const char *path = fixture_write("in.fasta", text, sizeof text - 1);
  struct outcome outcome = read_with(path, 0, 1);
  assert_int_equal(outcome.code, 0);
  assert_int_equal(outcome.records, 2);
  assert_int_equal(outcome.skipped, 3);
  assert_int_equal(outcome.residues, 7);
  assert_int_equal(outcome.last_line, 10);
}

static void test_fasta__missing_files_and_folders_are_named(void **state) {
  (void)state;
  struct outcome outcome = read_with(fixture_path("nowhere.fasta"), 0, 0);
  assert_int_equal(outcome.code, PLM_E_IO);
  assert_non_null(strstr(outcome.text, "nowhere.fasta"));
  outcome = read_with(fixture_path("."), 0, 0);
  assert_int_equal(outcome.code, PLM_E_IO);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fasta__lines_blank_lines_and_crlf_are_read),
      cmocka_unit_test(test_fasta__an_empty_record_is_a_record),
      cmocka_unit_test(test_fasta__the_digest_is_that_of_the_bytes_on_disk),
      cmocka_unit_test(test_fasta__every_filter_gives_the_same_records),
      cmocka_unit_test(test_fasta__concatenated_members_are_all_read),
      cmocka_unit_test(test_fasta__a_truncated_compressed_file_is_damaged),
      cmocka_unit_test(test_fasta__a_wrong_gzip_checksum_is_damage),
      cmocka_unit_test(test_fasta__bytes_after_the_compressed_data_are_damage),
      cmocka_unit_test(test_fasta__files_that_are_not_fasta_are_refused),
      cmocka_unit_test(test_fasta__a_byte_that_is_not_a_residue_is_named_with_its_line),
      cmocka_unit_test(test_fasta__over_long_headers_and_sequences_are_refused),
      cmocka_unit_test(test_fasta__a_stop_at_the_length_limit_still_fits),
      cmocka_unit_test(test_fasta__skip_bad_leaves_out_and_counts_bad_records),
      cmocka_unit_test(test_fasta__missing_files_and_folders_are_named),
  };
  return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
