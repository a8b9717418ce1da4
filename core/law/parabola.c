#include "law/parabola.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "law/least_squares.h"

#define COMPUTE_SPREAD 1.10
/* A rise of the parabola from its vertex to its edge below this share of the loss is rounding, not curvature. */
#define RISE_MIN 1e-9

struct vertex {
  double budget, ln_n, loss, residual;
  size_t points, sizes;
};

/* Scratch for one group or for the line through the vertices. */
struct scratch {
  double *one, *x, *square, *y, *work;
};

static int scratch_create(struct scratch *out, size_t rows, struct plm_error *err) {
  double *all = plm_memory_zeroed(rows, (4 + PLM_LEAST_SQUARES_COLUMNS + 1) * sizeof *all);
  if (!all)
    return plm_error_memory(err, "the parabolas");
  *out = (struct scratch){all, all + rows, all + 2 * rows, all + 3 * rows, all + 4 * rows};
  return 0;
}

/* Why these points cannot be one parabola, into reason; 0 when they can. */
static int group_refused(char *reason, struct vertex *out, const struct plm_point *points, size_t count,
                         const struct scratch *s) {
  double low = points[0].compute, high = low;
  for (size_t i = 0; i < count; i++) {
    s->work[i] = points[i].params;
    low = fmin(low, points[i].compute);
    high = fmax(high, points[i].compute);
  }
  out->sizes = plm_points_distinct(s->work, count);
  out->points = count;
  out->budget = points[0].budget;
  if (out->sizes < PLM_PARABOLA_SIZES_MIN)
    return snprintf(reason, PLM_REASON_TEXT, "%zu model sizes; a parabola needs %d", out->sizes,
                    PLM_PARABOLA_SIZES_MIN);
  if (high > COMPUTE_SPREAD * low)
    return snprintf(reason, PLM_REASON_TEXT, "its points are not of one compute: %.4g to %.4g FLOP", low, high);
  return 0;
}

/* The vertex of one budget. Returns 0 and fills *out, or not 0 and fills reason. */
static int vertex_find(struct vertex *out, char *reason, const struct plm_point *points, size_t count,
                       const struct scratch *s) {
  if (group_refused(reason, out, points, count, s))
    return 1;
  /* Sizes ascend within a budget. x runs from -1 to 1, which keeps the three columns apart. */
  double low = log(points[0].params), high = log(points[count - 1].params);
  double middle = 0.5 * (low + high), half = 0.5 * (high - low), mean = 0;
  for (size_t i = 0; i < count; i++) {
    double root = sqrt(points[i].weight), x = (log(points[i].params) - middle) / half;
    s->one[i] = root;
    s->x[i] = root * x;
    s->square[i] = root * x * x;
    s->y[i] = root * points[i].loss;
    mean += points[i].loss / (double)count;
  }
  double c[3];
  if (!plm_least_squares(c, &out->residual, (const double *const[]){s->one, s->x, s->square}, 3, s->y, count, s->work))
    return snprintf(reason, PLM_REASON_TEXT, "its sizes are too close to each other for a parabola");
  if (!(c[2] > RISE_MIN * mean))
    return snprintf(reason, PLM_REASON_TEXT, "no minimum: the loss does not curve upwards over its sizes, %.4g to %.4g",
                    exp(low), exp(high));
  double vertex = -0.5 * c[1] / c[2];
  if (!(fabs(vertex) < 1))
    return snprintf(reason, PLM_REASON_TEXT, "no interior minimum: the vertex is %s the %s size measured, %.4g",
                    vertex < 0 ? "below" : "above", vertex < 0 ? "smallest" : "largest", exp(vertex < 0 ? low : high));
  out->ln_n = middle + half * vertex;
  out->loss = c[0] + vertex * (c[1] + vertex * c[2]);
  return 0;
}

/* Fits every budget: *count vertices, refused budgets into out. */
static int vertices_find(struct vertex *vertices, size_t *count, struct plm_fit *out, const struct plm_fit_task *task,
                         const struct scratch *s, struct plm_error *err) {
  size_t singles = 0;
  *count = 0;
  for (size_t start = 0, end; start < task->count; start = end) {
    char reason[PLM_REASON_TEXT];
    struct vertex *vertex = &vertices[*count];
    end = plm_budgets_end(task->points, task->count, start);
    int code = 0;
    if (!vertex_find(vertex, reason, task->points + start, end - start, s)) {
      ++*count;
      out->points += vertex->points;
      out->objective += vertex->residual;
      if (vertex->points == PLM_PARABOLA_SIZES_MIN)
        code = plm_notes_add(&out->notes, err,
                             "budget %.6g: the parabola passes through its 3 points, nothing is left to judge it by",
                             vertex->budget);
    } else if (end - start == 1) {
      singles++;
    } else {
      code = plm_fit_refuse(out, task->points[start].budget, reason, err);
    }
    if (code)
      return code;
  }
  if (singles == 0)
    return 0;
  return plm_notes_add(&out->notes, err, "%zu points stand alone at their compute and belong to no budget", singles);
}

/* ln N_opt = line[0] + line[1] (ln C - *centre). */
static int line_fit(double line[2], double *centre, const struct vertex *vertices, size_t count,
                    const struct scratch *s) {
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

/* A budget that was measured is answered by its own parabola or not at all; any other compute by the line. */
static void optimum_fill(struct plm_optimum *out, const struct plm_fit *fit, const struct plm_cost *cost,
                         const struct vertex *vertices, size_t count, const double *line, double centre) {
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

/* Exponents from the vertices; *has_line says whether there are any. */
static int exponents_fit(struct plm_fit *out, double line[2], double *centre, const struct plm_fit_task *task,
                         const struct vertex *vertices, size_t count, const struct scratch *s, struct plm_error *err) {
  if (count < 2)
    return plm_notes_add(&out->notes, err, "one budget only (%.6g FLOP): no exponents, they need two",
                         vertices[0].budget);
  if (!line_fit(line, centre, vertices, count, s))
    return plm_notes_add(&out->notes, err, "the budgets are too close to each other for exponents");
  out->has_exponents = 1;
  out->a = line[1];
  /* log D_opt = log C - log scale - exponent log N_opt, and least squares is linear in the response. */
  out->b = 1 - task->cost.exponent * line[1];
  if (count == 2)
    return plm_notes_add(&out->notes, err, "exponents from two budgets: a line through two points, nothing checks it");
  return 0;
}

int plm_parabola_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  struct scratch s = {0};
  double line[2], centre = 0;
  size_t count = 0;
  struct vertex *vertices = plm_memory_zeroed(task->count, sizeof *vertices);
  int code = vertices ? scratch_create(&s, task->count, err) : plm_error_memory(err, "the parabolas");
  if (!code)
    code = vertices_find(vertices, &count, out, task, &s, err);
  if (!code && count == 0)
    code = none_accepted(out, err);
  if (!code)
    code = exponents_fit(out, line, &centre, task, vertices, count, &s, err);
  for (size_t i = 0; !code && i < out->optimum_count; i++)
    optimum_fill(&out->optimum[i], out, &task->cost, vertices, count, out->has_exponents ? line : NULL, centre);
  free(s.one);
  free(vertices);
  return code;
}
