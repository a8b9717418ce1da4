#include <stdio.h>

#include "base/log.h"
#include "cli/cli.h"
#include "study/study.h"

static error_t parse_argument(int key, char *argument, struct argp_state *state) {
  const char **path = state->input;
  if (key == ARGP_KEY_ARG && !*path) {
    *path = argument;
    return 0;
  }
  if (key == ARGP_KEY_NO_ARGS)
    argp_error(state, "which study file? (plmscale check STUDY.ini)");
  return ARGP_ERR_UNKNOWN;
}

static const struct argp check_argp = {.parser = parse_argument,
                                       .args_doc = "STUDY.ini",
                                       .doc = "Check a study file: print \"ok\", or every error with file and line."};

int plm_cli_study_read(struct plm_study **out, const char *path, struct plm_error *err) {
  struct plm_errors errors = {0};
  int code = plm_study_read(out, path, &errors, err);
  /* A single error is err itself; of several, err becomes the summary under them. */
  if (code == PLM_E_USAGE && errors.count > 1) {
    for (size_t i = 0; i < errors.count; i++)
      plm_log(PLM_LOG_ERROR, "%s", errors.lines[i]);
    code = plm_error_set(err, PLM_E_USAGE, "study \"%s\": %zu errors", path, errors.count);
  }
  plm_errors_fini(&errors);
  return code;
}

int plm_cli_check(int argc, char **argv, struct plm_error *err) {
  const char *path = NULL;
  struct plm_study *study = NULL;
  int code = plm_cli_parse(&check_argp, argc, argv, &path, err);
  if (code == 0)
    code = plm_cli_study_read(&study, path, err);
  /* Without a corpus: the shapes and the number of cells can be wrong all the same. */
  if (code == 0)
    code = plm_study_expand(study, "", 0, err);
  if (code == 0 && (puts("ok") == EOF || fflush(stdout)))
    code = plm_error_set(err, PLM_E_IO, "cannot write to the standard output");
  plm_study_destroy(study);
  return code;
}
