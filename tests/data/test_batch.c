#include "data_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/alphabet.h"
#include "data/batch.h"
#include "data/pack.h"

#define SEQUENCES 3000

static struct plm_corpus *corpus;
static const struct plm_corpus_split *train;

static int setup(void **state) {
  struct plm_error err = PLM_ERROR_INIT;
  char digest[PLM_HASH_TEXT];
  if (fixture_setup(state) != 0)
    return 1;
  const char *input = fixture_mutants("m.fasta", SEQUENCES);
  struct plm_corpus_build_options options = fixture_options(&input, fixture_path("c.h5"));
  options.valid = 0.1;
  fixture_build(&options, digest);
  int code = plm_corpus_open(&corpus, options.output, &err);
  train = &corpus->splits[PLM_SPLIT_TRAIN];
  return code;
}

static int teardown(void **state) {
  plm_corpus_close(corpus);
  return fixture_teardown(state);
}

static const struct plm_batch_options usual = {7, 1024, 8192, 1024, 0.15, 0.8, 0.1};

static struct plm_batcher *make_batcher(const struct plm_batch_options *options) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_batcher *batcher = NULL;
  if (plm_batcher_create(&batcher, corpus, options, &err) != 0)
    fail_msg("%s", err.text);
  return batcher;
}

static void init_batch(struct plm_batch *batch, int64_t tokens) {
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_batch_init(batch, (uint32_t)tokens, &err), 0);
}

static void next(struct plm_batcher *batcher, uint32_t step, struct plm_batch *batch) {
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_batcher_next(batcher, step, batch, &err) != 0)
    fail_msg("%s", err.text);
}

static uint64_t batch_hash(const struct plm_batch *batch) {
  return plm_hash_64(batch->token, batch->tokens * sizeof *batch->token) ^
         plm_hash_64(batch->offset, (batch->sequences + 1) * sizeof *batch->offset) ^
         plm_hash_64(batch->scale, batch->tokens * sizeof *batch->scale);
}

/* Everything that holds for any batch. */
static void check_batch(const struct plm_batch *batch, const struct plm_batch_options *options) {
  uint32_t row = 0, longest = 0, masks = 0;
  double squares = 0;
  assert_int_equal(batch->offset[0], 0);
  assert_int_equal(batch->offset[batch->sequences], batch->tokens);
  for (uint32_t s = 0; s < batch->sequences; s++) {
    int32_t start = batch->offset[s], end = batch->offset[s + 1], seen = 0;
    assert_true(end - start >= 3 && end - start <= options->length_max);
    assert_int_equal(batch->token[start], PLM_TOKEN_CLS);
    assert_int_equal(batch->token[end - 1], PLM_TOKEN_EOS);
    for (int32_t t = start; t < end; t++) {
      seen += batch->token[t] == PLM_TOKEN_MASK;
      assert_int_equal(batch->position[t], t - start);
    }
    double length = end - start;
    double scale = (1 - options->mask_rate * options->mask_token) / (1 - seen / length);
    for (int32_t t = start; t < end; t++) {
      int is_mask = batch->token[t] == PLM_TOKEN_MASK;
      assert_true(fabs(batch->scale[t] - (is_mask ? 0 : scale)) < 1e-6);
      if (row < batch->masked && batch->row[row] == t) {
        assert_true(t > start && t < end - 1);
        assert_in_range(batch->target[row], PLM_TOKEN_STANDARD, PLM_TOKEN_RESIDUES - 1);
        assert_true(batch->mask_weight[row] == (is_mask ? 1.0f : 0.0f));
        row++;
      } else {
        assert_false(is_mask);
      }
    }
    masks += (uint32_t)seen;
    squares += length * length;
    longest = length > longest ? (uint32_t)length : longest;
  }
  assert_int_equal(row, batch->masked);
  assert_int_equal(masks, batch->mask_count);
  assert_int_equal(longest, batch->length_max);
  assert_true(squares == batch->length_squares);
}

/* ----------------------------------------------------------------- packing */

