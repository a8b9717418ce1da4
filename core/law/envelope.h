/*
 * The envelope of learning curves, approach 1 of Hoffmann et al. 2022: at 1,500 values of C, evenly spaced in the
 * logarithm, the run with the lowest loss at that compute; least squares of its log N on log C gives a, and b follows
 * from the cost of a token. Curves come smoothed; in between they are interpolated in log loss over log tokens, and
 * their first 5 % are not used.
 *
 * A value of C counts only where the best run has both smaller and larger sizes to compete with: elsewhere the best
 * size is the end of the grid. That pulls a a little, by -0.012 on a ladder of sizes centred half too high, a fifth of the
 * interval's width (law_coverage); a note says what it costs. Refused: fewer than 4 sizes with curves, or fewer than 2
 * sizes that win.
 */
#ifndef PLM_LAW_ENVELOPE_H
#define PLM_LAW_ENVELOPE_H

#include "law/estimator.h"

#define PLM_ENVELOPE_STEPS 1500
#define PLM_ENVELOPE_SKIP 0.05 /* share of a run at its start */
#define PLM_ENVELOPE_SIZES_MIN 4

/* A row of the table in estimator.c. */
int plm_envelope_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
