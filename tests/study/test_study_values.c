/* The options: type, range, and what does not fit together. */
#include "study_fixture.h"

#include <stdio.h>
#include <string.h>

struct bad_value {
  const char *text, *complaint;
};

/* Each after STUDY_GOOD: the section is line 6, the value line 7. */
static const struct bad_value bad_values[] = {
    {"[train]\nbatch_tokens = 10\n", "7: [train] batch_tokens \"10\" is out of range (expected 64 to 1e9 tokens)"},
    {"[train]\nbatch_tokens = 2T\n", "7: [train] batch_tokens \"2T\" is out of range (expected 64 to 1e9 tokens)"},
    {"[train]\nbatch_tokens = -8192\n", "7: [train] batch_tokens \"-8192\" is negative (expected 64 to 1e9 tokens)"},
    {"[train]\nbatch_tokens = 8192.5\n",
     "7: [train] batch_tokens \"8192.5\" is not a whole number (expected 64 to 1e9 tokens)"},
    {"[train]\nbatch_tokens =\n", "7: [train] batch_tokens \"\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000) "
                                  "(expected 64 to 1e9 tokens)"},
    {"[train]\nbatch_tokens = 0x2000\n",
     "7: [train] batch_tokens \"0x2000\" is not a number (examples: 0.15, 1e17, 8M, "
     "1_000_000) (expected 64 to 1e9 tokens)"},
    {"[train]\nbatch_tokens = 8192 tokens\n",
     "7: [train] batch_tokens \"8192 tokens\" is not a number (examples: 0.15, "
     "1e17, 8M, 1_000_000) (expected 64 to 1e9 tokens)"},
    {"[train]\nepsilon = 1e400\n", "7: [train] epsilon \"1e400\" is out of range (expected 1e-30 to 1)"},
    {"[train]\nepsilon = 0\n", "7: [train] epsilon \"0\" is out of range (expected 1e-30 to 1)"},
    {"[train]\nbeta2 = nan\n",
     "7: [train] beta2 \"nan\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000) (expected "
     "0 to 0.9999999)"},
    {"[train]\nbeta2 = 1\n", "7: [train] beta2 \"1\" is out of range (expected 0 to 0.9999999)"},
    {"[train]\nclip = inf\n",
     "7: [train] clip \"inf\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000) (expected 0 "
     "to 1e9)"},
    {"[train]\nwarmup = 10%\n", "7: [train] warmup \"10%\" is not a number (examples: 0.15, 1e17, 8M, 1_000_000) "
                                "(expected 0 to 1 fraction of steps)"},
    {"[train]\nschedule = cosin\n", "7: [train] schedule \"cosin\" is not known, did you mean \"cosine\"? (expected "
                                    "auto, constant, linear, cosine or wsd)"},
    {"[train]\nschedule = triangular\n",
     "7: [train] schedule \"triangular\" is not known (expected auto, constant, linear, cosine or wsd)"},
    {"[train]\nschedule =\n", "7: [train] schedule \"\" is not known (expected auto, constant, linear, cosine or wsd)"},
    {"[grid]\nmode = isoflp\n",
     "7: [grid] mode \"isoflp\" is not known, did you mean \"isoflop\"? (expected grid, zip or isoflop)"},
    {"[train]\nlr = fast\n", "7: [train] lr \"fast\" is neither `rule`, nor `sweep`, nor a number from 1e-9 to 10, nor a list SIZE: RATE, .."},
    {"[train]\nlr = -1e-3\n", "7: [train] lr \"-1e-3\" is neither `rule`, nor `sweep`, nor a number from 1e-9 to 10, nor a list SIZE: RATE, .."},
    {"[train]\nlr = 0\n", "7: [train] lr \"0\" is neither `rule`, nor `sweep`, nor a number from 1e-9 to 10, nor a list SIZE: RATE, .."},
    /* rates by size; the grid has the one size 26k, which becomes 2x32x2 */
    {"[train]\nlr = 26k: fast\n", "7: [train] lr \"fast\" is not a number from 1e-9 to 10"},
    {"[train]\nlr = 26k: 11\n", "7: [train] lr \"11\" is not a number from 1e-9 to 10"},
    {"[train]\nlr = 26k:\n", "7: [train] lr \"\" is not a number from 1e-9 to 10"},
    {"[train]\nlr = 26k: 1e-3,\n", "7: [train] lr list: an empty part, a comma too many"},
    {"[train]\nlr = 26k: 1e-3, 2e-3\n",
     "7: [train] lr list part \"2e-3\": no ':' (expected SIZE: RATE, as in 2x32x2: 4e-3)"},
    {"[train]\nlr = : 1e-3\n", "7: [train] lr list: empty, at least one value is needed"},
    {"[train]\nlr = 2x33x2: 1e-3\n", "7: [train] lr shape \"2x33x2\": width 33 is not a multiple of heads 2"},
    {"[train]\nlr = 26k: 1e-3, 26_000: 2e-3\n",
     "7: [train] lr size \"26000\" is given twice (as a model, however it is written)"},
    {"[train]\nlr = 26k: 1e-3, 2x32x2: 1e-3\n",
     "7: [train] lr size \"2x32x2\" is given twice (as a model, however it is written)"},
    {"[train]\nlr = 2x64x4: 1e-3\n", "7: [train] lr has no rate for size \"26000\" of [grid] sizes"},
    {"[train]\nlr = 26k: 1e-3, 2x64x4: 1e-3\n",
     "7: [train] lr has a rate for \"2x64x4\", which is not among [grid] sizes"},
    {"[study]\nname = a/b\n", "7: [study] name \"a/b\" must not contain '/'"},
    /* lists */
    {"[study]\nseeds =\n", "7: [study] seeds is empty, at least one seed is needed"},
    {"[study]\nseeds = 1, -2\n", "7: [study] seeds \"-2\" is out of range (expected 0 to 9007199254740992)"},
    {"[study]\nseeds = 1.5\n", "7: [study] seeds \"1.5\" is not a whole number"},
    {"[study]\nseeds = 1e17\n", "7: [study] seeds \"1e17\" is out of range (expected 0 to 9007199254740992)"},
    {"[study]\nseeds = 1, 2,\n", "7: [study] seeds list: an empty part, a comma too many"},
    {"[study]\nseeds = range(1,1e9,1)\n", "7: [study] seeds list part \"range(1,1e9,1)\": more than 100000 values"},
    {"[run]\ndevices =\n", "7: [run] devices \"\": at least one device is needed (expected NAME[:DEVICE], ...)"},
    {"[run]\ndevices = cpu,, opencl:0\n",
     "7: [run] devices \"cpu,, opencl:0\": a device without a name (expected NAME[:DEVICE], ...)"},
    {"[run]\ndevices = cpu, :1\n",
     "7: [run] devices \"cpu, :1\": a device without a name (expected NAME[:DEVICE], ...)"},
    /* what does not fit together */
    {"[data]\nlength_max = 8193\n", "7: [data] length_max does not fit: a batch of batch_tokens = 8192 cannot hold a "
                                    "sequence of length_max = 8193"},
    {"[train]\nbatch_tokens = 1023\n",
     "7: [train] batch_tokens does not fit: a batch of batch_tokens = 1023 cannot hold "
     "a sequence of length_max = 1024"},
    {"[run]\nmicro_tokens = 512\n",
     "7: [run] micro_tokens does not fit: a micro-batch of micro_tokens = 512 cannot hold "
     "a sequence of length_max = 1024"},
    {"[data]\nmask_random = 0.3\n", "7: [data] mask_random does not fit: mask_token + mask_random = 1.1, more than 1"},
    {"[train]\nwarmup = 0.9\nschedule = wsd\n", "7: [train] warmup does not fit: warmup + cooldown = 1.1, more than 1"},
    {"[model]\nhead_size = 15\n", "7: [model] head_size \"15\" is odd, rotary embedding needs it even"},
    {"[model]\nparametrization = mup\n", "6: [model] base_width is required with parametrization = mup"},
    {"[model]\nparametrization = mu\n",
     "7: [model] parametrization \"mu\" is not known, did you mean \"mup\"? (expected standard or mup)"},
    {"[model]\nbase_width = 64\n", "7: [model] base_width has no meaning with parametrization = standard"},
    {"[grid]\ntokens = 1M\n", "7: [grid] tokens has no meaning in mode isoflop, where tokens = compute / (6 N)"},
    {"[grid]\ncenter = 30k\n", "7: [grid] center is for a study without sizes, give one of the two"},
};

