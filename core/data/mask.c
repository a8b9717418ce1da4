#include "data/mask.h"

#include <assert.h>

#include "base/rng.h"
#include "data/alphabet.h"

int plm_mask_check(const struct plm_batch_options *options, struct plm_error *err) {
  if (options->length_max < 3 || options->length_max > INT32_MAX)
    return plm_error_set(err, PLM_E_USAGE, "length_max \"%lld\": at least 3 tokens (<cls>, one residue, <eos>)",
                         (long long)options->length_max);
  if (options->batch_tokens < options->length_max || options->batch_tokens > INT32_MAX)
    return plm_error_set(err, PLM_E_USAGE, "batch_tokens \"%lld\": from length_max (%lld) to %d",
                         (long long)options->batch_tokens, (long long)options->length_max, INT32_MAX);
  if (options->pool < 1 || options->pool > 1000000)
    return plm_error_set(err, PLM_E_USAGE, "pool \"%lld\": from 1 to 1000000 sequences", (long long)options->pool);
  if (!(options->mask_rate > 0 && options->mask_rate <= 1))
    return plm_error_set(err, PLM_E_USAGE, "mask_rate \"%g\": above 0, at most 1", options->mask_rate);
  if (!(options->mask_token >= 0 && options->mask_random >= 0) ||
      !(options->mask_token + options->mask_random <= 1 + 1e-9))
    return plm_error_set(err, PLM_E_USAGE, "mask_token \"%g\" and mask_random \"%g\": from 0, with a sum of at most 1",
                         options->mask_token, options->mask_random);
  return 0;
}

uint64_t plm_mask_crop(uint64_t length, uint64_t room, uint32_t word) {
  return length <= room ? 0 : (uint64_t)word * (length - room + 1) >> 32;
}

/* The input token for a residue. Sets *selected. */
static int32_t mask_token(int32_t residue, const struct plm_batch_options *options, const uint32_t words[4],
                          int *selected) {
  *selected = words[0] * 0x1p-32 < options->mask_rate;
  double choice = words[1] * 0x1p-32;
  if (!*selected || choice >= options->mask_token + options->mask_random)
    return residue;
  if (choice < options->mask_token)
    return PLM_TOKEN_MASK;
  return PLM_TOKEN_STANDARD + (int32_t)((uint64_t)words[2] * PLM_STANDARD_COUNT >> 32);
}

/* ESM-2's token dropout for places start .. end-1, one sequence. <cls> and <eos> are never masked: masks < length. */
static void set_scale(struct plm_batch *batch, uint32_t start, uint32_t end, uint32_t masks,
                      const struct plm_batch_options *options) {
  double length = (double)(end - start);
  double expected = options->mask_rate * options->mask_token;
  float scale = (float)((1 - expected) / (1 - masks / length));
  for (uint32_t t = start; t < end; t++)
    batch->scale[t] = batch->token[t] == PLM_TOKEN_MASK ? 0 : scale;
}

void plm_mask_append(struct plm_batch *batch, const uint8_t *residues, uint32_t count,
                     const struct plm_batch_options *options, struct plm_mask_key key) {
  uint32_t start = batch->tokens, end = start + count + 2, masks = 0;
  assert(end <= batch->token_capacity && batch->sequences < batch->sequence_capacity);
  batch->token[start] = PLM_TOKEN_CLS;
  batch->token[end - 1] = PLM_TOKEN_EOS;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t words[4];
    int selected;
    plm_rng_block(words, key.seed, key.purpose, key.a, key.b + i + 1, 0);
    int32_t input = mask_token(residues[i], options, words, &selected);
    batch->token[start + 1 + i] = input;
    if (!selected)
      continue;
    batch->row[batch->masked] = (int32_t)(start + 1 + i);
    batch->target[batch->masked] = residues[i];
    batch->mask_weight[batch->masked] = input == PLM_TOKEN_MASK ? 1 : 0;
    masks += input == PLM_TOKEN_MASK;
    batch->masked++;
  }
  for (uint32_t t = start; t < end; t++)
    batch->position[t] = (int32_t)(t - start);
  set_scale(batch, start, end, masks, options);
  batch->tokens = end;
  batch->offset[++batch->sequences] = (int32_t)end;
  batch->mask_count += masks;
  if (end - start > batch->length_max)
    batch->length_max = end - start;
  batch->length_squares += (double)(end - start) * (end - start);
}
