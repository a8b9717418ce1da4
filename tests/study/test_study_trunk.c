/* Who shares a trunk with whom, and what a growing grid does to the cells that were there. */
#include "study_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/trunk.h"

#define HEAD "[study]\ncorpus = c.h5\n[data]\nlength_max = 512\n"
#define CORPUS_TOKENS 10000000

/* The only cell of a size by tokens. */
static const struct plm_cell *cell_of(const struct plm_study *study, uint32_t width, int64_t tokens, uint64_t seed) {
  for (size_t i = 0; i < study->cell_count; i++)
    if (study->cells[i].shape.width == width && study->cells[i].tokens == tokens && study->cells[i].seed == seed)
      return &study->cells[i];
  fail_msg("no cell of width %u with %lld tokens", width, (long long)tokens);
  return NULL;
}

static const struct plm_cell *parent_of(const struct plm_study *study, const struct plm_cell *cell) {
  return cell->parent == PLM_NO_CELL ? NULL : &study->cells[cell->parent];
}

static void test_trunk__is_of_one_size_and_seed(void **state) {
  (void)state;
  struct plm_study *study = study_fixture_expand(HEAD "[study]\nseeds = 1, 2\n[grid]\nmode = grid\nsizes = 1x16x1, 1x32x2\n"
                                                      "tokens = 4M, 1M, 2M\n[train]\nbatch_tokens = 1000\n",
                                                 CORPUS_TOKENS);
  assert_int_equal(study->config.train_schedule, PLM_SCHEDULE_WSD);
  for (uint64_t seed = 1; seed <= 2; seed++)
    for (uint32_t width = 16; width <= 32; width += 16) {
      const struct plm_cell *cells[] = {cell_of(study, width, 1000000, seed), cell_of(study, width, 2000000, seed),
                                        cell_of(study, width, 4000000, seed)};
      for (int i = 0; i < 3; i++) {
        assert_ptr_equal(parent_of(study, cells[i]), i ? cells[i - 1] : NULL);
        assert_int_equal(cells[i]->warmup_steps, 100); /* of the shortest */
        assert_int_equal(cells[i]->trunk_steps, cells[i]->steps * 8 / 10);
        assert_int_equal(plm_trunk_shared(study, cells[i]), i ? cells[i - 1]->trunk_steps : 0);
      }
    }
  study->config.run_trunks = 0;
  assert_int_equal(plm_trunk_shared(study, cell_of(study, 16, 4000000, 1)), 0);
  plm_study_destroy(study);
}

static void test_trunk__passes_over_refused_cells(void **state) {
  (void)state;
  struct plm_study *study = study_fixture_expand(HEAD "[grid]\nmode = grid\nsizes = 1x16x1\ntokens = 1k, 1M, 2M, 40M\n"
                                                      "epochs_max = 3\n[train]\nbatch_tokens = 2000\n",
                                                 CORPUS_TOKENS);
  const struct plm_cell *first = cell_of(study, 16, 1000000, 1), *second = cell_of(study, 16, 2000000, 1);
  assert_non_null(cell_of(study, 16, 1000, 1)->refused);
  assert_non_null(cell_of(study, 16, 40000000, 1)->refused);
  assert_null(parent_of(study, first));
  assert_ptr_equal(parent_of(study, second), first);
  assert_int_equal(second->warmup_steps, 50);
  assert_null(parent_of(study, cell_of(study, 16, 40000000, 1)));
  plm_study_destroy(study);
}

static void id_of(char out[PLM_CELL_ID], const char *tokens, const char *train) {
  char text[512];
  snprintf(text, sizeof text, HEAD "[grid]\nmode = grid\nsizes = 1x16x1\ntokens = %s\n[train]\nbatch_tokens = 1000\n%s",
           tokens, train);
  struct plm_study *study = study_fixture_expand(text, CORPUS_TOKENS);
  strcpy(out, cell_of(study, 16, 2000000, 1)->id);
  plm_study_destroy(study);
}

static void test_trunk__longer_cells_change_no_id_and_shorter_ones_need_warmup_steps(void **state) {
  (void)state;
  char id[PLM_CELL_ID], longer[PLM_CELL_ID], shorter[PLM_CELL_ID];
  id_of(id, "2M, 4M", "");
  id_of(longer, "2M, 4M, 8M", "");
  id_of(shorter, "1M, 2M, 4M", "");
  assert_string_equal(longer, id);
  assert_string_not_equal(shorter, id);
  id_of(id, "2M, 4M", "warmup_steps = 100\n");
  id_of(shorter, "1M, 2M, 4M", "warmup_steps = 100\n");
  assert_string_equal(shorter, id);
  id_of(longer, "2M, 4M", "warmup_steps = 100\nwarmup = 0.3\n"); /* which says nothing then */
  assert_string_equal(longer, id);
}

static void test_trunk__auto_is_wsd_where_sizes_have_several_token_counts(void **state) {
  (void)state;
  static const struct {
    const char *grid;
    int schedule;
  } cases[] = {
      {"mode = grid\nsizes = 1x16x1\ntokens = 1M, 2M\n", PLM_SCHEDULE_WSD},
      {"mode = grid\nsizes = 1x16x1, 1x32x2\ntokens = 1M\n", PLM_SCHEDULE_COSINE},
      {"mode = zip\nsizes = 1x16x1, 1x32x2\ntokens = 1M, 2M\n", PLM_SCHEDULE_COSINE},
      {"compute = 1e12, 2e12\nsizes = 1x16x1\n", PLM_SCHEDULE_WSD},
      {"compute = 1e12\nsizes = 1x16x1, 1x32x2\n", PLM_SCHEDULE_COSINE},
      {"compute = 1e12, 2e12\ncenter = 30k\n", PLM_SCHEDULE_COSINE},
      {"compute = 1e12, 2e12\nsizes = 1x16x1\n[train]\nschedule = linear\n", PLM_SCHEDULE_LINEAR},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[512];
    snprintf(text, sizeof text, HEAD "[grid]\n%s", cases[i].grid);
    struct plm_study *study = study_fixture_read(text);
    assert_int_equal(study->config.train_schedule, cases[i].schedule);
    plm_study_destroy(study);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_trunk__is_of_one_size_and_seed),
      cmocka_unit_test(test_trunk__passes_over_refused_cells),
      cmocka_unit_test(test_trunk__longer_cells_change_no_id_and_shorter_ones_need_warmup_steps),
      cmocka_unit_test(test_trunk__auto_is_wsd_where_sizes_have_several_token_counts),
  };
  return cmocka_run_group_tests(tests, study_fixture_setup, study_fixture_teardown);
}
