#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "train/branch.h"
#include "train/schedule.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int plm_trainer_upload(struct plm_trainer *t, struct plm_error *err) {
  const struct plm_checkpoint *c = &t->checkpoint;
  int code = plm_session_write(t->session, PLM_SLOT_PARAMS, c->params, err);
  if (!code)
    code = plm_session_write(t->session, PLM_SLOT_MOMENT1, c->moment1, err);
  return code ? code : plm_session_write(t->session, PLM_SLOT_MOMENT2, c->moment2, err);
}

/* One optimizer step on the device; what the host knows of it goes into the curve. */
static int step(struct plm_trainer *t, int64_t index, struct plm_error *err) {
  const struct plm_config *config = &t->study->config;
  struct plm_run *run = &t->checkpoint.run;
  struct plm_run_figures *f = &run->figures;
  int code = plm_batcher_next(t->batcher, (uint32_t)index, &t->batch, err);
  if (code || (code = plm_curve_reserve(&run->curve, (size_t)index + 1, err)))
    return code;
  double rate = t->cell->lr * plm_schedule_factor(config, t->cell, index);
  struct plm_step_schedule schedule = {
      .rate = (float)rate,
      .correction1 = (float)(1 - pow(config->train_beta1, (double)index + 1)),
      .correction2 = (float)(1 - pow(config->train_beta2, (double)index + 1)),
      .loss_scale = (float)(1.0 / (t->batch.masked ? t->batch.masked : 1)),
      .index = (int32_t)(index % t->session->model.log_capacity),
  };
  t->session->flops = 0;
  if ((code = plm_session_begin(t->session, &schedule, err)) ||
      (code = plm_session_accumulate(t->session, &t->batch, err)) || (code = plm_session_update(t->session, err)))
    return code;
  f->tokens += t->batch.tokens;
  f->residues += t->batch.tokens - 2.0 * t->batch.sequences;
  f->tokens_selected += t->batch.masked;
  f->tokens_masked += t->batch.mask_count;
  f->flops_exact += t->session->flops;
  f->steps = (double)index + 1;
  double **columns = run->curve.columns;
  columns[PLM_CURVE_TOKENS][index] = f->tokens;
  columns[PLM_CURVE_SELECTED][index] = t->batch.masked;
  columns[PLM_CURVE_MASKED][index] = t->batch.mask_count;
  columns[PLM_CURVE_RATE][index] = rate;
  run->curve.steps = (size_t)index + 1;
  return 0;
}

/* Reads the figures of the steps since the last call. *diverged: the first step with a loss or gradient that is not finite, or -1. */
static int read_records(struct plm_trainer *t, int64_t *diverged, struct plm_error *err) {
  struct plm_curve *curve = &t->checkpoint.run.curve;
  uint32_t count = (uint32_t)(curve->steps - t->recorded);
  *diverged = -1;
  if (!count)
    return 0;
  struct plm_step_record *records = plm_memory_zeroed(count, sizeof *records);
  if (!records)
    return plm_error_memory(err, "reading the step log");
  uint32_t first = (uint32_t)(t->recorded % t->session->model.log_capacity);
  int code = plm_session_records(t->session, records, first, count, err);
  double seconds = t->seconds_before + now() - t->started;
  for (uint32_t i = 0; !code && i < count; i++) {
    size_t at = t->recorded + i;
    double selected = curve->columns[PLM_CURVE_SELECTED][at], masked = curve->columns[PLM_CURVE_MASKED][at];
    curve->columns[PLM_CURVE_LOSS_ALL][at] = selected > 0 ? records[i].loss_all / selected : 0;
    curve->columns[PLM_CURVE_LOSS_MASK][at] = masked > 0 ? records[i].loss_mask / masked : 0;
    curve->columns[PLM_CURVE_GRAD_NORM][at] = records[i].grad_norm;
    curve->columns[PLM_CURVE_CLIP][at] = records[i].clip;
    curve->seconds[at] = seconds;
    if (*diverged < 0 && (!(records[i].finite > 0) || !isfinite(records[i].loss_all)))
      *diverged = (int64_t)at;
  }
  if (!code)
    t->recorded = curve->steps;
  free(records);
  return code;
}

