#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "cli/cli.h"
#include "law/bootstrap.h"
#include "law/law.h"
#include "law/points_csv.h"
#include "law/study_points.h"
#include "study/study.h"

#define SEED 1

struct arguments {
  const char *source, *estimators, *bootstrap, *loss, *count, *flops;
  char *at; /* all --at, comma-separated; owned */
  int json, more, exhausted;
};

static const char *const LOSSES[] = {"valid_mask", "valid_all", "train_mask", "train_all"};
static const char *const COUNTS[] = {"layers", "head", "total"};
static const char *const FLOPS[] = {"6nd", "exact"};

static const struct argp_option OPTIONS[] = {
    {"estimator", 'e', "NAME[,NAME]|all", 0, "parabola, vp, or all that the data allow (default)", 0},
    {"at", 'a', "COMPUTE", 0, "answer for this budget in FLOP too; a list, or more than once", 0},
    {"bootstrap", 'b', "N", 0, "draws for the intervals (default 200; 0: none)", 0},
    {"json", 'j', NULL, 0, "print plmscale.fit/1", 0},
    {"loss", 'l', "NAME", 0, "of a study: valid_mask (default), valid_all, train_mask, train_all", 1},
    {"count", 'n', "NAME", 0, "of a study: N is layers (default), head (with it), total (with the embedding)", 1},
    {"flops", 'f', "NAME", 0, "of a study: C is 6nd (default) or exact", 1},
    {0}};

static void at_append(struct arguments *a, const char *text) {
  char *joined = plm_memory_format("%s%s%s", a->at ? a->at : "", a->at ? "," : "", text);
  a->exhausted |= !joined;
  free(a->at);
  a->at = joined;
}

