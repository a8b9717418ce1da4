/*
 * Packed, masked batches. Sequences are laid end to end without padding, each as <cls> residues <eos>.
 * What a batch holds depends on (corpus, seed, options, step) alone, never on the device or the micro-batch size.
 */
#ifndef PLM_DATA_BATCH_H
#define PLM_DATA_BATCH_H

#include <stdint.h>

#include "base/error.h"
#include "data/corpus.h"

/* All arrays are owned by the batch and hold at least *_capacity elements. */
struct plm_batch {
  uint32_t tokens;    /* T */
  uint32_t sequences; /* S */
  uint32_t masked;    /* M: selected rows */
  uint32_t token_capacity, sequence_capacity;
  int32_t *token;      /* [T] ids after masking */
  int32_t *position;   /* [T] index in the sequence, <cls> = 0 */
  float *scale;        /* [T] ESM-2 token dropout: 0 at <mask>, else (1 - mask_rate*mask_token)/(1 - masks/length) */
  int32_t *offset;     /* [S+1] */
  int32_t *row;        /* [M] selected rows, ascending */
  int32_t *target;     /* [M] their true tokens */
  float *mask_weight;  /* [M] 1 where the input is <mask>, else 0 */
  uint32_t mask_count; /* rows whose input is <mask> */
  uint32_t length_max; /* longest sequence here */
  double length_squares; /* sum of squared sequence lengths, for attention FLOPs */
};

int plm_batch_init(struct plm_batch *batch, uint32_t token_capacity, struct plm_error *err);
void plm_batch_fini(struct plm_batch *batch); /* takes a zeroed batch */

/*
 * Sequences first .. of whole (a contiguous range that holds at most token_limit tokens, at least one sequence)
 * as a batch of its own in *out (token_capacity of out >= token_limit and >= the longest sequence).
 * Returns the next first; the split ends when that equals whole->sequences.
 */
uint32_t plm_batch_slice(struct plm_batch *out, const struct plm_batch *whole, uint32_t first, uint32_t token_limit);

struct plm_batch_options {
  uint64_t seed;
  int64_t length_max;   /* tokens with <cls> and <eos> */
  int64_t batch_tokens; /* capacity of a step, >= length_max */
  int64_t pool;         /* look-ahead sequences for best fit */
  double mask_rate, mask_token, mask_random;
};

/* The stream of training batches of one cell. Opaque; borrows corpus. */
struct plm_batcher;
int plm_batcher_create(struct plm_batcher **out, const struct plm_corpus *corpus, const struct plm_batch_options *options,
                       struct plm_error *err);
void plm_batcher_destroy(struct plm_batcher *batcher);

/* Packs the next step's sequences by best fit from the pool and masks them with step's random numbers. */
int plm_batcher_next(struct plm_batcher *batcher, uint32_t step, struct plm_batch *out, struct plm_error *err);

/* Epochs begun and sequences drawn so far. */
double plm_batcher_epochs(const struct plm_batcher *batcher);

/* The data cursor for checkpoints: count int64 values, owned by the caller. restore checks them (PLM_E_DAMAGED). */
int plm_batcher_save(const struct plm_batcher *batcher, int64_t **out, uint64_t *count, struct plm_error *err);
int plm_batcher_restore(struct plm_batcher *batcher, const int64_t *cursor, uint64_t count, struct plm_error *err);

/*
 * The fixed validation set: sequences of the valid split in an order that only mask options and length_max fix (never the
 * training seed), up to tokens tokens, always the same masks, packed in batches of at most batch_tokens. An empty valid split
 * is PLM_E_USAGE. *out: array of count batches owned by the caller, each released by plm_batch_fini, then free.
 */
int plm_batch_validation(struct plm_batch **out, uint32_t *count, const struct plm_corpus *corpus, int split,
                         const struct plm_batch_options *options, int64_t tokens, struct plm_error *err);

#endif