static void test_values__are_refused_with_line_value_and_range(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad_values / sizeof *bad_values; i++) {
    char text[1024];
    const char *complaints[] = {bad_values[i].complaint, NULL};
    snprintf(text, sizeof text, "%s%s", STUDY_GOOD, bad_values[i].text);
    study_fixture_refuse(text, strlen(text), PLM_E_USAGE, complaints);
  }
}

/* Each after corpus, in [grid], which is line 3. */
static const struct bad_value bad_grids[] = {
    {"compute = 1e13\n", "3: [grid] sizes or center is required in mode isoflop"},
    {"sizes = 26k\n", "3: [grid] compute is required in mode isoflop"},
    {"mode = grid\nsizes = 26k\n", "3: [grid] tokens is required in mode grid"},
    {"mode = zip\ntokens = 1M\n", "3: [grid] sizes is required in mode zip"},
    {"mode = grid\nsizes = 26k\ntokens = 1M\ncompute = 1e13\n",
     "7: [grid] compute has no meaning in mode grid, which takes sizes and tokens"},
    {"mode = zip\nsizes = 26k\ntokens = 1M\ncenter = 30k\n",
     "7: [grid] center has no meaning in mode zip, which takes sizes and tokens"},
    {"mode = zip\nsizes = 26k, 30k\ntokens = 1M\n",
     "6: [grid] tokens does not fit: mode zip pairs 2 sizes with 1 tokens"},
    {"compute = 0\nsizes = 26k\n", "4: [grid] compute \"0\" is out of range (expected 1 to 1e30 FLOP)"},
    {"compute = -1e13\nsizes = 26k\n", "4: [grid] compute \"-1e13\" is out of range (expected 1 to 1e30 FLOP)"},
    {"compute = log(1e13,1e12,3)\nsizes = 26k\n",
     "4: [grid] compute list part \"log(1e13,1e12,3)\": log(a,b,n) needs 0 < a < b"},
    {"compute = log(1e4,1e6)\nsizes = 26k\n",
     "4: [grid] compute list part \"log(1e4,1e6)\": 2 arguments where 3 are needed"},
    {"compute = 1e13\nsizes = 0x0x0\n", "5: [grid] sizes shape \"0x0x0\": layers must be from 1 to 10000"},
    {"compute = 1e13\nsizes = 26k, 1x15x2\n",
     "5: [grid] sizes shape \"1x15x2\": width 15 is not a multiple of heads 2"},
    {"compute = 1e13\nsizes = -26k\n", "5: [grid] sizes size \"-26000\": must be from 1 to 1e15 parameters"},
    {"mode = grid\nsizes = 26k\ntokens = 0\n", "6: [grid] tokens \"0\" is out of range (expected 1 to 1e18 tokens)"},
    {"compute = 1e13\ncenter = 30k\nspread = 1\n",
     "6: [grid] spread \"1\" is out of range (expected 1.1 to 1000 factor)"},
    {"compute = 1e13\nsizes = 2x64x4, 2x64x2\n[model]\nparametrization = mup\nbase_width = 64\n",
     "6: [model] head_size does not fit: size \"2x64x2\" has base_width and heads of 32, where mup takes heads of "
     "head_size = 16"},
    {"compute = 1e13\ncenter = 30k\n[train]\nlr = 30k: 1e-3\n",
     "7: [train] lr lists rates by size, which needs [grid] sizes"},
    {"compute = 1e13\ncenter = 30k\npoints_per_budget = 2\n",
     "6: [grid] points_per_budget \"2\" is out of range (expected 3 to 100)"},
};

