/* The supervisor with children that only act: what it does when they finish, fail, crash, hang, lie, or are stopped. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "supervisor_fixture.h"
#include "train/failure.h"
#include "train/lock.h"
#include "train/states.h"
#include "train/supervisor.h"

static volatile sig_atomic_t requests;

struct outcome {
  struct plm_supervisor_result result;
  struct plm_error err;
  int code;
  int lost; /* workers out of use */
};

static struct outcome supervise(const struct supervisor_fixture *f, const char *devices) {
  static const char *const settings[] = {"good.key=value"};
  const struct plm_prepared prepared = {.corpus_digest = FIXTURE_DIGEST, .mean_length = 30};
  struct outcome o = {.err = PLM_ERROR_INIT};
  struct plm_workers workers;
  assert_int_equal(plm_workers_init(&workers, &devices, 1, &o.err), 0);
  const struct plm_supervisor_options options = {.workers = &workers,
                                                 .threads = 3,
                                                 .settings = settings,
                                                 .setting_count = 1,
                                                 .patience = 0.7,
                                                 .program = f->program,
                                                 .stop = &requests};
  o.code = plm_supervise(&o.result, f->study, &prepared, &options, &o.err);
  for (size_t i = 0; i < workers.count; i++) {
    o.lost += workers.items[i].lost;
    assert_int_equal(workers.items[i].child.pid, 0);
  }
  plm_workers_fini(&workers);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left behind */
  return o;
}

static struct plm_failure failure_of(const struct supervisor_fixture *f, size_t index) {
  struct plm_failure failure;
  struct plm_error err = PLM_ERROR_INIT;
  int found;
  assert_int_equal(plm_failure_read(&failure, &found, fixture_path(f, index, ""), &err), 0);
  if (!found)
    failure = (struct plm_failure){.kind = "none"};
  return failure;
}

static enum plm_cell_state state_of(const struct supervisor_fixture *f, size_t index) {
  struct plm_cell_standing standing;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_cell_stand(&standing, f->study, &f->study->cells[index], &err), 0);
  return standing.state;
}

static void test_supervisor__trains_every_cell_once(void **state) {
  const struct supervisor_fixture *f = *state;
  struct outcome o = supervise(f, "good, good");
  assert_int_equal(o.code, 0);
  assert_int_equal(o.result.done, FIXTURE_CELLS);
  assert_int_equal(o.result.trained, FIXTURE_CELLS);
  for (size_t i = 0; i < FIXTURE_CELLS; i++)
    assert_int_equal(state_of(f, i), PLM_CELL_DONE);
  o = supervise(f, "crash");
  assert_int_equal(o.code, 0);
  assert_int_equal(o.result.done, FIXTURE_CELLS);
  assert_int_equal(o.result.trained, 0);
}

static void test_supervisor__children_get_their_arguments(void **state) {
  const struct supervisor_fixture *f = *state;
  char *log = NULL, expected[300];
  size_t bytes;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(supervise(f, "arguments").code, 0);
  assert_int_equal(plm_file_read(&log, &bytes, fixture_path(f, 2, "log.txt"), 4096, &err), 0);
  snprintf(expected, sizeof expected,
           "run-cell %s %s --backend arguments --threads 3 --report-fd 3 --set good.key=value\n", f->study->path,
           f->study->cells[2].id);
  assert_non_null(strstr(log, expected));
  free(log);
}

static void test_supervisor__a_crash_is_named_and_two_lose_the_device(void **state) {
  const struct supervisor_fixture *f = *state;
  struct outcome o = supervise(f, "crash");
  assert_int_equal(o.code, PLM_E_CELLS);
  assert_int_equal(o.result.failed, 2);
  assert_int_equal(o.result.waiting, FIXTURE_CELLS - 2);
  assert_int_equal(o.lost, 1);
  struct plm_failure failure = failure_of(f, 0);
  assert_string_equal(failure.kind, "crashed");
  assert_string_equal(failure.text, "crashed with SIGSEGV: about to fall");
  assert_string_equal(failure.device, "crash");
  assert_int_equal(failure.step, 1);
  assert_int_equal(state_of(f, 0), PLM_CELL_FAILED);
  assert_int_equal(state_of(f, 3), PLM_CELL_WAITING);
}

