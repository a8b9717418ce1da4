#include "law/vp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "law/least_squares.h"
#include "law/simplex.h"

#define GRID 32
#define STARTS 3 /* local minima of the grid that are refined */

/* All arrays have rows values. N and D are in units of their geometric means, so that the columns are of the order
 * of 1. */
struct problem {
  size_t rows;
  double *root, *ln_n, *ln_d, *y, *size, *data, *work; /* root: of the weights; y, size, data are scaled by it */
  double *grid;                                        /* 2 GRID columns */
  double mean_n, mean_d;                               /* of ln N and ln D */
};

static void column_fill(double *out, const struct problem *p, const double *ln, double exponent) {
  for (size_t i = 0; i < p->rows; i++)
    out[i] = p->root[i] * exp(-exponent * ln[i]);
}

/* The objective at the columns size, data; c = E, A, B in the scaled units. */
static double project(double c[3], const struct problem *p, const double *size, const double *data) {
  double residual = INFINITY;
  plm_least_squares_positive(c, &residual, (const double *const[]){p->root, size, data}, 3, p->y, p->rows, p->work);
  return residual;
}

/* x = ln alpha, ln beta. */
static double objective(const double *x, void *context) {
  const struct problem *p = context;
  double c[3];
  column_fill(p->size, p, p->ln_n, exp(x[0]));
  column_fill(p->data, p, p->ln_d, exp(x[1]));
  return project(c, p, p->size, p->data);
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
    p.mean_n += log(task->points[i].params) / (double)n;
    p.mean_d += log(task->points[i].tokens) / (double)n;
  }
  for (size_t i = 0; i < n; i++) {
    p.root[i] = sqrt(task->points[i].weight);
    p.ln_n[i] = log(task->points[i].params) - p.mean_n;
    p.ln_d[i] = log(task->points[i].tokens) - p.mean_d;
    p.y[i] = p.root[i] * task->points[i].loss;
  }
  *out = p;
  return 0;
}

/* Why these points do not determine a surface; 0 when nothing speaks against it. */
static int points_check(const struct plm_fit_task *task, double *scratch, struct plm_error *err) {
  size_t n = task->count;
  if (n < PLM_VP_POINTS_MIN)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "%zu points; a surface of five parameters needs at least %d", n,
                         PLM_VP_POINTS_MIN);
  for (size_t i = 0; i < n; i++)
    scratch[i] = task->points[i].params;
  size_t sizes = plm_points_distinct(scratch, n);
  if (sizes < 3)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "%zu model size%s; E, A and alpha need at least 3", sizes,
                         sizes == 1 ? "" : "s");
  for (size_t i = 0; i < n; i++)
    scratch[i] = task->points[i].tokens;
  size_t tokens = plm_points_distinct(scratch, n);
  if (tokens < 3)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "%zu token count%s; E, B and beta need at least 3", tokens,
                         tokens == 1 ? "" : "s");
  for (size_t i = 0; i < n; i++)
    scratch[i] = task->points[i].loss;
  if (plm_points_distinct(scratch, n) < 2)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "all losses are equal (%.6g): nothing depends on N or D",
                         task->points[0].loss);
  return 0;
}

