#include "data/fasta.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/source.h"

struct plm_fasta {
  struct plm_source *source;
  struct plm_fasta_options options;
  const char *cursor, *limit; /* the piece of text being read */
  uint64_t line;              /* of cursor, from 1 */
  uint64_t records, skipped;
  int ended;
  int pending_return; /* the piece before ended in '\r' */
  int bad;            /* this record is being skipped */
  struct plm_alphabet_reader reader;
  char *header; /* without '>' and the line's end */
  size_t header_bytes, header_capacity;
  uint8_t *tokens;
  size_t token_capacity;
};

int plm_fasta_open(struct plm_fasta **out, const char *path, const struct plm_fasta_options *options,
                   struct plm_error *err) {
  struct plm_fasta *fasta = plm_memory_zeroed(1, sizeof *fasta);
  if (fasta == NULL)
    return plm_error_memory(err, "a FASTA reader");
  fasta->options = *options;
  fasta->line = 1;
  int code = plm_source_open(&fasta->source, path, err);
  if (code != 0) {
    plm_fasta_close(fasta);
    return code;
  }
  *out = fasta;
  return 0;
}

void plm_fasta_close(struct plm_fasta *fasta) {
  if (fasta == NULL)
    return;
  plm_source_close(fasta->source);
  free(fasta->header);
  free(fasta->tokens);
  free(fasta);
}

const char *plm_fasta_name(const struct plm_fasta *fasta) { return plm_source_name(fasta->source); }

uint64_t plm_fasta_position(const struct plm_fasta *fasta) { return plm_source_position(fasta->source); }

uint64_t plm_fasta_skipped(const struct plm_fasta *fasta) { return fasta->skipped; }

int plm_fasta_digest(struct plm_fasta *fasta, char out[PLM_SHA256_TEXT], struct plm_error *err) {
  return plm_source_digest(fasta->source, out, err);
}

/* Makes cursor < limit, or sets ended. */
static int fill(struct plm_fasta *fasta, struct plm_error *err) {
  if (fasta->cursor < fasta->limit || fasta->ended)
    return 0;
  const char *data;
  size_t bytes;
  int code = plm_source_read(fasta->source, &data, &bytes, fasta->line, err);
  if (code != 0)
    return code;
  fasta->cursor = data;
  fasta->limit = data + bytes;
  fasta->ended = bytes == 0;
  return 0;
}

/* A fault of one record: an error, or the record is skipped. */
static int fault(struct plm_fasta *fasta, struct plm_error *err, const char *reason) {
  if (fasta->options.skip_bad) {
    fasta->bad = 1;
    return 0;
  }
  return plm_error_set(err, PLM_E_DAMAGED, "%s:%llu: %s; --skip-bad leaves such records out", plm_fasta_name(fasta),
                       (unsigned long long)fasta->line, reason);
}

static int fault_byte(struct plm_fasta *fasta, unsigned char byte, struct plm_error *err) {
  char reason[160];
  char shown[8] = "";
  if (isprint(byte))
    snprintf(shown, sizeof shown, " '%c'", byte);
  snprintf(reason, sizeof reason, "byte 0x%02x%s is not a residue (allowed: letters of amino acids, '*', '-', '.')",
           byte, shown);
  return fault(fasta, err, reason);
}

static int add_header(struct plm_fasta *fasta, const char *text, size_t bytes, struct plm_error *err) {
  if (fasta->bad)
    return 0;
  if (bytes > PLM_FASTA_HEADER_MAX - fasta->header_bytes)
    return fault(fasta, err, "header line longer than 65536 bytes");
  if (memchr(text, '\0', bytes) != NULL)
    return fault(fasta, err, "byte 0x00 in a header line");
  size_t need = fasta->header_bytes + bytes + 1;
  if (plm_memory_grow((void **)&fasta->header, &fasta->header_capacity, need, 1) != 0)
    return plm_error_memory(err, "a FASTA header");
  memcpy(fasta->header + fasta->header_bytes, text, bytes);
  fasta->header_bytes += bytes;
  fasta->header[fasta->header_bytes] = '\0';
  return 0;
}

/* With cursor on '>': the whole line; leaves the name, cut at the first blank, in header. */
static int read_header(struct plm_fasta *fasta, struct plm_error *err) {
  fasta->cursor++;
  fasta->header_bytes = 0;
  int code = add_header(fasta, "", 0, err);
  for (int done = 0; code == 0 && !done;) {
    code = fill(fasta, err);
    if (code != 0 || fasta->ended)
      break;
    const char *end = memchr(fasta->cursor, '\n', (size_t)(fasta->limit - fasta->cursor));
    done = end != NULL;
    const char *stop = done ? end : fasta->limit;
    code = add_header(fasta, fasta->cursor, (size_t)(stop - fasta->cursor), err);
    fasta->cursor = done ? stop + 1 : stop;
  }
  if (code == 0) {
    fasta->line++;
    fasta->header[strcspn(fasta->header, " \t\r")] = '\0';
  }
  return code;
}

