/* Runs the built program as a user would, in a scratch folder with a small corpus of real proteins. */
#ifndef PLM_TESTS_CLI_FIXTURE_H
#define PLM_TESTS_CLI_FIXTURE_H

#include <jansson.h>

/* What a run of the program left; texts are owned by the result. */
struct cli_result {
  int code; /* exit code, -1 when a signal ended it */
  char *out, *err;
};
void cli_result_fini(struct cli_result *result);

/* Group setup and teardown: an empty scratch folder becomes the current one, and goes again with all that is in it. */
int cli_setup(void **state);
int cli_teardown(void **state);

/* Runs plmscale with these words (NULL ends them); fails the test only when it cannot be run. */
struct cli_result cli_run(const char *word, ...) __attribute__((sentinel));

/* As cli_run, expecting exit code 0 and JSON on stdout, which the caller releases. */
json_t *cli_run_json(const char *word, ...) __attribute__((sentinel));

/* The proteins of tests/data, and a corpus made of them ("corpus.h5" in the scratch folder). */
const char *cli_proteins(void);
void cli_make_corpus(void);

/* Writes a text file in the scratch folder. */
void cli_write(const char *name, const char *text);

/* The number behind a key, which must be there and be one. */
double cli_number(const json_t *object, const char *key);

/* How many lines a text has. */
int cli_lines(const char *text);

#endif
