#include "law/repeat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "law/least_squares.h"
#include "law/newton.h"
#include "law/simplex.h"
#include "law/vp.h"

#define GRID 24
#define EFFECT_MIN 1e-9 /* share of the loss: a term of less is absent */
#define UNKNOWNS 5
#define DIFFERENCE 1e-6
#define ROOM (1 + UNKNOWNS + 3 + PLM_LEAST_SQUARES_COLUMNS + 1) /* doubles a row, of problem.values */
#define SAME_PASS 1.01 /* D within 1 % of U is one pass */
#define SPAN 12        /* N_opt is looked for within e^12 of the sizes measured */
#define STEPS 240
#define FINER 10 /* times, each grid about the best of the one before */

/* What is left of value when all beyond unit fades with r. */
static double fade(double unit, double value, double r) {
  return value <= unit ? value : unit * (1 + r * -expm1(-(value / unit - 1) / r));
}

double plm_repeat_loss(const struct plm_repeat_law *law, double params, double tokens, double unique) {
  const struct plm_surface *s = &law->base;
  if (unique > 0) {
    double ln_ratio = log(s->alpha * s->A) - log(law->cost_exponent * s->beta * s->B);
    double best = exp((ln_ratio + s->beta * log(unique)) / s->alpha);
    params = fade(fmin(params, best), params, law->size);
    tokens = fade(unique, tokens, law->data);
  }
  return plm_surface_loss(s, params, tokens);
}

struct problem {
  struct plm_repeat_law law;
  const struct plm_point *points; /* single-pass rows first */
  size_t single, count;
  double mean_n, mean_d; /* of ln N and ln D */
  double *values;        /* [rows][1 + UNKNOWNS] residuals, and scratch of least squares */
};

/* x = ln R_D, ln R_N. */
static double objective(const double *x, void *context) {
  struct problem *p = context;
  double sum = 0;
  p->law.data = exp(x[0]);
  p->law.size = exp(x[1]);
  for (size_t i = p->single; i < p->count; i++) {
    const struct plm_point *q = &p->points[i];
    double r = plm_repeat_loss(&p->law, q->params, q->tokens, q->unique) - q->loss;
    sum += q->weight * r * r;
  }
  return sum;
}

/* Where the fit to all points ended; 0: there is none. */
static int start_find(double x[2], const struct plm_fit *from) {
  double found[2] = {0, 0};
  for (size_t i = 0; from && i < from->param_count; i++) {
    found[0] = strcmp(from->params[i].name, "R_D") ? found[0] : from->params[i].value;
    found[1] = strcmp(from->params[i].name, "R_N") ? found[1] : from->params[i].value;
  }
  if (!(found[0] > 0 && found[1] > 0))
    return 0;
  x[0] = log(found[0]);
  x[1] = log(found[1]);
  return 1;
}

static double repetitions_fit(struct problem *p, const struct plm_fit *from) {
  const double low[2] = {log(PLM_REPEAT_MIN), log(PLM_REPEAT_MIN)};
  const double high[2] = {log(PLM_REPEAT_MAX), log(PLM_REPEAT_MAX)};
  double step = (high[0] - low[0]) / (GRID - 1), best[2] = {0, 0}, least = INFINITY;
  int again = start_find(best, from);
  for (int i = 0; i < GRID && !again; i++)
    for (int j = 0; j < GRID; j++) {
      double x[2] = {low[0] + step * i, low[1] + step * j}, value = objective(x, p);
      if (value < least) {
        least = value;
        best[0] = x[0];
        best[1] = x[1];
      }
    }
  struct plm_simplex simplex = {objective, p, 2, low, high, step, 1e-12, 600};
  plm_simplex_minimise(&simplex, best);
  return objective(best, p);
}

/* The law at x = ln alpha, ln beta, ln R_D, ln R_N, ln (A/B), the latter with N and D in units of their means; E and B
 * are to come. */
static void law_at(struct plm_repeat_law *law, const double *x, const struct problem *p) {
  law->base.alpha = exp(x[0]);
  law->base.beta = exp(x[1]);
  law->data = exp(x[2]);
  law->size = exp(x[3]);
  law->base.A = exp(x[4] + law->base.alpha * p->mean_n);
  law->base.B = exp(law->base.beta * p->mean_d);
}

/* E and B by least squares at x, into p->law; the residuals into out. Returns the sum of their squares. */
static double project(double *out, const double *x, struct problem *p) {
  double *one = p->values + UNKNOWNS * p->count + p->count, *terms = one + p->count, *y = terms + p->count, c[2] = {0};
  double sum = INFINITY;
  law_at(&p->law, x, p);
  p->law.base.E = 0;
  for (size_t i = 0; i < p->count; i++) {
    const struct plm_point *q = &p->points[i];
    one[i] = sqrt(q->weight);
    terms[i] = one[i] * plm_repeat_loss(&p->law, q->params, q->tokens, q->unique);
    y[i] = one[i] * q->loss;
  }
  plm_least_squares_positive(c, &sum, (const double *const[]){one, terms}, 2, y, p->count, y + p->count);
  for (size_t i = 0; i < p->count; i++)
    out[i] = c[0] * one[i] + c[1] * terms[i] - y[i];
  p->law.base.E = c[0];
  p->law.base.A *= c[1];
  p->law.base.B *= c[1];
  return isnan(sum) ? INFINITY : sum;
}

