#include "train/cell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "check/shadow.h"
#include "data/corpus.h"
#include "runtime/layer.h"
#include "runtime/plugin.h"
#include "train/branch.h"
#include "train/cell_folder.h"
#include "train/lock.h"
#include "train/opening.h"
#include "train/provenance.h"
#include "train/sweep.h"
#include "train/trainer.h"

/* A run that has not done a step. */
static int begin_run(struct plm_run *run, const struct plm_trainer *t, const struct plm_corpus *corpus,
                     struct plm_error *err) {
  const struct plm_study *study = t->study;
  const struct plm_cell *cell = t->cell;
  struct plm_run_figures *f = &run->figures;
  memcpy(run->cell_id, cell->id, sizeof run->cell_id);
  f->layers = cell->shape.layers;
  f->width = cell->shape.width;
  f->heads = cell->shape.heads;
  f->n_layers_only = (double)cell->n_layers_only;
  f->n_with_head = (double)cell->n_with_head;
  f->n_total = (double)cell->n_total;
  f->budget = cell->budget;
  f->tokens_planned = (double)cell->tokens;
  f->steps_planned = (double)cell->steps;
  f->seed = (double)cell->seed;
  f->lr = cell->lr;
  f->warmup_steps = (double)cell->warmup_steps;
  f->diverged_step = -1;
  json_t *resolved = plm_study_cell_json(study, cell, corpus->digest);
  run->resolved_json = resolved ? json_dumps(resolved, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
  json_decref(resolved);
  run->ini = strdup(study->text);
  run->status = strdup("running");
  run->trunk = strdup("");
  run->role = strdup(cell->sweep ? "sweep" : "point");
  run->sweep = strdup(t->sweep);
  int made = run->resolved_json && run->ini && run->status && run->trunk && run->role && run->sweep;
  return made ? 0 : plm_error_memory(err, "beginning a run");
}

static int begin_weights(struct plm_checkpoint *c, const struct plm_study *study, const struct plm_cell *cell,
                         const struct plm_layout *layout, struct plm_error *err) {
  c->floats = layout->floats;
  c->params = plm_memory_zeroed(c->floats, sizeof(float));
  c->moment1 = plm_memory_zeroed(c->floats, sizeof(float));
  c->moment2 = plm_memory_zeroed(c->floats, sizeof(float));
  if (!c->params || !c->moment1 || !c->moment2)
    return plm_error_memory(err, "beginning a run");
  plm_layout_weights(c->params, layout, cell->seed, study->config.model_init_std);
  return 0;
}

/* A state that was trained at another rate than the sweep gives now (its files have changed) is no part of this run. */
static int check_rate(const struct plm_run *from, const struct plm_cell *cell, struct plm_error *err) {
  if (from->figures.lr == cell->lr)
    return 0;
  return plm_error_set(err, PLM_E_DAMAGED,
                       "cell %s: the state of cell %s was trained at a peak rate of %.6g, its sweep gives %.6g now: remove it",
                       cell->id, from->cell_id, from->figures.lr, cell->lr);
}

/* The run goes on from a shorter cell's: what that one has done counts as its own. */
static int branch_off(struct plm_checkpoint *c, struct plm_checkpoint *from, struct plm_error *err) {
  struct plm_run_figures *f = &c->run.figures, *done = &from->run.figures;
  free(c->run.trunk);
  if (!(c->run.trunk = strdup(from->run.cell_id)))
    return plm_error_memory(err, "branching off a trunk");
  f->tokens = done->tokens;
  f->residues = done->residues;
  f->tokens_selected = done->tokens_selected;
  f->tokens_masked = done->tokens_masked;
  f->flops_exact = done->flops_exact;
  f->steps = f->trunk_steps = done->steps;
  f->seconds = f->trunk_seconds = done->seconds;
  c->run.curve = from->run.curve;
  from->run.curve = (struct plm_curve){0};
  c->params = from->params;
  c->moment1 = from->moment1;
  c->moment2 = from->moment2;
  c->cursor = from->cursor;
  c->cursor_count = from->cursor_count;
  c->floats = from->floats;
  from->params = from->moment1 = from->moment2 = NULL;
  from->cursor = NULL;
  plm_log(PLM_LOG_INFO, "going on from step %.0f of cell %s", f->steps, from->run.cell_id);
  return 0;
}

/* A run of which no checkpoint is left: from its trunk, or from nothing. */
static int begin(struct plm_trainer *t, const struct plm_corpus *corpus, struct plm_error *err) {
  struct plm_checkpoint *c = &t->checkpoint, from = {0};
  const struct plm_layout *layout = &t->session->model.layout;
  int found = 0, code = begin_run(&c->run, t, corpus, err);
  if (!code)
    code = plm_branch_take(&from, &found, t->study, t->cell, layout->floats, err);
  if (!code && found)
    code = check_rate(&from.run, t->cell, err);
  if (!code)
    code = found ? branch_off(c, &from, err) : begin_weights(c, t->study, t->cell, layout, err);
  plm_checkpoint_fini(&from);
  return code;
}

/* What trains a cell, and what looks over its shoulder. */
struct devices {
  struct plm_plugin *plugin, *shadow;
  struct plm_side side; /* of the shadow */
  char *case_path;
};

static int open_shadow(struct devices *devices, const struct plm_study *study, const struct plm_cell_options *options,
                       const char *folder, struct plm_error *err) {
  uint32_t index = 0;
  int code = plm_opening_load(&devices->shadow, &index, options->shadow, study, options->threads, err);
  if (!code)
    code = plm_side_open(&devices->side, &devices->shadow->backend, index, err);
  if (!code && !(devices->case_path = plm_file_join(folder, "shadow.h5")))
    code = plm_error_memory(err, "naming a case");
  if (code)
    return code;
  const struct plm_shadow_options shadow = {
      .tested = options->backend, .shadow = options->shadow, .case_path = devices->case_path};
  return plm_shadow_install(devices->plugin, &devices->side, &shadow, err);
}

static int open_devices(struct devices *devices, struct plm_session **session, const struct plm_study *study,
                        const struct plm_cell *cell, const struct plm_cell_options *options, const char *folder,
                        struct plm_error *err) {
  const struct plm_config *config = &study->config;
  const struct plm_session_options session_options = {
      .shape = cell->shape,
      .scaling = plm_scaling_of(config),
      .optimizer = {.beta1 = (float)config->train_beta1,
                    .beta2 = (float)config->train_beta2,
                    .epsilon = (float)config->train_epsilon,
                    .weight_decay = (float)config->train_weight_decay,
                    .clip = (float)config->train_clip},
      .batch_tokens = (uint32_t)config->train_batch_tokens,
      .length_max = (uint32_t)config->data_length_max,
      .micro_tokens = (uint32_t)config->run_micro_tokens,
      .log_capacity = (uint32_t)config->run_record_every,
  };
  uint32_t index = 0;
  int code = plm_opening_load(&devices->plugin, &index, options->backend, study, options->threads, err);
  if (!code)
    code = plm_layers_install(devices->plugin, options->layers, options->layer_count, err);
  if (!code && options->shadow)
    code = open_shadow(devices, study, options, folder, err);
  return code ? code : plm_session_open(session, devices->plugin, index, &session_options, err);
}

/* When the session is closed: what stood over the backend says its last, and comes off. The first failure stands. */
static int close_devices(struct devices *devices, int code, struct plm_error *err) {
  struct plm_error said = PLM_ERROR_INIT;
  struct plm_shadow_count compared = plm_shadow_counted();
  plm_shadow_remove(devices->plugin);
  int found = devices->plugin ? plm_layers_finish(devices->plugin, stderr, &said) : 0;
  if (!code && found)
    *err = said;
  if (!code && compared.ops)
    plm_log(PLM_LOG_INFO, "shadow: %llu ops compared, largest error %.3f of what is allowed",
            (unsigned long long)compared.ops, compared.worst);
  plm_side_close(&devices->side);
  plm_plugin_destroy(devices->shadow);
  plm_plugin_destroy(devices->plugin);
  free(devices->case_path);
  return code ? code : found;
}

/* The run as its checkpoint left it, or one that begins, on the device and ready for the next step. */
static int restore(struct plm_trainer *t, const struct plm_corpus *corpus, struct plm_error *err) {
  struct plm_checkpoint *c = &t->checkpoint;
  const struct plm_layout *layout = &t->session->model.layout;
  int found;
  int code = plm_checkpoint_read(c, &found, t->folder, t->cell->id, layout->floats, err);
  if (code)
    return code;
  if (found && (code = check_rate(&c->run, t->cell, err)))
    return code;
  if (found)
    c->run.figures.resumes++;
  else
    code = begin(t, corpus, err);
  t->seconds_before = c->run.figures.seconds;
  if (!code && c->cursor)
    code = plm_batcher_restore(t->batcher, c->cursor, c->cursor_count, err);
  if (!code)
    code = plm_provenance_note(&c->run, t->session, corpus, t->study, t->options, err);
  if (!code)
    code = plm_provenance_check(&c->run, t->session, t->study, t->options, t->folder, err);
  return code ? code : plm_trainer_upload(t, err);
}

static int train(struct plm_trainer *t, const struct plm_corpus *corpus, const char *run_path, int *diverged,
                 struct plm_error *err) {
  const struct plm_config *config = &t->study->config;
  const struct plm_batch_options batches = {.seed = t->cell->seed,
                                            .length_max = config->data_length_max,
                                            .batch_tokens = config->train_batch_tokens,
                                            .pool = config->data_pool,
                                            .mask_rate = config->data_mask_rate,
                                            .mask_token = config->data_mask_token,
                                            .mask_random = config->data_mask_random};
  t->epoch_tokens = plm_corpus_epoch_tokens(corpus, PLM_SPLIT_TRAIN, config->data_length_max);
  int code = plm_batcher_create(&t->batcher, corpus, &batches, err);
  if (code || (code = plm_validation_create(&t->validation, corpus, &batches, config->evaluate_tokens, err)) ||
      (code = plm_batch_init(&t->batch, (uint32_t)config->train_batch_tokens, err)) ||
      (code = restore(t, corpus, err)) || (code = plm_events_create(&t->events, t->folder, err)) ||
      (code = plm_trainer_run(t, diverged, err)))
    return code;
  struct plm_run *run = &t->checkpoint.run;
  free(run->status);
  run->status = strdup(*diverged ? "diverged" : "done");
  if ((code = run->status ? 0 : plm_error_memory(err, "ending a run")) ||
      (code = plm_run_write(run_path, run, &t->session->model.layout, t->checkpoint.params, err)))
    return code;
  plm_checkpoint_remove(t->folder);
  plm_branch_release(t->study, t->cell);
  return 0;
}

int plm_cell_set_aside(const char *folder, const char *why, struct plm_error *err) {
  char *path = plm_file_join(folder, "run.h5"), *aside = plm_file_join(folder, "run.damaged.h5");
  int code = path && aside ? 0 : plm_error_memory(err, "setting a damaged run aside");
  if (!code && rename(path, aside))
    code = plm_error_set_system(err, errno, "cannot rename \"%s\"", path);
  if (!code)
    plm_log(PLM_LOG_WARN, "%s; kept as run.damaged.h5, the cell is trained again", why);
  free(path);
  free(aside);
  return code;
}

/* *done = 1 when run.h5 is there and verifies. A damaged one is set aside. */
static int look_for_run(int *done, int *diverged, const char *folder, const char *run_path, const struct plm_cell *cell,
                        struct plm_error *err) {
  struct plm_run run;
  struct plm_error said = PLM_ERROR_INIT;
  *done = 0;
  if (!plm_file_exists(run_path))
    return 0;
  int code = plm_run_read(&run, NULL, run_path, cell->id, &said);
  if (code == PLM_E_DAMAGED)
    return plm_cell_set_aside(folder, said.text, err);
  if (code) {
    *err = said;
    return code;
  }
  *done = 1;
  *diverged = !strcmp(run.status, "diverged");
  plm_run_fini(&run);
  return 0;
}

int plm_cell_run(const struct plm_study *study, const struct plm_cell *cell, const struct plm_cell_options *options,
                 int *diverged, struct plm_error *err) {
  struct plm_cell own = *cell; /* with its rate */
  struct plm_trainer trainer = {.study = study, .cell = &own, .options = options};
  char *sweep = NULL;
  struct devices devices = {0};
  struct plm_corpus *corpus = NULL;
  int lock = -1, code = 0, ended = 0, done = 0;
  char *folder = plm_cell_folder(study, cell);
  char *run_path = folder ? plm_file_join(folder, "run.h5") : NULL;
  if (!run_path) {
    code = plm_error_memory(err, "naming a cell");
    goto out;
  }
  trainer.folder = folder;
  if ((code = plm_file_make_folders(folder, err)) || (code = plm_lock_take(&lock, folder, "cell", cell->id, err)))
    goto out;
  code = look_for_run(&done, &ended, folder, run_path, cell, err);
  if (!code && !done && plm_sweep_awaits(cell))
    code = plm_sweep_resolve(&own.lr, &sweep, study, cell, err);
  trainer.sweep = sweep ? sweep : "";
  if (!code && !done && !(code = plm_corpus_open(&corpus, study->corpus, err)) &&
      !(code = open_devices(&devices, &trainer.session, study, cell, options, folder, err)))
    code = train(&trainer, corpus, run_path, &ended, err);
out:
  plm_events_close(trainer.events);
  plm_checkpoint_fini(&trainer.checkpoint);
  plm_batch_fini(&trainer.batch);
  plm_validation_fini(&trainer.validation);
  plm_batcher_destroy(trainer.batcher);
  plm_session_close(trainer.session);
  code = close_devices(&devices, code, err);
  if (!code && diverged)
    *diverged = ended;
  plm_corpus_close(corpus);
  plm_lock_release(lock);
  free(sweep);
  free(run_path);
  free(folder);
  return code;
}
