/*
 * attention and attention_grad where a work-item is a thread of a CPU, as in backends/cpu: work-items take heads of
 * sequences from a counter until none is left, so that unequal sequences are shared out evenly, and each has scratch of
 * its own in the workspace. One head of one sequence is always computed whole by one work-item, in one order: which one
 * it is changes no bit.
 *
 * Forward: K is packed transposed; MR queries at a time meet all keys (scores, row maximum), the row becomes
 * probabilities, and these meet V. A row of scores longer than KEYS is taken in pieces with the running maximum of
 * Milakov and Gimelshein (2018). Gradient: blocks of GRAD_KEYS keys meet blocks of GRAD_QUERIES queries once; P comes
 * back from the log-sum-exp, and P and dA of the block feed dQ, dK and dV while they are in L1 or L2.
 *
 * -D HEAD: head size. -D GRAD: which of the two ops, 0 or 1. -D KEYS, -D GRAD_KEYS, -D GRAD_QUERIES: see above; keys
 * are multiples of NR, the gradient's keys and queries of MR.
 */

/* Rows of a register tile: MR x 2 accumulators, two vectors of B and a broadcast fill the register file. */
#define MR (VW == 16 ? 12 : 6)
#define NR (2 * VW)
#define ROW ((HEAD + VW - 1) / VW * VW)
#define HALF (HEAD / 2)
#define LOG2_E 1.44269504f
#define LN_2 0.693147181f

/* Room of work-items in the workspace starts after the counter's cache line. */
#define COUNTER_FLOATS 16

#define UP(n, to) (((n) + (to)-1) / (to) * (to))

/* Vectors for rotation: pairs lie HEAD/2 apart. */
#if HALF % 16 == 0 && VW >= 16
#define TURN 16
#elif HALF % 8 == 0 && VW >= 8
#define TURN 8
#elif HALF % 4 == 0
#define TURN 4
#elif HALF % 2 == 0
#define TURN 2
#endif

/* One head of one sequence. */
struct head {
  __global const float *qkv; /* its first token's q */
  uint first, length;        /* tokens */
  uint stride;               /* floats from token to token in qkv */
  __global const int *positions;
  __global const float *cosine, *sine;
  uint table_rows;
  int rotary, causal;
};

/* ---------------------------------------------------------------- helpers */

/* (FV) of interleaved halves: four rounds of it over all rows of a square transpose it. */
#if VW == 16
#define WEAVE_LOW(a, b)                                                                                            \
  (FV)((a).s0, (b).s0, (a).s1, (b).s1, (a).s2, (b).s2, (a).s3, (b).s3, (a).s4, (b).s4, (a).s5, (b).s5, (a).s6, (b).s6, \
       (a).s7, (b).s7)
#define WEAVE_HIGH(a, b)                                                                                           \
  (FV)((a).s8, (b).s8, (a).s9, (b).s9, (a).sa, (b).sa, (a).sb, (b).sb, (a).sc, (b).sc, (a).sd, (b).sd, (a).se, (b).se, \
       (a).sf, (b).sf)
#elif VW == 8
#define WEAVE_LOW(a, b) (FV)((a).s0, (b).s0, (a).s1, (b).s1, (a).s2, (b).s2, (a).s3, (b).s3)
#define WEAVE_HIGH(a, b) (FV)((a).s4, (b).s4, (a).s5, (b).s5, (a).s6, (b).s6, (a).s7, (b).s7)
#else
#define WEAVE_LOW(a, b) (FV)((a).s0, (b).s0, (a).s1, (b).s1)
#define WEAVE_HIGH(a, b) (FV)((a).s2, (b).s2, (a).s3, (b).s3)
#endif

#define WEAVE(to, from)                                    \
  UNROLL(VW)                                               \
  for (int i = 0; i < VW / 2; i++) {                       \
    to[2 * i] = WEAVE_LOW(from[i], from[i + VW / 2]);      \
    to[2 * i + 1] = WEAVE_HIGH(from[i], from[i + VW / 2]); \
  }

