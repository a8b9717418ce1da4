#include "law/parametric.h"

#include <lbfgs.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "law/newton.h"
#include "law/objective.h"
#include "law/workers.h"

#define N PLM_OBJECTIVE_UNKNOWNS
#define PADDED 8        /* libLBFGS built for SSE wants a multiple of 8 */
#define POLISHED 128    /* candidates that are finished; the rest count as starts that ended elsewhere */
#define SAME_STEP 1e-5  /* ln L within this at every point before finishing: one candidate */
#define SAME_BASIN 1e-6 /* and after: one basin */
#define MU_FIRST 1e-3   /* rounding of corners during the search */
#define MU_LAST 1e-12
#define DRAW_BASINS 3 /* of the whole fit, from which a draw starts */

struct candidate {
  double x[N], value;
};

struct search {
  struct plm_objective_data data;
  double scale; /* of the objective for L-BFGS */
  struct candidate *found;
};

struct smooth {
  const struct plm_objective_data *data;
  double mu;
};

static double newton_value(double *gradient, double *hessian, const double *x, void *context) {
  const struct smooth *smooth = context;
  return plm_objective_evaluate(gradient, hessian, x, smooth->data, smooth->mu);
}

static double lbfgs_value(void *context, const lbfgsfloatval_t *x, lbfgsfloatval_t *gradient, const int n,
                          const lbfgsfloatval_t step) {
  const struct search *search = context;
  (void)step;
  double value = search->scale * plm_objective_evaluate(gradient, NULL, x, &search->data, MU_FIRST);
  for (int i = 0; i < n; i++)
    gradient[i] = i < N ? search->scale * gradient[i] : 0;
  /* A trial step can leave what a double holds; a large value with no slope makes the line search turn back. */
  if (!isfinite(value)) {
    memset(gradient, 0, (size_t)n * sizeof *gradient);
    return 1e300;
  }
  return value;
}

/* Start number index of Hoffmann's grid, in the units of the data. */
static void start_make(double *x, size_t index, const struct plm_objective_data *data) {
  double alpha = 0.5 * (double)(index % 5), beta = 0.5 * (double)(index / 5 % 5);
  x[0] = -1 + 0.5 * (double)(index / 25 % 5);
  x[1] = 5 * (double)(index / 125 % 6) - alpha * data->mean_n;
  x[2] = 5 * (double)(index / 750) - beta * data->mean_d;
  x[3] = alpha;
  x[4] = beta;
}

static int start_run(size_t index, unsigned worker, void *context, struct plm_error *err) {
  struct search *search = context;
  struct candidate *out = &search->found[index];
  _Alignas(16) lbfgsfloatval_t x[PADDED] = {0}, value;
  lbfgs_parameter_t parameters;
  (void)worker, (void)err;
  lbfgs_parameter_init(&parameters);
  parameters.max_iterations = 150;
  parameters.epsilon = 1e-6;
  parameters.past = 4;
  parameters.delta = 1e-6;
  start_make(x, index, &search->data);
  /* Its code says how it stopped; x is the best it reached either way, and Newton's method goes on from there. */
  lbfgs(PADDED, x, &value, lbfgs_value, NULL, search, &parameters);
  memcpy(out->x, x, sizeof out->x);
  out->value = plm_objective_evaluate(NULL, NULL, x, &search->data, MU_FIRST);
  return 0;
}

/* Finishes a candidate; its value is then that of the objective itself. */
static void polish(struct candidate *candidate, const struct plm_objective_data *data) {
  struct smooth smooth = {data, MU_FIRST};
  struct plm_newton newton = {newton_value, &smooth, N, NULL, NULL, 1000};
  plm_newton_minimise(&newton, candidate->x);
  if (data->objective.shape == PLM_OBJECTIVE_ABSOLUTE)
    for (newton.iterations = 40; smooth.mu > MU_LAST;) {
      smooth.mu *= 0.1;
      plm_newton_minimise(&newton, candidate->x);
    }
  candidate->value = plm_objective_evaluate(NULL, NULL, candidate->x, data, 0);
}

static int candidate_order(const void *a, const void *b) {
  double x = ((const struct candidate *)a)->value, y = ((const struct candidate *)b)->value;
  return (x > y) - (x < y);
}

static double distance(const double *a, const double *b, size_t count) {
  double largest = 0;
  for (size_t i = 0; i < count; i++)
    largest = fmax(largest, fabs(a[i] - b[i]));
  return largest;
}

struct basins {
  struct candidate list[POLISHED];
  size_t starts[POLISHED], count;
  double *predicted, *before; /* [POLISHED][rows]: of each basin, finished and as first found */
  double *trial;              /* [rows] */
};

/* The basin whose predictions are within tolerance of those in trial; count when there is none. */
static size_t basin_find(const struct basins *basins, const double *predicted, double tolerance, size_t rows) {
  size_t i = 0;
  while (i < basins->count && distance(predicted + i * rows, basins->trial, rows) > tolerance)
    i++;
  return i;
}

