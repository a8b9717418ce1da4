#include "law/isoflop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "law/least_squares.h"

#define COMPUTE_SPREAD 1.10

int plm_isoflop_scratch_create(struct plm_isoflop_scratch *out, size_t points, struct plm_error *err) {
  double *all = plm_memory_zeroed(points, (4 + PLM_LEAST_SQUARES_COLUMNS + 1) * sizeof *all);
  if (!all)
    return plm_error_memory(err, "the IsoFLOP profiles");
  *out = (struct plm_isoflop_scratch){all, all + points, all + 2 * points, all + 3 * points, all + 4 * points};
  return 0;
}

void plm_isoflop_scratch_destroy(struct plm_isoflop_scratch *scratch) { free(scratch->one); }

/* Why these points cannot be one profile, into reason; 0 when they can. */
static int group_refused(char *reason, struct plm_vertex *out, const struct plm_point *points, size_t count,
                         const struct plm_vertex_finder *finder, const struct plm_isoflop_scratch *s) {
  double low = points[0].compute, high = low;
  for (size_t i = 0; i < count; i++) {
    s->work[i] = points[i].params;
    low = fmin(low, points[i].compute);
    high = fmax(high, points[i].compute);
  }
  out->sizes = plm_points_distinct(s->work, count);
  out->points = count;
  out->budget = points[0].budget;
  if (out->sizes < finder->sizes_min)
    return snprintf(reason, PLM_REASON_TEXT, "%zu model size%s; %s needs %zu", out->sizes, out->sizes == 1 ? "" : "s",
                    finder->what, finder->sizes_min);
  if (high > COMPUTE_SPREAD * low)
    return snprintf(reason, PLM_REASON_TEXT, "its points are not of one compute: %.4g to %.4g FLOP", low, high);
  return 0;
}

int plm_isoflop_vertices(struct plm_vertex *vertices, size_t *count, struct plm_fit *out,
                         const struct plm_fit_task *task, const struct plm_vertex_finder *finder,
                         const struct plm_isoflop_scratch *scratch, struct plm_error *err) {
  *count = 0;
  for (size_t start = 0, end; start < task->count; start = end) {
    char reason[PLM_REASON_TEXT];
    struct plm_vertex *vertex = &vertices[*count];
    const struct plm_point *group = task->points + start;
    end = plm_budgets_end(task->points, task->count, start);
    int code = 0;
    if (end - start == 1) {
      code = plm_fit_leave_out(out, group, 1, "alone at its compute: belongs to no budget", err);
    } else if (group_refused(reason, vertex, group, end - start, finder, scratch) ||
               finder->find(vertex, reason, group, end - start, scratch)) {
      if (!(code = plm_fit_refuse(out, group->budget, reason, err)))
        code = plm_fit_leave_out(out, group, end - start, reason, err);
    } else {
      ++*count;
    }
    if (code)
      return code;
  }
  return 0;
}

int plm_isoflop_line(double line[2], double *centre, const struct plm_vertex *vertices, size_t count,
                     const struct plm_isoflop_scratch *s) {
  double residual;
  *centre = 0;
  for (size_t i = 0; i < count; i++)
    *centre += log(vertices[i].budget) / (double)count;
  for (size_t i = 0; i < count; i++) {
    s->one[i] = 1;
    s->x[i] = log(vertices[i].budget) - *centre;
    s->y[i] = vertices[i].ln_n;
  }
  return plm_least_squares(line, &residual, (const double *const[]){s->one, s->x}, 2, s->y, count, s->work);
}

static int same_compute(double a, double b) { return fabs(a - b) <= 1e-9 * b; }

static int is_refused(const struct plm_fit *fit, double compute) {
  for (size_t i = 0; i < fit->refused_count; i++)
    if (same_compute(fit->refused[i].budget, compute))
      return 1;
  return 0;
}

