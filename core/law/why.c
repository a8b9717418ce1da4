#include "law/why.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "law/bootstrap.h"
#include "law/law.h"
#include "law/workers.h"

#define SEED 1

static const char *const NAMES[PLM_WHY_CHOICES] = {"estimator", "N", "C", "split", "positions", "budgets", "seeds"};
static const char *const COUNTS[] = {"layers", "with the head", "with the embedding"};
static const char *const FLOPS[] = {"6ND", "exact"};
static const char *const SPLITS[] = {"validation", "training"};
static const char *const POSITIONS[] = {"<mask> only", "all selected"};
static const char *const LARGEST[] = {"all", "without the largest"};

struct plan {
  struct plm_why *why;
  const struct plm_study_runs *runs;
  const struct plm_why_options *options;
  unsigned levels[PLM_WHY_CHOICES];
  struct plm_fit *usual; /* [estimators] fits under the usual choices, from which the others start */
  unsigned char *has_usual;
  struct plm_fit_task task; /* the usual one; its points and compute are owned below */
  struct plm_points points;
};

const char *plm_why_choice_name(enum plm_why_choice choice) { return NAMES[choice]; }

void plm_why_chosen(char *out, size_t size, const struct plm_why *why, const struct plm_why_row *row,
                    enum plm_why_choice choice) {
  static const char *const *const texts[] = {NULL, COUNTS, FLOPS, SPLITS, POSITIONS, LARGEST};
  size_t count;
  unsigned level = row->choice[choice];
  if (choice == PLM_WHY_ESTIMATOR)
    snprintf(out, size, "%s", plm_estimators(&count)[level].name);
  else if (choice != PLM_WHY_SEED)
    snprintf(out, size, "%s", texts[choice][level]);
  else if (level == 0)
    snprintf(out, size, "all");
  else
    snprintf(out, size, "seed %llu", (unsigned long long)why->seeds[level - 1]);
}

static struct plm_points_choice points_choice(const unsigned choice[PLM_WHY_CHOICES]) {
  unsigned loss = 2 * choice[PLM_WHY_SPLIT] + choice[PLM_WHY_POSITIONS];
  return (struct plm_points_choice){(enum plm_points_loss)loss, (enum plm_points_count)choice[PLM_WHY_COUNT],
                                    (enum plm_points_flops)choice[PLM_WHY_FLOPS]};
}

/* The points of a row, in budgets; PLM_E_UNSUPPORTED when nothing is left. */
static int points_make(struct plm_points *out, struct plm_cost *cost, const struct plan *plan, const unsigned *choice,
                       struct plm_error *err) {
  struct plm_points_choice chosen = points_choice(choice);
  int code = plm_points_from_runs(out, plan->runs, &chosen, err);
  if (code)
    return code;
  size_t kept = 0;
  for (size_t i = 0; i < out->count; i++)
    if (!choice[PLM_WHY_SEED] || out->items[i].seed == plan->why->seeds[choice[PLM_WHY_SEED] - 1])
      out->items[kept++] = out->items[i];
  out->count = kept;
  plm_budgets_assign(out);
  if (choice[PLM_WHY_LARGEST] && kept) {
    double largest = out->items[kept - 1].budget;
    while (out->count && out->items[out->count - 1].budget == largest)
      out->count--;
  }
  if (out->count == 0)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "no runs are left");
  code = plm_cost_fit(cost, out, err);
  return code == PLM_E_DAMAGED ? PLM_E_UNSUPPORTED : code;
}

static void row_fill(struct plm_why_row *row, const struct plm_fit *fit) {
  row->fitted = 1;
  row->has_exponents = fit->has_exponents;
  row->a = fit->a;
  row->a_interval = fit->a_interval;
  row->params = fit->optimum[0].known ? fit->optimum[0].params : (double)NAN;
}

static int fit_run(struct plm_fit *fit, const struct plm_estimator *estimator, const struct plm_fit_task *task,
                   size_t draws, struct plm_error *err) {
  int code = plm_estimator_fit(estimator, fit, task, err);
  if (code || !draws)
    return code;
  struct plm_bootstrap bootstrap = {.draws = draws, .seed = SEED};
  code = plm_noise_estimate(&bootstrap.noise, task, err);
  return code ? code : plm_bootstrap_run(fit, estimator, task, &bootstrap, err);
}

