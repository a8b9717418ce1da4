/*
 * How often the 95 % intervals of `plmscale fit` hold the truth, by simulation: synthetic studies of budgets x sizes x
 * seeds on a known surface, normal noise of a given share of the loss. Prints a table in Markdown; docs/laws.md shows
 * one.
 *
 *   law_coverage [-n STUDIES] [-s SEEDS] [-e ESTIMATORS] [-b DRAWS] [--noise SHARE] [--surface NAME] [-x FACTOR] [-t THREADS]
 *
 * The parametric searches start from the basins of the study without noise, --full: everywhere, as `fit` does (five
 * times slower). SIGINT and SIGTERM end it early, with the table of the studies done.
 */
#include <argp.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "law/law.h"
#include "law/repeat.h"
#include "law/surface.h"
#include "law/workers.h"

#define BUDGETS 5
#define SIZES_MAX 7
#define SEEDS_MAX 16
#define CURVE 64
#define ESTIMATORS_MAX 16
#define RUNS_MAX (BUDGETS * SIZES_MAX * PASSES_MAX)
#define PASSES_MAX 4

/*
 * A truth and the grid that is laid over it.
 *
 * equal: exponents of a protein language model's law are not known; equal ones give the parabola no bias in a. The
 * sizes of a budget are spread evenly about its N_opt.
 * besiroglu: the refit of Chinchilla's points (arXiv 2404.10102), at compute like theirs, over a grid as people lay it:
 * one ladder of sizes for all budgets, centred on a guess that is half too large.
 * skewed: alpha twice beta, over the same kind of grid.
 * repeats: as equal, every run of the two largest budgets also on a quarter, a 16th and a 64th of its tokens, with R_D
 * and R_N of Muennighoff et al.
 */
struct truth {
  const char *name;
  struct plm_surface surface;
  double compute;    /* the smallest budget; half a decade between them */
  size_t sizes;      /* a budget */
  double step;       /* between sizes; 0: spread evenly from N_opt/4 to 4 N_opt */
  double guess;      /* the centre of the sizes over N_opt */
  double data, size; /* R_D and R_N; 0: data do not run out */
};

static const struct truth TRUTHS[] = {
    {"equal", {1.9, 30, 90, 0.3, 0.3}, 1e12, 5, 0, 1, 0, 0},
    {"besiroglu", {1.8172, 482.01, 2085.43, 0.3478, 0.3658}, 6e18, 7, 1.7320508, 1.5, 0, 0},
    {"skewed", {1.9, 400, 60, 0.5, 0.25}, 1e15, 7, 1.7320508, 1.5, 0, 0},
    {"repeats", {1.9, 30, 90, 0.3, 0.3}, 1e12, 5, 0, 1, 15.387756, 5.309743},
};

struct verdict {
  unsigned char done, fitted, has_a, has_n, has_l, has_r, a_held, n_held, l_held, r_held;
  double a_error, a_width;
};

struct simulation {
  const struct truth *truth;
  size_t studies, seeds, draws;
  unsigned threads;
  float noise;
  double beyond; /* N_opt and the loss are judged at this times the largest budget */
  int full;
  const char *estimators;
  struct plm_law *clean;    /* of the study without noise; NULL: search everywhere */
  struct verdict *verdicts; /* [studies][ESTIMATORS_MAX], by the row of the estimator */
};

static volatile sig_atomic_t stopped;

static void stop(int number) {
  (void)number;
  stopped = 1;
}

static double best_size(const struct truth *t, double compute) {
  const struct plm_surface *s = &t->surface;
  double sum = s->alpha + s->beta;
  return pow(s->alpha * s->A / (s->beta * s->B), 1 / sum) * pow(compute / 6, s->beta / sum);
}

static double budget_at(const struct truth *t, size_t i) { return t->compute * pow(10, 0.5 * (double)i); }

/* unique 0: not limited. */
static double true_loss(const struct truth *t, double params, double tokens, double unique) {
  const struct plm_repeat_law law = {t->surface, 1, t->data, t->size};
  return plm_repeat_loss(&law, params, tokens, unique);
}

