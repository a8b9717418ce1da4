/* Published exponents of compute-optimal models, to hold a study against. */
#ifndef PLM_REPORT_PUBLISHED_H
#define PLM_REPORT_PUBLISHED_H

#include <stddef.h>

struct plm_published {
  const char *name, *source, *what;
  double a, b; /* N_opt ~ C^a, D_opt ~ C^b, as published: they were fitted apart and need not add up to 1 */
  int protein; /* 0: of text */
};

/* None of them comes with a prefactor that would hold at another corpus, so they are compared by their slopes. */
const struct plm_published *plm_published(size_t *count);

#endif
