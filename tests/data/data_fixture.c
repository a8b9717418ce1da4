#include "data_fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rng.h"
#include "data/alphabet.h"
#include "data/fasta.h"

static char folder[64];

int fixture_setup(void **state) {
  (void)state;
  plm_log_progress_mode(PLM_PROGRESS_NONE);
  strcpy(folder, "/tmp/plm-test-data-XXXXXX");
  return mkdtemp(folder) == NULL;
}

int fixture_count(const char *part) {
  int count = 0;
  DIR *open_folder = opendir(folder);
  assert_non_null(open_folder);
  for (struct dirent *entry; (entry = readdir(open_folder)) != NULL;)
    count += entry->d_name[0] != '.' && strstr(entry->d_name, part) != NULL;
  closedir(open_folder);
  return count;
}

int fixture_teardown(void **state) {
  (void)state;
  DIR *open_folder = opendir(folder);
  if (open_folder == NULL)
    return 1;
  for (struct dirent *entry; (entry = readdir(open_folder)) != NULL;)
    if (entry->d_name[0] != '.')
      unlink(fixture_path(entry->d_name));
  closedir(open_folder);
  return rmdir(folder);
}

const char *fixture_path(const char *name) {
  static char ring[16][400];
  static int next;
  char *path = ring[next++ % 16];
  snprintf(path, sizeof ring[0], "%s/%s", folder, name);
  return path;
}

static const char *write_mode(const char *name, const void *data, size_t bytes, const char *mode) {
  const char *path = fixture_path(name);
  FILE *file = fopen(path, mode);
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, bytes, file), bytes);
  assert_int_equal(fclose(file), 0);
  return path;
}

const char *fixture_write(const char *name, const void *data, size_t bytes) {
  return write_mode(name, data, bytes, "wb");
}

const char *fixture_text(const char *name, const char *text) { return fixture_write(name, text, strlen(text)); }

const char *fixture_pack(const char *name, const char *filter, const void *data, size_t bytes, int append) {
  size_t room = bytes + (1 << 20), used = 0;
  char *packed = malloc(room);
  struct archive *archive = archive_write_new();
  struct archive_entry *entry = archive_entry_new();
  assert_true(packed != NULL && archive != NULL && entry != NULL);
  assert_int_equal(archive_write_add_filter_by_name(archive, filter), ARCHIVE_OK);
  assert_int_equal(archive_write_set_format_raw(archive), ARCHIVE_OK);
  assert_int_equal(archive_write_set_bytes_per_block(archive, 0), ARCHIVE_OK);
  assert_int_equal(archive_write_open_memory(archive, packed, room, &used), ARCHIVE_OK);
  archive_entry_set_filetype(entry, AE_IFREG);
  assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
  assert_int_equal(archive_write_data(archive, data, bytes), bytes);
  assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
  archive_entry_free(entry);
  archive_write_free(archive);
  const char *path = write_mode(name, packed, used, append ? "ab" : "wb");
  free(packed);
  return path;
}

char *fixture_read(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  long size = ftell(file);
  rewind(file);
  char *data = malloc((size_t)size + 1);
  assert_non_null(data);
  assert_int_equal(fread(data, 1, (size_t)size, file), size);
  data[size] = '\0';
  fclose(file);
  *bytes = (size_t)size;
  return data;
}

const char *fixture_proteins(void) { return PLM_TEST_PROTEINS; }

const char *fixture_mutants(const char *name, size_t count) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_fasta_options options = {0, 0};
  struct plm_fasta_record record;
  struct plm_fasta *fasta;
  char *text[128];
  size_t proteins = 0;
  int end = 0;
  assert_int_equal(plm_fasta_open(&fasta, PLM_TEST_PROTEINS, &options, &err), 0);
  while (plm_fasta_next(fasta, &record, &end, &err) == 0 && !end) {
    text[proteins] = calloc(1, record.length + 1);
    for (uint64_t i = 0; i < record.length; i++)
      text[proteins][i] = *plm_alphabet_name(record.tokens[i]);
    proteins++;
  }
  plm_fasta_close(fasta);
  assert_int_equal(proteins, 100);
  const char *path = fixture_path(name);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  for (size_t i = 0; i < count; i++) {
    char *sequence = text[i % proteins];
    size_t length = strlen(sequence);
    for (uint32_t j = 0; j < 6; j++) { /* the exchanges stay, so later ones differ from all before */
      uint32_t word = plm_rng_word(1, PLM_RNG_TEST, (uint32_t)i, j, 0);
      sequence[word % length] = *plm_alphabet_name(PLM_TOKEN_STANDARD + (int)(word >> 16) % PLM_STANDARD_COUNT);
    }
    /* Another start gives another length: up to a third shorter. */
    size_t skip = plm_rng_word(1, PLM_RNG_TEST, (uint32_t)i, 99, 0) % (length / 3 + 1);
    fprintf(file, ">p%zu\n%s\n", i, sequence + skip);
  }
  assert_int_equal(fclose(file), 0);
  for (size_t i = 0; i < proteins; i++)
    free(text[i]);
  return path;
}

struct plm_corpus_build_options fixture_options(const char *const *input, const char *output) {
  return (struct plm_corpus_build_options){
      .inputs = input, .input_count = 1, .output = output, .valid = 0.02, .test = 0.02, .length_min = 11};
}

struct plm_corpus_counts fixture_build(const struct plm_corpus_build_options *options, char digest[PLM_HASH_TEXT]) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_corpus_counts counts;
  int code = plm_corpus_build(options, &counts, digest, &err);
  if (code != 0)
    fail_msg("%s", err.text);
  return counts;
}
