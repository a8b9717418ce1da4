/*
 * What [train] lr says: one peak learning rate, `rule`, `sweep` (study/sweep_plan.h), or a list of rates by size, "2x32x2: 4e-3, 300k: 2e-3", where a size is
 * written as in [grid] sizes (log(..) and range(..) give all their sizes one rate). Internal to study/.
 */
#ifndef PLM_STUDY_RATES_H
#define PLM_STUDY_RATES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "study/grid.h"

#define PLM_RATE_MIN 1e-9
#define PLM_RATE_MAX 10.0

enum plm_rates_kind { PLM_RATES_ONE, PLM_RATES_RULE, PLM_RATES_LIST, PLM_RATES_SWEEP };

struct plm_size_rate {
  struct plm_size size; /* with its shape where there is one */
  double rate;
};

struct plm_rates {
  enum plm_rates_kind kind;
  double rate;                 /* of PLM_RATES_ONE */
  struct plm_size_rate *items; /* of PLM_RATES_LIST, at least one */
  size_t count;
};

/*
 * head_size makes shapes of counts. PLM_E_USAGE names the part at fault: not of these forms, a rate outside
 * PLM_RATE_MIN..PLM_RATE_MAX, or two parts for one model (300k and the shape that it becomes are one). Owned by the caller:
 * plm_rates_fini (takes a zeroed one).
 */
int plm_rates_parse(struct plm_rates *out, const char *text, uint32_t head_size, struct plm_error *err);
void plm_rates_fini(struct plm_rates *rates);

/* The listed rate of a size, found by shape, or by count for a size without one; NAN when it is not listed. */
double plm_rates_listed(const struct plm_rates *rates, struct plm_size size);

/* Every size must have a rate and every rate a size: else PLM_E_USAGE, naming them. Sizes as plm_grid_parse_sizes gives them. */
int plm_rates_cover(const struct plm_rates *rates, const struct plm_size *sizes, size_t count, uint32_t head_size,
                    struct plm_error *err);

/* The size with the shape that its count becomes, where it becomes one. */
struct plm_size plm_rates_size(struct plm_size size, uint32_t head_size);

#endif