/* One row, on one thread. */
static int row_fit(size_t index, unsigned worker, void *context, struct plm_error *err) {
  struct plan *plan = context;
  struct plm_why_row *row = &plan->why->rows[index];
  size_t count;
  const struct plm_estimator *estimator = &plm_estimators(&count)[row->choice[PLM_WHY_ESTIMATOR]];
  struct plm_points points = {0};
  struct plm_error inner = PLM_ERROR_INIT;
  struct plm_fit_task task = {.compute = &plan->why->compute, .compute_count = 1, .threads = 1};
  struct plm_fit fit = {0};
  (void)worker;
  int code = points_make(&points, &task.cost, plan, row->choice, &inner);
  task.points = points.items;
  task.count = points.count;
  task.curves_absent = points.curves_absent;
  if (plan->has_usual[row->choice[PLM_WHY_ESTIMATOR]])
    task.from = &plan->usual[row->choice[PLM_WHY_ESTIMATOR]];
  if (!code)
    code = plm_fit_init(&fit, estimator->name, &task, &inner);
  if (!code)
    code = fit_run(&fit, estimator, &task, row->single == -2 ? 0 : plan->options->draws, &inner);
  if (!code)
    row_fill(row, &fit);
  else
    snprintf(row->reason, sizeof row->reason, "%.*s", (int)sizeof row->reason - 1, inner.text);
  plm_fit_fini(&fit);
  plm_points_fini(&points);
  if (code && code != PLM_E_UNSUPPORTED && err)
    *err = inner;
  return code == PLM_E_UNSUPPORTED ? 0 : code;
}

