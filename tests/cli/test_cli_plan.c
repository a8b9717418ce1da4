#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cli_fixture.h"

/* 2 budgets x 4 sizes: size 1 has no shape, and two cells at the larger budget pass over the corpus too often. */
#define STUDY_OF(devices)                                                                                              \
  "[study]\ncorpus = corpus.h5\n"                                                                                      \
  "[grid]\nmode = isoflop\ncompute = 1e9, 1e10\nsizes = 1x16x1, 2x16x1, 2x32x2, 1\nepochs_max = 5\n"                   \
  "[data]\nlength_max = 256\n[train]\nbatch_tokens = 512\n[evaluate]\ntokens = 1000\n[run]\ndevices = " devices "\n"

static const json_t *cells_of(const json_t *plan) {
  assert_string_equal(json_string_value(json_object_get(plan, "schema")), "plmscale.plan/1");
  const json_t *cells = json_object_get(plan, "cells");
  assert_int_equal(json_array_size(cells), 8);
  return cells;
}

static int is_refused(const json_t *cell) { return json_is_string(json_object_get(cell, "refused")); }

/* The count that docs/bench.md states, from the plan's own corpus figures. */
static double exact_flops(const json_t *cell, const json_t *corpus) {
  double l = cli_number(cell, "layers"), d = cli_number(cell, "width"), tokens = cli_number(cell, "tokens");
  double share = 1 - 2 * cli_number(corpus, "train_sequences") / cli_number(corpus, "train_tokens");
  return tokens * (6 * 12 * l * d * d + 12 * l * d * cli_number(corpus, "squares_per_token") +
                   6 * 0.15 * share * (d * d + 33 * d));
}

static void check_cell(const json_t *cell, const json_t *corpus) {
  double n = cli_number(cell, "n_layers_only"), tokens = cli_number(cell, "tokens");
  assert_int_equal(strlen(json_string_value(json_object_get(cell, "id"))), 16);
  assert_true(cli_number(cell, "heads") >= 1);
  assert_true(n < cli_number(cell, "n_with_head") && cli_number(cell, "n_with_head") < cli_number(cell, "n_total"));
  assert_float_equal(cli_number(cell, "flops_6nd"), 6 * n * tokens, 1);
  assert_float_equal(cli_number(cell, "flops_exact") / exact_flops(cell, corpus), 1, 1e-5);
  assert_int_equal(cli_number(cell, "steps"), ceil(tokens / 512));
  assert_true(cli_number(cell, "memory_bytes") > 4 * 4 * cli_number(cell, "n_total"));
  assert_float_equal(cli_number(cell, "epochs"), tokens / cli_number(corpus, "train_tokens"), 1e-9);
  assert_true(cli_number(cell, "lr") > 0 && cli_number(cell, "budget") > 0 && cli_number(cell, "seed") == 1);
}

static void test_plan__json_tells_size_cost_and_time_of_every_cell(void **state) {
  double longest = 0;
  size_t i, run = 0;
  const json_t *cell;
  (void)state;
  cli_write("study.ini", STUDY_OF("reference"));
  json_t *plan = cli_run_json("plan", "study.ini", "--json", NULL);
  const json_t *corpus = json_object_get(plan, "corpus"), *totals = json_object_get(plan, "totals");
  json_array_foreach (cells_of(plan), i, cell) {
    if (is_refused(cell))
      continue;
    check_cell(cell, corpus);
    assert_true(cli_number(cell, "seconds") > 0);
    longest += cli_number(cell, "seconds");
    run++;
  }
  assert_int_equal(run, 4);
  assert_int_equal(cli_number(totals, "cells"), 4);
  assert_int_equal(cli_number(totals, "refused"), 4);
  assert_float_equal(cli_number(totals, "seconds"), longest, 1e-6);
  const json_t *device = json_array_get(json_object_get(plan, "devices"), 0);
  assert_int_equal(json_array_size(json_object_get(device, "measured")), 3);
  json_decref(plan);
}

static void test_plan__refused_cells_are_listed_with_their_reason(void **state) {
  size_t i, shapeless = 0, repeated = 0;
  const json_t *cell;
  (void)state;
  cli_write("study.ini", STUDY_OF("reference"));
  json_t *plan = cli_run_json("plan", "study.ini", "--json", "--no-measure", NULL);
  json_array_foreach (cells_of(plan), i, cell) {
    const char *reason = json_string_value(json_object_get(cell, "refused"));
    assert_true(json_is_null(json_object_get(cell, "seconds")));
    if (!reason)
      continue;
    if (json_is_null(json_object_get(cell, "layers"))) {
      assert_non_null(strstr(reason, "nearest shape"));
      assert_true(json_is_null(json_object_get(cell, "flops_exact")));
      shapeless++;
    } else {
      assert_non_null(strstr(reason, "epochs_max = 5"));
      assert_true(cli_number(cell, "epochs") > 5);
      repeated++;
    }
  }
  assert_int_equal(shapeless, 2);
  assert_int_equal(repeated, 2);
  json_decref(plan);
}