static void test_batch__packing_fills_99_percent(void **state) {
  (void)state;
  static const int64_t sizes[][2] = {{8192, 1024}, {2048, 1024}, {1024, 1024}, {16384, 512}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct plm_batch_options options = usual;
    options.batch_tokens = sizes[i][0];
    options.length_max = sizes[i][1];
    struct plm_batcher *batcher = make_batcher(&options);
    struct plm_batch batch;
    init_batch(&batch, options.batch_tokens);
    double used = 0;
    for (uint32_t step = 0; step < 100; step++) {
      next(batcher, step, &batch);
      used += batch.tokens;
    }
    double fill = used / (100.0 * (double)options.batch_tokens);
    print_message("batch of %d, length_max %d: %.3f %% full\n", (int)sizes[i][0], (int)sizes[i][1], 100 * fill);
    assert_true(fill >= 0.99 && fill <= 1);
    plm_batch_fini(&batch);
    plm_batcher_destroy(batcher);
  }
}

static void test_batch__every_batch_is_well_formed(void **state) {
  (void)state;
  struct plm_batch_options options = usual;
  options.length_max = 200; /* many crops */
  struct plm_batcher *batcher = make_batcher(&options);
  struct plm_batch batch;
  init_batch(&batch, options.batch_tokens);
  for (uint32_t step = 0; step < 50; step++) {
    next(batcher, step, &batch);
    check_batch(&batch, &options);
  }
  plm_batch_fini(&batch);
  plm_batcher_destroy(batcher);
}

static int compare_hashes(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return a < b ? -1 : a > b;
}

/* Hashes of the training sequences as int32 tokens, sorted; and the place of one among them. */
static uint64_t *train_hashes(void) {
  uint64_t *hashes = calloc(train->sequences, sizeof *hashes);
  assert_non_null(hashes);
  for (uint64_t i = 0; i < train->sequences; i++) {
    int32_t tokens[1024];
    uint64_t length = train->offsets[i + 1] - train->offsets[i];
    for (uint64_t j = 0; j < length; j++)
      tokens[j] = train->tokens[train->offsets[i] + j];
    hashes[i] = plm_hash_64(tokens, length * sizeof *tokens);
  }
  return hashes;
}

static void count_sequences(const struct plm_batch *batch, const uint64_t *sorted, int *counts) {
  for (uint32_t s = 0; s < batch->sequences; s++) {
    int32_t start = batch->offset[s] + 1, end = batch->offset[s + 1] - 1;
    uint64_t hash = plm_hash_64(batch->token + start, (size_t)(end - start) * sizeof *batch->token);
    const uint64_t *found = bsearch(&hash, sorted, train->sequences, sizeof *sorted, compare_hashes);
    assert_non_null(found);
    counts[found - sorted]++;
  }
}

static void test_batch__every_epoch_uses_every_sequence_once(void **state) {
  (void)state;
  struct plm_batch_options options = usual;
  struct plm_error err = PLM_ERROR_INIT;
  options.mask_rate = 1e-12; /* nothing is masked: sequences can be recognised */
  uint64_t *hashes = train_hashes(), *sorted = calloc(train->sequences, sizeof *sorted);
  int *counts = calloc(train->sequences, sizeof *counts);
  assert_true(sorted != NULL && counts != NULL);
  memcpy(sorted, hashes, train->sequences * sizeof *hashes);
  qsort(sorted, train->sequences, sizeof *sorted, compare_hashes);
  struct plm_batcher *batcher = make_batcher(&options);
  struct plm_batch batch;
  init_batch(&batch, options.batch_tokens);
  uint64_t taken = 0, n = train->sequences;
  for (uint32_t step = 0; taken < 5 * n / 2; step++) {
    next(batcher, step, &batch);
    assert_int_equal(batch.masked, 0);
    taken += batch.sequences;
    count_sequences(&batch, sorted, counts);
  }
  assert_true(fabs(plm_batcher_epochs(batcher) - (double)taken / (double)n) < 1e-9);
  /* With the members of the pool added, every draw of the whole epochs is there exactly once. */
  int64_t *cursor;
  uint64_t count;
  assert_int_equal(plm_batcher_save(batcher, &cursor, &count, &err), 0);
  for (uint64_t i = 6; i < count; i++) {
    uint64_t draw = (uint64_t)cursor[i];
    uint64_t sequence = plm_rng_permute(draw % n, n, options.seed, PLM_RNG_ORDER, (uint32_t)(draw / n));
    counts[(uint64_t *)bsearch(&hashes[sequence], sorted, n, sizeof *sorted, compare_hashes) - sorted]++;
  }
  uint64_t draws = taken + (count - 6), more = 0;
  for (uint64_t i = 0; i < n; i++) {
    assert_in_range(counts[i], (int)(draws / n), (int)(draws / n) + 1);
    more += (uint64_t)counts[i] - draws / n;
  }
  assert_int_equal(more, draws % n);
  free(cursor);
  free(counts);
  free(sorted);
  free(hashes);
  plm_batch_fini(&batch);
  plm_batcher_destroy(batcher);
}

