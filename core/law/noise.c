#include "law/noise.h"

#include <math.h>

#include "law/surface.h"
#include "law/vp.h"

#define SAME_TOKENS 0.01

static int is_replicate(const struct plm_point *p, const struct plm_point *first) {
  return p->budget == first->budget && fabs(p->params - first->params) <= 1e-9 * first->params &&
         fabs(p->tokens - first->tokens) <= SAME_TOKENS * first->tokens;
}

static struct plm_noise of_replicates(const struct plm_fit_task *task) {
  struct plm_noise noise = {0, 0, "seed replicates"};
  double squares = 0;
  for (size_t start = 0, end; start < task->count; start = end) {
    const struct plm_point *p = task->points;
    double weight = 0, mean = 0;
    for (end = start; end < task->count && is_replicate(&p[end], &p[start]); end++) {
      weight += p[end].weight;
      mean += p[end].weight * log(p[end].loss);
    }
    mean /= weight;
    for (size_t i = start; i < end; i++)
      squares += p[i].weight * (log(p[i].loss) - mean) * (log(p[i].loss) - mean);
    noise.freedom += end - start - 1;
  }
  noise.sigma = noise.freedom ? sqrt(squares / (double)noise.freedom) : 0;
  return noise;
}

static int of_residuals(struct plm_noise *out, const struct plm_fit_task *task, struct plm_error *err) {
  struct plm_fit fit;
  struct plm_error refused = PLM_ERROR_INIT;
  double squares = 0;
  int code = plm_fit_init(&fit, "vp", task, err);
  if (code)
    return code;
  *out = (struct plm_noise){0, 0, "nothing"};
  code = plm_estimator_fit(plm_estimator_find("vp"), &fit, task, &refused);
  if (!code && task->count >= 5 + PLM_NOISE_FREEDOM_MIN) {
    for (size_t i = 0; i < task->count; i++) {
      const struct plm_point *p = &task->points[i];
      double r = p->loss / plm_surface_loss(&fit.surface, p->params, p->tokens) - 1;
      squares += p->weight * r * r;
    }
    *out = (struct plm_noise){sqrt(squares / (double)(task->count - 5)), task->count - 5, "residuals of vp"};
  }
  plm_fit_fini(&fit);
  if (code && code != PLM_E_UNSUPPORTED) {
    if (err)
      *err = refused;
    return code;
  }
  return 0;
}

int plm_noise_estimate(struct plm_noise *out, const struct plm_fit_task *task, struct plm_error *err) {
  *out = of_replicates(task);
  return out->freedom >= PLM_NOISE_FREEDOM_MIN ? 0 : of_residuals(out, task, err);
}
