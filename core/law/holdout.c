#include "law/holdout.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "law/surface.h"

struct parts {
  const struct plm_fit_task *task;
  size_t *starts; /* of the budgets with at least two points, and their ends */
  size_t *ends;
  size_t count;
  struct plm_point *kept;
};

static int parts_create(struct parts *out, const struct plm_fit_task *task, struct plm_error *err) {
  struct parts parts = {.task = task,
                        .starts = plm_memory_zeroed(task->count, 2 * sizeof *parts.starts),
                        .kept = plm_memory_zeroed(task->count, sizeof *parts.kept)};
  if (!parts.starts || !parts.kept) {
    free(parts.starts);
    free(parts.kept);
    return plm_error_memory(err, "the budgets held out");
  }
  parts.ends = parts.starts + task->count;
  for (size_t start = 0, end; start < task->count; start = end) {
    end = plm_budgets_end(task->points, task->count, start);
    if (end - start < 2)
      continue;
    parts.starts[parts.count] = start;
    parts.ends[parts.count++] = end;
  }
  *out = parts;
  return 0;
}

/* The points for budget held: all but it, or those of the first budgets, into parts->kept; returns how many. */
static size_t points_keep(const struct parts *parts, size_t held, size_t budgets) {
  const struct plm_fit_task *task = parts->task;
  size_t count = 0, end = budgets ? parts->ends[budgets - 1] : task->count;
  for (size_t i = 0; i < end; i++)
    if (i < parts->starts[held] || i >= parts->ends[held])
      parts->kept[count++] = task->points[i];
  return count;
}

static void errors_fill(struct plm_holdout *row, const struct plm_fit *fit, const struct plm_point *points,
                        size_t count) {
  double squares = 0, sum = 0;
  row->params = fit->optimum[0].known ? fit->optimum[0].params : (double)NAN;
  if (!fit->has_surface)
    return;
  for (size_t i = 0; i < count; i++) {
    double r = points[i].loss - plm_surface_loss(&fit->surface, points[i].params, points[i].tokens);
    squares += r * r;
    sum += r;
  }
  row->loss_rms = sqrt(squares / (double)count);
  row->loss_bias = sum / (double)count;
}

static double params_at(const struct plm_fit *fit, double budget) {
  for (size_t i = 0; i < fit->optimum_count; i++)
    if (fit->optimum[i].known && fabs(fit->optimum[i].compute - budget) <= 1e-9 * budget)
      return fit->optimum[i].params;
  return (double)NAN;
}

/* budgets: how many of the smallest are kept, 0: all others. */
static int hold_out(struct plm_fit *fit, const struct plm_estimator *estimator, const struct parts *parts, size_t held,
                    size_t budgets, struct plm_error *err) {
  const struct plm_point *points = parts->task->points + parts->starts[held];
  struct plm_fit_task task = *parts->task;
  struct plm_error refused = PLM_ERROR_INIT;
  struct plm_fit part;
  void *rows = fit->holdouts;
  if (plm_memory_grow(&rows, &fit->holdout_capacity, fit->holdout_count + 1, sizeof *fit->holdouts))
    return plm_error_memory(err, "the budgets held out");
  fit->holdouts = rows;
  struct plm_holdout row = {.rollout = budgets > 0,
                            .budget = points->budget,
                            .budgets_kept = budgets ? budgets : parts->count - 1,
                            .points_held = parts->ends[held] - parts->starts[held],
                            .params = (double)NAN,
                            .params_all = params_at(fit, points->budget),
                            .loss_rms = (double)NAN,
                            .loss_bias = (double)NAN};
  task.count = points_keep(parts, held, budgets);
  task.points = parts->kept;
  task.compute = &points->budget;
  task.compute_count = 1;
  task.from = fit;
  int code = plm_fit_init(&part, estimator->name, &task, err);
  if (code)
    return code;
  code = plm_estimator_fit(estimator, &part, &task, &refused);
  if (!code)
    errors_fill(&row, &part, points, row.points_held);
  else
    snprintf(row.refused, sizeof row.refused, "%.*s", (int)sizeof row.refused - 1, refused.text);
  plm_fit_fini(&part);
  if (code && code != PLM_E_UNSUPPORTED) {
    if (err)
      *err = refused;
    return code;
  }
  fit->holdouts[fit->holdout_count++] = row;
  return 0;
}

int plm_holdout_run(struct plm_fit *fit, const struct plm_estimator *estimator, const struct plm_fit_task *task,
                    struct plm_error *err) {
  struct parts parts = {0};
  int code = parts_create(&parts, task, err);
  if (code)
    return code;
  if (parts.count >= PLM_HOLDOUT_BUDGETS_MIN) {
    for (size_t i = 0; !code && i < parts.count; i++)
      code = hold_out(fit, estimator, &parts, i, 0, err);
    for (size_t k = 2; !code && k < parts.count; k++)
      code = hold_out(fit, estimator, &parts, parts.count - 1, k, err);
  }
  free(parts.starts);
  free(parts.kept);
  return code;
}