/* Gauss and Newton's Hessian: of residuals whose derivatives are differences. */
static double joint_value(double *gradient, double *hessian, const double *x, void *context) {
  struct problem *p = context;
  size_t n = p->count;
  double *r = p->values, value = project(r, x, p);
  if (!gradient)
    return value;
  for (int j = 0; j < UNKNOWNS; j++) {
    double moved[UNKNOWNS], *column = p->values + (size_t)(1 + j) * n;
    memcpy(moved, x, sizeof moved);
    moved[j] += DIFFERENCE;
    project(column, moved, p);
    gradient[j] = 0;
    for (size_t i = 0; i < n; i++) {
      column[i] = (column[i] - r[i]) / DIFFERENCE;
      gradient[j] += 2 * r[i] * column[i];
    }
    for (int k = 0; k <= j; k++) {
      const double *other = p->values + (size_t)(1 + k) * n;
      hessian[j * UNKNOWNS + k] = 0;
      for (size_t i = 0; i < n; i++)
        hessian[j * UNKNOWNS + k] += 2 * column[i] * other[i];
    }
  }
  return value;
}

static void means_find(struct problem *p) {
  p->mean_n = p->mean_d = 0;
  for (size_t i = 0; i < p->count; i++) {
    p->mean_n += log(p->points[i].params) / (double)p->count;
    p->mean_d += log(p->points[i].tokens) / (double)p->count;
  }
}

/*
 * All seven together, from where the two steps ended: a model larger than its data warrant has faded size in its first
 * pass already, which the surface of the first step took for its own. Returns the objective over all rows.
 */
static double joint_fit(struct problem *p) {
  static const double exponent[2] = {PLM_SURFACE_EXPONENT_MIN, PLM_SURFACE_EXPONENT_MAX};
  const struct plm_repeat_law start = p->law;
  const double low[UNKNOWNS] = {log(exponent[0]), log(exponent[0]), log(PLM_REPEAT_MIN), log(PLM_REPEAT_MIN), -700};
  const double high[UNKNOWNS] = {log(exponent[1]), log(exponent[1]), log(PLM_REPEAT_MAX), log(PLM_REPEAT_MAX), 700};
  means_find(p);
  double x[UNKNOWNS] = {log(start.base.alpha), log(start.base.beta), log(start.data), log(start.size),
                        log(start.base.A / start.base.B) - start.base.alpha * p->mean_n + start.base.beta * p->mean_d};
  const struct plm_newton newton = {joint_value, p, UNKNOWNS, low, high, 100};
  plm_newton_minimise(&newton, x);
  return project(p->values, x, p);
}

static void optimum_fill(struct plm_optimum *out, const struct problem *p, const struct plm_cost *cost, double low,
                         double high, double unique) {
  double best = low, least = INFINITY, step = (high - low) / STEPS;
  for (int pass = 0; step >= 1e-10; pass++) {
    double centre = best;
    for (int k = pass ? -FINER : 0; k <= (pass ? FINER : STEPS); k++) {
      double x = (pass ? centre : low) + step * k, tokens = plm_cost_tokens(cost, out->compute, exp(x));
      double loss = plm_repeat_loss(&p->law, exp(x), tokens, unique);
      if (loss < least) {
        least = loss;
        best = x;
      }
    }
    step /= FINER;
  }
  const double edge = 1e-6 * (high - low);
  if (best < low + edge || best > high - edge)
    return; /* the loss still falls where the search ends */
  out->known = 1;
  out->params = exp(best);
  out->tokens = plm_cost_tokens(cost, out->compute, out->params);
  out->loss = least;
}

/* Relative residuals of the law, seven parameters taken off. */
static void scatter_find(struct plm_fit *out, const struct problem *p) {
  double squares = 0;
  if (p->count <= 7)
    return;
  for (size_t i = 0; i < p->count; i++) {
    const struct plm_point *q = &p->points[i];
    double r = q->loss / plm_repeat_loss(&p->law, q->params, q->tokens, q->unique) - 1;
    squares += q->weight * r * r;
  }
  out->scatter_freedom = p->count - 7;
  out->scatter = sqrt(squares / (double)out->scatter_freedom);
}

/* Rows with a known U into rows, single-pass ones first; *single of them. */
static int rows_sort(struct plm_point *rows, size_t *count, size_t *single, struct plm_fit *out,
                     const struct plm_fit_task *task, struct plm_error *err) {
  int code = 0;
  *count = *single = 0;
  for (int pass = 0; pass < 2; pass++)
    for (size_t i = 0; !code && i < task->count; i++) {
      const struct plm_point *p = &task->points[i];
      if (!(p->unique > 0)) {
        if (pass == 0)
          code = plm_fit_leave_out(out, p, 1, "its number of unique tokens is not known", err);
      } else if ((p->tokens > SAME_PASS * p->unique) == pass) {
        rows[(*count)++] = *p;
        *single += pass == 0;
      }
    }
  return code;
}

