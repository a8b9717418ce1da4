/* Files that are there whole or not at all. */
#include "base_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static int cleared(void **state) {
  (void)state;
  base_fixture_clear();
  return 0;
}

static void assert_content(const char *path, const char *text) {
  size_t bytes;
  unsigned char *data = base_fixture_read(&bytes, path);
  assert_int_equal(bytes, strlen(text));
  assert_memory_equal(data, text, bytes);
  free(data);
}

static void test_base_file__atomic_write_replaces_the_whole_file(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const char *path = base_fixture_path("a");
  assert_int_equal(plm_file_write_atomic(path, "first, longer", 13, &err), 0);
  assert_content(path, "first, longer");
  assert_int_equal(plm_file_write_atomic(path, "second", 6, &err), 0);
  assert_content(path, "second");
  assert_int_equal(plm_file_write_atomic(path, "", 0, &err), 0);
  assert_content(path, "");
  assert_int_equal(base_fixture_entries(), 1);
}

static void test_base_file__atomic_write_respects_the_umask(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct stat status;
  const char *path = base_fixture_path("a");
  mode_t before = umask(027);
  assert_int_equal(plm_file_write_atomic(path, "x", 1, &err), 0);
  umask(before);
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0640);
}

static void test_base_file__a_folder_in_the_way_is_an_error_that_leaves_nothing(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const char *path = base_fixture_path("a");
  assert_int_equal(mkdir(path, 0777), 0);
  assert_int_equal(plm_file_write_atomic(path, "x", 1, &err), PLM_E_IO);
  assert_non_null(strstr(err.text, path));
  assert_int_equal(base_fixture_entries(), 1);
}

static void test_base_file__a_missing_folder_is_an_error(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_file_write_atomic(base_fixture_path("no/such/a"), "x", 1, &err), PLM_E_IO);
  assert_int_equal(err.native_code, ENOENT);
  assert_int_equal(base_fixture_entries(), 0);
}

static void test_base_file__a_name_too_long_is_an_error(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  char name[254];
  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = 0;
  assert_int_equal(plm_file_write_atomic(base_fixture_path(name), "x", 1, &err), PLM_E_IO);
  assert_int_equal(err.native_code, ENAMETOOLONG);
  assert_int_equal(base_fixture_entries(), 0);
}

static void test_base_file__a_link_laid_at_the_temporary_name_is_not_followed(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const char *path = base_fixture_path("a"), *victim = base_fixture_path("victim");
  char *temporary = plm_file_temporary(path);
  assert_non_null(temporary);
  base_fixture_write(victim, "untouched", 9);
  assert_int_equal(symlink(victim, temporary), 0);
  assert_int_equal(plm_file_write_atomic(path, "x", 1, &err), 0);
  assert_content(victim, "untouched");
  assert_content(path, "x");
  assert_int_equal(base_fixture_entries(), 2);
  free(temporary);
}

#define LARGE 200000
static int write_large(void *context) {
  struct plm_error err = PLM_ERROR_INIT;
  char *data = calloc(1, LARGE);
  int code = plm_file_write_atomic(context, data, LARGE, &err);
  free(data);
  return code == PLM_E_IO && err.native_code == EFBIG ? 1 : 2;
}

static void test_base_file__a_full_disk_keeps_the_old_file_and_leaves_nothing(void **state) {
  (void)state;
  static char path[512];
  strcpy(path, base_fixture_path("a"));
  base_fixture_write(path, "old", 3);
  assert_int_equal(base_fixture_full_disk(write_large, path, LARGE / 2), 1);
  assert_content(path, "old");
  assert_int_equal(base_fixture_entries(), 1);
}

static void test_base_file__commit_removes_a_temporary_it_cannot_place(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const char *temporary = base_fixture_path("a.tmp.1"), *path = base_fixture_path("a");
  base_fixture_write(temporary, "x", 1);
  assert_int_equal(plm_file_commit(temporary, base_fixture_path("no/a"), &err), PLM_E_IO);
  assert_int_equal(base_fixture_entries(), 0);
  assert_int_equal(plm_file_commit(temporary, path, &err), PLM_E_IO);
  assert_int_equal(err.native_code, ENOENT);
  base_fixture_write(temporary, "x", 1);
  assert_int_equal(plm_file_commit(temporary, path, &err), 0);
  assert_content(path, "x");
}

static void test_base_file__read_gives_all_bytes_and_a_nul(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const char *path = base_fixture_path("a");
  char *data;
  size_t bytes;
  base_fixture_write(path, "ab\0cd", 5);
  assert_int_equal(plm_file_read(&data, &bytes, path, 5, &err), 0);
  assert_int_equal(bytes, 5);
  assert_memory_equal(data, "ab\0cd", 6);
  free(data);
  base_fixture_write(path, "", 0);
  assert_int_equal(plm_file_read(&data, &bytes, path, 0, &err), 0);
  assert_int_equal(bytes, 0);
  assert_string_equal(data, "");
  free(data);
}