static void test_values__grids_are_refused_with_line_and_reason(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad_grids / sizeof *bad_grids; i++) {
    char text[1024];
    const char *complaints[] = {bad_grids[i].complaint, NULL};
    snprintf(text, sizeof text, "[study]\ncorpus = c.h5\n[grid]\n%s", bad_grids[i].text);
    study_fixture_refuse(text, strlen(text), PLM_E_USAGE, complaints);
  }
}

static void test_values__all_errors_of_a_file_are_collected_by_line(void **state) {
  (void)state;
  static const char text[] =
      "x = 1\n[study]\nseeds = -1\ncorpsu = c.h5\n[grid]\nsizes = 1x15x2\n[modle]\na = 1\n[data]\n"
      "mask_rate = 0\nnonsense\n";
  static const char *const complaints[] = {
      "1: key \"x\" stands before the first [section]",
      "2: [study] corpus is required: corpus made by `plmscale data build`, relative to this file",
      "3: [study] seeds \"-1\" is out of range (expected 0 to 9007199254740992)",
      "4: unknown key \"corpsu\" in [study], did you mean \"corpus\"?",
      "5: [grid] compute is required in mode isoflop",
      "6: [grid] sizes shape \"1x15x2\": width 15 is not a multiple of heads 2",
      "7: unknown section \"modle\", did you mean [model]?",
      "10: [data] mask_rate \"0\" is out of range (expected 0.001 to 0.9 fraction)",
      "11: \"nonsense\": no '=' (expected key = value or [section])",
      NULL,
  };
  study_fixture_refuse(text, strlen(text), PLM_E_USAGE, complaints);
}

