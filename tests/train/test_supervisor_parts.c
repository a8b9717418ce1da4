/* The parts of supervision that stand alone: report lines, verdicts, workers, failures, locks, settings, the merged file. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/h5.h"
#include "supervisor_fixture.h"
#include "train/failure.h"
#include "train/lock.h"
#include "train/merge.h"
#include "train/prepare.h"
#include "train/runfile.h"
#include "train/worker.h"

#define EXIT(code) ((code) << 8) /* wait statuses as Linux encodes them */

static void test_supervisor_parts__report_lines_are_taken(void **state) {
  struct plm_child child = {.fd = -1};
  (void)state;
  plm_child_take_line(&child, "progress 3 10 4096 1.5e5 2.5 2.75 nan 1.25");
  assert_int_equal(child.reports, 1);
  assert_true(child.progress.step == 3 && child.progress.steps == 10 && child.progress.loss_mask == 2.75);
  plm_child_take_line(&child, "error 5 device \"x\": gone 7 times");
  assert_int_equal(child.error_code, 5);
  assert_string_equal(child.error, "device \"x\": gone 7 times");
  assert_false(child.said_end);
  plm_child_take_line(&child, "end diverged");
  assert_true(child.said_end);
}

static void test_supervisor_parts__other_lines_are_no_sign_of_life(void **state) {
  static const char *const lines[] = {"",        "hello",        "progress",       "progress 1 2 3",
                                      "end",     "end of story", "error",          "error x y",
                                      "error 0", "error 0 none", " progress extra"};
  struct plm_child child = {.fd = -1};
  (void)state;
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    plm_child_take_line(&child, lines[i]);
  assert_true(child.heard == 0);
  assert_int_equal(child.reports, 0);
  assert_int_equal(child.error_code, 0);
  assert_false(child.said_end);
}

static void test_supervisor_parts__lines_come_in_pieces_and_too_long(void **state) {
  struct plm_child child = {.fd = -1};
  int ends[2];
  char flood[3 * PLM_CHILD_LINE];
  (void)state;
  assert_int_equal(pipe(ends), 0);
  child.fd = ends[0];
  memset(flood, 'x', sizeof flood);
  assert_int_equal(write(ends[1], "progress 1 4 1 1 1 1 1 1\nprogr", 30), 30);
  assert_int_equal(write(ends[1], "ess 2 4 1 1 1 1 1 1\n", 20), 20);
  assert_int_equal(write(ends[1], flood, sizeof flood), sizeof flood);
  assert_int_equal(write(ends[1], "\nend done\nend", 13), 13);
  close(ends[1]);
  plm_child_listen(&child);
  assert_int_equal(child.fd, -1);
  assert_int_equal(child.reports, 2);
  assert_int_equal((int)child.progress.step, 2);
  assert_true(child.said_end);
}

static void judge(struct plm_child_end *end, const struct plm_child *child, int status,
                  enum plm_child_outcome outcome) {
  plm_child_judge(end, child, status);
  assert_int_equal(end->outcome, outcome);
}

static void test_supervisor_parts__ends_are_told_apart(void **state) {
  struct plm_child quiet = {.fd = -1}, finished = {.said_end = 1}, busy = {.error_code = PLM_E_BUSY, .error = "busy"};
  struct plm_child hung = {.hung = 1}, killed = {.killed = 1};
  struct plm_child_end end;
  (void)state;
  judge(&end, &finished, EXIT(0), PLM_CHILD_DONE);
  assert_int_equal(end.code, 0);
  judge(&end, &quiet, EXIT(0), PLM_CHILD_FAILED);
  assert_string_equal(end.text, "left without an end");
  judge(&end, &finished, EXIT(1), PLM_CHILD_FAILED);
  judge(&end, &quiet, EXIT(75), PLM_CHILD_STOPPED);
  judge(&end, &busy, EXIT(1), PLM_CHILD_BUSY);
  judge(&end, &quiet, SIGSEGV, PLM_CHILD_CRASHED);
  assert_string_equal(end.text, "crashed with SIGSEGV");
  judge(&end, &finished, SIGABRT, PLM_CHILD_CRASHED);
  judge(&end, &quiet, SIGKILL, PLM_CHILD_CRASHED);
  assert_non_null(strstr(end.text, "memory"));
  judge(&end, &quiet, SIGTERM, PLM_CHILD_STOPPED);
  judge(&end, &hung, SIGKILL, PLM_CHILD_HUNG);
  assert_int_equal(end.code, PLM_E_TIMEOUT);
  judge(&end, &killed, SIGKILL, PLM_CHILD_KILLED);
}

