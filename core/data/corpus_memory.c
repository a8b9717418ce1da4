#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/memory.h"
#include "data/corpus.h"
#include "data/fasta.h"

/* Sequences read so far. */
struct gathering {
  uint8_t *tokens;
  uint64_t *offsets; /* sequences + 1 */
  size_t token_capacity, offset_capacity;
  uint64_t sequences, residues;
};

static int gather_record(struct gathering *into, const struct plm_fasta_record *record, struct plm_error *err) {
  void *tokens = into->tokens, *offsets = into->offsets;
  size_t need = (size_t)(into->residues + record->length);
  if (plm_memory_grow(&tokens, &into->token_capacity, need, 1))
    return plm_error_memory(err, "sequences");
  into->tokens = tokens;
  if (plm_memory_grow(&offsets, &into->offset_capacity, (size_t)into->sequences + 2, sizeof *into->offsets))
    return plm_error_memory(err, "sequences");
  into->offsets = offsets;
  memcpy(into->tokens + into->residues, record->tokens, (size_t)record->length);
  into->residues += record->length;
  into->offsets[++into->sequences] = into->residues;
  return 0;
}

static int gather(struct gathering *into, const char *path, uint64_t sequences_max, struct plm_error *err) {
  const struct plm_fasta_options options = {.length_max = PLM_FASTA_LENGTH_MAX, .skip_bad = 1};
  struct plm_fasta *fasta = NULL;
  uint64_t left_out = 0;
  int end = 0;
  int code = plm_fasta_open(&fasta, path, &options, err);
  while (code == 0 && into->sequences < sequences_max) {
    struct plm_fasta_record record;
    code = plm_fasta_next(fasta, &record, &end, err);
    if (code || end)
      break;
    if (record.tokens && record.length)
      code = gather_record(into, &record, err);
    else
      left_out++;
  }
  if (code == 0 && into->sequences == 0)
    code = plm_error_set(err, PLM_E_DAMAGED, "%s: no usable sequence", path);
  if (code == 0 && left_out + plm_fasta_skipped(fasta))
    plm_log(PLM_LOG_WARN, "%s: %llu records left out (empty, unreadable, or over %u residues)", path,
            (unsigned long long)(left_out + plm_fasta_skipped(fasta)), PLM_FASTA_LENGTH_MAX);
  plm_fasta_close(fasta);
  return code;
}

/* Tokens move into a mapping without a file, so that plm_corpus_close fits both kinds of corpus. */
static int corpus_fill(struct plm_corpus *corpus, struct gathering *from, struct plm_error *err) {
  void *mapping = mmap(NULL, (size_t)from->residues, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED)
    return plm_error_set_system(err, errno, "cannot map %llu bytes", (unsigned long long)from->residues);
  memcpy(mapping, from->tokens, (size_t)from->residues);
  from->offsets[0] = 0;
  corpus->mapping = mapping;
  corpus->mapping_bytes = from->residues;
  corpus->offsets = from->offsets;
  from->offsets = NULL;
  for (int split = 0; split < PLM_SPLIT_COUNT; split++)
    corpus->splits[split] = (struct plm_corpus_split){.tokens = mapping, .offsets = corpus->offsets};
  corpus->splits[PLM_SPLIT_TRAIN].sequences = from->sequences;
  corpus->splits[PLM_SPLIT_TRAIN].residues = from->residues;
  return 0;
}

int plm_corpus_from_fasta(struct plm_corpus **out, const char *path, uint64_t sequences_max, struct plm_error *err) {
  struct gathering gathering = {0};
  struct plm_corpus *corpus = NULL;
  int code = gather(&gathering, path, sequences_max, err);
  if (code)
    goto out;
  corpus = plm_memory_zeroed(1, sizeof *corpus);
  code = corpus ? corpus_fill(corpus, &gathering, err) : plm_error_memory(err, "a corpus");
  if (code)
    goto out;
  *out = corpus;
  corpus = NULL;
out:
  plm_corpus_close(corpus);
  free(gathering.tokens);
  free(gathering.offsets);
  return code;
}
