/* The random streams: the published generator, sound statistics, and values that never change. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"

/* Known answers of Philox4x32-10 from Random123's kat_vectors: counter, key, output. */
static void test_base_rng__philox_gives_the_published_values(void **state) {
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], out[4];
  } vectors[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    const uint32_t *c = vectors[i].counter;
    uint32_t out[4];
    plm_rng_block(out, (uint64_t)vectors[i].key[1] << 32 | vectors[i].key[0], c[3], c[2], c[1], c[0]);
    assert_memory_equal(out, vectors[i].out, sizeof out);
  }
}

static void test_base_rng__words_are_those_of_the_blocks(void **state) {
  (void)state;
  for (uint32_t index = 0; index < 40; index++) {
    uint32_t block[4];
    plm_rng_block(block, 7, PLM_RNG_TEST, 1, 2, index / 4);
    uint32_t word = plm_rng_word(7, PLM_RNG_TEST, 1, 2, index);
    assert_int_equal(word, block[index % 4]);
    assert_true(plm_rng_uniform(7, PLM_RNG_TEST, 1, 2, index) == word * 0x1p-32);
  }
}

static void test_base_rng__every_argument_makes_another_stream(void **state) {
  (void)state;
  const uint32_t base = plm_rng_word(1, PLM_RNG_TEST, 1, 1, 0);
  assert_int_not_equal(base, plm_rng_word(2, PLM_RNG_TEST, 1, 1, 0));
  assert_int_not_equal(base, plm_rng_word(1 + (1ull << 32), PLM_RNG_TEST, 1, 1, 0));
  assert_int_not_equal(base, plm_rng_word(1, PLM_RNG_BOOT, 1, 1, 0));
  assert_int_not_equal(base, plm_rng_word(1, PLM_RNG_TEST, 2, 1, 0));
  assert_int_not_equal(base, plm_rng_word(1, PLM_RNG_TEST, 1, 2, 0));
}

/* Mean, variance and a chi-square over 64 cells; the seed is fixed, the bounds are five standard errors. */
static void test_base_rng__uniform_is_uniform(void **state) {
  (void)state;
  enum { COUNT = 200000, CELLS = 64 };
  double sum = 0, squares = 0, chi = 0;
  int cells[CELLS] = {0};
  for (uint32_t i = 0; i < COUNT; i++) {
    double u = plm_rng_uniform(2024, PLM_RNG_TEST, 0, 0, i);
    assert_true(u >= 0 && u < 1);
    sum += u;
    squares += u * u;
    cells[(int)(u * CELLS)]++;
  }
  double mean = sum / COUNT, variance = squares / COUNT - mean * mean;
  for (int i = 0; i < CELLS; i++)
    chi += (cells[i] - COUNT / (double)CELLS) * (cells[i] - COUNT / (double)CELLS) / (COUNT / (double)CELLS);
  assert_true(fabs(mean - 0.5) < 5 / sqrt(12.0 * COUNT));
  assert_true(fabs(variance - 1 / 12.0) < 5 * sqrt(1 / 180.0 / COUNT));
  assert_true(fabs(chi - (CELLS - 1)) < 5 * sqrt(2.0 * (CELLS - 1)));
}

static void test_base_rng__normal_has_the_moments_and_tails_of_one(void **state) {
  (void)state;
  enum { COUNT = 200000 };
  double moments[5] = {0}, lag = 0;
  int beyond_two = 0;
  float *x = malloc(COUNT * sizeof *x);
  assert_non_null(x);
  plm_rng_normal(x, COUNT, 2, 2024, PLM_RNG_TEST, 0, 0);
  for (int i = 0; i < COUNT; i++) {
    double z = x[i] / 2;
    assert_true(isfinite(z));
    for (int k = 1; k < 5; k++)
      moments[k] += pow(z, k) / COUNT;
    beyond_two += fabs(z) > 2;
    lag += i ? z * (x[i - 1] / 2) / COUNT : 0;
  }
  free(x);
  const double root = sqrt(COUNT);
  assert_true(fabs(moments[1]) < 5 / root);
  assert_true(fabs(moments[2] - 1) < 5 * sqrt(2) / root);
  assert_true(fabs(moments[3]) < 5 * sqrt(15) / root);
  assert_true(fabs(moments[4] - 3) < 5 * sqrt(96) / root);
  assert_true(fabs(lag) < 5 / root);
  assert_true(fabs(beyond_two / (double)COUNT - 0.0455003) < 5 * sqrt(0.0455 * 0.9545) / root);
}

