/* Nelder and Mead's downhill simplex (1965) in a box, for a few dimensions and functions without derivatives. */
#ifndef PLM_LAW_SIMPLEX_H
#define PLM_LAW_SIMPLEX_H

#include <stddef.h>

#define PLM_SIMPLEX_DIMENSIONS 8

struct plm_simplex {
  double (*value)(const double *x, void *context);
  void *context;
  size_t dimensions;
  const double *low, *high; /* the box, borrowed; trial points are moved onto its faces */
  double step;              /* length of the first simplex's edges */
  double tolerance;         /* stop when the simplex is no longer than this along any axis */
  size_t evaluations;       /* at most so many values per start */
};

/*
 * From x to a minimum, into x; returns the value there. Starts again from what it found, with a tenth of the edge,
 * until that no longer helps: a simplex can collapse short of the minimum, and on a face of the box it does.
 */
double plm_simplex_minimise(const struct plm_simplex *simplex, double *x);

#endif