/* VW x VW floats, rows from_row apart to rows to_row apart. */
INLINE void transpose(__global float *to, uint to_row, __global const float *from, uint from_row) {
  FV a[VW], b[VW];
  UNROLL(VW)
  for (int i = 0; i < VW; i++)
    a[i] = LOADV(from + i * from_row);
  WEAVE(b, a)
  WEAVE(a, b)
#if VW >= 8
  WEAVE(b, a)
#endif
#if VW == 16
  WEAVE(a, b)
#endif
  UNROLL(VW)
  for (int i = 0; i < VW; i++)
#if VW == 8
    STOREV(b[i], to + i * to_row);
#else
    STOREV(a[i], to + i * to_row);
#endif
}

/* The larger; b when either is not a number. */
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

INLINE float lanes_max(FV x) {
#if VW == 16
  const float8 y = MAX_OF(x.lo, x.hi);
  const float4 z = MAX_OF(y.lo, y.hi);
#elif VW == 8
  const float4 z = MAX_OF(x.lo, x.hi);
#else
  const float4 z = x;
#endif
  const float2 w = MAX_OF(z.lo, z.hi);
  return MAX_OF(w.x, w.y);
}

/* acc[MR][vectors] += A B over k = 0..depth-1, A(i,k) = a[i*a_row + k*a_step], B(k,j) = b[k*b_step + j]. */
INLINE void tile(FV *acc, const int vectors, __global const float *a, const uint a_row, const uint a_step,
                 __global const float *b, const uint b_step, const uint depth) {
  for (uint k = 0; k < depth; k++) {
    FV bk[2];
    UNROLL(2)
    for (int j = 0; j < vectors; j++)
      bk[j] = LOADV(b + k * b_step + j * VW);
    UNROLL(MR)
    for (int i = 0; i < MR; i++) {
      FV ai = (FV)(a[k * a_step + i * a_row]);
      UNROLL(2)
      for (int j = 0; j < vectors; j++)
        acc[i * vectors + j] = FMA(ai, bk[j], acc[i * vectors + j]);
    }
  }
}

/* c[MR][vectors], rows ROW apart, += A B. */
INLINE void tile_add(const int vectors, __global float *c, __global const float *a, const uint a_row,
                     const uint a_step, __global const float *b, const uint depth) {
  FV acc[MR * 2];
  UNROLL(MR)
  for (int i = 0; i < MR; i++)
    UNROLL(2)
  for (int j = 0; j < vectors; j++)
    acc[i * vectors + j] = LOADV(c + i * ROW + j * VW);
  tile(acc, vectors, a, a_row, a_step, b, ROW, depth);
  UNROLL(MR)
  for (int i = 0; i < MR; i++)
    UNROLL(2)
  for (int j = 0; j < vectors; j++)
    STOREV(acc[i * vectors + j], c + i * ROW + j * VW);
}

/* The same over all columns of head rows. */
INLINE void rows_add(__global float *c, __global const float *a, const uint a_row, const uint a_step,
                     __global const float *b, const uint depth) {
  for (uint j = 0; j + NR <= ROW; j += NR)
    tile_add(2, c + j, a, a_row, a_step, b + j, depth);
#if ROW / VW % 2
  tile_add(1, c + ROW - VW, a, a_row, a_step, b + ROW - VW, depth);
#endif
}

/* ---------------------------------------------------------------- packing */

/* to[0..HEAD) = factor * x. */
INLINE void copy(__global float *to, __global const float *x, const float factor) {
  uint j = 0;
  for (; j + VW <= HEAD; j += VW)
    STOREV(factor * LOADV(x + j), to + j);
  for (; j < HEAD; j++)
    to[j] = factor * x[j];
}

