#include "law/audit.h"

#include <math.h>

#include "law/surface.h"

void plm_audit_model(struct plm_audit *out, const struct plm_law_file *law, double params, double tokens) {
  const struct plm_surface *s = &law->surface;
  double q = law->cost.exponent;
  struct plm_optimum best = {.compute = exp(log(law->cost.scale) + q * log(params) + log(tokens))};
  plm_surface_optimum(&best, s, &law->cost);
  *out = (struct plm_audit){
      .compute = best.compute,
      .loss = plm_surface_loss(s, params, tokens),
      .params = best.params,
      .tokens = best.tokens,
      .loss_best = best.loss,
      .beyond = fmax(best.compute / law->compute_max, fmax(params / law->params_max, tokens / law->tokens_max))};
  double power = (s->alpha + q * s->beta) / (s->alpha * s->beta);
  double ratio = (out->loss - s->E) / (out->loss_best - s->E);
  out->compute_same = ratio > 1 ? best.compute * exp(-power * log(ratio)) : best.compute;
  out->deadweight = 1 - out->compute_same / out->compute;
}

const char *plm_audit_verdict(const struct plm_audit *audit, double params) {
  double ratio = params / audit->params;
  return ratio < 1 / PLM_AUDIT_NEAR ? "over-trained" : ratio > PLM_AUDIT_NEAR ? "under-trained" : "near the frontier";
}
