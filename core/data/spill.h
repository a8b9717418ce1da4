/*
 * Scratch files of a corpus build. They lie beside the output (the same disk has to hold it anyway), are made with
 * O_EXCL and unlinked at once, so neither a failure nor a kill leaves one behind, and none is ever found by a later
 * run.
 */
#ifndef PLM_DATA_SPILL_H
#define PLM_DATA_SPILL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Sequences in the order of reading: written once, then read once or more. Opaque; destroy takes NULL. */
struct plm_spill;
struct plm_spill_record {
  uint64_t line;   /* of the header in its file */
  uint32_t source; /* number of the file */
  uint32_t length;
  const char *name; /* its first 255 bytes; borrowed until the next call, as tokens is */
  const uint8_t *tokens;
};
int plm_spill_create(struct plm_spill **out, const char *output, struct plm_error *err);
void plm_spill_destroy(struct plm_spill *spill);
int plm_spill_add(struct plm_spill *spill, const struct plm_spill_record *record, struct plm_error *err);
/* To the first record again. Always before reading. */
int plm_spill_rewind(struct plm_spill *spill, struct plm_error *err);
/* The next record; reading past the last is PLM_E_INTERNAL (the caller counts). */
int plm_spill_next(struct plm_spill *spill, struct plm_spill_record *out, struct plm_error *err);

/*
 * Fixed-size records in PLM_PARTITIONS heaps by key, so that heaps are sorted and joined one at a time. Memory: one
 * block per heap, and the loaded heap. Opaque; destroy takes NULL.
 */
#define PLM_PARTITIONS 256u
struct plm_partition;
int plm_partition_create(struct plm_partition **out, const char *output, const char *tag, size_t record_bytes,
                         struct plm_error *err);
void plm_partition_destroy(struct plm_partition *partition);
/* Equal keys meet in one heap; the top byte of key chooses it. */
int plm_partition_add(struct plm_partition *partition, uint64_t key, const void *record, struct plm_error *err);
/* All records of heap number (below PLM_PARTITIONS) in no promised order; borrowed until the next load. */
int plm_partition_load(struct plm_partition *partition, uint32_t number, void **records, size_t *count,
                       struct plm_error *err);

#endif
