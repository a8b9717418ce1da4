/* The template and the document that the table of options makes. */
#include "study_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "study/option_table.h"

/* The template with the corpus filled in; every default uncommented when all is set. Owned by the caller. */
static char *filled_template(int all) {
  char *template = plm_study_template();
  assert_non_null(template);
  char *out = malloc(strlen(template) + 64), *to = out;
  assert_non_null(out);
  for (char *line = template, *next; *line; line = next) {
    char *end = strchr(line, '\n');
    assert_non_null(end);
    next = end + 1;
    if (all && *line == ';')
      line++;
    to += strncmp(line, "corpus =\n", 9) == 0 ? sprintf(to, "corpus = c.h5\n")
                                              : sprintf(to, "%.*s", (int)(next - line), line);
  }
  free(template);
  return out;
}

static json_t *options_of(const struct plm_study *study) {
  json_t *options = json_object();
  for (int i = 0; i < PLM_OPTION_COUNT; i++)
    json_object_set_new(options, plm_option_table[i].key, plm_option_json(&study->config, i));
  return options;
}

static void test_docs__template_is_a_study_once_it_has_a_corpus(void **state) {
  (void)state;
  char *text = filled_template(0);
  struct plm_study *study = study_fixture_expand(text, 10000000);
  assert_true(study->cell_count >= 15);
  for (size_t i = 0; i < study->cell_count; i++)
    assert_null(study->cells[i].refused);
  plm_study_destroy(study);
  free(text);
}

static void test_docs__template_without_a_corpus_says_so(void **state) {
  (void)state;
  char *text = plm_study_template();
  const char *corpus = strstr(text, "\ncorpus =\n");
  assert_non_null(corpus);
  int line = 2;
  for (const char *at = text; at < corpus; at++)
    line += *at == '\n';
  char complaint[200];
  snprintf(complaint, sizeof complaint,
           "%d: [study] corpus is required: corpus made by `plmscale data build`, relative to this file", line);
  study_fixture_refuse(text, strlen(text), PLM_E_USAGE, (const char *const[]){complaint, NULL});
  free(text);
}

static void test_docs__template_shows_every_option_with_its_default(void **state) {
  (void)state;
  char *plain = filled_template(0), *all = filled_template(1);
  struct plm_study *study = study_fixture_read(plain);
  json_t *expected = options_of(study);
  plm_study_destroy(study);
  study = study_fixture_read(all);
  json_t *options = options_of(study);
  assert_true(json_equal(options, expected));
  plm_study_destroy(study);
  for (int i = 0; i < PLM_OPTION_COUNT; i++) {
    char line[100];
    snprintf(line, sizeof line, "\n%s =", plm_option_table[i].key);
    assert_non_null(strstr(all, line));
  }
  json_decref(options);
  json_decref(expected);
  free(plain);
  free(all);
}

static void test_docs__options_document_is_up_to_date(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  char *committed = NULL, *made = plm_study_options_markdown();
  size_t bytes = 0;
  assert_non_null(made);
  if (plm_file_read(&committed, &bytes, PLM_OPTIONS_DOCUMENT, 1 << 20, &err))
    fail_msg("%s", err.text);
  if (strcmp(committed, made) != 0)
    fail_msg("docs/options.md is old, run: plmscale options > docs/options.md");
  free(committed);
  free(made);
}

static void test_docs__options_document_has_a_row_for_every_option(void **state) {
  (void)state;
  char *text = plm_study_options_markdown();
  for (int i = 0; i < PLM_OPTION_COUNT; i++) {
    char row[100];
    snprintf(row, sizeof row, "\n| `%s` | ", plm_option_table[i].key);
    assert_non_null(strstr(text, row));
  }
  assert_non_null(strstr(text, "| `batch_tokens` | 64 to 1e9 tokens | `8192` | "));
  assert_non_null(strstr(text, "| `schedule` | auto, constant, linear, cosine or wsd | `auto` | "));
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_docs__template_is_a_study_once_it_has_a_corpus),
      cmocka_unit_test(test_docs__template_without_a_corpus_says_so),
      cmocka_unit_test(test_docs__template_shows_every_option_with_its_default),
      cmocka_unit_test(test_docs__options_document_is_up_to_date),
      cmocka_unit_test(test_docs__options_document_has_a_row_for_every_option),
  };
  return cmocka_run_group_tests(tests, study_fixture_setup, study_fixture_teardown);
}
