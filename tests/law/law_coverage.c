/*
 * How often the 95 % intervals of `plmscale fit` hold the truth, by simulation: synthetic studies of budgets x sizes x
 * seeds on a known surface, normal noise of a given share of the loss. Prints a table in Markdown; docs/laws.md shows
 * one.
 *
 *   law_coverage [STUDIES [SEEDS [ESTIMATORS [DRAWS [NOISE]]]]]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "law/law.h"
#include "law/surface.h"
#include "law/workers.h"

#define BUDGETS 5
#define SIZES 5
#define SPREAD 4.0 /* largest size over N_opt, and N_opt over the smallest */
#define CURVE 64
#define ESTIMATORS_MAX 16

/* The exponents of a protein language model's law are not known; equal ones give the parabola no bias in a. */
static const struct plm_surface TRUTH = {1.9, 30, 90, 0.3, 0.3};

struct verdict {
  unsigned char fitted, has_a, has_n, a_held, n_held;
  double a_error, a_width;
};

struct simulation {
  size_t studies, seeds, draws;
  float noise;
  const char *estimators;
  struct verdict *verdicts; /* [studies][ESTIMATORS_MAX], by the row of the estimator */
};

static double best_size(double compute) {
  const struct plm_surface *s = &TRUTH;
  double sum = s->alpha + s->beta;
  return pow(s->alpha * s->A / (s->beta * s->B), 1 / sum) * pow(compute / 6, s->beta / sum);
}

static int run_add(struct plm_points *points, double budget, double params, uint64_t seed, double noise,
                   struct plm_error *err) {
  struct plm_point_curve *curve;
  double tokens = budget / (6 * params);
  struct plm_point p = {.params = params, .tokens = tokens, .compute = budget, .budget = budget, .weight = 1};
  int code = plm_points_add_curve(points, &curve, CURVE, err);
  if (code)
    return code;
  for (size_t k = 0; k < CURVE; k++) {
    curve->tokens[k] = tokens * exp(log(30.0) * ((double)(k + 1) / CURVE - 1));
    curve->loss[k] = plm_surface_loss(&TRUTH, params, curve->tokens[k]) * exp(noise);
  }
  p.loss = plm_surface_loss(&TRUTH, params, tokens) * exp(noise);
  p.seed = seed;
  p.curve = curve;
  return plm_points_add(points, &p, err);
}

static int study_make(struct plm_points *points, const struct simulation *s, size_t study, struct plm_error *err) {
  float normal[BUDGETS * SIZES * 16];
  int code = 0;
  plm_rng_normal(normal, BUDGETS * SIZES * s->seeds, s->noise, 2, PLM_RNG_TEST, (uint32_t)study, 0);
  for (size_t i = 0, at = 0; i < BUDGETS; i++)
    for (size_t j = 0; j < SIZES; j++)
      for (size_t seed = 0; !code && seed < s->seeds; seed++, at++) {
        double budget = 1e12 * pow(10, 0.5 * (double)i);
        double params = best_size(budget) * pow(SPREAD, 2.0 * (double)j / (SIZES - 1) - 1);
        code = run_add(points, budget, params, seed, (double)normal[at], err);
      }
  return code;
}

static void verdict_fill(struct verdict *out, const struct plm_fit *fit) {
  const struct plm_optimum *o = &fit->optimum[fit->optimum_count - 1];
  double a = TRUTH.beta / (TRUTH.alpha + TRUTH.beta), n = best_size(o->compute);
  out->fitted = 1;
  out->a_error = fit->a - a;
  out->has_a = (unsigned char)fit->a_interval.known;
  out->a_held = fit->a_interval.low <= a && a <= fit->a_interval.high;
  out->a_width = fit->a_interval.high - fit->a_interval.low;
  out->has_n = (unsigned char)o->params_interval.known;
  out->n_held = o->params_interval.low <= n && n <= o->params_interval.high;
}

static int study_judge(size_t study, unsigned worker, void *context, struct plm_error *err) {
  struct simulation *s = context;
  struct plm_points points = {0};
  struct plm_law *law = NULL;
  struct plm_law_options options = {.estimators = s->estimators, .draws = s->draws, .seed = 1000 + study, .threads = 1};
  size_t rows;
  const struct plm_estimator *table = plm_estimators(&rows);
  (void)worker;
  int code = study_make(&points, s, study, err);
  if (!code)
    code = plm_law_fit(&law, &points, "study", &options, err);
  for (size_t f = 0; law && f < law->fit_count; f++)
    for (size_t e = 0; e < rows && e < ESTIMATORS_MAX; e++)
      if (!strcmp(table[e].name, law->fits[f].estimator))
        verdict_fill(&s->verdicts[study * ESTIMATORS_MAX + e], &law->fits[f]);
  plm_law_destroy(law);
  plm_points_fini(&points);
  return code;
}

static int width_order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void estimator_print(const struct simulation *s, const char *name, size_t row, double *widths) {
  size_t fitted = 0, with_a = 0, with_n = 0, a_held = 0, n_held = 0;
  double bias = 0;
  for (size_t i = 0; i < s->studies; i++) {
    const struct verdict *v = &s->verdicts[i * ESTIMATORS_MAX + row];
    fitted += v->fitted;
    bias += v->a_error;
    if (v->has_a)
      widths[with_a++] = v->a_width;
    a_held += v->has_a && v->a_held;
    with_n += v->has_n;
    n_held += v->has_n && v->n_held;
  }
  if (fitted == 0)
    return;
  qsort(widths, with_a, sizeof *widths, width_order);
  printf("| `%s` | %zu | %zu | %zu | %zu | %.1f %% | %.1f %% | %+.4f | %.4f |\n", name, s->seeds, s->studies, fitted,
         with_a, 100.0 * (double)a_held / (double)with_a, 100.0 * (double)n_held / (double)with_n,
         bias / (double)fitted, with_a ? widths[with_a / 2] : (double)NAN);
}

int main(int argc, char **argv) {
  struct simulation s = {.studies = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000,
                         .seeds = argc > 2 ? strtoul(argv[2], NULL, 10) : 1,
                         .estimators = argc > 3 ? argv[3] : "vp",
                         .draws = argc > 4 ? strtoul(argv[4], NULL, 10) : 200,
                         .noise = argc > 5 ? strtof(argv[5], NULL) : 0.0015F};
  struct plm_error err = PLM_ERROR_INIT;
  size_t rows;
  const struct plm_estimator *table = plm_estimators(&rows);
  if (s.studies < 1 || s.studies > 1000000 || s.seeds < 1 || s.seeds > 16) {
    fprintf(stderr, "law_coverage: 1 to 1000000 studies, 1 to 16 seeds\n");
    return 2;
  }
  s.verdicts = plm_memory_zeroed(s.studies, ESTIMATORS_MAX * sizeof *s.verdicts);
  double *widths = plm_memory_zeroed(s.studies, sizeof *widths);
  int code = s.verdicts && widths ? plm_workers_run(plm_workers_default(), s.studies, study_judge, &s, &err)
                                  : plm_error_memory(&err, "the studies");
  if (code) {
    fprintf(stderr, "law_coverage: %s\n", err.text);
  } else {
    printf(
        "| estimator | seeds | studies | fitted | with an interval | a held | N_opt held | bias of a | width of a |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for (size_t e = 0; e < rows && e < ESTIMATORS_MAX; e++)
      estimator_print(&s, table[e].name, e, widths);
  }
  free(widths);
  free(s.verdicts);
  return code != 0;
}
