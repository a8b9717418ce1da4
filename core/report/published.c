#include "report/published.h"

const struct plm_published *plm_published(size_t *count) {
  static const struct plm_published table[] = {
      {"Serrano et al.", "Serrano, Ciudad, Molina 2024, arXiv 2406.07249",
       "masked protein models of 5M to 650M parameters on UniRef50", 0.27, 0.71, 1},
      {"Cheng et al.", "Cheng et al. 2024, arXiv 2411.02142",
       "masked protein models, IsoFLOP budgets of 1e18 to 1e21 FLOP, half of the data metagenomic", 0.776, 0.230, 1},
      {"Chinchilla", "Hoffmann et al. 2022, arXiv 2203.15556, approach 3", "causal models of text", 0.46, 0.54, 0},
  };
  *count = sizeof table / sizeof *table;
  return table;
}
