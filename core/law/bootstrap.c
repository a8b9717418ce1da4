#include "law/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "law/resample.h"
#include "law/surface.h"
#include "law/workers.h"

#define POINTS_FEW 12
#define OPTIMUM_VALUES 3

/* What a draw gives, one row of values: a, b, the parameters, N D and L of every optimum; NAN where it gives none. */
struct draws {
  const struct plm_estimator *estimator;
  const struct plm_fit_task *task;
  const struct plm_fit *fit;
  const struct plm_bootstrap *bootstrap;
  struct plm_fit_task around; /* of which the draws are made: the task, or its points on the surface */
  struct plm_bootstrap around_bootstrap;
  enum plm_resample resample;
  struct plm_point *fitted; /* the points on the surface, or NULL */
  struct plm_strata strata;
  struct plm_sample *samples; /* one a worker */
  double *values;             /* [draws][width] */
  unsigned char *done;        /* [draws] */
  size_t width;
};

static void row_fill(double *row, const struct plm_fit *drawn, const struct plm_fit *fit) {
  row[0] = drawn->has_exponents ? drawn->a : (double)NAN;
  row[1] = drawn->has_exponents ? drawn->b : (double)NAN;
  row += 2;
  for (size_t i = 0; i < fit->param_count; i++)
    *row++ = i < drawn->param_count && !strcmp(drawn->params[i].name, fit->params[i].name) ? drawn->params[i].value
                                                                                           : (double)NAN;
  for (size_t i = 0; i < fit->optimum_count; i++, row += OPTIMUM_VALUES) {
    const struct plm_optimum *o = &drawn->optimum[i];
    row[0] = o->known ? o->params : (double)NAN;
    row[1] = o->known ? o->tokens : (double)NAN;
    row[2] = o->known ? o->loss : (double)NAN;
  }
}

