#include "data_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/alphabet.h"
#include "data/corpus_info.h"
#include "data/fasta.h"

#include <jansson.h>

static struct plm_corpus *open_corpus(const char *path) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_corpus *corpus = NULL;
  if (plm_corpus_open(&corpus, path, &err) != 0)
    fail_msg("%s", err.text);
  return corpus;
}

static uint64_t sequence_hash(const struct plm_corpus_split *split, uint64_t i) {
  return plm_hash_64(split->tokens + split->offsets[i], (size_t)(split->offsets[i + 1] - split->offsets[i]));
}

/* A sum over the split's sequences that does not hang on their order. */
static uint64_t split_sum(const char *path, int split) {
  struct plm_corpus *corpus = open_corpus(path);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < corpus->splits[split].sequences; i++)
    sum += sequence_hash(&corpus->splits[split], i);
  plm_corpus_close(corpus);
  return sum;
}

static void expect_refused(const struct plm_corpus_build_options *options, int code, const char *reason) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_corpus_counts counts;
  char digest[PLM_HASH_TEXT];
  int before = fixture_count("");
  int got = plm_corpus_build(options, &counts, digest, &err);
  if (got != code || strstr(err.text, reason) == NULL || strchr(err.text, '\n') != NULL)
    fail_msg("code %d (expected %d, \"%s\"): %s", got, code, reason, err.text);
  assert_int_equal(fixture_count(""), before); /* nothing half-written stays */
}

static void test_build__tokens_come_back_as_they_were_read(void **state) {
  (void)state;
  const char *input = fixture_text("in.fasta", ">a\nMKVLAAGIVGLM\n>b\nmkvlaagivglw\n");
  struct plm_corpus_build_options options = fixture_options(&input, fixture_path("out.h5"));
  char digest[PLM_HASH_TEXT];
  options.valid = options.test = 0;
  struct plm_corpus_counts counts = fixture_build(&options, digest);
  assert_int_equal(counts.letters.lower_case, 12);
  struct plm_corpus *corpus = open_corpus(options.output);
  const struct plm_corpus_split *train = &corpus->splits[PLM_SPLIT_TRAIN];
  assert_string_equal(corpus->digest, digest);
  assert_int_equal(train->sequences, 2);
  assert_int_equal(train->residues, 24);
  char text[25] = "";
  for (int i = 0; i < 24; i++)
    strcat(text, plm_alphabet_name(train->tokens[i]));
  assert_string_equal(text, "MKVLAAGIVGLMMKVLAAGIVGLW");
  assert_int_equal(corpus->splits[PLM_SPLIT_VALID].sequences, 0);
  assert_int_equal(plm_corpus_epoch_tokens(corpus, PLM_SPLIT_TRAIN, 1024), 28);
  assert_int_equal(plm_corpus_epoch_tokens(corpus, PLM_SPLIT_TRAIN, 8), 16);
  plm_corpus_close(corpus);
  unlink(options.output);
}

static void test_build__duplicates_and_lengths_are_dropped_and_counted(void **state) {
  (void)state;
  const char *input =
      fixture_text("in.fasta", ">a\nMKVLAAGIVGLM\n>b\nMKVLA\n>c\nMKVLAAGIVGLM*\n>d\nMKVLAAGIVGLMMKVLAAGIVGLM\n"
                               ">e\nmkvl-aagivg-lm\n>f\nMKVLAAGIVGLMW\n");
  struct plm_corpus_build_options options = fixture_options(&input, fixture_path("out.h5"));
  char digest[PLM_HASH_TEXT];
  options.length_max = 20;
  struct plm_corpus_counts counts = fixture_build(&options, digest);
  assert_int_equal(counts.read, 6);
  assert_int_equal(counts.kept, 2);
  assert_int_equal(counts.dropped_short, 1);
  assert_int_equal(counts.dropped_long, 1);
  assert_int_equal(counts.dropped_duplicate, 2);
  assert_int_equal(counts.residues_kept, 25);
  assert_int_equal(counts.residues_read, 12 + 5 + 12 + 24 + 12 + 13);
  assert_int_equal(counts.letters.stops_end, 1);
  assert_int_equal(counts.letters.gaps, 2);
  unlink(options.output);
}