static void test_plan__places_share_the_work_and_the_threads(void **state) {
  (void)state;
  cli_write("study.ini", STUDY_OF("nosuch"));
  json_t *one = cli_run_json("plan", "study.ini", "--json", "-b", "reference", "--threads=3", NULL);
  json_t *two = cli_run_json("plan", "study.ini", "--json", "-b", "reference , reference", "--threads=3", NULL);
  const json_t *device = json_array_get(json_object_get(two, "devices"), 0);
  assert_int_equal(cli_number(device, "slots"), 2);
  assert_int_equal(cli_number(device, "threads"), 3);
  double sum = 0, longest = 0, wall = cli_number(json_object_get(two, "totals"), "seconds");
  size_t i;
  const json_t *cell;
  json_array_foreach (cells_of(two), i, cell)
    if (!is_refused(cell)) {
      sum += cli_number(cell, "seconds");
      longest = fmax(longest, cli_number(cell, "seconds"));
    }
  assert_true(wall >= longest * (1 - 1e-9) && wall >= sum / 2 * (1 - 1e-9) && wall < sum);
  json_decref(one);
  json_decref(two);
}

static void test_plan__memory_is_what_a_benchmark_takes(void **state) {
  size_t i, compared = 0;
  const json_t *cell;
  (void)state;
  cli_write("study.ini", STUDY_OF("reference"));
  json_t *plan = cli_run_json("plan", "study.ini", "--json", NULL);
  json_t *bench = cli_run_json("bench", "reference", "--shape=2x32x2", "--corpus=corpus.h5", "--batch-tokens=512",
                               "--length-max=256", "--steps=1", "--no-peak", "-o", "json", NULL);
  double bytes = cli_number(json_array_get(json_object_get(bench, "results"), 0), "memory_bytes");
  json_array_foreach (cells_of(plan), i, cell)
    if (!is_refused(cell) && cli_number(cell, "width") == 32) {
      assert_true(cli_number(cell, "memory_bytes") == bytes);
      compared++;
    }
  assert_int_equal(compared, 2);
  json_decref(bench);
  json_decref(plan);
}

static void test_plan__a_device_that_fails_costs_the_times_only(void **state) {
  size_t i;
  const json_t *cell;
  (void)state;
  cli_write("study.ini", STUDY_OF("nosuch"));
  struct cli_result result = cli_run("plan", "study.ini", "--json", NULL);
  assert_int_equal(result.code, 0);
  assert_non_null(strstr(result.err, "warning: device \"nosuch\": no time can be told: backend \"nosuch\""));
  json_t *plan = json_loads(result.out, 0, NULL);
  json_array_foreach (cells_of(plan), i, cell)
    assert_true(json_is_null(json_object_get(cell, "seconds")));
  assert_true(json_is_null(json_object_get(json_object_get(plan, "totals"), "seconds")));
  json_decref(plan);
  cli_result_fini(&result);
}

static void test_plan__table_has_cells_refusals_and_totals(void **state) {
  struct stat status;
  (void)state;
  cli_write("study.ini", STUDY_OF("reference"));
  struct cli_result result = cli_run("plan", "study.ini", "--no-measure", NULL);
  assert_int_equal(result.code, 0);
  assert_non_null(strstr(result.out, "2x32x2"));
  assert_non_null(strstr(result.out, "refused: "));
  assert_non_null(strstr(result.out, "4 cells to train, 4 refused"));
  assert_int_equal(stat("study.study", &status), -1); /* a plan writes nothing */
  cli_result_fini(&result);
}

static void test_plan__wrong_input_is_refused_in_one_line(void **state) {
  static const struct {
    const char *study, *says;
    int code;
  } cases[] = {
      {"[study]\ncorpus = none.h5\n[grid]\ncompute = 1e9\nsizes = 1x16x1\n", "none.h5", 1},
      {"[study]\ncorpus = study.ini\n[grid]\ncompute = 1e9\nsizes = 1x16x1\n", "study.ini", 4},
      {"[study]\ncorpus = corpus.h5\n[grid]\ncompute = 1e9\nsizes = 1x16x1\nsizs = 3\n", "study.ini:6", 2},
      {"[study]\ncorpus = corpus.h5\n[grid]\ncompute = log(1e9,1e10,400)\nsizes = 1x16x1, 2x16x1\n", "run_cap", 2},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cli_write("study.ini", cases[i].study);
    struct cli_result result = cli_run("plan", "study.ini", "--no-measure", NULL);
    if (result.code != cases[i].code || !strstr(result.err, cases[i].says))
      print_error("case %zu: exit code %d, said: %s", i, result.code, result.err);
    assert_int_equal(result.code, cases[i].code);
    assert_non_null(strstr(result.err, cases[i].says));
    assert_int_equal(cli_lines(result.err), 1);
    assert_string_equal(result.out, "");
    cli_result_fini(&result);
  }
}

