#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "study/study.h"

static const struct argp options_argp = {.doc = "Print every option of a study file as Markdown (docs/options.md)."};

int plm_cli_options(int argc, char **argv, struct plm_error *err) {
  int code = plm_cli_parse(&options_argp, argc, argv, NULL, err);
  if (code)
    return code;
  char *text = plm_study_options_markdown();
  if (!text)
    return plm_error_memory(err, "writing the options");
  if (fputs(text, stdout) == EOF || fflush(stdout))
    code = plm_error_set(err, PLM_E_IO, "cannot write to the standard output");
  free(text);
  return code;
}