/* A budget that was measured is answered by its own minimum or not at all; any other compute by the line. */
static void optimum_fill(struct plm_optimum *out, const struct plm_fit *fit, const struct plm_cost *cost,
                         const struct plm_vertex *vertices, size_t count, const double *line, double centre) {
  for (size_t i = 0; i < count && !out->known; i++)
    if (same_compute(vertices[i].budget, out->compute)) {
      out->known = 1;
      out->params = exp(vertices[i].ln_n);
      out->loss = vertices[i].loss;
    }
  if (!out->known && line && !is_refused(fit, out->compute)) {
    out->known = 1;
    out->params = exp(line[0] + line[1] * (log(out->compute) - centre));
  }
  if (out->known)
    out->tokens = plm_cost_tokens(cost, out->compute, out->params);
}

/* All reasons, as many as the error holds. */
static int none_accepted(const struct plm_fit *out, struct plm_error *err) {
  if (out->refused_count == 0)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "no two points share a compute budget (within 1 %%)");
  char reasons[PLM_ERROR_TEXT - 100];
  size_t used = 0;
  for (size_t i = 0; i < out->refused_count && used < sizeof reasons; i++)
    used += (size_t)snprintf(reasons + used, sizeof reasons - used, "; %.6g FLOP: %s", out->refused[i].budget,
                             out->refused[i].reason);
  return plm_error_set(err, PLM_E_UNSUPPORTED, "none of %zu budgets can be used%s", out->refused_count, reasons);
}

/* Exponents from the vertices; has_exponents says whether there are any. */
static int exponents_fit(struct plm_fit *out, double line[2], double *centre, const struct plm_fit_task *task,
                         const struct plm_vertex *vertices, size_t count, const struct plm_isoflop_scratch *s,
                         struct plm_error *err) {
  if (count < 2)
    return plm_notes_add(&out->notes, err, "one budget only (%.6g FLOP): no exponents, they need two",
                         vertices[0].budget);
  if (!plm_isoflop_line(line, centre, vertices, count, s))
    return plm_notes_add(&out->notes, err, "the budgets are too close to each other for exponents");
  out->has_exponents = 1;
  out->a = line[1];
  /* log D_opt = log C - log scale - exponent log N_opt, and least squares is linear in the response. */
  out->b = 1 - task->cost.exponent * line[1];
  if (count == 2)
    return plm_notes_add(&out->notes, err, "exponents from two budgets: a line through two points, nothing checks it");
  return 0;
}

static int vertices_use(struct plm_fit *out, const struct plm_vertex *vertices, size_t count,
                        const struct plm_vertex_finder *finder, struct plm_error *err) {
  int code = 0;
  for (size_t i = 0; !code && i < count; i++) {
    out->points += vertices[i].points;
    out->objective += vertices[i].residual;
    if (vertices[i].points == finder->sizes_min && finder->sizes_min == 3)
      code =
          plm_notes_add(&out->notes, err, "budget %.6g: %s passes through its 3 points, nothing is left to judge it by",
                        vertices[i].budget, finder->what);
  }
  return code;
}

int plm_isoflop_fit(struct plm_fit *out, const struct plm_fit_task *task, const struct plm_vertex_finder *finder,
                    struct plm_error *err) {
  struct plm_isoflop_scratch s = {0};
  double line[2], centre = 0;
  size_t count = 0;
  struct plm_vertex *vertices = plm_memory_zeroed(task->count, sizeof *vertices);
  int code = vertices ? plm_isoflop_scratch_create(&s, task->count, err) : plm_error_memory(err, "the minima");
  if (!code)
    code = plm_isoflop_vertices(vertices, &count, out, task, finder, &s, err);
  if (!code && count == 0)
    code = none_accepted(out, err);
  if (!code)
    code = vertices_use(out, vertices, count, finder, err);
  if (!code)
    code = exponents_fit(out, line, &centre, task, vertices, count, &s, err);
  for (size_t i = 0; !code && i < out->optimum_count; i++)
    optimum_fill(&out->optimum[i], out, &task->cost, vertices, count, out->has_exponents ? line : NULL, centre);
  plm_isoflop_scratch_destroy(&s);
  free(vertices);
  return code;
}
