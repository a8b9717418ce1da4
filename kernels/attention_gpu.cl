/*
 * attention and attention_grad where work-groups share tiles through local memory, in the manner of FlashAttention-2
 * (Dao 2023): a work-group owns BLOCK rows of one head of one sequence and passes over the other side in tiles of TILE
 * rows. SPLIT work-items share a row: each holds every SPLIT-th group of four of its HEAD numbers, so that row and sums
 * stay in registers, and their parts of a product meet in local memory. The gradient is two passes without atomics, dQ
 * by blocks of queries and dK, dV by blocks of keys, which both get P back from the log-sum-exp.
 *
 * Work-groups are numbered over slots and heads. offsets live on the device, so the host launches T/BLOCK + S slots:
 * sequence s begins at slot offsets[s]/BLOCK + s, which leaves it at least as many as it has blocks.
 *
 * -D HEAD: head size. -D GRAD: which of the two ops, 0 or 1. -D BLOCK, -D SPLIT, -D TILE: see above.
 */

#define SIZE (BLOCK * SPLIT)                                  /* work-items of a group */
#define PART ((HEAD + 4 * SPLIT - 1) / (4 * SPLIT) * 4)       /* numbers of a row that a work-item holds */
#define WIDE (PART * SPLIT)                                   /* of a row in local memory, zeros beyond HEAD */
#define ELEMENT(c, lane) (4 * ((c) / 4 * SPLIT + (lane)) + (c) % 4) /* which one of the row is number c of a lane */
#define HALF (HEAD / 2)
#define LOG2_E 1.44269504f
#define LN_2 0.693147181f

#define TILES __local __attribute__((aligned(16))) float /* four numbers are one load then */

#define KERNEL_OF_BLOCKS __kernel __attribute__((reqd_work_group_size(SIZE, 1, 1))) void

/* What all kernels of blocks are given; SIDE and CHECK read it by these names. */
#define HEADS_IN                                                                                                   \
  VIEW(const float, qkv), VIEW(const int, offsets), VIEW(const int, positions), VIEW(const float, cosine),         \
      VIEW(const float, sine), const uint sequences, const uint tokens, const uint length_max, const uint heads,   \
      const uint table_rows, const float scale, const int rotary, const int causal, FAULT,                         \
      volatile __global int *offsets_fault, const int offsets_tag

/* ---------------------------------------------------------------- places */

/* A block of rows of one sequence: begin .. begin + rows - 1 of first .. first + length - 1; rows 0: none. */
struct place {
  uint first, length, begin, rows;
};

/* What the work-group of a slot does. Bad offsets, which attention reports, end as some place inside the tokens. */
INLINE void place_of(struct place *out, __global const int *offsets, const uint sequences, const uint tokens,
                     const uint slot) {
  uint low = 0, high = sequences; /* slots of low begin at or before slot, those of high after it */
  while (high - low > 1) {
    const uint middle = (low + high) / 2;
    if (min((uint)offsets[middle], tokens) / BLOCK + middle <= slot)
      low = middle;
    else
      high = middle;
  }
  out->first = min((uint)offsets[low], tokens);
  out->length = max(min((uint)offsets[min(low + 1, sequences)], tokens), out->first) - out->first;
  out->begin = (slot - min(out->first / BLOCK + low, slot)) * BLOCK;
  out->rows = out->begin < out->length ? min(out->length - out->begin, (uint)BLOCK) : 0;
}

/* Reports offsets against the rules, those of index at. */
INLINE void check_offsets(FAULT, __global const int *offsets, const uint sequences, const uint tokens,
                          const uint length_max, const uint at) {
  if (at == 0 && offsets[0] != 0)
    REPORT(0, offsets[0], MUST_BE(0));
  if (at == sequences && (uint)offsets[at] != tokens)
    REPORT(at, offsets[at], MUST_BE(tokens));
  if (at < sequences && offsets[at + 1] < offsets[at])
    REPORT(at + 1, offsets[at + 1], -1);
  else if (at < sequences && (uint)(offsets[at + 1] - offsets[at]) > length_max)
    REPORT(at + 1, offsets[at + 1], offsets[at] + length_max + 1);
}

INLINE void check_position(FAULT, __global const int *positions, const uint token, const uint table_rows) {
  if ((uint)positions[token] >= table_rows)
    REPORT(token, positions[token], table_rows);
}

/* The work-groups of head 0 have work-items enough for all offsets and tokens. */
#define CHECK                                                                                                  \
  if (head == 0 && get_global_id(0) <= sequences)                                                              \
    check_offsets(offsets_fault, offsets_tag, AT(offsets), sequences, tokens, length_max, get_global_id(0));   \
  if (head == 0 && row < p.rows && rotary)                                                                     \
    check_position(fault, fault_tag, AT(positions), p.first + mine, table_rows);

