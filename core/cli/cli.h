/*
 * The command line: one file per verb. A verb parses its own arguments with argp (argv[0] is "plmscale VERB"), prints results on
 * stdout and talk on stderr, and returns 0 or a code with err filled; main prints err and maps it to the exit code.
 */
#ifndef PLM_CLI_CLI_H
#define PLM_CLI_CLI_H

#include <argp.h>

#include "base/error.h"

/* Parses with argp; unknown options exit with 2 and a hint, --help with 0. Returns 0 or PLM_E_USAGE. */
int plm_cli_parse(const struct argp *argp, int argc, char **argv, void *input, struct plm_error *err);

/* Prints a JSON value, indented, and a newline on stdout, and releases it. NULL is out of memory. */
struct json_t;
int plm_cli_print_json(struct json_t *json, struct plm_error *err);

/* plm_study_read for a verb: of several errors all are logged, and err says how many. */
struct plm_study;
int plm_cli_study_read(struct plm_study **out, const char *path, struct plm_error *err);

int plm_cli_init(int argc, char **argv, struct plm_error *err);
int plm_cli_check(int argc, char **argv, struct plm_error *err);
int plm_cli_data(int argc, char **argv, struct plm_error *err);
int plm_cli_plan(int argc, char **argv, struct plm_error *err);
int plm_cli_run(int argc, char **argv, struct plm_error *err);
int plm_cli_run_cell(int argc, char **argv, struct plm_error *err);
int plm_cli_status(int argc, char **argv, struct plm_error *err);
int plm_cli_fit(int argc, char **argv, struct plm_error *err);
int plm_cli_report(int argc, char **argv, struct plm_error *err);
int plm_cli_why(int argc, char **argv, struct plm_error *err);
int plm_cli_predict(int argc, char **argv, struct plm_error *err);
int plm_cli_audit(int argc, char **argv, struct plm_error *err);
int plm_cli_backends(int argc, char **argv, struct plm_error *err);
int plm_cli_probe(int argc, char **argv, struct plm_error *err); /* internal: one plugin, in this process */
int plm_cli_tune(int argc, char **argv, struct plm_error *err);
int plm_cli_bench(int argc, char **argv, struct plm_error *err);
int plm_cli_coordinates(int argc, char **argv, struct plm_error *err);
int plm_cli_ops(int argc, char **argv, struct plm_error *err);
int plm_cli_new_plugin(int argc, char **argv, struct plm_error *err);
int plm_cli_options(int argc, char **argv, struct plm_error *err); /* docs/options.md */

#endif
