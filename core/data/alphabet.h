/*
 * ESM-2's 33 tokens, and how the letters of a FASTA file become tokens. The rules (docs/data.md states them for users):
 *  - lower case is upper-cased and counted;
 *  - the 20 standard residues and X B U Z O are kept as they are, each non-standard letter counted;
 *  - J (leucine or isoleucine) has no token: it becomes X, counted;
 *  - '*' (stop) at the end of a sequence is dropped, inside a sequence it becomes X; both counted;
 *  - '-' and '.' (alignment gaps) are dropped and counted;
 *  - every other byte, blanks, digits and NUL included, is an error.
 */
#ifndef PLM_DATA_ALPHABET_H
#define PLM_DATA_ALPHABET_H

#include <stdint.h>

#define PLM_TOKEN_CLS 0
#define PLM_TOKEN_PAD 1
#define PLM_TOKEN_EOS 2
#define PLM_TOKEN_UNK 3
#define PLM_TOKEN_STANDARD 4  /* first of the standard residues, L */
#define PLM_TOKEN_X 24        /* first after them; then B U Z O */
#define PLM_TOKEN_RESIDUES 29 /* one past the last letter, O */
#define PLM_TOKEN_MASK 32
#define PLM_TOKEN_COUNT 33
#define PLM_STANDARD_COUNT 20

/* What reading changed or met. X(name, text) in the order of files and tables. */
#define PLM_ALPHABET_COUNTS(X) \
  X(lower_case, "lower-case letters, upper-cased") \
  X(gaps, "'-' and '.', dropped") \
  X(stops_end, "'*' at the end, dropped") \
  X(stops_inside, "'*' inside, now X") \
  X(letter_j, "J, now X") \
  X(letter_x, "X as read") \
  X(letter_b, "B") \
  X(letter_u, "U") \
  X(letter_z, "Z") \
  X(letter_o, "O")

struct plm_alphabet_counts {
#define X(name, text) uint64_t name;
  PLM_ALPHABET_COUNTS(X)
#undef X
};

/* Adds every count of from to into. */
void plm_alphabet_add(struct plm_alphabet_counts *into, const struct plm_alphabet_counts *from);

/* The name of a token ("<cls>", "L"), in static storage; "?" beyond the vocabulary. */
const char *plm_alphabet_name(int token);

/* All 33 names in order, separated by one blank; static storage. */
const char *plm_alphabet_vocabulary(void);

/* The rules above on one line, as stored in corpus files; static storage. */
const char *plm_alphabet_rules(void);

/* One sequence being read, fed in pieces. Init by zeroing. */
struct plm_alphabet_reader {
  struct plm_alphabet_counts counts;
  uint64_t length;     /* tokens so far, those of stops that may yet prove to be at the end included */
  uint64_t stops_open; /* '*' since the last residue */
};

/* Takes one byte. Returns its token, -1 when there is none to store, -2 when the byte is not allowed. */
static inline int plm_alphabet_take(struct plm_alphabet_reader *reader, unsigned char byte);

/* Ends the sequence: drops its trailing stops. Returns its length. */
uint64_t plm_alphabet_end(struct plm_alphabet_reader *reader);

/* Internal to plm_alphabet_take: token of a plain residue (upper case, one of 20), 0 for all other bytes. */
extern const uint8_t plm_alphabet_plain[256];
int plm_alphabet_take_other(struct plm_alphabet_reader *reader, unsigned char byte);

static inline int plm_alphabet_take(struct plm_alphabet_reader *reader, unsigned char byte) {
  int token = plm_alphabet_plain[byte];
  if (token == 0 || reader->stops_open != 0)
    return plm_alphabet_take_other(reader, byte);
  reader->length++;
  return token;
}

#endif
