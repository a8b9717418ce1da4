/*
 * A study: an INI file, checked against the one table of options, and the cells it stands for.
 */
#ifndef PLM_STUDY_STUDY_H
#define PLM_STUDY_STUDY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "study/options.h"
#include "study/shape.h"

#define PLM_OPTION_TEXT_FIELD char *
#define PLM_OPTION_LIST_FIELD char *
#define PLM_OPTION_INTEGER_FIELD int64_t
#define PLM_OPTION_REAL_FIELD double
#define PLM_OPTION_BOOLEAN_FIELD int
#define PLM_OPTION_CHOICE_FIELD int

/* Every option as a field section_key, e.g. config.train_batch_tokens. After plm_study_read study_name is never empty. */
struct plm_config {
#define X(section, key, kind, unit, minimum, maximum, value, help) PLM_OPTION_##kind##_FIELD section##_##key;
  PLM_OPTIONS(X)
#undef X
};

enum plm_grid_mode { PLM_GRID_GRID, PLM_GRID_ZIP, PLM_GRID_ISOFLOP };
enum plm_parametrization { PLM_PARAMETRIZATION_STANDARD, PLM_PARAMETRIZATION_MUP };
/* In a study that was read PLM_SCHEDULE_AUTO has been replaced by what it stands for. */
enum plm_schedule { PLM_SCHEDULE_AUTO, PLM_SCHEDULE_CONSTANT, PLM_SCHEDULE_LINEAR, PLM_SCHEDULE_COSINE, PLM_SCHEDULE_WSD };

/* [backend NAME] key = value; checked by the plugin's own table when it is loaded. */
struct plm_backend_option {
  char *backend, *key, *value;
  int line;
};

#define PLM_CELL_ID 17 /* 16 hexadecimal digits and NUL */

/* One grid point. refused is NULL for a cell that runs, else the reason (owned by the study). A size for which there is no shape
 * is refused with shape and the other counts 0, and n_layers_only what was asked for. */
struct plm_cell {
  char id[PLM_CELL_ID];
  struct plm_shape shape;
  int64_t n_layers_only, n_with_head, n_total;
  double budget;    /* the compute budget it belongs to (mode isoflop), else 0 */
  int64_t tokens;   /* D asked for */
  int64_t steps;    /* ceil(tokens / batch_tokens) */
  double flops_6nd; /* 6 * n_layers_only * tokens */
  double lr;        /* peak learning rate; NaN of a point under lr = sweep, whose runs give it (train/sweep.h) */
  int sweep;            /* 1: a small run of lr = sweep at one rate, no point of the law */
  int64_t sweep_tokens; /* under lr = sweep: the length of its size's small runs; else 0 */
  uint64_t seed;
  int64_t warmup_steps;
  int64_t trunk_steps; /* schedule wsd: steps before the cooldown, which do not depend on tokens; else 0 */
  size_t parent;       /* index of the longest shorter cell of the same trunk (study/trunk.h), PLM_NO_CELL: none */
  char *refused;
};
#define PLM_NO_CELL ((size_t)-1)

struct plm_study {
  char *path;   /* of the INI file */
  char *text;   /* its exact bytes */
  char *folder; /* results folder (config.study_out resolved against the file's folder) */
  char *corpus; /* corpus path, resolved likewise */
  struct plm_config config;
  struct plm_backend_option *backend_options;
  size_t backend_option_count;
  struct plm_cell *cells; /* filled by plm_study_expand */
  size_t cell_count;
};

/*
 * Reads and checks an INI file; all errors of the file are collected in *errors, each "FILE:LINE: ...", and PLM_E_USAGE is
 * returned when there is one (err then holds the first). PLM_E_IO / PLM_E_DAMAGED for a file that cannot be read as text.
 * *out is owned by the caller: plm_study_destroy (takes NULL).
 */
int plm_study_read(struct plm_study **out, const char *path, struct plm_errors *errors, struct plm_error *err);
void plm_study_destroy(struct plm_study *study);

/*
 * The peak learning rate that [train] lr gives a model of that many parameters (layers only). Of a list of rates by size: between
 * two listed sizes on a straight line in log N and log rate, beyond them the nearest one's. Of `sweep`: the rule's.
 */
double plm_study_peak_rate(const struct plm_config *config, double params);

/*
 * Expands the grid into cells, smallest compute first. corpus_digest and corpus_tokens (training tokens per epoch, with
 * <cls> and <eos>; 0: not known, epochs_max is then not applied) are the corpus's. Cell ids are the first 16 digits of the XXH3-128 of the canonical JSON of all that
 * changes the numbers: model, data, train and evaluate options, shape, tokens, seed, corpus digest.
 * Two cells with one id (a size named twice) become one. PLM_E_USAGE when the lists make more than run_cap cells. May be called
 * again; on failure the cells stay as they were.
 */
int plm_study_expand(struct plm_study *study, const char *corpus_digest, int64_t corpus_tokens, struct plm_error *err);

/* The cell with this id (or unique prefix of it, at least 4 digits), borrowed. PLM_E_USAGE when there is none. */
int plm_study_cell(struct plm_cell **out, struct plm_study *study, const char *id, struct plm_error *err);

/* The canonical JSON of a cell (what its id hashes), a new reference owned by the caller; NULL when out of memory. */
json_t *plm_study_cell_json(const struct plm_study *study, const struct plm_cell *cell, const char *corpus_digest);

/* study.json: schema plmscale.study/1, the resolved options by section, the INI text, and the cell list. */
json_t *plm_study_json(const struct plm_study *study, const char *corpus_digest);

/* A commented INI template with every option, its unit, range and default; NULL when out of memory. Owned by the caller. */
char *plm_study_template(void);

/* docs/options.md from the same table; NULL when out of memory. Owned by the caller. */
char *plm_study_options_markdown(void);

/*
 * A grid expression: numbers, log(a,b,n), range(a,b,s), comma-separated, in any mix. *out: owned by the caller.
 * PLM_E_USAGE names the part at fault. At most 100000 values.
 */
int plm_grid_parse(double **out, size_t *count, const char *text, struct plm_error *err);

#endif
