#include "law/law.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "law/bias.h"
#include "law/bootstrap.h"
#include "law/holdout.h"
#include "law/misfit.h"
#include "law/workers.h"

/* Is row among the comma-separated names? */
static int name_listed(const char *names, const char *row) {
  size_t length = strlen(row);
  for (const char *at = names; at; at = strchr(at, ',')) {
    at += *at == ',';
    at += strspn(at, " ");
    if (!strncmp(at, row, length) && (at[length] == 0 || at[length] == ',' || at[length] == ' '))
      return 1;
  }
  return 0;
}

/* Every name of the list has to be an estimator. */
static int names_check(const char *names, struct plm_error *err) {
  size_t count;
  const struct plm_estimator *table = plm_estimators(&count);
  char *copy = plm_memory_format("%s", names), *rest = copy, known[240] = "";
  if (!copy)
    return plm_error_memory(err, "the estimators");
  for (size_t i = 0, used = 0; i < count; i++)
    used += (size_t)snprintf(known + used, sizeof known - used, "%s, ", table[i].name);
  int code = 0;
  for (char *name; !code && (name = strsep(&rest, ","));) {
    name += strspn(name, " ");
    name[strcspn(name, " ")] = 0;
    size_t i = 0;
    while (i < count && strcmp(name, table[i].name) != 0)
      i++;
    if (i == count)
      code = plm_error_set(err, PLM_E_USAGE, "estimator \"%.40s\" is unknown; there are %sand all", name, known);
  }
  free(copy);
  return code;
}

static int options_check(const struct plm_law_options *options, struct plm_error *err) {
  if (options->draws > PLM_BOOTSTRAP_DRAWS_MAX)
    return plm_error_set(err, PLM_E_USAGE, "bootstrap: %zu draws, at most %d", options->draws, PLM_BOOTSTRAP_DRAWS_MAX);
  for (size_t i = 0; i < options->at_count; i++)
    if (!isfinite(options->at[i]) || options->at[i] <= 0)
      return plm_error_set(err, PLM_E_USAGE, "compute to answer for: %g FLOP, must be above 0", options->at[i]);
  return 0;
}

static void ranges_find(struct plm_law *law) {
  law->compute_min = law->params_min = law->tokens_min = INFINITY;
  for (size_t i = 0; i < law->points->count; i++) {
    const struct plm_point *p = &law->points->items[i];
    law->compute_min = fmin(law->compute_min, fmin(p->compute, p->budget));
    law->compute_max = fmax(law->compute_max, fmax(p->compute, p->budget));
    law->params_min = fmin(law->params_min, p->params);
    law->params_max = fmax(law->params_max, p->params);
    law->tokens_min = fmin(law->tokens_min, p->tokens);
    law->tokens_max = fmax(law->tokens_max, p->tokens);
  }
}

/*
 * Where optima are wanted, ascending: the budgets with at least two points, or, when there are none, the ends and the
 * geometric middle of the measured compute; and options->at. *out is owned by the caller.
 */
static int computes_list(double **out, size_t *count, const struct plm_law *law, const struct plm_law_options *options,
                         struct plm_error *err) {
  const struct plm_points *points = law->points;
  double *list = plm_memory_zeroed(points->count + options->at_count + 3, sizeof *list);
  size_t n = 0;
  if (!list)
    return plm_error_memory(err, "the budgets");
  for (size_t start = 0, end; start < points->count; start = end) {
    end = plm_budgets_end(points->items, points->count, start);
    if (end - start >= 2)
      list[n++] = points->items[start].budget;
  }
  if (n == 0) {
    list[n++] = law->compute_min;
    list[n++] = sqrt(law->compute_min) * sqrt(law->compute_max);
    list[n++] = law->compute_max;
  }
  for (size_t i = 0; i < options->at_count; i++)
    list[n++] = options->at[i];
  plm_points_distinct(list, n); /* sorts */
  *count = 0;
  for (size_t i = 0; i < n; i++)
    if (*count == 0 || list[i] - list[*count - 1] > 1e-9 * list[i])
      list[(*count)++] = list[i];
  *out = list;
  return 0;
}

static int outside(double value, double low, double high) {
  return value < low * (1 - 1e-6) || value > high * (1 + 1e-6);
}

/* Which of C, N_opt, D_opt lies outside the measurements: bits 1, 2, 4. */
static int outside_find(const struct plm_optimum *o, const struct plm_law *law) {
  return o->known ? outside(o->compute, law->compute_min, law->compute_max) +
                        2 * outside(o->params, law->params_min, law->params_max) +
                        4 * outside(o->tokens, law->tokens_min, law->tokens_max)
                  : 0;
}