static int write_events(struct plm_trainer *t, size_t first, struct plm_error *err) {
  const struct plm_curve *curve = &t->checkpoint.run.curve;
  static const struct {
    const char *tag;
    int column;
  } tags[] = {{"train/loss_all", PLM_CURVE_LOSS_ALL},
              {"train/loss_mask", PLM_CURVE_LOSS_MASK},
              {"train/grad_norm", PLM_CURVE_GRAD_NORM},
              {"train/learning_rate", PLM_CURVE_RATE},
              {"train/tokens", PLM_CURVE_TOKENS}};
  int code = 0;
  for (size_t i = first; t->events && !code && i < curve->steps; i++)
    for (size_t k = 0; !code && k < sizeof tags / sizeof tags[0]; k++)
      code = plm_events_scalar(t->events, tags[k].tag, (int64_t)i + 1, curve->columns[tags[k].column][i], err);
  return code || !t->events ? code : plm_events_flush(t->events, err);
}

static int write_evaluation_events(struct plm_trainer *t, const struct plm_evaluation *e, struct plm_error *err) {
  if (!t->events)
    return 0;
  int code = plm_events_scalar(t->events, "valid/loss_mask", (int64_t)e->step, e->loss_mask, err);
  return code ? code : plm_events_scalar(t->events, "valid/loss_all", (int64_t)e->step, e->loss_all, err);
}

/* What a run that has just branched off has of its trunk, where nothing of it is written yet. */
static int write_trunk_events(struct plm_trainer *t, struct plm_error *err) {
  const struct plm_run *run = &t->checkpoint.run;
  int code = 0;
  if (run->figures.resumes > 0 || !run->curve.steps)
    return 0;
  for (size_t i = 0; !code && i < run->curve.evaluation_count; i++)
    code = write_evaluation_events(t, &run->curve.evaluations[i], err);
  return code ? code : write_events(t, 0, err);
}

static int evaluate(struct plm_trainer *t, struct plm_error *err) {
  struct plm_run *run = &t->checkpoint.run;
  struct plm_evaluation e = {.step = run->figures.steps, .tokens = run->figures.tokens};
  int code = plm_validation_evaluate(&e, &t->validation, t->session, err);
  if (!code)
    code = plm_curve_add_evaluation(&run->curve, &e, err);
  return code ? code : write_evaluation_events(t, &e, err);
}

static int read_arenas(struct plm_trainer *t, struct plm_error *err) {
  int code = plm_session_read(t->session, PLM_SLOT_PARAMS, t->checkpoint.params, err);
  if (!code)
    code = plm_session_read(t->session, PLM_SLOT_MOMENT1, t->checkpoint.moment1, err);
  return code ? code : plm_session_read(t->session, PLM_SLOT_MOMENT2, t->checkpoint.moment2, err);
}

/* Everything that the device and the batcher know into the checkpoint. */
static int take_state(struct plm_trainer *t, struct plm_error *err) {
  struct plm_checkpoint *c = &t->checkpoint;
  free(c->cursor);
  c->cursor = NULL;
  int code = plm_batcher_save(t->batcher, &c->cursor, &c->cursor_count, err);
  if (!code)
    code = read_arenas(t, err);
  c->run.figures.seconds = t->seconds_before + now() - t->started;
  return code;
}

static int write_checkpoint(struct plm_trainer *t, struct plm_error *err) {
  int code = take_state(t, err);
  if (!code)
    code = plm_checkpoint_write(t->folder, &t->checkpoint, err);
  t->last_checkpoint = now();
  return code;
}

static int leave_trunk(struct plm_trainer *t, struct plm_error *err) {
  int code = take_state(t, err);
  return code ? code : plm_branch_leave(t->study, t->cell, &t->checkpoint, err);
}

