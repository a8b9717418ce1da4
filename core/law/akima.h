/*
 * IsoFLOP minima by interpolation, as Porian et al. 2024 find them: the spline of Akima (1970) through log loss over
 * log N, seeds of a size averaged, and its lowest point; here exactly, from the roots of its cubics' derivatives, where
 * they take the lowest of 25 values an interval. Refused besides: a lowest point at the smallest or largest size.
 */
#ifndef PLM_LAW_AKIMA_H
#define PLM_LAW_AKIMA_H

#include "law/isoflop.h"

#define PLM_AKIMA_KNOTS_MIN 5

/* The slopes of the spline at count >= 2 knots, x ascending strictly. */
void plm_akima_slopes(double *out, const double *x, const double *y, size_t count);

/* The lowest point of the spline; returns its value. */
double plm_akima_minimum(double *x_min, const double *x, const double *y, const double *slopes, size_t count);

/* A row of the table in estimator.c. */
int plm_akima_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err);

#endif
