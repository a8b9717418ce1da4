#include "law/plateau.h"

#include <math.h>
#include <stdio.h>

#include "law/surface.h"

#define NEEDED_MIN 0.01 /* nats: an interval that reaches below this reaches 0 */
#define SEEN 2.0        /* deviations of a run */
#define COMPUTE_END 1e60

static double reducible_at(const struct plm_fit *fit, const struct plm_cost *cost, double compute) {
  struct plm_optimum o = {.compute = compute};
  plm_surface_optimum(&o, &fit->surface, cost);
  return o.loss - fit->surface.E;
}

void plm_plateau_judge(struct plm_plateau *out, const struct plm_fit *fit, const char *reason,
                       const struct plm_cost *cost, const struct plm_noise *noise, double compute_max) {
  *out = (struct plm_plateau){.compute_max = compute_max, .seen_from = (double)NAN};
  if (!fit) {
    snprintf(out->reason, sizeof out->reason, "%.*s", (int)sizeof out->reason - 1, reason);
    return;
  }
  out->known = 1;
  out->E = fit->surface.E;
  out->E_interval = fit->params[0].interval;
  out->reducible = reducible_at(fit, cost, compute_max);
  out->sigma = noise->sigma * (out->E + out->reducible);
  out->needed = out->E_interval.known && out->E_interval.low > NEEDED_MIN;
  if (!(out->sigma > 0))
    return;
  /* The reducible loss of the optimum is a power of C. */
  double step = reducible_at(fit, cost, 10 * compute_max) / out->reducible;
  double decades = log(SEEN * out->sigma / out->reducible) / log(step);
  out->seen_from = step < 1 ? fmin(compute_max * pow(10, decades), COMPUTE_END) : (double)NAN;
}
