/* What plan.c (the verb), plan_forecast.c (what a study comes to) and plan_show.c (the table and the JSON) share. */
#ifndef PLM_CLI_PLAN_H
#define PLM_CLI_PLAN_H

#include <jansson.h>
#include <stdint.h>

#include "cli/plan_speed.h"
#include "data/corpus.h"
#include "study/study.h"
#include "train/worker.h"

#define PLM_PLAN_LIST_MAX 256

/* A device that is not here: its peak and its memory bandwidth. */
struct plan_sheet {
  char name[64];
  double gflops, gbps;
};

struct plan_request {
  const char *path;
  const char *backends[PLM_PLAN_LIST_MAX], *settings[PLM_PLAN_LIST_MAX];
  size_t backend_count, setting_count;
  struct plan_sheet sheets[PLM_PLAN_LIST_MAX];
  size_t sheet_count;
  double share;        /* of the floor's speed that a device of a sheet is taken to reach */
  const char *corpus;  /* instead of the study's; may be NULL */
  double epoch_tokens; /* the corpus is taken to have so many; 0: as many as it has */
  int64_t threads;     /* 0: not given */
  int json, no_measure;
};

struct plm_corpus_means {
  double epoch_tokens, sequences;
  double squares_per_token;  /* sum of squared lengths */
  double residues_per_token; /* what masking can select */
};

/* One cell's forecast. */
struct forecast {
  double flops_exact; /* of all its steps; 0: the cell has no shape */
  double own;         /* the share of its steps that it does itself; the rest are its parent's */
  double seconds;     /* of its own steps; NaN: not known */
  uint64_t memory_bytes;
  int device; /* index, -1: refused */
};

struct plan {
  const struct plan_request *request;
  struct plm_study *study;
  struct plm_corpus *corpus;
  struct plm_corpus_means means;
  double valid_tokens; /* of one evaluation */
  struct plm_plan_device *devices;
  uint32_t device_count;
  struct plm_workers workers; /* the places where cells run */
  uint32_t *places;           /* the device of each worker */
  struct forecast *forecasts; /* one for each cell */
  double seconds;             /* until the last cell is done, NaN: not known */
};

/* Sums over the cells that run. */
struct plan_totals {
  size_t cells, refused;
  double tokens, flops_6nd, flops_exact;
  double saved_6nd, saved_exact; /* by steps that are done once for several cells */
  size_t sweep_cells; /* learning-rate sweeps, in the sums above too */
  double sweep_6nd, sweep_exact;
  uint64_t memory_bytes; /* of the largest cell */
};

/* Makes forecasts and seconds of a plan whose devices are measured, or not. */
int plan_forecast(struct plan *plan, struct plm_error *err);

/* NAME=GFLOPS,GBPS. */
int plan_sheet_parse(struct plan_sheet *out, const char *text, struct plm_error *err);

/*
 * Fills the points of a device by its sheet: the time that a step takes at least (see `plmscale ops`), divided by the share of
 * that speed that is reached.
 */
int plan_sheet_rates(struct plm_plan_device *device, const struct plan *plan, const struct plm_plan_shape *shapes,
                     size_t count, struct plm_error *err);

/* The means of a corpus's training split, cropped to length_max. */
void plan_corpus(struct plm_corpus_means *out, const struct plm_corpus *corpus, int64_t length_max);

/* The shapes of all cells that run, ascending, each cost once; *out is owned by the caller. */
int plan_shapes(struct plm_plan_shape **out, size_t *count, const struct plan *plan, struct plm_error *err);

/* Exact FLOPs that an average token of the corpus (plan->means) costs a shape, forward and backward. */
double plan_flops_per_token(const struct plan *plan, struct plm_shape shape);

struct plan_totals plan_totals(const struct plan *plan);

/* schema plmscale.plan/1; NULL when out of memory. */
json_t *plan_json(const struct plan *plan);
void plan_print(const struct plan *plan);

#endif