static void test_build__the_same_input_gives_the_same_digest(void **state) {
  (void)state;
  const char *input = fixture_proteins();
  char first[PLM_HASH_TEXT], second[PLM_HASH_TEXT], other[PLM_HASH_TEXT];
  struct plm_corpus_build_options options = fixture_options(&input, fixture_path("one.h5"));
  fixture_build(&options, first);
  options.output = fixture_path("two.h5");
  fixture_build(&options, second);
  assert_string_equal(first, second);
  options.seed = 1;
  options.force = 1;
  options.valid = 0.5;
  fixture_build(&options, other);
  assert_string_not_equal(first, other);
  unlink(fixture_path("one.h5"));
  unlink(fixture_path("two.h5"));
}

static void test_build__a_split_hangs_on_the_sequence_not_on_the_order(void **state) {
  (void)state;
  const char *inputs[2] = {fixture_proteins(), fixture_mutants("m.fasta", 900)};
  const char *reversed[2] = {inputs[1], inputs[0]};
  char digest[PLM_HASH_TEXT];
  struct plm_corpus_build_options options = fixture_options(inputs, fixture_path("one.h5"));
  options.input_count = 2;
  options.valid = options.test = 0.1;
  fixture_build(&options, digest);
  options.inputs = reversed;
  options.output = fixture_path("two.h5");
  fixture_build(&options, digest);
  for (int split = 0; split < PLM_SPLIT_COUNT; split++)
    assert_int_equal(split_sum(fixture_path("one.h5"), split), split_sum(options.output, split));
  struct plm_corpus *corpus = open_corpus(options.output);
  assert_in_range(corpus->splits[PLM_SPLIT_VALID].sequences, 70, 130);
  assert_in_range(corpus->splits[PLM_SPLIT_TEST].sequences, 70, 130);
  plm_corpus_close(corpus);
  unlink(fixture_path("one.h5"));
  unlink(options.output);
}

/* ---------------------------------------------------------------- clusters */

#define MUTANTS 2000
#define CLUSTERS 100

/* Hash of the residues of record i of a FASTA file. */
static void read_hashes(const char *path, uint64_t hashes[MUTANTS]) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_fasta_options options = {0, 0};
  struct plm_fasta_record record;
  struct plm_fasta *fasta;
  int end = 0;
  assert_int_equal(plm_fasta_open(&fasta, path, &options, &err), 0);
  for (size_t i = 0; i < MUTANTS; i++) {
    assert_int_equal(plm_fasta_next(fasta, &record, &end, &err), 0);
    assert_false(end);
    hashes[i] = plm_hash_64(record.tokens, (size_t)record.length);
  }
  plm_fasta_close(fasta);
}

/* Which splits each cluster (record number % CLUSTERS) lies in, as bits. */
static void cluster_splits(const char *path, const uint64_t hashes[MUTANTS], unsigned bits[CLUSTERS]) {
  struct plm_corpus *corpus = open_corpus(path);
  memset(bits, 0, CLUSTERS * sizeof *bits);
  for (int s = 0; s < PLM_SPLIT_COUNT; s++)
    for (uint64_t i = 0; i < corpus->splits[s].sequences; i++) {
      uint64_t hash = sequence_hash(&corpus->splits[s], i);
      size_t record = 0;
      while (record < MUTANTS && hashes[record] != hash)
        record++;
      assert_true(record < MUTANTS);
      bits[record % CLUSTERS] |= 1u << s;
    }
  plm_corpus_close(corpus);
}

/* The table of the mutants, in MMseqs2's form or with a header and the cluster in column 3; without the last left_out
 * entries. */
static const char *write_table(const char *name, int headered, size_t left_out) {
  char *text = malloc(MUTANTS * 40), *at = text;
  assert_non_null(text);
  if (headered)
    at += sprintf(at, "name\tlength\tcluster\r\n");
  for (size_t i = 0; i < MUTANTS - left_out; i++)
    at += headered ? sprintf(at, "p%zu\t7\tp%zu\r\n", i, i % CLUSTERS) : sprintf(at, "p%zu\tp%zu\n", i % CLUSTERS, i);
  const char *path = fixture_pack(name, headered ? "xz" : "gzip", text, (size_t)(at - text), 0);
  free(text);
  return path;
}

