/* Cases of rotary, attention and attention_grad. */
#include <math.h>

#include "op_case.h"

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

struct packing {
  const char *name;
  uint32_t heads, head_size, sequences;
  uint32_t lengths[8];
  float spread; /* factor on qkv: large scores overflow exp unless the maximum is taken out */
};
static const struct packing packings[] = {
    {"one token", 1, 2, 1, {1}, 1},
    {"five tokens", 3, 8, 1, {5}, 1},
    {"empty and one-token sequences", 2, 16, 7, {0, 3, 0, 0, 1, 7, 0}, 1},
    {"no token", 2, 8, 0, {0}, 1},
    {"empty sequences only", 2, 8, 2, {0, 0}, 1},
    {"tails", 5, 20, 4, {33, 64, 65, 1}, 1},
    {"wide head", 1, 128, 3, {17, 31, 2}, 1},
    {"head of 6", 7, 6, 3, {15, 16, 17}, 1},
    {"long", 2, 32, 2, {257, 9}, 1},
    {"head of 64", 2, 64, 2, {40, 13}, 1},
    {"large scores", 2, 16, 3, {23, 8, 30}, 12},
};
#define PACKINGS COUNT(packings)

#define TABLE_ROWS 300u

static uint32_t packing_tokens(const struct packing *s) {
  uint32_t tokens = 0;
  for (uint32_t i = 0; i < s->sequences; i++)
    tokens += s->lengths[i];
  return tokens;
}

static uint32_t packing_longest(const struct packing *s) {
  uint32_t longest = 1;
  for (uint32_t i = 0; i < s->sequences; i++)
    longest = s->lengths[i] > longest ? s->lengths[i] : longest;
  return longest;
}

static float *make_qkv(struct op_case *c, struct plm_view *view, const struct packing *s) {
  const uint64_t count = (uint64_t)packing_tokens(s) * 3 * s->heads * s->head_size;
  float *qkv = case_f32(c, view, "qkv", count);
  for (uint64_t i = 0; i < count; i++)
    qkv[i] *= s->spread;
  return qkv;
}

static int32_t *make_offsets(struct op_case *c, struct plm_view *view, const struct packing *s) {
  int32_t *offsets = case_i32(c, view, "offsets", s->sequences + 1);
  for (uint32_t i = 0; i < s->sequences; i++)
    offsets[i + 1] = offsets[i] + (int32_t)s->lengths[i];
  return offsets;
}

struct angles {
  const int32_t *positions;
  const float *cosine, *sine;
};

static struct angles make_angles(struct op_case *c, struct plm_view *positions, struct plm_view *cosine,
                                 struct plm_view *sine, const struct packing *s) {
  const uint32_t half = s->head_size / 2;
  int32_t *at = case_i32(c, positions, "positions", packing_tokens(s));
  for (uint32_t i = 0, t = 0; i < s->sequences; i++)
    for (uint32_t k = 0; k < s->lengths[i]; k++)
      at[t++] = (int32_t)k;
  float *cos_table = case_f32(c, cosine, "cosine", (uint64_t)TABLE_ROWS * half);
  float *sin_table = case_f32(c, sine, "sine", (uint64_t)TABLE_ROWS * half);
  for (uint32_t p = 0; p < TABLE_ROWS; p++)
    for (uint32_t j = 0; j < half; j++) {
      const double angle = p * pow(10000, -2.0 * j / s->head_size);
      cos_table[p * half + j] = (float)cos(angle);
      sin_table[p * half + j] = (float)sin(angle);
    }
  return (struct angles){at, cos_table, sin_table};
}

static void pair_rotate(double *x, uint32_t half, double cosine, double sine) {
  const double a = x[0], b = x[half];
  x[0] = a * cosine - b * sine;
  x[half] = b * cosine + a * sine;
}

/* The same of magnitudes: all terms are added. */
static void pair_bound_rotate(double *bound, uint32_t half, double cosine, double sine) {
  const double a = bound[0], b = bound[half];
  bound[0] = a * fabs(cosine) + b * fabs(sine);
  bound[half] = b * fabs(cosine) + a * fabs(sine);
}

/* ---------------------------------------------------------------- rotary */

