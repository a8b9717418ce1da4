/* The kernels of one instruction set, by the names that PLM_CPU_NAME gives them. */
#ifndef PLM_KERN_TABLE_H
#define PLM_KERN_TABLE_H

#include "cpu_kernels.h"

#define PLM_CPU_OPS(X)                                                                                              \
  X(FILL, fill)                                                                                                     \
  X(EMBED, embed) X(EMBED_GRAD, embed_grad) X(LAYER_NORM, layer_norm) X(LAYER_NORM_GRAD, layer_norm_grad)           \
      X(LINEAR, linear) X(LINEAR_GRAD_INPUT, linear_grad_input) X(LINEAR_GRAD_WEIGHT, linear_grad_weight)           \
          X(BIAS, bias) X(BIAS_GRAD, bias_grad) X(GELU, gelu) X(GELU_GRAD, gelu_grad) X(ADD, add) X(ROTARY, rotary) \
              X(ATTENTION, attention) X(ATTENTION_GRAD, attention_grad) X(GATHER_ROWS, gather_rows)                 \
                  X(SCATTER_ROWS, scatter_rows) X(SOFTMAX_LOSS, softmax_loss) X(REDUCE_SUM, reduce_sum)             \
                      X(GRAD_NORM, grad_norm) X(ADAMW, adamw) X(RECORD, record)

#define PLM_CPU_DECLARE(kind, name) \
  void PLM_CPU_NAME(plm_kern_##name)(const struct plm_op *op, const struct plm_cpu_run *run);
PLM_CPU_OPS(PLM_CPU_DECLARE)
#undef PLM_CPU_DECLARE

/* Bytes of workspace, for the ops that want some. */
uint64_t PLM_CPU_NAME(plm_kern_gemm_workspace)(const struct plm_op *op, uint32_t threads,
                                               const struct plm_cpu_gemm *gemm);
uint64_t PLM_CPU_NAME(plm_kern_attention_workspace)(const struct plm_op *op, uint32_t threads);
uint64_t PLM_CPU_NAME(plm_kern_attention_grad_workspace)(const struct plm_op *op, uint32_t threads);
uint64_t PLM_CPU_NAME(plm_kern_norm_workspace)(const struct plm_op *op);
uint64_t PLM_CPU_NAME(plm_kern_sums_workspace)(const struct plm_op *op);
void PLM_CPU_NAME(plm_kern_math)(int function, const float *x, float *y, uint64_t count);

#endif
