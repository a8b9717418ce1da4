#include "train/curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static const struct {
  const char *name, *units;
} columns[PLM_CURVE_COLUMNS] = {
    [PLM_CURVE_TOKENS] = {"tokens", "tokens"},      [PLM_CURVE_SELECTED] = {"selected", "rows"},
    [PLM_CURVE_MASKED] = {"masked", "rows"},        [PLM_CURVE_RATE] = {"learning_rate", ""},
    [PLM_CURVE_LOSS_ALL] = {"loss_all", "nats"},    [PLM_CURVE_LOSS_MASK] = {"loss_mask", "nats"},
    [PLM_CURVE_GRAD_NORM] = {"grad_norm", ""},      [PLM_CURVE_CLIP] = {"clip_factor", ""},
};

const char *plm_curve_name(int column) {
  return columns[column].name;
}

const char *plm_curve_units(int column) {
  return columns[column].units;
}

const char *plm_evaluation_name(int column) {
  static const char *const names[PLM_EVALUATION_COLUMNS] = {"step",           "tokens",    "loss_all",
                                                            "loss_all_error", "loss_mask", "loss_mask_error"};
  return names[column];
}

int plm_curve_reserve(struct plm_curve *curve, size_t steps, struct plm_error *err) {
  for (int c = 0; c <= PLM_CURVE_COLUMNS; c++) {
    double **column = c < PLM_CURVE_COLUMNS ? &curve->columns[c] : &curve->seconds;
    size_t capacity = curve->capacity;
    void *array = *column;
    if (plm_memory_grow(&array, &capacity, steps, sizeof **column))
      return plm_error_memory(err, "keeping the learning curve");
    *column = array;
    if (c == PLM_CURVE_COLUMNS)
      curve->capacity = capacity;
  }
  return 0;
}

int plm_curve_add_evaluation(struct plm_curve *curve, const struct plm_evaluation *evaluation, struct plm_error *err) {
  void *array = curve->evaluations;
  if (plm_memory_grow(&array, &curve->evaluation_capacity, curve->evaluation_count + 1, sizeof *evaluation))
    return plm_error_memory(err, "keeping evaluations");
  curve->evaluations = array;
  curve->evaluations[curve->evaluation_count++] = *evaluation;
  return 0;
}

void plm_curve_fini(struct plm_curve *curve) {
  for (int c = 0; c < PLM_CURVE_COLUMNS; c++)
    free(curve->columns[c]);
  free(curve->seconds);
  free(curve->evaluations);
  memset(curve, 0, sizeof *curve);
}

double plm_curve_smoothed(const struct plm_curve *curve, size_t end, double fraction, int mask) {
  const double *loss = curve->columns[mask ? PLM_CURVE_LOSS_MASK : PLM_CURVE_LOSS_ALL];
  const double *rows = curve->columns[mask ? PLM_CURVE_MASKED : PLM_CURVE_SELECTED];
  size_t window = (size_t)ceil(fraction * (double)end);
  double sum = 0, weight = 0;
  if (window < 1)
    window = 1;
  for (size_t i = end > window ? end - window : 0; i < end; i++)
    if (rows[i] > 0) {
      sum += loss[i] * rows[i];
      weight += rows[i];
    }
  return weight > 0 ? sum / weight : NAN;
}