static void make_rotary(struct op_case *c) {
  struct plm_op_rotary *p = &c->op.u.rotary;
  const struct packing *s = &packings[c->variant % PACKINGS];
  const uint32_t T = packing_tokens(s), h = s->head_size, half = h / 2, row = 3 * s->heads * h;
  c->op.flags = c->variant / PACKINGS ? PLM_FLAG_INVERSE : 0;
  p->rows = (struct plm_extent){T, PLM_EXTENT_TOKENS};
  p->heads = s->heads;
  p->head_size = h;
  p->table_rows = TABLE_ROWS;
  double *qkv = case_update(c, &p->qkv, "qkv", (uint64_t)T * row, 2);
  const struct angles angles = make_angles(c, &p->positions, &p->cosine, &p->sine, s);
  for (uint32_t t = 0; t < T; t++)
    for (uint32_t head = 0; head < 3 * s->heads; head++)
      for (uint32_t j = 0; j < half; j++) {
        double *bound = qkv + (uint64_t)t * row + head * h + j;
        const uint32_t at = (uint32_t)angles.positions[t] * half + j;
        if (head < 2 * s->heads)
          pair_bound_rotate(bound, half, angles.cosine[at], angles.sine[at]);
        else
          bound[0] = bound[half] = 0;
      }
  case_label(c, "%s%s", s->name, c->op.flags ? " inverse" : "");
}

/* ---------------------------------------------------------------- attention */

static const uint32_t attention_flags[] = {0, PLM_FLAG_ROTARY, PLM_FLAG_CAUSAL, PLM_FLAG_CAUSAL | PLM_FLAG_ROTARY};

/* One head of one sequence: q, k (rotated), v and their magnitudes, then scores and probabilities. */
struct head {
  uint32_t first, n, H, h, index;
  double scale;
  int causal;
  double *x[3], *bound[3]; /* [n, h]: q, k, v */
  double *P, *A;           /* [n, n]: probabilities, sums of |terms| of the scores */
  double *lse;             /* [n] */
};

static void head_init(struct op_case *c, struct head *head, const struct packing *s) {
  const uint64_t n = packing_longest(s);
  *head = (struct head){.H = s->heads, .h = s->head_size, .scale = (double)(float)(1 / sqrt(s->head_size))};
  head->causal = (c->op.flags & PLM_FLAG_CAUSAL) != 0;
  for (int i = 0; i < 3; i++) {
    head->x[i] = case_memory(c, n * head->h, sizeof(double));
    head->bound[i] = case_memory(c, n * head->h, sizeof(double));
  }
  head->P = case_memory(c, n * n, sizeof(double));
  head->A = case_memory(c, n * n, sizeof(double));
  head->lse = case_memory(c, n, sizeof(double));
}

static void head_load(struct head *head, const float *qkv, const struct angles *angles) {
  const uint32_t h = head->h, half = h / 2;
  for (uint32_t third = 0; third < 3; third++)
    for (uint32_t i = 0; i < head->n; i++) {
      double *x = head->x[third] + i * h, *bound = head->bound[third] + i * h;
      for (uint32_t e = 0; e < h; e++) {
        x[e] = qkv[(((uint64_t)head->first + i) * 3 + third) * head->H * h + head->index * h + e];
        bound[e] = fabs(x[e]);
      }
      for (uint32_t j = 0; j < half && angles && third < 2; j++) {
        const uint32_t at = (uint32_t)angles->positions[head->first + i] * half + j;
        pair_rotate(x + j, half, angles->cosine[at], angles->sine[at]);
        pair_bound_rotate(bound + j, half, angles->cosine[at], angles->sine[at]);
      }
    }
}

static void head_softmax(struct head *head) {
  const uint32_t n = head->n, h = head->h;
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t keys = head->causal ? i + 1 : n;
    double *P = head->P + (uint64_t)i * n, *A = head->A + (uint64_t)i * n, top = -INFINITY, sum = 0;
    for (uint32_t j = 0; j < keys; j++) {
      P[j] = A[j] = 0;
      for (uint32_t e = 0; e < h; e++) {
        P[j] += head->scale * head->x[0][i * h + e] * head->x[1][j * h + e];
        A[j] += head->scale * head->bound[0][i * h + e] * head->bound[1][j * h + e];
      }
      top = fmax(top, P[j]);
    }
    for (uint32_t j = 0; j < keys; j++)
      sum += exp(P[j] - top);
    head->lse[i] = top + log(sum);
    for (uint32_t j = 0; j < n; j++) {
      P[j] = j < keys ? exp(P[j] - head->lse[i]) : 0;
      A[j] = j < keys ? A[j] : 0;
    }
  }
}

