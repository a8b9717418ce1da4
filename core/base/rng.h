/*
 * The counter-based random numbers of every run: Philox4x32-10 (Salmon et al. 2011, Random123),
 * a pure function of (seed, purpose, a, b, index). Nothing of it is ever stored.
 */
#ifndef PLM_BASE_RNG_H
#define PLM_BASE_RNG_H

#include <stdint.h>

/* What a number is for; ids are part of the file formats and never reused. */
#define PLM_RNG_WEIGHTS 1u  /* a = tensor, index = element */
#define PLM_RNG_ORDER 2u    /* a = epoch: order of sequences */
#define PLM_RNG_CROP 3u     /* a = epoch, b = sequence: start of the crop */
#define PLM_RNG_MASK 4u     /* a = step, b = place in the batch: masking */
#define PLM_RNG_SPLIT 5u    /* which split a sequence belongs to */
#define PLM_RNG_VALID 6u    /* which validation sequences, and their masks */
#define PLM_RNG_BOOT 7u     /* bootstrap draws */
#define PLM_RNG_TEST 8u

/* Four 32-bit words for (seed, purpose, a, b, index/4); words index, index+1, .. of the stream. */
void plm_rng_block(uint32_t out[4], uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b, uint32_t block);

/* Word number index of the stream. */
uint32_t plm_rng_word(uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b, uint32_t index);

/* Uniform in [0, 1) with 32 bits, of word index. */
double plm_rng_uniform(uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b, uint32_t index);

/* count standard normals (Box-Muller in double, rounded to float) of the stream (seed, purpose, a, b), times scale. */
void plm_rng_normal(float *out, uint64_t count, float scale, uint64_t seed, uint32_t purpose, uint32_t a, uint32_t b);

/* A keyed bijection of 0..count-1 (cycle-walking Feistel network): entry i of a random permutation, without a table. count <= 2^32. */
uint64_t plm_rng_permute(uint64_t i, uint64_t count, uint64_t seed, uint32_t purpose, uint32_t a);

#endif
