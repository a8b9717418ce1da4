#include "train/schedule.h"

#include <math.h>

double plm_schedule_factor(const struct plm_config *config, const struct plm_cell *cell, int64_t step) {
  const double pi = 3.14159265358979323846;
  int64_t warm = cell->warmup_steps, steps = cell->steps, cool = steps - cell->trunk_steps;
  if (step < warm)
    return (double)(step + 1) / (double)warm;
  double passed = (double)(step - warm) / (double)(steps > warm ? steps - warm : 1);
  double final = config->train_lr_final;
  switch (config->train_schedule) {
  case PLM_SCHEDULE_LINEAR:
    return 1 - (1 - final) * passed;
  case PLM_SCHEDULE_COSINE:
    return final + (1 - final) * 0.5 * (1 + cos(pi * passed));
  case PLM_SCHEDULE_WSD:
    return step < cell->trunk_steps ? 1 : 1 - sqrt((double)(step - cell->trunk_steps) / (double)cool);
  default:
    return 1;
  }
}

/* Evaluations of a trunk up to done steps. */
static int64_t trunk_evaluations(const struct plm_config *config, const struct plm_cell *cell, int64_t done) {
  double warm = cell->warmup_steps > 1 ? (double)cell->warmup_steps : 1;
  return (double)done > warm ? (int64_t)floor((double)config->evaluate_count * log10((double)done / warm)) : 0;
}

static int64_t even_evaluations(const struct plm_config *config, const struct plm_cell *cell, int64_t done) {
  int64_t count = config->evaluate_count, steps = cell->steps;
  return done * count / steps;
}

int plm_schedule_evaluates(const struct plm_config *config, const struct plm_cell *cell, int64_t done) {
  return plm_schedule_evaluations(config, cell, done - 1) - plm_schedule_evaluations(config, cell, done) > 0;
}

int64_t plm_schedule_evaluations(const struct plm_config *config, const struct plm_cell *cell, int64_t from) {
  int64_t last = cell->steps - 1;
  if (from >= cell->steps)
    return 0;
  if (config->train_schedule == PLM_SCHEDULE_WSD)
    return trunk_evaluations(config, cell, last) - trunk_evaluations(config, cell, from < last ? from : last) + 1;
  return even_evaluations(config, cell, cell->steps) - even_evaluations(config, cell, from);
}