/* Marks what lies outside the measurements, and says so in one note for each kind. */
static int extrapolation_mark(struct plm_fit *fit, const struct plm_law *law, struct plm_error *err) {
  int code = 0;
  for (size_t i = 0; i < fit->optimum_count; i++)
    fit->optimum[i].extrapolated = outside_find(&fit->optimum[i], law) != 0;
  for (int kind = 1; !code && kind < 8; kind++) {
    char list[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < fit->optimum_count && used < sizeof list; i++)
      if (outside_find(&fit->optimum[i], law) == kind)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.6g", used ? ", " : "", fit->optimum[i].compute);
    if (used)
      code = plm_notes_add(&fit->notes, err,
                           "extrapolated at %s FLOP:%s%s%s outside what was measured (C %.3g to %.3g, N %.3g to %.3g, "
                           "D %.3g to %.3g)",
                           list, kind & 1 ? " C" : "", kind & 2 ? " N_opt" : "", kind & 4 ? " D_opt" : "",
                           law->compute_min, law->compute_max, law->params_min, law->params_max, law->tokens_min,
                           law->tokens_max);
  }
  return code;
}

/* Intervals and held-out budgets of a fit that was found. */
static int fit_judge(struct plm_fit *fit, const struct plm_law *law, const struct plm_estimator *estimator,
                     const struct plm_fit_task *task, const struct plm_law_options *options, struct plm_error *err) {
  struct plm_bootstrap bootstrap = {options->draws, options->seed, law->noise};
  int code = extrapolation_mark(fit, law, err);
  fit->misfit = plm_misfit(fit, task, &law->noise);
  if (!code && fit->misfit > PLM_MISFIT_LARGE)
    code = plm_notes_add(&fit->notes, err,
                         "misses the points by %.2g times what seeds explain: they do not have the shape of this surface, and its "
                         "interval does not say so",
                         fit->misfit);
  if (!code && options->draws)
    code = plm_bootstrap_run(fit, estimator, task, &bootstrap, err);
  if (!code && options->holdout)
    code = plm_holdout_run(fit, estimator, task, err);
  return code;
}

static const struct plm_fit *fit_of(const struct plm_law *law, const char *estimator) {
  for (size_t i = 0; law && i < law->fit_count; i++)
    if (!strcmp(law->fits[i].estimator, estimator))
      return &law->fits[i];
  return NULL;
}

/* One estimator into law->fits or law->failed. */
static int estimator_run(struct plm_law *law, const struct plm_estimator *estimator, struct plm_fit_task *task,
                         const struct plm_law_options *options, struct plm_error *err) {
  struct plm_error refused = PLM_ERROR_INIT;
  struct plm_fit *fit = &law->fits[law->fit_count];
  int code = plm_fit_init(fit, estimator->name, task, err);
  if (code)
    return code;
  law->fit_count++;
  task->from = fit_of(options->from, estimator->name);
  code = plm_estimator_fit(estimator, fit, task, &refused);
  task->from = NULL;
  if (code == PLM_E_UNSUPPORTED) {
    struct plm_law_failure *failure = &law->failed[law->failed_count++];
    failure->estimator = estimator->name;
    snprintf(failure->reason, sizeof failure->reason, "%s", refused.text);
    plm_fit_fini(fit);
    law->fit_count--;
    return 0;
  }
  if (code) {
    if (err)
      *err = refused;
    return code;
  }
  return fit_judge(fit, law, estimator, task, options, err);
}

/* What the estimators of profiles would get wrong on the surface of vp, where that is not wrong itself. */
static int biases_note(struct plm_law *law, const struct plm_fit_task *task, struct plm_error *err) {
  const struct plm_fit *vp = fit_of(law, "vp");
  int code = 0;
  if (vp && vp->misfit > PLM_MISFIT_LARGE)
    return 0;
  for (size_t f = 0; !code && vp && f < law->fit_count; f++) {
    const struct plm_estimator *estimator = plm_estimator_find(law->fits[f].estimator);
    if (estimator->of_profiles)
      code = plm_bias_note(&law->fits[f], estimator, &vp->surface, task, err);
  }
  return code;
}

