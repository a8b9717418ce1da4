#include "data/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/mask.h"
#include "data/pack.h"

/* Draw d is place d % n of the random order of epoch d / n, n the sequences: the number alone tells all about it. */
struct plm_batcher {
  const struct plm_corpus_split *split;
  struct plm_batch_options options;
  uint64_t draws; /* drawn into the pool so far */
  struct plm_pack pool;
};

/* The cursor in checkpoints: these words, then the draw of each pool member, oldest first. */
enum { CURSOR_FORMAT, CURSOR_SEQUENCES, CURSOR_LENGTH_MAX, CURSOR_LIMIT, CURSOR_DRAWS, CURSOR_POOL, CURSOR_HEAD };
#define CURSOR_FORMAT_1 1

static void locate(const struct plm_batcher *batcher, uint64_t draw, uint32_t *epoch, uint64_t *sequence) {
  uint64_t count = batcher->split->sequences;
  *epoch = (uint32_t)(draw / count);
  *sequence = plm_rng_permute(draw % count, count, batcher->options.seed, PLM_RNG_ORDER, *epoch);
}

static struct plm_pack_item make_item(const struct plm_batcher *batcher, uint64_t draw) {
  uint32_t epoch;
  uint64_t sequence, most = (uint64_t)batcher->options.length_max;
  locate(batcher, draw, &epoch, &sequence);
  uint64_t length = batcher->split->offsets[sequence + 1] - batcher->split->offsets[sequence] + 2;
  return (struct plm_pack_item){draw, (uint32_t)(length < most ? length : most), 0};
}

static void refill(struct plm_batcher *batcher) {
  while (batcher->pool.count < batcher->pool.limit)
    plm_pack_push(&batcher->pool, make_item(batcher, batcher->draws++));
}

int plm_batcher_create(struct plm_batcher **out, const struct plm_corpus *corpus,
                       const struct plm_batch_options *options, struct plm_error *err) {
  int code = plm_mask_check(options, err);
  if (code != 0)
    return code;
  const struct plm_corpus_split *split = &corpus->splits[PLM_SPLIT_TRAIN];
  if (split->sequences == 0)
    return plm_error_set(err, PLM_E_USAGE, "the corpus has no training sequences");
  struct plm_batcher *batcher = plm_memory_zeroed(1, sizeof *batcher);
  if (batcher == NULL)
    return plm_error_memory(err, "the batcher");
  batcher->split = split;
  batcher->options = *options;
  /* A pool over more than one epoch would mix many epochs of a small corpus. */
  uint64_t limit = (uint64_t)options->pool < split->sequences ? (uint64_t)options->pool : split->sequences;
  code = plm_pack_init(&batcher->pool, (size_t)limit, err);
  if (code != 0) {
    free(batcher);
    return code;
  }
  refill(batcher);
  *out = batcher;
  return 0;
}

void plm_batcher_destroy(struct plm_batcher *batcher) {
  if (batcher == NULL)
    return;
  plm_pack_fini(&batcher->pool);
  free(batcher);
}

/* ESM-2 crops residues and then adds both <cls> and <eos>, wherever the crop lies. */
static void append(const struct plm_batcher *batcher, struct plm_batch *out, uint32_t step, struct plm_pack_item item) {
  uint32_t epoch, residues = item.length - 2;
  uint64_t sequence;
  locate(batcher, item.draw, &epoch, &sequence);
  uint64_t start = batcher->split->offsets[sequence];
  uint64_t length = batcher->split->offsets[sequence + 1] - start;
  uint32_t word = plm_rng_word(batcher->options.seed, PLM_RNG_CROP, epoch, (uint32_t)sequence, 0);
  struct plm_mask_key key = {batcher->options.seed, PLM_RNG_MASK, step, out->tokens};
  plm_mask_append(out, batcher->split->tokens + start + plm_mask_crop(length, residues, word), residues,
                  &batcher->options, key);
}