static void test_supervisor__other_devices_go_on(void **state) {
  const struct supervisor_fixture *f = *state;
  struct outcome o = supervise(f, "lost, good");
  assert_int_equal(o.code, PLM_E_CELLS);
  assert_int_equal(o.result.done + o.result.failed, FIXTURE_CELLS);
  assert_true(o.result.failed >= 1 && o.result.failed <= 2 && o.result.done >= 2);
  assert_int_equal(failure_of(f, 0).code, PLM_E_DEVICE_LOST);
}

static void test_supervisor__an_error_costs_only_its_cell(void **state) {
  const struct supervisor_fixture *f = *state;
  struct outcome o = supervise(f, "error");
  assert_int_equal(o.code, PLM_E_CELLS);
  assert_int_equal(o.result.failed, FIXTURE_CELLS);
  assert_int_equal(o.lost, 0);
  assert_string_equal(failure_of(f, 1).kind, "error");
  assert_string_equal(failure_of(f, 1).text, "kernel \"x\": did not work");
  assert_int_equal(failure_of(f, 1).code, PLM_E_INTERNAL);
}

static void test_supervisor__a_hanging_child_is_killed(void **state) {
  const struct supervisor_fixture *f = *state;
  struct outcome o = supervise(f, "hang, hang");
  assert_int_equal(o.code, PLM_E_CELLS);
  assert_int_equal(o.lost, 2);
  assert_string_equal(failure_of(f, 0).kind, "hung");
  assert_non_null(strstr(failure_of(f, 0).text, "no sign of life for 1 s"));
}

static void test_supervisor__an_unusable_device_spoils_no_cell(void **state) {
  const struct supervisor_fixture *f = *state;
  struct outcome o = supervise(f, "usage");
  assert_int_equal(o.code, PLM_E_USAGE);
  assert_string_equal(o.err.text, "option \"x\": unknown");
  assert_int_equal(o.result.waiting, FIXTURE_CELLS);
  assert_string_equal(failure_of(f, 0).kind, "none");
  o = supervise(f, "usage, good");
  assert_int_equal(o.code, 0);
  assert_int_equal(o.result.done, FIXTURE_CELLS);
}

static void test_supervisor__done_is_what_verifies(void **state) {
  const struct supervisor_fixture *f = *state;
  struct outcome o = supervise(f, "liar");
  assert_int_equal(o.code, PLM_E_CELLS);
  assert_int_equal(o.result.failed, FIXTURE_CELLS);
  assert_non_null(strstr(failure_of(f, 0).text, "said it was done, but"));
}

static void test_supervisor__the_last_word_of_a_mute_child_is_quoted(void **state) {
  const struct supervisor_fixture *f = *state;
  assert_int_equal(supervise(f, "mute").code, PLM_E_CELLS);
  assert_string_equal(failure_of(f, 0).text, "left with code 7 without a reason: plain words");
}

static void test_supervisor__failed_cells_are_tried_again(void **state) {
  const struct supervisor_fixture *f = *state;
  struct outcome o = supervise(f, "flaky");
  assert_int_equal(o.code, PLM_E_CELLS);
  assert_int_equal(o.result.failed, FIXTURE_CELLS);
  o = supervise(f, "flaky");
  assert_int_equal(o.code, 0);
  assert_int_equal(o.result.trained, FIXTURE_CELLS);
  assert_string_equal(failure_of(f, 0).kind, "none");
}

static void test_supervisor__a_damaged_run_is_set_aside_and_trained_again(void **state) {
  const struct supervisor_fixture *f = *state;
  assert_int_equal(supervise(f, "good").code, 0);
  assert_int_equal(truncate(fixture_path(f, 1, "run.h5"), 900), 0);
  assert_int_equal(state_of(f, 1), PLM_CELL_DAMAGED);
  struct outcome o = supervise(f, "good");
  assert_int_equal(o.code, 0);
  assert_int_equal(o.result.trained, 1);
  assert_true(plm_file_exists(fixture_path(f, 1, "run.damaged.h5")));
  assert_int_equal(state_of(f, 1), PLM_CELL_DONE);
}