static double row_max(const double *row, uint32_t n) {
  double top = 0;
  for (uint32_t j = 0; j < n; j++)
    top = fmax(top, row[j]);
  return top;
}

/* An error of d in a score changes exp by the factor 1 + d, so every probability carries its score's magnitude. */
static void head_attention_bound(const struct head *head, double *o, double *lse) {
  const uint32_t n = head->n, h = head->h;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t row = ((uint64_t)head->first + i) * head->H + head->index;
    const double worst = 1 + 2 * row_max(head->A + (uint64_t)i * n, n);
    lse[row] = worst + fabs(head->lse[i]);
    for (uint32_t e = 0; e < h; e++)
      for (uint32_t j = 0; j < n; j++)
        o[row * h + e] += head->P[(uint64_t)i * n + j] * worst * head->bound[2][j * h + e];
  }
}

static void make_attention(struct op_case *c) {
  struct plm_op_attention *p = &c->op.u.attention;
  const struct packing *s = &packings[c->variant % PACKINGS];
  const uint32_t T = packing_tokens(s), flags = attention_flags[c->variant / PACKINGS];
  const uint64_t length = (uint64_t)packing_longest(s) + s->head_size;
  c->op.flags = c->optional_flags = flags;
  p->rows = (struct plm_extent){T, PLM_EXTENT_TOKENS};
  p->sequences = (struct plm_extent){s->sequences, PLM_EXTENT_SEQUENCES};
  p->heads = s->heads;
  p->head_size = s->head_size;
  p->length_max = packing_longest(s);
  p->table_rows = TABLE_ROWS;
  p->scale = (float)(1 / sqrt(s->head_size));
  const float *qkv = make_qkv(c, &p->qkv, s);
  make_offsets(c, &p->offsets, s);
  struct angles angles = {0};
  if (flags & PLM_FLAG_ROTARY)
    angles = make_angles(c, &p->positions, &p->cosine, &p->sine, s);
  double *o = case_out(c, &p->o, "o", (uint64_t)T * s->heads * s->head_size, length);
  double *lse = case_out(c, &p->lse, "lse", (uint64_t)T * s->heads, length);
  struct head head;
  head_init(c, &head, s);
  for (uint32_t i = 0; i < s->sequences; head.first += s->lengths[i++])
    for (head.index = 0; head.index < s->heads; head.index++) {
      head.n = s->lengths[i];
      head_load(&head, qkv, flags & PLM_FLAG_ROTARY ? &angles : NULL);
      head_softmax(&head);
      head_attention_bound(&head, o, lse);
    }
  case_label(c, "%s%s%s", s->name, flags & PLM_FLAG_ROTARY ? " rotary" : "", flags & PLM_FLAG_CAUSAL ? " causal" : "");
}

/* ---------------------------------------------------------------- attention_grad */

/* The op's inputs o and lse, as the forward pass leaves them. */
static void head_forward(const struct head *head, float *o, float *lse) {
  const uint32_t n = head->n, h = head->h;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t row = ((uint64_t)head->first + i) * head->H + head->index;
    lse[row] = (float)head->lse[i];
    for (uint32_t e = 0; e < h; e++) {
      double sum = 0;
      for (uint32_t j = 0; j < n; j++)
        sum += head->P[(uint64_t)i * n + j] * head->x[2][j * h + e];
      o[row * h + e] = (float)sum;
    }
  }
}

/* Adds the magnitudes of dq_i, dk_j and dv_j that come from the pair (i, j). */
static void pair_bound(const struct head *head, uint32_t i, uint32_t j, double da, double P, const float *d_o,
                       double *dqkv) {
  const uint32_t h = head->h;
  const uint64_t third = (uint64_t)head->H * h, column = (uint64_t)head->index * h;
  double *dq = dqkv + (head->first + i) * 3 * third + column;
  double *dk = dqkv + (head->first + j) * 3 * third + third + column;
  double *dv = dqkv + (head->first + j) * 3 * third + 2 * third + column;
  for (uint32_t e = 0; e < h; e++) {
    dq[e] += head->scale * da * head->bound[1][j * h + e];
    dk[e] += head->scale * da * head->bound[0][i * h + e];
    dv[e] += P * fabs(d_o[e]);
  }
}

