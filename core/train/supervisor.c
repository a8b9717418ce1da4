#include "train/supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "study/trunk.h"
#include "train/branch.h"
#include "train/cell.h"
#include "train/cell_folder.h"
#include "train/failure.h"
#include "train/lock.h"
#include "train/states.h"
#include "train/supervision.h"

#define POLL_MS 200
#define POLL_ENDING_MS 5 /* a child that has closed its pipe is about to end */
#define BUSY_AGAIN 0.5   /* seconds between looks at a cell that another process trains */

/* ------------------------------------------------------------ before the start */

static int look_at_cell(struct plm_supervision *s, size_t index, struct plm_error *err) {
  const struct plm_cell *cell = &s->study->cells[index];
  struct plm_job *job = &s->jobs[index];
  struct plm_cell_standing standing;
  if (cell->refused) {
    job->state = PLM_JOB_REFUSED;
    return 0;
  }
  job->state = PLM_JOB_WAITING;
  char *folder = plm_cell_folder(s->study, cell);
  int code = folder ? plm_file_make_folders(folder, err) : plm_error_memory(err, "naming a cell");
  if (!code && !(code = plm_cell_stand(&standing, s->study, cell, err))) {
    if (standing.state == PLM_CELL_DONE || standing.state == PLM_CELL_DIVERGED) {
      job->state = PLM_JOB_FINISHED;
      job->diverged = standing.state == PLM_CELL_DIVERGED;
    } else if (standing.state == PLM_CELL_DAMAGED) {
      code = plm_cell_set_aside(folder, standing.reason, err);
    } else if (cell->steps > 0) {
      job->share = plm_supervision_share(s, index, standing.step);
    }
  }
  free(folder);
  return code;
}

/* ------------------------------------------------------------ starting */

/* What killed processes left behind. Whoever calls holds the cell's lock. */
static int sweep(const char *folder, struct plm_error *err) {
  DIR *entries = opendir(folder);
  if (!entries)
    return plm_error_set_system(err, errno, "cannot list \"%s\"", folder);
  for (struct dirent *entry; (entry = readdir(entries));)
    if (strstr(entry->d_name, ".tmp.") && unlinkat(dirfd(entries), entry->d_name, 0))
      plm_log(PLM_LOG_WARN, "cannot remove \"%s/%s\": %s", folder, entry->d_name, strerror(errno));
  closedir(entries);
  return 0;
}

/* PLM_E_BUSY: another process is on it. */
static int clear_folder(const char *folder, const char *id, struct plm_error *err) {
  int lock = -1;
  int code = plm_lock_take(&lock, folder, "cell", id, err);
  if (!code && !(code = sweep(folder, err)))
    code = plm_failure_remove(folder, err);
  plm_lock_release(lock);
  return code;
}

static void note_busy(struct plm_supervision *s, size_t index, const char *why) {
  struct plm_job *job = &s->jobs[index];
  double now = plm_child_clock();
  job->state = PLM_JOB_WAITING;
  if (job->busy_since == 0)
    job->busy_since = now;
  if (now - job->busy_since < s->options->patience)
    return;
  job->state = PLM_JOB_BUSY;
  plm_log(PLM_LOG_WARN, "%s; it is left to it", why);
}

static int start_cell(struct plm_supervision *s, struct plm_worker *worker, size_t index, struct plm_error *err) {
  const struct plm_cell *cell = &s->study->cells[index];
  char *folder = plm_cell_folder(s->study, cell);
  if (!folder)
    return plm_error_memory(err, "naming a cell");
  struct plm_error said = PLM_ERROR_INIT;
  int code = clear_folder(folder, cell->id, &said);
  if (code == PLM_E_BUSY) {
    note_busy(s, index, said.text);
    free(folder);
    return 0;
  }
  const struct plm_child_options child = {.program = s->options->program,
                                          .study = s->study->path,
                                          .cell_id = cell->id,
                                          .folder = folder,
                                          .device = worker->device,
                                          .threads = s->options->threads,
                                          .settings = s->options->settings,
                                          .setting_count = s->options->setting_count,
                                          .layers = s->options->layers,
                                          .layer_count = s->options->layer_count,
                                          .shadow = s->options->shadow};
  if (!code)
    code = plm_child_start(&worker->child, &child, &said);
  free(folder);
  if (code) {
    if (err)
      *err = said;
    return code;
  }
  worker->cell = index;
  s->jobs[index].state = PLM_JOB_RUNNING;
  s->jobs[index].before = s->jobs[index].share;
  return 0;
}

