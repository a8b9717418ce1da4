#include "law/points.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

static int positive_check(const struct plm_point *point, const char *what, double value, struct plm_error *err) {
  if (isfinite(value) && value > 0)
    return 0;
  return plm_error_set(err, PLM_E_INVALID, "point \"%s\": %s is %g, must be finite and above 0", point->label, what,
                       value);
}

int plm_points_add(struct plm_points *points, const struct plm_point *point, struct plm_error *err) {
  int code;
  if ((code = positive_check(point, "N (params)", point->params, err)) ||
      (code = positive_check(point, "D (tokens)", point->tokens, err)) ||
      (code = positive_check(point, "C (compute)", point->compute, err)) ||
      (code = positive_check(point, "loss", point->loss, err)) ||
      (code = positive_check(point, "weight", point->weight, err)))
    return code;
  if (!isfinite(point->budget) || point->budget < 0)
    return plm_error_set(err, PLM_E_INVALID, "point \"%s\": budget is %g, must be finite and not negative",
                         point->label, point->budget);
  void *items = points->items;
  if (plm_memory_grow(&items, &points->capacity, points->count + 1, sizeof *points->items))
    return plm_error_memory(err, "the points of a fit");
  points->items = items;
  points->items[points->count++] = *point;
  return 0;
}

int plm_points_leave_out(struct plm_points *points, const char *label, const char *rule, struct plm_error *err) {
  void *rows = points->left_out;
  if (plm_memory_grow(&rows, &points->left_out_capacity, points->left_out_count + 1, sizeof *points->left_out))
    return plm_error_memory(err, "the points left out of a fit");
  points->left_out = rows;
  struct plm_point_left_out *row = &points->left_out[points->left_out_count++];
  snprintf(row->label, sizeof row->label, "%s", label);
  snprintf(row->rule, sizeof row->rule, "%s", rule);
  return 0;
}

void plm_points_fini(struct plm_points *points) {
  free(points->items);
  free(points->left_out);
  *points = (struct plm_points){0};
}

static int value_order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

size_t plm_points_distinct(double *values, size_t count) {
  qsort(values, count, sizeof *values, value_order);
  size_t distinct = count > 0;
  double last = count > 0 ? values[0] : 0;
  for (size_t i = 1; i < count; i++)
    if (values[i] - last > 1e-9 * fabs(last)) {
      distinct++;
      last = values[i];
    }
  return distinct;
}
