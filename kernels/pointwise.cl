/*
 * Element by element: fill, gelu, gelu_grad, add, and bias. A work-item owns CHUNK elements that lie together: 4096 on a
 * CPU, where they are 256 vectors, one vector of 4 on a GPU, so that neighbours read neighbours. All are bound by memory:
 * 4, 8, 12, 12 and 8 bytes an element.
 */

__kernel GROUP_OF_CHUNKS void fill(VIEW(float, x), const ulong count, const float value) {
  __global float *x = AT(x);
  FOR_CHUNK(count, i, STOREV((FV)(value), x + i), x[i] = value)
}

/* The last elements of a chunk go through a vector too: one formula for all. */
__kernel GROUP_OF_CHUNKS void gelu_forward(VIEW(const float, x), VIEW(float, y), const ulong count) {
  __global const float *x = AT(x);
  __global float *y = AT(y);
  FOR_CHUNK(count, i, STOREV(gelu(LOADV(x + i)), y + i), y[i] = gelu((FV)(x[i])).s0)
}

__kernel GROUP_OF_CHUNKS void gelu_grad(VIEW(const float, dy), VIEW(const float, x), VIEW(float, dx), const ulong count) {
  __global const float *dy = AT(dy), *x = AT(x);
  __global float *dx = AT(dx);
  FOR_CHUNK(count, i, STOREV(LOADV(dy + i) * gelu_slope(LOADV(x + i)), dx + i),
            dx[i] = dy[i] * gelu_slope((FV)(x[i])).s0)
}

__kernel GROUP_OF_CHUNKS void add(VIEW(const float, a), VIEW(const float, b), VIEW(float, y), const ulong count) {
  __global const float *a = AT(a), *b = AT(b);
  __global float *y = AT(y);
  FOR_CHUNK(count, i, STOREV(LOADV(a + i) + LOADV(b + i), y + i), y[i] = a[i] + b[i])
}

/* y[r,:] += bias, LANES work-items a row. */
__kernel GROUP_OF_ROWS void bias_add(VIEW(float, y), VIEW(const float, bias), const uint rows, const uint width) {
  const uint row = get_global_id(1);
  __global const float *bias = AT(bias);
  if (row >= rows)
    return;
  __global float *y = AT(y) + (ulong)row * width;
  FOR_VECTORS(width, store_head(load_head(y + i, n) + load_head(bias + i, n), y + i, n);)
}