static double grid_exponent(int i) {
  return PLM_VP_EXPONENT_MIN * pow(PLM_VP_EXPONENT_MAX / PLM_VP_EXPONENT_MIN, i / (double)(GRID - 1));
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
  double *sizes = p->grid, *data = p->grid + GRID * p->rows;
  for (int i = 0; i < GRID; i++) {
    column_fill(sizes + (size_t)i * p->rows, p, p->ln_n, grid_exponent(i));
    column_fill(data + (size_t)i * p->rows, p, p->ln_d, grid_exponent(i));
  }
  for (int i = 0; i < GRID; i++)
    for (int j = 0; j < GRID; j++) {
      double c[3];
      value[i][j] = project(c, p, sizes + (size_t)i * p->rows, data + (size_t)j * p->rows);
    }
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

/* Minimises; E, A, B, alpha, beta and objective into out. */
static void surface_fit(struct plm_fit *out, struct problem *p) {
  const double low[2] = {log(PLM_VP_EXPONENT_MIN), log(PLM_VP_EXPONENT_MIN)};
  const double high[2] = {log(PLM_VP_EXPONENT_MAX), log(PLM_VP_EXPONENT_MAX)};
  struct plm_simplex simplex = {.value = objective,
                                .context = p,
                                .dimensions = 2,
                                .low = low,
                                .high = high,
                                .step = 0.5 * log(grid_exponent(1) / grid_exponent(0)),
                                .tolerance = 1e-13,
                                .evaluations = 600};
  struct start starts[STARTS], best = {INFINITY, {low[0], low[1]}};
  int count = grid_search(starts, p);
  for (int i = 0; i < count; i++) {
    starts[i].value = plm_simplex_minimise(&simplex, starts[i].x);
    if (starts[i].value < best.value)
      best = starts[i];
  }
  double c[3] = {0};
  out->alpha = exp(best.x[0]);
  out->beta = exp(best.x[1]);
  column_fill(p->size, p, p->ln_n, out->alpha);
  column_fill(p->data, p, p->ln_d, out->beta);
  out->objective = project(c, p, p->size, p->data);
  out->E = c[0];
  out->A = c[1] * exp(out->alpha * p->mean_n);
  out->B = c[2] * exp(out->beta * p->mean_d);
}

static int edge_note(struct plm_fit *out, const char *name, double exponent, struct plm_error *err) {
  double edge = exponent < 1 ? PLM_VP_EXPONENT_MIN : PLM_VP_EXPONENT_MAX;
  if (fabs(log(exponent / edge)) > 1e-6)
    return 0;
  return plm_notes_add(&out->notes, err, "%s stopped at the edge of the search, %g: these points do not determine it",
                       name, edge);
}

/* The correlation of ln N and ln D: +-1 when they move together. */
static double correlation(const struct problem *p) {
  double nn = 0, dd = 0, nd = 0;
  for (size_t i = 0; i < p->rows; i++) {
    nn += p->ln_n[i] * p->ln_n[i];
    dd += p->ln_d[i] * p->ln_d[i];
    nd += p->ln_n[i] * p->ln_d[i];
  }
  return nd / sqrt(nn * dd);
}

static int notes_fill(struct plm_fit *out, const struct problem *p, struct plm_error *err) {
  int code = edge_note(out, "alpha", out->alpha, err);
  if (!code)
    code = edge_note(out, "beta", out->beta, err);
  if (!code && out->E == 0)
    code = plm_notes_add(&out->notes, err, "E stopped at 0: these points show no floor of the loss");
  if (!code && fabs(correlation(p)) > 0.999)
    code = plm_notes_add(
        &out->notes, err,
        "N and D move together in these points (one budget, or one ratio): their shares are hardly told apart");
  if (!code && p->rows < 10)
    code = plm_notes_add(&out->notes, err, "%zu points for five parameters", p->rows);
  return code;
}

void plm_surface_optimum(struct plm_optimum *out, const struct plm_fit *fit, const struct plm_cost *cost) {
  double q = cost->exponent;
  double ln_ratio = log(fit->alpha * fit->A) - log(q * fit->beta * fit->B);
  double ln_n = (ln_ratio + fit->beta * (log(out->compute) - log(cost->scale))) / (fit->alpha + q * fit->beta);
  out->known = 1;
  out->params = exp(ln_n);
  out->tokens = plm_cost_tokens(cost, out->compute, out->params);
  out->loss = fit->E + fit->A * exp(-fit->alpha * ln_n) + fit->B * exp(-fit->beta * log(out->tokens));
}

/* A surface without a size or a data term has no optimum. */
static int surface_check(const struct plm_fit *out, struct plm_error *err) {
  if (out->A > 0 && out->B > 0)
    return 0;
  return plm_error_set(
      err, PLM_E_UNSUPPORTED,
      "the best surface has %s = 0: the loss does not fall with %s in these points, so no size is optimal",
      out->A > 0 ? "B" : "A", out->A > 0 ? "D" : "N");
}

int plm_vp_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  struct problem p = {0};
  int code = problem_create(&p, task, err);
  if (!code)
    code = points_check(task, p.work, err);
  if (code)
    goto out;
  surface_fit(out, &p);
  if ((code = surface_check(out, err)) || (code = notes_fill(out, &p, err)))
    goto out;
  out->points = task->count;
  out->has_surface = out->has_exponents = 1;
  out->a = out->beta / (out->alpha + task->cost.exponent * out->beta);
  out->b = out->alpha / (out->alpha + task->cost.exponent * out->beta);
  for (size_t i = 0; i < out->optimum_count; i++)
    plm_surface_optimum(&out->optimum[i], out, &task->cost);
out:
  free(p.root);
  return code;
}
