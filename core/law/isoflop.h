/*
 * IsoFLOP profiles, approach 2 of Hoffmann et al. 2022: at every budget a minimum of the loss over log N, found by a
 * finder (a parabola, an interpolation); then least squares of log N_opt on log C gives a, and b follows from the cost
 * of a token.
 *
 * A budget is refused, by name, when it has too few sizes for the finder, when its points are not of one compute (10
 * %), when there is no minimum, or when it lies at or outside the ends of the sizes that were measured. One accepted
 * budget gives an optimum there; exponents need two.
 */
#ifndef PLM_LAW_ISOFLOP_H
#define PLM_LAW_ISOFLOP_H

#include "law/estimator.h"

/* The minimum of one budget. */
struct plm_vertex {
  double budget, ln_n, loss;
  double residual; /* weighted sum of squared residuals of the loss */
  size_t points, sizes;
};

/* Room for the points of a task; work has 4 values a point. */
struct plm_isoflop_scratch {
  double *one, *x, *square, *y, *work;
};

struct plm_vertex_finder {
  const char *what; /* "a parabola" */
  size_t sizes_min;
  /*
   * Points of one budget, sizes ascending, at least sizes_min of them; fills ln_n, loss and residual. 0, or not 0 with
   * the reason, PLM_REASON_TEXT bytes.
   */
  int (*find)(struct plm_vertex *out, char *reason, const struct plm_point *points, size_t count,
              const struct plm_isoflop_scratch *s);
};

int plm_isoflop_scratch_create(struct plm_isoflop_scratch *out, size_t points, struct plm_error *err);
void plm_isoflop_scratch_destroy(struct plm_isoflop_scratch *scratch);

/* Every budget: *count vertices into vertices (room for task->count); refused budgets and their points into out. */
int plm_isoflop_vertices(struct plm_vertex *vertices, size_t *count, struct plm_fit *out,
                         const struct plm_fit_task *task, const struct plm_vertex_finder *finder,
                         const struct plm_isoflop_scratch *scratch, struct plm_error *err);

/* ln N_opt = line[0] + line[1] (ln C - *centre) through at least 2 vertices; 0 when they are too close to each other.
 */
int plm_isoflop_line(double line[2], double *centre, const struct plm_vertex *vertices, size_t count,
                     const struct plm_isoflop_scratch *scratch);

/* The whole estimator with that finder. */
int plm_isoflop_fit(struct plm_fit *out, const struct plm_fit_task *task, const struct plm_vertex_finder *finder,
                    struct plm_error *err);

#endif
