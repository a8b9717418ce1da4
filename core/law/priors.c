#include "law/priors.h"

#include <math.h>

static const struct {
  double params, rate;
} LADDER[] = {{25e6, 6e-4},    {49e6, 6e-4},  {85e6, 5.5e-4}, {130e6, 5.5e-4}, {200e6, 5e-4},
              {230e6, 5e-4}, {470e6, 4e-4}, {880e6, 3.5e-4}, {1e9, 3e-4},     {11e9, 3e-4}};
#define RUNGS (sizeof LADDER / sizeof *LADDER)

static double ladder_rate(double params) {
  size_t above = 1;
  while (above + 1 < RUNGS && LADDER[above].params < params)
    above++;
  double share = log(params / LADDER[above - 1].params) / log(LADDER[above].params / LADDER[above - 1].params);
  return LADDER[above - 1].rate * pow(LADDER[above].rate / LADDER[above - 1].rate, share);
}

size_t plm_priors(struct plm_prior out[PLM_PRIORS_MAX], double params, double tokens) {
  double compute = 6 * params * tokens;
  size_t count = 0;
  if (!(params >= PLM_PRIORS_PARAMS_MIN))
    return 0;
  out[count++] = (struct plm_prior){"Step Law, text models", 0.581 * pow(tokens, 0.571),
                                    1.797 * pow(params, -0.713) * pow(tokens, 0.307)};
  out[count++] = (struct plm_prior){"DeepSeek LLM, text models", 0.2920 * pow(compute, 0.3271),
                                    0.3118 * pow(compute, -0.1250)};
  if (params >= LADDER[0].params && params <= LADDER[RUNGS - 1].params)
    out[count++] = (struct plm_prior){"Cheng et al., protein models", params < 1e9 ? 512 * 1024 : 1024 * 1024,
                                      ladder_rate(params)};
  return count;
}