/* The law of the single-pass rows. */
static int base_fit(struct problem *p, const struct plm_fit_task *task, struct plm_error *err) {
  struct plm_fit_task part = *task;
  struct plm_fit base;
  struct plm_error refused = PLM_ERROR_INIT;
  part.points = p->points;
  part.count = p->single;
  part.compute_count = 0;
  int code = plm_fit_init(&base, "vp", &part, err);
  if (code)
    return code;
  code = plm_estimator_fit(plm_estimator_find("vp"), &base, &part, &refused);
  if (code == PLM_E_UNSUPPORTED)
    plm_error_set(err, code, "%zu rows of at most one pass do not make a law to start from: %s", p->single,
                  refused.text);
  else if (code && err)
    *err = refused;
  if (!code)
    p->law.base = base.surface;
  plm_fit_fini(&base);
  return code;
}

static int law_accept(struct plm_fit *out, const struct problem *p, const struct plm_fit_task *task,
                      struct plm_error *err) {
  double low = INFINITY, high = 0, unique = 0, of_n = 0, of_d = 0;
  for (size_t i = 0; i < p->count; i++) {
    of_n = fmax(of_n, p->law.base.A * exp(-p->law.base.alpha * log(p->points[i].params)) / p->points[i].loss);
    of_d = fmax(of_d, p->law.base.B * exp(-p->law.base.beta * log(p->points[i].tokens)) / p->points[i].loss);
    low = fmin(low, log(p->points[i].params) - SPAN);
    high = fmax(high, log(p->points[i].params) + SPAN);
    unique = fmax(unique, p->points[i].unique);
  }
  const struct plm_surface *s = &p->law.base;
  if (!(of_n > EFFECT_MIN && of_d > EFFECT_MIN))
    return plm_error_set(err, PLM_E_UNSUPPORTED,
                         "the best law has %s = %.3g: the loss does not fall with %s in these rows, so no size is optimal",
                         of_n > EFFECT_MIN ? "B" : "A", of_n > EFFECT_MIN ? s->B : s->A, of_n > EFFECT_MIN ? "D" : "N");
  out->has_exponents = 1;
  out->a = s->beta / (s->alpha + task->cost.exponent * s->beta);
  out->b = s->alpha / (s->alpha + task->cost.exponent * s->beta);
  plm_fit_parameter(out, "E", p->law.base.E);
  plm_fit_parameter(out, "A", p->law.base.A);
  plm_fit_parameter(out, "B", p->law.base.B);
  plm_fit_parameter(out, "alpha", p->law.base.alpha);
  plm_fit_parameter(out, "beta", p->law.base.beta);
  plm_fit_parameter(out, "R_D", p->law.data);
  plm_fit_parameter(out, "R_N", p->law.size);
  out->points = p->count;
  size_t unknown = 0;
  for (size_t i = 0; i < out->optimum_count; i++) {
    optimum_fill(&out->optimum[i], p, &task->cost, low, high, unique);
    unknown += !out->optimum[i].known;
  }
  int code =
      plm_notes_add(&out->notes, err, "N_opt is for %.4g unique tokens; a and b are of data without end", unique);
  if (!code && unknown)
    code = plm_notes_add(&out->notes, err, "no optimum within a factor of %.0f of the measured sizes at %zu of %zu budgets",
                         exp(SPAN), unknown, out->optimum_count);
  const double found[2] = {p->law.data, p->law.size};
  for (int k = 0; !code && k < 2; k++)
    if (found[k] < PLM_REPEAT_MIN * (1 + 1e-6) || found[k] > PLM_REPEAT_MAX * (1 - 1e-6))
      code =
          plm_notes_add(&out->notes, err, "%s stopped at the edge of the search, %g: these points do not determine it",
                        k ? "R_N" : "R_D", found[k]);
  return code;
}

int plm_repeat_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  size_t count, single;
  struct plm_point *rows = plm_memory_zeroed(task->count, sizeof *rows);
  if (!rows)
    return plm_error_memory(err, "the rows of a fit");
  int code = rows_sort(rows, &count, &single, out, task, err);
  struct problem problem = {.law.cost_exponent = task->cost.exponent, .points = rows, .single = single, .count = count};
  if (!code && count == 0)
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "no row says how many unique tokens it had (column unique)");
  else if (!code && count - single < 2)
    code = plm_error_set(err, PLM_E_UNSUPPORTED,
                         "%zu of %zu rows repeat%s their data (D > U); R_D and R_N need at least 2", count - single,
                         count, count - single == 1 ? "s" : "");
  if (!code)
    code = base_fit(&problem, task, err);
  if (!code && !(problem.values = plm_memory_zeroed(count, ROOM * sizeof *problem.values)))
    code = plm_error_memory(err, "the rows of a fit");
  if (!code) {
    repetitions_fit(&problem, task->from);
    out->objective = joint_fit(&problem);
    scatter_find(out, &problem);
    code = law_accept(out, &problem, task, err);
  }
  free(problem.values);
  free(rows);
  return code;
}
