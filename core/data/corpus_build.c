#include "data/corpus_build.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <xxhash.h>

#include "base/file.h"
#include "base/h5.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "data/build_state.h"
#include "data/corpus_format.h"
#include "data/fasta.h"

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void plm_build_progress(struct plm_build *build, const char *what, uint64_t done, uint64_t total, int force) {
  char text[160], bar[32], bytes[32], rate[32];
  double elapsed = seconds_now() - build->started;
  plm_number_bytes(bytes, sizeof bytes, done);
  plm_number_bytes(rate, sizeof rate, elapsed > 0 ? (uint64_t)((double)done / elapsed) : 0);
  double fraction = total > 0 ? (double)done / (double)total : 0;
  if (total > 0)
    plm_log_bar(bar, 20, fraction);
  if (total == PLM_PARTITIONS)
    snprintf(text, sizeof text, "%s %s %3.0f %%", what, bar, 100 * fraction);
  else if (total > 0)
    snprintf(text, sizeof text, "%s %s %3.0f %%  %s  %s/s", what, bar, 100 * fraction, bytes, rate);
  else
    snprintf(text, sizeof text, "%s %s  %s/s", what, bytes, rate);
  plm_log_progress(text, force);
}

const char *plm_build_source_name(const struct plm_build_source *source) {
  return strcmp(source->path, "-") == 0 ? "stdin" : source->path;
}

/* ---------------------------------------------------------------- options */

static int check_options(const struct plm_corpus_build_options *options, struct plm_error *err) {
  if (options->input_count == 0)
    return plm_error_set(err, PLM_E_USAGE, "no input: name at least one FASTA file, or - for standard input");
  if (!(options->valid >= 0) || !(options->test >= 0) || !(options->valid + options->test < 1))
    return plm_error_set(err, PLM_E_USAGE, "split \"valid %g, test %g\": fractions from 0 that sum to less than 1",
                         options->valid, options->test);
  if ((options->valid_fasta != NULL && options->valid > 0) || (options->test_fasta != NULL && options->test > 0))
    return plm_error_set(err, PLM_E_USAGE, "a split is given both as a fraction and as a file: choose one");
  if (options->length_min < 1)
    return plm_error_set(err, PLM_E_USAGE, "min-length \"0\": at least 1");
  if (options->length_max != 0 && (options->length_max < options->length_min || options->length_max > 100000000))
    return plm_error_set(err, PLM_E_USAGE, "max-length \"%llu\": from min-length (%llu) to 100000000",
                         (unsigned long long)options->length_max, (unsigned long long)options->length_min);
  if (options->cluster_column == 1 || options->cluster_column > 1000)
    return plm_error_set(err, PLM_E_USAGE, "cluster-column \"%u\": from 2 to 1000 (column 1 holds the names)",
                         options->cluster_column);
  if (options->clusters == NULL && (options->cluster_column != 0 || options->clusters_missing_own))
    return plm_error_set(err, PLM_E_USAGE, "cluster options without a cluster table: give --clusters FILE");
  if (plm_file_exists(options->output) && !options->force)
    return plm_error_set(err, PLM_E_USAGE, "output \"%s\": it exists already; --force replaces it", options->output);
  size_t from_stdin = 0;
  for (size_t i = 0; i < options->input_count; i++)
    from_stdin += strcmp(options->inputs[i], "-") == 0;
  from_stdin += options->valid_fasta != NULL && strcmp(options->valid_fasta, "-") == 0;
  from_stdin += options->test_fasta != NULL && strcmp(options->test_fasta, "-") == 0;
  from_stdin += options->clusters != NULL && strcmp(options->clusters, "-") == 0;
  if (from_stdin > 1)
    return plm_error_set(err, PLM_E_USAGE, "input \"-\": standard input can be read only once");
  return 0;
}