static void report(struct plm_trainer *t, int force) {
  const struct plm_run *run = &t->checkpoint.run;
  const struct plm_curve *curve = &run->curve;
  double time = now(), since = time - t->last_progress;
  if (!t->options->progress || (!force && since < 1))
    return;
  if (since > 0.05)
    t->tokens_per_second = (run->figures.tokens - t->last_tokens) / since;
  t->last_progress = time;
  t->last_tokens = run->figures.tokens;
  /* The loss shown is smoothed over the last 2 % of the steps. */
  struct plm_cell_progress p = {
      .step = (int64_t)curve->steps,
      .steps = t->cell->steps,
      .tokens = run->figures.tokens,
      .tokens_per_second = t->tokens_per_second,
      .seconds = t->seconds_before + time - t->started,
      .loss_all = curve->steps ? plm_curve_smoothed(curve, curve->steps, 0.02, 0) : NAN,
      .loss_mask = curve->steps ? plm_curve_smoothed(curve, curve->steps, 0.02, 1) : NAN,
      .valid_loss_mask = curve->evaluation_count ? curve->evaluations[curve->evaluation_count - 1].loss_mask : NAN,
  };
  t->options->progress(t->options->context, &p);
}

static void conclude(struct plm_trainer *t, int64_t diverged) {
  struct plm_run *run = &t->checkpoint.run;
  struct plm_run_figures *f = &run->figures;
  double smoothing = t->study->config.train_smoothing;
  f->epochs = t->epoch_tokens > 0 ? f->tokens / (double)t->epoch_tokens : 0;
  f->tokens_unique = fmin(f->tokens, (double)t->epoch_tokens);
  f->flops_6nd = 6 * f->n_layers_only * f->tokens;
  f->seconds = t->seconds_before + now() - t->started;
  f->tokens_per_second = f->seconds > 0 ? f->tokens / f->seconds : 0;
  f->diverged_step = (double)diverged;
  f->train_loss_all = plm_curve_smoothed(&run->curve, run->curve.steps, smoothing, 0);
  f->train_loss_mask = plm_curve_smoothed(&run->curve, run->curve.steps, smoothing, 1);
  f->valid_rows_all = t->validation.rows_all;
  f->valid_rows_mask = t->validation.rows_mask;
  const struct plm_evaluation *last =
      run->curve.evaluation_count ? &run->curve.evaluations[run->curve.evaluation_count - 1] : NULL;
  f->valid_loss_all = last ? last->loss_all : NAN;
  f->valid_loss_all_error = last ? last->loss_all_error : NAN;
  f->valid_loss_mask = last ? last->loss_mask : NAN;
  f->valid_loss_mask_error = last ? last->loss_mask_error : NAN;
}

int plm_trainer_run(struct plm_trainer *t, int *diverged_out, struct plm_error *err) {
  const struct plm_config *config = &t->study->config;
  struct plm_run *run = &t->checkpoint.run;
  int64_t diverged = -1;
  int code = write_trunk_events(t, err);
  if (code)
    return code;
  t->started = t->last_checkpoint = t->last_progress = now();
  t->last_tokens = run->figures.tokens;
  t->recorded = run->curve.steps;
  report(t, 1);
  for (int64_t index = (int64_t)run->curve.steps; index < t->cell->steps && diverged < 0; index++) {
    if ((code = step(t, index, err)))
      return code;
    int due = plm_schedule_evaluates(config, t->cell, index + 1), branch = plm_branch_due(t->study, t->cell, index + 1);
    int stop = t->options->stop && *t->options->stop;
    if (!due && !branch && !stop && (index + 1) % config->run_record_every && index + 1 < t->cell->steps)
      continue;
    size_t first = t->recorded;
    if ((code = read_records(t, &diverged, err)) || (code = write_events(t, first, err)))
      return code;
    if (diverged < 0 && due && (code = evaluate(t, err)))
      return code;
    if (diverged < 0 && branch && (code = leave_trunk(t, err)))
      return code;
    report(t, index + 1 == t->cell->steps);
    stop = t->options->stop && *t->options->stop;
    if (diverged >= 0 || index + 1 == t->cell->steps)
      break;
    if ((stop || now() - t->last_checkpoint >= config->run_checkpoint_seconds) && (code = write_checkpoint(t, err)))
      return code;
    if (stop)
      return plm_error_set(err, PLM_E_STOPPED, "cell %s stopped at step %lld of %lld; run again to go on", t->cell->id,
                           (long long)index + 1, (long long)t->cell->steps);
  }
  conclude(t, diverged);
  *diverged_out = diverged >= 0;
  return plm_session_read(t->session, PLM_SLOT_PARAMS, t->checkpoint.params, err);
}
