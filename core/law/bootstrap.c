#include "law/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"

#define STRATUM_MIN 3
#define POINTS_FEW 12

/* Draws are weights: a point that is drawn twice counts twice, one that is not drawn is absent. */
struct sampler {
  const struct plm_fit_task *task;
  size_t *order;  /* the points, strata after each other */
  size_t *strata; /* starts of the strata in order, and the end */
  size_t stratum_count;
  uint32_t *times;         /* how often each point is drawn */
  struct plm_point *drawn; /* the sample */
};

struct results {
  size_t done;
  double *a, *b; /* of the draws that have exponents */
  size_t with_exponents;
  double *params;  /* row i: N_opt at compute i, draws values */
  size_t *answers; /* how many of row i are filled */
};

static void sampler_fini(struct sampler *sampler) {
  free(sampler->order);
  free(sampler->strata);
  free(sampler->times);
  free(sampler->drawn);
}

/* Appends the points whose budget is (large) or is not a stratum of its own. */
static void strata_fill(struct sampler *s, size_t *at, int large) {
  const struct plm_fit_task *task = s->task;
  for (size_t start = 0, end; start < task->count; start = end) {
    end = plm_budgets_end(task->points, task->count, start);
    if ((end - start >= STRATUM_MIN) != large)
      continue;
    if (large)
      s->strata[s->stratum_count++] = *at;
    for (size_t i = start; i < end; i++)
      s->order[(*at)++] = i;
  }
}

static int sampler_init(struct sampler *s, const struct plm_fit_task *task, struct plm_error *err) {
  *s = (struct sampler){.task = task,
                        .order = plm_memory_zeroed(task->count, sizeof *s->order),
                        .strata = plm_memory_zeroed(task->count + 2, sizeof *s->strata),
                        .times = plm_memory_zeroed(task->count, sizeof *s->times),
                        .drawn = plm_memory_zeroed(task->count, sizeof *s->drawn)};
  if (!s->order || !s->strata || !s->times || !s->drawn)
    return plm_error_memory(err, "the bootstrap");
  size_t at = 0;
  strata_fill(s, &at, 1);
  if (at < task->count)
    s->strata[s->stratum_count++] = at;
  strata_fill(s, &at, 0);
  s->strata[s->stratum_count] = at;
  return 0;
}

/* Draw number draw into s->drawn, in the order of the task; returns how many different points it has. */
static size_t sample_draw(struct sampler *s, uint64_t seed, uint32_t draw) {
  const struct plm_fit_task *task = s->task;
  for (size_t i = 0; i < task->count; i++)
    s->times[i] = 0;
  for (size_t k = 0; k < s->stratum_count; k++) {
    size_t start = s->strata[k], size = s->strata[k + 1] - start;
    for (size_t i = 0; i < size; i++) {
      uint64_t word = plm_rng_word(seed, PLM_RNG_BOOT, draw, 0, (uint32_t)(start + i));
      s->times[s->order[start + (size_t)(word * size >> 32)]]++;
    }
  }
  size_t count = 0;
  for (size_t i = 0; i < task->count; i++)
    if (s->times[i] > 0) {
      s->drawn[count] = task->points[i];
      s->drawn[count++].weight *= s->times[i];
    }
  return count;
}

static void results_fini(struct results *results) {
  free(results->a);
  free(results->b);
  free(results->params);
  free(results->answers);
}

static int results_init(struct results *r, size_t draws, size_t computes, struct plm_error *err) {
  *r = (struct results){.a = plm_memory_zeroed(draws, sizeof *r->a),
                        .b = plm_memory_zeroed(draws, sizeof *r->b),
                        .params = plm_memory_zeroed(computes, draws * sizeof *r->params),
                        .answers = plm_memory_zeroed(computes, sizeof *r->answers)};
  return r->a && r->b && r->params && r->answers ? 0 : plm_error_memory(err, "the bootstrap");
}

