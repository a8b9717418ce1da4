#include <stdlib.h>
#include <string.h>

#include "data/corpus.h"
#include "data/fasta.h"
#include "data_fixture.h"

static void test_corpus_memory__sequences_are_those_of_the_file(void **state) {
  const struct plm_fasta_options options = {0};
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_fasta_record record;
  struct plm_corpus *corpus;
  struct plm_fasta *fasta;
  int end;
  (void)state;
  assert_int_equal(plm_corpus_from_fasta(&corpus, fixture_proteins(), 1000, &err), 0);
  const struct plm_corpus_split *train = &corpus->splits[PLM_SPLIT_TRAIN];
  assert_int_equal(train->sequences, 100);
  assert_int_equal(train->offsets[0], 0);
  assert_int_equal(train->offsets[100], train->residues);
  assert_int_equal(corpus->splits[PLM_SPLIT_VALID].sequences, 0);
  assert_int_equal(plm_fasta_open(&fasta, fixture_proteins(), &options, &err), 0);
  for (uint64_t i = 0; i < 100; i++) {
    assert_int_equal(plm_fasta_next(fasta, &record, &end, &err), 0);
    assert_int_equal(train->offsets[i + 1] - train->offsets[i], record.length);
    assert_memory_equal(train->tokens + train->offsets[i], record.tokens, record.length);
  }
  plm_fasta_close(fasta);
  plm_corpus_close(corpus);
}

static void test_corpus_memory__the_limit_and_unusable_records_are_left_out(void **state) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_corpus *corpus;
  (void)state;
  const char *path = fixture_text("some.fasta", ">a\nMKV\n>empty\n>bad\nM1\n>b\nLLLL\n>c\nAA\n");
  assert_int_equal(plm_corpus_from_fasta(&corpus, path, 2, &err), 0);
  assert_int_equal(corpus->splits[PLM_SPLIT_TRAIN].sequences, 2);
  assert_int_equal(corpus->splits[PLM_SPLIT_TRAIN].residues, 7);
  assert_int_equal(plm_corpus_epoch_tokens(corpus, PLM_SPLIT_TRAIN, 100), 11);
  plm_corpus_close(corpus);
}

static void test_corpus_memory__a_file_without_sequences_is_refused(void **state) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_corpus *corpus;
  (void)state;
  const char *path = fixture_text("empty.fasta", ">empty\n>bad\nM1\n");
  assert_int_equal(plm_corpus_from_fasta(&corpus, path, 2, &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "empty.fasta: no usable sequence"));
  assert_int_equal(plm_corpus_from_fasta(&corpus, fixture_path("none.fasta"), 2, &err), PLM_E_IO);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_corpus_memory__sequences_are_those_of_the_file),
      cmocka_unit_test(test_corpus_memory__the_limit_and_unusable_records_are_left_out),
      cmocka_unit_test(test_corpus_memory__a_file_without_sequences_is_refused),
  };
  return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