/* Room for more tokens, up to what the options let a record hold. */
static int make_room(struct plm_fasta *fasta, size_t more, struct plm_error *err) {
  uint64_t most = fasta->options.length_max != 0 ? fasta->options.length_max : PLM_FASTA_LENGTH_MAX;
  uint64_t need = fasta->reader.length + more;
  if (need > most)
    need = most;
  if (need > fasta->token_capacity &&
      plm_memory_grow((void **)&fasta->tokens, &fasta->token_capacity, (size_t)need, 1) != 0)
    return plm_error_memory(err, "a sequence");
  return 0;
}

/* Residues of one line or a part of it. */
static int add_residues(struct plm_fasta *fasta, const char *text, size_t bytes, struct plm_error *err) {
  if (fasta->bad || bytes == 0)
    return 0;
  int code = make_room(fasta, bytes, err);
  if (code != 0)
    return code;
  uint64_t capacity = fasta->token_capacity;
  for (size_t i = 0; i < bytes; i++) {
    uint64_t place = fasta->reader.length;
    int token = plm_alphabet_take(&fasta->reader, (unsigned char)text[i]);
    if (token == -2)
      return fault_byte(fasta, (unsigned char)text[i], err);
    if (token >= 0 && place < capacity)
      fasta->tokens[place] = (uint8_t)token;
  }
  if (fasta->options.length_max == 0 && fasta->reader.length - fasta->reader.stops_open > PLM_FASTA_LENGTH_MAX)
    return plm_error_set(err, PLM_E_DAMAGED,
                         "%s:%llu: sequence \"%.60s\" is longer than %u residues; --max-length drops long sequences",
                         plm_fasta_name(fasta), (unsigned long long)fasta->line, fasta->header, PLM_FASTA_LENGTH_MAX);
  return 0;
}

/* The rest of the line at cursor, or what the current piece holds of it. Sets *line_ended. */
static int read_piece(struct plm_fasta *fasta, int *line_ended, struct plm_error *err) {
  const char *end = memchr(fasta->cursor, '\n', (size_t)(fasta->limit - fasta->cursor));
  const char *stop = end != NULL ? end : fasta->limit;
  const char *start = fasta->cursor;
  int code = 0;
  if (fasta->pending_return && start != end) /* a '\r' that no '\n' follows */
    code = fasta->bad ? 0 : fault_byte(fasta, '\r', err);
  fasta->pending_return = 0;
  int has_return = stop > start && stop[-1] == '\r';
  if (code == 0)
    code = add_residues(fasta, start, (size_t)(stop - start) - (size_t)has_return, err);
  fasta->pending_return = has_return && end == NULL;
  fasta->cursor = end != NULL ? end + 1 : stop;
  *line_ended = end != NULL;
  fasta->line += code == 0 && end != NULL;
  return code;
}

/* Lines up to the next '>' at a line's start, or the end. */
static int read_residues(struct plm_fasta *fasta, struct plm_error *err) {
  int line_start = 1;
  for (;;) {
    int code = fill(fasta, err);
    if (code != 0 || fasta->ended || (line_start && *fasta->cursor == '>'))
      return code;
    code = read_piece(fasta, &line_start, err);
    if (code != 0)
      return code;
  }
}

/* Before the first record: blank lines only. */
static int find_first(struct plm_fasta *fasta, struct plm_error *err) {
  for (;;) {
    int code = fill(fasta, err);
    if (code != 0)
      return code;
    if (fasta->ended)
      return plm_error_set(err, PLM_E_DAMAGED, "%s:%llu: no FASTA record: the file is empty", plm_fasta_name(fasta),
                           (unsigned long long)fasta->line);
    unsigned char byte = (unsigned char)*fasta->cursor;
    if (byte == '>')
      return 0;
    if (byte != '\n' && byte != '\r')
      return plm_error_set(err, PLM_E_DAMAGED, "%s:%llu: not FASTA: the first byte is 0x%02x, a record begins with '>'",
                           plm_fasta_name(fasta), (unsigned long long)fasta->line, byte);
    fasta->line += byte == '\n';
    fasta->cursor++;
  }
}

/* One record, which may turn out bad. */
static int read_record(struct plm_fasta *fasta, struct plm_fasta_record *record, struct plm_error *err) {
  memset(&fasta->reader, 0, sizeof fasta->reader);
  fasta->bad = fasta->pending_return = 0;
  record->line = fasta->line;
  int code = read_header(fasta, err);
  if (code == 0)
    code = read_residues(fasta, err);
  if (code != 0)
    return code;
  record->length = plm_alphabet_end(&fasta->reader);
  int fits = fasta->options.length_max == 0 || record->length <= fasta->options.length_max;
  if (fits)
    code = make_room(fasta, 1, err); /* an empty record has tokens too */
  record->tokens = fits ? fasta->tokens : NULL;
  record->name = fasta->header;
  record->counts = fasta->reader.counts;
  return code;
}

int plm_fasta_next(struct plm_fasta *fasta, struct plm_fasta_record *out, int *end, struct plm_error *err) {
  if (fasta->records == 0) {
    int code = find_first(fasta, err);
    if (code != 0)
      return code;
  }
  for (;;) {
    int code = fill(fasta, err);
    if (code != 0)
      return code;
    *end = fasta->ended;
    if (fasta->ended)
      return 0;
    struct plm_fasta_record record;
    code = read_record(fasta, &record, err);
    if (code != 0)
      return code;
    fasta->records++;
    if (!fasta->bad) {
      *out = record;
      return 0;
    }
    fasta->skipped++;
  }
}
