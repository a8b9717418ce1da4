/* Where plugins are looked for, in which order, what is passed over and why, and how a user's word becomes a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "runtime/plugin.h"

#define SCRATCH PLM_TEST_SCRATCH

static void put(const char *path) {
  assert_int_equal(plm_file_write_atomic(path, "not loaded", 10, NULL), 0);
  assert_int_equal(chmod(path, 0755), 0);
}

/* one/ b.so a.so .hidden.so note.txt; two/ b.so c.so */
static int scratch_make(void **state) {
  (void)state;
  umask(022);
  if (plm_file_make_folders(SCRATCH "/one", NULL) || plm_file_make_folders(SCRATCH "/two", NULL) ||
      plm_file_make_folders(SCRATCH "/open", NULL) || chmod(SCRATCH, 0755))
    return -1;
  put(SCRATCH "/one/b.so");
  put(SCRATCH "/one/a.so");
  put(SCRATCH "/one/.hidden.so");
  put(SCRATCH "/one/note.txt");
  put(SCRATCH "/two/b.so");
  put(SCRATCH "/two/c.so");
  put(SCRATCH "/open/d.so");
  return 0;
}

static int reset(void **state) {
  (void)state;
  unlink(SCRATCH "/two/link.so");
  return unsetenv("PLMSCALE_PLUGIN_PATH") || chmod(SCRATCH "/open", 0755) || chmod(SCRATCH "/open/d.so", 0755) ||
         chmod(SCRATCH "/one/a.so", 0755) || chdir("/");
}

/* The candidates that come from SCRATCH (the program's own folder may hold others): "one/a one/b two/c- ", - for
 * skipped. */
static void found(char out[1024], const char *const *extra, uint32_t count) {
  struct plm_candidates candidates;
  struct plm_error err = PLM_ERROR_INIT;
  char real[4096];
  size_t used = 0;
  assert_non_null(realpath(SCRATCH, real));
  if (plm_plugin_search(&candidates, extra, count, &err))
    fail_msg("%s", err.text);
  out[0] = '\0';
  for (size_t i = 0; i < candidates.count; i++) {
    const struct plm_candidate *item = &candidates.items[i];
    if (!strncmp(item->path, real, strlen(real)) || item->path[0] != '/')
      used +=
          (size_t)snprintf(out + used, 1024 - used, "%s%s ",
                           item->path[0] == '/' ? item->path + strlen(real) + 1 : item->path, item->skipped ? "-" : "");
  }
  plm_candidates_fini(&candidates);
}

/* Why the candidate at path (below SCRATCH) is passed over, "" when it is not. */
static void reason(char out[1024], const char *path, const char *const *extra, uint32_t count) {
  struct plm_candidates candidates;
  int seen = 0;
  assert_int_equal(plm_plugin_search(&candidates, extra, count, NULL), 0);
  for (size_t i = 0; i < candidates.count; i++)
    if (strstr(candidates.items[i].path, path)) {
      snprintf(out, 1024, "%s", candidates.items[i].skipped ? candidates.items[i].skipped : "");
      seen++;
    }
  assert_int_equal(seen, 1);
  plm_candidates_fini(&candidates);
}

static void test_search__a_folder_is_searched_in_byte_order_for_so_files_alone(void **state) {
  const char *extra[] = {SCRATCH "/one"};
  char list[1024];
  (void)state;
  found(list, extra, 1);
  assert_string_equal(list, "one/a.so one/b.so ");
}

static void test_search__first_found_wins_and_the_duplicate_says_so(void **state) {
  const char *extra[] = {SCRATCH "/two", SCRATCH "/one"};
  char text[1024];
  (void)state;
  found(text, extra, 2);
  assert_string_equal(text, "two/b.so two/c.so one/a.so one/b.so- ");
  reason(text, "one/b.so", extra, 2);
  assert_non_null(strstr(text, "the name \"b\" was found first at"));
  assert_non_null(strstr(text, "two/b.so"));
}

