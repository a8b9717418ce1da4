/* What learning-rate sweeps mean to who works on what. */
#include <stdlib.h>

#include "base/log.h"
#include "train/supervision.h"
#include "train/sweep.h"

/* How the runs that a point awaits stand. */
struct tally {
  size_t runs, finished, diverged, lost; /* lost: refused, failed, or another process's */
  size_t first_lost;                     /* index */
};

static struct tally tally_of(const struct plm_supervision *s, size_t point) {
  const struct plm_cell *cells = s->study->cells;
  struct tally t = {0};
  for (size_t i = 0; i < s->study->cell_count; i++) {
    const struct plm_job *job = &s->jobs[i];
    if (!plm_sweep_belongs(&cells[point], &cells[i]))
      continue;
    t.runs++;
    t.finished += job->state == PLM_JOB_FINISHED;
    t.diverged += job->state == PLM_JOB_FINISHED && job->diverged;
    if (job->state == PLM_JOB_FAILED || job->state == PLM_JOB_BUSY || job->state == PLM_JOB_REFUSED)
      t.first_lost = t.lost++ ? t.first_lost : i;
  }
  return t;
}

int plm_supervision_swept(const struct plm_supervision *s, size_t cell) {
  if (!plm_sweep_awaits(&s->study->cells[cell]))
    return 1;
  struct tally t = tally_of(s, cell);
  return t.finished == t.runs;
}

void plm_supervision_hold(struct plm_supervision *s) {
  const struct plm_cell *cells = s->study->cells;
  for (size_t i = 0; i < s->study->cell_count; i++) {
    if (s->jobs[i].state != PLM_JOB_WAITING || !plm_sweep_awaits(&cells[i]))
      continue;
    struct tally t = tally_of(s, i);
    if (!t.lost && t.diverged < t.runs)
      continue;
    char shape[PLM_SHAPE_TEXT];
    size_t held = 0;
    for (size_t k = i; k < s->study->cell_count; k++)
      if (s->jobs[k].state == PLM_JOB_WAITING && plm_sweep_awaits(&cells[k]) &&
          (t.lost ? plm_sweep_belongs(&cells[k], &cells[t.first_lost]) : tally_of(s, k).diverged == t.runs)) {
        s->jobs[k].state = PLM_JOB_HELD;
        held++;
      }
    plm_shape_text(shape, cells[i].shape);
    if (t.lost)
      plm_log(PLM_LOG_ERROR, "%s: %zu cells have no learning rate, for run %s of their sweep is not done", shape, held,
              cells[t.first_lost].id);
    else
      plm_log(PLM_LOG_ERROR,
              "%s: %zu cells have no learning rate, for all %zu runs of their sweep diverged: set lower [train] sweep_factors",
              shape, held, t.runs);
  }
}

void plm_supervision_tell_sweep(const struct plm_supervision *s, size_t cell) {
  const struct plm_study *study = s->study;
  struct plm_sweep sweep;
  char shape[PLM_SHAPE_TEXT], text[PLM_SWEEP_TEXT];
  size_t point = 0;
  while (point < study->cell_count && !plm_sweep_belongs(&study->cells[point], &study->cells[cell]))
    point++;
  if (point == study->cell_count || !plm_supervision_swept(s, point) ||
      plm_sweep_read(&sweep, study, &study->cells[point], NULL))
    return;
  plm_sweep_text(text, &sweep);
  plm_shape_text(shape, study->cells[cell].shape);
  if (sweep.winner)
    plm_log(sweep.edge ? PLM_LOG_WARN : PLM_LOG_INFO, "%s: %s", shape, text);
  plm_sweep_fini(&sweep);
}