/* 0 while a run of its sweep is to come, or the cell whose trunk it shares is on the way to where they part. */
static int ready(const struct plm_supervision *s, size_t index) {
  const struct plm_cell *cell = &s->study->cells[index];
  if (!plm_supervision_swept(s, index))
    return 0;
  if (!plm_trunk_shared(s->study, cell))
    return 1;
  enum plm_job_state state = s->jobs[cell->parent].state;
  int coming = state == PLM_JOB_WAITING || state == PLM_JOB_RUNNING;
  return !coming || plm_branch_left(s->study, &s->study->cells[cell->parent]);
}

/* The next cell in the plan's order; one that another process holds is looked at again now and then. */
static size_t next_cell(struct plm_supervision *s) {
  double now = plm_child_clock();
  for (size_t i = 0; i < s->study->cell_count; i++) {
    struct plm_job *job = &s->jobs[i];
    if (job->state != PLM_JOB_WAITING || now < job->again || !ready(s, i))
      continue;
    job->again = now + BUSY_AGAIN;
    return i;
  }
  return s->study->cell_count;
}

static int feed_workers(struct plm_supervision *s, struct plm_error *err) {
  struct plm_workers *workers = s->options->workers;
  plm_supervision_hold(s);
  for (size_t i = 0; i < workers->count; i++) {
    struct plm_worker *worker = &workers->items[i];
    while (!worker->lost && !worker->child.pid) {
      size_t index = next_cell(s);
      if (index == s->study->cell_count)
        return 0;
      int code = start_cell(s, worker, index, err);
      if (code)
        return code;
    }
  }
  return 0;
}

/* ------------------------------------------------------------ ending */

static int keep_failure(struct plm_supervision *s, const struct plm_worker *worker, const struct plm_child_end *end,
                        const char *folder, int64_t step, struct plm_error *err) {
  struct plm_failure failure = {.code = end->code, .step = step};
  snprintf(failure.kind, sizeof failure.kind, "%s", plm_child_outcome_name(end->outcome));
  snprintf(failure.device, sizeof failure.device, "%s", worker->device);
  snprintf(failure.text, sizeof failure.text, "%s", end->text);
  s->jobs[worker->cell].state = PLM_JOB_FAILED;
  plm_supervision_show_failed(s, worker->cell, worker->device, end);
  return plm_failure_write(folder, s->study->cells[worker->cell].id, &failure, err);
}

/* "done" is what verifies, whatever the child says. */
static void verify_done(struct plm_supervision *s, size_t index, const char *folder, struct plm_child_end *end) {
  struct plm_error said = PLM_ERROR_INIT;
  int code = plm_supervision_show_finished(s, index, folder, &said);
  if (!code) {
    s->jobs[index].state = PLM_JOB_FINISHED;
    s->result->trained++;
    plm_supervision_tell_sweep(s, index);
    return;
  }
  *end = (struct plm_child_end){.outcome = PLM_CHILD_FAILED, .code = code};
  snprintf(end->text, sizeof end->text, "said it was done, but %.900s", said.text);
}

static int workers_left(const struct plm_supervision *s) {
  int usable = 0;
  for (size_t i = 0; i < s->options->workers->count; i++)
    usable |= !s->options->workers->items[i].lost;
  return usable;
}

static void retire(struct plm_supervision *s, const struct plm_worker *worker, const struct plm_child_end *end) {
  if (plm_worker_blames_device(end)) {
    plm_log(PLM_LOG_WARN, "device %s failed %d times in a row: marked lost, no more cells are given to it",
            worker->device, worker->strikes);
    return;
  }
  if (workers_left(s)) /* else this is what the whole call ends with */
    plm_log(PLM_LOG_WARN, "device %s cannot be used: %s", worker->device, end->text);
  s->unusable = end->code;
  snprintf(s->unusable_text, sizeof s->unusable_text, "%s", end->text);
}

