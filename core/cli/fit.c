#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "cli/cli.h"
#include "cli/fit_print.h"
#include "law/bootstrap.h"
#include "law/law.h"
#include "law/points_csv.h"
#include "law/study_points.h"
#include "law/workers.h"
#include "study/study.h"

#define SEED 1

struct arguments {
  const char *source, *estimators, *bootstrap, *threads, *loss, *count, *flops;
  char *at; /* all --at, comma-separated; owned */
  int json, verbose, more, exhausted;
};

static const char *const LOSSES[] = {"valid_mask", "valid_all", "train_mask", "train_all"};
static const char *const COUNTS[] = {"layers", "head", "total"};
static const char *const FLOPS[] = {"6nd", "exact"};

static const struct argp_option OPTIONS[] = {
    {"estimator", 'e', "NAME[,NAME]|all", 0, "which estimators; all (default): all that the data allow", 0},
    {"at", 'a', "COMPUTE", 0, "answer for this budget in FLOP too; a list, or more than once", 0},
    {"bootstrap", 'b', "N", 0, "draws for the intervals (default 200; 0: none)", 0},
    {"threads", 't', "N", 0, "threads to use (default: one a CPU); the result is the same", 0},
    {"verbose", 'v', NULL, 0, "tell everything of every estimator", 0},
    {"json", 'j', NULL, 0, "print " PLM_LAW_SCHEMA, 0},
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
  case 't':
    a->threads = text;
    return 0;
  case 'v':
    a->verbose = 1;
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
  int64_t draws = 200, threads = 0;
  int code = 0;
  if (!a->source || a->more)
    return plm_error_set(err, PLM_E_USAGE, "fit takes one STUDY.ini or POINTS.csv");
  if (a->exhausted)
    return plm_error_memory(err, "the arguments");
  if (a->bootstrap && (code = plm_number_integer(&draws, a->bootstrap, err)))
    return code;
  if (a->threads && (code = plm_number_integer(&threads, a->threads, err)))
    return code;
  if (a->threads && (threads < 1 || threads > PLM_WORKERS_MAX))
    return plm_error_set(err, PLM_E_USAGE, "--threads %s: 1 to %d", a->threads, PLM_WORKERS_MAX);
  *out = (struct plm_law_options){
      .estimators = a->estimators, .draws = (size_t)draws, .seed = SEED, .holdout = 1, .threads = (unsigned)threads};
  if (a->at && strchr(a->at, 'x')) /* a grid may hold shapes, a budget may not */
    return plm_error_set(err, PLM_E_USAGE, "--at \"%.40s\": budgets are numbers, in FLOP", a->at);
  if (a->at)
    code = plm_grid_parse(at, &out->at_count, a->at, err);
  out->at = *at;
  return code;
}

/* Prints also when nothing could be fitted: the reasons are the result then. */
static int law_show(const struct plm_law *law, const struct arguments *a, const struct plm_law_options *options,
                    struct plm_error *err) {
  int code = 0;
  if (a->json)
    code = plm_cli_print_json(plm_law_json(law), err);
  else
    plm_fit_print(law, options, a->verbose || (a->estimators && strcmp(a->estimators, "all") != 0));
  if (!code && law->points->count == 0)
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "%s: no points to fit, %zu left out", law->source,
                         law->points->left_out_count);
  else if (!code && law->fit_count == 0)
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "%s: no law could be fitted; %s: %s", law->source,
                         law->failed[0].estimator, law->failed[0].reason);
  return code;
}

/* What the verb does, and every estimator of the table. Static storage. */
static const char *help_text(void) {
  static char text[2400];
  size_t count, used;
  const struct plm_estimator *table = plm_estimators(&count);
  used =
      (size_t)snprintf(text, sizeof text, "%s",
                       "Fits scaling laws to the finished runs of a study, or to a table with columns N, D, loss and, "
                       "if there are, C, budget, weight, seed, unique, label.\vEstimators:\n");
  for (size_t i = 0; i < count && used < sizeof text; i++)
    used += (size_t)snprintf(text + used, sizeof text - used, "  %-11s %s\n", table[i].name, table[i].summary);
  return text;
}

int plm_cli_fit(int argc, char **argv, struct plm_error *err) {
  const struct argp argp = {OPTIONS, argument_take, "STUDY.ini|POINTS.csv", help_text(), NULL, NULL, NULL};
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
