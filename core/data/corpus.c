#include "data/corpus.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/memory.h"
#include "data/corpus_format.h"

/* A contiguous dataset as a piece of the mapping. */
struct piece {
  const unsigned char *bytes;
  uint64_t count; /* elements */
};

int plm_corpus_is_internal(hid_t set) {
  hid_t layout = H5Dget_create_plist(set);
  if (layout < 0)
    return 0;
  int internal = H5Pget_layout(layout) != H5D_VIRTUAL && H5Pget_external_count(layout) == 0;
  H5Pclose(layout);
  return internal;
}

static int is_plain(hid_t set, hid_t type) {
  hid_t layout = H5Dget_create_plist(set), stored = H5Dget_type(set), space = H5Dget_space(set);
  int plain = layout >= 0 && stored >= 0 && space >= 0 && H5Sget_simple_extent_ndims(space) == 1 &&
              H5Pget_layout(layout) == H5D_CONTIGUOUS && H5Pget_external_count(layout) == 0 &&
              H5Tequal(stored, type) > 0;
  if (space >= 0)
    H5Sclose(space);
  if (stored >= 0)
    H5Tclose(stored);
  if (layout >= 0)
    H5Pclose(layout);
  return plain;
}

/* Finds the bytes of dataset name in the mapping without reading them. */
static int find_piece(struct piece *out, const struct plm_corpus *corpus, hid_t group, const char *name, hid_t type,
                      struct plm_error *err) {
  uint64_t count = 0;
  int code = plm_h5_array_length(&count, group, name, err);
  if (code != 0)
    return code;
  hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
  if (set < 0)
    return plm_h5_fail(err, PLM_E_DAMAGED, "cannot open dataset \"%s\"", name);
  uint64_t bytes = 0, end = 0;
  haddr_t address = H5Dget_offset(set);
  H5Eclear2(H5E_DEFAULT);
  if (!is_plain(set, type))
    code = plm_error_set(err, PLM_E_DAMAGED, "dataset \"%s\" is of another type or shape, or not stored in one piece",
                         name);
  else if (__builtin_mul_overflow(count, (uint64_t)H5Tget_size(type), &bytes) || bytes > corpus->mapping_bytes ||
           (bytes > 0 && (address == HADDR_UNDEF || __builtin_add_overflow((uint64_t)address, bytes, &end) ||
                          end > corpus->mapping_bytes)))
    code = plm_error_set(err, PLM_E_DAMAGED, "dataset \"%s\" with %llu elements lies beyond the end of the file", name,
                         (unsigned long long)count);
  H5Dclose(set);
  if (code == 0) {
    out->bytes = (const unsigned char *)corpus->mapping + (bytes > 0 ? address : 0);
    out->count = count;
  }
  return code;
}

/* Compares every block of a piece with the stored checksums, which go to *out (owned by the caller). */
static int check_blocks(uint64_t **out, size_t *blocks, hid_t group, const char *name, const unsigned char *data,
                        uint64_t bytes, struct plm_error *err) {
  size_t count = (size_t)((bytes + PLM_CORPUS_BLOCK - 1) / PLM_CORPUS_BLOCK);
  uint64_t *sums = plm_memory_zeroed(count, sizeof *sums);
  if (sums == NULL)
    return plm_error_memory(err, "a corpus's checksums");
  int code = plm_h5_get_array(sums, group, name, H5T_NATIVE_UINT64, count, err);
  for (size_t i = 0; i < count && code == 0; i++) {
    uint64_t start = (uint64_t)i * PLM_CORPUS_BLOCK;
    uint64_t size = bytes - start < PLM_CORPUS_BLOCK ? bytes - start : PLM_CORPUS_BLOCK;
    if (XXH3_64bits(data + start, (size_t)size) != sums[i])
      code = plm_error_set(err, PLM_E_DAMAGED, "block %zu differs from its checksum in \"%s\"", i, name);
  }
  if (code != 0) {
    free(sums);
    return code;
  }
  *out = sums;
  *blocks = count;
  return 0;
}