static void add_source(struct plm_build *build, const char *path, int split) {
  struct stat status;
  struct plm_build_source *source = &build->sources[build->source_count++];
  source->path = path;
  source->split = split;
  if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
    source->bytes = (uint64_t)status.st_size; /* for the progress bar; replaced by what was read */
}

static int list_sources(struct plm_build *build, struct plm_error *err) {
  const struct plm_corpus_build_options *options = build->options;
  build->sources = plm_memory_zeroed(options->input_count + 3, sizeof *build->sources);
  if (build->sources == NULL)
    return plm_error_memory(err, "the list of inputs");
  for (size_t i = 0; i < options->input_count; i++)
    add_source(build, options->inputs[i], PLM_SPLIT_TRAIN);
  if (options->valid_fasta != NULL)
    add_source(build, options->valid_fasta, PLM_SPLIT_VALID);
  if (options->test_fasta != NULL)
    add_source(build, options->test_fasta, PLM_SPLIT_TEST);
  build->fasta_count = build->source_count;
  return 0;
}

/* ----------------------------------------------------------------- pass 1 */

static int take_sequence(struct plm_build *build, const struct plm_fasta_record *record, size_t number,
                         struct plm_error *err) {
  if (build->spilled >= UINT32_MAX)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "more than 2^32 - 1 sequences: build several corpora");
  struct plm_spill_record spilled = {record->line, (uint32_t)number, (uint32_t)record->length, record->name,
                                     record->tokens};
  int code = plm_spill_add(build->spill, &spilled, err);
  if (code != 0)
    return code;
  size_t before = build->mark_bytes;
  if (plm_memory_grow((void **)&build->marks, &build->mark_bytes, (size_t)(build->spilled / 4 + 1), 1) != 0)
    return plm_error_memory(err, "the list of sequences");
  memset(build->marks + before, 0, build->mark_bytes - before);
  XXH128_hash_t hash = XXH3_128bits(record->tokens, (size_t)record->length);
  struct plm_build_sequence sequence = {hash.low64, hash.high64, build->spilled, (uint32_t)record->length,
                                        (uint32_t)build->sources[number].split};
  code = plm_partition_add(build->by_residues, sequence.high, &sequence, err);
  if (code == 0 && build->table != NULL && build->sources[number].split == PLM_SPLIT_TRAIN) {
    struct plm_build_name name = {plm_clusters_key(record->name, strlen(record->name)), build->spilled, record->length};
    code = plm_partition_add(build->by_name, name.name.high, &name, err);
  }
  build->spilled++;
  return code;
}

static int take_record(struct plm_build *build, const struct plm_fasta_record *record, size_t number,
                       struct plm_error *err) {
  build->counts.read++;
  build->counts.residues_read += record->length;
  plm_alphabet_add(&build->counts.letters, &record->counts);
  if (record->length < build->options->length_min) {
    build->counts.dropped_short++;
    return 0;
  }
  if (record->tokens == NULL) {
    build->counts.dropped_long++;
    return 0;
  }
  return take_sequence(build, record, number, err);
}

static int read_fasta(struct plm_build *build, size_t number, uint64_t before, uint64_t total, struct plm_error *err) {
  struct plm_build_source *source = &build->sources[number];
  struct plm_fasta_options options = {build->options->length_max, build->options->skip_bad};
  struct plm_fasta *fasta = NULL;
  struct plm_fasta_record record;
  int end = 0;
  int code = plm_fasta_open(&fasta, source->path, &options, err);
  while (code == 0) {
    code = plm_fasta_next(fasta, &record, &end, err);
    if (code != 0 || end)
      break;
    code = take_record(build, &record, number, err);
    if (build->counts.read % 1024 == 0)
      plm_build_progress(build, "reading", before + plm_fasta_position(fasta), total, 0);
  }
  if (code == 0) {
    source->bytes = plm_fasta_position(fasta);
    build->counts.read += plm_fasta_skipped(fasta);
    build->counts.dropped_bad += plm_fasta_skipped(fasta);
    code = plm_fasta_digest(fasta, source->sha256, err);
  }
  plm_fasta_close(fasta);
  return code;
}