/* What a tensor starts with must not depend on how much of the stream was asked for. */
static void test_base_rng__normal_of_fewer_is_a_prefix(void **state) {
  (void)state;
  float all[23], some[23];
  plm_rng_normal(all, 23, 1, 5, PLM_RNG_WEIGHTS, 3, 0);
  for (uint64_t count = 0; count <= 23; count++) {
    memset(some, 0x7f, sizeof some);
    plm_rng_normal(some, count, 1, 5, PLM_RNG_WEIGHTS, 3, 0);
    assert_memory_equal(some, all, count * sizeof *some);
    for (uint64_t i = count; i < 23; i++)
      assert_int_equal(((const unsigned char *)&some[i])[0], 0x7f);
  }
}

static void test_base_rng__permutation_is_a_bijection_for_awkward_counts(void **state) {
  (void)state;
  static const uint64_t counts[] = {1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 255, 256, 257, 1000, 4095, 4096, 4097, 65537};
  for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
    unsigned char *seen = calloc(counts[k], 1);
    assert_non_null(seen);
    for (uint64_t i = 0; i < counts[k]; i++) {
      uint64_t to = plm_rng_permute(i, counts[k], 99, PLM_RNG_ORDER, (uint32_t)k);
      assert_true(to < counts[k]);
      assert_int_equal(seen[to]++, 0);
    }
    free(seen);
  }
}

static void test_base_rng__permutation_takes_the_largest_count(void **state) {
  (void)state;
  const uint64_t count = (uint64_t)1 << 32;
  uint64_t entries[1000];
  for (size_t i = 0; i < 1000; i++) {
    entries[i] = plm_rng_permute(i * 4294967, count, 1, PLM_RNG_ORDER, 0);
    assert_true(entries[i] < count);
    for (size_t j = 0; j < i; j++)
      assert_true(entries[i] != entries[j]);
  }
}

static void test_base_rng__permutations_mix(void **state) {
  (void)state;
  enum { COUNT = 1000, EPOCHS = 200 };
  double first = 0, fixed = 0;
  int same = 0;
  for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
    first += (double)plm_rng_permute(0, COUNT, 1, PLM_RNG_ORDER, epoch) / EPOCHS;
    for (uint64_t i = 0; i < COUNT; i++) {
      uint64_t to = plm_rng_permute(i, COUNT, 1, PLM_RNG_ORDER, epoch);
      fixed += to == i ? 1.0 / EPOCHS : 0;
      same += to == plm_rng_permute(i, COUNT, 1, PLM_RNG_ORDER, epoch + 1);
    }
  }
  /* The mean of a uniform entry; one fixed point a permutation; one equal entry in two of them. */
  assert_true(fabs(first - 499.5) < 5 * COUNT / sqrt(12.0 * EPOCHS));
  assert_true(fabs(fixed - 1) < 5 / sqrt(EPOCHS));
  assert_true(fabs(same / (double)EPOCHS - 1) < 5 / sqrt(EPOCHS));
}

/* Checkpoints resume and backends agree because these never change: a new value here is a new file format. */
static void test_base_rng__streams_are_frozen(void **state) {
  (void)state;
  float normals[1000];
  uint64_t order[1000];
  char digest[PLM_HASH_TEXT];
  assert_int_equal(plm_rng_word(1, PLM_RNG_MASK, 17, 3, 5), 0x65da0858);
  assert_true(plm_rng_uniform(1, PLM_RNG_CROP, 0, 41, 0) == 0.051945294253528118);
  for (size_t i = 0; i < 1000; i++)
    order[i] = plm_rng_permute(i, 1000, 1, PLM_RNG_ORDER, 2);
  plm_hash_text(digest, order, sizeof order);
  assert_string_equal(digest, "f957522a6c4467694ccf92c43ef3b896");
  /* The C library's logarithm and sine may differ in the last bit, so normals are compared, not hashed. */
  plm_rng_normal(normals, 1000, 0.02f, 1, PLM_RNG_WEIGHTS, 4, 0);
  static const struct {
    int index;
    double value;
  } frozen[] = {{0, -0.0137411878}, {1, 0.00416619238}, {2, -0.0231374837}, {999, 0.0125265969}};
  for (size_t i = 0; i < sizeof frozen / sizeof *frozen; i++)
    assert_true(fabs(normals[frozen[i].index] - frozen[i].value) <= 1e-7 * fabs(frozen[i].value));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_base_rng__philox_gives_the_published_values),
      cmocka_unit_test(test_base_rng__words_are_those_of_the_blocks),
      cmocka_unit_test(test_base_rng__every_argument_makes_another_stream),
      cmocka_unit_test(test_base_rng__uniform_is_uniform),
      cmocka_unit_test(test_base_rng__normal_has_the_moments_and_tails_of_one),
      cmocka_unit_test(test_base_rng__normal_of_fewer_is_a_prefix),
      cmocka_unit_test(test_base_rng__permutation_is_a_bijection_for_awkward_counts),
      cmocka_unit_test(test_base_rng__permutation_takes_the_largest_count),
      cmocka_unit_test(test_base_rng__permutations_mix),
      cmocka_unit_test(test_base_rng__streams_are_frozen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