static void test_build__no_cluster_is_divided(void **state) {
  (void)state;
  uint64_t hashes[MUTANTS];
  unsigned bits[CLUSTERS], seen = 0;
  char digest[PLM_HASH_TEXT], other[PLM_HASH_TEXT];
  const char *input = fixture_mutants("m.fasta", MUTANTS);
  struct plm_corpus_build_options options = fixture_options(&input, fixture_path("out.h5"));
  options.valid = options.test = 0.2;
  options.clusters = write_table("cluster.tsv.gz", 0, 0);
  struct plm_corpus_counts counts = fixture_build(&options, digest);
  assert_int_equal(counts.kept, MUTANTS);
  assert_int_equal(counts.cluster_entries, MUTANTS);
  read_hashes(input, hashes);
  cluster_splits(options.output, hashes, bits);
  for (size_t i = 0; i < CLUSTERS; i++) {
    assert_true(bits[i] == 1 || bits[i] == 2 || bits[i] == 4);
    seen |= bits[i];
  }
  assert_int_equal(seen, 7);
  options.clusters = write_table("cluster.tsv.xz", 1, 0);
  options.cluster_column = 3;
  options.force = 1;
  fixture_build(&options, other);
  assert_string_equal(digest, other);
  unlink(options.output);
}

static void test_build__a_sequence_without_a_cluster_is_named(void **state) {
  (void)state;
  char digest[PLM_HASH_TEXT];
  const char *input = fixture_mutants("m.fasta", MUTANTS);
  struct plm_corpus_build_options options = fixture_options(&input, fixture_path("out.h5"));
  options.clusters = write_table("cluster.tsv.gz", 0, 10);
  expect_refused(&options, PLM_E_DAMAGED, "m.fasta:3981: sequence \"p1990\" has no entry");
  options.clusters_missing_own = 1;
  assert_int_equal(fixture_build(&options, digest).clusters_missing, 10);
  unlink(options.output);
}

static void test_build__cluster_tables_at_fault_are_refused(void **state) {
  (void)state;
  const char *input = fixture_text("in.fasta", ">sp|P1|X_Y z\nMKVLAAGIVGLM\n");
  struct plm_corpus_build_options options = fixture_options(&input, fixture_path("out.h5"));
  options.clusters = fixture_text("c.tsv", "c1\tP1\nc2\tP1\n");
  expect_refused(&options, PLM_E_DAMAGED, "c.tsv:2: this name has another cluster in line 1");
  options.clusters = fixture_text("c.tsv", "c1\tP1\nP2\n");
  expect_refused(&options, PLM_E_DAMAGED, "c.tsv:2: no name in column 2");
  options.clusters = fixture_text("c.tsv", "");
  expect_refused(&options, PLM_E_DAMAGED, "c.tsv:1: a cluster table without entries");
  options.clusters = fixture_text("c.tsv", "c1\tP1\n");
  char digest[PLM_HASH_TEXT]; /* MMseqs2 writes the accession of a UniProt name */
  assert_int_equal(fixture_build(&options, digest).kept, 1);
  unlink(options.output);
}

/* --------------------------------------------------------- held-out files */

static void test_build__held_out_sequences_leave_the_inputs(void **state) {
  (void)state;
  char digest[PLM_HASH_TEXT];
  const char *input =
      fixture_text("in.fasta", ">a\nMKVLAAGIVGLM\n>b\nMKVLAAGIVGLW\n>c\nMKVLAAGIVGLC\n>d\nMKVLAAGIVGLW\n");
  struct plm_corpus_build_options options = fixture_options(&input, fixture_path("out.h5"));
  options.valid = options.test = 0;
  options.valid_fasta = fixture_text("valid.fasta", ">v\nMKVLAAGIVGLW\n>w\nMKVLAAGIVGLH\n");
  options.test_fasta = fixture_text("test.fasta", ">t\nMKVLAAGIVGLC\n>u\nMKVLAAGIVGLH\n");
  struct plm_corpus_counts counts = fixture_build(&options, digest);
  assert_int_equal(counts.dropped_held_out, 3);
  assert_int_equal(counts.dropped_duplicate, 1); /* u equals w: it stays in valid */
  struct plm_corpus *corpus = open_corpus(options.output);
  assert_int_equal(corpus->splits[PLM_SPLIT_TRAIN].sequences, 1);
  assert_int_equal(corpus->splits[PLM_SPLIT_VALID].sequences, 2);
  assert_int_equal(corpus->splits[PLM_SPLIT_TEST].sequences, 1);
  plm_corpus_close(corpus);
  unlink(options.output);
  options.valid = 0.1;
  expect_refused(&options, PLM_E_USAGE, "choose one");
}