static int end_cell(struct plm_supervision *s, struct plm_worker *worker, struct plm_child_end *end, int64_t step,
                    struct plm_error *err) {
  struct plm_job *job = &s->jobs[worker->cell];
  int code = 0;
  char *folder = plm_cell_folder(s->study, &s->study->cells[worker->cell]);
  if (!folder)
    return plm_error_memory(err, "naming a cell");
  if (end->outcome == PLM_CHILD_DONE)
    verify_done(s, worker->cell, folder, end);
  s->flops_done += job->flops * fmax(0, (job->state == PLM_JOB_FINISHED ? 1 : job->share) - job->before);
  int out_of_use = plm_worker_note(worker, end);
  if (out_of_use)
    retire(s, worker, end);
  if (end->outcome != PLM_CHILD_BUSY)
    job->busy_since = 0;
  if (end->outcome == PLM_CHILD_BUSY)
    note_busy(s, worker->cell, end->text);
  else if (end->outcome == PLM_CHILD_KILLED || (end->outcome == PLM_CHILD_STOPPED && s->stopping) ||
           (out_of_use && !plm_worker_blames_device(end)))
    job->state = PLM_JOB_WAITING;
  else if (job->state != PLM_JOB_FINISHED)
    code = keep_failure(s, worker, end, folder, step, err);
  free(folder);
  return code;
}

static int reap_children(struct plm_supervision *s, struct plm_error *err) {
  struct plm_workers *workers = s->options->workers;
  int first = 0;
  for (size_t i = 0; i < workers->count; i++) {
    struct plm_worker *worker = &workers->items[i];
    struct plm_child_end end;
    if (!worker->child.pid)
      continue;
    plm_child_listen(&worker->child);
    int64_t step = worker->child.reports ? worker->child.progress.step : -1;
    if (plm_child_reap(&end, &worker->child)) {
      int code = end_cell(s, worker, &end, step, first ? NULL : err);
      first = first ? first : code;
    } else if (plm_child_clock() - worker->child.heard > s->study->config.run_hang_seconds && !worker->child.hung) {
      worker->child.hung = 1;
      plm_child_kill(&worker->child);
    }
  }
  return first;
}

/* ------------------------------------------------------------ the loop */

static size_t count_running(const struct plm_supervision *s) {
  size_t running = 0;
  for (size_t i = 0; i < s->options->workers->count; i++)
    running += s->options->workers->items[i].child.pid > 0;
  return running;
}

/* Waits for reports, ends and signals, not for long. */
static void wait_for_news(struct plm_supervision *s, struct pollfd *fds) {
  const struct plm_workers *workers = s->options->workers;
  size_t running = 0;
  int timeout = POLL_MS;
  for (size_t i = 0; i < workers->count; i++) {
    const struct plm_child *child = &workers->items[i].child;
    if (!child->pid)
      continue;
    fds[running++] = (struct pollfd){.fd = child->fd, .events = POLLIN};
    if (child->fd < 0)
      timeout = POLL_ENDING_MS;
  }
  poll(fds, running, timeout); /* however it ends, everything is looked at next */
}

static void stop_children(struct plm_supervision *s) {
  s->stopping = 1;
  for (size_t i = 0; i < s->options->workers->count; i++)
    plm_child_stop(&s->options->workers->items[i].child);
}

static void obey(struct plm_supervision *s) {
  struct plm_workers *workers = s->options->workers;
  int requests = s->options->stop ? *s->options->stop : 0;
  if (requests >= 1 && !s->stopping) {
    plm_log(PLM_LOG_INFO, "stopping: the running cells write their checkpoints (a second signal stops at once)");
    stop_children(s);
  }
  if (requests >= 2 && !s->killing) {
    s->killing = 1;
    for (size_t i = 0; i < workers->count; i++)
      plm_child_kill(&workers->items[i].child);
  }
}

/* 1 when a cell waits and a worker is left for it. */
static int work_left(const struct plm_supervision *s) {
  int waiting = 0;
  for (size_t i = 0; i < s->study->cell_count; i++)
    waiting |= s->jobs[i].state == PLM_JOB_WAITING;
  return waiting && workers_left(s) && !s->stopping;
}

static int work(struct plm_supervision *s, struct pollfd *fds, struct plm_error *err) {
  int code = 0;
  while (!code) {
    obey(s);
    if (!s->stopping && (code = feed_workers(s, err)))
      break;
    if (count_running(s) == 0 && !work_left(s))
      return 0;
    wait_for_news(s, fds);
    code = reap_children(s, err);
    plm_supervision_show(s);
  }
  /* What went wrong here is no reason to lose what the others have done. */
  stop_children(s);
  for (struct plm_error ignored = PLM_ERROR_INIT; count_running(s) > 0;) {
    obey(s);
    wait_for_news(s, fds);
    reap_children(s, &ignored);
  }
  return code;
}