/* N_opt where data run out: the lowest of a scan, ever finer. */
static double best_size_repeated(const struct truth *t, double compute, double unique) {
  double best = log(best_size(t, compute)), step = 0.05;
  for (int pass = 0; pass < 6; pass++, step *= 0.05) {
    double centre = best, least = INFINITY;
    for (int k = -100; k <= 100; k++) {
      double n = exp(centre + step * k), loss = true_loss(t, n, compute / (6 * n), unique);
      if (loss < least) {
        least = loss;
        best = centre + step * k;
      }
    }
  }
  return exp(best);
}

static double size_at(const struct truth *t, double budget, size_t j) {
  double centre = t->guess * best_size(t, budget), from_middle = (double)j - 0.5 * (double)(t->sizes - 1);
  if (t->step == 0)
    return centre * pow(16, from_middle / (double)(t->sizes - 1));
  double rung = round(log(centre) / log(t->step)); /* of the one ladder */
  return pow(t->step, rung + from_middle);
}

/* passes 0: data do not run out. */
static int run_add(struct plm_points *points, const struct truth *t, double budget, double params, double passes,
                   uint64_t seed, double noise, struct plm_error *err) {
  struct plm_point_curve *curve;
  double tokens = budget / (6 * params);
  struct plm_point p = {.params = params, .tokens = tokens, .compute = budget, .budget = budget, .weight = 1};
  int code = plm_points_add_curve(points, &curve, CURVE, err);
  if (code)
    return code;
  p.unique = passes > 0 ? tokens / passes : 0;
  for (size_t k = 0; k < CURVE; k++) {
    curve->tokens[k] = tokens * exp(log(30.0) * ((double)(k + 1) / CURVE - 1));
    curve->loss[k] = true_loss(t, params, curve->tokens[k], p.unique) * exp(noise);
  }
  p.loss = true_loss(t, params, tokens, p.unique) * exp(noise);
  p.seed = seed;
  p.curve = curve;
  return plm_points_add(points, &p, err);
}

static int study_make(struct plm_points *points, const struct simulation *s, size_t study, float noise,
                      struct plm_error *err) {
  float normal[RUNS_MAX * SEEDS_MAX];
  const struct truth *t = s->truth;
  int code = 0;
  plm_rng_normal(normal, BUDGETS * t->sizes * PASSES_MAX * s->seeds, noise, 2, PLM_RNG_TEST, (uint32_t)study, 0);
  for (size_t i = 0, at = 0; i < BUDGETS; i++)
    for (size_t j = 0; j < t->sizes; j++)
      for (size_t pass = 0; pass < (t->data > 0 && i + 2 >= BUDGETS ? PASSES_MAX : 1); pass++)
        for (size_t seed = 0; !code && seed < s->seeds; seed++, at++)
          code = run_add(points, t, budget_at(t, i), size_at(t, budget_at(t, i), j),
                         t->data > 0 ? pow(4, (double)pass) : 0, seed, (double)normal[at], err);
  return code;
}

/* The largest number of unique tokens, for which `repeat` answers. */
static double unique_most(const struct truth *t) {
  double budget = budget_at(t, BUDGETS - 1);
  return budget / (6 * size_at(t, budget, 0));
}

static int is_within(double value, const struct plm_interval *interval) {
  return interval->known && interval->low <= value && value <= interval->high;
}

static void verdict_fill(struct verdict *out, const struct plm_fit *fit, const struct truth *t) {
  const struct plm_optimum *o = &fit->optimum[fit->optimum_count - 1];
  double a = t->surface.beta / (t->surface.alpha + t->surface.beta);
  double unique = t->data > 0 && !strcmp(fit->estimator, "repeat") ? unique_most(t) : 0;
  double n = unique > 0 ? best_size_repeated(t, o->compute, unique) : best_size(t, o->compute);
  out->fitted = 1;
  out->a_error = fit->a - a;
  out->has_a = (unsigned char)fit->a_interval.known;
  out->a_held = (unsigned char)is_within(a, &fit->a_interval);
  out->a_width = fit->a_interval.high - fit->a_interval.low;
  out->has_n = (unsigned char)o->params_interval.known;
  out->n_held = (unsigned char)is_within(n, &o->params_interval);
  out->has_l = (unsigned char)o->loss_interval.known;
  out->l_held = (unsigned char)is_within(true_loss(t, n, o->compute / (6 * n), unique), &o->loss_interval);
  for (size_t i = 0; i < fit->param_count; i++)
    if (!strcmp(fit->params[i].name, "R_D")) {
      out->has_r = (unsigned char)fit->params[i].interval.known;
      out->r_held = (unsigned char)is_within(t->data, &fit->params[i].interval);
    }
}