static void test_pack__no_member_waits_longer_than_the_pool_is_large(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_pack pack;
  enum { LIMIT = 32, ROOM = 100 };
  assert_int_equal(plm_pack_init(&pack, LIMIT, &err), 0);
  uint64_t draws = 0, worst = 0;
  uint64_t born[6000];
  for (uint64_t batch = 0; batch < 2000; batch++) {
    uint32_t room = ROOM;
    struct plm_pack_item item;
    for (;;) {
      while (pack.count < LIMIT) { /* one in 16 is as long as a batch: the kind that best fit alone would starve */
        born[draws % 6000] = batch;
        uint32_t length = draws % 16 == 0 ? ROOM : 3 + plm_rng_word(1, PLM_RNG_TEST, (uint32_t)draws, 0, 0) % 40;
        plm_pack_push(&pack, (struct plm_pack_item){draws++, length, 0});
      }
      if (!plm_pack_take(&pack, room, &item))
        break;
      assert_true(item.length <= room);
      room -= item.length;
      worst = batch - born[item.draw % 6000] > worst ? batch - born[item.draw % 6000] : worst;
    }
  }
  assert_in_range(worst, 1, LIMIT);
  plm_pack_fini(&pack);
}

static void test_pack__the_oldest_goes_first_then_the_best_fit(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_pack pack;
  struct plm_pack_item item;
  static const uint32_t lengths[] = {50, 60, 20, 40, 50, 50, 10};
  static const uint64_t expected[] = {0, 4, 1, 2, 3, 5, 6};
  static const uint32_t rooms[] = {100, 50, 100, 40, 100, 50, 30};
  assert_int_equal(plm_pack_init(&pack, 7, &err), 0);
  for (uint64_t i = 0; i < 7; i++)
    plm_pack_push(&pack, (struct plm_pack_item){i, lengths[i], 0});
  assert_int_equal(plm_pack_take(&pack, 9, &item), 0);
  for (size_t i = 0; i < 7; i++) {
    assert_int_equal(plm_pack_take(&pack, rooms[i], &item), 1);
    assert_int_equal(item.draw, expected[i]);
  }
  assert_int_equal(plm_pack_take(&pack, 100, &item), 0);
  plm_pack_fini(&pack);
}

/* ----------------------------------------------------- determinism, cursor */

static void test_batch__the_seed_alone_decides(void **state) {
  (void)state;
  struct plm_batch_options other = usual;
  other.seed = 8;
  struct plm_batcher *a = make_batcher(&usual), *b = make_batcher(&usual), *c = make_batcher(&other);
  struct plm_batch batch;
  init_batch(&batch, usual.batch_tokens);
  for (uint32_t step = 0; step < 30; step++) {
    next(a, step, &batch);
    uint64_t hash = batch_hash(&batch);
    next(b, step, &batch);
    assert_int_equal(hash, batch_hash(&batch));
    next(c, step, &batch);
    assert_int_not_equal(hash, batch_hash(&batch));
  }
  plm_batch_fini(&batch);
  plm_batcher_destroy(a);
  plm_batcher_destroy(b);
  plm_batcher_destroy(c);
}

