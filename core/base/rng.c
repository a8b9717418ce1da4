#include "base/rng.h"

#include <math.h>

#include <Random123/philox.h>

void plm_rng_block(uint32_t out[4], uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b, uint32_t block) {
  philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
  philox4x32_ctr_t counter = {{block, b, a, purpose}};
  philox4x32_ctr_t words = philox4x32(counter, key);
  for (int i = 0; i < 4; i++)
    out[i] = words.v[i];
}

uint32_t plm_rng_word(uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b, uint32_t index) {
  uint32_t words[4];
  plm_rng_block(words, seed, purpose, a, b, index / 4);
  return words[index % 4];
}

double plm_rng_uniform(uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b, uint32_t index) {
  return plm_rng_word(seed, purpose, a, b, index) * 0x1p-32;
}

void plm_rng_normal(float *out, uint64_t count, float scale, uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b) {
  const double two_pi = 6.283185307179586476925;
  uint32_t words[4];
  for (uint64_t i = 0; i < count; i += 4) {
    plm_rng_block(words, seed, purpose, a, b, (uint32_t)(i / 4));
    for (uint64_t j = 0; j < 4 && i + j < count; j++) {
      /* (word + 0.5) / 2^32 lies strictly inside (0, 1): the logarithm is finite. */
      const uint32_t *pair = words + (j & 2);
      double radius = sqrt(-2 * log((pair[0] + 0.5) * 0x1p-32));
      double angle = two_pi * (pair[1] * 0x1p-32);
      out[i + j] = (float)(scale * radius * ((j & 1) ? sin(angle) : cos(angle)));
    }
  }
}

uint64_t plm_rng_permute(uint64_t i, uint64_t count, uint64_t seed, uint32_t purpose, uint32_t a) {
  uint32_t bits = 1;
  while (bits < 16 && ((uint64_t)1 << (2 * bits)) < count)
    bits++;
  uint32_t mask = ((uint32_t)1 << bits) - 1;
  do {
    uint32_t left = (uint32_t)(i >> bits) & mask, right = (uint32_t)i & mask;
    for (uint32_t round = 0; round < 6; round++) {
      uint32_t mixed = left ^ (plm_rng_word(seed, purpose, a, right, round) & mask);
      left = right;
      right = mixed;
    }
    i = (uint64_t)left << bits | right;
  } while (i >= count);
  return i;
}
