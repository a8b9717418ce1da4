#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli_fixture.h"

#define SMALL "--batch-tokens=512", "--length-max=256", "--threads=1"

static void test_bench__json_has_every_key_for_every_shape(void **state) {
  static const char *const numbers[] = {
      "layers",           "width", "heads",        "batch_tokens", "threads",      "tokens_per_s", "useful_gflops",
      "gemm_peak_gflops", "mfu",   "micro_tokens", "params",       "memory_bytes", "spread"};
  static const char *const texts[] = {"backend", "device", "precision", "lowered_ops", "driver_version"};
  (void)state;
  json_t *bench = cli_run_json("bench", "reference", "--shape", "1x16x1,2x16x2", "--fasta", cli_proteins(), SMALL,
                               "--steps=2", "-o", "json", NULL);
  assert_string_equal(json_string_value(json_object_get(bench, "schema")), "plmscale.bench/1");
  const json_t *results = json_object_get(bench, "results");
  assert_int_equal(json_array_size(results), 2);
  for (size_t i = 0; i < 2; i++) {
    const json_t *result = json_array_get(results, i);
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
      cli_number(result, numbers[k]);
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
      assert_true(json_is_string(json_object_get(result, texts[k])));
    assert_int_equal(json_array_size(json_object_get(result, "samples")), 2);
    assert_true(cli_number(result, "gemm_peak_gflops") > 0);
    assert_float_equal(cli_number(result, "mfu"),
                       cli_number(result, "useful_gflops") / cli_number(result, "gemm_peak_gflops"), 1e-9);
  }
  assert_int_equal(cli_number(json_array_get(results, 0), "params"), 4177);
  assert_int_equal(cli_number(json_array_get(results, 1), "layers"), 2);
  assert_int_equal(cli_number(json_array_get(results, 1), "heads"), 2);
  json_decref(bench);
}

static void test_bench__rates_follow_from_tokens_seconds_and_flops(void **state) {
  (void)state;
  json_t *bench = cli_run_json("bench", "reference", "--shape=2x32x2", "--fasta", cli_proteins(), SMALL, "--steps=3",
                               "--no-peak", "-o", "json", NULL);
  const json_t *result = json_array_get(json_object_get(bench, "results"), 0);
  double rate = cli_number(result, "tokens_per_s"), low = HUGE_VAL, high = 0;
  const json_t *samples = json_object_get(result, "samples"), *sample;
  size_t i;
  json_array_foreach (samples, i, sample) {
    low = fmin(low, json_number_value(sample));
    high = fmax(high, json_number_value(sample));
  }
  assert_true(low <= rate * (1 + 1e-9) && rate <= high * (1 + 1e-9));
  assert_float_equal(rate, cli_number(result, "tokens") / cli_number(result, "seconds"), rate * 1e-9);
  /* Between the layers' matrices alone, and those with attention over the longest sequence and the head on every row.
   */
  double per_token = cli_number(result, "useful_gflops") * 1e9 / rate;
  assert_true(per_token > 72.0 * 2 * 32 * 32);
  assert_true(per_token < 72.0 * 2 * 32 * 32 + 12.0 * 2 * 32 * 256 + 6.0 * (32 * 32 + 33 * 32));
  assert_true(cli_number(result, "tokens") > 0.9 * 3 * 512 && cli_number(result, "tokens") <= 3 * 512);
  assert_true(json_is_null(json_object_get(result, "mfu")));
  assert_true(json_is_null(json_object_get(result, "gemm_peak_gflops")));
  json_decref(bench);
}

static double first_loss(const char *seed) {
  json_t *bench = cli_run_json("bench", "reference", "--shape=1x16x1", "--fasta", cli_proteins(), SMALL, "--steps=1",
                               "--no-peak", "-o", "json", "--seed", seed, NULL);
  double loss = cli_number(json_array_get(json_object_get(bench, "results"), 0), "loss_first");
  json_decref(bench);
  return loss;
}

static void test_bench__trains_a_new_model_that_the_seed_fixes(void **state) {
  (void)state;
  double loss = first_loss("1");
  assert_true(fabs(loss - log(33)) < 0.1);
  assert_true(loss == first_loss("1"));
  assert_true(loss != first_loss("2"));
}