static void test_batch__a_restored_cursor_goes_on_the_same(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  for (uint32_t stop = 0; stop < 200; stop += 49) {
    struct plm_batcher *batcher = make_batcher(&usual), *resumed = make_batcher(&usual);
    struct plm_batch batch;
    int64_t *cursor;
    uint64_t count;
    init_batch(&batch, usual.batch_tokens);
    for (uint32_t step = 0; step < stop; step++)
      next(batcher, step, &batch);
    assert_int_equal(plm_batcher_save(batcher, &cursor, &count, &err), 0);
    assert_int_equal(plm_batcher_restore(resumed, cursor, count, &err), 0);
    assert_true(plm_batcher_epochs(resumed) == plm_batcher_epochs(batcher));
    for (uint32_t step = stop; step < stop + 60; step++) {
      next(batcher, step, &batch);
      uint64_t hash = batch_hash(&batch);
      next(resumed, step, &batch);
      assert_int_equal(hash, batch_hash(&batch));
    }
    free(cursor);
    plm_batch_fini(&batch);
    plm_batcher_destroy(batcher);
    plm_batcher_destroy(resumed);
  }
}

static void test_batch__a_damaged_cursor_is_refused(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_batcher *batcher = make_batcher(&usual);
  int64_t *cursor;
  uint64_t count;
  assert_int_equal(plm_batcher_save(batcher, &cursor, &count, &err), 0);
  static const struct {
    uint64_t at;
    int64_t value;
  } cases[] = {{0, 2},         {1, 5}, {2, 77}, {3, 3}, {4, 1},        {4, -1},
               {4, INT64_MAX}, {5, 0}, {6, -5}, {7, 0}, {9, INT64_MAX}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t kept = cursor[cases[i].at];
    cursor[cases[i].at] = cases[i].value;
    assert_int_equal(plm_batcher_restore(batcher, cursor, count, &err), PLM_E_DAMAGED);
    cursor[cases[i].at] = kept;
  }
  assert_int_equal(plm_batcher_restore(batcher, cursor, 3, &err), PLM_E_DAMAGED);
  assert_int_equal(plm_batcher_restore(batcher, cursor, count - 1, &err), PLM_E_DAMAGED);
  assert_int_equal(plm_batcher_restore(batcher, cursor, count, &err), 0);
  free(cursor);
  plm_batcher_destroy(batcher);
}

/* ------------------------------------------------------------------- masks */

static void test_batch__masks_have_the_shares_of_the_options(void **state) {
  (void)state;
  struct plm_batcher *batcher = make_batcher(&usual);
  struct plm_batch batch;
  init_batch(&batch, usual.batch_tokens);
  double residues = 0, selected = 0, masks = 0, changed = 0, letters[PLM_TOKEN_COUNT] = {0};
  for (uint32_t step = 0; step < 300; step++) {
    next(batcher, step, &batch);
    residues += batch.tokens - 2 * batch.sequences;
    selected += batch.masked;
    masks += batch.mask_count;
    for (uint32_t m = 0; m < batch.masked; m++) {
      int32_t token = batch.token[batch.row[m]];
      if (token != PLM_TOKEN_MASK && token != batch.target[m]) {
        changed++;
        letters[token]++;
      }
    }
  }
  /* Bounds of six standard deviations of the binomial. */
  assert_true(fabs(selected / residues - 0.15) < 6 * sqrt(0.15 * 0.85 / residues));
  assert_true(fabs(masks / selected - 0.8) < 6 * sqrt(0.8 * 0.2 / selected));
  /* A random residue is the true one in 1 of 20 cases. */
  assert_true(fabs(changed / selected - 0.095) < 6 * sqrt(0.095 * 0.905 / selected) + 1e-4);
  for (int token = 0; token < PLM_TOKEN_COUNT; token++) {
    int standard = token >= PLM_TOKEN_STANDARD && token < PLM_TOKEN_STANDARD + PLM_STANDARD_COUNT;
    assert_true(standard ? fabs(letters[token] / changed - 0.05) < 0.01 : letters[token] == 0);
  }
  plm_batch_fini(&batch);
  plm_batcher_destroy(batcher);
}