static void test_supervisor__leftovers_of_killed_processes_are_swept(void **state) {
  const struct supervisor_fixture *f = *state;
  fixture_write(fixture_path(f, 0, "checkpoint.h5.tmp.4711"), "x");
  fixture_write(fixture_path(f, 0, "notes"), "mine");
  assert_int_equal(supervise(f, "good").code, 0);
  assert_false(plm_file_exists(fixture_path(f, 0, "checkpoint.h5.tmp.4711")));
  assert_true(plm_file_exists(fixture_path(f, 0, "notes")));
}

static void test_supervisor__a_cell_of_another_process_is_left_to_it(void **state) {
  const struct supervisor_fixture *f = *state;
  struct plm_error err = PLM_ERROR_INIT;
  int lock;
  assert_int_equal(plm_lock_take(&lock, fixture_path(f, 1, ""), "cell", "x", &err), 0);
  assert_int_equal(state_of(f, 1), PLM_CELL_RUNNING);
  struct outcome o = supervise(f, "good");
  assert_int_equal(o.code, PLM_E_CELLS);
  assert_int_equal(o.result.busy, 1);
  assert_int_equal(o.result.done, FIXTURE_CELLS - 1);
  plm_lock_release(lock);
  o = supervise(f, "busy");
  assert_int_equal(o.result.busy, 1); /* found out by the child only */
  assert_int_equal(supervise(f, "good").code, 0);
}

static void request_one(int number) {
  (void)number;
  requests++;
}

/* Signals this process every so often; each is a request. */
static void request_after(int milliseconds) {
  const struct itimerval timer = {.it_interval = {0, milliseconds * 1000}, .it_value = {0, milliseconds * 1000}};
  requests = 0;
  signal(SIGALRM, request_one);
  assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void request_no_more(void) {
  const struct itimerval off = {{0, 0}, {0, 0}};
  assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
  requests = 0;
}

static void test_supervisor__a_request_stops_with_checkpoints(void **state) {
  const struct supervisor_fixture *f = *state;
  request_after(400);
  struct outcome o = supervise(f, "polite, polite");
  request_no_more();
  assert_int_equal(o.code, PLM_E_STOPPED);
  assert_int_equal(plm_error_exit_code(o.code), 75);
  assert_int_equal(o.result.waiting, FIXTURE_CELLS);
  assert_string_equal(failure_of(f, 0).kind, "none");
}

static void test_supervisor__a_second_request_kills(void **state) {
  const struct supervisor_fixture *f = *state;
  request_after(300);
  struct outcome o = supervise(f, "stubborn");
  request_no_more();
  assert_int_equal(o.code, PLM_E_IO);
  assert_int_equal(plm_error_exit_code(o.code), 1);
  assert_int_equal(o.result.waiting, FIXTURE_CELLS);
  assert_string_equal(failure_of(f, 0).kind, "none");
}

static void test_supervisor__a_missing_program_is_a_failure(void **state) {
  struct supervisor_fixture *f = *state;
  assert_int_equal(unlink(f->program), 0);
  struct outcome o = supervise(f, "good");
  assert_int_equal(o.code, PLM_E_CELLS);
  assert_int_equal(failure_of(f, 0).code, PLM_E_INTERNAL);
  assert_non_null(strstr(failure_of(f, 0).text, "cannot be set up"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_supervisor__trains_every_cell_once),
      TEST(test_supervisor__children_get_their_arguments),
      TEST(test_supervisor__a_crash_is_named_and_two_lose_the_device),
      TEST(test_supervisor__other_devices_go_on),
      TEST(test_supervisor__an_error_costs_only_its_cell),
      TEST(test_supervisor__a_hanging_child_is_killed),
      TEST(test_supervisor__an_unusable_device_spoils_no_cell),
      TEST(test_supervisor__done_is_what_verifies),
      TEST(test_supervisor__the_last_word_of_a_mute_child_is_quoted),
      TEST(test_supervisor__failed_cells_are_tried_again),
      TEST(test_supervisor__a_damaged_run_is_set_aside_and_trained_again),
      TEST(test_supervisor__leftovers_of_killed_processes_are_swept),
      TEST(test_supervisor__a_cell_of_another_process_is_left_to_it),
      TEST(test_supervisor__a_request_stops_with_checkpoints),
      TEST(test_supervisor__a_second_request_kills),
      TEST(test_supervisor__a_missing_program_is_a_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