/* to[0..HEAD) = factor * x, rotated to the position; sign -1 rotates back. */
INLINE void turn(__global float *to, __global const float *x, const struct head *h, uint token, const float factor,
                 const float sign) {
  if (!h->rotary) {
    copy(to, x, factor);
    return;
  }
  const uint at = min((uint)h->positions[token], h->table_rows - 1) * HALF;
  __global const float *c = h->cosine + at, *s = h->sine + at;
#ifdef TURN
  for (uint j = 0; j < HALF; j += TURN) {
    JOIN(float, TURN) a = factor * JOIN(vload, TURN)(0, x + j), b = factor * JOIN(vload, TURN)(0, x + j + HALF);
    JOIN(float, TURN) t = sign * JOIN(vload, TURN)(0, s + j), u = JOIN(vload, TURN)(0, c + j);
    JOIN(vstore, TURN)(a * u - b * t, 0, to + j);
    JOIN(vstore, TURN)(b * u + a * t, 0, to + j + HALF);
  }
#else
  for (uint j = 0; j < HALF; j++) {
    float a = factor * x[j], b = factor * x[j + HALF], t = sign * s[j];
    to[j] = a * c[j] - b * t;
    to[j + HALF] = b * c[j] + a * t;
  }
#endif
}

INLINE void zero(__global float *to, uint floats) {
  for (uint j = 0; j < floats; j += VW)
    STOREV((FV)(0.0f), to + j);
}

/* Zeros from the head's end to its row's, and the rows from length to padded. */
INLINE void zero_rest(__global float *to, uint length, uint padded) {
#if ROW > HEAD
  for (uint t = 0; t < length; t++)
    for (uint j = HEAD; j < ROW; j++)
      to[t * ROW + j] = 0.0f;
#endif
  zero(to + length * ROW, (padded - length) * ROW);
}

/* Rows of q (third 0) or k (third 1) into [padded][ROW], turned. */
INLINE void pack_turned(__global float *to, const struct head *h, uint third, uint padded, const float factor) {
  __global const float *x = h->qkv + third * (h->stride / 3);
  for (uint t = 0; t < h->length; t++)
    turn(to + t * ROW, x + t * h->stride, h, t, factor, 1.0f);
  zero_rest(to, h->length, padded);
}

/* Rows stride apart into [padded][ROW]. */
INLINE void pack(__global float *to, __global const float *x, uint stride, uint length, uint padded) {
  for (uint t = 0; t < length; t++)
    copy(to + t * ROW, x + t * stride, 1.0f);
  zero_rest(to, length, padded);
}

/* [padded][ROW] into panels [padded/NR][HEAD][NR]: keys side by side. padded is a multiple of NR. */
INLINE void pack_panels(__global float *panels, __global const float *rows, uint padded) {
  for (uint p = 0; p < padded; p += VW) {
    __global float *to = panels + p / NR * NR * HEAD + p % NR;
    uint d = 0;
    for (; d + VW <= HEAD; d += VW)
      transpose(to + d * NR, NR, rows + p * ROW + d, ROW);
    for (; d < HEAD; d++)
      for (uint j = 0; j < VW; j++)
        to[d * NR + j] = rows[(p + j) * ROW + d];
  }
}

/* ---------------------------------------------------------------- heads */

/* Before each launch of the others: the next head to take, at the start of the workspace; none with bad offsets. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
attention_start(VIEW(int, work), VIEW(const int, offsets), const uint sequences, const uint tokens,
                const uint length_max, const uint begin, FAULT) {
  __global const int *offsets = AT(offsets);
  int good = offsets[0] == 0 && (uint)offsets[sequences] == tokens;
  if (offsets[0] != 0)
    REPORT(0, offsets[0], MUST_BE(0));
  else if (!good)
    REPORT(sequences, offsets[sequences], MUST_BE(tokens));
  for (uint s = 0; s < sequences && good; s++)
    if (offsets[s + 1] < offsets[s]) {
      REPORT(s + 1, offsets[s + 1], -1);
      good = 0;
    } else if ((uint)(offsets[s + 1] - offsets[s]) > length_max) {
      REPORT(s + 1, offsets[s + 1], offsets[s] + length_max + 1);
      good = 0;
    }
  AT(work)[0] = good ? begin : INT_MAX;
}

/* What both kernels of heads are given. room: floats of scratch of a work-item; end: heads to take, over sequences. */
#define HEADS_IN                                                                                                   \
  VIEW(const float, qkv), VIEW(const int, offsets), VIEW(const int, positions), VIEW(const float, cosine),         \
      VIEW(const float, sine), VIEW(float, work), const ulong room, const uint heads, const uint table_rows,       \
      const float scale, const int rotary, const int causal, const uint end, FAULT