static void test_batch__masking_everything_divides_by_no_zero(void **state) {
  (void)state;
  struct plm_batch_options options = usual;
  options.mask_rate = options.mask_token = 1;
  options.mask_random = 0;
  struct plm_batcher *batcher = make_batcher(&options);
  struct plm_batch batch;
  init_batch(&batch, options.batch_tokens);
  next(batcher, 0, &batch);
  assert_int_equal(batch.masked, batch.tokens - 2 * batch.sequences);
  check_batch(&batch, &options);
  for (uint32_t t = 0; t < batch.tokens; t++)
    assert_true(isfinite(batch.scale[t]));
  plm_batch_fini(&batch);
  plm_batcher_destroy(batcher);
}

static void test_batch__crops_reach_both_ends(void **state) {
  (void)state;
  struct plm_batch_options options = usual;
  options.mask_rate = 1e-12;
  options.length_max = options.batch_tokens = 42;
  struct plm_batcher *batcher = make_batcher(&options);
  struct plm_batch batch;
  init_batch(&batch, options.batch_tokens);
  int starts = 0, steps = 2000;
  for (int step = 0; step < steps; step++) {
    next(batcher, (uint32_t)step, &batch);
    assert_in_range(batch.tokens, 3, 42);
    starts += batch.token[1] == 20; /* M: nearly every protein's first residue, one in 40 elsewhere */
  }
  assert_in_range(starts, 1, steps / 4);
  plm_batch_fini(&batch);
  plm_batcher_destroy(batcher);
}

static void test_batch__options_that_cannot_be_are_refused(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_batcher *batcher = NULL;
  const struct plm_batch_options cases[] = {
      {1, 2, 64, 8, 0.15, 0.8, 0.1},  {1, 128, 64, 8, 0.15, 0.8, 0.1}, {1, 64, 64, 0, 0.15, 0.8, 0.1},
      {1, 64, 64, 8, 0, 0.8, 0.1},    {1, 64, 64, 8, 1.5, 0.8, 0.1},   {1, 64, 64, 8, NAN, 0.8, 0.1},
      {1, 64, 64, 8, 0.15, 0.8, 0.3}, {1, 64, 64, 8, 0.15, -1, 0.3},   {1, 64, 1ll << 40, 8, 0.15, 0.8, 0.1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(plm_batcher_create(&batcher, corpus, &cases[i], &err), PLM_E_USAGE);
    assert_null(batcher);
  }
  struct plm_batch small;
  init_batch(&small, 100);
  batcher = make_batcher(&usual);
  assert_int_equal(plm_batcher_next(batcher, 0, &small, &err), PLM_E_INVALID);
  plm_batch_fini(&small);
  plm_batcher_destroy(batcher);
}

/* ------------------------------------------------------ slices, validation */

static void test_batch__slices_put_together_are_the_whole(void **state) {
  (void)state;
  struct plm_batcher *batcher = make_batcher(&usual);
  struct plm_batch whole, part;
  init_batch(&whole, usual.batch_tokens);
  init_batch(&part, 2048);
  next(batcher, 3, &whole);
  uint32_t first = 0, tokens = 0, rows = 0, masks = 0, parts = 0;
  double squares = 0;
  while (first < whole.sequences) {
    uint32_t after = plm_batch_slice(&part, &whole, first, parts == 0 ? 1 : 2048);
    assert_true(after > first && (parts > 0 || after == 1));
    check_batch(&part, &usual);
    assert_memory_equal(part.token, whole.token + tokens, part.tokens * sizeof *part.token);
    for (uint32_t m = 0; m < part.masked; m++) {
      assert_int_equal(part.row[m] + (int32_t)tokens, whole.row[rows + m]);
      assert_int_equal(part.target[m], whole.target[rows + m]);
    }
    tokens += part.tokens;
    rows += part.masked;
    masks += part.mask_count;
    squares += part.length_squares;
    first = after;
    parts++;
  }
  assert_int_equal(tokens, whole.tokens);
  assert_int_equal(rows, whole.masked);
  assert_int_equal(masks, whole.mask_count);
  assert_true(squares == whole.length_squares);
  assert_true(parts >= 5);
  plm_batch_fini(&whole);
  plm_batch_fini(&part);
  plm_batcher_destroy(batcher);
}

/* Tokens, masked rows and an order-free sum over the sequences of a validation set. */
static void measure(const struct plm_batch_options *options, int64_t limit, uint64_t *tokens, uint64_t *masked,
                    uint64_t *sum) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_batch *batches;
  uint32_t count;
  assert_int_equal(plm_batch_validation(&batches, &count, corpus, PLM_SPLIT_VALID, options, limit, &err), 0);
  *tokens = *masked = *sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    check_batch(&batches[i], options);
    *tokens += batches[i].tokens;
    *masked += batches[i].masked;
    for (uint32_t s = 0; s < batches[i].sequences; s++)
      *sum += plm_hash_64(batches[i].token + batches[i].offset[s],
                          (size_t)(batches[i].offset[s + 1] - batches[i].offset[s]) * sizeof *batches[i].token);
    plm_batch_fini(&batches[i]);
  }
  free(batches);
}