static void test_bench__corpus_file_and_time_limit_work_too(void **state) {
  (void)state;
  json_t *bench = cli_run_json("bench", "reference", "--shape=1x16x1", "--corpus=corpus.h5", SMALL, "--seconds=0.01",
                               "--no-peak", "-o", "json", NULL);
  const json_t *result = json_array_get(json_object_get(bench, "results"), 0);
  assert_true(json_array_size(json_object_get(result, "samples")) >= 1);
  assert_true(json_array_size(json_object_get(result, "samples")) < 12);
  json_decref(bench);
}

static void test_bench__table_has_a_row_for_every_shape(void **state) {
  (void)state;
  struct cli_result result = cli_run("bench", "reference", "--shape=1x16x1", "--shape=1x32x2", "--fasta",
                                     cli_proteins(), SMALL, "--steps=1", "--no-peak", NULL);
  assert_int_equal(result.code, 0);
  assert_non_null(strstr(result.out, "| 1x16x1 "));
  assert_non_null(strstr(result.out, "| 1x32x2 "));
  cli_result_fini(&result);
}

static void test_bench__unusable_records_are_counted_aloud(void **state) {
  (void)state;
  cli_write("some.fasta", ">a\nMKTAYIAKQRQISFVKSHFSRQ\n>bad\nMK1TA\n>empty\n>b\nMTDRQWLVKKELLNQR\n");
  struct cli_result result = cli_run("bench", "reference", "--shape=1x16x1", "--fasta=some.fasta", "--batch-tokens=64",
                                     "--length-max=64", "--steps=1", "--no-peak", NULL);
  assert_int_equal(result.code, 0);
  assert_non_null(strstr(result.err, "some.fasta: 2 records left out"));
  cli_result_fini(&result);
}

static void test_bench__wrong_arguments_are_refused_by_name(void **state) {
  const char *file = cli_proteins();
  const struct {
    const char *words[6], *says;
    int code;
  } cases[] = {
      {{"--fasta", file}, "which backend?", 2},
      {{"reference"}, "--fasta FILE and --corpus FILE", 2},
      {{"reference", "--fasta", file, "--corpus=corpus.h5"}, "only one of", 2},
      {{"nosuch", "--fasta", file}, "\"nosuch\"", 2},
      {{"reference:9", "--fasta", file}, "\"9\"", 2},
      {{"reference", "--fasta", file, "--shape=6x321x20"}, "--shape", 2},
      {{"reference", "--fasta", file, "--shape=1x16x1,"}, "--shape", 2},
      {{"reference", "--fasta", file, "--batch-tokens=512"}, "fewer than --length-max 1024", 2},
      {{"reference", "--fasta", file, "--steps=-3"}, "--steps", 2},
      {{"reference", "--fasta", file, "--seconds=nan"}, "--seconds", 2},
      {{"reference", "--fasta", file, "--set=speed=11"}, "speed", 2},
      {{"reference", "--fasta", file, "--set=speed"}, "KEY=VALUE", 2},
      {{"reference", "--fasta", file, "-o", "xml"}, "json or md", 2},
      {{"reference", "--fasta=none.fasta"}, "none.fasta", 1},
      {{"reference", "--fasta=/dev/null"}, "/dev/null", 4},
      {{"reference", "--corpus=words.txt"}, "words.txt", 4},
  };
  (void)state;
  cli_write("words.txt", "not a corpus\n");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *const *w = cases[i].words;
    struct cli_result result = cli_run("bench", w[0], w[1], w[2], w[3], w[4], NULL);
    if (result.code != cases[i].code || !strstr(result.err, cases[i].says))
      print_error("case %zu: exit code %d, said: %s", i, result.code, result.err);
    assert_int_equal(result.code, cases[i].code);
    assert_non_null(strstr(result.err, cases[i].says));
    assert_string_equal(result.out, "");
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
      cmocka_unit_test(test_bench__json_has_every_key_for_every_shape),
      cmocka_unit_test(test_bench__rates_follow_from_tokens_seconds_and_flops),
      cmocka_unit_test(test_bench__trains_a_new_model_that_the_seed_fixes),
      cmocka_unit_test(test_bench__corpus_file_and_time_limit_work_too),
      cmocka_unit_test(test_bench__table_has_a_row_for_every_shape),
      cmocka_unit_test(test_bench__unusable_records_are_counted_aloud),
      cmocka_unit_test(test_bench__wrong_arguments_are_refused_by_name),
  };
  return cmocka_run_group_tests(tests, setup, cli_teardown);
}
