/*
 * Masking as in ESM-2 and the filling of batches; internal to core/data.
 *
 * Every residue, never <cls> or <eos>, is selected with probability mask_rate. A selected one becomes <mask> with
 * probability mask_token, one of the 20 standard residues (uniform, the true one among them) with probability
 * mask_random, and stays otherwise. Each place takes one Philox block: word 0 selects, word 1 chooses among the three,
 * word 2 the residue.
 */
#ifndef PLM_DATA_MASK_H
#define PLM_DATA_MASK_H

#include <stdint.h>

#include "base/error.h"
#include "data/batch.h"

/* Where the random numbers of a sequence's places come from: block (seed, purpose, a, b + place in the sequence). */
struct plm_mask_key {
  uint64_t seed;
  uint32_t purpose, a, b;
};

/* PLM_E_USAGE for lengths and fractions that cannot be. */
int plm_mask_check(const struct plm_batch_options *options, struct plm_error *err);

/*
 * Appends <cls> residues <eos> to the batch, masked, with positions, scale, offset and rows. The batch must have room.
 */
void plm_mask_append(struct plm_batch *batch, const uint8_t *residues, uint32_t count,
                     const struct plm_batch_options *options, struct plm_mask_key key);

/* Where a crop of room residues starts in a sequence of length, by one random word; 0 when it fits. */
uint64_t plm_mask_crop(uint64_t length, uint64_t room, uint32_t word);

#endif
