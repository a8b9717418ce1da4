#include "law/simplex.h"

#include <math.h>
#include <string.h>

#define RESTARTS 4

struct vertex {
  double x[PLM_SIMPLEX_DIMENSIONS];
  double f;
};

static double value_at(const struct plm_simplex *s, struct vertex *v) {
  for (size_t k = 0; k < s->dimensions; k++)
    v->x[k] = fmin(fmax(v->x[k], s->low[k]), s->high[k]);
  v->f = s->value(v->x, s->context);
  return v->f;
}

static void vertices_sort(struct vertex *v, size_t count) {
  for (size_t i = 1; i < count; i++)
    for (size_t j = i; j > 0 && v[j].f < v[j - 1].f; j--) {
      struct vertex t = v[j];
      v[j] = v[j - 1];
      v[j - 1] = t;
    }
}

static double vertices_extent(const struct plm_simplex *s, const struct vertex *v) {
  double extent = 0;
  for (size_t i = 1; i <= s->dimensions; i++)
    for (size_t k = 0; k < s->dimensions; k++)
      extent = fmax(extent, fabs(v[i].x[k] - v[0].x[k]));
  return extent;
}

/* The point centre + factor (worst - centre). */
static struct vertex point_along(const struct plm_simplex *s, const double *centre, const struct vertex *worst,
                                 double factor) {
  struct vertex v;
  for (size_t k = 0; k < s->dimensions; k++)
    v.x[k] = centre[k] + factor * (worst->x[k] - centre[k]);
  value_at(s, &v);
  return v;
}

/* One move of the sorted simplex; returns how many values it took. */
static size_t simplex_move(const struct plm_simplex *s, struct vertex *v) {
  size_t n = s->dimensions;
  double centre[PLM_SIMPLEX_DIMENSIONS] = {0};
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < n; k++)
      centre[k] += v[i].x[k] / (double)n;
  struct vertex reflected = point_along(s, centre, &v[n], -1);
  if (reflected.f < v[0].f) {
    struct vertex expanded = point_along(s, centre, &v[n], -2);
    v[n] = expanded.f < reflected.f ? expanded : reflected;
    return 2;
  }
  if (reflected.f < v[n - 1].f) {
    v[n] = reflected;
    return 1;
  }
  struct vertex contracted = point_along(s, centre, &v[n], reflected.f < v[n].f ? -0.5 : 0.5);
  if (contracted.f < fmin(reflected.f, v[n].f)) {
    v[n] = contracted;
    return 2;
  }
  for (size_t i = 1; i <= n; i++) {
    for (size_t k = 0; k < n; k++)
      v[i].x[k] = v[0].x[k] + 0.5 * (v[i].x[k] - v[0].x[k]);
    value_at(s, &v[i]);
  }
  return 2 + n;
}

static double descend(const struct plm_simplex *s, double *x, double step) {
  size_t n = s->dimensions;
  struct vertex v[PLM_SIMPLEX_DIMENSIONS + 1];
  for (size_t i = 0; i <= n; i++) {
    memcpy(v[i].x, x, n * sizeof *x);
    /* Away from the nearer face, so that the first simplex has a volume. */
    if (i > 0)
      v[i].x[i - 1] += x[i - 1] + step > s->high[i - 1] ? -step : step;
    value_at(s, &v[i]);
  }
  vertices_sort(v, n + 1);
  for (size_t used = 0; used < s->evaluations && vertices_extent(s, v) > s->tolerance;) {
    used += simplex_move(s, v);
    vertices_sort(v, n + 1);
  }
  memcpy(x, v[0].x, n * sizeof *x);
  return v[0].f;
}

double plm_simplex_minimise(const struct plm_simplex *simplex, double *x) {
  double step = simplex->step;
  double least = descend(simplex, x, step);
  for (int i = 0; i < RESTARTS; i++) {
    double before = least;
    step *= 0.1;
    least = descend(simplex, x, step);
    if (!(least < before - 1e-9 * fabs(before)))
      break;
  }
  return least;
}
