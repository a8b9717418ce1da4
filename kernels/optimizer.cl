/* The norm of all gradients, and AdamW. */

#define EXPONENT 0x7f800000u /* as large or larger: infinite or not a number, whatever the compiler thinks of those */

/*
 * grad_norm. Squares of floats leave the range of float, so every block scales by a power of two that brings its
 * largest element into [1/2, 2]; powers of two are exact. Blocks give their scaled sum of squares and the bits of their
 * largest element; one work-group combines them. 4 bytes an element: a block is 16 KiB in L1 on a CPU, 32 registers of
 * each work-item on a GPU, so that it is read from memory once.
 */
#define BLOCK 4096

/* The exponent (biased by 127) of the power of two for a block whose largest element has these bits. */
#define SHIFT(bits) clamp(253 - (int)((bits) >> 23), 1, 252)

#ifdef PLM_CPU
__kernel GROUP_OF_CHUNKS void norm_blocks(VIEW(const float, grads), VIEW(float, sums), VIEW(uint, tops),
                                          const ulong count) {
  const ulong block = get_global_id(0), first = block * BLOCK;
  const uint n = (uint)min(count - first, (ulong)BLOCK);
  __global const float *g = AT(grads) + first;
  UV most = 0;
  FV sum[4];
  for (uint i = 0; i < n; i += VW)
    most = max(most, AS_UV(fabs(load_head(g + i, n - i))));
  const uint top = as_uint(max_lanes(AS_FV(min(most, (UV)(EXPONENT)))));
  const float scale = as_float((uint)SHIFT(top) << 23);
  UNROLL(4)
  for (int k = 0; k < 4; k++)
    sum[k] = 0.0f;
  uint i = 0;
  for (; i + 4 * VW <= n; i += 4 * VW) {
    UNROLL(4)
    for (int k = 0; k < 4; k++) {
      const FV x = LOADV(g + i + k * VW) * scale;
      sum[k] = FMA(x, x, sum[k]);
    }
  }
  for (; i < n; i += VW) {
    const FV x = load_head(g + i, n - i) * scale;
    sum[0] = FMA(x, x, sum[0]);
  }
  AT(sums)[block] = sum_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
  AT(tops)[block] = top;
}
#else
#define OWN (BLOCK / GROUP_ITEMS / VW)

__kernel GROUP_OF_CHUNKS void norm_blocks(VIEW(const float, grads), VIEW(float, sums), VIEW(uint, tops),
                                          const ulong count) {
  __local uint most[GROUP_ITEMS];
  __local float squares[GROUP_ITEMS];
  const uint item = get_local_id(0);
  const ulong block = GROUP(0), first = block * BLOCK;
  __global const float *g = AT(grads) + first;
  FV own[OWN], sum = 0.0f;
  UV top = 0;
  UNROLL(OWN)
  for (int k = 0; k < OWN; k++) {
    const ulong i = (ulong)(k * GROUP_ITEMS + item) * VW;
    own[k] = first + i < count ? load_head(g + i, (uint)min(count - first - i, (ulong)VW)) : (FV)(0.0f);
    top = max(top, AS_UV(fabs(own[k])));
  }
  most[item] = max(max(top.x, top.y), max(top.z, top.w));
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint apart = GROUP_ITEMS / 2; apart > 0; apart /= 2) {
    if (item < apart)
      most[item] = max(most[item], most[item + apart]);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  const uint bits = min(most[0], EXPONENT);
  const float scale = as_float((uint)SHIFT(bits) << 23);
  UNROLL(OWN)
  for (int k = 0; k < OWN; k++) {
    const FV x = own[k] * scale;
    sum = FMA(x, x, sum);
  }
  squares[item] = sum_lanes(sum);
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint apart = GROUP_ITEMS / 2; apart > 0; apart /= 2) {
    if (item < apart)
      squares[item] += squares[item + apart];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (item == 0) {
    AT(sums)[block] = squares[0];
    AT(tops)[block] = bits;
  }
}
#endif

/* 2^(2 (least - shift)), 0 below the range. */
INLINE float square_of_power(int least, int shift) {
  const int exponent = 127 + 2 * (least - shift);
  return exponent < 1 ? 0.0f : as_float((uint)exponent << 23);
}

