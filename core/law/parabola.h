/*
 * IsoFLOP parabolas, approach 2 of Hoffmann et al. 2022: at every budget loss = c0 + c1 log N + c2 (log N)^2 by least
 * squares; its vertex is the minimum (isoflop.h). Refused besides: a parabola that does not open upwards.
 */
#ifndef PLM_LAW_PARABOLA_H
#define PLM_LAW_PARABOLA_H

#include "law/isoflop.h"

extern const struct plm_vertex_finder plm_parabola_finder;

/* A row of the table in estimator.c. */
int plm_parabola_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
