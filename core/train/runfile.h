/*
 * run.h5, what is kept of a finished cell, and checkpoint.h5, what is needed to go on with one. Both are whole or absent.
 * Layout of both: root attributes (format, format_version, tool_version, created_utc, cell_id, content_xxh3 and the figures
 * below by their names), group config (ini, resolved_json), group curve (one dataset a column), group evaluation (likewise),
 * dataset timing/seconds, group weights (one dataset a tensor, [out, in] row-major, attribute shape); a checkpoint has instead
 * arena/params, arena/moment1, arena/moment2 and cursor.
 */
#ifndef PLM_TRAIN_RUNFILE_H
#define PLM_TRAIN_RUNFILE_H

#include <stdint.h>

#include "base/error.h"
#include "model/layout.h"
#include "study/study.h"
#include "train/curve.h"

#define PLM_RUN_FORMAT "plmscale-run"
#define PLM_RUN_VERSION 4 /* 2: the texts of PLM_RUN_TEXTS_2; 3: the figures and texts that end in _3; 4: the texts in _4 */
#define PLM_CHECKPOINT_FORMAT "plmscale-checkpoint"
#define PLM_CHECKPOINT_VERSION 4 /* as above */

/* The figures of a run: everything of "what is counted". Doubles hold whole numbers up to 2^53 exactly. */
#define PLM_RUN_FIGURES(X) PLM_RUN_FIGURES_1(X) PLM_RUN_FIGURES_3(X)
#define PLM_RUN_FIGURES_1(X)                                                                                          \
  X(layers, "") X(width, "") X(heads, "")                                                                             \
  X(n_layers_only, "parameters") X(n_with_head, "parameters") X(n_total, "parameters")                                \
  X(budget, "FLOP")              /* the grid's compute budget, 0 when it has none */                                  \
  X(tokens_planned, "tokens") X(tokens, "tokens") X(residues, "residues")                                             \
  X(tokens_selected, "tokens") X(tokens_masked, "tokens")                                                             \
  X(tokens_unique, "tokens")     /* tokens of the sequences seen at least once: min(tokens, one epoch) */             \
  X(epochs, "")                                                                                                       \
  X(flops_6nd, "FLOP")           /* 6 * n_layers_only * tokens */                                                     \
  X(flops_exact, "FLOP")         /* matrix products of the program, attention included, head on selected rows */      \
  X(steps_planned, "") X(steps, "") X(seed, "") X(lr, "")                                                             \
  X(train_loss_all, "nats") X(train_loss_mask, "nats")                                                                \
  X(valid_loss_all, "nats") X(valid_loss_all_error, "nats")                                                           \
  X(valid_loss_mask, "nats") X(valid_loss_mask_error, "nats")                                                         \
  X(valid_rows_all, "") X(valid_rows_mask, "")                                                                        \
  X(seconds, "s")                /* wall time over all processes of the run */                                        \
  X(tokens_per_second, "tokens/s")                                                                                    \
  X(micro_tokens, "tokens") X(threads, "") X(deterministic, "") X(resumes, "") X(diverged_step, "")
/* Since version 3; 0 when read from an older file. The other figures count these steps in, as if the run had done them itself. */
#define PLM_RUN_FIGURES_3(X)                                                                                          \
  X(warmup_steps, "")                                                                                                 \
  X(trunk_steps, "")             /* steps taken over from the cell that text trunk names */                           \
  X(trunk_seconds, "s")          /* the part of seconds that they took there */

struct plm_run_figures {
#define X(name, units) double name;
  PLM_RUN_FIGURES(X)
#undef X
};

/* Texts of a run: provenance. All owned by the struct, never NULL once read or about to be written. */
#define PLM_RUN_TEXTS(X) PLM_RUN_TEXTS_1(X) PLM_RUN_TEXTS_2(X) PLM_RUN_TEXTS_3(X) PLM_RUN_TEXTS_4(X)
#define PLM_RUN_TEXTS_1(X)                                                                                    \
  X(status)          /* done or diverged */                                                                   \
  X(shape) X(corpus_digest) X(precision) X(backend) X(backend_version) X(backend_path) X(backend_sha256)      \
  X(device_id) X(device_name) X(driver) X(driver_version) X(host_name) X(lowered_ops)
/* Since version 2; "" when read from an older file. */
#define PLM_RUN_TEXTS_2(X)                                                                                            \
  X(backend_layers)  /* as --layer and --shadow were given, separated by ", " */ \
  X(self_check)      /* "passed 36 cases, ..", "off", or why there was none */                                 \
  X(kernels)         /* "linear+bias 2048x320x960: NAME; ..": what ran the matrix ops; "" where there is no choice */ \
  X(kernels_source)  /* "default", or the profile's path */
/* Since version 3; likewise. */
#define PLM_RUN_TEXTS_3(X)                                                                                    \
  X(trunk)           /* id of the cell whose trunk this run branched off; "": it did every step itself */
/* Since version 4; likewise. */
#define PLM_RUN_TEXTS_4(X)                                                                                    \
  X(role)            /* point, or sweep: a small run of lr = sweep, no point of the law */                    \
  X(sweep)           /* of a point: the sweep that gave its rate, as JSON (train/sweep.h); else "" */

struct plm_run {
  char cell_id[PLM_CELL_ID];
  struct plm_run_figures figures;
#define X(name) char *name;
  PLM_RUN_TEXTS(X)
#undef X
  char *ini, *resolved_json;
  struct plm_curve curve;
};

void plm_run_fini(struct plm_run *run); /* takes a zeroed run */

/* Writes cells/ID/run.h5 whole. weights: the parameter arena. */
int plm_run_write(const char *path, const struct plm_run *run, const struct plm_layout *layout, const float *weights,
                  struct plm_error *err);

/*
 * Reads and verifies a run file, its content hash over curve, evaluations and weights included. weights, when not NULL, gets
 * an array of layout floats owned by the caller. PLM_E_DAMAGED: not a run file, cut short, changed, another cell's
 * (cell_id given and different).
 */
int plm_run_read(struct plm_run *out, float **weights, const char *path, const char *cell_id, struct plm_error *err);

/* The state of a run at a step, enough to go on from there. Arenas are owned by the caller and have layout->floats floats. */
struct plm_checkpoint {
  struct plm_run run; /* figures and curve so far; status "running" */
  float *params, *moment1, *moment2;
  uint64_t floats;
  int64_t *cursor; /* plm_batcher_save */
  uint64_t cursor_count;
};
void plm_checkpoint_fini(struct plm_checkpoint *checkpoint);

/* One file. load: *out as it was saved, PLM_E_DAMAGED as for plm_run_read. */
int plm_checkpoint_save(const char *path, const struct plm_checkpoint *checkpoint, struct plm_error *err);
int plm_checkpoint_load(struct plm_checkpoint *out, const char *path, const char *cell_id, uint64_t floats,
                        struct plm_error *err);

/* Keeps the file before as folder/checkpoint.previous.h5. */
int plm_checkpoint_write(const char *folder, const struct plm_checkpoint *checkpoint, struct plm_error *err);

/* Loads the newest generation that verifies; warns in the log when it had to take the older one. *found = 0: there is none. */
int plm_checkpoint_read(struct plm_checkpoint *out, int *found, const char *folder, const char *cell_id, uint64_t floats,
                        struct plm_error *err);

/* Removes both generations. */
void plm_checkpoint_remove(const char *folder);

#endif