static void test_batch__validation_hangs_on_neither_seed_nor_batch_size(void **state) {
  (void)state;
  uint64_t tokens, masked, sum, tokens_2, masked_2, sum_2;
  struct plm_batch_options options = usual;
  measure(&options, 20000, &tokens, &masked, &sum);
  assert_in_range(tokens, 18000, 20000);
  assert_in_range(masked, tokens / 8, tokens / 6);
  options.seed = 99;
  options.batch_tokens = 1024;
  options.pool = 3;
  measure(&options, 20000, &tokens_2, &masked_2, &sum_2);
  assert_true(tokens == tokens_2 && masked == masked_2 && sum == sum_2);
}

static void test_batch__validation_takes_the_whole_split_when_it_is_small(void **state) {
  (void)state;
  uint64_t tokens, masked, sum;
  const struct plm_corpus_split *valid = &corpus->splits[PLM_SPLIT_VALID];
  measure(&usual, 1000000000, &tokens, &masked, &sum);
  assert_int_equal(tokens, valid->residues + 2 * valid->sequences);
  assert_int_equal(tokens, plm_corpus_epoch_tokens(corpus, PLM_SPLIT_VALID, 1024));
}

static void test_batch__an_empty_validation_split_is_a_usage_error(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_batch *batches;
  uint32_t count;
  struct plm_corpus empty = *corpus;
  empty.splits[PLM_SPLIT_VALID].sequences = 0;
  assert_int_equal(plm_batch_validation(&batches, &count, &empty, PLM_SPLIT_VALID, &usual, 1000, &err), PLM_E_USAGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_batch__packing_fills_99_percent),
      cmocka_unit_test(test_batch__every_batch_is_well_formed),
      cmocka_unit_test(test_batch__every_epoch_uses_every_sequence_once),
      cmocka_unit_test(test_pack__no_member_waits_longer_than_the_pool_is_large),
      cmocka_unit_test(test_pack__the_oldest_goes_first_then_the_best_fit),
      cmocka_unit_test(test_batch__the_seed_alone_decides),
      cmocka_unit_test(test_batch__a_restored_cursor_goes_on_the_same),
      cmocka_unit_test(test_batch__a_damaged_cursor_is_refused),
      cmocka_unit_test(test_batch__masks_have_the_shares_of_the_options),
      cmocka_unit_test(test_batch__masking_everything_divides_by_no_zero),
      cmocka_unit_test(test_batch__crops_reach_both_ends),
      cmocka_unit_test(test_batch__options_that_cannot_be_are_refused),
      cmocka_unit_test(test_batch__slices_put_together_are_the_whole),
      cmocka_unit_test(test_batch__validation_hangs_on_neither_seed_nor_batch_size),
      cmocka_unit_test(test_batch__validation_takes_the_whole_split_when_it_is_small),
      cmocka_unit_test(test_batch__an_empty_validation_split_is_a_usage_error),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
