/* A study made ready to work on: its corpus known, its backend settings complete, its grid expanded. */
#ifndef PLM_TRAIN_PREPARE_H
#define PLM_TRAIN_PREPARE_H

#include "base/error.h"
#include "base/hash.h"
#include "study/study.h"

struct plm_prepared {
  char corpus_digest[PLM_HASH_TEXT];
  double mean_length; /* tokens of a training sequence, cropped, with <cls> and <eos> */
};

/* Adds NAME.KEY=VALUE to the study's backend settings, in the place of an earlier value of that key. */
int plm_prepare_setting(struct plm_study *study, const char *text, struct plm_error *err);

/* Opens the corpus (and closes it again) and expands the grid. */
int plm_prepare_study(struct plm_prepared *out, struct plm_study *study, struct plm_error *err);

/* FLOPs of a cell's matrix products, as exact as they can be known before it runs: what time estimates go by. */
double plm_prepare_flops(const struct plm_study *study, const struct plm_cell *cell, double mean_length);

#endif
