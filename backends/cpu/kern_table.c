#include "kern_table.h"

#include "cpu_math.h"

void PLM_CPU_NAME(plm_kern_math)(int function, const float *x, float *y, uint64_t count) {
  for (uint64_t i = 0; i < count; i += PLM_VW) {
    size_t n = plm_cpu_min(count - i, PLM_VW);
    vf v = vf_load_head(x + i, n, 0.0f);
    switch (function) {
    case 0:
      v = vf_exp(v);
      break;
    case 1:
      v = vf_exp2(v);
      break;
    case 2:
      v = vf_gelu(v);
      break;
    default:
      v = vf_gelu_slope(v);
    }
    vf_store_head(y + i, v, n);
  }
}

static uint64_t workspace(const struct plm_op *op, uint32_t threads, const struct plm_cpu_gemm *gemm) {
  switch (op->kind) {
  case PLM_OP_LINEAR:
  case PLM_OP_LINEAR_GRAD_INPUT:
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    return PLM_CPU_NAME(plm_kern_gemm_workspace)(op, threads, gemm);
  case PLM_OP_ATTENTION:
    return PLM_CPU_NAME(plm_kern_attention_workspace)(op, threads);
  case PLM_OP_ATTENTION_GRAD:
    return PLM_CPU_NAME(plm_kern_attention_grad_workspace)(op, threads);
  case PLM_OP_LAYER_NORM_GRAD:
    return PLM_CPU_NAME(plm_kern_norm_workspace)(op);
  case PLM_OP_BIAS_GRAD:
  case PLM_OP_GRAD_NORM:
    return PLM_CPU_NAME(plm_kern_sums_workspace)(op);
  default:
    return 0;
  }
}

#define PLM_CPU_TEXT2(x) #x
#define PLM_CPU_TEXT(x) PLM_CPU_TEXT2(x)
#define PLM_CPU_ROW(kind, name) [PLM_OP_##kind] = PLM_CPU_NAME(plm_kern_##name),

static const struct plm_cpu_kernels table = {
    .isa = PLM_CPU_TEXT(PLM_CPU_ISA),
    .run = {PLM_CPU_OPS(PLM_CPU_ROW)},
    .workspace = workspace,
    .math = PLM_CPU_NAME(plm_kern_math),
};

const struct plm_cpu_kernels *PLM_CPU_NAME(plm_cpu_kernels)(void) { return &table; }
