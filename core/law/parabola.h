/*
 * IsoFLOP parabolas, approach 2 of Hoffmann et al. 2022: at every budget loss = c0 + c1 log N + c2 (log N)^2 by least
 * squares; its vertex is N_opt of that budget; least squares of log N_opt on log C gives a, and b follows from the cost
 * of a token.
 *
 * A budget is refused, by name, when it has fewer than 3 sizes, when its points are not of one compute (10 %), when the
 * parabola does not open upwards, or when the vertex lies outside the sizes that were measured. One accepted budget
 * gives an optimum there; exponents need two.
 */
#ifndef PLM_LAW_PARABOLA_H
#define PLM_LAW_PARABOLA_H

#include "law/estimator.h"

#define PLM_PARABOLA_SIZES_MIN 3

/* A row of the table in estimator.c. */
int plm_parabola_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
