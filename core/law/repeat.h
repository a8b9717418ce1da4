/*
 * The data-constrained law of Muennighoff et al. 2023, for runs that see their data more than once:
 *
 *   L = E + A/N'^alpha + B/D'^beta
 *   D' = U + U R_D (1 - exp(-r/R_D)),  r = D/U - 1     U unique tokens
 *   N' likewise of U_N = min(N, N_opt of the budget whose D_opt is U), with R_N
 *
 * As in the paper the law of single-pass runs comes first (here by vp, from the rows with D <= U), then R_D and R_N, how
 * many repetitions of data and how much excess size are worth something, from the others: least squares of the loss, a
 * grid over 0.1 to 1e4 and a simplex. Then, unlike there, all seven together from all rows with a known U, by Newton's
 * method with E, A, B of given ratio by least squares: a model larger than its data warrant has faded size in its first
 * pass already, and a surface of single passes takes that for its own. N_opt per budget is found along C for the largest
 * U; a and b are those of data without end.
 */
#ifndef PLM_LAW_REPEAT_H
#define PLM_LAW_REPEAT_H

#include "law/surface.h"

#define PLM_REPEAT_MIN 0.1
#define PLM_REPEAT_MAX 1e4

struct plm_repeat_law {
  struct plm_surface base;
  double cost_exponent; /* q of C = k N^q D */
  double data, size;    /* R_D, R_N */
};

/* unique 0: not limited. */
double plm_repeat_loss(const struct plm_repeat_law *law, double params, double tokens, double unique);

/* A row of the table in estimator.c. Refused: fewer than 2 repeating rows (D > U), or single-pass rows that vp refuses.
 */
int plm_repeat_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
