#include "cli_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 40

static char scratch[] = "/tmp/plmscale-cli-XXXXXX";

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place) {
  (void)status, (void)type, (void)place;
  return remove(path);
}

int cli_setup(void **state) {
  (void)state;
  return !mkdtemp(scratch) || chdir(scratch) ? -1 : 0;
}

int cli_teardown(void **state) {
  (void)state;
  return chdir("/") || nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS) ? -1 : 0;
}

void cli_result_fini(struct cli_result *result) {
  free(result->out);
  free(result->err);
  result->out = result->err = NULL;
}

/* All of a stream from its start; closes it. */
static char *slurp(FILE *file) {
  size_t bytes;
  char *text;
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  bytes = (size_t)ftell(file);
  rewind(file);
  text = calloc(bytes + 1, 1);
  assert_non_null(text);
  assert_int_equal(fread(text, 1, bytes, file), bytes);
  fclose(file);
  return text;
}

static struct cli_result run(const char *const *words) {
  struct cli_result result = {.code = -1};
  FILE *out = tmpfile(), *err = tmpfile();
  int status;
  assert_non_null(out);
  assert_non_null(err);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (dup2(fileno(out), STDOUT_FILENO) < 0 || dup2(fileno(err), STDERR_FILENO) < 0)
      _exit(126);
    unsetenv("PLMSCALE_PLUGIN_PATH");
    /* execv does not change the words; its type is older than const. */
    execv(PLM_TEST_PROGRAM, (char *const *)(uintptr_t)words);
    _exit(126);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  result.out = slurp(out);
  result.err = slurp(err);
  assert_int_not_equal(result.code, 126);
  return result;
}

static void collect(const char **words, const char *first, va_list rest) {
  size_t count = 1;
  words[0] = "plmscale";
  for (const char *word = first; word; word = va_arg(rest, const char *)) {
    assert_true(count < WORDS_MAX);
    words[count++] = word;
  }
  words[count] = NULL;
}

struct cli_result cli_run(const char *word, ...) {
  const char *words[WORDS_MAX + 1];
  va_list rest;
  va_start(rest, word);
  collect(words, word, rest);
  va_end(rest);
  return run(words);
}

json_t *cli_run_json(const char *word, ...) {
  const char *words[WORDS_MAX + 1];
  json_error_t where;
  va_list rest;
  va_start(rest, word);
  collect(words, word, rest);
  va_end(rest);
  struct cli_result result = run(words);
  if (result.code)
    print_error("%s", result.err);
  assert_int_equal(result.code, 0);
  json_t *json = json_loads(result.out, 0, &where);
  if (!json)
    print_error("%s at line %d of: %s", where.text, where.line, result.out);
  assert_non_null(json);
  cli_result_fini(&result);
  return json;
}

const char *cli_proteins(void) { return PLM_TEST_PROTEINS; }

void cli_make_corpus(void) {
  struct cli_result made =
      cli_run("data", "build", PLM_TEST_PROTEINS, "-o", "corpus.h5", "--valid", "0.2", "--force", NULL);
  if (made.code)
    print_error("%s", made.err);
  assert_int_equal(made.code, 0);
  cli_result_fini(&made);
}

void cli_write(const char *name, const char *text) {
  FILE *file = fopen(name, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

double cli_number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_number(value))
    print_error("key \"%s\" is %s\n", key, value ? "not a number" : "missing");
  assert_true(json_is_number(value));
  return json_number_value(value);
}

int cli_lines(const char *text) {
  int lines = 0;
  for (; *text; text++)
    lines += *text == '\n';
  return lines;
}