/* Candidates, best first, into basins. */
static void basins_sort_out(struct basins *basins, const struct candidate *found, size_t count,
                            const struct plm_objective_data *data) {
  size_t rows = data->rows, polished = 0;
  for (size_t i = 0; i < count && isfinite(found[i].value); i++) {
    struct candidate candidate = found[i];
    plm_objective_predict(basins->trial, candidate.x, data);
    size_t at = basin_find(basins, basins->before, SAME_STEP, rows);
    if (at == basins->count)
      at = basin_find(basins, basins->predicted, SAME_STEP, rows);
    if (at == basins->count && polished < POLISHED) {
      memcpy(basins->before + at * rows, basins->trial, rows * sizeof *basins->trial);
      polish(&candidate, data);
      polished++;
      plm_objective_predict(basins->trial, candidate.x, data);
      at = basin_find(basins, basins->predicted, SAME_BASIN, rows);
      if (at == basins->count) {
        memcpy(basins->predicted + at * rows, basins->trial, rows * sizeof *basins->trial);
        basins->list[basins->count++] = candidate;
      } else if (candidate.value < basins->list[at].value) {
        basins->list[at] = candidate;
      }
    }
    if (at < basins->count)
      basins->starts[at]++;
  }
}

static int basin_order(const void *a, const void *b) {
  double x = ((const struct plm_basin *)a)->objective, y = ((const struct plm_basin *)b)->objective;
  return (x > y) - (x < y);
}

/* The best basins into *out. */
static int basins_keep(struct plm_fit *out, const struct basins *basins, const struct plm_objective_data *data,
                       struct plm_error *err) {
  void *rows = out->basins;
  if (plm_memory_grow(&rows, &out->basin_capacity, basins->count, sizeof *out->basins))
    return plm_error_memory(err, "the basins of a fit");
  out->basins = rows;
  for (size_t i = 0; i < basins->count; i++)
    out->basins[i] =
        (struct plm_basin){plm_objective_surface(basins->list[i].x, data), basins->list[i].value, basins->starts[i]};
  qsort(out->basins, basins->count, sizeof *out->basins, basin_order);
  out->basin_count = basins->count < PLM_PARAMETRIC_BASINS ? basins->count : PLM_PARAMETRIC_BASINS;
  return 0;
}

/* Where L-BFGS starts from, and what it found. */
static int starts_run(struct search *search, const struct plm_fit_task *task, struct plm_error *err) {
  double total = 0;
  for (size_t i = 0; i < task->count; i++)
    total += task->points[i].weight;
  search->scale = 1e3 / total;
  if (search->data.objective.shape == PLM_OBJECTIVE_HUBER)
    search->scale /= search->data.objective.delta;
  search->found = plm_memory_zeroed(PLM_PARAMETRIC_STARTS, sizeof *search->found);
  if (!search->found)
    return plm_error_memory(err, "the starts of a fit");
  int code = plm_workers_run(task->threads, PLM_PARAMETRIC_STARTS, start_run, search, err);
  qsort(search->found, PLM_PARAMETRIC_STARTS, sizeof *search->found, candidate_order);
  return code;
}

/* From the basins of the fit to all points. */
static int basins_again(struct search *search, const struct plm_fit *from, size_t *count, struct plm_error *err) {
  *count = from->basin_count < DRAW_BASINS ? from->basin_count : DRAW_BASINS;
  search->found = plm_memory_zeroed(*count, sizeof *search->found);
  if (!search->found)
    return plm_error_memory(err, "the starts of a fit");
  for (size_t i = 0; i < *count; i++)
    plm_objective_unknowns(search->found[i].x, &from->basins[i].surface, &search->data);
  return 0;
}

static int basins_search(struct plm_fit *out, struct search *search, const struct plm_fit_task *task,
                         struct plm_error *err) {
  size_t rows = task->count, count = PLM_PARAMETRIC_STARTS;
  int again = task->from && task->from->basin_count > 0;
  int code = again ? basins_again(search, task->from, &count, err) : starts_run(search, task, err);
  if (code)
    return code;
  struct basins *basins = plm_memory_zeroed(1, sizeof *basins);
  double *room = plm_memory_zeroed(rows, ((again ? 2 * DRAW_BASINS : 2 * POLISHED) + 1) * sizeof *room);
  if (basins && room) {
    basins->trial = room;
    basins->predicted = room + rows;
    basins->before = room + (1 + (again ? DRAW_BASINS : POLISHED)) * rows;
    basins_sort_out(basins, search->found, count, &search->data);
    code = basins_keep(out, basins, &search->data, err);
  } else {
    code = plm_error_memory(err, "the basins of a fit");
  }
  free(basins);
  free(room);
  return code;
}

int plm_parametric_fit(struct plm_fit *out, const struct plm_fit_task *task, const struct plm_objective *objective,
                       struct plm_error *err) {
  struct search search = {0};
  int code = plm_surface_points_check(task, err);
  if (code || (code = plm_objective_data_create(&search.data, objective, task, err)))
    return code;
  code = basins_search(out, &search, task, err);
  plm_objective_data_destroy(&search.data);
  free(search.found);
  if (code)
    return code;
  if (out->basin_count == 0)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "none of the %d starts led to a finite objective",
                         PLM_PARAMETRIC_STARTS);
  out->objective = out->basins[0].objective;
  return plm_surface_accept(out, &out->basins[0].surface, task, err);
}
