/* Element-wise ops, in blocks of 4096 elements: a few microseconds of work and a page of L1. */
#include "cpu_math.h"
#include "kern_table.h"

#define BLOCK 4096

static uint64_t blocks_of(uint64_t count) { return (count + BLOCK - 1) / BLOCK; }
static uint64_t block_end(uint64_t block, uint64_t count) { return plm_cpu_min((block + 1) * BLOCK, count); }

void PLM_CPU_NAME(plm_kern_fill)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_fill *o = &op->u.fill;
  float *x = plm_cpu_f32(&o->x);
#pragma omp for schedule(static) nowait
  for (uint64_t b = 0; b < blocks_of(o->count); b++)
    for (uint64_t i = b * BLOCK; i < block_end(b, o->count); i++)
      x[i] = o->value;
  plm_cpu_meet(run);
}

void PLM_CPU_NAME(plm_kern_bias)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_bias *o = &op->u.bias;
  const float *bias = plm_cpu_f32(&o->bias);
  float *y = plm_cpu_f32(&o->y);
#pragma omp for schedule(static) nowait
  for (uint64_t r = 0; r < o->rows.count; r++) {
    float *row = y + r * o->width;
    for (uint32_t i = 0; i < o->width; i++)
      row[i] += bias[i];
  }
  plm_cpu_meet(run);
}

void PLM_CPU_NAME(plm_kern_gelu)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_gelu *o = &op->u.gelu;
  const float *x = plm_cpu_f32(&o->x);
  float *y = plm_cpu_f32(&o->y);
  uint64_t count = (uint64_t)o->rows.count * o->width;
#pragma omp for schedule(static) nowait
  for (uint64_t b = 0; b < blocks_of(count); b++) {
    uint64_t i = b * BLOCK, end = block_end(b, count);
    for (; i + PLM_VW <= end; i += PLM_VW)
      vf_store(y + i, vf_gelu(vf_load(x + i)));
    if (i < end)
      vf_store_head(y + i, vf_gelu(vf_load_head(x + i, end - i, 0.0f)), end - i);
  }
  plm_cpu_meet(run);
}

void PLM_CPU_NAME(plm_kern_gelu_grad)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_gelu_grad *o = &op->u.gelu_grad;
  const float *x = plm_cpu_f32(&o->x), *dy = plm_cpu_f32(&o->dy);
  float *dx = plm_cpu_f32(&o->dx);
  uint64_t count = (uint64_t)o->rows.count * o->width;
#pragma omp for schedule(static) nowait
  for (uint64_t b = 0; b < blocks_of(count); b++) {
    uint64_t i = b * BLOCK, end = block_end(b, count);
    for (; i + PLM_VW <= end; i += PLM_VW)
      vf_store(dx + i, vf_load(dy + i) * vf_gelu_slope(vf_load(x + i)));
    if (i < end) {
      vf slope = vf_gelu_slope(vf_load_head(x + i, end - i, 0.0f));
      vf_store_head(dx + i, vf_load_head(dy + i, end - i, 0.0f) * slope, end - i);
    }
  }
  plm_cpu_meet(run);
}

void PLM_CPU_NAME(plm_kern_add)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_add *o = &op->u.add;
  const float *a = plm_cpu_f32(&o->a), *c = plm_cpu_f32(&o->b);
  float *y = plm_cpu_f32(&o->y);
  uint64_t count = (uint64_t)o->rows.count * o->width;
#pragma omp for schedule(static) nowait
  for (uint64_t b = 0; b < blocks_of(count); b++)
    for (uint64_t i = b * BLOCK; i < block_end(b, count); i++)
      y[i] = a[i] + c[i];
  plm_cpu_meet(run);
}

void PLM_CPU_NAME(plm_kern_record)(const struct plm_op *op, const struct plm_cpu_run *run) {
  const struct plm_op_record *o = &op->u.record;
#pragma omp single nowait
  {
    int32_t index = plm_cpu_i32(&o->index)[0];
    if (index < 0)
      plm_cpu_fail(run, "index", 0, index, INT32_MAX);
    else
      memcpy(plm_cpu_f32(&o->log) + (uint64_t)((uint32_t)index % o->capacity) * o->count, plm_cpu_f32(&o->x),
             o->count * sizeof(float));
  }
  plm_cpu_meet(run);
}
