/*
 * Newton's method in a few dimensions, damped as Levenberg and Marquardt do (their lambda times the diagonal is added
 * until the Hessian is positive definite and the step goes down), optionally in a box. For functions with second
 * derivatives at hand: converges quadratically however badly the variables are scaled against each other.
 */
#ifndef PLM_LAW_NEWTON_H
#define PLM_LAW_NEWTON_H

#include <stddef.h>

#define PLM_NEWTON_DIMENSIONS 5

struct plm_newton {
  /* The value at x; gradient and hessian (lower triangle, row-major, dimensions^2) are filled unless NULL (both or
   * none). A value that is not finite is taken as worse than any. */
  double (*value)(double *gradient, double *hessian, const double *x, void *context);
  void *context;
  size_t dimensions;
  const double *low, *high; /* the box, borrowed; both NULL: none */
  size_t iterations;        /* at most */
};

/* From x downhill to a minimum, into x; returns the value there, never above that of the start. */
double plm_newton_minimise(const struct plm_newton *newton, double *x);

#endif
