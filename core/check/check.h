/*
 * Conformance of a backend plugin, as `plmscale check` runs it: levels 0 (ABI) to 5 (robustness), each case in a child process,
 * so that a crash or a hang of the plugin is one failed case. The calling process never loads the plugin. docs/check.md says
 * what each level proves.
 */
#ifndef PLM_CHECK_CHECK_H
#define PLM_CHECK_CHECK_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/hash.h"
#include "check/check_case.h"
#include "runtime/plugin.h"

#define PLM_CHECK_LEVELS 6u

struct plm_check_options {
  const char *path;      /* the plugin's file */
  const char *device;    /* index, id or part of a name; NULL: device 0 */
  const char *reference; /* the oracle's file */
  const struct plm_setting *settings;
  uint32_t setting_count;
  uint32_t threads;                  /* of the tested backend, 0: all cores */
  uint32_t level_first, level_last;  /* inclusive */
  const char *op;                    /* only cases of this name (an op or a test), NULL: all */
  const char *replay;                /* LEVEL/NAME:VARIANT@SEED: this one alone, or a case file; NULL: all */
  uint64_t seed;
  double timeout;      /* seconds that one case may take */
  double soak;         /* seconds that the soak of level 5 takes */
  const char *subject; /* how the user named the backend, for replay lines */
  FILE *progress;      /* a line for each failed case as it happens; NULL: none */
};

enum plm_check_state { PLM_CHECK_NOT_RUN, PLM_CHECK_RAN };

struct plm_check_entry {
  uint32_t level;
  const char *name; /* op or test */
  uint32_t variant;
  uint64_t seed;
  char label[128]; /* its shape in words */
  enum plm_check_state state;
  struct plm_check_outcome outcome;
  double seconds;
};

/* Whom the cases were run on, as a child saw it; texts are "" until a child could load the plugin. */
struct plm_check_subject {
  char name[64], version[64], abi[16];
  char device[128], device_id[64], vendor[64], driver[64], driver_version[128];
};

struct plm_check_report {
  struct plm_check_entry *entries;
  uint32_t count;
  struct plm_check_subject subject;
  char path[512];
  char sha256[PLM_SHA256_TEXT];
  int levels[PLM_CHECK_LEVELS]; /* 1: asked for */
};

/* Per level, and in all (level PLM_CHECK_LEVELS). */
struct plm_check_tally {
  uint32_t passed, failed, declined, not_run;
  double worst, seconds;
  int good; /* nothing failed, everything ran, and something passed */
};
struct plm_check_tally plm_check_count(const struct plm_check_report *report, uint32_t level);

/*
 * Runs what options ask for. PLM_OK whatever the outcomes. PLM_E_USAGE: no such case, name or device. PLM_E_DAMAGED: the file
 * is no shared library or exports no entry of a plugin. Owned by the caller: plm_check_report_fini takes a zeroed one.
 */
int plm_check_run(struct plm_check_report *out, const struct plm_check_options *options, struct plm_error *err);
void plm_check_report_fini(struct plm_check_report *report);

/* For people: failed and declined cases (a failure with its replay line), then a table of levels. */
void plm_check_print(FILE *stream, const struct plm_check_report *report, const struct plm_check_options *options);
/* For machines: schema plmscale.check/1; NULL without memory. Owned by the caller. */
json_t *plm_check_json(const struct plm_check_report *report, const struct plm_check_options *options);
/* The support matrix of several such JSON files as Markdown, owned by the caller. PLM_E_DAMAGED: not such a file. */
int plm_check_matrix(char **out, const char *const *paths, uint32_t count, struct plm_error *err);

#endif