static void test_search__what_is_named_comes_before_the_environment(void **state) {
  const char *extra[] = {SCRATCH "/two/b.so"};
  char list[1024];
  (void)state;
  setenv("PLMSCALE_PLUGIN_PATH", SCRATCH "/one:" SCRATCH "/two", 1);
  found(list, extra, 1);
  assert_string_equal(list, "two/b.so one/a.so one/b.so- two/b.so- two/c.so ");
}

static void test_search__the_current_folder_is_never_searched(void **state) {
  struct plm_candidates candidates;
  char list[1024];
  (void)state;
  assert_int_equal(chdir(SCRATCH "/one"), 0);
  setenv("PLMSCALE_PLUGIN_PATH", "::", 1);
  found(list, NULL, 0);
  assert_string_equal(list, "");
  setenv("PLMSCALE_PLUGIN_PATH", ".:../two", 1);
  found(list, NULL, 0);
  assert_string_equal(list, ".- ../two- ");
  reason(list, "../two", NULL, 0);
  assert_non_null(strstr(list, "only absolute ones are searched"));
  unsetenv("PLMSCALE_PLUGIN_PATH");
  assert_int_equal(plm_plugin_search(&candidates, NULL, 0, NULL), 0);
  assert_int_equal(candidates.folder_count, 1);
  assert_non_null(strstr(candidates.folders[0], PLM_BACKEND_SUBDIR));
  plm_candidates_fini(&candidates);
}

static void test_search__missing_folders_are_empty_missing_names_are_said(void **state) {
  const char *extra[] = {SCRATCH "/gone.so"};
  char text[1024];
  (void)state;
  setenv("PLMSCALE_PLUGIN_PATH", SCRATCH "/gone", 1);
  found(text, NULL, 0);
  assert_string_equal(text, "");
  reason(text, "gone.so", extra, 1);
  assert_string_equal(text, "No such file or directory");
}

static void test_search__what_others_can_change_is_skipped(void **state) {
  const char *extra[] = {SCRATCH "/open"};
  char text[1024];
  (void)state;
  reason(text, "d.so", extra, 1);
  assert_string_equal(text, "");
  assert_int_equal(chmod(SCRATCH "/open/d.so", 0757), 0);
  reason(text, "d.so", extra, 1);
  assert_non_null(strstr(text, "unsafe: file"));
  assert_non_null(strstr(text, "is writable by others (mode 0757)"));
  assert_int_equal(chmod(SCRATCH "/open/d.so", 0755), 0);
  assert_int_equal(chmod(SCRATCH "/open", 0777), 0);
  reason(text, "d.so", extra, 1);
  assert_non_null(strstr(text, "unsafe: folder"));
  assert_int_equal(chmod(SCRATCH "/open", 01777), 0);
  reason(text, "d.so", extra, 1);
  assert_string_equal(text, "");
}

/* A link in a safe folder to a file in an open one: whoever may write there decides what is loaded. */
static void test_search__a_link_into_an_open_folder_is_skipped(void **state) {
  const char *extra[] = {SCRATCH "/two/link.so"};
  char text[1024];
  (void)state;
  assert_int_equal(symlink("../open/d.so", SCRATCH "/two/link.so"), 0);
  reason(text, "two/link.so", extra, 1);
  assert_string_equal(text, "");
  assert_int_equal(chmod(SCRATCH "/open", 0777), 0);
  reason(text, "two/link.so", extra, 1);
  assert_non_null(strstr(text, "unsafe: folder"));
}

/* Giving files away takes root, which continuous integration usually is. */
static void test_search__a_strangers_file_is_skipped(void **state) {
  const char *extra[] = {SCRATCH "/open"};
  char text[1024];
  (void)state;
  if (geteuid() != 0)
    skip();
  assert_int_equal(chown(SCRATCH "/open/d.so", 54321, 0), 0);
  reason(text, "d.so", extra, 1);
  assert_int_equal(chown(SCRATCH "/open/d.so", 0, 0), 0);
  assert_non_null(strstr(text, "belongs to user 54321, neither root nor you"));
  assert_int_equal(chown(SCRATCH "/open/d.so", 0, 54321), 0);
  assert_int_equal(chmod(SCRATCH "/open/d.so", 0775), 0);
  reason(text, "d.so", extra, 1);
  assert_int_equal(chown(SCRATCH "/open/d.so", 0, 0), 0);
  assert_non_null(strstr(text, "is writable by group 54321"));
}