static void announce(const struct plm_supervision *s) {
  size_t finished = 0, waiting = 0, refused = 0;
  for (size_t i = 0; i < s->study->cell_count; i++) {
    finished += s->jobs[i].state == PLM_JOB_FINISHED;
    waiting += s->jobs[i].state == PLM_JOB_WAITING;
    refused += s->jobs[i].state == PLM_JOB_REFUSED;
  }
  char also[64] = "";
  if (refused)
    snprintf(also, sizeof also, ", %zu refused by the plan", refused);
  plm_log(PLM_LOG_INFO, "study %s, cells: %zu done, %zu to train%s; %zu at a time, %u threads each, smallest first",
          s->study->config.study_name, finished, waiting, also, s->options->workers->count, s->options->threads);
}

static void count(struct plm_supervision *s) {
  struct plm_supervisor_result *r = s->result;
  for (size_t i = 0; i < s->study->cell_count; i++) {
    const struct plm_job *job = &s->jobs[i];
    r->refused += job->state == PLM_JOB_REFUSED;
    r->waiting += job->state == PLM_JOB_WAITING || job->state == PLM_JOB_RUNNING;
    r->failed += job->state == PLM_JOB_FAILED;
    r->busy += job->state == PLM_JOB_BUSY;
    r->held += job->state == PLM_JOB_HELD;
    r->done += job->state == PLM_JOB_FINISHED && !job->diverged;
    r->diverged += job->state == PLM_JOB_FINISHED && job->diverged;
  }
}

static int conclude(const struct plm_supervision *s, struct plm_error *err) {
  const struct plm_supervisor_result *r = s->result;
  if (s->killing)
    return plm_error_set(err, PLM_E_IO, "stopped at once on a second signal; work since the last checkpoints is lost");
  if (s->stopping && r->waiting)
    return plm_error_set(err, PLM_E_STOPPED, "stopped; cells: %zu done, %zu to go; run again to go on",
                         r->done + r->diverged, r->waiting);
  if (r->waiting && s->unusable && r->failed == 0)
    return plm_error_set(err, s->unusable, "%s", s->unusable_text);
  if (r->waiting)
    return plm_error_set(err, PLM_E_CELLS,
                         "no usable device is left; cells: %zu failed, %zu wait; run again to try them", r->failed,
                         r->waiting);
  if (r->held)
    return plm_error_set(err, PLM_E_CELLS,
                         "cells: %zu failed, %zu left to another process, %zu without a rate, for their sweep is not done",
                         r->failed, r->busy, r->held);
  if (r->failed || r->busy)
    return plm_error_set(err, PLM_E_CELLS, "cells: %zu failed, %zu left to another process; run again to try them",
                         r->failed, r->busy);
  return 0;
}

int plm_supervise(struct plm_supervisor_result *out, const struct plm_study *study, const struct plm_prepared *prepared,
                  const struct plm_supervisor_options *options, struct plm_error *err) {
  struct plm_supervision s = {.study = study, .options = options, .result = out};
  int code = 0;
  memset(out, 0, sizeof *out);
  s.jobs = plm_memory_zeroed(study->cell_count, sizeof *s.jobs);
  struct pollfd *fds = plm_memory_zeroed(options->workers->count, sizeof *fds);
  if (!s.jobs || !fds) {
    code = plm_error_memory(err, "supervising a study");
    goto out;
  }
  for (size_t i = 0; i < study->cell_count && !code; i++) {
    const struct plm_cell *cell = &study->cells[i];
    double own = cell->steps > 0 ? 1 - (double)plm_trunk_shared(study, cell) / (double)cell->steps : 0;
    s.jobs[i].flops = own * plm_prepare_flops(study, cell, prepared->mean_length);
    code = look_at_cell(&s, i, err);
  }
  s.started = plm_child_clock();
  if (!code) {
    announce(&s);
    code = work(&s, fds, err);
  }
  plm_log_progress(NULL, 1);
  count(&s);
  if (!code)
    code = conclude(&s, err);
out:
  free(fds);
  free(s.jobs);
  return code;
}
