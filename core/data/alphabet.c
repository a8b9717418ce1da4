#include "data/alphabet.h"

#include <stddef.h>

static const char *const names[PLM_TOKEN_COUNT] = {
    "<cls>", "<pad>", "<eos>", "<unk>", "L", "A", "G", "V", "S", "E", "R", "T", "I", "D", "P",        "K",     "Q",
    "N",     "F",     "Y",     "M",     "H", "W", "C", "X", "B", "U", "Z", "O", ".", "-", "<null_1>", "<mask>"};

const uint8_t plm_alphabet_plain[256] = {
    ['L'] = 4,  ['A'] = 5,  ['G'] = 6,  ['V'] = 7,  ['S'] = 8,  ['E'] = 9,  ['R'] = 10,
    ['T'] = 11, ['I'] = 12, ['D'] = 13, ['P'] = 14, ['K'] = 15, ['Q'] = 16, ['N'] = 17,
    ['F'] = 18, ['Y'] = 19, ['M'] = 20, ['H'] = 21, ['W'] = 22, ['C'] = 23};

void plm_alphabet_add(struct plm_alphabet_counts *into, const struct plm_alphabet_counts *from) {
#define X(name, text) into->name += from->name;
  PLM_ALPHABET_COUNTS(X)
#undef X
}

const char *plm_alphabet_name(int token) { return token >= 0 && token < PLM_TOKEN_COUNT ? names[token] : "?"; }

const char *plm_alphabet_vocabulary(void) {
  return "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - <null_1> <mask>";
}

const char *plm_alphabet_rules(void) {
  return "lower case is upper-cased; 20 standard residues and X B U Z O are kept; J becomes X; '*' at the end is "
         "dropped, inside it becomes X; '-' and '.' are dropped; any other byte is an error";
}

/* A letter that is not one of the 20, upper-cased already: its token, or 0. */
static int take_rare(struct plm_alphabet_counts *counts, unsigned char letter) {
  switch (letter) {
  case 'X': counts->letter_x++; return PLM_TOKEN_X;
  case 'B': counts->letter_b++; return PLM_TOKEN_X + 1;
  case 'U': counts->letter_u++; return PLM_TOKEN_X + 2;
  case 'Z': counts->letter_z++; return PLM_TOKEN_X + 3;
  case 'O': counts->letter_o++; return PLM_TOKEN_X + 4;
  case 'J': counts->letter_j++; return PLM_TOKEN_X;
  default: return 0;
  }
}

int plm_alphabet_take_other(struct plm_alphabet_reader *reader, unsigned char byte) {
  if (byte == '-' || byte == '.') {
    reader->counts.gaps++;
    return -1;
  }
  if (byte == '*') {
    reader->stops_open++;
    reader->length++;
    return PLM_TOKEN_X;
  }
  int lower = byte >= 'a' && byte <= 'z';
  unsigned char letter = lower ? (unsigned char)(byte - 'a' + 'A') : byte;
  int token = plm_alphabet_plain[letter];
  if (token == 0)
    token = take_rare(&reader->counts, letter);
  if (token == 0)
    return -2;
  reader->counts.lower_case += (uint64_t)lower;
  reader->counts.stops_inside += reader->stops_open;
  reader->stops_open = 0;
  reader->length++;
  return token;
}

uint64_t plm_alphabet_end(struct plm_alphabet_reader *reader) {
  reader->counts.stops_end += reader->stops_open;
  reader->length -= reader->stops_open;
  reader->stops_open = 0;
  return reader->length;
}