#define MY_ROOM (AT(work) + COUNTER_FLOATS + get_global_id(0) * room)

INLINE uint next_head(__global float *work) { return (uint)atomic_inc((volatile __global int *)work); }

#define HEAD_OF(sequence, head)                                                                                     \
  {AT(qkv) + ((size_t)AT(offsets)[sequence] * 3 * heads + (head)) * HEAD, AT(offsets)[sequence],                    \
   AT(offsets)[(sequence) + 1] - AT(offsets)[sequence], 3 * heads * HEAD, AT(positions) + AT(offsets)[sequence],     \
   AT(cosine), AT(sine), table_rows, rotary, causal}

/* Reports positions that have no row in the tables. */
INLINE void check_positions(FAULT, const struct head *h) {
  for (uint t = 0; t < h->length && h->rotary; t++)
    if ((uint)h->positions[t] >= h->table_rows)
      REPORT(h->first + t, h->positions[t], h->table_rows);
}

#if !GRAD
/* ---------------------------------------------------------------- attention */

#define STRIDE (KEYS + 16) /* rows of scores a power of two apart would alias in the store buffer */

/* Scores of row i stop before limit - key; the rest of the panel becomes minus infinity. */
INLINE void mask_row(__global float *scores, uint key, uint limit) {
  for (uint j = limit > key ? limit - key : 0; j < NR; j++)
    scores[j] = -INFINITY;
}

/* scores become exp2(score - most); returns their sum. */
INLINE float row_exp(__global float *scores, const float most, const uint keys) {
  FV sum = 0.0f, other = 0.0f;
  for (uint j = 0; j < keys; j += NR) {
    FV a = exp2_of(LOADV(scores + j) - most), b = exp2_of(LOADV(scores + j + VW) - most);
    STOREV(a, scores + j);
    STOREV(b, scores + j + VW);
    sum += a;
    other += b;
  }
  return sum_lanes(sum + other);
}

/*
 * Scratch of a head. q, k, v: rows of ROW floats, q times scale * log2 e; of MR queries: scores [MR][STRIDE], what they
 * mix of V [MR][ROW], vectors of maxima [MR][VW], the maximum and sum so far.
 */
struct pass {
  __global float *q, *k, *v, *panels, *scores, *mixed, *maxima, *most, *sum;
};

INLINE void pass_of(struct pass *s, __global float *at, const uint length) {
  const uint keys = UP(length, NR);
  s->q = at;
  s->k = s->q + UP(length, MR) * ROW;
  s->v = s->k + keys * ROW;
  s->panels = s->v + keys * ROW;
  s->scores = s->panels + UP(keys * HEAD, 16);
  s->mixed = s->scores + MR * STRIDE;
  s->maxima = s->mixed + MR * ROW;
  s->most = s->maxima + MR * VW;
  s->sum = s->most + MR;
}

