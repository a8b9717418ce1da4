#include "law/vp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "law/least_squares.h"
#include "law/newton.h"
#include "law/simplex.h"

#define GRID 32
#define STARTS 3 /* local minima of the grid that are refined */
#define DIFFERENCE 1e-5

/* All arrays have rows values. N and D are in units of their geometric means, so that the columns are of the order
 * of 1. */
struct problem {
  size_t rows;
  double *root, *ln_n, *ln_d, *y, *size, *data, *work; /* root: of the weights; y, size, data are scaled by it */
  double *grid;                                        /* 2 GRID columns, less their means, scaled by root */
  double total, mean_y;                                /* of the weights; of y, weighted */
  double mean_n, mean_d;                               /* of ln N and ln D */
};

static void column_fill(double *out, const struct problem *p, const double *ln, double exponent) {
  for (size_t i = 0; i < p->rows; i++)
    out[i] = p->root[i] * exp(-exponent * ln[i]);
}

/* The objective at the columns size, data; c = E, A, B in the scaled units. */
static double project(double c[3], const struct problem *p) {
  double residual = INFINITY;
  plm_least_squares_positive(c, &residual, (const double *const[]){p->root, p->size, p->data}, 3, p->y, p->rows,
                             p->work);
  return residual;
}

static double project_at(double c[3], const struct problem *p, const double *x) {
  column_fill(p->size, p, p->ln_n, exp(x[0]));
  column_fill(p->data, p, p->ln_d, exp(x[1]));
  return project(c, p);
}

/* x = ln alpha, ln beta. */
static double objective(const double *x, void *context) {
  double c[3];
  return project_at(c, context, x);
}

/* E, A, B are at their minimum, so only the exponents' own share of the derivative is left. */
static double objective_gradient(double gradient[2], const double *x, const struct problem *p) {
  double c[3] = {0}, by_alpha = 0, by_beta = 0;
  double value = project_at(c, p, x);
  for (size_t i = 0; i < p->rows; i++) {
    double r = p->y[i] - c[0] * p->root[i] - c[1] * p->size[i] - c[2] * p->data[i];
    by_alpha += r * p->size[i] * p->ln_n[i];
    by_beta += r * p->data[i] * p->ln_d[i];
  }
  gradient[0] = 2 * exp(x[0]) * c[1] * by_alpha;
  gradient[1] = 2 * exp(x[1]) * c[2] * by_beta;
  return value;
}

static double objective_newton(double *gradient, double *hessian, const double *x, void *context) {
  if (!gradient)
    return objective(x, context);
  double value = objective_gradient(gradient, x, context), column[2][2];
  for (int j = 0; j < 2; j++) {
    double moved[2] = {x[0], x[1]};
    moved[j] += DIFFERENCE;
    objective_gradient(column[j], moved, context);
    for (int i = 0; i < 2; i++)
      column[j][i] = (column[j][i] - gradient[i]) / DIFFERENCE;
  }
  hessian[0] = column[0][0];
  hessian[1] = hessian[2] = 0.5 * (column[0][1] + column[1][0]);
  hessian[3] = column[1][1];
  return value;
}

static int problem_create(struct problem *out, const struct plm_fit_task *task, struct plm_error *err) {
  size_t n = task->count;
  double *all = plm_memory_zeroed(n, (6 + PLM_LEAST_SQUARES_COLUMNS + 1 + 2 * GRID) * sizeof *all);
  if (!all)
    return plm_error_memory(err, "the parametric fit");
  struct problem p = {.rows = n, .root = all, .ln_n = all + n, .ln_d = all + 2 * n, .y = all + 3 * n};
  p.size = all + 4 * n;
  p.data = all + 5 * n;
  p.work = all + 6 * n;
  p.grid = p.work + PLM_LEAST_SQUARES_WORK(n);
  for (size_t i = 0; i < n; i++) {
    p.ln_n[i] = log(task->points[i].params);
    p.ln_d[i] = log(task->points[i].tokens);
    p.mean_n += p.ln_n[i] / (double)n;
    p.mean_d += p.ln_d[i] / (double)n;
    p.total += task->points[i].weight;
    p.mean_y += task->points[i].weight * task->points[i].loss;
  }
  p.mean_y /= p.total;
  for (size_t i = 0; i < n; i++) {
    p.root[i] = sqrt(task->points[i].weight);
    p.ln_n[i] -= p.mean_n;
    p.ln_d[i] -= p.mean_d;
    p.y[i] = p.root[i] * task->points[i].loss;
  }
  *out = p;
  return 0;
}