/* Copies offsets out of the file's byte order, and checks them. */
static int take_offsets(uint64_t *offsets, const struct piece *stored, uint64_t residues, struct plm_error *err) {
  for (uint64_t i = 0; i < stored->count; i++) {
    uint64_t value;
    memcpy(&value, stored->bytes + 8 * i, sizeof value);
    offsets[i] = le64toh(value);
    uint64_t before = i > 0 ? offsets[i - 1] : 0;
    if (i == 0 ? offsets[0] != 0 : offsets[i] <= before || offsets[i] - before > UINT32_MAX)
      return plm_error_set(err, PLM_E_DAMAGED, "offset %llu is %llu after %llu", (unsigned long long)i,
                           (unsigned long long)offsets[i], (unsigned long long)before);
  }
  if (offsets[stored->count - 1] != residues)
    return plm_error_set(err, PLM_E_DAMAGED, "the last offset is %llu, but there are %llu tokens",
                         (unsigned long long)offsets[stored->count - 1], (unsigned long long)residues);
  return 0;
}

static int check_tokens(const struct piece *tokens, struct plm_error *err) {
  unsigned bad = 0;
  for (uint64_t i = 0; i < tokens->count; i++)
    bad |= tokens->bytes[i] < PLM_TOKEN_STANDARD || tokens->bytes[i] >= PLM_TOKEN_RESIDUES;
  return bad ? plm_error_set(err, PLM_E_DAMAGED, "a token is not a residue") : 0;
}

static int open_split(struct plm_corpus *corpus, struct plm_corpus_sums *sums, hid_t group,
                      struct plm_corpus_split *split, uint64_t **offsets, struct plm_error *err) {
  struct piece tokens, stored;
  int code = find_piece(&tokens, corpus, group, "tokens", H5T_STD_U8LE, err);
  if (code == 0)
    code = find_piece(&stored, corpus, group, "offsets", H5T_STD_U64LE, err);
  if (code == 0 && (stored.count == 0 || stored.count - 1 > UINT32_MAX))
    code = plm_error_set(err, PLM_E_DAMAGED, "%llu offsets (1 to 2^32 are possible)", (unsigned long long)stored.count);
  if (code == 0)
    code = check_blocks(&sums->tokens, &sums->token_blocks, group, "tokens_xxh3", tokens.bytes, tokens.count, err);
  if (code == 0)
    code =
        check_blocks(&sums->offsets, &sums->offset_blocks, group, "offsets_xxh3", stored.bytes, 8 * stored.count, err);
  if (code == 0)
    code = take_offsets(*offsets, &stored, tokens.count, err);
  if (code == 0)
    code = check_tokens(&tokens, err);
  if (code != 0)
    return code;
  split->tokens = tokens.bytes;
  split->residues = sums->residues = tokens.count;
  split->sequences = sums->sequences = stored.count - 1;
  split->offsets = *offsets;
  *offsets += stored.count;
  return 0;
}

static int map_file(struct plm_corpus *corpus, const char *path, struct plm_error *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return plm_error_set_system(err, errno, "cannot open \"%s\"", path);
  int code = 0;
  struct stat status;
  if (fstat(fd, &status) != 0) {
    code = plm_error_set_system(err, errno, "cannot read \"%s\"", path);
  } else if (!S_ISREG(status.st_mode) || status.st_size == 0) {
    code = plm_error_set(err, PLM_E_DAMAGED, "not a regular file with content");
  } else {
    void *mapping = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (mapping == MAP_FAILED) {
      code = plm_error_set_system(err, errno, "cannot map \"%s\"", path);
    } else {
      corpus->mapping = mapping;
      corpus->mapping_bytes = (uint64_t)status.st_size;
    }
  }
  close(fd);
  return code;
}