static int seed_order(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static int seeds_list(struct plm_why *why, const struct plm_points *points, struct plm_error *err) {
  why->seeds = plm_memory_zeroed(points->count, sizeof *why->seeds);
  if (!why->seeds)
    return plm_error_memory(err, "the seeds");
  for (size_t i = 0; i < points->count; i++)
    why->seeds[i] = points->items[i].seed;
  qsort(why->seeds, points->count, sizeof *why->seeds, seed_order);
  for (size_t i = 0; i < points->count; i++)
    if (i == 0 || why->seeds[i] != why->seeds[why->seed_count - 1])
      why->seeds[why->seed_count++] = why->seeds[i];
  return 0;
}

/* Every combination, the usual one first. */
static int rows_make(struct plan *plan, struct plm_error *err) {
  struct plm_why *why = plan->why;
  size_t estimators;
  const struct plm_estimator *table = plm_estimators(&estimators);
  unsigned usual[PLM_WHY_CHOICES] = {(unsigned)(plm_estimator_find(PLM_LAW_MAIN) - table)};
  const unsigned levels[PLM_WHY_CHOICES] = {
      (unsigned)estimators, 3, 2, 2, 2, 2, why->seed_count > 1 ? 1 + (unsigned)why->seed_count : 1};
  size_t count = 1;
  for (int c = 0; c < PLM_WHY_CHOICES; c++)
    count *= levels[c];
  why->rows = plm_memory_zeroed(count, sizeof *why->rows);
  if (!why->rows)
    return plm_error_memory(err, "the combinations of choices");
  memcpy(plan->levels, levels, sizeof levels);
  why->row_count = count;
  for (size_t i = 0; i < count; i++) {
    struct plm_why_row *row = &why->rows[i];
    size_t rest = i;
    *row = (struct plm_why_row){.single = -1, .params = (double)NAN, .moved = (double)NAN};
    for (int c = 0; c < PLM_WHY_CHOICES; c++, rest /= levels[c - 1]) {
      row->choice[c] = (usual[c] + (unsigned)(rest % levels[c])) % levels[c];
      if (row->choice[c] != usual[c])
        row->single = row->single == -1 ? c : -2;
    }
    why->single_count += row->single >= 0;
  }
  return 0;
}

/* The usual fit of every estimator, searched everywhere. */
static int usual_fit(struct plan *plan, struct plm_error *err) {
  size_t count;
  const struct plm_estimator *table = plm_estimators(&count);
  int code = 0;
  plan->usual = plm_memory_zeroed(count, sizeof *plan->usual);
  plan->has_usual = plm_memory_zeroed(count, 1);
  if (!plan->usual || !plan->has_usual)
    return plm_error_memory(err, "the usual fits");
  for (size_t e = 0; !code && e < count; e++) {
    struct plm_error inner = PLM_ERROR_INIT;
    code = plm_fit_init(&plan->usual[e], table[e].name, &plan->task, err);
    if (code)
      break;
    code = plm_estimator_fit(&table[e], &plan->usual[e], &plan->task, &inner);
    plan->has_usual[e] = !code || plan->usual[e].basin_count > 0; /* a refused surface has its minima all the same */
    if (code && code != PLM_E_UNSUPPORTED && err)
      *err = inner;
    code = code == PLM_E_UNSUPPORTED ? 0 : code;
  }
  return code;
}

static int plateau_find(struct plan *plan, struct plm_error *err) {
  struct plm_fit fit;
  struct plm_noise noise;
  struct plm_error refused = PLM_ERROR_INIT;
  struct plm_fit_task task = plan->task;
  double largest = plan->points.items[plan->points.count - 1].budget;
  int code = plm_fit_init(&fit, "vp", &task, err);
  if (code)
    return code;
  if ((code = plm_noise_estimate(&noise, &task, err)))
    goto out;
  code = fit_run(&fit, plm_estimator_find("vp"), &task, plan->options->draws, &refused);
  if (code && code != PLM_E_UNSUPPORTED && err)
    *err = refused;
  if (!code || code == PLM_E_UNSUPPORTED) {
    plm_plateau_judge(&plan->why->plateau, code ? NULL : &fit, refused.text, &task.cost, &noise, largest);
    code = 0;
  }
out:
  plm_fit_fini(&fit);
  return code;
}

static int row_order(const void *a, const void *b) {
  const struct plm_why_row *p = a, *q = b;
  int kind_p = p->single == -1 ? 2 : p->single >= 0, kind_q = q->single == -1 ? 2 : q->single >= 0;
  double x = isfinite(p->moved) ? fabs(p->moved) : p->fitted - 2,
         y = isfinite(q->moved) ? fabs(q->moved) : q->fitted - 2;
  return kind_p != kind_q ? kind_q - kind_p : (x < y) - (x > y);
}

static void rows_judge(struct plm_why *why) {
  double usual = why->rows[0].params;
  why->params_min = why->a_min = INFINITY;
  why->params_max = why->a_max = -INFINITY;
  for (size_t i = 0; i < why->row_count; i++) {
    struct plm_why_row *row = &why->rows[i];
    if (!isfinite(row->params))
      continue;
    row->moved = log10(row->params / usual);
    why->fitted++;
    why->params_min = fmin(why->params_min, row->params);
    why->params_max = fmax(why->params_max, row->params);
    if (row->has_exponents) {
      why->a_min = fmin(why->a_min, row->a);
      why->a_max = fmax(why->a_max, row->a);
    }
  }
  qsort(why->rows, why->row_count, sizeof *why->rows, row_order);
}

static int why_run(struct plan *plan, struct plm_error *err) {
  static const unsigned usual[PLM_WHY_CHOICES] = {0};
  struct plm_why *why = plan->why;
  unsigned threads = plan->options->threads ? plan->options->threads : plm_workers_default();
  struct plm_points all = {0};
  struct plm_points_choice choice = points_choice(usual);
  int code = plm_points_from_runs(&all, plan->runs, &choice, err);
  if (!code && all.count == 0)
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "%s: no run is done", why->source);
  if (!code)
    code = seeds_list(why, &all, err);
  plm_points_fini(&all);
  if (code || (code = points_make(&plan->points, &plan->task.cost, plan, usual, err)))
    return code;
  why->compute = plan->options->at > 0 ? plan->options->at : plan->points.items[plan->points.count - 1].budget;
  plan->task.points = plan->points.items;
  plan->task.count = plan->points.count;
  plan->task.curves_absent = plan->points.curves_absent;
  plan->task.compute = &why->compute;
  plan->task.compute_count = 1;
  plan->task.threads = threads;
  if ((code = rows_make(plan, err)) || (code = usual_fit(plan, err)) || (code = plateau_find(plan, err)) ||
      (code = plm_workers_run(threads, why->row_count, row_fit, plan, err)))
    return code;
  rows_judge(why);
  return 0;
}

int plm_why_fit(struct plm_why **out, const struct plm_study_runs *runs, const char *source,
                const struct plm_why_options *options, struct plm_error *err) {
  struct plm_why *why = plm_memory_zeroed(1, sizeof *why);
  struct plan plan = {.why = why, .runs = runs, .options = options};
  size_t estimators;
  plm_estimators(&estimators);
  if (!why || !(why->source = plm_memory_format("%s", source))) {
    free(why);
    return plm_error_memory(err, "the choices");
  }
  int code = why_run(&plan, err);
  for (size_t e = 0; plan.usual && e < estimators; e++)
    plm_fit_fini(&plan.usual[e]);
  free(plan.usual);
  free(plan.has_usual);
  plm_points_fini(&plan.points);
  if (code)
    plm_why_destroy(why);
  else
    *out = why;
  return code;
}

void plm_why_destroy(struct plm_why *why) {
  if (!why)
    return;
  free(why->source);
  free(why->seeds);
  free(why->rows);
  free(why);
}
