/*
 * A streaming FASTA reader: records one by one as tokens, in bounded memory, every fault with FILE:LINE.
 * A record is a line ">name anything" and lines of residues up to the next '>' or the end. LF and CRLF are fine, blank
 * lines are skipped. The name reaches to the first blank.
 */
#ifndef PLM_DATA_FASTA_H
#define PLM_DATA_FASTA_H

#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "data/alphabet.h"

#define PLM_FASTA_HEADER_MAX 65536u  /* bytes of a header line */
#define PLM_FASTA_LENGTH_MAX 100000u /* residues, when no length filter is given */

struct plm_fasta_options {
  uint64_t
      length_max; /* longer records stream past with tokens = NULL; 0: longer than PLM_FASTA_LENGTH_MAX is an error */
  int skip_bad;   /* skip and count records with a byte that is not allowed or an over-long header */
};

struct plm_fasta_record {
  const char *name;      /* ends in NUL; borrowed until the next call, as tokens is */
  uint64_t line;         /* of the header */
  const uint8_t *tokens; /* NULL when longer than length_max */
  uint64_t length;       /* residues, also when tokens is NULL */
  struct plm_alphabet_counts counts;
};

/* Opaque, owned by the caller; close takes NULL. path "-" is standard input. */
struct plm_fasta;
int plm_fasta_open(struct plm_fasta **out, const char *path, const struct plm_fasta_options *options,
                   struct plm_error *err);
void plm_fasta_close(struct plm_fasta *fasta);

/* The next record; *end = 1 and *out untouched after the last. PLM_E_DAMAGED: not FASTA, no record at all, a byte not
 * allowed .. */
int plm_fasta_next(struct plm_fasta *fasta, struct plm_fasta_record *out, int *end, struct plm_error *err);

const char *plm_fasta_name(const struct plm_fasta *fasta);  /* for messages; borrowed until close */
uint64_t plm_fasta_position(const struct plm_fasta *fasta); /* bytes on disk consumed */
uint64_t plm_fasta_skipped(const struct plm_fasta *fasta);  /* records skipped by skip_bad */

/* After the end: SHA-256 of the bytes on disk. */
int plm_fasta_digest(struct plm_fasta *fasta, char out[PLM_SHA256_TEXT], struct plm_error *err);

#endif
