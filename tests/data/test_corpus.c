#include "data_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/h5.h"
#include "data/corpus_info.h"

#include <jansson.h>

/* HDF5 1.10.8 itself leaks when a file with damaged metadata fails to open; our handles are counted in expect_damaged.
 */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libhdf5"; }

static char good_digest[PLM_HASH_TEXT];

static int setup(void **state) {
  if (fixture_setup(state) != 0)
    return 1;
  const char *input = fixture_mutants("m.fasta", 300);
  struct plm_corpus_build_options options = fixture_options(&input, fixture_path("good.h5"));
  options.valid = 0.1;
  fixture_build(&options, good_digest);
  return 0;
}

/* Opening must end in PLM_E_DAMAGED with the file's name and the reason. */
static void expect_damaged(const char *path, const char *reason) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_corpus *corpus = NULL;
  int code = plm_corpus_open(&corpus, path, &err);
  if (code != PLM_E_DAMAGED || corpus != NULL || strstr(err.text, path) == NULL || strstr(err.text, reason) == NULL)
    fail_msg("code %d (expected \"%s\"): %s", code, reason, err.text);
  json_t *json = NULL;
  assert_int_equal(plm_corpus_describe(&json, path, &err), PLM_E_DAMAGED);
  assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0); /* no handle stays open */
}

/* ------------------------------------------------------ bytes at fault */

static void test_corpus__a_good_file_opens(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_corpus *corpus;
  assert_int_equal(plm_corpus_open(&corpus, fixture_path("good.h5"), &err), 0);
  assert_string_equal(corpus->digest, good_digest);
  plm_corpus_close(corpus);
  plm_corpus_close(NULL);
}

static void test_corpus__truncated_file_is_refused(void **state) {
  (void)state;
  size_t bytes;
  char *data = fixture_read(fixture_path("good.h5"), &bytes);
  for (size_t part = 0; part < 16; part++)
    expect_damaged(fixture_write("cut.h5", data, bytes * part / 16), "");
  expect_damaged(fixture_write("cut.h5", data, bytes - 1), "");
  free(data);
}

static void test_corpus__a_changed_byte_is_seen_or_does_not_matter(void **state) {
  (void)state;
  size_t bytes, refused = 0, tried = 0;
  char *data = fixture_read(fixture_path("good.h5"), &bytes);
  for (size_t at = 0; at < bytes; at += at < 2048 ? 7 : bytes / 400, tried++) {
    struct plm_error err = PLM_ERROR_INIT;
    struct plm_corpus *corpus = NULL;
    data[at] ^= 0x15;
    int code = plm_corpus_open(&corpus, fixture_write("flip.h5", data, bytes), &err);
    data[at] ^= 0x15;
    if (code == 0)
      assert_string_equal(corpus->digest, good_digest);
    else
      refused++;
    plm_corpus_close(corpus);
  }
  free(data);
  assert_true(refused > tried / 2);
}

static void test_corpus__files_that_are_not_corpora_are_refused(void **state) {
  (void)state;
  expect_damaged(fixture_text("no.h5", ""), "not a whole HDF5 file");
  expect_damaged(fixture_text("no.h5", ">a\nMKV\n"), "not a whole HDF5 file");
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_h5_writer *writer;
  assert_int_equal(plm_h5_writer_create(&writer, fixture_path("other.h5"), 1, &err), 0);
  assert_int_equal(plm_h5_put_format(plm_h5_writer_file(writer), "plmscale-run", 1, &err), 0);
  assert_int_equal(plm_h5_writer_commit(writer, &err), 0);
  expect_damaged(fixture_path("other.h5"), "plmscale-run");
}

/* -------------------------------------------------- structure at fault */

/* A copy of the good file, changed. */
static const char *change(void (*mutate)(hid_t file)) {
  size_t bytes;
  char *data = fixture_read(fixture_path("good.h5"), &bytes);
  const char *path = fixture_write("bad.h5", data, bytes);
  free(data);
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  assert_true(H5Pset_file_locking(access, 0, 1) >= 0);
  assert_true(H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0);
  hid_t file = H5Fopen(path, H5F_ACC_RDWR, access);
  assert_true(file >= 0);
  mutate(file);
  assert_true(H5Fclose(file) >= 0);
  H5Pclose(access);
  return path;
}

