#include "law/misfit.h"

#include <math.h>

#include "law/surface.h"

#define SURFACE_PARAMETERS 5

double plm_misfit(const struct plm_fit *fit, const struct plm_fit_task *task, const struct plm_noise *noise) {
  double squares = 0;
  if (!fit->has_surface || noise->freedom == 0 || noise->has_misfit || task->count <= SURFACE_PARAMETERS + noise->freedom)
    return NAN;
  double freedom = (double)(task->count - SURFACE_PARAMETERS - noise->freedom);
  for (size_t i = 0; i < task->count; i++) {
    const struct plm_point *p = &task->points[i];
    double miss = log(p->loss / plm_surface_loss(&fit->surface, p->params, p->tokens));
    squares += p->weight * miss * miss;
  }
  double variance = noise->sigma * noise->sigma;
  return sqrt(fmax(squares - (double)noise->freedom * variance, 0) / freedom / variance);
}
