#include "law/noise.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "law/surface.h"
#include "law/vp.h"

#define SAME_TOKENS 0.01 /* also: D within 1 % of the unique tokens is one pass */

static int same_kin(const struct plm_point *a, const struct plm_point *b) {
  return a->seed == b->seed && fabs(a->params - b->params) <= 1e-9 * b->params;
}

size_t plm_noise_kin(size_t *out, const struct plm_fit_task *task) {
  size_t kin = 0;
  for (size_t i = 0; i < task->count; i++) {
    size_t j = 0;
    while (!same_kin(&task->points[j], &task->points[i]))
      j++;
    out[i] = j < i ? out[j] : kin++;
  }
  return kin;
}

static int is_replicate(const struct plm_point *p, const struct plm_point *first) {
  return p->budget == first->budget && fabs(p->params - first->params) <= 1e-9 * first->params &&
         fabs(p->tokens - first->tokens) <= SAME_TOKENS * first->tokens &&
         fabs(p->unique - first->unique) <= SAME_TOKENS * first->unique;
}

/* Sums over the runs of one size and seed that have replicates. */
struct kin {
  double sum, squares, count, budget;
};

/* deviation: from the mean of the replicates, 0 for a run without. */
static double shared_part(const struct plm_fit_task *task, const double *deviation, const size_t *number, struct kin *kin) {
  double products = 0, pairs = 0, squares = 0, count = 0;
  for (size_t i = 0; i < task->count; i++) {
    struct kin *k = &kin[number[i]];
    if (deviation[i] == 0)
      continue;
    if (k->count > 0 && k->budget == task->points[i].budget)
      return 0; /* two runs of one seed in one place: these are no seeds */
    k->budget = task->points[i].budget;
    k->sum += deviation[i];
    k->squares += deviation[i] * deviation[i];
    k->count++;
  }
  for (size_t i = 0; i < task->count; i++) {
    const struct kin *k = &kin[i];
    if (k->count < 2)
      continue;
    products += k->sum * k->sum - k->squares;
    pairs += k->count * (k->count - 1);
    squares += k->squares;
    count += k->count;
  }
  return squares > 0 ? fmin(fmax(products / pairs * count / squares, 0), 1) : 0;
}

static int find_shared(struct plm_noise *noise, const struct plm_fit_task *task, const double *deviation,
                       struct plm_error *err) {
  size_t *number = plm_memory_zeroed(task->count, sizeof *number);
  struct kin *kin = plm_memory_zeroed(task->count, sizeof *kin);
  int code = number && kin ? 0 : plm_error_memory(err, "estimating noise");
  if (!code) {
    plm_noise_kin(number, task);
    noise->shared = shared_part(task, deviation, number, kin);
  }
  free(number);
  free(kin);
  return code;
}

static int of_replicates(struct plm_noise *out, const struct plm_fit_task *task, struct plm_error *err) {
  struct plm_noise noise = {.source = "seed replicates"};
  double *deviation = plm_memory_zeroed(task->count, sizeof *deviation);
  double squares = 0;
  if (!deviation)
    return plm_error_memory(err, "estimating noise");
  for (size_t start = 0, end; start < task->count; start = end) {
    const struct plm_point *p = task->points;
    double weight = 0, mean = 0;
    for (end = start; end < task->count && is_replicate(&p[end], &p[start]); end++) {
      weight += p[end].weight;
      mean += p[end].weight * log(p[end].loss);
    }
    mean /= weight;
    for (size_t i = start; i < end && end > start + 1; i++) {
      deviation[i] = sqrt(p[i].weight) * (log(p[i].loss) - mean);
      squares += deviation[i] * deviation[i];
    }
    noise.freedom += end - start - 1;
  }
  noise.sigma = noise.freedom ? sqrt(squares / (double)noise.freedom) : 0;
  int code = find_shared(&noise, task, deviation, err);
  free(deviation);
  *out = noise;
  return code;
}

/* What the points scatter about vp's surface; freedom stays 0 when they allow none. */
static int of_residuals(struct plm_noise *out, const struct plm_fit_task *task, const char *source,
                        struct plm_error *err) {
  struct plm_fit fit;
  struct plm_error refused = PLM_ERROR_INIT;
  double squares = 0;
  if (task->count < 5 + PLM_NOISE_FREEDOM_MIN)
    return 0;
  int code = plm_fit_init(&fit, "vp", task, err);
  if (code)
    return code;
  code = plm_estimator_fit(plm_estimator_find("vp"), &fit, task, &refused);
  if (!code) {
    for (size_t i = 0; i < task->count; i++) {
      const struct plm_point *p = &task->points[i];
      double r = p->loss / plm_surface_loss(&fit.surface, p->params, p->tokens) - 1;
      squares += p->weight * r * r;
    }
    *out = (struct plm_noise){sqrt(squares / (double)(task->count - 5)), task->count - 5, 0, source, 1};
  }
  plm_fit_fini(&fit);
  if (code && code != PLM_E_UNSUPPORTED) {
    if (err)
      *err = refused;
    return code;
  }
  return 0;
}

/* Runs that see data again do not lie on vp's surface: where enough others do, only those are asked. */
static int of_single_passes(struct plm_noise *out, const struct plm_fit_task *task, struct plm_error *err) {
  struct plm_fit_task part = *task;
  struct plm_point *points = plm_memory_zeroed(task->count, sizeof *points);
  if (!points)
    return plm_error_memory(err, "the noise of the points");
  part.points = points;
  part.count = 0;
  for (size_t i = 0; i < task->count; i++) {
    const struct plm_point *p = &task->points[i];
    if (!(p->unique > 0 && p->tokens > (1 + SAME_TOKENS) * p->unique))
      points[part.count++] = *p;
  }
  int code = part.count < task->count ? of_residuals(out, &part, "residuals of vp, runs of one pass", err) : 0;
  free(points);
  return code;
}

int plm_noise_estimate(struct plm_noise *out, const struct plm_fit_task *task, struct plm_error *err) {
  int code = of_replicates(out, task, err);
  if (code || out->freedom >= PLM_NOISE_FREEDOM_MIN)
    return code;
  *out = (struct plm_noise){.source = "nothing"};
  code = of_single_passes(out, task, err);
  return code || out->freedom ? code : of_residuals(out, task, "residuals of vp", err);
}