/* Puts another dataset in the place of name. */
static void replace(hid_t file, const char *name, hid_t type, int rank, const hsize_t *extent, hid_t layout,
                    const void *data) {
  assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
  hid_t space = H5Screate_simple(rank, extent, NULL);
  hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT);
  assert_true(set >= 0);
  if (data != NULL)
    assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
  H5Dclose(set);
  H5Sclose(space);
}

static void read_all(hid_t file, const char *name, hid_t type, void *data) {
  hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
  assert_true(set >= 0 && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
  H5Dclose(set);
}

static void write_all(hid_t file, const char *name, hid_t type, const void *data) {
  hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
  assert_true(set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
  H5Dclose(set);
}

static hsize_t length_of(hid_t file, const char *name) {
  struct plm_error err = PLM_ERROR_INIT;
  uint64_t count = 0;
  assert_int_equal(plm_h5_array_length(&count, file, name, &err), 0);
  return count;
}

static void shape_bomb(hid_t file) {
  hsize_t extent = (hsize_t)1 << 50;
  replace(file, "train/tokens", H5T_STD_U8LE, 1, &extent, H5P_DEFAULT, NULL);
}

static void offsets_bomb(hid_t file) {
  hsize_t extent = (hsize_t)1 << 59;
  replace(file, "train/offsets", H5T_STD_U64LE, 1, &extent, H5P_DEFAULT, NULL);
}

static void checksum_bomb(hid_t file) {
  hsize_t extent = (hsize_t)1 << 58;
  replace(file, "train/tokens_xxh3", H5T_STD_U64LE, 1, &extent, H5P_DEFAULT, NULL);
}

static void wrong_type(hid_t file) {
  hsize_t extent = length_of(file, "train/tokens");
  replace(file, "train/tokens", H5T_STD_I8LE, 1, &extent, H5P_DEFAULT, NULL);
}

static void text_tokens(hid_t file) {
  hsize_t extent = length_of(file, "train/tokens");
  replace(file, "train/tokens", H5T_C_S1, 1, &extent, H5P_DEFAULT, NULL);
}

static void two_dimensions(hid_t file) {
  hsize_t extent[2] = {1, length_of(file, "train/tokens")};
  replace(file, "train/tokens", H5T_STD_U8LE, 2, extent, H5P_DEFAULT, NULL);
}

static void chunked(hid_t file) {
  hsize_t extent = length_of(file, "train/tokens"), chunk = 1000;
  hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
  assert_true(H5Pset_chunk(layout, 1, &chunk) >= 0);
  replace(file, "train/tokens", H5T_STD_U8LE, 1, &extent, layout, NULL);
  H5Pclose(layout);
}

static void external(hid_t file) {
  hsize_t extent = length_of(file, "train/tokens");
  hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
  assert_true(H5Pset_external(layout, "/etc/passwd", 0, H5F_UNLIMITED) >= 0);
  replace(file, "train/tokens", H5T_STD_U8LE, 1, &extent, layout, NULL);
  H5Pclose(layout);
}

static void group_missing(hid_t file) { assert_true(H5Ldelete(file, "test", H5P_DEFAULT) >= 0); }

static void offsets_missing(hid_t file) { assert_true(H5Ldelete(file, "valid/offsets", H5P_DEFAULT) >= 0); }

static void dataset_for_group(hid_t file) {
  hsize_t extent = 3;
  replace(file, "valid", H5T_STD_U8LE, 1, &extent, H5P_DEFAULT, NULL);
}

static void no_offsets(hid_t file) {
  hsize_t extent = 0;
  replace(file, "train/offsets", H5T_STD_U64LE, 1, &extent, H5P_DEFAULT, NULL);
}

/* Changes offsets and mends their checksum, so that only their meaning is wrong. */
static void put_offsets(hid_t file, size_t at, uint64_t value) {
  hsize_t count = length_of(file, "train/offsets");
  uint64_t *offsets = calloc(count, sizeof *offsets);
  assert_non_null(offsets);
  read_all(file, "train/offsets", H5T_STD_U64LE, offsets);
  offsets[at < count ? at : count - 1] = value;
  write_all(file, "train/offsets", H5T_STD_U64LE, offsets);
  uint64_t sum = plm_hash_64(offsets, count * sizeof *offsets);
  write_all(file, "train/offsets_xxh3", H5T_NATIVE_UINT64, &sum);
  free(offsets);
}

static void offset_backwards(hid_t file) { put_offsets(file, 2, 1); }

static void offset_far(hid_t file) { put_offsets(file, 1, UINT64_MAX); }

static void offset_first(hid_t file) { put_offsets(file, 0, 1); }

static void offset_last(hid_t file) { put_offsets(file, SIZE_MAX, 100000000); }

static void put_token(hid_t file, uint8_t value, int mend) {
  hsize_t count = length_of(file, "train/tokens");
  uint8_t *tokens = calloc(count, 1);
  assert_non_null(tokens);
  read_all(file, "train/tokens", H5T_STD_U8LE, tokens);
  tokens[5] = value;
  write_all(file, "train/tokens", H5T_STD_U8LE, tokens);
  uint64_t sum = plm_hash_64(tokens, count);
  if (mend)
    write_all(file, "train/tokens_xxh3", H5T_NATIVE_UINT64, &sum);
  free(tokens);
}

static void token_33(hid_t file) { put_token(file, 33, 1); }

static void token_mask(hid_t file) { put_token(file, 32, 1); }

static void token_changed(hid_t file) { put_token(file, 30, 0); }

static void digest_changed(hid_t file) {
  struct plm_error err = PLM_ERROR_INIT;
  assert_true(H5Adelete(file, "digest") >= 0);
  assert_int_equal(plm_h5_put_text(file, "digest", "00000000000000000000000000000000", &err), 0);
}

static void digest_number(hid_t file) {
  struct plm_error err = PLM_ERROR_INIT;
  assert_true(H5Adelete(file, "digest") >= 0);
  assert_int_equal(plm_h5_put_integer(file, "digest", 7, &err), 0);
}

static void newer_version(hid_t file) {
  struct plm_error err = PLM_ERROR_INIT;
  assert_true(H5Adelete(file, "format_version") >= 0);
  assert_int_equal(plm_h5_put_integer(file, "format_version", 2, &err), 0);
}

static void test_corpus__hostile_structure_is_refused(void **state) {
  (void)state;
  static const struct {
    void (*mutate)(hid_t file);
    const char *reason;
  } cases[] = {
      {shape_bomb, "beyond the end"},
      {offsets_bomb, "beyond the end"},
      {checksum_bomb, "expected 1"},
      {wrong_type, "another type"},
      {text_tokens, "another type"},
      {two_dimensions, "another type or shape"},
      {chunked, "not stored in one piece"},
      {external, "not stored in one"},
      {group_missing, "\"test\" is missing"},
      {offsets_missing, "is missing"},
      {dataset_for_group, "is missing"},
      {no_offsets, "0 offsets"},
      {offset_backwards, "offset 2 is 1"},
      {offset_far, "offset 1 is"},
      {offset_first, "offset 0 is 1"},
      {offset_last, "offset"},
      {token_33, "not a residue"},
      {token_mask, "not a residue"},
      {token_changed, "checksum"},
      {digest_changed, "its digest is"},
      {digest_number, "wrong type"},
      {newer_version, "version 2"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    expect_damaged(change(cases[i].mutate), cases[i].reason);
}

static void external_document(hid_t file) {
  hid_t layout = H5Pcreate(H5P_DATASET_CREATE), type = H5Tcopy(H5T_C_S1);
  assert_true(H5Tset_size(type, 40) >= 0 && H5Pset_external(layout, "/etc/passwd", 0, 40) >= 0);
  hsize_t extent = 1;
  replace(file, "sources", type, 1, &extent, layout, NULL);
  H5Tclose(type);
  H5Pclose(layout);
}

static void test_corpus__a_description_is_never_read_from_another_file(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  json_t *json = NULL;
  assert_int_equal(plm_corpus_describe(&json, change(external_document), &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "not inside the file"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_corpus__a_good_file_opens),
      cmocka_unit_test(test_corpus__truncated_file_is_refused),
      cmocka_unit_test(test_corpus__a_changed_byte_is_seen_or_does_not_matter),
      cmocka_unit_test(test_corpus__files_that_are_not_corpora_are_refused),
      cmocka_unit_test(test_corpus__hostile_structure_is_refused),
      cmocka_unit_test(test_corpus__a_description_is_never_read_from_another_file),
  };
  return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