/* Scores and their row maxima of MR queries with up to KEYS keys, of which query i sees those below its limit. */
INLINE void piece_scores(const struct pass *s, const uint query, const uint key, const uint padded, const uint limit,
                         const int causal) {
  const uint least = causal ? min(query + 1, limit) : limit;
  FV most[MR];
  UNROLL(MR)
  for (int i = 0; i < MR; i++)
    most[i] = -INFINITY;
  for (uint j = 0; j < padded; j += NR) {
    FV acc[MR * 2];
    UNROLL(MR)
    for (int i = 0; i < MR * 2; i++)
      acc[i] = 0.0f;
    tile(acc, 2, s->q + query * ROW, ROW, 1, s->panels + (key + j) * HEAD, NR, HEAD);
    UNROLL(MR)
    for (int i = 0; i < MR; i++) {
      STOREV(acc[2 * i], s->scores + i * STRIDE + j);
      STOREV(acc[2 * i + 1], s->scores + i * STRIDE + j + VW);
    }
    if (key + j + NR > least) {
      for (uint i = 0; i < MR; i++)
        mask_row(s->scores + i * STRIDE + j, key + j, causal ? min(query + i + 1, limit) : limit);
      UNROLL(MR)
      for (int i = 0; i < MR; i++) {
        acc[2 * i] = LOADV(s->scores + i * STRIDE + j);
        acc[2 * i + 1] = LOADV(s->scores + i * STRIDE + j + VW);
      }
    }
    UNROLL(MR)
    for (int i = 0; i < MR; i++)
      most[i] = MAX_OF(most[i], MAX_OF(acc[2 * i], acc[2 * i + 1]));
  }
  UNROLL(MR)
  for (int i = 0; i < MR; i++)
    STOREV(most[i], s->maxima + i * VW);
}

/* One piece of up to KEYS keys for MR queries. */
INLINE void attend_piece(const struct pass *s, const uint query, const uint key, const uint keys, const uint limit,
                         const int causal) {
  const uint padded = UP(keys, NR);
  piece_scores(s, query, key, padded, limit, causal);
  for (uint i = 0; i < MR; i++) {
    const float here = lanes_max(LOADV(s->maxima + i * VW)), top = MAX_OF(s->most[i], here);
    /* While all scores are minus infinity, subtracting their maximum would make them not-a-number. */
    const float base = top == -INFINITY ? 0.0f : top;
    if (key > 0) {
      const float shrink = exp2_1(s->most[i] - base);
      s->sum[i] *= shrink;
      for (uint d = 0; d < ROW; d += VW)
        STOREV(LOADV(s->mixed + i * ROW + d) * shrink, s->mixed + i * ROW + d);
    }
    s->most[i] = top;
    s->sum[i] += row_exp(s->scores + i * STRIDE, base, padded);
  }
  const uint least = causal ? min(keys, query + 1 > key ? query + 1 - key : 0) : keys;
  rows_add(s->mixed, s->scores, STRIDE, 1, s->v + key * ROW, least);
  /* Keys that only some of the rows may see: nothing of the others' values, not even 0 * NaN, may reach a row. */
  for (uint i = 1; i < MR && least < keys; i++)
    for (uint j = least; j < keys && key + j <= query + i; j++)
      for (uint d = 0; d < ROW; d += VW)
        STOREV(FMA((FV)(s->scores[i * STRIDE + j]), LOADV(s->v + (key + j) * ROW + d), LOADV(s->mixed + i * ROW + d)),
               s->mixed + i * ROW + d);
}

/* o and lse of MR queries from query on. */
INLINE void attend_rows(__global float *o, __global float *lse, const uint heads, const struct pass *s,
                        const uint query, const uint length, const int causal) {
  const uint rows = min(length - query, (uint)MR), keys = causal ? query + rows : length;
  zero(s->mixed, MR * ROW);
  for (uint i = 0; i < MR; i++) {
    s->most[i] = -INFINITY;
    s->sum[i] = 0.0f;
  }
  for (uint key = 0; key < keys; key += KEYS)
    attend_piece(s, query, key, min(keys - key, (uint)KEYS), keys, causal);
  for (uint i = 0; i < rows; i++) {
    const size_t at = (size_t)(query + i) * heads;
    copy(o + at * HEAD, s->mixed + i * ROW, 1.0f / s->sum[i]);
    lse[at] = s->sum[i] == 0.0f ? NAN : FMA(LN_2, s->most[i], log(s->sum[i]));
  }
}

