#include "law/repeat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "law/simplex.h"
#include "law/vp.h"

#define GRID 24
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
static int base_fit(struct problem *p, struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
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
  if (!code) {
    p->law.base = base.surface;
    out->a = base.a;
    out->b = base.b;
    out->has_exponents = 1;
  }
  plm_fit_fini(&base);
  return code;
}

static int law_accept(struct plm_fit *out, const struct problem *p, const struct plm_fit_task *task,
                      struct plm_error *err) {
  double low = INFINITY, high = 0, unique = 0;
  for (size_t i = 0; i < p->count; i++) {
    low = fmin(low, log(p->points[i].params) - SPAN);
    high = fmax(high, log(p->points[i].params) + SPAN);
    unique = fmax(unique, p->points[i].unique);
  }
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
      plm_notes_add(&out->notes, err, "N_opt is for %.4g unique tokens; a and b are of runs of one pass", unique);
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
    code = base_fit(&problem, out, task, err);
  if (!code) {
    out->objective = repetitions_fit(&problem, task->from);
    code = law_accept(out, &problem, task, err);
  }
  free(rows);
  return code;
}