/* Searched everywhere, once. */
static int clean_fit(struct simulation *s, struct plm_points *points, struct plm_error *err) {
  struct plm_law_options options = {.estimators = s->estimators, .threads = s->threads};
  int code = study_make(points, s, 0, 0, err);
  return code ? code : plm_law_fit(&s->clean, points, "study without noise", &options, err);
}

static int study_judge(size_t study, unsigned worker, void *context, struct plm_error *err) {
  struct simulation *s = context;
  struct plm_points points = {0};
  struct plm_law *law = NULL;
  struct plm_law_options options = {
      .estimators = s->estimators, .draws = s->draws, .seed = 1000 + study, .threads = 1, .from = s->clean};
  const double at = s->beyond * budget_at(s->truth, BUDGETS - 1);
  size_t rows;
  const struct plm_estimator *table = plm_estimators(&rows);
  (void)worker;
  options.at = &at;
  options.at_count = s->beyond > 1;
  if (stopped)
    return 0;
  int code = study_make(&points, s, study, s->noise, err);
  if (!code)
    code = plm_law_fit(&law, &points, "study", &options, err);
  for (size_t e = 0; law && e < rows && e < ESTIMATORS_MAX; e++) {
    struct verdict *verdict = &s->verdicts[study * ESTIMATORS_MAX + e];
    verdict->done = 1;
    for (size_t f = 0; f < law->fit_count; f++)
      if (!strcmp(table[e].name, law->fits[f].estimator))
        verdict_fill(verdict, &law->fits[f], s->truth);
  }
  plm_law_destroy(law);
  plm_points_fini(&points);
  return code;
}

static int width_order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* "94.2 %", or "-" where there was no interval. */
static const char *share_text(char text[16], size_t held, size_t of) {
  snprintf(text, 16, of ? "%.1f %%" : "-", 100.0 * (double)held / (double)of);
  return text;
}

static void estimator_print(const struct simulation *s, const char *name, size_t row, double *widths) {
  size_t done = 0, fitted = 0, with_a = 0, with[3] = {0}, a_held = 0, held[3] = {0};
  double bias = 0;
  char text[4][16];
  for (size_t i = 0; i < s->studies; i++) {
    const struct verdict *v = &s->verdicts[i * ESTIMATORS_MAX + row];
    done += v->done;
    fitted += v->fitted;
    bias += v->a_error;
    if (v->has_a)
      widths[with_a++] = v->a_width;
    a_held += v->has_a && v->a_held;
    const unsigned char known[3] = {v->has_n, v->has_l, v->has_r}, right[3] = {v->n_held, v->l_held, v->r_held};
    for (int k = 0; k < 3; k++) {
      with[k] += known[k];
      held[k] += known[k] && right[k];
    }
  }
  if (fitted == 0)
    return;
  qsort(widths, with_a, sizeof *widths, width_order);
  printf("| `%s` | %s | %zu | %zu | %zu | %zu | %s | %s | %s | %+.4f | %.4f |\n", name, s->truth->name, s->seeds,
         done, fitted, with_a, share_text(text[0], a_held, with_a), share_text(text[1], held[0], with[0]),
         share_text(text[2], held[1], with[1]), bias / (double)fitted, with_a ? widths[with_a / 2] : (double)NAN);
  if (with[2])
    printf("\nR_D held: %s of %zu intervals\n", share_text(text[3], held[2], with[2]), with[2]);
}