/* One allocation for the offsets of all splits; their number is bounded by the file's size. */
static int allocate_offsets(struct plm_corpus *corpus, hid_t file, struct plm_error *err) {
  uint64_t total = 0;
  for (int s = 0; s < PLM_SPLIT_COUNT; s++) {
    hid_t group;
    struct piece piece = {0};
    int code = plm_h5_group_open(&group, file, plm_corpus_split_names[s], err);
    if (code != 0)
      return code;
    code = find_piece(&piece, corpus, group, "offsets", H5T_STD_U64LE, err);
    H5Gclose(group);
    if (code != 0)
      return code;
    total += piece.count;
  }
  corpus->offsets = plm_memory_zeroed((size_t)total, sizeof *corpus->offsets);
  return corpus->offsets == NULL ? plm_error_memory(err, "a corpus's offsets") : 0;
}

static int check_digest(struct plm_corpus *corpus, hid_t file, const struct plm_corpus_sums *sums,
                        struct plm_error *err) {
  char *stored = NULL;
  int code = plm_h5_get_text(&stored, file, "digest", err);
  if (code == 0)
    code = plm_corpus_digest(corpus->digest, sums, err);
  if (code == 0 && strcmp(stored, corpus->digest) != 0)
    code = plm_error_set(err, PLM_E_DAMAGED, "its digest is %s, but it says \"%.64s\"", corpus->digest, stored);
  free(stored);
  return code;
}

static int open_content(struct plm_corpus *corpus, hid_t file, struct plm_error *err) {
  struct plm_corpus_sums sums[PLM_SPLIT_COUNT] = {0};
  int code = allocate_offsets(corpus, file, err);
  uint64_t *offsets = corpus->offsets;
  for (int s = 0; s < PLM_SPLIT_COUNT && code == 0; s++) {
    hid_t group;
    code = plm_h5_group_open(&group, file, plm_corpus_split_names[s], err);
    if (code != 0)
      break;
    code = open_split(corpus, &sums[s], group, &corpus->splits[s], &offsets, err);
    H5Gclose(group);
  }
  if (code == 0)
    code = check_digest(corpus, file, (const struct plm_corpus_sums *)sums, err);
  for (int s = 0; s < PLM_SPLIT_COUNT; s++) {
    free(sums[s].tokens);
    free(sums[s].offsets);
  }
  return code;
}

int plm_corpus_open(struct plm_corpus **out, const char *path, struct plm_error *err) {
  hid_t file;
  int code = plm_h5_open(&file, path, PLM_CORPUS_FORMAT, PLM_CORPUS_VERSION, err);
  if (code != 0)
    return code;
  struct plm_error inner = PLM_ERROR_INIT;
  struct plm_corpus *corpus = plm_memory_zeroed(1, sizeof *corpus);
  if (corpus == NULL)
    code = plm_error_memory(&inner, "a corpus");
  if (code == 0)
    code = map_file(corpus, path, &inner);
  if (code == 0)
    code = open_content(corpus, file, &inner);
  H5Fclose(file);
  if (code != 0) {
    plm_corpus_close(corpus);
    /* What is inside the file is known below, its name only here. */
    return plm_error_set(err, code, "corpus \"%s\": %s", path, inner.text);
  }
  *out = corpus;
  return 0;
}

void plm_corpus_close(struct plm_corpus *corpus) {
  if (corpus == NULL)
    return;
  if (corpus->mapping != NULL)
    munmap(corpus->mapping, (size_t)corpus->mapping_bytes);
  free(corpus->offsets);
  free(corpus);
}

int64_t plm_corpus_epoch_tokens(const struct plm_corpus *corpus, int split, int64_t length_max) {
  const struct plm_corpus_split *from = &corpus->splits[split];
  int64_t total = 0;
  for (uint64_t i = 0; i < from->sequences; i++) {
    int64_t length = (int64_t)(from->offsets[i + 1] - from->offsets[i]) + 2;
    total += length < length_max ? length : length_max;
  }
  return total;
}
