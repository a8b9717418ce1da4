/*
 * Lack of fit (Draper and Smith, Applied Regression Analysis, 1.5): what a surface misses beyond what other seeds would change
 * says that the law has not its form, whatever its interval says.
 */
#ifndef PLM_LAW_MISFIT_H
#define PLM_LAW_MISFIT_H

#include "law/noise.h"

#define PLM_MISFIT_LARGE 2 /* times the noise: worth a warning */

/*
 * The root of (sum of squared log residuals - that of the noise) / its degrees of freedom / sigma^2: 1 when the surface is right.
 * NAN when the fit has no surface, the noise is not of replicates, or there are no degrees of freedom left.
 */
double plm_misfit(const struct plm_fit *fit, const struct plm_fit_task *task, const struct plm_noise *noise);

#endif
