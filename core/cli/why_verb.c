#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "cli/cli.h"
#include "law/bootstrap.h"
#include "law/law.h"
#include "law/why.h"
#include "law/workers.h"

struct arguments {
  const char *study, *at, *bootstrap, *threads;
  int json, more;
};

static const struct argp_option OPTIONS[] = {
    {"at", 'a', "COMPUTE", 0, "compare N_opt at this budget (default: the largest)", 0},
    {"bootstrap", 'b', "N", 0, "draws for the intervals of single changes (default 200; 0: none)", 0},
    {"threads", 't', "N", 0, "threads to use (default: one a CPU)", 0},
    {"json", 'j', NULL, 0, "print " PLM_WHY_SCHEMA ", every combination", 0},
    {0}};

static error_t argument_take(int key, char *text, struct argp_state *state) {
  struct arguments *a = state->input;
  switch (key) {
  case 'a':
    a->at = text;
    return 0;
  case 'b':
    a->bootstrap = text;
    return 0;
  case 't':
    a->threads = text;
    return 0;
  case 'j':
    a->json = 1;
    return 0;
  case ARGP_KEY_ARG:
    a->more |= a->study != NULL;
    a->study = text;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static int options_read(struct plm_why_options *out, const struct arguments *a, struct plm_error *err) {
  int64_t draws = 200, threads = 0;
  int code;
  if (!a->study || a->more)
    return plm_error_set(err, PLM_E_USAGE, "why takes one STUDY.ini");
  if ((a->bootstrap && (code = plm_number_integer(&draws, a->bootstrap, err))) ||
      (a->threads && (code = plm_number_integer(&threads, a->threads, err))) ||
      (a->at && (code = plm_number_real(&out->at, a->at, err))))
    return code;
  if (draws > PLM_BOOTSTRAP_DRAWS_MAX)
    return plm_error_set(err, PLM_E_USAGE, "--bootstrap %s: at most %d", a->bootstrap, PLM_BOOTSTRAP_DRAWS_MAX);
  if (a->threads && (threads < 1 || threads > PLM_WORKERS_MAX))
    return plm_error_set(err, PLM_E_USAGE, "--threads %s: 1 to %d", a->threads, PLM_WORKERS_MAX);
  if (a->at && !(out->at > 0))
    return plm_error_set(err, PLM_E_USAGE, "--at %s: must be above 0", a->at);
  out->draws = (size_t)draws;
  out->threads = (unsigned)threads;
  return 0;
}

static void row_print(const struct plm_why *why, const struct plm_why_row *row) {
  char chosen[64] = "the usual choices", a[64] = "-", n[32] = "-", moved[32] = "-";
  if (row->single >= 0)
    plm_why_chosen(chosen, sizeof chosen, why, row, (enum plm_why_choice)row->single);
  if (row->has_exponents && row->a_interval.known)
    snprintf(a, sizeof a, "%.3f (%.3f to %.3f)", row->a, row->a_interval.low, row->a_interval.high);
  else if (row->has_exponents)
    snprintf(a, sizeof a, "%.3f", row->a);
  if (isfinite(row->params))
    plm_number_short(n, sizeof n, row->params);
  if (isfinite(row->moved))
    snprintf(moved, sizeof moved, "%+.2f", row->moved);
  printf("  %-10s %-20s %-26s %9s %8s%s%.90s\n",
         row->single >= 0 ? plm_why_choice_name((enum plm_why_choice)row->single) : "", chosen, a, n, moved,
         row->fitted ? "" : "  no fit: ", row->fitted ? "" : row->reason);
}

/* The largest single move, and what all combinations span. */
static void verdict_print(const struct plm_why *why) {
  const struct plm_why_row *first = &why->rows[1];
  char low[32], high[32], chosen[64];
  if (why->fitted == 0) {
    printf("verdict: no combination of choices gives an N_opt at %.4g FLOP\n", why->compute);
    return;
  }
  plm_number_short(low, sizeof low, why->params_min);
  plm_number_short(high, sizeof high, why->params_max);
  printf("%zu of %zu combinations give an N_opt at %.4g FLOP: %s to %s", why->fitted, why->row_count, why->compute, low,
         high);
  if (why->a_max >= why->a_min)
    printf(", a from %.3f to %.3f", why->a_min, why->a_max);
  putchar('\n');
  if (why->single_count == 0 || !isfinite(first->moved)) {
    printf("verdict: the usual choices allow no answer, so nothing can be compared with it\n");
    return;
  }
  plm_why_chosen(chosen, sizeof chosen, why, first, (enum plm_why_choice)first->single);
  if (fabs(first->moved) > PLM_LAW_DISAGREEMENT)
    printf("verdict: choices disagree: %s (%s) alone moves N_opt by a factor of %.2g; the answer is not known better\n",
           plm_why_choice_name((enum plm_why_choice)first->single), chosen, pow(10, fabs(first->moved)));
  else
    printf("verdict: no single choice moves N_opt by more than a factor of %.2g (%s: %s)\n",
           pow(10, fabs(first->moved)), plm_why_choice_name((enum plm_why_choice)first->single), chosen);
}

static void plateau_print(const struct plm_plateau *p) {
  if (!p->known) {
    printf("plateau: not tested: %s\n", p->reason);
    return;
  }
  printf("plateau: E = %.4f", p->E);
  if (p->E_interval.known)
    printf(" (95 %%: %.4f to %.4f)", p->E_interval.low, p->E_interval.high);
  printf("; %s\n", !p->E_interval.known ? "without an interval nothing follows"
                   : p->needed          ? "a floor is needed"
                                        : "these points do not need a floor: the interval reaches 0");
  printf("  the best model at %.4g FLOP is %.4f nats above it", p->compute_max, p->reducible);
  if (isfinite(p->seen_from))
    printf("; within the noise of a run (2 x %.4f) it would be from %.2g FLOP on, %s", p->sigma, p->seen_from,
           p->seen_from > p->compute_max ? "beyond what was measured" : "which was measured");
  putchar('\n');
}

static void why_print(const struct plm_why *why) {
  printf("%s: one choice at a time, by how far it moves N_opt at %.4g FLOP\n", why->source, why->compute);
  printf("usual: %s, N layers, C 6ND, validation loss, <mask> only, all budgets, all seeds\n\n", PLM_LAW_MAIN);
  printf("  %-10s %-20s %-26s %9s %8s\n", "choice", "", "N_opt ~ C^a: a", "N_opt", "decades");
  for (size_t i = 0; i <= why->single_count; i++)
    row_print(why, &why->rows[i]);
  putchar('\n');
  verdict_print(why);
  plateau_print(&why->plateau);
}

int plm_cli_why(int argc, char **argv, struct plm_error *err) {
  static const struct argp argp = {OPTIONS,
                                   argument_take,
                                   "STUDY.ini",
                                   "Refits the finished runs of a study under every combination of estimator, count "
                                   "of N and C, loss, budgets and seed, and shows which single choice moves the "
                                   "answer how far. Tests whether the loss has a floor.",
                                   NULL,
                                   NULL,
                                   NULL};
  struct arguments arguments = {0};
  struct plm_why_options options = {0};
  struct plm_study_runs runs = {0};
  struct plm_why *why = NULL;
  int code = plm_cli_parse(&argp, argc, argv, &arguments, err);
  if (!code)
    code = options_read(&options, &arguments, err);
  if (!code)
    code = plm_study_runs_read(&runs, arguments.study, err);
  if (!code)
    code = plm_why_fit(&why, &runs, arguments.study, &options, err);
  if (!code && arguments.json)
    code = plm_cli_print_json(plm_why_json(why), err);
  else if (!code)
    why_print(why);
  plm_why_destroy(why);
  plm_study_runs_fini(&runs);
  return code;
}
