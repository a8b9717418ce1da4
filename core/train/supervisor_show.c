#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "study/trunk.h"
#include "train/runfile.h"
#include "train/supervision.h"

#define BAR_WIDTH 20
#define RUNNING_SHOWN 4
#define ESTIMATE_AFTER 2.0 /* seconds of work before a time left is worth showing */
#define TEXT_MAX 1024

/* Text that grows in place and is cut when it is full. */
struct text {
  char bytes[TEXT_MAX];
  size_t used;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(text->bytes + text->used, TEXT_MAX - text->used, format, args);
  va_end(args);
  if (length > 0)
    text->used = text->used + (size_t)length < TEXT_MAX ? text->used + (size_t)length : TEXT_MAX - 1;
}

double plm_supervision_share(const struct plm_supervision *s, size_t cell, int64_t step) {
  int64_t shared = plm_trunk_shared(s->study, &s->study->cells[cell]), own = s->study->cells[cell].steps - shared;
  return own > 0 && step > shared ? (double)(step - shared) / (double)own : 0;
}

/* The share of a running cell, and what this child did of it. */
static double follow(struct plm_supervision *s, const struct plm_worker *worker) {
  struct plm_job *job = &s->jobs[worker->cell];
  const struct plm_child *child = &worker->child;
  if (child->reports == 0 || child->progress.steps <= 0)
    return 0;
  job->share = plm_supervision_share(s, worker->cell, child->progress.step);
  return job->flops * fmax(0, job->share - job->before);
}

struct tally {
  double all, done, worked, left; /* FLOPs; worked: since this supervision started */
  size_t cells, finished;
};

static struct tally take_tally(struct plm_supervision *s) {
  struct tally t = {.worked = s->flops_done};
  const struct plm_workers *workers = s->options->workers;
  for (size_t i = 0; i < workers->count; i++)
    if (workers->items[i].child.pid)
      t.worked += follow(s, &workers->items[i]);
  for (size_t i = 0; i < s->study->cell_count; i++) {
    const struct plm_job *job = &s->jobs[i];
    if (job->state == PLM_JOB_REFUSED)
      continue;
    t.cells++;
    t.all += job->flops;
    t.finished += job->state == PLM_JOB_FINISHED;
    t.done += job->flops * (job->state == PLM_JOB_FINISHED ? 1 : job->share);
    if (job->state == PLM_JOB_WAITING || job->state == PLM_JOB_RUNNING)
      t.left += job->flops * (1 - job->share);
  }
  return t;
}

static void add_running(struct text *text, const struct plm_supervision *s) {
  const struct plm_workers *workers = s->options->workers;
  size_t shown = 0;
  for (size_t i = 0; i < workers->count; i++) {
    const struct plm_child *child = &workers->items[i].child;
    char shape[PLM_SHAPE_TEXT], rate[32];
    if (!child->pid || shown++ >= RUNNING_SHOWN)
      continue;
    plm_shape_text(shape, s->study->cells[workers->items[i].cell].shape);
    add(text, "; %s", shape);
    if (child->reports == 0) {
      add(text, " starting");
      continue;
    }
    add(text, " %.0f %%", 100.0 * s->jobs[workers->items[i].cell].share);
    plm_number_short(rate, sizeof rate, child->progress.tokens_per_second);
    if (child->progress.tokens_per_second > 0)
      add(text, " %s tokens/s", rate);
    if (isfinite(child->progress.loss_mask))
      add(text, " loss %.3f", child->progress.loss_mask);
  }
  if (shown > RUNNING_SHOWN)
    add(text, "; %zu more", shown - RUNNING_SHOWN);
}

void plm_supervision_show(struct plm_supervision *s) {
  struct text text = {.used = 0};
  struct tally t = take_tally(s);
  double spent = plm_child_clock() - s->started;
  text.bytes[0] = 0;
  if (s->options->bar) {
    char bar[BAR_WIDTH + 3];
    plm_log_bar(bar, BAR_WIDTH, t.all > 0 ? t.done / t.all : 0);
    add(&text, "%s ", bar);
  }
  add(&text, "%zu/%zu cells", t.finished, t.cells);
  if (s->stopping) {
    add(&text, ", stopping: waiting for checkpoints");
  } else if (spent >= ESTIMATE_AFTER && t.worked > 0) {
    char left[48];
    plm_number_duration(left, sizeof left, t.left * spent / t.worked);
    add(&text, ", %s left", left);
  }
  add_running(&text, s);
  struct winsize size;
  /* A line that wraps cannot be taken back by the next one. */
  if (s->options->bar && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && text.used >= size.ws_col)
    text.bytes[size.ws_col - 1] = 0;
  plm_log_progress(text.bytes, 0);
}

int plm_supervision_show_finished(struct plm_supervision *s, size_t cell, const char *folder, struct plm_error *err) {
  struct plm_run run;
  char shape[PLM_SHAPE_TEXT], tokens[32], seconds[48], rate[48] = "";
  char *path = plm_file_join(folder, "run.h5");
  if (!path)
    return plm_error_memory(err, "reading a finished run");
  int code = plm_run_read(&run, NULL, path, s->study->cells[cell].id, err);
  free(path);
  if (code)
    return code;
  const struct plm_run_figures *f = &run.figures;
  struct tally t = take_tally(s);
  plm_shape_text(shape, s->study->cells[cell].shape);
  plm_number_short(tokens, sizeof tokens, f->tokens);
  plm_number_duration(seconds, sizeof seconds, f->seconds);
  if (s->study->cells[cell].sweep)
    snprintf(rate, sizeof rate, ", sweep at a rate of %.3g", f->lr);
  s->jobs[cell].diverged = !strcmp(run.status, "diverged");
  if (s->jobs[cell].diverged)
    plm_log(PLM_LOG_WARN, "%zu/%zu  %.8s %s: diverged at step %.0f of %.0f; it is kept, and left out of fits",
            t.finished + 1, t.cells, run.cell_id, shape, f->diverged_step, f->steps_planned);
  else
    plm_log(PLM_LOG_INFO, "%zu/%zu  %.8s %s, %s tokens%s: valid loss %.4f <mask>, %.4f all; %s", t.finished + 1, t.cells,
            run.cell_id, shape, tokens, rate, f->valid_loss_mask, f->valid_loss_all, seconds);
  plm_run_fini(&run);
  return 0;
}

void plm_supervision_show_failed(const struct plm_supervision *s, size_t cell, const char *device,
                                 const struct plm_child_end *end) {
  char shape[PLM_SHAPE_TEXT];
  plm_shape_text(shape, s->study->cells[cell].shape);
  plm_log(PLM_LOG_ERROR, "cell %s (%s) on %s: %s; see cells/%s/log.txt", s->study->cells[cell].id, shape, device,
          end->text, s->study->cells[cell].id);
}
