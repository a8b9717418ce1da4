#include "law/power.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "law/isoflop.h"
#include "law/least_squares.h"
#include "law/parabola.h"
#include "law/simplex.h"

#define GAMMA_MIN 0.001
#define GAMMA_MAX 2.0
#define GRID 96

struct problem {
  size_t count;
  int asymptote;
  const double *loss;
  double *one, *ln_c, *power, *work; /* ln_c less its mean */
  double c[2];                       /* E and A at the last gamma */
};

static double objective(const double *ln_gamma, void *context) {
  struct problem *p = context;
  double gamma = exp(*ln_gamma), residual = INFINITY;
  for (size_t i = 0; i < p->count; i++)
    p->power[i] = exp(-gamma * p->ln_c[i]);
  const double *columns[2] = {p->power, p->one};
  p->c[0] = p->c[1] = 0;
  plm_least_squares_positive(p->c, &residual, columns, p->asymptote ? 2 : 1, p->loss, p->count, p->work);
  return residual;
}

void plm_power_law_fit(struct plm_power_law *out, const double *compute, const double *loss, size_t count,
                       int asymptote, double *work) {
  struct problem p = {count, asymptote, loss, work, work + count, work + 2 * count, work + 3 * count, {0}};
  double low = log(GAMMA_MIN), high = log(GAMMA_MAX), mean = 0, best = low, least = INFINITY;
  for (size_t i = 0; i < count; i++)
    mean += log(compute[i]) / (double)count;
  for (size_t i = 0; i < count; i++) {
    p.one[i] = 1;
    p.ln_c[i] = log(compute[i]) - mean;
  }
  for (int k = 0; k < GRID; k++) {
    double x = low + (high - low) * k / (GRID - 1), value = objective(&x, &p);
    if (value < least) {
      least = value;
      best = x;
    }
  }
  struct plm_simplex simplex = {objective, &p, 1, &low, &high, (high - low) / GRID, 1e-13, 300};
  plm_simplex_minimise(&simplex, &best);
  out->objective = objective(&best, &p);
  out->gamma = exp(best);
  out->E = asymptote ? p.c[1] : 0;
  out->A = p.c[0] * exp(out->gamma * mean);
}

/* Every point for itself: for a table of the best runs only. */
static size_t vertices_from_points(struct plm_vertex *out, const struct plm_fit_task *task) {
  for (size_t i = 0; i < task->count; i++)
    out[i] = (struct plm_vertex){
        .budget = task->points[i].compute, .ln_n = log(task->points[i].params), .loss = task->points[i].loss};
  return task->count;
}

static int shares_budgets(const struct plm_fit_task *task) {
  for (size_t start = 0; start < task->count; start++)
    if (plm_budgets_end(task->points, task->count, start) > start + 1)
      return 1;
  return 0;
}

static int laws_fit(struct plm_fit *out, const struct plm_fit_task *task, const struct plm_vertex *vertices,
                    size_t count, double *room, struct plm_error *err) {
  double *compute = room, *loss = room + count, *work = room + 2 * count;
  struct plm_power_law plain, law;
  int code = 0;
  for (size_t i = 0; i < count; i++) {
    compute[i] = vertices[i].budget;
    loss[i] = vertices[i].loss;
  }
  plm_power_law_fit(&plain, compute, loss, count, 0, work);
  law = plain;
  if (count > 3)
    plm_power_law_fit(&law, compute, loss, count, 1, work);
  else
    code = plm_notes_add(&out->notes, err, "3 minima: too few for an asymptote, E is taken as 0");
  if (!(law.A > 0))
    return plm_error_set(err, PLM_E_UNSUPPORTED, "the loss of the minima does not fall with compute");
  out->objective = law.objective;
  plm_fit_parameter(out, "E", law.E);
  plm_fit_parameter(out, "A", law.A);
  plm_fit_parameter(out, "gamma", law.gamma);
  plm_fit_parameter(out, "A_no_asymptote", plain.A);
  plm_fit_parameter(out, "gamma_no_asymptote", plain.gamma);
  plm_fit_parameter(out, "objective_no_asymptote", plain.objective);
  for (size_t i = 0; i < out->optimum_count; i++)
    out->optimum[i].loss = law.E + law.A * exp(-law.gamma * log(out->optimum[i].compute));
  if (!code && count > 3)
    code = plm_notes_add(&out->notes, err,
                         "without an asymptote: L = %.5g C^-%.4f, sum of squared residuals %.4g over %zu minima",
                         plain.A, plain.gamma, plain.objective, count);
  (void)task;
  return code;
}

static int line_use(struct plm_fit *out, const struct plm_fit_task *task, const struct plm_vertex *vertices,
                    size_t count, const struct plm_isoflop_scratch *s, struct plm_error *err) {
  double line[2], centre;
  if (!plm_isoflop_line(line, &centre, vertices, count, s))
    return plm_error_set(err, PLM_E_UNSUPPORTED, "the budgets are too close to each other");
  out->has_exponents = 1;
  out->a = line[1];
  out->b = 1 - task->cost.exponent * line[1];
  for (size_t i = 0; i < out->optimum_count; i++) {
    struct plm_optimum *o = &out->optimum[i];
    o->known = 1;
    o->params = exp(line[0] + line[1] * (log(o->compute) - centre));
    o->tokens = plm_cost_tokens(&task->cost, o->compute, o->params);
  }
  return 0;
}

int plm_power_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  struct plm_isoflop_scratch s = {0};
  size_t count = 0;
  struct plm_vertex *vertices = plm_memory_zeroed(task->count, sizeof *vertices);
  double *room = plm_memory_zeroed(task->count, 10 * sizeof *room);
  int code =
      vertices && room ? plm_isoflop_scratch_create(&s, task->count, err) : plm_error_memory(err, "the power law");
  if (!code && shares_budgets(task)) {
    code = plm_isoflop_vertices(vertices, &count, out, task, &plm_parabola_finder, &s, err);
    for (size_t i = 0; i < count; i++)
      out->points += vertices[i].points;
  } else if (!code) {
    out->points = count = vertices_from_points(vertices, task);
    code = plm_notes_add(&out->notes, err, "no two points share a budget: each is taken as the best of its own");
  }
  if (!code && count < 3)
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "%zu budget%s with an interior minimum; a power law needs at least 3",
                         count, count == 1 ? "" : "s");
  if (!code)
    code = line_use(out, task, vertices, count, &s, err);
  if (!code)
    code = laws_fit(out, task, vertices, count, room, err);
  plm_isoflop_scratch_destroy(&s);
  free(vertices);
  free(room);
  return code;
}