static void results_add(struct results *r, const struct plm_fit *fit, size_t draws) {
  r->done++;
  if (fit->has_exponents) {
    r->a[r->with_exponents] = fit->a;
    r->b[r->with_exponents++] = fit->b;
  }
  for (size_t i = 0; i < fit->optimum_count; i++)
    if (fit->optimum[i].known)
      r->params[i * draws + r->answers[i]++] = fit->optimum[i].params;
}

static int draws_fit(struct results *results, struct sampler *sampler, const struct plm_estimator *estimator,
                     const struct plm_fit_task *task, size_t draws, uint64_t seed, struct plm_error *err) {
  for (size_t draw = 0; draw < draws; draw++) {
    struct plm_fit_task drawn = *task;
    struct plm_fit fit;
    struct plm_error refused = PLM_ERROR_INIT;
    drawn.count = sample_draw(sampler, seed, (uint32_t)draw);
    drawn.points = sampler->drawn;
    int code = plm_fit_init(&fit, estimator->name, &drawn, err);
    if (code)
      return code;
    code = estimator->fit(&fit, &drawn, &refused);
    if (!code)
      results_add(results, &fit, draws);
    plm_fit_fini(&fit);
    if (code && code != PLM_E_UNSUPPORTED) {
      if (err)
        *err = refused;
      return code;
    }
  }
  return 0;
}

static int value_order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double plm_bootstrap_percentile(const double *sorted, size_t count, double share) {
  double at = share * (double)(count - 1);
  size_t below = (size_t)at;
  if (below + 1 >= count)
    return sorted[count - 1];
  return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

/* Sorts values. known stays 0 when too few draws gave a value. */
static struct plm_interval interval_of(double *values, size_t count, size_t draws) {
  struct plm_interval interval = {0};
  if (count < PLM_BOOTSTRAP_DRAWS_MIN || 2 * count < draws)
    return interval;
  qsort(values, count, sizeof *values, value_order);
  interval.known = 1;
  interval.low = plm_bootstrap_percentile(values, count, 0.025);
  interval.high = plm_bootstrap_percentile(values, count, 0.975);
  return interval;
}

static int intervals_fill(struct plm_fit *fit, struct results *r, const struct plm_fit_task *task, size_t draws,
                          struct plm_error *err) {
  fit->draws = draws;
  fit->draws_done = r->done;
  fit->a_interval = interval_of(r->a, r->with_exponents, draws);
  fit->b_interval = interval_of(r->b, r->with_exponents, draws);
  for (size_t i = 0; i < fit->optimum_count; i++) {
    struct plm_interval interval = interval_of(r->params + i * draws, r->answers[i], draws);
    if (fit->optimum[i].known && interval.known) {
      fit->optimum[i].params_low = interval.low;
      fit->optimum[i].params_high = interval.high;
    }
  }
  int code = 0;
  if (fit->has_exponents && !fit->a_interval.known)
    code = plm_notes_add(&fit->notes, err, "no interval: only %zu of %zu bootstrap draws allowed a fit with exponents",
                         r->with_exponents, draws);
  else if (fit->has_exponents && r->with_exponents < draws)
    code =
        plm_notes_add(&fit->notes, err,
                      "the interval is of %zu of %zu bootstrap draws; the others allowed no fit, so it is too narrow",
                      r->with_exponents, draws);
  if (!code && task->count < POINTS_FEW)
    code = plm_notes_add(&fit->notes, err, "a bootstrap of %zu points understates the uncertainty", task->count);
  return code;
}

int plm_bootstrap_run(struct plm_fit *fit, const struct plm_estimator *estimator, const struct plm_fit_task *task,
                      size_t draws, uint64_t seed, struct plm_error *err) {
  struct sampler sampler = {0};
  struct results results = {0};
  int code = sampler_init(&sampler, task, err);
  if (!code)
    code = results_init(&results, draws, fit->optimum_count, err);
  if (!code)
    code = draws_fit(&results, &sampler, estimator, task, draws, seed, err);
  if (!code)
    code = intervals_fill(fit, &results, task, draws, err);
  results_fini(&results);
  sampler_fini(&sampler);
  return code;
}
