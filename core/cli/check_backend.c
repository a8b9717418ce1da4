#include "cli/check_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

int plm_check_is_study(const char *argument) {
  const size_t length = strlen(argument);
  struct stat status;
  if (length > 4 && !strcmp(argument + length - 4, ".ini"))
    return 1;
  if (stat(argument, &status) || !S_ISREG(status.st_mode))
    return 0;
  return length < 3 || strcmp(argument + length - 3, ".so") != 0;
}

/* The plugin's file and the reference's, which the cases are compared with. */
static int find_files(char **path, char **device, char **reference, const char *subject, struct plm_error *err) {
  char *name = NULL;
  int code = plm_plugin_select(&name, device, subject, err);
  if (!code)
    code = plm_plugin_resolve(path, name, err);
  if (!code)
    code = plm_plugin_resolve(reference, "reference", err);
  free(name);
  return code;
}

static int verdict(const struct plm_check_report *report, struct plm_error *err) {
  const struct plm_check_tally tally = plm_check_count(report, PLM_CHECK_LEVELS);
  if (tally.good)
    return 0;
  if (tally.failed || tally.not_run)
    return plm_error_set(err, PLM_E_INVALID, "backend \"%s\": %u of %u cases failed, %u were not run",
                         report->subject.name[0] ? report->subject.name : report->path, tally.failed, report->count,
                         tally.not_run);
  return plm_error_set(err, PLM_E_INVALID, "backend \"%s\": nothing passed in one of the levels, which counts as failed",
                       report->subject.name[0] ? report->subject.name : report->path);
}

int plm_check_backend(const struct plm_check_request *request, struct plm_error *err) {
  struct plm_check_report report = {0};
  char *path = NULL, *device = NULL, *reference = NULL;
  int code = find_files(&path, &device, &reference, request->arguments[0], err);
  const struct plm_check_options options = {
      .path = path,
      .device = device,
      .reference = reference,
      .settings = request->settings,
      .setting_count = request->setting_count,
      .threads = (uint32_t)request->threads,
      .level_first = request->level_first,
      .level_last = request->level_last,
      .op = request->op,
      .replay = request->replay,
      .seed = (uint64_t)request->seed,
      .timeout = request->timeout,
      .soak = request->soak,
      .subject = request->arguments[0],
      .progress = request->json ? stderr : NULL,
  };
  if (!code)
    code = plm_check_run(&report, &options, err);
  if (!code && request->json)
    code = plm_cli_print_json(plm_check_json(&report, &options), err);
  else if (!code)
    plm_check_print(stdout, &report, &options);
  if (!code)
    code = verdict(&report, err);
  plm_check_report_fini(&report);
  free(reference);
  free(device);
  free(path);
  return code;
}

int plm_check_print_matrix(const struct plm_check_request *request, struct plm_error *err) {
  char *text = NULL;
  int code = plm_check_matrix(&text, request->arguments, request->argument_count, err);
  if (!code && fputs(text, stdout) == EOF)
    code = plm_error_set(err, PLM_E_IO, "cannot write to the standard output");
  free(text);
  return code;
}