/* ---------------------------------------------------------------- rows */

/* Rows of one head of one sequence in memory, and how their numbers are to be read. */
struct side {
  __global const float *x; /* the first row */
  uint stride;             /* floats from row to row */
  int turns;               /* rotated to the rows' positions */
  float factor;
  __global const int *positions; /* of the sequence */
  __global const float *cosine, *sine;
  uint table_rows;
};

/* A third of qkv (0 q, 1 k, 2 v). */
#define SIDE(third, factor)                                                                                    \
  {AT(qkv) + ((size_t)p.first * 3 * heads + (third)*heads + head) * HEAD, 3 * heads * HEAD,                    \
   rotary && (third) < 2, factor, AT(positions) + p.first, AT(cosine), AT(sine), table_rows}

/* Number e of a row: 0 beyond HEAD. */
INLINE float side_number(const struct side *side, const uint row, const uint e) {
  if (e >= HEAD)
    return 0.0f;
  __global const float *x = side->x + (size_t)row * side->stride;
  if (side->turns) {
    const uint j = e < HALF ? e : e - HALF, at = min((uint)side->positions[row], side->table_rows - 1) * HALF + j;
    const float a = side->factor * x[j], b = side->factor * x[j + HALF], c = side->cosine[at], s = side->sine[at];
    return e < HALF ? a * c - b * s : b * c + a * s;
  }
  return side->factor * x[e];
}

/* A lane's part of row; zeros when there is no such row. */
INLINE void row_load(float *to, const struct side *side, const uint row, const uint length, const uint lane) {
  UNROLL(PART)
  for (uint c = 0; c < PART; c++)
    to[c] = row < length ? side_number(side, row, ELEMENT(c, lane)) : 0.0f;
}

/* TILE rows from begin on into local memory, by the whole work-group; zeros beyond length. */
INLINE void tile_load(__local float *to, const struct side *side, const uint begin, const uint length, const uint id) {
  for (uint i = id; i < TILE * WIDE; i += SIZE) {
    const uint row = i / WIDE;
    to[i] = begin + row < length ? side_number(side, begin + row, i - row * WIDE) : 0.0f;
  }
}

/* A lane's part of the product of its row and row j of a tile. */
INLINE float product(const float *x, __local const float *tile, const uint j, const uint lane) {
  float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  UNROLL(PART)
  for (uint c = 0; c < PART; c++)
    sum[c % 4] = FMA(x[c], tile[j * WIDE + ELEMENT(c, lane)], sum[c % 4]);
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* x += factor * row j of a tile, the lane's part. */
INLINE void row_add(float *x, const float factor, __local const float *tile, const uint j, const uint lane) {
  UNROLL(PART)
  for (uint c = 0; c < PART; c++)
    x[c] = FMA(factor, tile[j * WIDE + ELEMENT(c, lane)], x[c]);
}

INLINE void row_scale(float *x, const float factor) {
  UNROLL(PART)
  for (uint c = 0; c < PART; c++)
    x[c] *= factor;
}

/* A lane's part of a row to memory, times factor. */
INLINE void row_store(__global float *to, const float *x, const float factor, const uint lane) {
  UNROLL(PART)
  for (uint c = 0; c < PART; c++)
    if (ELEMENT(c, lane) < HEAD)
      to[ELEMENT(c, lane)] = factor * x[c];
}

/* All lanes' parts of number j of a row, in one order. */
INLINE float parts_sum(__local const float *parts, const uint j, const uint row) {
  float sum = parts[j * SIZE + row];
  UNROLL(SPLIT)
  for (uint lane = 1; lane < SPLIT; lane++)
    sum += parts[j * SIZE + lane * BLOCK + row];
  return sum;
}

#if !GRAD
/* ---------------------------------------------------------------- attention */

KERNEL_OF_BLOCKS attention(HEADS_IN, VIEW(float, o), VIEW(float, lse)) {
  TILES k[TILE * WIDE], v[TILE * WIDE];
  __local float scores[TILE * SIZE];
  const uint id = get_local_id(0), row = id % BLOCK, lane = id / BLOCK, head = get_global_id(1);
  struct place p;
  place_of(&p, AT(offsets), sequences, tokens, GROUP(0));
  const struct side q_side = SIDE(0, scale * LOG2_E), k_side = SIDE(1, 1.0f), v_side = SIDE(2, 1.0f);
  const uint mine = p.begin + row, limit = causal ? min(mine + 1, p.length) : p.length;
  const uint keys = p.rows == 0 ? 0 : causal ? p.begin + p.rows : p.length;
  float q[PART], mixed[PART], most = -INFINITY, sum = 0.0f;
  CHECK
  row_load(q, &q_side, mine, p.length, lane);
  UNROLL(PART)
  for (uint c = 0; c < PART; c++)
    mixed[c] = 0.0f;
  for (uint key = 0; key < keys; key += TILE) {
    barrier(CLK_LOCAL_MEM_FENCE);
    tile_load(k, &k_side, key, p.length, id);
    tile_load(v, &v_side, key, p.length, id);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint j = 0; j < TILE; j++)
      scores[j * SIZE + id] = product(q, k, j, lane);
#if SPLIT > 1
    barrier(CLK_LOCAL_MEM_FENCE);
#endif
    const uint count = limit > key ? min(limit - key, (uint)TILE) : 0;
    float top = most;
    for (uint j = 0; j < count; j++) {
      const float score = parts_sum(scores, j, row);
      top = score > top ? score : top;
    }
    /* While all scores are minus infinity, subtracting their maximum would make them not-a-number. */
    const float base = top == -INFINITY ? 0.0f : top, shrink = exp2_1(most - base);
    most = top;
    sum *= shrink;
    row_scale(mixed, shrink);
    for (uint j = 0; j < count; j++) {
      const float weight = exp2_1(parts_sum(scores, j, row) - base);
      sum += weight;
      row_add(mixed, weight, v, j, lane);
    }
  }
  if (row < p.rows) {
    const size_t at = (size_t)(p.first + mine) * heads + head;
    row_store(AT(o) + at * HEAD, mixed, 1.0f / sum, lane);
    if (lane == 0)
      AT(lse)[at] = sum == 0.0f ? NAN : FMA(LN_2, most, log(sum));
  }
}