static void test_supervisor_parts__device_lists_are_read(void **state) {
  static const char *const lists[] = {"cpu , opencl:0", "cpu"};
  static const char *const wrong[] = {"", "cpu,,cpu", "cpu,", ",", "  "};
  struct plm_workers workers;
  struct plm_error err = PLM_ERROR_INIT;
  (void)state;
  assert_int_equal(plm_workers_init(&workers, lists, 2, &err), 0);
  assert_int_equal(workers.count, 3);
  assert_string_equal(workers.items[0].device, "cpu");
  assert_string_equal(workers.items[1].device, "opencl:0");
  assert_string_equal(workers.items[2].device, "cpu");
  assert_true(plm_workers_threads(&workers) >= 1);
  plm_workers_fini(&workers);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(plm_workers_init(&workers, &wrong[i], 1, &err), PLM_E_USAGE);
  assert_int_equal(plm_workers_init(&workers, lists, 0, &err), PLM_E_USAGE);
}

static void test_supervisor_parts__strikes_are_in_a_row(void **state) {
  const struct plm_child_end crash = {.outcome = PLM_CHILD_CRASHED}, done = {.outcome = PLM_CHILD_DONE};
  const struct plm_child_end gone = {.outcome = PLM_CHILD_FAILED, .code = PLM_E_DEVICE_LOST};
  const struct plm_child_end memory = {.outcome = PLM_CHILD_FAILED, .code = PLM_E_NO_MEMORY};
  const struct plm_child_end abi = {.outcome = PLM_CHILD_FAILED, .code = PLM_E_ABI};
  const struct plm_child_end wrong = {.outcome = PLM_CHILD_FAILED, .code = PLM_E_WRONG};
  struct plm_worker worker = {0}, other = {0}, third = {0};
  (void)state;
  assert_int_equal(plm_worker_note(&worker, &crash), 0);
  assert_int_equal(plm_worker_note(&worker, &done), 0);
  assert_int_equal(plm_worker_note(&worker, &gone), 0);
  assert_int_equal(plm_worker_note(&worker, &memory), 0);
  assert_int_equal(plm_worker_note(&worker, &crash), 0);
  assert_int_equal(plm_worker_note(&worker, &gone), 1);
  assert_true(worker.lost);
  assert_int_equal(plm_worker_note(&other, &abi), 1);
  assert_int_equal(plm_worker_note(&third, &wrong), 1);
}

static void test_supervisor_parts__failures_read_back(void **state) {
  const struct supervisor_fixture *f = *state;
  struct plm_failure out,
      in = {.kind = "hung", .code = 6, .step = 12, .device = "opencl:1", .text = "said \"no\" \\ \xff"};
  struct plm_error err = PLM_ERROR_INIT;
  int found = 1;
  const char *folder = fixture_path(f, 0, "");
  assert_int_equal(plm_failure_read(&out, &found, folder, &err), 0);
  assert_false(found);
  assert_int_equal(plm_failure_write(folder, f->study->cells[0].id, &in, &err), 0);
  assert_int_equal(plm_failure_read(&out, &found, folder, &err), 0);
  assert_true(found && out.code == 6 && out.step == 12);
  assert_string_equal(out.kind, "hung");
  assert_string_equal(out.device, "opencl:1");
  assert_string_equal(out.text, "said \"no\" \\ ?");
  assert_int_equal(strlen(out.time), 20);
  assert_int_equal(plm_failure_remove(folder, &err), 0);
  assert_int_equal(plm_failure_remove(folder, &err), 0);
}