static double grid_exponent(int i) {
  return PLM_SURFACE_EXPONENT_MIN * pow(PLM_SURFACE_EXPONENT_MAX / PLM_SURFACE_EXPONENT_MIN, i / (double)(GRID - 1));
}

/* Four sums at a time: one would wait for itself. */
static double dot(const double *a, const double *b, size_t rows) {
  double sum[4] = {0};
  size_t i = 0;
  for (; i + 4 <= rows; i += 4)
    for (size_t k = 0; k < 4; k++)
      sum[k] += a[i + k] * b[i + k];
  for (; i < rows; i++)
    sum[0] += a[i] * b[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* A column of the grid less its weighted mean, which takes E out of the problem. */
struct grid_column {
  double *values, mean, square, with_y;
};

static void grid_column_fill(struct grid_column *out, const struct problem *p, const double *ln, double exponent) {
  double mean = 0;
  column_fill(out->values, p, ln, exponent);
  for (size_t i = 0; i < p->rows; i++)
    mean += p->root[i] * out->values[i] / p->total;
  out->with_y = 0;
  for (size_t i = 0; i < p->rows; i++) {
    out->values[i] -= p->root[i] * mean;
    out->with_y += out->values[i] * (p->y[i] - p->root[i] * p->mean_y);
  }
  out->mean = mean;
  out->square = dot(out->values, out->values, p->rows);
}

/* The objective less its value at a constant loss, by two columns, unless a coefficient is negative:
 * then INFINITY. *fitted: what the columns put into the mean. */
static double pair_value(double *fitted, const struct grid_column *size, const struct grid_column *data, double cross) {
  double determinant = size->square * data->square - cross * cross;
  double A = (size->with_y * data->square - data->with_y * cross) / determinant;
  double B = (data->with_y * size->square - size->with_y * cross) / determinant;
  *fitted = A * size->mean + B * data->mean;
  return determinant > 1e-12 * size->square * data->square && A >= 0 && B >= 0 ? -(A * size->with_y + B * data->with_y)
                                                                               : INFINITY;
}

static double single_value(double *fitted, const struct grid_column *column) {
  double A = column->with_y / column->square;
  *fitted = A * column->mean;
  return A >= 0 ? -A * column->with_y : INFINITY;
}

/* The column with its mean, for E = 0. */
static struct grid_column whole(const struct grid_column *column, const struct problem *p) {
  struct grid_column out = *column;
  out.square += p->total * column->mean * column->mean;
  out.with_y += p->total * column->mean * p->mean_y;
  return out;
}

/* The objective less a constant, E, A, B >= 0, from the normal equations of every set of them that may be positive:
 * exact enough to rank the grid. */
static double grid_value(const struct problem *p, const struct grid_column *size, const struct grid_column *data) {
  double cross = dot(size->values, data->values, p->rows), fitted, least = 0;
  double value = pair_value(&fitted, size, data, cross);
  if (isfinite(value) && fitted <= p->mean_y)
    return value;
  value = single_value(&fitted, size);
  if (fitted <= p->mean_y)
    least = fmin(least, value);
  value = single_value(&fitted, data);
  if (fitted <= p->mean_y)
    least = fmin(least, value);
  struct grid_column s = whole(size, p), d = whole(data, p);
  double offset = p->total * p->mean_y * p->mean_y;
  least = fmin(least, pair_value(&fitted, &s, &d, cross + p->total * size->mean * data->mean) + offset);
  return fmin(least, fmin(single_value(&fitted, &s), single_value(&fitted, &d)) + offset);
}

static int is_local_minimum(double value[GRID][GRID], int i, int j) {
  for (int k = i - 1; k <= i + 1; k++)
    for (int l = j - 1; l <= j + 1; l++)
      if (k >= 0 && k < GRID && l >= 0 && l < GRID && value[k][l] < value[i][j])
        return 0;
  return 1;
}

struct start {
  double value, x[2];
};

/* The lowest local minima of the grid, best first; returns how many, at least 1. */
static int grid_search(struct start starts[STARTS], const struct problem *p) {
  double value[GRID][GRID];
  struct grid_column size[GRID], data[GRID];
  for (int i = 0; i < GRID; i++) {
    size[i].values = p->grid + (size_t)i * p->rows;
    data[i].values = p->grid + (size_t)(GRID + i) * p->rows;
    grid_column_fill(&size[i], p, p->ln_n, grid_exponent(i));
    grid_column_fill(&data[i], p, p->ln_d, grid_exponent(i));
  }
  for (int i = 0; i < GRID; i++)
    for (int j = 0; j < GRID; j++)
      value[i][j] = grid_value(p, &size[i], &data[j]);
  int count = 0;
  for (int i = 0; i < GRID; i++)
    for (int j = 0; j < GRID; j++) {
      struct start start = {value[i][j], {log(grid_exponent(i)), log(grid_exponent(j))}};
      if (!is_local_minimum(value, i, j) || (count == STARTS && start.value >= starts[count - 1].value))
        continue;
      int at = count < STARTS ? count++ : STARTS - 1;
      for (; at > 0 && start.value < starts[at - 1].value; at--)
        starts[at] = starts[at - 1];
      starts[at] = start;
    }
  return count;
}

/* From a start to a minimum, into x; returns the value there. */
static double refine(double x[2], struct problem *p) {
  const double low[2] = {log(PLM_SURFACE_EXPONENT_MIN), log(PLM_SURFACE_EXPONENT_MIN)};
  const double high[2] = {log(PLM_SURFACE_EXPONENT_MAX), log(PLM_SURFACE_EXPONENT_MAX)};
  struct plm_newton newton = {objective_newton, p, 2, low, high, 60};
  struct plm_simplex simplex = {objective, p, 2, low, high, 0, 1e-13, 600};
  double value = plm_newton_minimise(&newton, x), gradient[2], c[3];
  objective_gradient(gradient, x, p);
  project_at(c, p, x);
  int smooth = c[0] > 0 && c[1] > 0 && c[2] > 0;
  for (int i = 0; i < 2; i++)
    smooth &= fabs(gradient[i]) <= 1e-6 * value || (x[i] <= low[i] && gradient[i] > 0) ||
              (x[i] >= high[i] && gradient[i] < 0);
  if (smooth || value <= 1e-20 * p->total * p->mean_y * p->mean_y)
    return value;
  simplex.step = 0.5 * log(grid_exponent(1) / grid_exponent(0));
  return plm_simplex_minimise(&simplex, x);
}

/* Minimises; the surface and the objective into out. */
static double surface_fit(struct plm_surface *out, struct problem *p) {
  struct start starts[STARTS], best = {INFINITY, {0, 0}};
  int count = grid_search(starts, p);
  for (int i = 0; i < count; i++) {
    starts[i].value = refine(starts[i].x, p);
    if (starts[i].value < best.value)
      best = starts[i];
  }
  double c[3] = {0}, value = project_at(c, p, best.x);
  out->alpha = exp(best.x[0]);
  out->beta = exp(best.x[1]);
  out->E = c[0];
  out->A = c[1] * exp(out->alpha * p->mean_n);
  out->B = c[2] * exp(out->beta * p->mean_d);
  return value;
}

int plm_vp_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  struct problem p = {0};
  struct plm_surface surface;
  int code = plm_surface_points_check(task, err);
  if (code || (code = problem_create(&p, task, err)))
    return code;
  out->objective = surface_fit(&surface, &p);
  free(p.root);
  return plm_surface_accept(out, &surface, task, err);
}
