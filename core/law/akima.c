#include "law/akima.h"

#include <math.h>
#include <stdio.h>

/* Slope of the secant from knot i to i + 1; beyond the ends by Akima's extrapolation with a parabola. */
static double secant(const double *x, const double *y, ptrdiff_t count, ptrdiff_t i) {
  if (i < 0)
    return (double)(1 - i) * secant(x, y, count, 0) + (double)i * secant(x, y, count, count > 2 ? 1 : 0);
  if (i > count - 2) {
    double beyond = (double)(i - (count - 2));
    return (1 + beyond) * secant(x, y, count, count - 2) - beyond * secant(x, y, count, count > 2 ? count - 3 : 0);
  }
  return (y[i + 1] - y[i]) / (x[i + 1] - x[i]);
}

void plm_akima_slopes(double *out, const double *x, const double *y, size_t count) {
  ptrdiff_t n = (ptrdiff_t)count;
  for (ptrdiff_t i = 0; i < n; i++) {
    double m[4]; /* secants i-2 .. i+1 */
    for (ptrdiff_t k = 0; k < 4; k++)
      m[k] = secant(x, y, n, i - 2 + k);
    double left = fabs(m[1] - m[0]), right = fabs(m[3] - m[2]), sum = left + right;
    double least = 1e-9 * (fabs(m[1]) + fabs(m[2]));
    out[i] = sum > least ? (right * m[1] + left * m[2]) / sum : 0.5 * (m[1] + m[2]);
  }
}

/* The cubic of one interval at distance t from its left knot, c[0] + t (c[1] + t (c[2] + t c[3])). */
static void consider(double *x_min, double *least, const double c[4], double left, double t, double width) {
  if (!(t >= 0 && t <= width))
    return;
  double value = c[0] + t * (c[1] + t * (c[2] + t * c[3]));
  if (value < *least) {
    *least = value;
    *x_min = left + t;
  }
}

double plm_akima_minimum(double *x_min, const double *x, const double *y, const double *slopes, size_t count) {
  double least = y[0];
  *x_min = x[0];
  for (size_t i = 0; i + 1 < count; i++) {
    double h = x[i + 1] - x[i], m = (y[i + 1] - y[i]) / h;
    double c[4] = {y[i], slopes[i], (3 * m - 2 * slopes[i] - slopes[i + 1]) / h,
                   (slopes[i] + slopes[i + 1] - 2 * m) / (h * h)};
    if (y[i + 1] < least) {
      least = y[i + 1];
      *x_min = x[i + 1];
    }
    /* Roots of c1 + 2 c2 t + 3 c3 t^2, in the form that does not cancel. */
    double discriminant = c[2] * c[2] - 3 * c[1] * c[3];
    if (discriminant < 0)
      continue;
    double q = -(c[2] + copysign(sqrt(discriminant), c[2]));
    if (q != 0)
      consider(x_min, &least, c, x[i], c[1] / q, h);
    if (c[3] != 0)
      consider(x_min, &least, c, x[i], q / (3 * c[3]), h);
  }
  return least;
}

/* Means over the seeds of a size: knots into s->x and s->y; returns how many. */
static size_t knots_make(const struct plm_isoflop_scratch *s, const struct plm_point *points, size_t count) {
  size_t knots = 0;
  for (size_t start = 0, end; start < count; start = end) {
    double weight = 0, x = 0, y = 0;
    for (end = start; end < count && points[end].params - points[start].params <= 1e-9 * points[start].params; end++) {
      weight += points[end].weight;
      x += points[end].weight * log(points[end].params);
      y += points[end].weight * log(points[end].loss);
    }
    s->x[knots] = x / weight;
    s->y[knots++] = y / weight;
  }
  return knots;
}

static int vertex_find(struct plm_vertex *out, char *reason, const struct plm_point *points, size_t count,
                       const struct plm_isoflop_scratch *s) {
  size_t knots = knots_make(s, points, count);
  plm_akima_slopes(s->work, s->x, s->y, knots);
  double x, value = plm_akima_minimum(&x, s->x, s->y, s->work, knots);
  if (x <= s->x[0] || x >= s->x[knots - 1])
    return snprintf(reason, PLM_REASON_TEXT, "no interior minimum: the loss is lowest at the %s size measured, %.4g",
                    x <= s->x[0] ? "smallest" : "largest", exp(x));
  out->ln_n = x;
  out->loss = exp(value);
  out->residual = 0;
  return 0;
}

int plm_akima_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  static const struct plm_vertex_finder finder = {"Akima's spline", PLM_AKIMA_KNOTS_MIN, vertex_find};
  return plm_isoflop_fit(out, task, &finder, err);
}