static void test_supervisor_parts__damaged_failures_are_refused(void **state) {
  static const char other_version[] = "{\"schema\":\"plmscale.failure/2\",\"cell\":\"x\",\"kind\":\"hung\",\"code\":1,"
                                      "\"device\":\"x\",\"time\":\"x\",\"step\":1,\"text\":\"x\"}";
  static const char *const texts[] = {"", "{", "[]", "{\"schema\":\"plmscale.failure/1\"}", other_version};
  const struct supervisor_fixture *f = *state;
  struct plm_failure out;
  struct plm_error err = PLM_ERROR_INIT;
  int found;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    fixture_write(fixture_path(f, 0, "failure.json"), texts[i]);
    assert_int_equal(plm_failure_read(&out, &found, fixture_path(f, 0, ""), &err), PLM_E_DAMAGED);
  }
}

static void test_supervisor_parts__a_lock_ends_with_its_process(void **state) {
  const struct supervisor_fixture *f = *state;
  const char *folder = fixture_path(f, 0, "");
  struct plm_error err = PLM_ERROR_INIT;
  char holder[PLM_LOCK_HOLDER], expected[40];
  int ends[2], lock = -1;
  assert_false(plm_lock_held(holder, folder));
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    _exit(plm_lock_take(&lock, folder, "cell", "a", NULL) || write(ends[1], "x", 1) != 1 ? 1 : pause());
  }
  assert_int_equal(read(ends[0], holder, 1), 1);
  assert_int_equal(plm_lock_take(&lock, folder, "cell", "a", &err), PLM_E_BUSY);
  snprintf(expected, sizeof expected, "cell \"a\": process %ld on ", (long)child);
  assert_int_equal(strncmp(err.text, expected, strlen(expected)), 0);
  assert_true(plm_lock_held(holder, folder));
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
  assert_false(plm_lock_held(holder, folder));
  assert_int_equal(plm_lock_take(&lock, folder, "cell", "a", &err), 0);
  plm_lock_release(lock);
  close(ends[0]);
  close(ends[1]);
}

static void test_supervisor_parts__settings_join_and_replace(void **state) {
  static const char *const wrong[] = {"", "cpu", "cpu.threads", "threads=2", ".key=1", "cpu.=1", "a=b.c"};
  struct supervisor_fixture *f = *state;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_prepare_setting(f->study, "cpu.gemm=a=b.c", &err), 0);
  assert_int_equal(plm_prepare_setting(f->study, "cpu.blocks=", &err), 0);
  assert_int_equal(plm_prepare_setting(f->study, "cpu.gemm=cblas", &err), 0);
  assert_int_equal(f->study->backend_option_count, 2);
  assert_string_equal(f->study->backend_options[0].backend, "cpu");
  assert_string_equal(f->study->backend_options[0].key, "gemm");
  assert_string_equal(f->study->backend_options[0].value, "cblas");
  assert_string_equal(f->study->backend_options[1].value, "");
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(plm_prepare_setting(f->study, wrong[i], &err), PLM_E_USAGE);
  assert_int_equal(f->study->backend_option_count, 2);
}

static void read_texts(char *out, size_t width, hid_t group, const char *name, size_t count) {
  hid_t set = H5Dopen2(group, name, H5P_DEFAULT), space = H5Dget_space(set), type = H5Tcopy(H5T_C_S1);
  assert_int_equal(H5Sget_simple_extent_npoints(space), count);
  assert_true(H5Tset_size(type, width) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0);
  assert_true(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0);
  H5Tclose(type);
  H5Sclose(space);
  H5Dclose(set);
}