static int open_scratch(struct plm_build *build, struct plm_error *err) {
  const char *output = build->options->output;
  int code = plm_spill_create(&build->spill, output, err);
  if (code == 0)
    code = plm_partition_create(&build->by_residues, output, "hashes", sizeof(struct plm_build_sequence), err);
  if (code != 0 || build->options->clusters == NULL)
    return code;
  struct plm_build_source *source = &build->sources[build->source_count];
  add_source(build, build->options->clusters, PLM_SPLIT_TRAIN);
  code = plm_partition_create(&build->by_name, output, "names", sizeof(struct plm_build_name), err);
  if (code == 0)
    code = plm_clusters_read(&build->table, &build->counts.cluster_entries, source->sha256, build->options->clusters,
                             build->options->cluster_column, output, err);
  return code;
}

static int read_all(struct plm_build *build, struct plm_error *err) {
  uint64_t total = 0, before = 0;
  for (size_t i = 0; i < build->fasta_count; i++) {
    if (build->sources[i].bytes == 0) { /* a pipe: no total to show */
      total = 0;
      break;
    }
    total += build->sources[i].bytes;
  }
  build->started = seconds_now();
  for (size_t i = 0; i < build->fasta_count; i++) {
    int code = read_fasta(build, i, before, total, err);
    if (code != 0)
      return code;
    before += build->sources[i].bytes;
  }
  if (build->spilled == 0)
    return plm_error_set(err, PLM_E_DAMAGED, "%s: no sequence passes the filters (%llu read, min-length %llu)",
                         plm_build_source_name(&build->sources[0]), (unsigned long long)build->counts.read,
                         (unsigned long long)build->options->length_min);
  return 0;
}

/* ----------------------------------------------------------------- pass 2 */

static json_t *options_json(const struct plm_corpus_build_options *options) {
  return json_pack("{s:f, s:f, s:I, s:I, s:I, s:b, s:s, s:i}", "valid", options->valid, "test", options->test, "seed",
                   (json_int_t)options->seed, "min_length", (json_int_t)options->length_min, "max_length",
                   (json_int_t)options->length_max, "skip_bad", options->skip_bad, "clusters_missing",
                   options->clusters_missing_own ? "own" : "error", "cluster_column", (int)options->cluster_column);
}

static const char *source_role(const struct plm_build *build, size_t number) {
  if (number >= build->fasta_count)
    return "clusters";
  int split = build->sources[number].split;
  return split == PLM_SPLIT_TRAIN ? "input" : plm_corpus_split_names[split];
}

static json_t *sources_json(const struct plm_build *build) {
  json_t *list = json_array();
  for (size_t i = 0; i < build->source_count && list != NULL; i++) {
    const struct plm_build_source *source = &build->sources[i];
    /* A path is bytes, JSON is UTF-8: a path that is not has no name here, its digest tells. */
    json_t *name = json_string(plm_build_source_name(source));
    json_t *entry =
        json_pack("{s:s, s:o, s:s, s:I}", "role", source_role(build, i), "name", name != NULL ? name : json_string("?"),
                  "sha256", source->sha256, "bytes", (json_int_t)source->bytes);
    if (entry == NULL || json_array_append_new(list, entry) != 0) {
      json_decref(list);
      list = NULL;
    }
  }
  return list;
}

static int put_json(hid_t file, const char *name, json_t *json, struct plm_error *err) {
  char *text = json != NULL ? json_dumps(json, JSON_PRESERVE_ORDER | JSON_INDENT(1)) : NULL;
  json_decref(json);
  if (text == NULL)
    return plm_error_memory(err, "describing a corpus");
  int code = plm_h5_put_document(file, name, text, err);
  free(text);
  return code;
}

