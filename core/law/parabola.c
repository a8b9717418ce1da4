#include "law/parabola.h"

#include <math.h>
#include <stdio.h>

#include "law/least_squares.h"

/* A rise of the parabola from its vertex to its edge below this share of the loss is rounding, not curvature. */
#define RISE_MIN 1e-9

static int vertex_find(struct plm_vertex *out, char *reason, const struct plm_point *points, size_t count,
                       const struct plm_isoflop_scratch *s) {
  /* x runs from -1 to 1, which keeps the three columns apart. */
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

const struct plm_vertex_finder plm_parabola_finder = {"a parabola", 3, vertex_find};

int plm_parabola_fit(struct plm_fit *out, const struct plm_fit_task *task, struct plm_error *err) {
  return plm_isoflop_fit(out, task, &plm_parabola_finder, err);
}