/* The lowest and the highest answer at each compute, where they differ by more than PLM_LAW_DISAGREEMENT. */
static int disagreements_find(struct plm_law *law, struct plm_error *err) {
  for (size_t i = 0; law->fit_count && i < law->fits[0].optimum_count; i++) {
    const struct plm_fit *low = NULL, *high = NULL;
    for (size_t f = 0; f < law->fit_count; f++) {
      const struct plm_fit *fit = &law->fits[f];
      if (!fit->optimum[i].known)
        continue;
      low = !low || fit->optimum[i].params < low->optimum[i].params ? fit : low;
      high = !high || fit->optimum[i].params > high->optimum[i].params ? fit : high;
    }
    double ratio = low ? high->optimum[i].params / low->optimum[i].params : 1;
    if (!(log10(ratio) > PLM_LAW_DISAGREEMENT))
      continue;
    int code =
        plm_notes_add(&law->warnings, err, "at %.6g FLOP %s says N_opt = %.4g and %s says %.4g: a factor of %.2g apart",
                      low->optimum[i].compute, low->estimator, low->optimum[i].params, high->estimator,
                      high->optimum[i].params, ratio);
    if (code)
      return code;
  }
  return 0;
}

/* Profiles take no shape for granted across budgets: they are what is left where the surface fails. */
static int misfit_describe(struct plm_law *law, struct plm_error *err) {
  const struct plm_fit *main = fit_of(law, PLM_LAW_MAIN);
  if (!main || !(main->misfit > PLM_MISFIT_LARGE))
    return 0;
  return plm_notes_add(&law->warnings, err,
                       "the surface of " PLM_LAW_MAIN " misses the points by %.2g times what seeds explain; at measured budgets believe "
                       "parabola and akima before it, and beyond them nothing",
                       main->misfit);
}

static int cost_describe(struct plm_law *law, struct plm_error *err) {
  if (law->cost.scale == 6 && law->cost.exponent == 1)
    return 0;
  return plm_notes_add(&law->warnings, err, "compute is not 6 N D here; taken as %.4g N^%.4g D, off by at most %.2g %%",
                       law->cost.scale, law->cost.exponent, 100 * law->cost.miss);
}

static int law_run(struct plm_law *law, const struct plm_law_options *options, struct plm_error *err) {
  size_t table_count, compute_count = 0;
  const struct plm_estimator *table = plm_estimators(&table_count);
  const char *names = options->estimators ? options->estimators : "all";
  int all = !strcmp(names, "all");
  double *compute = NULL;
  int code = all ? 0 : names_check(names, err);
  if (!code)
    code = plm_cost_fit(&law->cost, law->points, err);
  if (!code)
    code = computes_list(&compute, &compute_count, law, options, err);
  if (!code)
    code = cost_describe(law, err);
  law->fits = plm_memory_zeroed(table_count, sizeof *law->fits);
  law->failed = plm_memory_zeroed(table_count, sizeof *law->failed);
  if (!code && (!law->fits || !law->failed))
    code = plm_error_memory(err, "the fits");
  struct plm_fit_task task = {.points = law->points->items,
                              .count = law->points->count,
                              .compute = compute,
                              .compute_count = compute_count,
                              .cost = law->cost,
                              .curves_absent = law->points->curves_absent,
                              .threads = options->threads ? options->threads : plm_workers_default()};
  if (!code && options->draws)
    code = plm_noise_estimate(&law->noise, &task, err);
  for (size_t i = 0; !code && i < table_count; i++)
    if (all || name_listed(names, table[i].name))
      code = estimator_run(law, &table[i], &task, options, err);
  if (!code)
    code = misfit_describe(law, err);
  if (!code)
    code = biases_note(law, &task, err);
  if (!code)
    code = disagreements_find(law, err);
  free(compute);
  return code;
}

int plm_law_fit(struct plm_law **out, struct plm_points *points, const char *source,
                const struct plm_law_options *options, struct plm_error *err) {
  int code = options_check(options, err);
  if (code)
    return code;
  struct plm_law *law = plm_memory_zeroed(1, sizeof *law);
  if (!law || !(law->source = plm_memory_format("%s", source))) {
    free(law);
    return plm_error_memory(err, "the law");
  }
  law->points = points;
  if (points->count) {
    plm_budgets_assign(points);
    ranges_find(law);
    code = law_run(law, options, err);
  }
  if (code) {
    plm_law_destroy(law);
    return code;
  }
  *out = law;
  return 0;
}

void plm_law_destroy(struct plm_law *law) {
  if (!law)
    return;
  for (size_t i = 0; i < law->fit_count; i++)
    plm_fit_fini(&law->fits[i]);
  free(law->fits);
  free(law->failed);
  plm_notes_fini(&law->warnings);
  free(law->source);
  free(law);
}
