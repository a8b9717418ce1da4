#include "cli/fit_print.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "law/parametric.h"

#define UNUSED_NAMED 6 /* points of one rule that are named */

static const char *short_text(char out[32], double value) {
  plm_number_short(out, 32, value);
  return out;
}

static const struct plm_holdout *last_rollout(const struct plm_fit *fit) {
  const struct plm_holdout *last = NULL;
  for (size_t i = 0; i < fit->holdout_count; i++)
    if (fit->holdouts[i].rollout)
      last = &fit->holdouts[i];
  return last;
}

/* The largest measured budget that some estimator answers; optimum_count when there is none. */
static size_t largest_answered(const struct plm_law *law) {
  size_t largest = law->fits[0].optimum_count;
  for (size_t f = 0; f < law->fit_count; f++)
    for (size_t i = 0; i < law->fits[f].optimum_count; i++)
      if (law->fits[f].optimum[i].known && law->fits[f].optimum[i].compute <= law->compute_max * (1 + 1e-9) &&
          (largest == law->fits[0].optimum_count || i > largest))
        largest = i;
  return largest;
}

static void side_by_side_print(const struct plm_law *law) {
  size_t at = largest_answered(law);
  char compute[32] = "-";
  if (at < law->fits[0].optimum_count)
    snprintf(compute, sizeof compute, "%.3g", law->fits[0].optimum[at].compute);
  char title[64];
  snprintf(title, sizeof title, "N_opt at %s", compute);
  printf("\n  %-11s %6s  %-25s %-16s %-20s %s\n", "estimator", "points", "N_opt ~ C^a: a", title, "95 % range", "loss");
  for (size_t f = 0; f < law->fit_count; f++) {
    const struct plm_fit *fit = &law->fits[f];
    char a[64] = "-", n[32] = "-", low[32], high[32], range[72] = "-", loss[32] = "-";
    if (fit->has_exponents && fit->a_interval.known)
      snprintf(a, sizeof a, "%.3f (%.3f to %.3f)", fit->a, fit->a_interval.low, fit->a_interval.high);
    else if (fit->has_exponents)
      snprintf(a, sizeof a, "%.3f", fit->a);
    if (at < fit->optimum_count && fit->optimum[at].known) {
      const struct plm_optimum *o = &fit->optimum[at];
      short_text(n, o->params);
      if (o->params_interval.known)
        snprintf(range, sizeof range, "%s to %s", short_text(low, o->params_interval.low),
                 short_text(high, o->params_interval.high));
      if (isfinite(o->loss))
        snprintf(loss, sizeof loss, "%.4f", o->loss);
    }
    printf("  %-11s %6zu  %-25s %-16s %-20s %s\n", fit->estimator, fit->points, a, n, range, loss);
  }
}

static void exponent_print(const char *name, double value, const struct plm_interval *interval) {
  printf("  %s ~ C^%.3f", name, value);
  if (interval->known)
    printf("  (95 %%: %.3f to %.3f)", interval->low, interval->high);
  putchar('\n');
}

static void optimum_print(const struct plm_optimum *o) {
  char n[32], d[32], low[32], high[32], range[72] = "-", loss[32] = "-";
  if (o->params_interval.known)
    snprintf(range, sizeof range, "%s to %s", short_text(low, o->params_interval.low),
             short_text(high, o->params_interval.high));
  if (isfinite(o->loss))
    snprintf(loss, sizeof loss, "%.4f", o->loss);
  printf("  %-11.4g %9s  %-20s %9s %8s%s\n", o->compute, short_text(n, o->params), range, short_text(d, o->tokens),
         loss, o->extrapolated ? "  extrapolated" : "");
}

/* The answer in words, at the largest measured budget and at everything that was asked for. */
static void answers_print(const struct plm_fit *fit, const struct plm_law *law, const struct plm_law_options *options) {
  size_t largest = fit->optimum_count;
  for (size_t i = 0; i < fit->optimum_count; i++)
    if (fit->optimum[i].known && fit->optimum[i].compute <= law->compute_max * (1 + 1e-9))
      largest = i;
  for (size_t i = 0; i < fit->optimum_count; i++) {
    const struct plm_optimum *o = &fit->optimum[i];
    char n[32], d[32];
    int asked = i == largest;
    for (size_t k = 0; k < options->at_count; k++)
      asked |= fabs(options->at[k] - o->compute) <= 1e-9 * o->compute;
    if (o->known && asked)
      printf("  at %.4g FLOP the best model has %s parameters and sees %s tokens%s\n", o->compute,
             short_text(n, o->params), short_text(d, o->tokens), o->extrapolated ? " (extrapolated)" : "");
  }
}

static void basins_print(const struct plm_fit *fit) {
  if (fit->basin_count == 0)
    return;
  printf("  %zu of %d starts end here; ", fit->basins[0].starts, PLM_PARAMETRIC_STARTS);
  if (fit->basin_count == 1)
    printf("no other minimum was found\n");
  else
    printf("%zu other minim%s found, the next at %.4g\n", fit->basin_count - 1, fit->basin_count > 2 ? "a" : "um",
           fit->basins[1].objective);
}

