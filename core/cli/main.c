#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"

struct verb {
  const char *name;
  const char *group; /* NULL: internal, not shown */
  const char *help;
  int (*run)(int argc, char **argv, struct plm_error *err);
};

static const struct verb verbs[] = {
    {"init", "study", "write a commented study file with every option", plm_cli_init},
    {"check", "study", "check a study file, or the conformance of a backend", plm_cli_check},
    {"plan", "study", "show every cell: size, tokens, FLOPs, memory, time", plm_cli_plan},
    {"run", "study", "train what is not done yet", plm_cli_run},
    {"run-cell", "study", "train one cell in this process (for job arrays)", plm_cli_run_cell},
    {"status", "study", "what is done, running, failed", plm_cli_status},
    {"coordinates", "study", "whether training moves models of all widths alike: standard and muP", plm_cli_coordinates},
    {"data", "data", "build a corpus from FASTA, or describe one", plm_cli_data},
    {"fit", "results", "fit scaling laws to a study or a CSV file", plm_cli_fit},
    {"why", "results", "refit a study under every choice, and show which one moves the answer", plm_cli_why},
    {"report", "results", "one page of figures, tables and plain words about a study", plm_cli_report},
    {"predict", "results", "the best model for a budget: size, tokens, loss, shape, time", plm_cli_predict},
    {"audit", "results", "how far published or planned models are from the frontier", plm_cli_audit},
    {"backends", "hardware", "list backends and devices, and say why one was refused", plm_cli_backends},
    {"tune", "hardware", "choose a backend's fastest right kernels for a study", plm_cli_tune},
    {"bench", "hardware", "measure training speed", plm_cli_bench},
    {"ops", "hardware", "show a training step as ops, with FLOPs, bytes and the least time", plm_cli_ops},
    {"new-plugin", "hardware", "begin a backend of your own: a project that builds", plm_cli_new_plugin},
    {"options", NULL, "print docs/options.md", plm_cli_options},
    {"probe", NULL, "load one plugin and describe it as JSON", plm_cli_probe},
};
#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static void usage(FILE *out) {
  const char *group = "";
  fputs("usage: plmscale VERB [ARGUMENT...]\n\n"
        "Finds the compute-optimal size of a protein language model for a corpus, a budget and the hardware at hand.\n",
        out);
  for (size_t i = 0; i < VERB_COUNT; i++) {
    if (!verbs[i].group)
      continue;
    if (strcmp(group, verbs[i].group))
      fprintf(out, "\n%s\n", verbs[i].group);
    group = verbs[i].group;
    fprintf(out, "  %-11s %s\n", verbs[i].name, verbs[i].help);
  }
  fputs("\n`plmscale VERB --help` explains one verb. A start: plmscale init study.ini\n"
        "Exit codes: 0 good, 1 failed, 2 usage or configuration, 3 some cells failed, 4 damaged input, 75 stopped, run again.\n",
        out);
}

static int unknown_verb(const char *name, struct plm_error *err) {
  const char *names[VERB_COUNT];
  for (size_t i = 0; i < VERB_COUNT; i++)
    names[i] = verbs[i].name;
  const char *nearest = plm_error_nearest(name, names, VERB_COUNT);
  return plm_error_set(err, PLM_E_USAGE, "unknown verb \"%.60s\"%s%s%s; `plmscale --help` lists them", name,
                       nearest ? ": did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

static int dispatch(int argc, char **argv, struct plm_error *err) {
  for (size_t i = 0; i < VERB_COUNT; i++) {
    if (strcmp(argv[1], verbs[i].name))
      continue;
    char name[64];
    snprintf(name, sizeof name, "plmscale %s", verbs[i].name);
    argv[1] = name;
    return verbs[i].run(argc - 1, argv + 1, err);
  }
  return unknown_verb(argv[1], err);
}

int main(int argc, char **argv) {
  struct plm_error err = PLM_ERROR_INIT;
  argp_err_exit_status = 2;
  if (argc < 2) {
    usage(stderr);
    return 2;
  }
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
    usage(stdout);
    return fflush(stdout) ? 1 : 0;
  }
  if (!strcmp(argv[1], "--version")) {
    puts("plmscale " PLM_VERSION);
    return 0;
  }
  int code = dispatch(argc, argv, &err);
  plm_log_progress(NULL, 1);
  if (!code && (fflush(stdout) || ferror(stdout)))
    code = plm_error_set(&err, PLM_E_IO, "cannot write the output");
  if (code && err.text[0]) {
    fflush(stdout); /* where both go to one file, results come before the reason for the exit code */
    plm_log(PLM_LOG_ERROR, "%s", err.text);
  }
  /* _exit: after a failed write the HDF5 library, and now and then a GPU driver, crashes in its exit handlers. */
  fflush(NULL);
  _exit(plm_error_exit_code(code));
}
