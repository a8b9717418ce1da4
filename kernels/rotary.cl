/*
 * rotary, in place on q and k: pairs lie half a head apart, so a vector of TURN pairs is two loads, and TURN divides the
 * half. 16 bytes a pair and its angles, which stay in the cache. -D TURN: 1, 2, 4, 8 or 16.
 */
#if TURN == 1
#define TV float
#else
#define TV JOIN(float, TURN)
#endif
typedef TV turn_vector __attribute__((aligned(4)));
#define LOADT(p) (*(__global const turn_vector *)(p))
#define STORET(v, p) (*(__global turn_vector *)(p) = (v))

/* A row is a token; its 2 heads of q and k are shared among LANES work-items. */
__kernel GROUP_OF_ROWS void rotary(VIEW(float, qkv), VIEW(const int, positions), VIEW(const float, cosine),
                                   VIEW(const float, sine), const uint rows, const uint heads, const uint half_size,
                                   const uint table_rows, const float sign, FAULT) {
  const uint row = get_global_id(1);
  if (row >= rows)
    return;
  const int position = AT(positions)[row];
  if (position < 0 || (uint)position >= table_rows) {
    if (get_local_id(0) == 0)
      REPORT(row, position, (int)table_rows);
    return;
  }
  __global const float *cosine = AT(cosine) + (ulong)position * half_size;
  __global const float *sine = AT(sine) + (ulong)position * half_size;
  for (uint h = get_local_id(0); h < 2 * heads; h += LANES) {
    __global float *x = AT(qkv) + ((ulong)row * 3 * heads + h) * 2 * half_size;
    for (uint j = 0; j < half_size; j += TURN) {
      const TV a = LOADT(x + j), b = LOADT(x + half_size + j), c = LOADT(cosine + j), s = sign * LOADT(sine + j);
      STORET(a * c - b * s, x + j);
      STORET(b * c + a * s, x + half_size + j);
    }
  }
}