/* How well the smaller budgets predict the largest, and the others each one. */
static void holdouts_print(const struct plm_fit *fit) {
  const struct plm_holdout *h = last_rollout(fit);
  char n[32], all[32];
  if (!h)
    return;
  printf("  rollout: from the %zu smaller budgets ", h->budgets_kept);
  if (h->refused[0]) {
    printf("nothing can be said of %.4g FLOP: %s\n", h->budget, h->refused);
    return;
  }
  if (isfinite(h->params) && isfinite(h->params_all))
    printf("N_opt at %.4g FLOP is %s, from all %s", h->budget, short_text(n, h->params),
           short_text(all, h->params_all));
  else
    printf("to %.4g FLOP", h->budget);
  if (isfinite(h->loss_rms))
    printf("; losses there are missed by %.4f (rms, mean %+.4f)", h->loss_rms, h->loss_bias);
  double squares = 0;
  size_t count = 0;
  for (size_t i = 0; i < fit->holdout_count; i++)
    if (!fit->holdouts[i].rollout && isfinite(fit->holdouts[i].loss_rms)) {
      squares += fit->holdouts[i].loss_rms * fit->holdouts[i].loss_rms;
      count++;
    }
  if (count)
    printf("\n  leaving one budget out: losses are missed by %.4f (rms over %zu budgets)",
           sqrt(squares / (double)count), count);
  putchar('\n');
}

/* The points that an estimator did not use, those of one rule together. */
static void unused_print(const struct plm_fit *fit) {
  for (size_t start = 0, end; start < fit->left_out_count; start = end) {
    const struct plm_point_left_out *first = &fit->left_out[start];
    for (end = start; end < fit->left_out_count && !strcmp(fit->left_out[end].rule, first->rule); end++)
      if (end - start < UNUSED_NAMED)
        printf("%s%s", end > start ? ", " : "  not used: ", fit->left_out[end].label);
    if (end - start > UNUSED_NAMED)
      printf(" and %zu more", end - start - UNUSED_NAMED);
    printf(": %s\n", first->rule);
  }
}

static void fit_print(const struct plm_fit *fit, const struct plm_law *law, const struct plm_law_options *options) {
  const struct plm_estimator *estimator = plm_estimator_find(fit->estimator);
  printf("\n%s: %s\n  %zu points, %zu not used; %s", fit->estimator, estimator->summary, fit->points,
         fit->left_out_count, estimator->objective);
  if (fit->objective > 0)
    printf(": %.4g", fit->objective);
  putchar('\n');
  for (size_t i = 0; i < fit->param_count; i++)
    printf("  %s %.5g", fit->params[i].name, fit->params[i].value);
  if (fit->param_count)
    putchar('\n');
  basins_print(fit);
  if (fit->has_exponents) {
    exponent_print("N_opt", fit->a, &fit->a_interval);
    exponent_print("D_opt", fit->b, &fit->b_interval);
  }
  printf("\n  %-11s %9s  %-20s %9s %8s\n", "budget", "N_opt", "95 % range", "D_opt", "loss");
  for (size_t i = 0; i < fit->optimum_count; i++)
    if (fit->optimum[i].known)
      optimum_print(&fit->optimum[i]);
  for (size_t i = 0; i < fit->refused_count; i++)
    printf("  %-11.4g refused: %s\n", fit->refused[i].budget, fit->refused[i].reason);
  unused_print(fit);
  putchar('\n');
  answers_print(fit, law, options);
  holdouts_print(fit);
  for (size_t i = 0; i < fit->notes.count; i++)
    printf("  note: %s\n", fit->notes.lines[i]);
}

static int is_told(const struct plm_law *law, const struct plm_fit *fit, int all) {
  return all || law->fit_count == 1 || !strcmp(fit->estimator, PLM_LAW_MAIN);
}

/* Of an estimator that is not told of at length: what it could not use, and what to know about its answer. */
static void fit_mention(const struct plm_fit *fit) {
  for (size_t i = 0; i < fit->refused_count; i++)
    printf("  %s: %.4g FLOP refused: %s\n", fit->estimator, fit->refused[i].budget, fit->refused[i].reason);
  for (size_t i = 0; i < fit->notes.count; i++)
    printf("  %s: %s\n", fit->estimator, fit->notes.lines[i]);
}

void plm_fit_print(const struct plm_law *law, const struct plm_law_options *options, int all) {
  const struct plm_points *points = law->points;
  printf("%s: %zu points, %zu left out\n", law->source, points->count, points->left_out_count);
  for (size_t i = 0; i < points->left_out_count; i++)
    printf("  left out: %s: %s\n", points->left_out[i].label, points->left_out[i].rule);
  if (law->noise.freedom)
    printf("noise of a run: %.2g %% of its loss (%s, %zu degrees of freedom)\n", 100 * law->noise.sigma,
           law->noise.source, law->noise.freedom);
  if (law->noise.shared > 0)
    printf("runs of one size and seed share it: correlation %.2f across budgets\n", law->noise.shared);
  if (law->fit_count)
    side_by_side_print(law);
  putchar('\n');
  for (size_t i = 0; i < law->fit_count; i++)
    if (!is_told(law, &law->fits[i], all))
      fit_mention(&law->fits[i]);
  for (size_t i = 0; i < law->fit_count; i++)
    if (is_told(law, &law->fits[i], all))
      fit_print(&law->fits[i], law, options);
  if (!all && law->fit_count > 1)
    printf("\n--verbose, or -e NAME, tells as much of every estimator\n");
  for (size_t i = 0; i < law->failed_count; i++)
    printf("%s%s: no fit: %s\n", i ? "" : "\n", law->failed[i].estimator, law->failed[i].reason);
  if (law->warnings.count)
    putchar('\n');
  for (size_t i = 0; i < law->warnings.count; i++)
    printf("warning: %s\n", law->warnings.lines[i]);
}
