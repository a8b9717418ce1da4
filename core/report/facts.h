/* Everything a report is written from, gathered once: where each cell stands, its run, the fits, the sensitivity. */
#ifndef PLM_REPORT_FACTS_H
#define PLM_REPORT_FACTS_H

#include "law/law.h"
#include "law/study_points.h"
#include "law/why.h"
#include "study/study.h"
#include "train/states.h"

struct plm_facts_options {
  size_t draws;     /* of the bootstraps; 0: no intervals */
  uint64_t seed;    /* of the bootstrap of the laws */
  unsigned threads; /* 0: as many as there are CPUs */
};

struct plm_corpus_facts {
  char digest[PLM_HASH_TEXT];
  uint64_t sequences[3], residues[3]; /* of the splits */
  int64_t epoch_tokens;               /* of one pass over the training split, cropped as the study crops */
};

/* One for each cell of the study, in its order. */
struct plm_cell_facts {
  const struct plm_cell *cell; /* borrowed from the study */
  struct plm_cell_standing standing;
  const struct plm_run *run; /* borrowed from runs; NULL when it has none */
};

struct plm_facts {
  struct plm_facts_options options;
  struct plm_study *study;
  struct plm_corpus_facts corpus;
  struct plm_cell_facts *cells;
  size_t cell_count, state_counts[PLM_CELL_STATES]; /* of the points */
  size_t sweep_count; /* runs of learning-rate sweeps, which are no points and not among the cells */
  struct plm_study_runs runs;

  struct plm_points points; /* validation loss over <mask>, N layers only, C = 6 N D */
  struct plm_law *law;      /* every estimator, with intervals and held-out budgets */
  struct plm_law *line;     /* the main estimator alone, at many values of C: its band; NULL when there is no main */
  struct plm_why *why;      /* NULL: why_absent says why */
  char why_absent[PLM_ERROR_TEXT];

  /* Borrowed from law. The estimator to believe: PLM_LAW_MAIN or, when it has no answer or its surface misses the runs by more than
   * PLM_MISFIT_LARGE, the first of the table but the envelope that has both exponents and an optimum; NULL when none has. */
  const struct plm_fit *main;
  double misfit; /* of PLM_LAW_MAIN (law/misfit.h); 0: not known */
  size_t at; /* index of the largest measured budget with an optimum of main */
};

/*
 * Gathers, for a study as it was read (study.h), which is taken whatever comes of it. PLM_E_IO and PLM_E_DAMAGED for a corpus that cannot
 * be used, PLM_E_USAGE for a grid that cannot be expanded. Damaged run files, failures and fits that were refused are
 * facts. *out (init by zeroing) is to be released either way.
 */
int plm_facts_gather(struct plm_facts *out, struct plm_study *study, const struct plm_facts_options *options,
                     struct plm_error *err);
void plm_facts_fini(struct plm_facts *facts);

/* The optimum of main at the largest budget; NULL without main. */
const struct plm_optimum *plm_facts_best(const struct plm_facts *facts);

/* What a cell that is in no fit is left out for, in plain words, NULL for one that is in the fits. */
const char *plm_facts_left_out(const struct plm_cell_facts *cell);

/* The lowest and highest N_opt of all estimators at the largest budget, and how many answered; 0: none did. */
size_t plm_facts_spread(const struct plm_facts *facts, const struct plm_fit **low, const struct plm_fit **high);

/* The number, from 1, of the backend, device, driver and settings that trained a run, in the order of the runs. */
size_t plm_facts_training(const struct plm_study_runs *runs, const struct plm_run *run);

#endif