static void test_supervisor_parts__finished_cells_are_merged(void **state) {
  const struct supervisor_fixture *f = *state;
  struct plm_error err = PLM_ERROR_INIT;
  size_t cells;
  uint64_t length;
  hid_t file, summary, cell;
  char path[80], texts[3][32], *text;
  double losses[3], tokens[2];
  fixture_write_run(f, 0, fixture_path(f, 0, "run.h5"), 2.75, "done");
  fixture_write_run(f, 1, fixture_path(f, 1, "run.h5"), 9.5, "diverged");
  fixture_write_run(f, 3, fixture_path(f, 3, "run.h5"), 2.25, "done");
  assert_int_equal(plm_merge_study(f->study, FIXTURE_DIGEST, &cells, &err), 0);
  assert_int_equal(cells, 3);
  snprintf(path, sizeof path, "%s/s.study/study.h5", f->folder);
  assert_int_equal(plm_h5_open(&file, path, PLM_STUDY_FORMAT, PLM_STUDY_VERSION, &err), 0);
  assert_int_equal(plm_h5_get_text(&text, file, "corpus_digest", &err), 0);
  assert_string_equal(text, FIXTURE_DIGEST);
  free(text);
  assert_int_equal(plm_h5_group_open(&summary, file, "summary", &err), 0);
  assert_int_equal(plm_h5_get_array(losses, summary, "valid_loss_mask", H5T_NATIVE_DOUBLE, 3, &err), 0);
  assert_true(losses[0] == 2.75 && losses[1] == 9.5 && losses[2] == 2.25);
  read_texts(texts[0], sizeof texts[0], summary, "status", 3);
  assert_string_equal(texts[0], "done");
  assert_string_equal(texts[1], "diverged");
  read_texts(texts[0], sizeof texts[0], summary, "cell_id", 3);
  assert_string_equal(texts[2], f->study->cells[3].id);
#define X(name, units)                                                                                                 \
  assert_int_equal(plm_h5_array_length(&length, summary, #name, &err), 0);                                             \
  assert_int_equal(length, 3);
  PLM_RUN_FIGURES(X)
#undef X
  snprintf(path, sizeof path, "cells/%s/curve", f->study->cells[1].id);
  assert_int_equal(plm_h5_group_open(&cell, file, path, &err), 0);
  assert_int_equal(plm_h5_get_array(tokens, cell, "tokens", H5T_NATIVE_DOUBLE, 2, &err), 0);
  assert_true(tokens[0] == 0 && tokens[1] == 10);
  assert_int_equal(plm_h5_get_document(&text, file, "config/ini", &err), 0);
  assert_string_equal(text, f->study->text);
  free(text);
  H5Gclose(cell);
  H5Gclose(summary);
  H5Fclose(file);
}

static void test_supervisor_parts__a_damaged_run_is_not_merged(void **state) {
  const struct supervisor_fixture *f = *state;
  struct plm_error err = PLM_ERROR_INIT;
  char path[80];
  fixture_write_run(f, 0, fixture_path(f, 0, "run.h5"), 2.75, "done");
  assert_int_equal(truncate(fixture_path(f, 0, "run.h5"), 1000), 0);
  assert_int_equal(plm_merge_study(f->study, FIXTURE_DIGEST, NULL, &err), PLM_E_DAMAGED);
  snprintf(path, sizeof path, "%s/s.study/study.h5", f->folder);
  assert_false(plm_file_exists(path));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_supervisor_parts__report_lines_are_taken),
      cmocka_unit_test(test_supervisor_parts__other_lines_are_no_sign_of_life),
      cmocka_unit_test(test_supervisor_parts__lines_come_in_pieces_and_too_long),
      cmocka_unit_test(test_supervisor_parts__ends_are_told_apart),
      cmocka_unit_test(test_supervisor_parts__device_lists_are_read),
      cmocka_unit_test(test_supervisor_parts__strikes_are_in_a_row),
      TEST(test_supervisor_parts__failures_read_back),
      TEST(test_supervisor_parts__damaged_failures_are_refused),
      TEST(test_supervisor_parts__a_lock_ends_with_its_process),
      TEST(test_supervisor_parts__settings_join_and_replace),
      TEST(test_supervisor_parts__finished_cells_are_merged),
      TEST(test_supervisor_parts__a_damaged_run_is_not_merged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