static void selected(const char *text, const char *name, const char *device) {
  char *got_name = NULL, *got_device = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  int code = plm_plugin_select(&got_name, &got_device, text, &err);
  if (!name) {
    assert_int_equal(code, PLM_E_USAGE);
    assert_null(got_name);
    return;
  }
  assert_int_equal(code, 0);
  assert_string_equal(got_name, name);
  if (device)
    assert_string_equal(got_device, device);
  else
    assert_null(got_device);
  free(got_name);
  free(got_device);
}

static void test_search__a_choice_is_split_into_backend_and_device(void **state) {
  (void)state;
  selected("cpu", "cpu", NULL);
  selected("opencl:1", "opencl", "1");
  selected("opencl:0000:01:00.0", "opencl", "0000:01:00.0");
  selected("opencl:Radeon VII", "opencl", "Radeon VII");
  selected("/a/b.so", "/a/b.so", NULL);
  selected("/a:b/c.so:2", "/a:b/c.so", "2");
  selected("/a.so:b/c.so:2", "/a.so:b/c.so", "2");
  selected("./c.so:0000:01:00.0", "./c.so", "0000:01:00.0");
  selected("", NULL, NULL);
  selected(":1", NULL, NULL);
  selected("cpu:", NULL, NULL);
}

static void unresolved(const char *name, const char *why) {
  struct plm_error err = PLM_ERROR_INIT;
  char *path = NULL;
  assert_int_equal(plm_plugin_resolve(&path, name, &err), PLM_E_USAGE);
  assert_null(path);
  if (!strstr(err.text, why))
    fail_msg("\"%s\": \"%s\" (expected \"%s\")", name, err.text, why);
}

static void test_search__a_name_becomes_a_path(void **state) {
  char *path = NULL, text[1024];
  (void)state;
  setenv("PLMSCALE_PLUGIN_PATH", SCRATCH "/one:" SCRATCH "/two", 1);
  assert_int_equal(plm_plugin_resolve(&path, "b", NULL), 0);
  assert_non_null(strstr(path, "/one/b.so"));
  free(path);
  assert_int_equal(plm_plugin_resolve(&path, SCRATCH "/two/b.so", NULL), 0);
  assert_non_null(strstr(path, "/two/b.so"));
  free(path);
  assert_int_equal(chmod(SCRATCH "/one/a.so", 0777), 0);
  unresolved("a", "one/a.so\" is not used: unsafe: file");
  unresolved("zzzzzz", "backend \"zzzzzz\": not found; available: b, c");
  unresolved(SCRATCH "/gone.so", "No such file");
  unresolved(SCRATCH "/one", "a folder; name the file in it");
  assert_int_equal(symlink("../one/b.so", SCRATCH "/two/opencl.so"), 0);
  snprintf(text, sizeof text, "did you mean \"opencl\"?");
  unresolved("opencll", text);
  assert_int_equal(unlink(SCRATCH "/two/opencl.so"), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_search__a_folder_is_searched_in_byte_order_for_so_files_alone, reset),
      cmocka_unit_test_teardown(test_search__first_found_wins_and_the_duplicate_says_so, reset),
      cmocka_unit_test_teardown(test_search__what_is_named_comes_before_the_environment, reset),
      cmocka_unit_test_teardown(test_search__the_current_folder_is_never_searched, reset),
      cmocka_unit_test_teardown(test_search__missing_folders_are_empty_missing_names_are_said, reset),
      cmocka_unit_test_teardown(test_search__what_others_can_change_is_skipped, reset),
      cmocka_unit_test_teardown(test_search__a_link_into_an_open_folder_is_skipped, reset),
      cmocka_unit_test_teardown(test_search__a_strangers_file_is_skipped, reset),
      cmocka_unit_test_teardown(test_search__a_choice_is_split_into_backend_and_device, reset),
      cmocka_unit_test_teardown(test_search__a_name_becomes_a_path, reset),
  };
  return cmocka_run_group_tests(tests, scratch_make, NULL);
}