static int put_counts(hid_t file, const struct plm_corpus_counts *counts, struct plm_error *err) {
  hid_t group;
  int code = plm_h5_group_create(&group, file, "counts", err);
  if (code != 0)
    return code;
#define X(name, text) \
  if (code == 0) \
    code = plm_h5_put_integer(group, #name, (int64_t)COUNTS->name, err);
#define COUNTS counts
  PLM_CORPUS_COUNTS(X)
#undef COUNTS
#define COUNTS (&counts->letters)
  PLM_ALPHABET_COUNTS(X)
#undef COUNTS
#undef X
  H5Gclose(group);
  return code;
}

static int put_description(struct plm_build *build, hid_t file, struct plm_error *err) {
  int code = plm_h5_put_format(file, PLM_CORPUS_FORMAT, PLM_CORPUS_VERSION, err);
  if (code == 0)
    code = plm_h5_put_text(file, "vocabulary", plm_alphabet_vocabulary(), err);
  if (code == 0)
    code = plm_h5_put_text(file, "rules", plm_alphabet_rules(), err);
  if (code == 0)
    code = put_json(file, "options", options_json(build->options), err);
  if (code == 0)
    code = put_json(file, "sources", sources_json(build), err);
  return code != 0 ? code : put_counts(file, &build->counts, err);
}

static int copy_sequences(struct plm_build *build, struct plm_corpus_writer *writer, struct plm_error *err) {
  int code = plm_spill_rewind(build->spill, err);
  uint64_t done = 0;
  build->started = seconds_now();
  for (uint64_t i = 0; i < build->spilled && code == 0; i++) {
    struct plm_spill_record record;
    code = plm_spill_next(build->spill, &record, err);
    if (code != 0)
      break;
    unsigned mark = plm_build_mark(build, i);
    if (mark == PLM_MARK_DROPPED)
      continue;
    code = plm_corpus_writer_add(writer, (int)mark, record.tokens, record.length, err);
    done += record.length;
    if (i % 1024 == 0)
      plm_build_progress(build, "writing", done, build->counts.residues_kept, 0);
  }
  return code;
}

static int write_corpus(struct plm_build *build, char digest[PLM_HASH_TEXT], struct plm_error *err) {
  struct plm_h5_writer *file = NULL;
  struct plm_corpus_writer *writer = NULL;
  int code = plm_h5_writer_create(&file, build->options->output, 1, err);
  if (code != 0)
    return code;
  code = put_description(build, plm_h5_writer_file(file), err);
  if (code == 0)
    code = plm_corpus_writer_create(&writer, plm_h5_writer_file(file), build->sequences, build->residues, err);
  if (code == 0)
    code = copy_sequences(build, writer, err);
  if (code == 0)
    code = plm_corpus_writer_finish(writer, digest, err);
  plm_corpus_writer_destroy(writer);
  if (code != 0) {
    plm_h5_writer_abandon(file);
    return code;
  }
  return plm_h5_writer_commit(file, err);
}

int plm_corpus_build(const struct plm_corpus_build_options *options, struct plm_corpus_counts *counts,
                     char digest[PLM_HASH_TEXT], struct plm_error *err) {
  struct plm_build build = {.options = options};
  int code = check_options(options, err);
  if (code == 0)
    code = list_sources(&build, err);
  if (code == 0)
    code = open_scratch(&build, err);
  if (code == 0)
    code = read_all(&build, err);
  if (code == 0)
    code = plm_build_assign(&build, err);
  if (code == 0)
    code = write_corpus(&build, digest, err);
  plm_log_progress(NULL, 1);
  if (code == 0)
    *counts = build.counts;
  plm_partition_destroy(build.table);
  plm_partition_destroy(build.by_name);
  plm_partition_destroy(build.by_residues);
  plm_spill_destroy(build.spill);
  free(build.marks);
  free(build.sources);
  return code;
}
