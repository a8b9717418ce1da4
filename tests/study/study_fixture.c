#include "study_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static char folder[] = "/tmp/plmscale-study-XXXXXX";

int study_fixture_setup(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

int study_fixture_teardown(void **state) {
  (void)state;
  unlink(study_fixture_path("study.ini"));
  unlink(study_fixture_path("new.ini"));
  return rmdir(folder);
}

const char *study_fixture_path(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

const char *study_fixture_write(const char *text, size_t bytes) {
  static char path[256];
  struct plm_error err = PLM_ERROR_INIT;
  strcpy(path, study_fixture_path("study.ini"));
  if (plm_file_write_atomic(path, text, bytes, &err))
    fail_msg("%s", err.text);
  return path;
}

struct plm_study *study_fixture_read(const char *text) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_errors errors = {0};
  struct plm_study *study = NULL;
  if (plm_study_read(&study, study_fixture_write(text, strlen(text)), &errors, &err))
    fail_msg("%s", err.text);
  assert_int_equal(errors.count, 0);
  plm_errors_fini(&errors);
  return study;
}

struct plm_study *study_fixture_expand(const char *text, int64_t corpus_tokens) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_study *study = study_fixture_read(text);
  if (plm_study_expand(study, "c0ffee", corpus_tokens, &err))
    fail_msg("%s", err.text);
  return study;
}

void study_fixture_refuse(const char *text, size_t bytes, int code, const char *const *complaints) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_errors errors = {0};
  struct plm_study *study = NULL;
  const char *path = study_fixture_write(text, bytes);
  assert_int_equal(plm_study_read(&study, path, &errors, &err), code);
  assert_null(study);
  assert_int_equal(err.code, code);
  char expected[PLM_ERROR_TEXT];
  snprintf(expected, sizeof expected, "%s:%s", path, complaints[0]);
  assert_string_equal(err.text, expected);
  size_t count = 0;
  for (; code == PLM_E_USAGE && complaints[count]; count++) {
    assert_true(count < errors.count);
    snprintf(expected, sizeof expected, "%s:%s", path, complaints[count]);
    assert_string_equal(errors.lines[count], expected);
  }
  assert_int_equal(errors.count, count);
  plm_errors_fini(&errors);
}
