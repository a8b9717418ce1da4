#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "law/points_csv.h"

static int parse_bytes(struct plm_points *out, const char *text, size_t bytes, struct plm_error *err) {
  char *copy = malloc(bytes + 1);
  assert_non_null(copy);
  memcpy(copy, text, bytes);
  copy[bytes] = 0;
  int code = plm_points_parse_csv(out, "t.csv", copy, bytes, err);
  free(copy);
  return code;
}

static int parse(struct plm_points *out, const char *text, struct plm_error *err) {
  return parse_bytes(out, text, strlen(text), err);
}

static struct plm_points accepted(const char *text) {
  struct plm_points points = {0};
  struct plm_error err = PLM_ERROR_INIT;
  if (parse(&points, text, &err))
    fail_msg("%s", err.text);
  return points;
}

static void test_points_csv__columns_are_found_by_any_name_and_case(void **state) {
  (void)state;
  static const char *const headers[] = {"N,D,loss\n", "PARAMS,Tokens,LOSS\n", "model_size,d,Loss\n", "n,D,lOSS\n"};
  for (size_t i = 0; i < 4; i++) {
    char text[100] = "";
    strcat(strcat(text, headers[i]), "8M,1e9,2.5\n");
    struct plm_points points = accepted(text);
    assert_int_equal(points.count, 1);
    assert_true(points.items[0].params == 8e6);
    assert_true(points.items[0].tokens == 1e9);
    assert_true(points.items[0].loss == 2.5);
    assert_true(points.items[0].compute == 6 * 8e6 * 1e9);
    assert_true(points.items[0].weight == 1);
    assert_true(points.items[0].budget == 0);
    assert_string_equal(points.items[0].label, "line 2");
    plm_points_fini(&points);
  }
}

static void test_points_csv__every_column_is_read(void **state) {
  (void)state;
  struct plm_points points =
      accepted("id;extra;seed;budget;weight;flops;loss;tokens;params\nrun 1;x;7;1e12;0.5;1.1e12;2.75;2M;100k\n");
  const struct plm_point *p = points.items;
  assert_int_equal(points.count, 1);
  assert_string_equal(p->label, "run 1");
  assert_true(p->seed == 7 && p->budget == 1e12 && p->weight == 0.5 && p->compute == 1.1e12);
  assert_true(p->loss == 2.75 && p->tokens == 2e6 && p->params == 1e5);
  plm_points_fini(&points);
}

static void test_points_csv__tabs_mark_crlf_comments_and_quotes_are_understood(void **state) {
  (void)state;
  struct plm_points points = accepted("\xef\xbb\xbf# made by hand\r\n\r\n\"N\"\t\"D\"\t\"loss\"\t\"label\"\r\n"
                                      "1000\t 2000 \t2.5\t\"a \"\"b\"\"\tc\"\r\n# end\r\n3000\t4000\t2.25\t");
  assert_int_equal(points.count, 2);
  assert_string_equal(points.items[0].label, "a \"b\"\tc");
  assert_true(points.items[0].tokens == 2000);
  assert_string_equal(points.items[1].label, "line 6");
  assert_true(points.items[1].loss == 2.25);
  plm_points_fini(&points);
}

static void test_points_csv__weight_zero_leaves_a_row_out(void **state) {
  (void)state;
  struct plm_points points = accepted("N,D,loss,weight\n1,2,3,0\n1,2,3,\n");
  assert_int_equal(points.count, 1);
  assert_int_equal(points.left_out_count, 1);
  assert_string_equal(points.left_out[0].label, "line 2");
  assert_string_equal(points.left_out[0].rule, "weight 0");
  plm_points_fini(&points);
}

/* Each is refused with PLM_E_DAMAGED and one line that contains both texts. */
static const struct {
  const char *text, *where, *what;
} HOSTILE[] = {
    {"", "t.csv", "no header line"},
    {"# only a comment\n\n", "t.csv", "no header line"},
    {"N,D,loss\n", "t.csv", "no rows"},
    {"N,loss\n1,2\n", "t.csv:1", "no column D (tokens)"},
    {"D,loss\n1,2\n", "t.csv:1", "no column N (params)"},
    {"N,D,lass\n1,2,3\n", "t.csv:1", "no column loss"},
    {"N,D,loss,params\n1,2,3,4\n", "t.csv:1", "columns 1 and 4 both mean N (params)"},
    {"N,D,loss\n1,2\n", "t.csv:2", "2 fields, the header has 3"},
    {"N,D,loss\n1,2,3,4\n", "t.csv:2", "4 fields, the header has 3"},
    {"N,D,loss\n1,2,nan\n", "t.csv:2", "column loss: \"nan\" is not a finite number"},
    {"N,D,loss\n1,2,inf\n", "t.csv:2", "\"inf\" is not a finite number"},
    {"N,D,loss\n1,1e400,3\n", "t.csv:2", "column D (tokens): \"1e400\""},
    {"N,D,loss\n-1,2,3\n", "t.csv:2", "column N (params): \"-1\" must be above 0"},
    {"N,D,loss\n1,0,3\n", "t.csv:2", "column D (tokens): \"0\" must be above 0"},
    {"N,D,loss\n1,2,0\n", "t.csv:2", "column loss: \"0\" must be above 0"},
    {"N,D,loss\n1,2,3\n1,,3\n", "t.csv:3", "column D (tokens): \"\" is empty"},
    {"N,D,loss\n0x10,2,3\n", "t.csv:2", "\"0x10\" is not a finite number"},
    {"N,D,loss\n1,2,3 nats\n", "t.csv:2", "\"3 nats\" is not a finite number"},
    {"N;D;loss\n1;2;3,5\n", "t.csv:2", "\"3,5\" is not a finite number"},
    {"N,D,loss,weight\n1,2,3,-1\n", "t.csv:2", "column weight: \"-1\" must not be negative"},
    {"N,D,loss,C\n1,2,3,0\n", "t.csv:2", "column C (compute): \"0\" must be above 0"},
    {"N,D,loss,seed\n1,2,3,1.5\n", "t.csv:2", "column seed: \"1.5\""},
    {"N,D,loss,seed\n1,2,3,-1\n", "t.csv:2", "column seed: \"-1\""},
    {"N,D,loss\n\"1,2,3\n", "t.csv:2", "a quote is not closed"},
    {"N,D,loss\n\"1\"x,2,3\n", "t.csv:2", "text after a closing quote"},
    {"N,D,loss\n1e200,1e200,3\n", "t.csv:2", "out of range"},
    {"{\"N\": 1}\n", "t.csv:1", "no column N"},
};

