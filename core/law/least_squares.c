#include "law/least_squares.h"

#include <math.h>
#include <string.h>

/* Columns closer to dependent than this after scaling are refused. */
#define DEPENDENT 1e-12

static double dot(const double *a, const double *b, size_t rows) {
  double sum = 0;
  for (size_t i = 0; i < rows; i++)
    sum += a[i] * b[i];
  return sum;
}

/* Takes the unit column q out of v; returns its share. */
static double project_out(double *v, const double *q, size_t rows) {
  double share = dot(q, v, rows);
  for (size_t i = 0; i < rows; i++)
    v[i] -= share * q[i];
  return share;
}

/* Scales v to unit length; returns its length before. */
static double normalise(double *v, size_t rows) {
  double length = sqrt(dot(v, v, rows));
  double inverse = 1 / length; /* a division a row would cost more than all the rest */
  if (length > 0)
    for (size_t i = 0; i < rows; i++)
      v[i] *= inverse;
  return length;
}

int plm_least_squares(double *out, double *residual, const double *const *x, size_t columns, const double *y,
                      size_t rows, double *work) {
  double r[PLM_LEAST_SQUARES_COLUMNS][PLM_LEAST_SQUARES_COLUMNS + 1], scale[PLM_LEAST_SQUARES_COLUMNS];
  double *rest = work + columns * rows;
  if (rows < columns)
    return 0;
  memcpy(rest, y, rows * sizeof *rest);
  for (size_t j = 0; j < columns; j++) {
    memcpy(work + j * rows, x[j], rows * sizeof *work);
    scale[j] = normalise(work + j * rows, rows);
    if (!(scale[j] > 0) || !isfinite(scale[j]))
      return 0;
  }
  for (size_t j = 0; j < columns; j++) {
    double *q = work + j * rows;
    r[j][j] = normalise(q, rows);
    if (!(r[j][j] > DEPENDENT))
      return 0;
    for (size_t k = j + 1; k <= columns; k++)
      r[j][k] = project_out(work + k * rows, q, rows);
  }
  double c[PLM_LEAST_SQUARES_COLUMNS];
  for (size_t j = columns; j-- > 0;) {
    c[j] = r[j][columns];
    for (size_t k = j + 1; k < columns; k++)
      c[j] -= r[j][k] * c[k];
    c[j] /= r[j][j];
  }
  for (size_t j = 0; j < columns; j++)
    out[j] = c[j] / scale[j];
  *residual = dot(rest, rest, rows);
  return 1;
}

/* Solves for the columns of set; 1 when it could be and none is negative. */
static int set_solve(double *out, double *residual, unsigned set, const double *const *x, size_t columns,
                     const double *y, size_t rows, double *work) {
  const double *chosen[PLM_LEAST_SQUARES_COLUMNS] = {NULL};
  double c[PLM_LEAST_SQUARES_COLUMNS], rss;
  size_t count = 0;
  for (size_t j = 0; j < columns; j++)
    if (set >> j & 1)
      chosen[count++] = x[j];
  if (!plm_least_squares(c, &rss, chosen, count, y, rows, work))
    return 0;
  for (size_t j = 0; j < count; j++)
    if (c[j] < 0)
      return 0;
  size_t at = 0;
  for (size_t j = 0; j < columns; j++)
    out[j] = set >> j & 1 ? c[at++] : 0;
  *residual = rss;
  return 1;
}

int plm_least_squares_positive(double *out, double *residual, const double *const *x, size_t columns, const double *y,
                               size_t rows, double *work) {
  unsigned all = (1u << columns) - 1;
  if (set_solve(out, residual, all, x, columns, y, rows, work))
    return 1;
  double best[PLM_LEAST_SQUARES_COLUMNS] = {0}, least = dot(y, y, rows);
  int found = 0;
  for (unsigned set = 1; set < all; set++) {
    double c[PLM_LEAST_SQUARES_COLUMNS], rss;
    if (set_solve(c, &rss, set, x, columns, y, rows, work) && rss <= least) {
      memcpy(best, c, columns * sizeof *c);
      least = rss;
      found = 1;
    }
  }
  if (found) {
    memcpy(out, best, columns * sizeof *out);
    *residual = least;
  }
  return found;
}