/* ---------------------------------------------------------------- refusals */

static void test_build__options_that_cannot_be_are_refused(void **state) {
  (void)state;
  const char *input = fixture_proteins();
  const struct plm_corpus_build_options good = fixture_options(&input, fixture_path("out.h5"));
  struct plm_corpus_build_options options = good;
  options.valid = 0.6, options.test = 0.4;
  expect_refused(&options, PLM_E_USAGE, "less than 1");
  options = good, options.valid = -0.1;
  expect_refused(&options, PLM_E_USAGE, "less than 1");
  options = good, options.length_max = 5;
  expect_refused(&options, PLM_E_USAGE, "max-length");
  options = good, options.length_min = 0;
  expect_refused(&options, PLM_E_USAGE, "min-length");
  options = good, options.cluster_column = 2;
  expect_refused(&options, PLM_E_USAGE, "without a cluster table");
  options = good, options.input_count = 0;
  expect_refused(&options, PLM_E_USAGE, "no input");
  options = good, options.length_min = 90000;
  expect_refused(&options, PLM_E_DAMAGED, "no sequence passes");
  options = good, options.output = fixture_path("no-folder/out.h5");
  expect_refused(&options, PLM_E_IO, "no-folder");
}

static void test_build__an_existing_output_stays_without_force(void **state) {
  (void)state;
  char digest[PLM_HASH_TEXT];
  const char *input = fixture_proteins(), *bad = fixture_text("bad.fasta", ">a\nMKVLAAGIVGLM\n>b\nM!\n");
  struct plm_corpus_build_options options = fixture_options(&input, fixture_text("out.h5", "precious"));
  expect_refused(&options, PLM_E_USAGE, "exists already");
  options.force = 1;
  options.inputs = &bad;
  expect_refused(&options, PLM_E_DAMAGED, "bad.fasta:4: byte 0x21");
  size_t bytes;
  char *kept = fixture_read(options.output, &bytes);
  assert_string_equal(kept, "precious");
  free(kept);
  options.inputs = &input;
  fixture_build(&options, digest);
  plm_corpus_close(open_corpus(options.output));
  unlink(options.output);
}

static void test_build__skip_bad_counts_bad_records(void **state) {
  (void)state;
  char digest[PLM_HASH_TEXT];
  const char *bad = fixture_text("bad.fasta", ">a\nMKVLAAGIVGLM\n>b\nM!\n>c\nMKVLAAGIVGLC\n");
  struct plm_corpus_build_options options = fixture_options(&bad, fixture_path("out.h5"));
  options.skip_bad = 1;
  struct plm_corpus_counts counts = fixture_build(&options, digest);
  assert_int_equal(counts.read, 3);
  assert_int_equal(counts.dropped_bad, 1);
  assert_int_equal(counts.kept, 2);
  unlink(options.output);
}

/* -------------------------------------------------------------- description */