static error_t option_take(int key, char *text, struct argp_state *state) {
  struct simulation *s = state->input;
  switch (key) {
  case 'n':
    s->studies = strtoul(text, NULL, 10);
    break;
  case 's':
    s->seeds = strtoul(text, NULL, 10);
    break;
  case 'e':
    s->estimators = text;
    break;
  case 'b':
    s->draws = strtoul(text, NULL, 10);
    break;
  case 'o':
    s->noise = strtof(text, NULL);
    break;
  case 't':
    s->threads = (unsigned)strtoul(text, NULL, 10);
    break;
  case 'x':
    s->beyond = strtod(text, NULL);
    break;
  case 'f':
    s->full = 1;
    break;
  case 'u':
    s->truth = NULL;
    for (size_t i = 0; i < sizeof TRUTHS / sizeof *TRUTHS; i++)
      if (!strcmp(TRUTHS[i].name, text))
        s->truth = &TRUTHS[i];
    if (!s->truth)
      argp_error(state, "surface \"%s\" is unknown; there are equal, besiroglu, skewed, repeats", text);
    break;
  case ARGP_KEY_END:
    if (s->studies < 1 || s->studies > 1000000 || s->seeds < 1 || s->seeds > SEEDS_MAX || s->threads < 1 ||
        !(s->beyond >= 1 && s->beyond <= 1e12))
      argp_error(state, "1 to 1000000 studies, 1 to %d seeds, at least 1 thread, beyond 1 to 1e12", SEEDS_MAX);
    break;
  default:
    return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

static const struct argp_option OPTIONS[] = {{"studies", 'n', "N", 0, "synthetic studies (2000)", 0},
                                             {"seeds", 's', "N", 0, "runs of every cell (1)", 0},
                                             {"estimators", 'e', "NAMES", 0, "as of fit (vp)", 0},
                                             {"bootstrap", 'b', "N", 0, "draws of each fit (200)", 0},
                                             {"noise", 'o', "SHARE", 0, "deviation of a loss (0.0015)", 0},
                                             {"surface", 'u', "NAME", 0, "equal (default), besiroglu, skewed, repeats",
                                              0},
                                             {"beyond", 'x', "FACTOR", 0,
                                              "judge at this times the largest budget (1)", 0},
                                             {"full", 'f', NULL, 0, "search everywhere for every study", 0},
                                             {"threads", 't', "N", 0, "(all CPUs)", 0},
                                             {0}};

int main(int argc, char **argv) {
  static const struct argp argp = {OPTIONS, option_take, NULL, "Coverage of the intervals of fit.", NULL, NULL, NULL};
  struct simulation s = {.truth = &TRUTHS[0],
                         .studies = 2000,
                         .seeds = 1,
                         .estimators = "vp",
                         .draws = 200,
                         .noise = 0.0015F,
                         .beyond = 1,
                         .threads = plm_workers_default()};
  struct plm_error err = PLM_ERROR_INIT;
  size_t rows;
  const struct plm_estimator *table = plm_estimators(&rows);
  struct plm_points clean = {0};
  argp_parse(&argp, argc, argv, 0, NULL, &s);
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  s.verdicts = plm_memory_zeroed(s.studies, ESTIMATORS_MAX * sizeof *s.verdicts);
  double *widths = plm_memory_zeroed(s.studies, sizeof *widths);
  int code = s.verdicts && widths ? 0 : plm_error_memory(&err, "the studies");
  if (!code && !s.full)
    code = clean_fit(&s, &clean, &err);
  if (!code)
    code = plm_workers_run(s.threads, s.studies, study_judge, &s, &err);
  if (code) {
    fprintf(stderr, "law_coverage: %s\n", err.text);
  } else {
    printf("| estimator | surface | seeds | studies | fitted | with an interval | a held | N_opt held | loss held | "
           "bias of a | width of a |\n"
           "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for (size_t e = 0; e < rows && e < ESTIMATORS_MAX; e++)
      estimator_print(&s, table[e].name, e, widths);
  }
  plm_law_destroy(s.clean);
  plm_points_fini(&clean);
  free(widths);
  free(s.verdicts);
  return code != 0;
}
