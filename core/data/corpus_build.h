/*
 * Builds a corpus file from FASTA files, in memory that does not grow with them (2 bits and some bytes of buffers per
 * sequence stay).
 *
 * Pass 1 reads every file once, encodes, filters by length, and writes residues to a scratch file and hashes to
 * partitions. Between: partition by partition, exact duplicates are dropped (the first is kept; a sequence of a
 * held-out file goes before one of the inputs), and splits are assigned. Pass 2 copies what is kept into the HDF5 file.
 *
 * The split of a sequence is a function of (seed, its residues), or with a cluster table of (seed, its cluster):
 * neither the order of the input nor other sequences change it. Equal means equal length and equal XXH3-128 of the
 * residues.
 */
#ifndef PLM_DATA_CORPUS_BUILD_H
#define PLM_DATA_CORPUS_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "data/alphabet.h"
#include "data/corpus.h"

struct plm_corpus_build_options {
  const char *const *inputs; /* FASTA files, "-" for standard input */
  size_t input_count;
  const char *valid_fasta, *test_fasta; /* prepared held-out sets, or NULL */
  const char *output;
  const char *clusters;     /* cluster table, or NULL */
  uint32_t cluster_column;  /* 0: MMseqs2's _cluster.tsv; else see clusters.h */
  int clusters_missing_own; /* a sequence that the table lacks is its own cluster; otherwise it is an error */
  double valid, test;       /* fractions; 0 where a file is given */
  uint64_t seed;
  uint64_t length_min; /* residues, at least 1 */
  uint64_t length_max; /* 0: no limit, and sequences above PLM_FASTA_LENGTH_MAX are an error */
  int skip_bad, force;
};

/* What became of the records. X(name, text); the counts of PLM_ALPHABET_COUNTS follow in files and tables. */
#define PLM_CORPUS_COUNTS(X) \
  X(read, "records read") \
  X(kept, "sequences kept") \
  X(dropped_bad, "dropped: a byte that is not a residue, or an over-long header (--skip-bad)") \
  X(dropped_short, "dropped: shorter than --min-length") \
  X(dropped_long, "dropped: longer than --max-length") \
  X(dropped_duplicate, "dropped: equal to an earlier sequence") \
  X(dropped_held_out, "dropped: equal to a sequence of --valid-fasta or --test-fasta") \
  X(residues_read, "residues read (dropped sequences too)") \
  X(residues_kept, "residues kept") \
  X(cluster_entries, "entries in the cluster table") \
  X(clusters_missing, "sequences that the cluster table lacks, each its own cluster")

struct plm_corpus_counts {
#define X(name, text) uint64_t name;
  PLM_CORPUS_COUNTS(X)
#undef X
  struct plm_alphabet_counts letters; /* over all records read */
};

/*
 * Builds options->output, whole or not at all. counts and digest are filled on success. PLM_E_USAGE for options that
 * cannot be (the output exists and force is 0, fractions of 1 and more ..), PLM_E_DAMAGED for input at fault.
 */
int plm_corpus_build(const struct plm_corpus_build_options *options, struct plm_corpus_counts *counts,
                     char digest[PLM_HASH_TEXT], struct plm_error *err);

#endif