static int draw_fit(size_t index, unsigned worker, void *context, struct plm_error *err) {
  struct draws *d = context;
  struct plm_sample *sample = &d->samples[worker];
  struct plm_fit_task task = *d->task;
  struct plm_fit fit;
  task.count = plm_sample_draw(sample, &d->strata, &d->around, d->resample, &d->around_bootstrap,
                               (uint32_t)index);
  task.points = sample->points;
  task.threads = 1;
  task.from = d->fit;
  int code = plm_fit_init(&fit, d->estimator->name, &task, err);
  if (code)
    return code;
  code = plm_estimator_fit(d->estimator, &fit, &task, err);
  if (!code) {
    d->done[index] = 1;
    row_fill(d->values + index * d->width, &fit, d->fit);
  }
  plm_fit_fini(&fit);
  return code == PLM_E_UNSUPPORTED ? 0 : code;
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

/* Of column column; *count: of how many draws. known stays 0 when too few draws gave a value. */
static struct plm_interval interval_of(const struct draws *d, size_t column, double *scratch, size_t *count) {
  struct plm_interval interval = {0};
  size_t draws = d->bootstrap->draws;
  *count = 0;
  for (size_t i = 0; i < draws; i++)
    if (d->done[i] && isfinite(d->values[i * d->width + column]))
      scratch[(*count)++] = d->values[i * d->width + column];
  if (*count < PLM_BOOTSTRAP_DRAWS_MIN || 2 * *count < draws)
    return interval;
  qsort(scratch, *count, sizeof *scratch, value_order);
  interval.known = 1;
  interval.low = plm_bootstrap_percentile(scratch, *count, 0.025);
  interval.high = plm_bootstrap_percentile(scratch, *count, 0.975);
  return interval;
}

static int notes_fill(struct plm_fit *fit, const struct draws *d, size_t with_exponents, struct plm_error *err) {
  size_t draws = d->bootstrap->draws;
  int code = 0;
  if (fit->has_exponents && !fit->a_interval.known)
    code = plm_notes_add(&fit->notes, err, "no interval: only %zu of %zu bootstrap draws allowed a fit with exponents",
                         with_exponents, draws);
  else if (fit->has_exponents && with_exponents < draws)
    code =
        plm_notes_add(&fit->notes, err,
                      "the interval is of %zu of %zu bootstrap draws; the others allowed no fit, so it is too narrow",
                      with_exponents, draws);
  if (!code && d->task->count < POINTS_FEW)
    code = plm_notes_add(&fit->notes, err, "a bootstrap of %zu points understates the uncertainty", d->task->count);
  return code;
}

static int intervals_fill(struct plm_fit *fit, const struct draws *d, struct plm_error *err) {
  size_t with_exponents, count, column = 2;
  double *scratch = plm_memory_zeroed(d->bootstrap->draws, sizeof *scratch);
  if (!scratch)
    return plm_error_memory(err, "the bootstrap");
  fit->draws = d->bootstrap->draws;
  fit->draws_done = 0;
  for (size_t i = 0; i < fit->draws; i++)
    fit->draws_done += d->done[i];
  fit->a_interval = interval_of(d, 0, scratch, &with_exponents);
  fit->b_interval = interval_of(d, 1, scratch, &count);
  for (size_t i = 0; i < fit->param_count; i++)
    fit->params[i].interval = interval_of(d, column++, scratch, &count);
  for (size_t i = 0; i < fit->optimum_count; i++, column += OPTIMUM_VALUES) {
    struct plm_optimum *o = &fit->optimum[i];
    if (!o->known)
      continue;
    o->params_interval = interval_of(d, column, scratch, &count);
    o->tokens_interval = interval_of(d, column + 1, scratch, &count);
    if (isfinite(o->loss))
      o->loss_interval = interval_of(d, column + 2, scratch, &count);
  }
  free(scratch);
  return notes_fill(fit, d, with_exponents, err);
}

/*
 * The points moved onto the surface, times what they are above it on the average. Where the noise is of replicates alone
 * and the points scatter by more, that is the noise: the rest is misfit, which drawing cells would show too.
 */
static int points_fit(struct draws *d, struct plm_error *err) {
  const struct plm_fit_task *task = d->task;
  struct plm_noise *noise = &d->around_bootstrap.noise;
  double sum = 0, total = 0, squares = 0;
  d->fitted = plm_memory_zeroed(task->count, sizeof *d->fitted);
  if (!d->fitted)
    return plm_error_memory(err, "the bootstrap");
  for (size_t i = 0; i < task->count; i++) {
    struct plm_point *p = &d->fitted[i];
    *p = task->points[i];
    p->loss = plm_surface_loss(&d->fit->surface, p->params, p->tokens);
    double r = log(task->points[i].loss / p->loss);
    sum += p->weight * r;
    squares += p->weight * r * r;
    total += p->weight;
  }
  for (size_t i = 0; i < task->count; i++)
    d->fitted[i].loss *= exp(sum / total);
  d->around.points = d->fitted;
  squares -= sum * sum / total;
  if (!noise->has_misfit && task->count > PLM_SURFACE_POINTS_MIN &&
      squares > (double)(task->count - 5) * noise->sigma * noise->sigma) {
    double sigma = sqrt(squares / (double)(task->count - 5));
    noise->shared *= noise->sigma * noise->sigma / (sigma * sigma);
    noise->sigma = sigma;
    noise->freedom = task->count - 5;
  }
  return 0;
}

/* Noise of residuals about vp's surface has in it what a law of more terms explains. */
static void noise_choose(struct plm_noise *noise, const struct plm_fit *fit) {
  if (!noise->has_misfit || fit->scatter_freedom < PLM_NOISE_FREEDOM_MIN || fit->scatter >= noise->sigma)
    return;
  noise->sigma = fit->scatter;
  noise->freedom = fit->scatter_freedom;
}

static int draws_create(struct draws *d, unsigned threads, struct plm_error *err) {
  d->around = *d->task;
  d->around_bootstrap = *d->bootstrap;
  noise_choose(&d->around_bootstrap.noise, d->fit);
  d->resample = d->estimator->resample;
  if (d->resample == PLM_RESAMPLE_FITTED) {
    int known = d->bootstrap->noise.freedom > 0 && d->fit->has_surface;
    int code = known ? points_fit(d, err) : 0;
    if (code)
      return code;
    d->resample = known ? PLM_RESAMPLE_NOISE : PLM_RESAMPLE_CELLS;
  }
  d->width = 2 + d->fit->param_count + OPTIMUM_VALUES * d->fit->optimum_count;
  d->values = plm_memory_zeroed(d->bootstrap->draws, d->width * sizeof *d->values);
  d->done = plm_memory_zeroed(d->bootstrap->draws, 1);
  d->samples = plm_memory_zeroed(threads, sizeof *d->samples);
  if (!d->values || !d->done || !d->samples)
    return plm_error_memory(err, "the bootstrap");
  int code = plm_strata_create(&d->strata, d->task, err);
  for (unsigned i = 0; !code && i < threads; i++)
    code = plm_sample_create(&d->samples[i], d->task->count, err);
  return code;
}

int plm_bootstrap_run(struct plm_fit *fit, const struct plm_estimator *estimator, const struct plm_fit_task *task,
                      const struct plm_bootstrap *bootstrap, struct plm_error *err) {
  struct draws draws = {.estimator = estimator, .task = task, .fit = fit, .bootstrap = bootstrap};
  unsigned threads = task->threads > 1 ? task->threads : 1;
  int code = draws_create(&draws, threads, err);
  if (!code)
    code = plm_workers_run(threads, bootstrap->draws, draw_fit, &draws, err);
  if (!code)
    code = intervals_fill(fit, &draws, err);
  for (unsigned i = 0; draws.samples && i < threads; i++)
    plm_sample_destroy(&draws.samples[i]);
  plm_strata_destroy(&draws.strata);
  free(draws.fitted);
  free(draws.samples);
  free(draws.values);
  free(draws.done);
  return code;
}
