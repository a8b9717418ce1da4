/*
 * The corpus: sequences as ESM-2 tokens in one HDF5 file, in three splits, immutable. Training reads it by mmap.
 */
#ifndef PLM_DATA_CORPUS_H
#define PLM_DATA_CORPUS_H

#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

#define PLM_SPLIT_TRAIN 0
#define PLM_SPLIT_VALID 1
#define PLM_SPLIT_TEST 2
#define PLM_SPLIT_COUNT 3

struct plm_corpus_split {
  const uint8_t *tokens;   /* residues only, without <cls> and <eos>; borrowed from the mapping */
  const uint64_t *offsets; /* sequences + 1 */
  uint64_t sequences;
  uint64_t residues;
};

struct plm_corpus {
  char digest[PLM_HASH_TEXT]; /* identity of the content: XXH3-128 over the block checksums of all splits' tokens and offsets */
  struct plm_corpus_split splits[PLM_SPLIT_COUNT];
  void *mapping; /* internal */
  uint64_t mapping_bytes;
  uint64_t *offsets; /* internal */
};

/*
 * Opens a corpus made by data build, checks its structure and every block's checksum against the mapped tokens.
 * PLM_E_DAMAGED: not a corpus, cut short, changed. Owned by the caller; plm_corpus_close takes NULL.
 */
int plm_corpus_open(struct plm_corpus **out, const char *path, struct plm_error *err);
void plm_corpus_close(struct plm_corpus *corpus);

/*
 * A corpus in memory, without a file: the first sequences_max sequences of a FASTA file, all in the training split, records
 * that are empty, unreadable or over-long left out (and counted in the log). The digest is "". Owned by the caller.
 */
int plm_corpus_from_fasta(struct plm_corpus **out, const char *path, uint64_t sequences_max, struct plm_error *err);

/* Training tokens of one epoch when sequences are cropped to length_max tokens (with <cls> and <eos>). */
int64_t plm_corpus_epoch_tokens(const struct plm_corpus *corpus, int split, int64_t length_max);

#endif