static void test_points_csv__hostile_tables_are_refused_with_the_place(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof HOSTILE / sizeof *HOSTILE; i++) {
    struct plm_points points = {0};
    struct plm_error err = PLM_ERROR_INIT;
    assert_int_equal(parse(&points, HOSTILE[i].text, &err), PLM_E_DAMAGED);
    if (!strstr(err.text, HOSTILE[i].where) || !strstr(err.text, HOSTILE[i].what) || strchr(err.text, '\n'))
      fail_msg("case %zu: \"%s\" lacks \"%s\" or \"%s\"", i, err.text, HOSTILE[i].where, HOSTILE[i].what);
    plm_points_fini(&points);
  }
}

static void test_points_csv__nul_bytes_are_refused(void **state) {
  (void)state;
  static const char text[] = "N,D,loss\n1,2,3\0\n";
  struct plm_points points = {0};
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(parse_bytes(&points, text, sizeof text - 1, &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "NUL byte at offset 14"));
  plm_points_fini(&points);
}

static void test_points_csv__a_line_of_a_million_commas_is_refused(void **state) {
  (void)state;
  char *text = malloc(1000001);
  assert_non_null(text);
  memset(text, ',', 1000000);
  text[1000000] = 0;
  struct plm_points points = {0};
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(parse(&points, text, &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "more than 256 fields"));
  free(text);
  plm_points_fini(&points);
}

static void test_points_csv__a_long_value_is_cut_in_the_message(void **state) {
  (void)state;
  char text[5000] = "N,D,loss\n1,2,";
  size_t head = strlen(text);
  memset(text + head, 'x', sizeof text - head - 1);
  struct plm_points points = {0};
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(parse(&points, text, &err), PLM_E_DAMAGED);
  assert_true(strlen(err.text) < 150);
  plm_points_fini(&points);
}

static void test_points_csv__a_missing_file_is_named(void **state) {
  (void)state;
  struct plm_points points = {0};
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_not_equal(plm_points_read_csv(&points, "no-such-folder/points.csv", &err), 0);
  assert_non_null(strstr(err.text, "no-such-folder/points.csv"));
  plm_points_fini(&points);
}

static void test_points__values_that_are_not_measurements_are_refused_by_name(void **state) {
  (void)state;
  const struct plm_point good = {1e6, 1e7, 6e13, 2.5, 1, 0, 0, "cell", 0, NULL, 0};
  struct plm_point bad[6] = {good, good, good, good, good, good};
  static const char *const names[6] = {"N (params)", "D (tokens)", "C (compute)", "loss", "weight", "budget"};
  bad[0].params = -1;
  bad[1].tokens = 0;
  bad[2].compute = (double)INFINITY;
  bad[3].loss = (double)NAN;
  bad[4].weight = 0;
  bad[5].budget = -5;
  struct plm_points points = {0};
  for (size_t i = 0; i < 6; i++) {
    struct plm_error err = PLM_ERROR_INIT;
    assert_int_equal(plm_points_add(&points, &bad[i], &err), PLM_E_INVALID);
    assert_non_null(strstr(err.text, names[i]));
    assert_non_null(strstr(err.text, "\"cell\""));
  }
  assert_int_equal(points.count, 0);
  assert_int_equal(plm_points_add(&points, &good, NULL), 0);
  assert_int_equal(points.count, 1);
  plm_points_fini(&points);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_points_csv__columns_are_found_by_any_name_and_case),
      cmocka_unit_test(test_points_csv__every_column_is_read),
      cmocka_unit_test(test_points_csv__tabs_mark_crlf_comments_and_quotes_are_understood),
      cmocka_unit_test(test_points_csv__weight_zero_leaves_a_row_out),
      cmocka_unit_test(test_points_csv__hostile_tables_are_refused_with_the_place),
      cmocka_unit_test(test_points_csv__nul_bytes_are_refused),
      cmocka_unit_test(test_points_csv__a_line_of_a_million_commas_is_refused),
      cmocka_unit_test(test_points_csv__a_long_value_is_cut_in_the_message),
      cmocka_unit_test(test_points_csv__a_missing_file_is_named),
      cmocka_unit_test(test_points__values_that_are_not_measurements_are_refused_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
