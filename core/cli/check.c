#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "cli/check_backend.h"
#include "cli/cli.h"
#include "study/study.h"

enum option_key { KEY_LEVEL = 1000, KEY_OP, KEY_REPLAY, KEY_SEED, KEY_JSON, KEY_MATRIX, KEY_SET, KEY_TIMEOUT, KEY_SOAK };

static const struct argp_option check_options[] = {
    {NULL, 0, NULL, 0, "For a backend:", 1},
    {"level", KEY_LEVEL, "N[-M]", 0, "Only these levels: 0 ABI, 1 memory and queues, 2 forward ops, 3 backward and "
                                     "optimizer, 4 training, 5 robustness (0-5)", 1},
    {"op", KEY_OP, "NAME", 0, "Only cases of this op or test", 1},
    {"replay", KEY_REPLAY, "CASE", 0, "One case alone, as a failure names it (2/linear:7@1), or one that --shadow saved "
                                      "(FILE.h5)", 1},
    {"seed", KEY_SEED, "N", 0, "Of everything random in the cases (1)", 1},
    {"set", KEY_SET, "KEY=VALUE", 0, "An option of the backend; may be given more than once", 1},
    {"threads", 't', "N", 0, "CPU threads; 0: all cores (0)", 1},
    {"timeout", KEY_TIMEOUT, "S", 0, "Seconds that one case may take before it counts as a hang (120)", 1},
    {"soak", KEY_SOAK, "S", 0, "Seconds of the soak in level 5 (3)", 1},
    {"json", KEY_JSON, NULL, 0, "JSON (schema plmscale.check/1) instead of a table", 2},
    {"matrix", KEY_MATRIX, NULL, 0, "The arguments are JSON files of earlier checks: print the support matrix in Markdown",
     2},
    {0}};

static void take_level(struct plm_check_request *request, const char *text, struct argp_state *state) {
  char *end;
  request->level_first = request->level_last = (uint32_t)strtoul(text, &end, 10);
  if (end != text && *end == '-')
    request->level_last = (uint32_t)strtoul(text = end + 1, &end, 10);
  if (end == text || *end || request->level_first > request->level_last || request->level_last >= PLM_CHECK_LEVELS)
    argp_error(state, "--level \"%s\": must be N or N-M, from 0 to %u", text, PLM_CHECK_LEVELS - 1);
}

static void take_setting(struct plm_check_request *request, char *text, struct argp_state *state) {
  char *equals = strchr(text, '=');
  if (!equals || equals == text)
    argp_error(state, "--set \"%s\": must be KEY=VALUE", text);
  if (request->setting_count == PLM_CHECK_SETTINGS)
    argp_error(state, "--set: more than %d settings", PLM_CHECK_SETTINGS);
  *equals = '\0';
  request->settings[request->setting_count++] = (struct plm_setting){.name = text, .value = equals + 1};
}

static void take_seconds(double *out, const char *option, const char *text, struct argp_state *state) {
  if (plm_number_real(out, text, NULL) || *out <= 0)
    argp_error(state, "--%s \"%s\": must be a number above 0", option, text);
}

static void take_count(int64_t *out, const char *option, const char *text, int64_t most, struct argp_state *state) {
  struct plm_error why = PLM_ERROR_INIT;
  if (plm_number_integer(out, text, &why))
    argp_error(state, "--%s: %s", option, why.text);
  if (*out > most)
    argp_error(state, "--%s \"%s\": at most %lld", option, text, (long long)most);
}

static error_t parse_value(int key, char *text, struct argp_state *state) {
  struct plm_check_request *request = state->input;
  switch (key) {
  case KEY_LEVEL:
    take_level(request, text, state);
    return 0;
  case KEY_SEED:
    take_count(&request->seed, "seed", text, INT64_MAX, state);
    return 0;
  case 't':
    take_count(&request->threads, "threads", text, 4096, state);
    return 0;
  case KEY_SET:
    take_setting(request, text, state);
    return 0;
  case KEY_TIMEOUT:
    take_seconds(&request->timeout, "timeout", text, state);
    return 0;
  case KEY_SOAK:
    take_seconds(&request->soak, "soak", text, state);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static error_t parse_argument(int key, char *argument, struct argp_state *state) {
  struct plm_check_request *request = state->input;
  switch (key) {
  case KEY_OP:
    request->op = argument;
    return 0;
  case KEY_REPLAY:
    request->replay = argument;
    return 0;
  case KEY_JSON:
    request->json = 1;
    return 0;
  case KEY_MATRIX:
    request->matrix = 1;
    return 0;
  case ARGP_KEY_ARG:
    if (request->argument_count == PLM_CHECK_ARGUMENTS)
      argp_error(state, "more than %d arguments", PLM_CHECK_ARGUMENTS);
    request->arguments[request->argument_count++] = argument;
    return 0;
  case ARGP_KEY_END:
    if (!request->argument_count)
      argp_error(state, "what? (plmscale check STUDY.ini, or plmscale check BACKEND)");
    if (request->argument_count > 1 && !request->matrix)
      argp_error(state, "one study or backend at a time, not also \"%s\"", request->arguments[1]);
    return 0;
  default:
    return parse_value(key, argument, state);
  }
}

static const struct argp check_argp = {
    .options = check_options,
    .parser = parse_argument,
    .args_doc = "STUDY.ini\nBACKEND[:DEVICE]\n--matrix FILE.json...",
    .doc = "Check a study file: print \"ok\", or every error with file and line. Or check a backend: run the conformance "
           "suite on a plugin, installed (NAME) or not (PATH.so), each case in a child process.\v"
           "An argument that ends in .ini, or is a file that is no .so, is a study; everything else is a backend. Exit codes "
           "for a backend: 0 all passed, 1 some failed, 2 usage, 4 not a plugin. docs/check.md says what each level proves."};

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

static int check_study(const char *path, struct plm_error *err) {
  struct plm_study *study = NULL;
  int code = plm_cli_study_read(&study, path, err);
  /* Without a corpus: the shapes and the number of cells can be wrong all the same. */
  if (code == 0)
    code = plm_study_expand(study, "", 0, err);
  if (code == 0 && (puts("ok") == EOF || fflush(stdout)))
    code = plm_error_set(err, PLM_E_IO, "cannot write to the standard output");
  plm_study_destroy(study);
  return code;
}

int plm_cli_check(int argc, char **argv, struct plm_error *err) {
  struct plm_check_request request = {.level_last = PLM_CHECK_LEVELS - 1, .seed = 1, .timeout = 120, .soak = 3};
  int code = plm_cli_parse(&check_argp, argc, argv, &request, err);
  if (code)
    return code;
  if (request.matrix)
    return plm_check_print_matrix(&request, err);
  if (plm_check_is_study(request.arguments[0]))
    return check_study(request.arguments[0], err);
  return plm_check_backend(&request, err);
}