INLINE void attend_head(const struct head *h, __global float *o, __global float *lse, const uint heads,
                        const float scale, __global float *work) {
  struct pass s;
  pass_of(&s, work, h->length);
  const uint keys = UP(h->length, NR);
  pack_turned(s.q, h, 0, UP(h->length, MR), scale * LOG2_E);
  pack_turned(s.k, h, 1, keys, 1.0f);
  pack_panels(s.panels, s.k, keys);
  pack(s.v, h->qkv + 2 * (h->stride / 3), h->stride, h->length, keys);
  for (uint query = 0; query < h->length; query += MR)
    attend_rows(o, lse, heads, &s, query, h->length, h->causal);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void attention(HEADS_IN, VIEW(float, o), VIEW(float, lse)) {
  __global float *scratch = MY_ROOM;
  for (uint item = next_head(AT(work)); item < end; item = next_head(AT(work))) {
    const uint sequence = item / heads, head = item - sequence * heads;
    const struct head h = HEAD_OF(sequence, head);
    const size_t row = (size_t)h.first * heads + head;
    if (head == 0)
      check_positions(fault, fault_tag, &h);
    attend_head(&h, AT(o) + row * HEAD, AT(lse) + row, heads, scale, scratch);
  }
}

#else
/* ---------------------------------------------------------------- attention_grad */

/* Scratch of a head: rows of ROW floats; q carries scale * log2 e. p and da: [GRAD_QUERIES][GRAD_KEYS]. */
struct grad {
  __global float *q, *k, *v, *d_o, *dq, *dk, *dv, *k_panels, *v_panels, *lse, *delta, *p, *da;
};

INLINE void grad_of(struct grad *g, __global float *at, const uint length) {
  const uint keys = UP(length, NR), rows = max(keys, (uint)UP(length, GRAD_QUERIES)), full = rows * ROW;
  g->q = at;
  g->k = g->q + full;
  g->v = g->k + full;
  g->d_o = g->v + full;
  g->dq = g->d_o + full;
  g->dk = g->dq + full;
  g->dv = g->dk + full;
  g->k_panels = g->dv + full;
  g->v_panels = g->k_panels + UP(keys * HEAD, 16);
  g->lse = g->v_panels + UP(keys * HEAD, 16);
  g->delta = g->lse + UP(rows, 16);
  g->p = g->delta + UP(rows, 16);
  g->da = g->p + GRAD_QUERIES * GRAD_KEYS;
}

/* P and dA of MR queries from query on and NR keys from key on. */
INLINE void grad_panel(__global float *p, __global float *da, const struct grad *g, const uint query, const uint key,
                       const int causal) {
  FV acc[MR * 2];
  UNROLL(MR)
  for (int i = 0; i < MR; i++)
    acc[2 * i] = acc[2 * i + 1] = (FV)(-g->lse[query + i]);
  tile(acc, 2, g->q + query * ROW, ROW, 1, g->k_panels + key * HEAD, NR, HEAD);
  UNROLL(MR)
  for (int i = 0; i < MR; i++) {
    STOREV(acc[2 * i], p + i * GRAD_KEYS);
    STOREV(acc[2 * i + 1], p + i * GRAD_KEYS + VW);
  }
  for (int i = 0; i < MR; i++) {
    STOREV(exp2_of(LOADV(p + i * GRAD_KEYS)), p + i * GRAD_KEYS);
    STOREV(exp2_of(LOADV(p + i * GRAD_KEYS + VW)), p + i * GRAD_KEYS + VW);
  }
  if (causal && key + NR > query + 1)
    for (uint i = 0; i < MR; i++)
      for (uint j = query + i + 1 > key ? query + i + 1 - key : 0; j < NR; j++)
        p[i * GRAD_KEYS + j] = 0.0f;
  UNROLL(MR)
  for (int i = 0; i < MR; i++)
    acc[2 * i] = acc[2 * i + 1] = (FV)(-g->delta[query + i]);
  tile(acc, 2, g->d_o + query * ROW, ROW, 1, g->v_panels + key * HEAD, NR, HEAD);
  UNROLL(MR)
  for (int i = 0; i < MR; i++) {
    STOREV(acc[2 * i] * LOADV(p + i * GRAD_KEYS), da + i * GRAD_KEYS);
    STOREV(acc[2 * i + 1] * LOADV(p + i * GRAD_KEYS + VW), da + i * GRAD_KEYS + VW);
  }
}

INLINE void grad_block(const struct grad *g, const uint length, const uint query, const uint key, const int causal) {
  const uint keys = min(length - key, (uint)GRAD_KEYS), queries = min(length - query, (uint)GRAD_QUERIES);
  for (uint j = 0; j < keys; j += NR)
    for (uint i = 0; i < queries; i += MR)
      grad_panel(g->p + i * GRAD_KEYS + j, g->da + i * GRAD_KEYS + j, g, query + i, key + j, causal);
  for (uint i = 0; i < queries; i += MR)
    rows_add(g->dq + (query + i) * ROW, g->da + i * GRAD_KEYS, GRAD_KEYS, 1, g->k + key * ROW, keys);
  for (uint j = 0; j < keys; j += MR) {
    rows_add(g->dv + (key + j) * ROW, g->p + j, 1, GRAD_KEYS, g->d_o + query * ROW, queries);
    rows_add(g->dk + (key + j) * ROW, g->da + j, 1, GRAD_KEYS, g->q + query * ROW, queries);
  }
}

/* Packs the head; log-sum-exp in base 2; padding queries get P = 0. */
INLINE void grad_pack(const struct grad *g, const struct head *h, __global const float *o, __global const float *lse,
                      __global const float *d_o, const uint heads, const float scale) {
  const uint keys = UP(h->length, NR), rows = max(keys, (uint)UP(h->length, GRAD_QUERIES)), wide = heads * HEAD;
  pack_turned(g->q, h, 0, rows, scale * LOG2_E);
  pack_turned(g->k, h, 1, rows, 1.0f);
  pack(g->v, h->qkv + 2 * (h->stride / 3), h->stride, h->length, rows);
  pack(g->d_o, d_o, wide, h->length, rows);
  pack_panels(g->k_panels, g->k, keys);
  pack_panels(g->v_panels, g->v, keys);
  for (uint t = 0; t < h->length; t++) {
    float delta = 0.0f;
    for (uint j = 0; j < HEAD; j++)
      delta = FMA(o[t * wide + j], g->d_o[t * ROW + j], delta);
    g->delta[t] = delta;
    g->lse[t] = LOG2_E * lse[t * heads];
  }
  for (uint t = h->length; t < rows; t++) {
    g->delta[t] = 0.0f;
    g->lse[t] = INFINITY;
  }
  zero(g->dq, 3 * rows * ROW);
}

/* q carried scale * log2 e into dK, so ln 2 is left there. */
INLINE void grad_unpack(__global float *to, const struct grad *g, const struct head *h, const float scale) {
  const uint third = h->stride / 3;
  for (uint t = 0; t < h->length; t++) {
    turn(to + t * h->stride, g->dq + t * ROW, h, t, scale, -1.0f);
    turn(to + t * h->stride + third, g->dk + t * ROW, h, t, LN_2, -1.0f);
    copy(to + t * h->stride + 2 * third, g->dv + t * ROW, 1.0f);
  }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
attention_grad(HEADS_IN, VIEW(const float, o), VIEW(const float, lse), VIEW(const float, d_o), VIEW(float, dqkv)) {
  __global float *scratch = MY_ROOM;
  for (uint item = next_head(AT(work)); item < end; item = next_head(AT(work))) {
    const uint sequence = item / heads, head = item - sequence * heads;
    const struct head h = HEAD_OF(sequence, head);
    struct grad g;
    grad_of(&g, scratch, h.length);
    const size_t row = (size_t)h.first * heads + head;
    if (head == 0)
      check_positions(fault, fault_tag, &h);
    grad_pack(&g, &h, AT(o) + row * HEAD, AT(lse) + row, AT(d_o) + row * HEAD, heads, scale);
    for (uint key = 0; key < h.length; key += GRAD_KEYS)
      for (uint query = h.causal ? key / GRAD_QUERIES * GRAD_QUERIES : 0; query < h.length; query += GRAD_QUERIES)
        grad_block(&g, h.length, query, key, h.causal);
    grad_unpack(AT(dqkv) + (size_t)h.first * h.stride + head * HEAD, &g, &h, scale);
  }
}

#endif
