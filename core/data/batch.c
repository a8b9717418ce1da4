#include "data/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/mask.h"

#define SEQUENCE_TOKENS_MIN 3u /* <cls>, one residue, <eos> */

int plm_batch_init(struct plm_batch *batch, uint32_t token_capacity, struct plm_error *err) {
  struct plm_batch made = {.token_capacity = token_capacity,
                           .sequence_capacity = token_capacity / SEQUENCE_TOKENS_MIN + 1};
  made.token = plm_memory_zeroed(token_capacity, sizeof *made.token);
  made.position = plm_memory_zeroed(token_capacity, sizeof *made.position);
  made.scale = plm_memory_zeroed(token_capacity, sizeof *made.scale);
  made.offset = plm_memory_zeroed((size_t)made.sequence_capacity + 1, sizeof *made.offset);
  made.row = plm_memory_zeroed(token_capacity, sizeof *made.row);
  made.target = plm_memory_zeroed(token_capacity, sizeof *made.target);
  made.mask_weight = plm_memory_zeroed(token_capacity, sizeof *made.mask_weight);
  if (made.token == NULL || made.position == NULL || made.scale == NULL || made.offset == NULL || made.row == NULL ||
      made.target == NULL || made.mask_weight == NULL) {
    plm_batch_fini(&made);
    return plm_error_memory(err, "a batch");
  }
  *batch = made;
  return 0;
}

void plm_batch_fini(struct plm_batch *batch) {
  free(batch->token);
  free(batch->position);
  free(batch->scale);
  free(batch->offset);
  free(batch->row);
  free(batch->target);
  free(batch->mask_weight);
  *batch = (struct plm_batch){0};
}

/* First selected row at or after token. */
static uint32_t find_row(const struct plm_batch *batch, int32_t token) {
  uint32_t low = 0, high = batch->masked;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (batch->row[middle] < token)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

uint32_t plm_batch_slice(struct plm_batch *out, const struct plm_batch *whole, uint32_t first, uint32_t token_limit) {
  int32_t start = whole->offset[first];
  uint32_t next = first;
  out->length_max = 0;
  out->length_squares = 0;
  while (next < whole->sequences && (next == first || (uint32_t)(whole->offset[next + 1] - start) <= token_limit)) {
    uint32_t length = (uint32_t)(whole->offset[next + 1] - whole->offset[next]);
    out->length_max = length > out->length_max ? length : out->length_max;
    out->length_squares += (double)length * length;
    next++;
  }
  int32_t end = whole->offset[next];
  uint32_t row = find_row(whole, start), row_end = find_row(whole, end);
  out->tokens = (uint32_t)(end - start);
  out->sequences = next - first;
  out->masked = row_end - row;
  out->mask_count = 0;
  memcpy(out->token, whole->token + start, out->tokens * sizeof *out->token);
  memcpy(out->position, whole->position + start, out->tokens * sizeof *out->position);
  memcpy(out->scale, whole->scale + start, out->tokens * sizeof *out->scale);
  for (uint32_t s = 0; s <= out->sequences; s++)
    out->offset[s] = whole->offset[first + s] - start;
  for (uint32_t m = 0; m < out->masked; m++) {
    out->row[m] = whole->row[row + m] - start;
    out->target[m] = whole->target[row + m];
    out->mask_weight[m] = whole->mask_weight[row + m];
    out->mask_count += whole->mask_weight[row + m] > 0;
  }
  return next;
}

/* ------------------------------------------------------------- validation */

struct validation {
  const struct plm_corpus_split *split;
  const struct plm_batch_options *options;
  struct plm_batch *batches;
  size_t count, capacity;
};

static uint32_t cropped_length(const struct validation *validation, uint64_t sequence) {
  const uint64_t *offsets = validation->split->offsets;
  uint64_t length = offsets[sequence + 1] - offsets[sequence] + 2, most = (uint64_t)validation->options->length_max;
  return (uint32_t)(length < most ? length : most);
}

/* The order, crops and masks hang on the sequence's place in the split alone, so batch_tokens and tokens change none of
 * them. */
static void append_validation(const struct validation *validation, struct plm_batch *batch, uint64_t sequence) {
  const uint64_t *offsets = validation->split->offsets;
  uint64_t length = offsets[sequence + 1] - offsets[sequence];
  uint32_t residues = cropped_length(validation, sequence) - 2;
  uint32_t word = plm_rng_word(0, PLM_RNG_VALID, (uint32_t)sequence, 0, 0);
  uint64_t start = offsets[sequence] + plm_mask_crop(length, residues, word);
  struct plm_mask_key key = {0, PLM_RNG_VALID, (uint32_t)sequence, 0};
  plm_mask_append(batch, validation->split->tokens + start, residues, validation->options, key);
}

static int add_batch(struct validation *validation, struct plm_error *err) {
  if (plm_memory_grow((void **)&validation->batches, &validation->capacity, validation->count + 1,
                      sizeof *validation->batches) != 0)
    return plm_error_memory(err, "the validation set");
  int code = plm_batch_init(&validation->batches[validation->count], (uint32_t)validation->options->batch_tokens, err);
  validation->count += code == 0;
  return code;
}

static int fill_validation(struct validation *validation, int64_t tokens, struct plm_error *err) {
  int64_t taken = 0;
  uint64_t sequences = validation->split->sequences;
  for (uint64_t i = 0; i < sequences; i++) {
    uint64_t sequence = plm_rng_permute(i, sequences, 0, PLM_RNG_VALID, UINT32_MAX);
    uint32_t length = cropped_length(validation, sequence);
    if (i > 0 && taken + length > tokens)
      return 0;
    struct plm_batch *last = validation->count > 0 ? &validation->batches[validation->count - 1] : NULL;
    if (last == NULL || last->token_capacity - last->tokens < length) {
      int code = add_batch(validation, err);
      if (code != 0)
        return code;
      last = &validation->batches[validation->count - 1];
    }
    append_validation(validation, last, sequence);
    taken += length;
  }
  return 0;
}

int plm_batch_validation(struct plm_batch **out, uint32_t *count, const struct plm_corpus *corpus, int split,
                         const struct plm_batch_options *options, int64_t tokens, struct plm_error *err) {
  int code = plm_mask_check(options, err);
  if (code != 0)
    return code;
  struct validation validation = {.split = &corpus->splits[split], .options = options};
  if (validation.split->sequences == 0)
    return plm_error_set(err, PLM_E_USAGE,
                         "the corpus has no validation sequences: build it with --valid or --valid-fasta");
  code = fill_validation(&validation, tokens, err);
  if (code == 0 && validation.count > UINT32_MAX)
    code = plm_error_set(err, PLM_E_USAGE, "validation set of %zu batches: too many", validation.count);
  if (code != 0) {
    for (size_t i = 0; i < validation.count; i++)
      plm_batch_fini(&validation.batches[i]);
    free(validation.batches);
    return code;
  }
  *out = validation.batches;
  *count = (uint32_t)validation.count;
  return 0;
}