static void head_grad_bound(const struct head *head, const float *o, const float *d_o, double *dqkv) {
  const uint32_t n = head->n, h = head->h;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t row = ((uint64_t)head->first + i) * head->H + head->index;
    double delta = 0;
    for (uint32_t e = 0; e < h; e++)
      delta += fabs((double)d_o[row * h + e] * o[row * h + e]);
    for (uint32_t j = 0; j < n; j++) {
      double dp = 0;
      for (uint32_t e = 0; e < h; e++)
        dp += fabs(d_o[row * h + e]) * head->bound[2][j * h + e];
      /* A float P below 2^-126 may be 0: 2^-107 times the 32 u of every tolerance leaves room for that. */
      const double P =
          head->P[(uint64_t)i * n + j] * (1 + head->A[(uint64_t)i * n + j] + fabs(head->lse[i])) + 0x1p-107;
      pair_bound(head, i, j, P * (dp + delta), P, d_o + row * h, dqkv);
    }
  }
}

/* dq and dk are rotated back: their magnitudes mix as the values do. */
static void rotate_back_bound(double *dqkv, const struct packing *s, const struct angles *angles) {
  const uint32_t h = s->head_size, half = h / 2, T = packing_tokens(s);
  for (uint32_t t = 0; t < T; t++)
    for (uint32_t head = 0; head < 2 * s->heads; head++)
      for (uint32_t j = 0; j < half; j++) {
        const uint32_t at = (uint32_t)angles->positions[t] * half + j;
        pair_bound_rotate(dqkv + ((uint64_t)t * 3 * s->heads + head) * h + j, half, angles->cosine[at],
                          angles->sine[at]);
      }
}

static void make_attention_grad(struct op_case *c) {
  struct plm_op_attention_grad *p = &c->op.u.attention_grad;
  const struct packing *s = &packings[c->variant % PACKINGS];
  const uint32_t T = packing_tokens(s), flags = attention_flags[c->variant / PACKINGS];
  const uint64_t size = (uint64_t)T * s->heads * s->head_size;
  c->op.flags = c->optional_flags = flags;
  p->rows = (struct plm_extent){T, PLM_EXTENT_TOKENS};
  p->sequences = (struct plm_extent){s->sequences, PLM_EXTENT_SEQUENCES};
  p->heads = s->heads;
  p->head_size = s->head_size;
  p->length_max = packing_longest(s);
  p->table_rows = TABLE_ROWS;
  p->scale = (float)(1 / sqrt(s->head_size));
  const float *qkv = make_qkv(c, &p->qkv, s);
  make_offsets(c, &p->offsets, s);
  struct angles angles = {0};
  if (flags & PLM_FLAG_ROTARY)
    angles = make_angles(c, &p->positions, &p->cosine, &p->sine, s);
  float *o = case_f32(c, &p->o, "o", size);
  float *lse = case_f32(c, &p->lse, "lse", (uint64_t)T * s->heads);
  const float *d_o = case_f32(c, &p->d_o, "d_o", size);
  double *dqkv = case_out(c, &p->dqkv, "dqkv", 3 * size, (uint64_t)packing_longest(s) + s->head_size);
  struct head head;
  head_init(c, &head, s);
  for (uint32_t i = 0; i < s->sequences; head.first += s->lengths[i++])
    for (head.index = 0; head.index < s->heads; head.index++) {
      head.n = s->lengths[i];
      head_load(&head, qkv, flags & PLM_FLAG_ROTARY ? &angles : NULL);
      head_softmax(&head);
      head_forward(&head, o, lse);
      head_grad_bound(&head, o, d_o, dqkv);
    }
  if (flags & PLM_FLAG_ROTARY)
    rotate_back_bound(dqkv, s, &angles);
  case_label(c, "%s%s%s", s->name, flags & PLM_FLAG_ROTARY ? " rotary" : "", flags & PLM_FLAG_CAUSAL ? " causal" : "");
}

const struct op_family op_families_attention[] = {
    {PLM_OP_ROTARY, 2 * PACKINGS, make_rotary},
    {PLM_OP_ATTENTION, COUNT(attention_flags) * PACKINGS, make_attention},
    {PLM_OP_ATTENTION_GRAD, COUNT(attention_flags) * PACKINGS, make_attention_grad},
};
const uint32_t op_families_attention_count = COUNT(op_families_attention);
