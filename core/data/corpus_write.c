#include "data/corpus_format.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/memory.h"

const char *const plm_corpus_split_names[PLM_SPLIT_COUNT] = {"train", "valid", "test"};

/* One contiguous dataset, written a block at a time. */
struct column {
  const char *name;
  hid_t set, type;
  uint64_t written, total; /* elements */
  size_t element_bytes, fill;
  unsigned char *buffer; /* PLM_CORPUS_BLOCK */
  uint64_t *sums;
  size_t sum_count, sum_capacity;
};

struct split_writer {
  hid_t group;
  struct column tokens, offsets;
  uint64_t position; /* residues so far */
  int64_t composition[PLM_TOKEN_COUNT];
};

struct plm_corpus_writer {
  hid_t file;
  struct split_writer splits[PLM_SPLIT_COUNT];
};

int plm_corpus_digest(char out[PLM_HASH_TEXT], const struct plm_corpus_sums sums[PLM_SPLIT_COUNT],
                      struct plm_error *err) {
  size_t count = 0;
  for (int s = 0; s < PLM_SPLIT_COUNT; s++)
    count += 2 + sums[s].token_blocks + sums[s].offset_blocks;
  uint64_t *words = plm_memory_zeroed(count, sizeof *words);
  if (words == NULL)
    return plm_error_memory(err, "a corpus digest");
  size_t at = 0;
  for (int s = 0; s < PLM_SPLIT_COUNT; s++) {
    words[at++] = htole64(sums[s].sequences);
    words[at++] = htole64(sums[s].residues);
    for (size_t i = 0; i < sums[s].token_blocks; i++)
      words[at++] = htole64(sums[s].tokens[i]);
    for (size_t i = 0; i < sums[s].offset_blocks; i++)
      words[at++] = htole64(sums[s].offsets[i]);
  }
  plm_hash_text(out, words, count * sizeof *words);
  free(words);
  return 0;
}

/* ---------------------------------------------------------------- columns */

static int column_init(struct column *column, hid_t group, const char *name, hid_t type, uint64_t total,
                       struct plm_error *err) {
  column->name = name;
  column->type = type;
  column->total = total;
  column->element_bytes = H5Tget_size(type);
  column->buffer = malloc(PLM_CORPUS_BLOCK);
  if (column->buffer == NULL)
    return plm_error_memory(err, "a corpus's buffer");
  hsize_t extent = total;
  hid_t space = H5Screate_simple(1, &extent, NULL);
  hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
  if (space >= 0 && layout >= 0 && H5Pset_layout(layout, H5D_CONTIGUOUS) >= 0 &&
      H5Pset_alloc_time(layout, H5D_ALLOC_TIME_EARLY) >= 0 && H5Pset_fill_time(layout, H5D_FILL_TIME_NEVER) >= 0)
    column->set = H5Dcreate2(group, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT);
  int code = column->set < 0 ? plm_h5_fail(err, PLM_E_IO, "cannot create dataset \"%s\"", name) : 0;
  if (layout >= 0)
    H5Pclose(layout);
  if (space >= 0)
    H5Sclose(space);
  return code;
}

static int column_flush(struct column *column, struct plm_error *err) {
  if (column->fill == 0)
    return 0;
  if (plm_memory_grow((void **)&column->sums, &column->sum_capacity, column->sum_count + 1, sizeof *column->sums) != 0)
    return plm_error_memory(err, "a corpus's checksums");
  column->sums[column->sum_count++] = XXH3_64bits(column->buffer, column->fill);
  hsize_t start = column->written, count = column->fill / column->element_bytes;
  hid_t memory = H5Screate_simple(1, &count, NULL);
  hid_t space = H5Dget_space(column->set);
  int failed = memory < 0 || space < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &count, NULL) < 0 ||
               H5Dwrite(column->set, column->type, memory, space, H5P_DEFAULT, column->buffer) < 0;
  int code = failed ? plm_h5_fail(err, PLM_E_IO, "cannot write dataset \"%s\"", column->name) : 0;
  if (space >= 0)
    H5Sclose(space);
  if (memory >= 0)
    H5Sclose(memory);
  column->written += count;
  column->fill = 0;
  return code;
}

static int column_add(struct column *column, const void *data, size_t bytes, struct plm_error *err) {
  const unsigned char *from = data;
  while (bytes > 0) {
    size_t part = PLM_CORPUS_BLOCK - column->fill < bytes ? PLM_CORPUS_BLOCK - column->fill : bytes;
    memcpy(column->buffer + column->fill, from, part);
    column->fill += part;
    from += part;
    bytes -= part;
    int code = column->fill == PLM_CORPUS_BLOCK ? column_flush(column, err) : 0;
    if (code != 0)
      return code;
  }
  return 0;
}

