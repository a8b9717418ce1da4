#include "law/envelope.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "law/least_squares.h"

#define LATE 0.85 /* of a run: the share of Hoffmann et al.'s points */

/* The best run at one compute. */
struct winner {
  double ln_c, ln_n, ln_loss;
  double done; /* share of its run that was behind it */
  int interior;
};

struct envelope {
  const struct plm_fit_task *task;
  double low, high; /* ln C over all curves */
  double *values;   /* scratch: [points], and [PLM_ENVELOPE_STEPS] columns for the line */
};

/* Log loss of a run at a share of its tokens; NAN outside its curve. */
static double ln_loss_at(const struct plm_point *p, double share) {
  const struct plm_point_curve *c = p->curve;
  double tokens = share * p->tokens;
  if (share < PLM_ENVELOPE_SKIP || tokens < c->tokens[0] || tokens > c->tokens[c->count - 1] * (1 + 1e-9))
    return (double)NAN;
  size_t low = 0, high = c->count - 1;
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    *(c->tokens[middle] <= tokens ? &low : &high) = middle;
  }
  double t = log(tokens / c->tokens[low]) / log(c->tokens[high] / c->tokens[low]);
  return (1 - t) * log(c->loss[low]) + t * log(c->loss[high]) + p->curve_shift;
}

/* 0 when no curve reaches that compute. */
static int winner_find(struct winner *out, const struct plm_fit_task *task, double ln_c) {
  double smallest = INFINITY, largest = 0, params = 0;
  struct winner best = {.ln_c = ln_c, .ln_loss = INFINITY};
  for (size_t i = 0; i < task->count; i++) {
    const struct plm_point *p = &task->points[i];
    double share = exp(ln_c) / p->compute, loss = p->curve ? ln_loss_at(p, share) : (double)NAN;
    if (isnan(loss))
      continue;
    smallest = fmin(smallest, p->params);
    largest = fmax(largest, p->params);
    if (loss < best.ln_loss) {
      params = p->params;
      best.ln_loss = loss;
      best.done = share;
    }
  }
  if (!(params > 0))
    return 0;
  best.ln_n = log(params);
  best.interior = params > smallest * (1 + 1e-9) && params < largest * (1 - 1e-9);
  *out = best;
  return 1;
}

/* The curves there are; leaves the other points out. */
static int curves_check(struct envelope *e, struct plm_fit *out, struct plm_error *err) {
  const struct plm_fit_task *task = e->task;
  size_t curves = 0;
  e->low = INFINITY;
  e->high = -INFINITY;
  for (size_t i = 0; i < task->count; i++) {
    const struct plm_point *p = &task->points[i];
    if (!p->curve || p->curve->count < 2) {
      int code = plm_fit_leave_out(out, p, 1, "no learning curve", err);
      if (code)
        return code;
      continue;
    }
    e->values[curves++] = p->params;
    e->low = fmin(e->low, log(p->compute * fmax(PLM_ENVELOPE_SKIP, p->curve->tokens[0] / p->tokens)));
    e->high = fmax(e->high, log(p->compute));
  }
  out->points = curves;
  if (curves == 0)
    return plm_error_set(err, PLM_E_UNSUPPORTED, "needs whole learning curves: %s",
                         task->curves_absent ? task->curves_absent : "no run has one");
  size_t sizes = plm_points_distinct(e->values, curves);
  if (sizes < PLM_ENVELOPE_SIZES_MIN)
    return plm_error_set(err, PLM_E_UNSUPPORTED,
                         "%zu model size%s with a learning curve; an envelope needs at least %d", sizes,
                         sizes == 1 ? "" : "s", PLM_ENVELOPE_SIZES_MIN);
  return 0;
}

struct line {
  double slope, level, centre; /* ln N = level + slope (ln C - centre) */
};

/* The line through the interior winners, whose columns are one, x, y of count values. */
static int line_fit(struct line *line, struct plm_fit *out, double *one, double *x, double *y, size_t count,
                    struct plm_error *err) {
  double c[2];
  double *sizes = one + 3 * PLM_ENVELOPE_STEPS;
  for (size_t i = 0; i < count; i++)
    sizes[i] = y[i];
  if (count == 0 || plm_points_distinct(sizes, count) < 2)
    return plm_error_set(
        err, PLM_E_UNSUPPORTED,
        "fewer than 2 sizes are best anywhere with both smaller and larger ones beside them: widen the "
        "range of sizes or of tokens");
  line->centre = 0;
  for (size_t i = 0; i < count; i++)
    line->centre += x[i] / (double)count;
  for (size_t i = 0; i < count; i++) {
    one[i] = 1;
    x[i] -= line->centre;
  }
  if (!plm_least_squares(c, &out->objective, (const double *const[]){one, x}, 2, y, count, sizes))
    return plm_error_set(err, PLM_E_UNSUPPORTED,
                         "the compute at which sizes are best spans too little for an exponent");
  line->level = c[0];
  line->slope = c[1];
  return 0;
}

static int envelope_walk(struct line *line, struct plm_fit *out, struct envelope *e, struct plm_error *err) {
  double *one = e->values + e->task->count, *x = one + PLM_ENVELOPE_STEPS, *y = x + PLM_ENVELOPE_STEPS;
  size_t count = 0, edge = 0, late = 0;
  for (size_t k = 0; k < PLM_ENVELOPE_STEPS; k++) {
    struct winner w;
    if (!winner_find(&w, e->task, e->low + (e->high - e->low) * (double)k / (PLM_ENVELOPE_STEPS - 1)))
      continue;
    if (!w.interior) {
      edge++;
      continue;
    }
    late += w.done >= LATE;
    x[count] = w.ln_c;
    y[count++] = w.ln_n;
  }
  int code = line_fit(line, out, one, x, y, count, err);
  if (!code && edge)
    code = plm_notes_add(&out->notes, err,
                         "%zu of %zu values of C are not used: the best run there has the smallest or largest size at "
                         "hand",
                         edge, edge + count);
  if (!code && late < count)
    code = plm_notes_add(&out->notes, err,
                         "%.0f %% of the envelope is of runs not yet in their last 15 %%: with a schedule made for its "
                         "end, a run is worse there than one made to end there",
                         100.0 * (double)(count - late) / (double)count);
  return code;
}

int plm_envelope_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  struct envelope e = {.task = task};
  struct line line = {0};
  e.values = plm_memory_zeroed(task->count + 8 * PLM_ENVELOPE_STEPS, sizeof *e.values);
  int code = e.values ? curves_check(&e, out, err) : plm_error_memory(err, "the envelope");
  if (!code)
    code = envelope_walk(&line, out, &e, err);
  free(e.values);
  if (!code)
    code = plm_notes_add(&out->notes, err,
                         "of simulated studies with sizes off centre 87 %% of its intervals held the true a, not 95 %%");
  if (code)
    return code;
  out->has_exponents = 1;
  out->a = line.slope;
  out->b = 1 - task->cost.exponent * line.slope;
  for (size_t i = 0; i < out->optimum_count; i++) {
    struct plm_optimum *o = &out->optimum[i];
    struct winner w;
    o->known = 1;
    o->params = exp(line.level + line.slope * (log(o->compute) - line.centre));
    o->tokens = plm_cost_tokens(&task->cost, o->compute, o->params);
    if (winner_find(&w, task, log(o->compute)) && w.interior)
      o->loss = exp(w.ln_loss);
  }
  return 0;
}
