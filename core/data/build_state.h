/* What the passes of a corpus build share; internal to core/data. */
#ifndef PLM_DATA_BUILD_STATE_H
#define PLM_DATA_BUILD_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "data/clusters.h"
#include "data/corpus_build.h"
#include "data/spill.h"

#define PLM_MARK_DROPPED 3u /* beside PLM_SPLIT_TRAIN .. PLM_SPLIT_TEST */

struct plm_build_source {
  const char *path; /* as given; "-" is standard input */
  int split;        /* PLM_SPLIT_TRAIN for inputs: they are split; the other two are held-out files */
  char sha256[PLM_SHA256_TEXT];
  uint64_t bytes;
};

/* The path for messages. */
const char *plm_build_source_name(const struct plm_build_source *source);

struct plm_build {
  const struct plm_corpus_build_options *options;
  struct plm_build_source *sources; /* inputs, then the held-out files, then the cluster table */
  size_t source_count, fasta_count;
  struct plm_spill *spill;
  struct plm_partition *by_residues; /* struct plm_build_sequence by hash */
  struct plm_partition *by_name;     /* struct plm_build_name by name, only with a cluster table */
  struct plm_partition *table;       /* of the cluster table */
  uint8_t *marks;                    /* 2 bits per spilled sequence */
  size_t mark_bytes;
  uint64_t spilled;
  uint64_t sequences[PLM_SPLIT_COUNT], residues[PLM_SPLIT_COUNT];
  struct plm_corpus_counts counts;
  double started;
};

/* A sequence as duplicates are looked for. */
struct plm_build_sequence {
  uint64_t low, high; /* XXH3-128 of the residues */
  uint64_t index;     /* in the spill */
  uint32_t length;
  uint32_t split; /* of its file */
};

/* A sequence as clusters are looked up. */
struct plm_build_name {
  struct plm_name_hash name;
  uint64_t index;
  uint64_t length;
};

unsigned plm_build_mark(const struct plm_build *build, uint64_t index);
void plm_build_mark_set(struct plm_build *build, uint64_t index, unsigned mark);

/* Assigns every spilled sequence a split or drops it: duplicates first, then clusters. Fills sequences, residues and
 * counts. */
int plm_build_assign(struct plm_build *build, struct plm_error *err);

/* Progress of a pass: what, done of total units (total 0: unknown). */
void plm_build_progress(struct plm_build *build, const char *what, uint64_t done, uint64_t total, int force);

#endif