static void test_build__the_description_adds_up(void **state) {
  (void)state;
  struct plm_error err = PLM_ERROR_INIT;
  char digest[PLM_HASH_TEXT], sha256[PLM_SHA256_TEXT];
  const char *input = fixture_proteins(), *name, *letter;
  struct plm_corpus_build_options options = fixture_options(&input, fixture_path("out.h5"));
  options.valid = 0.2;
  struct plm_corpus_counts counts = fixture_build(&options, digest);
  json_t *json, *split, *count;
  assert_int_equal(plm_corpus_describe(&json, options.output, &err), 0);
  assert_string_equal(json_string_value(json_object_get(json, "schema")), "plmscale.corpus/1");
  assert_string_equal(json_string_value(json_object_get(json, "digest")), digest);
  json_t *source = json_array_get(json_object_get(json, "sources"), 0);
  assert_int_equal(plm_sha256_file(sha256, input, &err), 0);
  assert_string_equal(json_string_value(json_object_get(source, "sha256")), sha256);
  assert_string_equal(json_string_value(json_object_get(source, "name")), input);
  json_int_t sequences = 0, residues = 0;
  json_object_foreach(json_object_get(json, "splits"), name, split) {
    json_int_t letters = 0;
    sequences += json_integer_value(json_object_get(split, "sequences"));
    residues += json_integer_value(json_object_get(split, "residues"));
    json_object_foreach(json_object_get(split, "composition"), letter, count) letters += json_integer_value(count);
    assert_int_equal(letters, json_integer_value(json_object_get(split, "residues")));
  }
  assert_int_equal(sequences, counts.kept);
  assert_int_equal(residues, counts.residues_kept);
  json_t *stored = json_object_get(json, "counts");
  assert_int_equal(json_integer_value(json_object_get(stored, "read")), 100);
  assert_int_equal(json_integer_value(json_object_get(stored, "lower_case")), 0);
  json_decref(json);
  unlink(options.output);
}

/* ------------------------------------------------------------------ memory */

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER 1
#else
#define UNDER_SANITIZER 0
#endif

/* Peak resident KiB of a process that builds a corpus of count short sequences. */
static long build_peak(size_t count) {
  const char *input = fixture_path("many.fasta");
  FILE *file = fopen(input, "wb");
  assert_non_null(file);
  for (size_t i = 0; i < count; i++) { /* 20 letters that spell i */
    char text[21] = "MKVLAAGIVGLMKVLAAGIV";
    size_t rest = i;
    for (int j = 0; j < 10; j++, rest /= 20)
      text[j] = *plm_alphabet_name(PLM_TOKEN_STANDARD + (int)(rest % 20));
    fprintf(file, ">s%zu\n%s\n", i, text);
  }
  assert_int_equal(fclose(file), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    struct plm_error err = PLM_ERROR_INIT;
    struct plm_corpus_counts counts;
    char digest[PLM_HASH_TEXT];
    struct plm_corpus_build_options options = fixture_options(&input, fixture_path("many.h5"));
    options.force = 1;
    int code = plm_corpus_build(&options, &counts, digest, &err);
    _exit(code != 0 || counts.kept != count);
  }
  int status;
  struct rusage usage;
  assert_int_equal(wait4(child, &status, 0, &usage), child);
  assert_int_equal(status, 0);
  return usage.ru_maxrss;
}

static void test_build__memory_does_not_grow_with_the_input(void **state) {
  (void)state;
  if (UNDER_SANITIZER)
    skip(); /* its shadow memory is what would be measured */
  long small = build_peak(50000), large = build_peak(500000);
  print_message("peak resident: %ld KiB for 50k sequences, %ld KiB for 500k\n", small, large);
  assert_true(large - small < 4096);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_build__tokens_come_back_as_they_were_read),
      cmocka_unit_test(test_build__duplicates_and_lengths_are_dropped_and_counted),
      cmocka_unit_test(test_build__the_same_input_gives_the_same_digest),
      cmocka_unit_test(test_build__a_split_hangs_on_the_sequence_not_on_the_order),
      cmocka_unit_test(test_build__no_cluster_is_divided),
      cmocka_unit_test(test_build__a_sequence_without_a_cluster_is_named),
      cmocka_unit_test(test_build__cluster_tables_at_fault_are_refused),
      cmocka_unit_test(test_build__held_out_sequences_leave_the_inputs),
      cmocka_unit_test(test_build__options_that_cannot_be_are_refused),
      cmocka_unit_test(test_build__an_existing_output_stays_without_force),
      cmocka_unit_test(test_build__skip_bad_counts_bad_records),
      cmocka_unit_test(test_build__the_description_adds_up),
      cmocka_unit_test(test_build__memory_does_not_grow_with_the_input),
  };
  return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
