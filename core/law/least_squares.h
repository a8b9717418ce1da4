/* Linear least squares in up to three unknowns. */
#ifndef PLM_LAW_LEAST_SQUARES_H
#define PLM_LAW_LEAST_SQUARES_H

#include <stddef.h>

#define PLM_LEAST_SQUARES_COLUMNS 3

/* doubles of scratch for rows rows */
#define PLM_LEAST_SQUARES_WORK(rows) ((PLM_LEAST_SQUARES_COLUMNS + 1) * (rows))

/*
 * The c that minimises |y - sum_j c_j x_j|^2, into out, and that minimum into *residual. x: columns borrowed columns of
 * rows values. By modified Gram-Schmidt on the columns scaled to unit length, with y as the last column, which is as
 * accurate as Householder's QR (Bjorck 1967). Returns 1, or 0 (outputs untouched) when the columns depend on each other
 * to working precision. For weights, scale the rows of x and y by their roots.
 */
int plm_least_squares(double *out, double *residual, const double *const *x, size_t columns, const double *y,
                      size_t rows, double *work);

/* The same with c >= 0 (Lawson and Hanson's NNLS), by trying every set of unknowns that may be positive. Always
 * succeeds when some column is not 0; unknowns that are 0 in the solution are exactly 0. */
int plm_least_squares_positive(double *out, double *residual, const double *const *x, size_t columns, const double *y,
                               size_t rows, double *work);

#endif
