/* HDF5 files: what is written comes back, what is damaged is refused, and what cannot be written leaves nothing. */
#include "base_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/h5.h"
#include "base/rng.h"

/* Of damaged files HDF5 1.10 leaks a little itself. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"), used)) const char *__lsan_default_suppressions(void) {
  return "leak:libhdf5";
}

#define FORMAT "plmscale-test"
#define VERSION 3
#define REALS 3000
#define INTEGERS 33000 /* more than one chunk */
#define ROWS 37
#define COLS 53
static const char document[] = "[study]\nname = \xc3\xa9t\xc3\xa9\n";
static const char *const texts[] = {"MKV", "", "a longer one", "\xce\xb2"};

static double reals[REALS];
static int64_t integers[INTEGERS];
static float matrix[ROWS * COLS];

/* Built by the library alone, before plm_h5_start takes external links away. */
static void write_linked(const char *path, const char *target) {
  fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    int failed = file < 0 || H5Lcreate_external(target, "/reals", file, "reals", H5P_DEFAULT, H5P_DEFAULT) < 0;
    struct plm_error err;
    failed |= plm_h5_put_format(file, FORMAT, VERSION, &err) != 0;
    _exit(failed || H5Fclose(file) < 0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

static int setup(void **state) {
  if (base_fixture_setup(state))
    return -1;
  for (int i = 0; i < REALS; i++)
    reals[i] = plm_rng_uniform(1, PLM_RNG_TEST, 0, 0, (uint32_t)i) * 1e6;
  for (int i = 0; i < INTEGERS; i++)
    integers[i] = (int64_t)i * i - 12345;
  for (int i = 0; i < ROWS * COLS; i++)
    matrix[i] = (float)i * 0.25f;
  return 0;
}

static int cleared(void **state) {
  (void)state;
  base_fixture_clear();
  return 0;
}

static int put_all(hid_t file, struct plm_error *err) {
  hid_t group;
  int code;
  if ((code = plm_h5_put_format(file, FORMAT, VERSION, err)) ||
      (code = plm_h5_put_text(file, "text", "R\xc3\xa9sum\xc3\xa9", err)) || (code = plm_h5_put_text(file, "empty", "", err)) ||
      (code = plm_h5_put_real(file, "real", -0.1, err)) || (code = plm_h5_put_integer(file, "integer", INT64_MIN, err)) ||
      (code = plm_h5_put_document(file, "document", document, err)) || (code = plm_h5_group_create(&group, file, "deep/group", err)))
    return code;
  if (!(code = plm_h5_put_array(group, "reals", H5T_NATIVE_DOUBLE, reals, REALS, 1, "nats", err)) &&
      !(code = plm_h5_put_array(group, "integers", H5T_NATIVE_INT64, integers, INTEGERS, 1, NULL, err)) &&
      !(code = plm_h5_put_array(group, "nothing", H5T_NATIVE_FLOAT, NULL, 0, 1, NULL, err)) &&
      !(code = plm_h5_put_texts(group, "texts", texts, 4, err)))
    code = plm_h5_put_matrix(group, "matrix", H5T_NATIVE_FLOAT, matrix, ROWS, COLS, err);
  H5Gclose(group);
  return code;
}

static int write_all(const char *path, int on_disk, struct plm_error *err) {
  struct plm_h5_writer *writer = NULL;
  int code = plm_h5_writer_create(&writer, path, on_disk, err);
  if (code)
    return code;
  if ((code = put_all(plm_h5_writer_file(writer), err))) {
    plm_h5_writer_abandon(writer);
    return code;
  }
  return plm_h5_writer_commit(writer, err);
}

/* What was read, or the first error; numbers are compared byte by byte. */
static int read_attributes(hid_t file, int *equal, struct plm_error *err) {
  char *text = NULL, *empty = NULL;
  double real;
  int64_t integer;
  int code;
  if (!(code = plm_h5_get_text(&text, file, "text", err)) && !(code = plm_h5_get_text(&empty, file, "empty", err)) &&
      !(code = plm_h5_get_real(&real, file, "real", err)) && !(code = plm_h5_get_integer(&integer, file, "integer", err)))
    *equal &= !strcmp(text, "R\xc3\xa9sum\xc3\xa9") && !*empty && real == -0.1 && integer == INT64_MIN;
  free(text);
  free(empty);
  return code;
}

static int read_arrays(hid_t group, int *equal, struct plm_error *err) {
  static double reals_read[REALS];
  static int64_t integers_read[INTEGERS];
  static float matrix_read[ROWS * COLS];
  uint64_t count = 0;
  int code;
  if ((code = plm_h5_array_length(&count, group, "integers", err)))
    return code;
  *equal &= count == INTEGERS;
  if ((code = plm_h5_array_length(&count, group, "nothing", err)))
    return code;
  *equal &= count == 0;
  if ((code = plm_h5_get_array(reals_read, group, "reals", H5T_NATIVE_DOUBLE, REALS, err)) ||
      (code = plm_h5_get_array(integers_read, group, "integers", H5T_NATIVE_INT64, INTEGERS, err)) ||
      (code = plm_h5_get_array(NULL, group, "nothing", H5T_NATIVE_FLOAT, 0, err)) ||
      (code = plm_h5_get_array(matrix_read, group, "matrix", H5T_NATIVE_FLOAT, ROWS * COLS, err)))
    return code;
  *equal &= !memcmp(reals_read, reals, sizeof reals) && !memcmp(integers_read, integers, sizeof integers) &&
            !memcmp(matrix_read, matrix, sizeof matrix);
  return 0;
}

/* *same_document apart: a document lies in one piece without a checksum. */
static int read_all(const char *path, int *equal, int *same_document, struct plm_error *err) {
  hid_t file, group;
  char *text = NULL;
  *equal = 1;
  int code = plm_h5_open(&file, path, FORMAT, VERSION, err);
  if (code)
    return code;
  if (!(code = read_attributes(file, equal, err)) && !(code = plm_h5_get_document(&text, file, "document", err)) &&
      !(code = plm_h5_group_open(&group, file, "deep/group", err))) {
    *same_document = !strcmp(text, document);
    code = read_arrays(group, equal, err);
    H5Gclose(group);
  }
  free(text);
  H5Fclose(file);
  return code;
}

static void test_base_h5__what_is_written_comes_back(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  int equal, same_document;
  for (int on_disk = 0; on_disk < 2; on_disk++) {
    const char *path = base_fixture_path("a.h5");
    assert_int_equal(write_all(path, on_disk, &err), 0);
    assert_int_equal(base_fixture_entries(), 1);
    assert_int_equal(read_all(path, &equal, &same_document, &err), 0);
    assert_true(equal);
    assert_true(same_document);
  }
  assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

static void test_base_h5__files_are_checksummed_and_in_the_newer_format(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const char *path = base_fixture_path("a.h5");
  hid_t file;
  assert_int_equal(write_all(path, 0, &err), 0);
  size_t bytes;
  unsigned char *data = base_fixture_read(&bytes, path);
  assert_memory_equal(data, "\211HDF\r\n\032\n\003", 9); /* superblock 3: metadata have checksums */
  free(data);
  assert_int_equal(plm_h5_open(&file, path, FORMAT, VERSION, &err), 0);
  static const char *const names[] = {"deep/group/reals", "deep/group/integers", "deep/group/matrix", "deep/group/texts"};
  for (size_t i = 0; i < 4; i++) {
    hid_t set = H5Dopen2(file, names[i], H5P_DEFAULT), layout = H5Dget_create_plist(set);
    assert_int_equal(H5Pget_layout(layout), H5D_CHUNKED);
    int filters = H5Pget_nfilters(layout), found = 0;
    for (unsigned f = 0; (int)f < filters; f++) {
      unsigned flags, config;
      size_t none = 0;
      found |= H5Pget_filter2(layout, f, &flags, &none, NULL, 0, NULL, &config) == H5Z_FILTER_FLETCHER32;
    }
    assert_true(found);
    H5Pclose(layout);
    H5Dclose(set);
  }
  H5Fclose(file);
}

static void test_base_h5__a_file_cut_short_anywhere_is_damaged(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const char *path = base_fixture_path("a.h5"), *cut = base_fixture_path("cut.h5");
  assert_int_equal(write_all(path, 0, &err), 0);
  size_t bytes, cuts = 0;
  unsigned char *data = base_fixture_read(&bytes, path);
  for (size_t length = 0; length < bytes; length += length < 500 ? 1 : 97, cuts++) {
    int equal, same_document;
    base_fixture_write(cut, data, length);
    int code = read_all(cut, &equal, &same_document, &err);
    if (code != PLM_E_DAMAGED)
      fail_msg("cut to %zu of %zu bytes: code %d (%s)", length, bytes, code, err.text);
    assert_non_null(strstr(err.text, cut));
  }
  free(data);
  assert_true(cuts > 600);
}

static void test_base_h5__a_flipped_bit_is_caught_or_harmless(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const char *path = base_fixture_path("a.h5"), *flipped = base_fixture_path("flipped.h5");
  assert_int_equal(write_all(path, 0, &err), 0);
  size_t bytes, caught = 0;
  unsigned char *data = base_fixture_read(&bytes, path);
  for (uint32_t i = 0; i < 1000; i++) {
    /* Every third in the first kilobytes, where the metadata are. */
    size_t span = i % 3 ? bytes : bytes < 4096 ? bytes : 4096;
    size_t at = (size_t)(plm_rng_uniform(1, PLM_RNG_TEST, 1, 0, i) * (double)span);
    unsigned char bit = (unsigned char)(1u << plm_rng_word(1, PLM_RNG_TEST, 1, 1, i) % 8);
    int equal, same_document;
    data[at] ^= bit;
    base_fixture_write(flipped, data, bytes);
    data[at] ^= bit;
    int code = read_all(flipped, &equal, &same_document, &err);
    if (code != PLM_E_DAMAGED && (code || !equal))
      fail_msg("bit %u of byte %zu: code %d, numbers %s (%s)", bit, at, code, equal ? "equal" : "changed", err.text);
    caught += code != 0;
  }
  free(data);
  assert_true(caught > 700); /* most of the file is under a checksum */
}

static void test_base_h5__other_files_are_damaged_or_missing(void **state) {
  (void)state;
  const char *text = base_fixture_path("text"), *fifo = base_fixture_path("fifo"), *empty = base_fixture_path("empty");
  base_fixture_write(text, "\x89PNG\r\n\x1a\n and more of a picture", 30);
  base_fixture_write(empty, "", 0);
  assert_int_equal(mkfifo(fifo, 0666), 0);
  const struct {
    const char *path;
    int code;
  } cases[] = {{text, PLM_E_DAMAGED},
               {empty, PLM_E_DAMAGED},
               {fifo, PLM_E_DAMAGED},
               {base_fixture_folder(), PLM_E_DAMAGED},
               {base_fixture_path("missing"), PLM_E_IO}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    hid_t file = 42;
    alarm(20); /* a fifo must not keep us */
    assert_int_equal(plm_h5_open(&file, cases[i].path, FORMAT, VERSION, &err), cases[i].code);
    alarm(0);
    assert_non_null(strstr(err.text, cases[i].path));
    assert_int_equal(file, 42);
  }
}

static void write_with(const char *path, const char *format, const int64_t *version) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_h5_writer *writer;
  assert_int_equal(plm_h5_writer_create(&writer, path, 0, &err), 0);
  hid_t file = plm_h5_writer_file(writer);
  if (format)
    assert_int_equal(plm_h5_put_text(file, "format", format, &err), 0);
  else
    assert_int_equal(plm_h5_put_integer(file, "format", 1, &err), 0);
  if (version)
    assert_int_equal(plm_h5_put_integer(file, "format_version", *version, &err), 0);
  assert_int_equal(plm_h5_writer_commit(writer, &err), 0);
}

static void test_base_h5__format_and_version_are_checked(void **state) {
  (void)state;
  static const int64_t versions[] = {1, 3, 0, -1, 4, INT64_MAX};
  const char *path = base_fixture_path("a.h5");
  struct plm_error err = PLM_ERROR_INIT;
  hid_t file;
  for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
    write_with(path, FORMAT, &versions[i]);
    int code = plm_h5_open(&file, path, FORMAT, VERSION, &err);
    assert_int_equal(code, versions[i] >= 1 && versions[i] <= VERSION ? 0 : PLM_E_DAMAGED);
    if (code)
      assert_non_null(strstr(err.text, "this program reads 1 to 3"));
    else
      H5Fclose(file);
  }
  write_with(path, FORMAT, NULL);
  assert_int_equal(plm_h5_open(&file, path, FORMAT, VERSION, &err), PLM_E_DAMAGED);
  write_with(path, "plmscale-other", &versions[0]);
  assert_int_equal(plm_h5_open(&file, path, FORMAT, VERSION, &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "plmscale-other"));
  write_with(path, NULL, &versions[0]);
  assert_int_equal(plm_h5_open(&file, path, FORMAT, VERSION, &err), PLM_E_DAMAGED);
}

static void test_base_h5__wrong_types_lengths_and_names_are_damaged(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const char *path = base_fixture_path("a.h5");
  hid_t file, group;
  char *text;
  double real;
  int64_t integer;
  uint64_t count;
  assert_int_equal(write_all(path, 0, &err), 0);
  assert_int_equal(plm_h5_open(&file, path, FORMAT, VERSION, &err), 0);
  assert_int_equal(plm_h5_group_open(&group, file, "deep/group", &err), 0);
  assert_int_equal(plm_h5_get_text(&text, file, "real", &err), PLM_E_DAMAGED);
  assert_int_equal(plm_h5_get_real(&real, file, "integer", &err), PLM_E_DAMAGED);
  assert_int_equal(plm_h5_get_integer(&integer, file, "text", &err), PLM_E_DAMAGED);
  assert_int_equal(plm_h5_get_real(&real, file, "missing", &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "\"missing\""));
  assert_int_equal(plm_h5_get_array(reals, group, "reals", H5T_NATIVE_DOUBLE, REALS - 1, &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "3000"));
  assert_int_equal(plm_h5_get_array(reals, group, "integers", H5T_NATIVE_DOUBLE, INTEGERS, &err), PLM_E_DAMAGED);
  assert_int_equal(plm_h5_array_length(&count, group, "missing", &err), PLM_E_DAMAGED);
  assert_int_equal(plm_h5_array_length(&count, file, "document", &err), PLM_E_DAMAGED);
  assert_int_equal(plm_h5_get_document(&text, file, "missing", &err), PLM_E_DAMAGED);
  assert_int_equal(plm_h5_get_document(&text, group, "reals", &err), PLM_E_DAMAGED);
  hid_t other = 42;
  assert_int_equal(plm_h5_group_open(&other, file, "missing", &err), PLM_E_DAMAGED);
  assert_int_equal(other, 42);
  H5Gclose(group);
  H5Fclose(file);
}

static void test_base_h5__external_links_are_not_followed(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const char *path = base_fixture_path("linked.h5"), *target = base_fixture_path("target.h5");
  write_linked(path, target);
  struct plm_h5_writer *writer;
  assert_int_equal(plm_h5_writer_create(&writer, target, 0, &err), 0);
  assert_int_equal(plm_h5_put_array(plm_h5_writer_file(writer), "reals", H5T_NATIVE_DOUBLE, reals, REALS, 1, NULL, &err), 0);
  assert_int_equal(plm_h5_writer_commit(writer, &err), 0);
  static double out[REALS];
  hid_t file;
  assert_int_equal(plm_h5_open(&file, path, FORMAT, VERSION, &err), 0);
  assert_int_equal(plm_h5_get_array(out, file, "reals", H5T_NATIVE_DOUBLE, REALS, &err), PLM_E_DAMAGED);
  H5Fclose(file);
}

static void test_base_h5__abandon_removes_every_trace(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  for (int on_disk = 0; on_disk < 2; on_disk++) {
    struct plm_h5_writer *writer;
    assert_int_equal(plm_h5_writer_create(&writer, base_fixture_path("a.h5"), on_disk, &err), 0);
    assert_int_equal(put_all(plm_h5_writer_file(writer), &err), 0);
    plm_h5_writer_abandon(writer);
    assert_int_equal(base_fixture_entries(), 0);
  }
  plm_h5_writer_abandon(NULL);
}

static void test_base_h5__commit_refuses_a_file_with_open_objects(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_h5_writer *writer;
  hid_t group;
  assert_int_equal(plm_h5_writer_create(&writer, base_fixture_path("a.h5"), 0, &err), 0);
  assert_int_equal(plm_h5_group_create(&group, plm_h5_writer_file(writer), "g", &err), 0);
  assert_int_equal(plm_h5_writer_commit(writer, &err), PLM_E_INTERNAL);
  assert_int_equal(base_fixture_entries(), 0);
  H5Gclose(group);
}

static void test_base_h5__a_place_that_cannot_be_written_is_an_error(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_h5_writer *writer = NULL;
  const char *path = base_fixture_path("no/a.h5"), *taken = base_fixture_path("taken");
  for (int on_disk = 0; on_disk < 2; on_disk++) {
    assert_int_equal(plm_h5_writer_create(&writer, path, on_disk, &err), PLM_E_IO);
    assert_non_null(strstr(err.text, path));
    assert_null(writer);
  }
  assert_int_equal(mkdir(taken, 0777), 0);
  assert_int_equal(write_all(taken, 0, &err), PLM_E_IO);
  assert_int_equal(base_fixture_entries(), 1);
}

/* More than the megabyte that an image in memory starts with. */
static int write_bulk(const char *path, int on_disk, struct plm_error *err) {
  enum { COUNT = 1 << 20 };
  struct plm_h5_writer *writer = NULL;
  float *bulk = calloc(COUNT, sizeof *bulk);
  int code = bulk ? plm_h5_writer_create(&writer, path, on_disk, err) : 1;
  if (!code && (code = plm_h5_put_array(plm_h5_writer_file(writer), "bulk", H5T_NATIVE_FLOAT, bulk, COUNT, 0, NULL, err)))
    plm_h5_writer_abandon(writer);
  else if (!code)
    code = plm_h5_writer_commit(writer, err);
  free(bulk);
  return code;
}

static int write_on_full_disk(void *context) {
  const int on_disk = *(const int *)context;
  const char *path = base_fixture_path("a.h5");
  struct plm_error err = PLM_ERROR_INIT;
  if (write_bulk(path, on_disk, &err) != PLM_E_IO || !strstr(err.text, "a.h5"))
    return 1;
  if (access(path, F_OK) == 0 || base_fixture_entries() != 0)
    return 2;
  return 0;
}

static void test_base_h5__a_full_disk_is_an_error_and_leaves_nothing(void **state) {
  (void)state;
  static const size_t limits[] = {0, 100, 20000, 1500000, 4000000};
  for (int on_disk = 0; on_disk < 2; on_disk++)
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
      base_fixture_clear();
      assert_int_equal(base_fixture_full_disk(write_on_full_disk, &on_disk, limits[i]), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup(test_base_h5__##name, cleared)
int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(external_links_are_not_followed), /* first: it needs a library that is not started */
      TEST(what_is_written_comes_back),
      TEST(files_are_checksummed_and_in_the_newer_format),
      TEST(a_file_cut_short_anywhere_is_damaged),
      TEST(a_flipped_bit_is_caught_or_harmless),
      TEST(other_files_are_damaged_or_missing),
      TEST(format_and_version_are_checked),
      TEST(wrong_types_lengths_and_names_are_damaged),
      TEST(abandon_removes_every_trace),
      TEST(commit_refuses_a_file_with_open_objects),
      TEST(a_place_that_cannot_be_written_is_an_error),
      TEST(a_full_disk_is_an_error_and_leaves_nothing),
  };
  return cmocka_run_group_tests(tests, setup, base_fixture_teardown);
}
