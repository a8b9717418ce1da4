#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"
#include "cli/cli.h"
#include "law/bootstrap.h"
#include "law/workers.h"
#include "report/gnuplot.h"
#include "report/report_write.h"

#define SEED 1

struct arguments {
  const char *study, *output, *bootstrap, *threads;
  int more;
};

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "FILE.html", 0, "where to (default: report.html in the study's folder); figures go to FILE.figures", 0},
    {"bootstrap", 'b', "N", 0, "draws for the intervals (default 200; 0: none)", 0},
    {"threads", 't', "N", 0, "threads to use (default: one a CPU); the result is the same", 0},
    {0}};

static error_t argument_take(int key, char *text, struct argp_state *state) {
  struct arguments *a = state->input;
  switch (key) {
  case 'o':
    a->output = text;
    return 0;
  case 'b':
    a->bootstrap = text;
    return 0;
  case 't':
    a->threads = text;
    return 0;
  case ARGP_KEY_ARG:
    a->more |= a->study != NULL;
    a->study = text;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static int options_read(struct plm_facts_options *out, const struct arguments *a, struct plm_error *err) {
  int64_t draws = 200, threads = 0;
  int code;
  if (!a->study || a->more)
    return plm_error_set(err, PLM_E_USAGE, "report takes one STUDY.ini");
  if (a->output && !*a->output)
    return plm_error_set(err, PLM_E_USAGE, "--output: the name of a file is needed");
  if ((a->bootstrap && (code = plm_number_integer(&draws, a->bootstrap, err))) ||
      (a->threads && (code = plm_number_integer(&threads, a->threads, err))))
    return code;
  if (draws < 0 || draws > PLM_BOOTSTRAP_DRAWS_MAX)
    return plm_error_set(err, PLM_E_USAGE, "--bootstrap %s: 0 to %d", a->bootstrap, PLM_BOOTSTRAP_DRAWS_MAX);
  if (a->threads && (threads < 1 || threads > PLM_WORKERS_MAX))
    return plm_error_set(err, PLM_E_USAGE, "--threads %s: 1 to %d", a->threads, PLM_WORKERS_MAX);
  *out = (struct plm_facts_options){.draws = (size_t)draws, .seed = SEED, .threads = (unsigned)threads};
  return 0;
}

/* Into path, or where reports of this study are by default, whose folder may not be there yet. */
static int report(const char *path, const struct plm_facts *facts, const char *gnuplot, struct plm_error *err) {
  char *standard = NULL;
  size_t figures;
  int code = 0;
  if (!path) {
    standard = plm_report_default_path(facts);
    code = standard ? plm_file_make_folders(facts->study->folder, err) : plm_error_memory(err, "naming the report");
    path = standard;
  }
  if (!code)
    code = plm_report_write(path, facts, gnuplot, &figures, err);
  if (!code)
    printf("%s: %zu figures, %zu of %zu cells in the fit\n", path, figures, facts->state_counts[PLM_CELL_DONE],
           facts->cell_count);
  free(standard);
  return code;
}

int plm_cli_report(int argc, char **argv, struct plm_error *err) {
  static const struct argp argp = {OPTIONS,
                                   argument_take,
                                   "STUDY.ini",
                                   "Writes what a study has found as one HTML file that needs no network: the answer in "
                                   "plain words and how far to trust it, figures, tables, and where the numbers come from. "
                                   "The data and gnuplot scripts of the figures are kept beside it. Needs gnuplot.",
                                   NULL,
                                   NULL,
                                   NULL};
  struct arguments arguments = {0};
  struct plm_facts_options options;
  struct plm_facts facts = {0};
  struct plm_study *study = NULL;
  char *gnuplot = NULL;
  int code = plm_cli_parse(&argp, argc, argv, &arguments, err);
  if (!code)
    code = options_read(&options, &arguments, err);
  if (!code)
    code = plm_gnuplot_find(&gnuplot, err);
  if (!code)
    code = plm_cli_study_read(&study, arguments.study, err);
  if (!code)
    code = plm_facts_gather(&facts, study, &options, err);
  if (!code)
    code = report(arguments.output, &facts, gnuplot, err);
  plm_facts_fini(&facts);
  free(gnuplot);
  return code;
}