/* out = {norm, finite, clip, 0}, by one work-group. */
__kernel GROUP_OF_CHUNKS void norm_total(VIEW(const float, sums), VIEW(const uint, tops), VIEW(float, out),
                                         const uint blocks, const float norm_max) {
  const uint item = get_local_id(0);
  uint top = 0;
  float total = 0.0f;
#ifdef PLM_GPU
  __local uint most[GROUP_ITEMS];
  __local float squares[GROUP_ITEMS];
#endif
  for (uint b = item; b < blocks; b += GROUP_ITEMS)
    top = max(top, AT(tops)[b]);
#ifdef PLM_GPU
  most[item] = top;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint apart = GROUP_ITEMS / 2; apart > 0; apart /= 2) {
    if (item < apart)
      most[item] = max(most[item], most[item + apart]);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  top = most[0];
#endif
  const int least = SHIFT(top);
  float sum[8];
  UNROLL(8)
  for (int k = 0; k < 8; k++)
    sum[k] = 0.0f;
  for (uint b = item; b < blocks; b += 8 * GROUP_ITEMS) {
    UNROLL(8)
    for (int k = 0; k < 8; k++) {
      const uint at = b + k * GROUP_ITEMS;
      if (at < blocks)
        sum[k] = FMA(AT(sums)[at], square_of_power(least, SHIFT(AT(tops)[at])), sum[k]);
    }
  }
  total = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
#ifdef PLM_GPU
  squares[item] = total;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint apart = GROUP_ITEMS / 2; apart > 0; apart /= 2) {
    if (item < apart)
      squares[item] += squares[item + apart];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  total = squares[0];
#endif
  if (item > 0)
    return;
  const float norm = sqrt(total) * as_float((uint)(254 - least) << 23);
  const int finite = top < EXPONENT && as_uint(norm) < EXPONENT;
  __global float *out = AT(out);
  out[0] = norm;
  out[1] = finite ? 1.0f : 0.0f;
  out[2] = !finite ? 0.0f : norm_max > 0.0f ? fmin(1.0f, norm_max / (norm + 1e-6f)) : 1.0f;
  out[3] = 0.0f;
}

/*
 * adamw on one segment. 28 bytes an element, by far the most of any op: bound by memory. The step's numbers are read on
 * the device, so the host never waits for the norm.
 */
struct adamw {
  float clip, beta1, one_beta1, beta2, one_beta2, step, inverse2, epsilon, shrink;
};

#define MOVED(p, m, v) ((p) - (a.step * (m) / (sqrt((v)*a.inverse2) + a.epsilon) + a.shrink * (p)))

__kernel GROUP_OF_CHUNKS void adamw(VIEW(float, params), VIEW(const float, grads), VIEW(float, m), VIEW(float, v),
                                    VIEW(const float, control), VIEW(const float, schedule), const ulong count,
                                    const float beta1, const float one_beta1, const float beta2, const float one_beta2,
                                    const float epsilon, const float decay, const float rate_scale) {
  __global const float *control = AT(control), *schedule = AT(schedule), *grads = AT(grads);
  __global float *params = AT(params), *m = AT(m), *v = AT(v);
  if (control[1] == 0.0f)
    return;
  const float rate = schedule[0] * rate_scale;
  const struct adamw a = {control[2], beta1,   one_beta1,    beta2, one_beta2, rate / schedule[1], 1.0f / schedule[2],
                          epsilon,    rate * decay};
  FOR_CHUNK(
      count, i,
      {
        const FV g = LOADV(grads + i) * a.clip;
        const FV first = (FV)(a.one_beta1) * g + a.beta1 * LOADV(m + i);
        const FV second = a.one_beta2 * g * g + a.beta2 * LOADV(v + i);
        const FV p = LOADV(params + i);
        STOREV(first, m + i);
        STOREV(second, v + i);
        STOREV(MOVED(p, first, second), params + i);
      },
      {
        const float g = grads[i] * a.clip;
        const float first = a.one_beta1 * g + a.beta1 * m[i];
        const float second = a.one_beta2 * g * g + a.beta2 * v[i];
        m[i] = first;
        v[i] = second;
        params[i] = MOVED(params[i], first, second);
      })
}
