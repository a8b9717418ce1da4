/*
 * Batch size and peak learning rate that other studies found or used, for models that nobody has tuned yet: where to
 * start a sweep, and no result of ours.
 */
#ifndef PLM_LAW_PRIORS_H
#define PLM_LAW_PRIORS_H

#include <stddef.h>

#define PLM_PRIORS_MAX 3

struct plm_prior {
  const char *source; /* static: whose, and of which kind of model */
  double batch;       /* tokens */
  double rate;        /* peak, of AdamW */
};

#define PLM_PRIORS_PARAMS_MIN 1e7 /* no rule was made with models near those below */

/*
 * For N parameters (layers) that see D tokens. Returns how many of out are filled, none below PLM_PRIORS_PARAMS_MIN:
 * - Step Law (Li et al. 2025, arXiv 2503.04715): B = 0.581 D^0.571, eta = 1.797 N^-0.713 D^0.307; causal text models.
 * - DeepSeek LLM (2024, arXiv 2401.02954): B = 0.2920 C^0.3271, eta = 0.3118 C^-0.1250, C = 6 N D; causal text models.
 * - Cheng et al. 2024 (arXiv 2411.02142): what their protein models were trained with, from 25M parameters on: between
 *   their sizes in proportion to the logarithm. Not where they did not train (below 25M, above 11B).
 */
size_t plm_priors(struct plm_prior out[PLM_PRIORS_MAX], double params, double tokens);

#endif
