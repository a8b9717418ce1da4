#include "train/schedule.h"

#include <math.h>

double plm_schedule_factor(const struct plm_config *config, int64_t step, int64_t steps) {
  const double pi = 3.14159265358979323846;
  int64_t warm = llround(config->train_warmup * (double)steps);
  if (step < warm)
    return (double)(step + 1) / (double)warm;
  double passed = (double)(step - warm) / (double)(steps > warm ? steps - warm : 1);
  double final = config->train_lr_final;
  switch (config->train_schedule) {
  case PLM_SCHEDULE_LINEAR:
    return 1 - (1 - final) * passed;
  case PLM_SCHEDULE_COSINE:
    return final + (1 - final) * 0.5 * (1 + cos(pi * passed));
  case PLM_SCHEDULE_WSD: {
    int64_t cool = llround(config->train_cooldown * (double)steps);
    int64_t start = steps - cool;
    return step < start || !cool ? 1 : 1 - sqrt((double)(step - start) / (double)cool);
  }
  default:
    return 1;
  }
}