#else
/* ---------------------------------------------------------------- attention_grad */

/* delta of every row and head: the product of o and d_o. */
__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
attention_delta(VIEW(const float, o), VIEW(const float, d_o), VIEW(float, delta), const uint rows) {
  const uint row = get_global_id(0);
  if (row >= rows)
    return;
  __global const float *a = AT(o) + (size_t)row * HEAD, *b = AT(d_o) + (size_t)row * HEAD;
  float sum = 0.0f;
  for (uint e = 0; e < HEAD; e++)
    sum = FMA(a[e], b[e], sum);
  AT(delta)[row] = sum;
}

#define GRAD_IN HEADS_IN, VIEW(const float, lse), VIEW(const float, d_o), VIEW(const float, delta), VIEW(float, dqkv)

/* d_o as rows of one head. */
#define D_O_SIDE {AT(d_o) + ((size_t)p.first * heads + head) * HEAD, heads * HEAD, 0, 1.0f, 0, 0, 0, 0}

/* Turns back rows of a block that the work-group itself has written, x as side's. */
INLINE void block_turn_back(__global float *x, const struct side *side, const struct place *p, const uint id) {
  const uint pairs = side->turns ? p->rows * HALF : 0;
  barrier(CLK_GLOBAL_MEM_FENCE);
  for (uint i = id; i < pairs; i += SIZE) {
    const uint of = i / HALF, row = p->begin + of, j = i - of * HALF;
    const uint at = min((uint)side->positions[row], side->table_rows - 1) * HALF + j;
    __global float *pair = x + (size_t)row * side->stride + j;
    const float a = pair[0], b = pair[HALF], c = side->cosine[at], s = side->sine[at];
    pair[0] = a * c + b * s;
    pair[HALF] = b * c - a * s;
  }
}

/* Products of a row with the rows of both tiles: when lanes share it, their parts meet in local memory. */
#if SPLIT > 1
#define MEETING_PLACE __local float scores[TILE * SIZE], slopes[TILE * SIZE];
#define MEET(x, x_tile, y, y_tile)                       \
  for (uint j = 0; j < TILE; j++) {                      \
    scores[j * SIZE + id] = product(x, x_tile, j, lane); \
    slopes[j * SIZE + id] = product(y, y_tile, j, lane); \
  }                                                      \
  barrier(CLK_LOCAL_MEM_FENCE);
#define SCORE(x, tile, j) parts_sum(scores, j, row)
#define SLOPE(x, tile, j) parts_sum(slopes, j, row)
#else
#define MEETING_PLACE
#define MEET(x, x_tile, y, y_tile)
#define SCORE(x, tile, j) product(x, tile, j, 0)
#define SLOPE(x, tile, j) product(x, tile, j, 0)
#endif