int plm_batcher_next(struct plm_batcher *batcher, uint32_t step, struct plm_batch *out, struct plm_error *err) {
  uint32_t capacity = (uint32_t)batcher->options.batch_tokens;
  if (out->token_capacity < capacity)
    return plm_error_set(err, PLM_E_INVALID, "a batch of %u tokens cannot hold batch_tokens = %u", out->token_capacity,
                         capacity);
  out->tokens = out->sequences = out->masked = out->mask_count = out->length_max = 0;
  out->length_squares = 0;
  out->offset[0] = 0;
  struct plm_pack_item item;
  while (plm_pack_take(&batcher->pool, capacity - out->tokens, &item)) {
    append(batcher, out, step, item);
    refill(batcher);
  }
  return 0;
}

double plm_batcher_epochs(const struct plm_batcher *batcher) {
  return (double)(batcher->draws - batcher->pool.count) / (double)batcher->split->sequences;
}

int plm_batcher_save(const struct plm_batcher *batcher, int64_t **out, uint64_t *count, struct plm_error *err) {
  size_t pool = batcher->pool.count;
  int64_t *cursor = plm_memory_zeroed(CURSOR_HEAD + pool, sizeof *cursor);
  if (cursor == NULL)
    return plm_error_memory(err, "the data cursor");
  cursor[CURSOR_FORMAT] = CURSOR_FORMAT_1;
  cursor[CURSOR_SEQUENCES] = (int64_t)batcher->split->sequences;
  cursor[CURSOR_LENGTH_MAX] = batcher->options.length_max;
  cursor[CURSOR_LIMIT] = (int64_t)batcher->pool.limit;
  cursor[CURSOR_DRAWS] = (int64_t)batcher->draws;
  cursor[CURSOR_POOL] = (int64_t)pool;
  for (size_t i = 0; i < pool; i++)
    cursor[CURSOR_HEAD + i] = (int64_t)batcher->pool.items[batcher->pool.first + i].draw;
  *out = cursor;
  *count = CURSOR_HEAD + pool;
  return 0;
}

static int check_cursor(const struct plm_batcher *batcher, const int64_t *cursor, uint64_t count,
                        struct plm_error *err) {
  if (count < CURSOR_HEAD || cursor[CURSOR_FORMAT] != CURSOR_FORMAT_1)
    return plm_error_set(err, PLM_E_DAMAGED, "data cursor: not one of this version");
  if (cursor[CURSOR_SEQUENCES] != (int64_t)batcher->split->sequences ||
      cursor[CURSOR_LENGTH_MAX] != batcher->options.length_max || cursor[CURSOR_LIMIT] != (int64_t)batcher->pool.limit)
    return plm_error_set(err, PLM_E_DAMAGED, "data cursor: made for another corpus or other options");
  uint64_t pool = count - CURSOR_HEAD;
  int64_t draws = cursor[CURSOR_DRAWS];
  if (cursor[CURSOR_POOL] != (int64_t)pool || pool != batcher->pool.limit || draws < (int64_t)pool ||
      (uint64_t)draws / batcher->split->sequences > UINT32_MAX)
    return plm_error_set(err, PLM_E_DAMAGED, "data cursor: %llu pool members and %lld draws cannot be",
                         (unsigned long long)pool, (long long)draws);
  for (uint64_t i = 0; i < pool; i++) {
    int64_t draw = cursor[CURSOR_HEAD + i], before = i > 0 ? cursor[CURSOR_HEAD + i - 1] : -1;
    if (draw <= before || draw >= draws)
      return plm_error_set(err, PLM_E_DAMAGED, "data cursor: draw %lld after %lld", (long long)draw, (long long)before);
  }
  return 0;
}

int plm_batcher_restore(struct plm_batcher *batcher, const int64_t *cursor, uint64_t count, struct plm_error *err) {
  int code = check_cursor(batcher, cursor, count, err);
  if (code != 0)
    return code;
  batcher->pool.first = batcher->pool.count = 0;
  for (uint64_t i = CURSOR_HEAD; i < count; i++)
    plm_pack_push(&batcher->pool, make_item(batcher, (uint64_t)cursor[i]));
  batcher->draws = (uint64_t)cursor[CURSOR_DRAWS];
  return 0;
}
