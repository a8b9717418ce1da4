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
#define POLISHED 128    /* candidates that go on by Newton's method; the rest stopped on plateaus */
#define SAME_STEP 1e-5  /* ln L within this at every point: one candidate */
#define SAME_BASIN 1e-6 /* and after Newton's method: one basin */
#define NEWTON_FIRST 40
#define NEWTON_LAST 1000
#define FLOOR_SURE (-1) /* a floor of over e^-1 nats is not on its way to 0 */
#define MU_FIRST 1e-3   /* rounding of corners during the search */
#define MU_LAST 1e-12
#define MU_LAST_DRAW 1e-6 /* far below what a draw moves by */
#define MU_ITERATIONS 300
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
  parameters.max_iterations = 80;
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

/* Goes on with a candidate by Newton's method; its value is then that of the objective itself. */
static void polish(struct candidate *candidate, const struct plm_objective_data *data, size_t iterations,
                   double mu_last) {
  struct smooth smooth = {data, MU_FIRST};
  struct plm_newton newton = {newton_value, &smooth, N, NULL, NULL, iterations};
  plm_newton_minimise(&newton, candidate->x);
  if (data->objective.shape == PLM_OBJECTIVE_ABSOLUTE)
    for (newton.iterations = iterations < MU_ITERATIONS ? iterations : MU_ITERATIONS; smooth.mu > mu_last;) {
      smooth.mu *= 0.25;
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

struct basin {
  struct candidate best;
  size_t starts;
  double *before, *predicted; /* [rows] ln L of the candidate it came from, and of best */
};

struct basins {
  struct basin list[POLISHED];
  size_t count;
  double *trial;  /* [rows] */
  double mu_last; /* how far corners are followed */
  int again;      /* candidates are basins of the fit to all points: too few to be worth sorting out beforehand */
};

/* The basin, of the first count, whose predictions are within tolerance of those in trial; count when there is none. */
static size_t basin_find(const struct basins *basins, size_t count, double tolerance, size_t rows) {
  size_t i = 0;
  while (i < count && distance(basins->list[i].predicted, basins->trial, rows) > tolerance &&
         (tolerance <= SAME_BASIN || distance(basins->list[i].before, basins->trial, rows) > tolerance))
    i++;
  return i;
}

static void basin_meet(struct basin *basin, const struct candidate *candidate, size_t starts) {
  basin->starts += starts;
  if (candidate->value < basin->best.value)
    basin->best = *candidate;
}

/* Candidates, best first, into basins. */
static void basins_collect(struct basins *basins, const struct candidate *found, size_t count,
                           const struct plm_objective_data *data) {
  size_t rows = data->rows, polished = 0;
  for (size_t i = 0; i < count && isfinite(found[i].value); i++) {
    struct candidate candidate = found[i];
    plm_objective_predict(basins->trial, candidate.x, data);
    size_t at = basin_find(basins, basins->count, SAME_STEP, rows);
    if (at < basins->count) {
      basins->list[at].starts++;
      continue;
    }
    if (polished++ == POLISHED)
      break;
    struct basin *new = &basins->list[at];
    memcpy(new->before, basins->trial, rows * sizeof *new->before);
    if (!basins->again)
      polish(&candidate, data, NEWTON_FIRST, basins->mu_last);
    plm_objective_predict(basins->trial, candidate.x, data);
    at = basin_find(basins, basins->count, SAME_BASIN, rows);
    if (at < basins->count) {
      basin_meet(&basins->list[at], &candidate, 1);
      continue;
    }
    memcpy(new->predicted, basins->trial, rows * sizeof *new->predicted);
    new->best = candidate;
    new->starts = 1;
    basins->count++;
  }
}

static int basin_order(const void *a, const void *b) {
  double x = ((const struct basin *)a)->best.value, y = ((const struct basin *)b)->best.value;
  return (x > y) - (x < y);
}

/* Downhill to the end, from where the candidate is and from where its floor is gone: a valley that leads to E = 0 has
 * no end in ln E. */
static void finish(struct candidate *candidate, const struct plm_objective_data *data, double mu_last) {
  polish(candidate, data, NEWTON_LAST, mu_last);
  if (candidate->x[0] > FLOOR_SURE)
    return;
  struct candidate without_floor = *candidate;
  without_floor.x[0] = PLM_OBJECTIVE_LN_E_MIN;
  polish(&without_floor, data, NEWTON_LAST, mu_last);
  if (without_floor.value < candidate->value)
    *candidate = without_floor;
}

/* The best basins get all the iterations they need, which makes one of those that were on the way to the same place. */
static void basins_finish(struct basins *basins, const struct plm_objective_data *data) {
  size_t kept = 0;
  qsort(basins->list, basins->count, sizeof *basins->list, basin_order);
  for (size_t i = 0; i < basins->count && i < PLM_PARAMETRIC_BASINS; i++) {
    struct basin basin = basins->list[i];
    finish(&basin.best, data, basins->mu_last);
    plm_objective_predict(basins->trial, basin.best.x, data);
    size_t at = basin_find(basins, kept, SAME_BASIN, data->rows);
    if (at < kept) {
      basin_meet(&basins->list[at], &basin.best, basin.starts);
      continue;
    }
    memcpy(basin.predicted, basins->trial, data->rows * sizeof *basin.predicted);
    basins->list[i] = basins->list[kept];
    basins->list[kept++] = basin;
  }
  basins->count = kept;
  qsort(basins->list, kept, sizeof *basins->list, basin_order);
}

static int basins_keep(struct plm_fit *out, const struct basins *basins, const struct plm_objective_data *data,
                       struct plm_error *err) {
  void *rows = out->basins;
  if (plm_memory_grow(&rows, &out->basin_capacity, basins->count, sizeof *out->basins))
    return plm_error_memory(err, "the basins of a fit");
  out->basins = rows;
  out->basin_count = basins->count;
  for (size_t i = 0; i < basins->count; i++)
    out->basins[i] = (struct plm_basin){plm_objective_surface(basins->list[i].best.x, data), basins->list[i].best.value,
                                        basins->list[i].starts};
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
  size_t room = again ? count : POLISHED;
  struct basins *basins = plm_memory_zeroed(1, sizeof *basins);
  double *values = plm_memory_zeroed(rows, (2 * room + 1) * sizeof *values);
  if (basins && values) {
    basins->trial = values;
    basins->mu_last = again ? MU_LAST_DRAW : MU_LAST;
    basins->again = again;
    for (size_t i = 0; i < room; i++) {
      basins->list[i].before = values + (1 + 2 * i) * rows;
      basins->list[i].predicted = values + (2 + 2 * i) * rows;
    }
    basins_collect(basins, search->found, count, &search->data);
    basins_finish(basins, &search->data);
    code = basins_keep(out, basins, &search->data, err);
  } else {
    code = plm_error_memory(err, "the basins of a fit");
  }
  free(basins);
  free(values);
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
