#include "law/points.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

static int value_check(const struct plm_point *point, const char *what, double value, double max, int zero,
                       struct plm_error *err) {
  if (!isfinite(value) || value < 0 || (value == 0 && !zero))
    return plm_error_set(err, PLM_E_INVALID, "point \"%s\": %s is %g, must be finite and %s", point->label, what, value,
                         zero ? "not negative" : "above 0");
  if (value > max)
    return plm_error_set(err, PLM_E_INVALID, "point \"%s\": %s is %g, which no study has (over %g)", point->label, what,
                         value, max);
  if (value > 0 && value < PLM_POINT_MIN)
    return plm_error_set(err, PLM_E_INVALID, "point \"%s\": %s is %g, which no study has (under %g)", point->label, what,
                         value, PLM_POINT_MIN);
  return 0;
}

int plm_point_check(const struct plm_point *point, struct plm_error *err) {
  int code;
  if ((code = value_check(point, "N (params)", point->params, PLM_POINT_COUNT_MAX, 0, err)) ||
      (code = value_check(point, "D (tokens)", point->tokens, PLM_POINT_COUNT_MAX, 0, err)) ||
      (code = value_check(point, "C (compute)", point->compute, PLM_POINT_COMPUTE_MAX, 0, err)) ||
      (code = value_check(point, "loss", point->loss, PLM_POINT_LOSS_MAX, 0, err)) ||
      (code = value_check(point, "weight", point->weight, PLM_POINT_COUNT_MAX, 0, err)) ||
      (code = value_check(point, "unique tokens", point->unique, PLM_POINT_COUNT_MAX, 1, err)))
    return code;
  return value_check(point, "budget", point->budget, PLM_POINT_COMPUTE_MAX, 1, err);
}

int plm_points_add(struct plm_points *points, const struct plm_point *point, struct plm_error *err) {
  int code = plm_point_check(point, err);
  if (code)
    return code;
  void *items = points->items;
  if (plm_memory_grow(&items, &points->capacity, points->count + 1, sizeof *points->items))
    return plm_error_memory(err, "the points of a fit");
  points->items = items;
  points->items[points->count++] = *point;
  return 0;
}

int plm_points_add_curve(struct plm_points *points, struct plm_point_curve **out, size_t count, struct plm_error *err) {
  void *curves = points->curves;
  if (plm_memory_grow(&curves, &points->curve_capacity, points->curve_count + 1, sizeof *points->curves))
    return plm_error_memory(err, "the learning curves");
  points->curves = curves;
  struct plm_point_curve *curve = plm_memory_zeroed(1, sizeof *curve);
  double *values = plm_memory_zeroed(count, 2 * sizeof *values);
  if (!curve || !values) {
    free(curve);
    free(values);
    return plm_error_memory(err, "the learning curves");
  }
  *curve = (struct plm_point_curve){count, values, values + count};
  *out = points->curves[points->curve_count++] = curve;
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
  for (size_t i = 0; i < points->curve_count; i++) {
    free(points->curves[i]->tokens);
    free(points->curves[i]);
  }
  free(points->curves);
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