KERNEL_OF_BLOCKS attention_grad_q(GRAD_IN) {
  TILES k[TILE * WIDE], v[TILE * WIDE];
  MEETING_PLACE
  const uint id = get_local_id(0), row = id % BLOCK, lane = id / BLOCK, head = get_global_id(1);
  struct place p;
  place_of(&p, AT(offsets), sequences, tokens, GROUP(0));
  const struct side q_side = SIDE(0, scale * LOG2_E), k_side = SIDE(1, 1.0f), v_side = SIDE(2, 1.0f);
  const struct side d_o_side = D_O_SIDE;
  const uint mine = p.begin + row, limit = causal ? min(mine + 1, p.length) : p.length;
  const uint keys = p.rows == 0 ? 0 : causal ? p.begin + p.rows : p.length;
  const size_t at = (size_t)(p.first + mine) * heads + head;
  const float total = row < p.rows ? LOG2_E * AT(lse)[at] : 0.0f, mean = row < p.rows ? AT(delta)[at] : 0.0f;
  float q[PART], g[PART], dq[PART];
  CHECK
  row_load(q, &q_side, mine, p.length, lane);
  row_load(g, &d_o_side, mine, p.length, lane);
  UNROLL(PART)
  for (uint c = 0; c < PART; c++)
    dq[c] = 0.0f;
  for (uint key = 0; key < keys; key += TILE) {
    barrier(CLK_LOCAL_MEM_FENCE);
    tile_load(k, &k_side, key, p.length, id);
    tile_load(v, &v_side, key, p.length, id);
    barrier(CLK_LOCAL_MEM_FENCE);
    MEET(q, k, g, v)
    const uint count = limit > key ? min(limit - key, (uint)TILE) : 0;
    for (uint j = 0; j < count; j++)
      row_add(dq, exp2_1(SCORE(q, k, j) - total) * (SLOPE(g, v, j) - mean), k, j, lane);
  }
  __global float *to = AT(dqkv) + ((size_t)p.first * 3 * heads + head) * HEAD;
  if (row < p.rows)
    row_store(to + (size_t)mine * q_side.stride, dq, scale, lane);
  block_turn_back(to, &q_side, &p, id);
}

KERNEL_OF_BLOCKS attention_grad_kv(GRAD_IN) {
  TILES q[TILE * WIDE], g[TILE * WIDE];
  __local float totals[TILE], means[TILE];
  MEETING_PLACE
  const uint id = get_local_id(0), row = id % BLOCK, lane = id / BLOCK, head = get_global_id(1);
  struct place p;
  place_of(&p, AT(offsets), sequences, tokens, GROUP(0));
  const struct side q_side = SIDE(0, scale * LOG2_E), k_side = SIDE(1, 1.0f), v_side = SIDE(2, 1.0f);
  const struct side d_o_side = D_O_SIDE;
  const uint mine = p.begin + row, begin = causal ? p.begin : 0, end = p.rows == 0 ? 0 : p.length;
  float k[PART], v[PART], dk[PART], dv[PART];
  row_load(k, &k_side, mine, p.length, lane);
  row_load(v, &v_side, mine, p.length, lane);
  UNROLL(PART)
  for (uint c = 0; c < PART; c++)
    dk[c] = dv[c] = 0.0f;
  for (uint query = begin; query < end; query += TILE) {
    const uint count = min(end - query, (uint)TILE), from = causal && mine > query ? min(mine - query, count) : 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    tile_load(q, &q_side, query, p.length, id);
    tile_load(g, &d_o_side, query, p.length, id);
    for (uint i = id; i < count; i += SIZE) {
      const size_t at = (size_t)(p.first + query + i) * heads + head;
      totals[i] = LOG2_E * AT(lse)[at];
      means[i] = AT(delta)[at];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    MEET(k, q, v, g)
    for (uint i = from; i < count; i++) {
      const float weight = exp2_1(SCORE(k, q, i) - totals[i]);
      row_add(dv, weight, g, i, lane);
      row_add(dk, weight * (SLOPE(v, g, i) - means[i]), q, i, lane);
    }
  }
  __global float *to = AT(dqkv) + ((size_t)p.first * 3 * heads + heads + head) * HEAD;
  if (row < p.rows) {
    row_store(to + (size_t)mine * q_side.stride, dk, LN_2, lane); /* q carried scale * log2 e */
    row_store(to + (size_t)mine * q_side.stride + heads * HEAD, dv, 1.0f, lane);
  }
  block_turn_back(to, &k_side, &p, id);
}

#endif