static int column_finish(struct column *column, hid_t group, const char *sums_name, struct plm_error *err) {
  int code = column_flush(column, err);
  if (code == 0 && column->written != column->total)
    code = plm_error_set(err, PLM_E_INTERNAL, "dataset \"%s\": %llu elements written of %llu", column->name,
                         (unsigned long long)column->written, (unsigned long long)column->total);
  if (code == 0)
    code = plm_h5_put_array(group, sums_name, H5T_NATIVE_UINT64, column->sums, column->sum_count, 0, NULL, err);
  herr_t closed = H5Dclose(column->set);
  column->set = H5I_INVALID_HID;
  if (code == 0 && closed < 0)
    code = plm_h5_fail(err, PLM_E_IO, "cannot complete dataset \"%s\"", column->name);
  return code;
}

static void column_fini(struct column *column) {
  if (column->set >= 0)
    H5Dclose(column->set);
  free(column->buffer);
  free(column->sums);
}

/* ----------------------------------------------------------------- writer */

static int add_offset(struct split_writer *split, struct plm_error *err) {
  uint64_t stored = htole64(split->position);
  return column_add(&split->offsets, &stored, sizeof stored, err);
}

int plm_corpus_writer_create(struct plm_corpus_writer **out, hid_t file, const uint64_t sequences[PLM_SPLIT_COUNT],
                             const uint64_t residues[PLM_SPLIT_COUNT], struct plm_error *err) {
  struct plm_corpus_writer *writer = plm_memory_zeroed(1, sizeof *writer);
  if (writer == NULL)
    return plm_error_memory(err, "a corpus writer");
  writer->file = file;
  for (int s = 0; s < PLM_SPLIT_COUNT; s++)
    writer->splits[s].group = writer->splits[s].tokens.set = writer->splits[s].offsets.set = H5I_INVALID_HID;
  int code = 0;
  for (int s = 0; s < PLM_SPLIT_COUNT && code == 0; s++) {
    struct split_writer *split = &writer->splits[s];
    code = plm_h5_group_create(&split->group, file, plm_corpus_split_names[s], err);
    if (code == 0)
      code = column_init(&split->tokens, split->group, "tokens", H5T_STD_U8LE, residues[s], err);
    if (code == 0)
      code = column_init(&split->offsets, split->group, "offsets", H5T_STD_U64LE, sequences[s] + 1, err);
    if (code == 0)
      code = add_offset(split, err);
  }
  if (code != 0) {
    plm_corpus_writer_destroy(writer);
    return code;
  }
  *out = writer;
  return 0;
}

int plm_corpus_writer_add(struct plm_corpus_writer *writer, int split_number, const uint8_t *tokens, uint32_t length,
                          struct plm_error *err) {
  struct split_writer *split = &writer->splits[split_number];
  for (uint32_t i = 0; i < length; i++)
    split->composition[tokens[i]]++;
  split->position += length;
  int code = column_add(&split->tokens, tokens, length, err);
  return code != 0 ? code : add_offset(split, err);
}

static int finish_split(struct split_writer *split, struct plm_corpus_sums *sums, struct plm_error *err) {
  int code = column_finish(&split->tokens, split->group, "tokens_xxh3", err);
  if (code == 0)
    code = column_finish(&split->offsets, split->group, "offsets_xxh3", err);
  if (code == 0)
    code = plm_h5_put_array(split->group, "composition", H5T_NATIVE_INT64, split->composition, PLM_TOKEN_COUNT, 0, NULL,
                            err);
  *sums = (struct plm_corpus_sums){split->offsets.total - 1, split->position,         split->tokens.sums,
                                   split->offsets.sums,      split->tokens.sum_count, split->offsets.sum_count};
  return code;
}

int plm_corpus_writer_finish(struct plm_corpus_writer *writer, char digest[PLM_HASH_TEXT], struct plm_error *err) {
  struct plm_corpus_sums sums[PLM_SPLIT_COUNT];
  char text[PLM_HASH_TEXT];
  int code = 0;
  for (int s = 0; s < PLM_SPLIT_COUNT && code == 0; s++)
    code = finish_split(&writer->splits[s], &sums[s], err);
  if (code == 0)
    code = plm_corpus_digest(text, (const struct plm_corpus_sums *)sums, err);
  if (code == 0)
    code = plm_h5_put_text(writer->file, "digest", text, err);
  if (code == 0)
    memcpy(digest, text, sizeof text);
  return code;
}

void plm_corpus_writer_destroy(struct plm_corpus_writer *writer) {
  if (writer == NULL)
    return;
  for (int s = 0; s < PLM_SPLIT_COUNT; s++) {
    column_fini(&writer->splits[s].tokens);
    column_fini(&writer->splits[s].offsets);
    if (writer->splits[s].group >= 0)
      H5Gclose(writer->splits[s].group);
  }
  free(writer);
}