static void test_values__good_ones_are_taken(void **state) {
  (void)state;
  struct plm_study *study = study_fixture_read(
      "[study]\ncorpus = ../c.h5\nname = x\nseeds = range(1,3,1)\n[grid]\nmode = zip\nsizes = 26k, 2x32x2\n"
      "tokens = 1M, 2_000_000\n[train]\nlr = 1e-3\nschedule = wsd\nbatch_tokens = 4k\nwarmup = 0.8\n[data]\n"
      "length_max = 4000\nmask_random = 0.2\n[run]\ndevices = opencl:0, cpu , cpu\n[backend opencl]\nfast = yes\n"
      "[backend cpu]\nfast = no\n");
  const struct plm_config *config = &study->config;
  assert_int_equal(config->grid_mode, PLM_GRID_ZIP);
  assert_int_equal(config->train_schedule, PLM_SCHEDULE_WSD);
  assert_int_equal(config->train_batch_tokens, 4000);
  assert_true(config->train_warmup == 0.8 && config->train_beta2 == 0.98 && config->train_epsilon == 1e-8);
  assert_string_equal(config->run_devices, "opencl:0, cpu , cpu");
  assert_int_equal(config->evaluate_tokens, 200000);
  assert_int_equal(study->backend_option_count, 2);
  assert_string_equal(study->backend_options[0].backend, "opencl");
  assert_string_equal(study->backend_options[1].key, "fast");
  assert_string_equal(study->backend_options[1].value, "no");
  assert_int_equal(study->backend_options[1].line, 22);
  plm_study_destroy(study);
}

static void test_values__choices_stand_in_the_order_of_their_enums(void **state) {
  (void)state;
  static const char *const modes[] = {"grid", "zip", "isoflop"};
  static const char *const schedules[] = {"auto", "constant", "linear", "cosine", "wsd"};
  for (int i = 1; i < 5; i++) {
    char text[512];
    snprintf(text, sizeof text, "[study]\ncorpus=c\n[train]\nschedule=%s\n[grid]\nmode=%s\n%s", schedules[i],
             modes[i % 3], i % 3 == PLM_GRID_ISOFLOP ? "compute=1e13\ncenter=30k\n" : "sizes=26k\ntokens=1M\n");
    struct plm_study *study = study_fixture_read(text);
    assert_int_equal(study->config.grid_mode, i % 3);
    assert_int_equal(study->config.train_schedule, i);
    plm_study_destroy(study);
  }
}

static void test_values__paths_are_relative_to_the_file(void **state) {
  (void)state;
  char expected[300];
  struct plm_study *study = study_fixture_read(STUDY_GOOD);
  assert_string_equal(study->config.study_name, "study");
  assert_string_equal(study->folder, study_fixture_path("study.study"));
  assert_string_equal(study->corpus, study_fixture_path("c.h5"));
  assert_string_equal(study->path, study_fixture_path("study.ini"));
  assert_string_equal(study->text, STUDY_GOOD);
  plm_study_destroy(study);
  study = study_fixture_read("[study]\ncorpus = /data/c.h5\nname = my study\n[grid]\ncompute = 1e13\nsizes = 26k\n");
  snprintf(expected, sizeof expected, "%s", study_fixture_path("my study.study"));
  assert_string_equal(study->folder, expected);
  assert_string_equal(study->corpus, "/data/c.h5");
  plm_study_destroy(study);
  study = study_fixture_read("[study]\ncorpus = c.h5\nout = results/a\n[grid]\ncompute = 1e13\nsizes = 26k\n");
  assert_string_equal(study->folder, study_fixture_path("results/a"));
  plm_study_destroy(study);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values__are_refused_with_line_value_and_range),
      cmocka_unit_test(test_values__grids_are_refused_with_line_and_reason),
      cmocka_unit_test(test_values__all_errors_of_a_file_are_collected_by_line),
      cmocka_unit_test(test_values__good_ones_are_taken),
      cmocka_unit_test(test_values__choices_stand_in_the_order_of_their_enums),
      cmocka_unit_test(test_values__paths_are_relative_to_the_file),
  };
  return cmocka_run_group_tests(tests, study_fixture_setup, study_fixture_teardown);
}