static error_t argument_take(int key, char *text, struct argp_state *state) {
  struct arguments *a = state->input;
  switch (key) {
  case 'e':
    a->estimators = text;
    return 0;
  case 'a':
    at_append(a, text);
    return 0;
  case 'b':
    a->bootstrap = text;
    return 0;
  case 'j':
    a->json = 1;
    return 0;
  case 'l':
    a->loss = text;
    return 0;
  case 'n':
    a->count = text;
    return 0;
  case 'f':
    a->flops = text;
    return 0;
  case ARGP_KEY_ARG:
    a->more |= a->source != NULL;
    a->source = text;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Index of text among names; *out keeps its value when text is NULL. */
static int choice_read(int *out, const char *option, const char *text, const char *const *names, int count,
                       struct plm_error *err) {
  char known[120] = "";
  size_t used = 0;
  for (int i = 0; i < count; i++) {
    if (!text || !strcmp(text, names[i])) {
      *out = text ? i : *out;
      return 0;
    }
    used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", names[i]);
  }
  return plm_error_set(err, PLM_E_USAGE, "--%s \"%.40s\" is unknown; there are %s", option, text, known);
}

static int is_study(const char *path) {
  size_t length = strlen(path);
  return length > 4 && !strcmp(path + length - 4, ".ini");
}

static int points_load(struct plm_points *out, const struct arguments *a, struct plm_error *err) {
  int loss = PLM_POINTS_VALID_MASK, count = PLM_POINTS_LAYERS, flops = PLM_POINTS_6ND, code;
  if ((code = choice_read(&loss, "loss", a->loss, LOSSES, 4, err)) ||
      (code = choice_read(&count, "count", a->count, COUNTS, 3, err)) ||
      (code = choice_read(&flops, "flops", a->flops, FLOPS, 2, err)))
    return code;
  if (!is_study(a->source)) {
    if (a->loss || a->count || a->flops)
      return plm_error_set(err, PLM_E_USAGE,
                           "--loss, --count and --flops choose among what a study (.ini) keeps; \"%s\" is a table",
                           a->source);
    return plm_points_read_csv(out, a->source, err);
  }
  struct plm_points_choice choice = {(enum plm_points_loss)loss, (enum plm_points_count)count,
                                     (enum plm_points_flops)flops};
  return plm_points_from_study(out, a->source, &choice, err);
}

static int options_read(struct plm_law_options *out, double **at, const struct arguments *a, struct plm_error *err) {
  int64_t draws = 200;
  int code = 0;
  if (!a->source || a->more)
    return plm_error_set(err, PLM_E_USAGE, "fit takes one STUDY.ini or POINTS.csv");
  if (a->exhausted)
    return plm_error_memory(err, "the arguments");
  if (a->bootstrap && (code = plm_number_integer(&draws, a->bootstrap, err)))
    return code;
  *out = (struct plm_law_options){.estimators = a->estimators, .draws = (size_t)draws, .seed = SEED};
  if (a->at && strchr(a->at, 'x')) /* a grid may hold shapes, a budget may not */
    return plm_error_set(err, PLM_E_USAGE, "--at \"%.40s\": budgets are numbers, in FLOP", a->at);
  if (a->at)
    code = plm_grid_parse(at, &out->at_count, a->at, err);
  out->at = *at;
  return code;
}

static const char *short_text(char out[32], double value) {
  plm_number_short(out, 32, value);
  return out;
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

static const char *summary_of(const char *name) {
  size_t count;
  const struct plm_estimator *table = plm_estimators(&count);
  for (size_t i = 0; i < count; i++)
    if (!strcmp(table[i].name, name))
      return table[i].summary;
  return "";
}

static void fit_print(const struct plm_fit *fit, const struct plm_law *law, const struct plm_law_options *options) {
  printf("\n%s: %s\n  %zu points, sum of squared residuals %.4g\n", fit->estimator, summary_of(fit->estimator),
         fit->points, fit->objective);
  if (fit->has_surface)
    printf("  E %.5g  A %.5g  B %.5g  alpha %.4f  beta %.4f\n", fit->surface.E, fit->surface.A, fit->surface.B,
           fit->surface.alpha, fit->surface.beta);
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
  putchar('\n');
  answers_print(fit, law, options);
  for (size_t i = 0; i < fit->notes.count; i++)
    printf("  note: %s\n", fit->notes.lines[i]);
}

static void law_print(const struct plm_law *law, const struct plm_law_options *options) {
  const struct plm_points *points = law->points;
  printf("%s: %zu points, %zu left out\n", law->source, points->count, points->left_out_count);
  for (size_t i = 0; i < points->left_out_count; i++)
    printf("  left out: %s: %s\n", points->left_out[i].label, points->left_out[i].rule);
  for (size_t i = 0; i < law->fit_count; i++)
    fit_print(&law->fits[i], law, options);
  for (size_t i = 0; i < law->failed_count; i++)
    printf("\n%s: no fit: %s\n", law->failed[i].estimator, law->failed[i].reason);
  if (law->warnings.count)
    putchar('\n');
  for (size_t i = 0; i < law->warnings.count; i++)
    printf("warning: %s\n", law->warnings.lines[i]);
}

/* Prints also when nothing could be fitted: the reasons are the result then. */
static int law_show(const struct plm_law *law, const struct arguments *a, const struct plm_law_options *options,
                    struct plm_error *err) {
  int code = 0;
  if (a->json)
    code = plm_cli_print_json(plm_law_json(law), err);
  else
    law_print(law, options);
  if (!code && law->points->count == 0)
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "%s: no points to fit, %zu left out", law->source,
                         law->points->left_out_count);
  else if (!code && law->fit_count == 0)
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "%s: no law could be fitted; %s: %s", law->source,
                         law->failed[0].estimator, law->failed[0].reason);
  return code;
}

int plm_cli_fit(int argc, char **argv, struct plm_error *err) {
  static const struct argp argp = {OPTIONS,
                                   argument_take,
                                   "STUDY.ini|POINTS.csv",
                                   "Fits scaling laws to the finished runs of a study, or to a table with columns N, "
                                   "D, loss and, if there are, C, budget, "
                                   "weight, seed, label.",
                                   NULL,
                                   NULL,
                                   NULL};
  struct arguments arguments = {0};
  struct plm_law_options options = {0};
  struct plm_points points = {0};
  struct plm_law *law = NULL;
  double *at = NULL;
  int code = plm_cli_parse(&argp, argc, argv, &arguments, err);
  if (!code)
    code = options_read(&options, &at, &arguments, err);
  if (!code)
    code = points_load(&points, &arguments, err);
  if (!code)
    code = plm_law_fit(&law, &points, arguments.source, &options, err);
  if (!code)
    code = law_show(law, &arguments, &options, err);
  plm_law_destroy(law);
  plm_points_fini(&points);
  free(at);
  free(arguments.at);
  return code;
}