/* A card of a data sheet needs no backend; half of its speed is twice the time, and no card beats its peak. */
static void test_plan__takes_a_device_by_its_data_sheet(void **state) {
  size_t i, timed = 0;
  const json_t *cell;
  (void)state;
  cli_write("study.ini", STUDY_OF("nosuch"));
  json_t *plan = cli_run_json("plan", "study.ini", "--json", "--sheet=a card=2,1e6", "--sheet-share=1", NULL);
  json_t *half = cli_run_json("plan", "study.ini", "--json", "--sheet=a card=2,1e6", NULL);
  const json_t *device = json_array_get(json_object_get(plan, "devices"), 0);
  assert_string_equal(json_string_value(json_object_get(device, "device")), "a card");
  assert_true(cli_number(device, "sheet_gflops") == 2 && !json_object_get(device, "measured"));
  assert_int_equal(json_array_size(json_object_get(device, "computed")), 3);
  json_array_foreach (cells_of(plan), i, cell) {
    if (is_refused(cell))
      continue;
    const json_t *slower = json_array_get(json_object_get(half, "cells"), i);
    assert_true(cli_number(cell, "seconds") > cli_number(cell, "flops_exact") * 0.5 / 2e9);
    assert_float_equal(cli_number(slower, "seconds") / cli_number(cell, "seconds"), 2, 1e-9);
    timed++;
  }
  assert_int_equal(timed, 4);
  json_decref(half);
  json_decref(plan);
}

/* A corpus that is yet to come: another one's lengths, and as many tokens as it will have. */
static void test_plan__takes_another_corpus_and_its_size(void **state) {
  (void)state;
  cli_write("study.ini", "[study]\ncorpus = none.h5\n[grid]\ncompute = 1e9, 1e10\nsizes = 1x16x1, 2x16x1\nepochs_max = 5\n"
                         "[data]\nlength_max = 256\n[train]\nbatch_tokens = 512\n");
  json_t *small = cli_run_json("plan", "study.ini", "--json", "--no-measure", "--corpus=corpus.h5", NULL);
  json_t *large = cli_run_json("plan", "study.ini", "--json", "--no-measure", "--corpus=corpus.h5", "--epoch-tokens=1G", NULL);
  assert_true(cli_number(json_object_get(small, "totals"), "refused") > 0);
  assert_true(cli_number(json_object_get(large, "totals"), "refused") == 0);
  assert_true(cli_number(json_object_get(large, "corpus"), "train_tokens") == 1e9);
  assert_true(cli_number(json_object_get(large, "corpus"), "squares_per_token") ==
              cli_number(json_object_get(small, "corpus"), "squares_per_token"));
  json_decref(large);
  json_decref(small);
}

static void test_plan__refuses_a_sheet_that_is_none(void **state) {
  static const char *const sheets[] = {"--sheet=card", "--sheet=card=20000", "--sheet==20000,500", "--sheet=card=fast,500",
                                       "--sheet=card=20000,0", "--sheet=a,b=20000,500", "--sheet-share=2",
                                       "--epoch-tokens=0"};
  (void)state;
  cli_write("study.ini", STUDY_OF("nosuch"));
  for (size_t i = 0; i < sizeof sheets / sizeof *sheets; i++) {
    struct cli_result result = cli_run("plan", "study.ini", sheets[i], NULL);
    assert_int_equal(result.code, 2);
    assert_non_null(strstr(result.err, i < 6 ? "--sheet \"" : i == 6 ? "--sheet-share \"2\"" : "--epoch-tokens \"0\""));
    cli_result_fini(&result);
  }
}

static int setup(void **state) {
  if (cli_setup(state))
    return -1;
  cli_make_corpus();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plan__json_tells_size_cost_and_time_of_every_cell),
      cmocka_unit_test(test_plan__refused_cells_are_listed_with_their_reason),
      cmocka_unit_test(test_plan__places_share_the_work_and_the_threads),
      cmocka_unit_test(test_plan__memory_is_what_a_benchmark_takes),
      cmocka_unit_test(test_plan__a_device_that_fails_costs_the_times_only),
      cmocka_unit_test(test_plan__table_has_cells_refusals_and_totals),
      cmocka_unit_test(test_plan__wrong_input_is_refused_in_one_line),
      cmocka_unit_test(test_plan__takes_a_device_by_its_data_sheet),
      cmocka_unit_test(test_plan__takes_another_corpus_and_its_size),
      cmocka_unit_test(test_plan__refuses_a_sheet_that_is_none),
  };
  return cmocka_run_group_tests(tests, setup, cli_teardown);
}
