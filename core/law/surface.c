#include "law/surface.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

/* A term that changes by less than this share of the loss over the points is absent. */
#define EFFECT_MIN 1e-9

double plm_surface_loss(const struct plm_surface *s, double params, double tokens) {
  return s->E + s->A * exp(-s->alpha * log(params)) + s->B * exp(-s->beta * log(tokens));
}

int plm_surface_points_check(const struct plm_fit_task *task, struct plm_error *err) {
  size_t n = task->count;
  if (n < PLM_SURFACE_POINTS_MIN)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "%zu points; a surface of five parameters needs at least %d", n,
                         PLM_SURFACE_POINTS_MIN);
  double *values = plm_memory_zeroed(n, sizeof *values);
  if (!values)
    return plm_error_memory(err, "the points of a surface");
  for (size_t i = 0; i < n; i++)
    values[i] = task->points[i].params;
  size_t sizes = plm_points_distinct(values, n);
  for (size_t i = 0; i < n; i++)
    values[i] = task->points[i].tokens;
  size_t tokens = plm_points_distinct(values, n);
  free(values);
  if (sizes < 3)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "%zu model size%s; E, A and alpha need at least 3", sizes,
                         sizes == 1 ? "" : "s");
  if (tokens < 3)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "%zu token count%s; E, B and beta need at least 3", tokens,
                         tokens == 1 ? "" : "s");
  return 0;
}

struct ranges {
  double params_low, params_high, tokens_low, tokens_high, loss_low, correlation;
};

/* correlation: of ln N and ln D, +-1 when they move together. */
static struct ranges ranges_of(const struct plm_fit_task *task) {
  struct ranges r = {INFINITY, 0, INFINITY, 0, INFINITY, 0};
  double mean_n = 0, mean_d = 0, nn = 0, dd = 0, nd = 0;
  for (size_t i = 0; i < task->count; i++) {
    const struct plm_point *p = &task->points[i];
    r.params_low = fmin(r.params_low, p->params);
    r.params_high = fmax(r.params_high, p->params);
    r.tokens_low = fmin(r.tokens_low, p->tokens);
    r.tokens_high = fmax(r.tokens_high, p->tokens);
    r.loss_low = fmin(r.loss_low, p->loss);
    mean_n += log(p->params) / (double)task->count;
    mean_d += log(p->tokens) / (double)task->count;
  }
  for (size_t i = 0; i < task->count; i++) {
    double n = log(task->points[i].params) - mean_n, d = log(task->points[i].tokens) - mean_d;
    nn += n * n;
    dd += d * d;
    nd += n * d;
  }
  r.correlation = nd / sqrt(nn * dd);
  return r;
}

/* A surface without a size or a data term, or one that rises with it, has no optimum. */
static int terms_check(const struct plm_surface *s, const struct ranges *r, struct plm_error *err) {
  double of_n = s->A * (exp(-s->alpha * log(r->params_low)) - exp(-s->alpha * log(r->params_high)));
  double of_d = s->B * (exp(-s->beta * log(r->tokens_low)) - exp(-s->beta * log(r->tokens_high)));
  int n_absent = !(of_n > EFFECT_MIN * r->loss_low), d_absent = !(of_d > EFFECT_MIN * r->loss_low);
  if (!n_absent && !d_absent)
    return 0;
  return plm_error_set(
      err, PLM_E_UNSUPPORTED,
      "the best surface has %s = %.3g and %s = %.3g: the loss does not fall with %s in these points, so no size is "
      "optimal",
      n_absent ? "A" : "B", n_absent ? s->A : s->B, n_absent ? "alpha" : "beta", n_absent ? s->alpha : s->beta,
      n_absent ? "N" : "D");
}

static int exponent_note(struct plm_fit *out, const char *name, double exponent, struct plm_error *err) {
  if (exponent > PLM_SURFACE_EXPONENT_MIN * (1 + 1e-6) && exponent < PLM_SURFACE_EXPONENT_MAX * (1 - 1e-6))
    return 0;
  return plm_notes_add(&out->notes, err, "%s is %.3g: these points do not determine it (a law has %g to %g)", name,
                       exponent, PLM_SURFACE_EXPONENT_MIN, PLM_SURFACE_EXPONENT_MAX);
}

static int notes_fill(struct plm_fit *out, const struct plm_surface *s, const struct ranges *r, size_t points,
                      struct plm_error *err) {
  int code = exponent_note(out, "alpha", s->alpha, err);
  if (!code)
    code = exponent_note(out, "beta", s->beta, err);
  if (!code && s->E <= EFFECT_MIN * r->loss_low)
    code = plm_notes_add(&out->notes, err, "E stopped at 0: these points show no floor of the loss");
  if (!code && fabs(r->correlation) > 0.999)
    code = plm_notes_add(
        &out->notes, err,
        "N and D move together in these points (one budget, or one ratio): their shares are hardly told apart");
  if (!code && points < 10)
    code = plm_notes_add(&out->notes, err, "%zu points for five parameters", points);
  return code;
}

void plm_surface_optimum(struct plm_optimum *out, const struct plm_surface *s, const struct plm_cost *cost) {
  double q = cost->exponent;
  double ln_ratio = log(s->alpha * s->A) - log(q * s->beta * s->B);
  double ln_n = (ln_ratio + s->beta * (log(out->compute) - log(cost->scale))) / (s->alpha + q * s->beta);
  out->known = 1;
  out->params = exp(ln_n);
  out->tokens = plm_cost_tokens(cost, out->compute, out->params);
  out->loss = plm_surface_loss(s, out->params, out->tokens);
}

double plm_surface_compute_of_params(const struct plm_surface *s, const struct plm_cost *cost, double params) {
  struct plm_optimum unit = {.compute = cost->scale};
  plm_surface_optimum(&unit, s, cost);
  /* N_opt ~ C^a. */
  return cost->scale * exp(log(params / unit.params) * (s->alpha + cost->exponent * s->beta) / s->beta);
}

double plm_surface_compute_of_loss(const struct plm_surface *s, const struct plm_cost *cost, double loss) {
  struct plm_optimum unit = {.compute = cost->scale};
  if (!(loss > s->E))
    return INFINITY;
  plm_surface_optimum(&unit, s, cost);
  /* L_opt - E ~ C^-(alpha beta/(alpha + q beta)). */
  double power = (s->alpha + cost->exponent * s->beta) / (s->alpha * s->beta);
  return cost->scale * exp(-power * log((loss - s->E) / (unit.loss - s->E)));
}

int plm_surface_accept(struct plm_fit *out, const struct plm_surface *surface, const struct plm_fit_task *task,
                       struct plm_error *err) {
  struct ranges ranges = ranges_of(task);
  int code = terms_check(surface, &ranges, err);
  if (code || (code = notes_fill(out, surface, &ranges, task->count, err)))
    return code;
  double q = task->cost.exponent;
  out->surface = *surface;
  out->has_surface = out->has_exponents = 1;
  out->points = task->count;
  out->a = surface->beta / (surface->alpha + q * surface->beta);
  out->b = surface->alpha / (surface->alpha + q * surface->beta);
  plm_fit_parameter(out, "E", surface->E);
  plm_fit_parameter(out, "A", surface->A);
  plm_fit_parameter(out, "B", surface->B);
  plm_fit_parameter(out, "alpha", surface->alpha);
  plm_fit_parameter(out, "beta", surface->beta);
  for (size_t i = 0; i < out->optimum_count; i++)
    plm_surface_optimum(&out->optimum[i], surface, &task->cost);
  return 0;
}