static void test_base_file__read_refuses_more_than_allowed(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  const char *path = base_fixture_path("a");
  char *data = NULL;
  size_t bytes = 42;
  base_fixture_write(path, "abcdef", 6);
  assert_int_equal(plm_file_read(&data, &bytes, path, 5, &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "6 bytes"));
  assert_null(data);
  assert_int_equal(bytes, 42);
}

/* A fifo must not make the program wait for a writer that never comes. */
static void test_base_file__read_refuses_what_is_no_regular_file(void **state) {
  (void)state;
  const char *fifo = base_fixture_path("fifo"), *loop = base_fixture_path("loop");
  assert_int_equal(mkfifo(fifo, 0666), 0);
  assert_int_equal(symlink(loop, loop), 0);
  const struct {
    const char *path;
    int code;
  } cases[] = {{fifo, PLM_E_DAMAGED},
               {base_fixture_folder(), PLM_E_DAMAGED},
               {"/dev/zero", PLM_E_DAMAGED},
               {loop, PLM_E_IO},
               {base_fixture_path("missing"), PLM_E_IO},
               {"", PLM_E_IO}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    char *data = NULL;
    size_t bytes;
    assert_int_equal(plm_file_read(&data, &bytes, cases[i].path, 1000, &err), cases[i].code);
    assert_non_null(strstr(err.text, cases[i].path));
    assert_null(data);
  }
}

static void test_base_file__make_folders_makes_parents_and_takes_existing_ones(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_file_make_folders(base_fixture_path("x//y/z/"), &err), 0);
  assert_true(plm_file_exists(base_fixture_path("x/y/z")));
  assert_int_equal(plm_file_make_folders(base_fixture_path("x/y/z"), &err), 0);
  assert_int_equal(plm_file_make_folders("/", &err), 0);
  base_fixture_write(base_fixture_path("file"), "", 0);
  assert_int_equal(plm_file_make_folders(base_fixture_path("file"), &err), PLM_E_IO);
  assert_non_null(strstr(err.text, "in the way"));
  assert_int_equal(plm_file_make_folders(base_fixture_path("file/y"), &err), PLM_E_IO);
}

static void test_base_file__paths_are_joined_and_taken_apart(void **state) {
  (void)state;
  static const char *const joins[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "/b"}};
  static const char *const folders[][2] = {{"a/b/c", "a/b"}, {"a", "."}, {"/a", "/"}, {"/", "/"}, {"", "."}};
  for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
    char *path = plm_file_join(joins[i][0], joins[i][1]);
    assert_string_equal(path, joins[i][2]);
    free(path);
  }
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    char *path = plm_file_folder(folders[i][0]);
    assert_string_equal(path, folders[i][1]);
    free(path);
  }
}

static void test_base_file__long_paths_are_handled(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  char *huge = malloc(20001);
  assert_non_null(huge);
  memset(huge, 'x', 20000);
  huge[20000] = 0;
  char *path = plm_file_join(huge, "y");
  assert_int_equal(strlen(path), 20002);
  assert_int_equal(plm_file_write_atomic(path, "x", 1, &err), PLM_E_IO);
  assert_int_equal(plm_file_make_folders(path, &err), PLM_E_IO);
  assert_false(plm_file_exists(path));
  free(path);
  free(huge);
}

static void test_base_file__program_folder_is_where_this_test_is(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  char *folder;
  assert_int_equal(plm_file_program_folder(&folder, &err), 0);
  char *self = plm_file_join(folder, "test_base_file");
  assert_true(plm_file_exists(self));
  free(self);
  free(folder);
}

#define TEST(name) cmocka_unit_test_setup(test_base_file__##name, cleared)
int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(atomic_write_replaces_the_whole_file),
      TEST(atomic_write_respects_the_umask),
      TEST(a_folder_in_the_way_is_an_error_that_leaves_nothing),
      TEST(a_missing_folder_is_an_error),
      TEST(a_name_too_long_is_an_error),
      TEST(a_link_laid_at_the_temporary_name_is_not_followed),
      TEST(a_full_disk_keeps_the_old_file_and_leaves_nothing),
      TEST(commit_removes_a_temporary_it_cannot_place),
      TEST(read_gives_all_bytes_and_a_nul),
      TEST(read_refuses_more_than_allowed),
      TEST(read_refuses_what_is_no_regular_file),
      TEST(make_folders_makes_parents_and_takes_existing_ones),
      TEST(paths_are_joined_and_taken_apart),
      TEST(long_paths_are_handled),
      TEST(program_folder_is_where_this_test_is),
  };
  return cmocka_run_group_tests(tests, base_fixture_setup, base_fixture_teardown);
}
