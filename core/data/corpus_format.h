/*
 * The corpus file, format "plmscale-corpus" version 1; internal to core/data.
 *
 *   /                 attributes format, format_version, tool_version, created_utc, digest, vocabulary, rules
 *   /options          JSON: how it was built
 *   /sources          JSON: [{role, name, sha256, bytes}]
 *   /counts           attributes: one integer per PLM_CORPUS_COUNTS
 *   /train /valid /test
 *     tokens          uint8  [residues], contiguous, unfiltered: readers map it
 *     offsets         uint64 [sequences + 1], contiguous, unfiltered, offsets[0] = 0, strictly ascending
 *     tokens_xxh3     uint64: XXH3-64 of every MiB of tokens
 *     offsets_xxh3    uint64: XXH3-64 of every MiB of offsets
 *     composition     int64 [33]: how often each token occurs
 */
#ifndef PLM_DATA_CORPUS_FORMAT_H
#define PLM_DATA_CORPUS_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/h5.h"
#include "base/hash.h"
#include "data/alphabet.h"
#include "data/corpus.h"

#define PLM_CORPUS_FORMAT "plmscale-corpus"
#define PLM_CORPUS_VERSION 1
#define PLM_CORPUS_BLOCK (1u << 20)

/* The groups, in the order of PLM_SPLIT_. */
extern const char *const plm_corpus_split_names[PLM_SPLIT_COUNT];

/* What the digest covers of one split. */
struct plm_corpus_sums {
  uint64_t sequences, residues;
  uint64_t *tokens, *offsets; /* block checksums */
  size_t token_blocks, offset_blocks;
};

/* XXH3-128 over sequences, residues, the checksums of tokens and those of offsets (all as little-endian uint64), split
 * by split. */
int plm_corpus_digest(char out[PLM_HASH_TEXT], const struct plm_corpus_sums sums[PLM_SPLIT_COUNT],
                      struct plm_error *err);

/* The three splits being written. Opaque; destroy takes NULL and releases what finish did not. */
struct plm_corpus_writer;
/* Makes the groups and their datasets at full size. sequences and residues: per split, final. file is borrowed. */
int plm_corpus_writer_create(struct plm_corpus_writer **out, hid_t file, const uint64_t sequences[PLM_SPLIT_COUNT],
                             const uint64_t residues[PLM_SPLIT_COUNT], struct plm_error *err);
int plm_corpus_writer_add(struct plm_corpus_writer *writer, int split, const uint8_t *tokens, uint32_t length,
                          struct plm_error *err);
/* Writes what is buffered, the checksums, compositions and the digest attribute. */
int plm_corpus_writer_finish(struct plm_corpus_writer *writer, char digest[PLM_HASH_TEXT], struct plm_error *err);
void plm_corpus_writer_destroy(struct plm_corpus_writer *writer);

/* 1 when the dataset keeps its bytes in this file, not in external ones or other datasets. */
int plm_corpus_is_internal(hid_t set);

#endif
