#include "model/scaling.h"

#include <math.h>

struct plm_scaling plm_scaling_of(const struct plm_config *config) {
  if (config->model_parametrization == PLM_PARAMETRIZATION_STANDARD)
    return (struct plm_scaling){0, 0};
  return (struct plm_scaling){(uint32_t)config->model_base_width, (uint32_t)config->model_head_size};
}

double plm_scaling_ratio(struct plm_scaling scaling, uint32_t width) {
  return scaling.base_width ? (double)width / scaling.base_width : 1;
}

double plm_scaling_rate(struct plm_scaling scaling, enum plm_tensor_role role, uint32_t width) {
  return role == PLM_ROLE_HIDDEN || role == PLM_ROLE_READOUT ? 1 / plm_scaling_ratio(scaling, width) : 1;
}

double plm_scaling_gain(struct plm_scaling scaling, enum plm_tensor_role role, uint32_t width) {
  return role == PLM_ROLE_READOUT ? 1 / plm_scaling_ratio(scaling, width) : 1;
}

double plm_scaling_std(struct plm_scaling scaling, enum plm_tensor_role role, uint32_t width, uint32_t cols,
                       double init_std) {
  if (role == PLM_ROLE_EMBEDDING)
    return init_std > 0 ? init_std : 1 / sqrt(scaling.base_width ? scaling.base_width : cols);
  /* 1/sqrt(fan-in) falls with the width as it should. */
  return init_std > 0 ? init_std / sqrt(plm_scaling_ratio(scaling, width)) : 1 / sqrt(cols);
}

float plm_scaling_attention(struct plm_scaling scaling, uint32_t head_size) {
  uint32_t base = scaling.base_width ? scaling.base_head_size : head_size;
  return (float)(1 / sqrt(base) * ((double)base / head_size));
}
