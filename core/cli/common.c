#include <jansson.h>
#include <stdio.h>

#include "cli/cli.h"

int plm_cli_parse(const struct argp *argp, int argc, char **argv, void *input, struct plm_error *err) {
  error_t failed = argp_parse(argp, argc, argv, 0, NULL, input);
  if (failed)
    return plm_error_set_system(err, failed, "cannot read the arguments");
  return 0;
}

int plm_cli_print_json(struct json_t *json, struct plm_error *err) {
  if (!json)
    return plm_error_memory(err, "printing JSON");
  int failed = json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
  json_decref(json);
  if (failed || putchar('\n') == EOF)
    return plm_error_set(err, PLM_E_IO, "cannot write the output");
  return 0;
}
