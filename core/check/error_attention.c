/* The bounds of rotary, attention and attention_grad, and which integer contents are legal. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "check/error_terms.h"
#include "check/operands.h"

static int indexes_legal(const struct plm_case *c, const char *name, uint64_t limit, int ascending,
                         struct plm_error *err) {
  const struct plm_operand *operand = plm_operand_find(c, name);
  const int32_t *values = operand->data;
  for (uint64_t i = 0; i < operand->count; i++)
    if (values[i] < 0 || (uint64_t)values[i] >= limit || (ascending && i && values[i] < values[i - 1]))
      return plm_error_set(err, PLM_E_INVALID, "case of %s: %s[%llu] = %d: must be %sin 0..%lld",
                           plm_op_name(c->op.kind), name, (unsigned long long)i, values[i],
                           ascending ? "ascending and " : "", (long long)limit - 1);
  return 0;
}

static int offsets_legal(const struct plm_case *c, uint32_t tokens, uint32_t sequences, struct plm_error *err) {
  const int32_t *offsets = plm_operand_i32(c, "offsets");
  int code = indexes_legal(c, "offsets", (uint64_t)tokens + 1, 1, err);
  if (!code && (offsets[0] != 0 || (uint32_t)offsets[sequences] != tokens))
    code = plm_error_set(err, PLM_E_INVALID, "case of %s: offsets run from %d to %d: must be 0 to %u",
                         plm_op_name(c->op.kind), offsets[0], offsets[sequences], tokens);
  return code;
}

int plm_terms_legal(const struct plm_case *c, struct plm_error *err) {
  const struct plm_op *op = &c->op;
  int code = 0;
  switch (op->kind) {
  case PLM_OP_EMBED:
  case PLM_OP_EMBED_GRAD:
    return indexes_legal(c, "tokens", op->kind == PLM_OP_EMBED ? op->u.embed.vocabulary : op->u.embed_grad.vocabulary,
                         0, err);
  case PLM_OP_GATHER_ROWS:
    return indexes_legal(c, "index", op->u.gather_rows.source.count, 1, err);
  case PLM_OP_SCATTER_ROWS:
    return indexes_legal(c, "index", op->u.scatter_rows.target.count, 1, err);
  case PLM_OP_SOFTMAX_LOSS:
    return indexes_legal(c, "targets", op->u.softmax_loss.vocabulary, 0, err);
  case PLM_OP_ROTARY:
    return indexes_legal(c, "positions", op->u.rotary.table_rows, 0, err);
  case PLM_OP_ATTENTION:
    code = offsets_legal(c, op->u.attention.rows.count, op->u.attention.sequences.count, err);
    if (!code && (op->flags & PLM_FLAG_ROTARY))
      code = indexes_legal(c, "positions", op->u.attention.table_rows, 0, err);
    return code;
  case PLM_OP_ATTENTION_GRAD:
    code = offsets_legal(c, op->u.attention_grad.rows.count, op->u.attention_grad.sequences.count, err);
    if (!code && (op->flags & PLM_FLAG_ROTARY))
      code = indexes_legal(c, "positions", op->u.attention_grad.table_rows, 0, err);
    return code;
  default:
    return 0;
  }
}

/* --------------------------------------------------------------- rotary */

static void pair_rotate(double *x, uint32_t half, double cosine, double sine) {
  const double a = x[0], b = x[half];
  x[0] = a * cosine - b * sine;
  x[half] = b * cosine + a * sine;
}

/* The same of magnitudes: all terms are added. */
static void pair_bound(double *bound, uint32_t half, double cosine, double sine) {
  const double a = bound[0], b = bound[half];
  bound[0] = a * fabs(cosine) + b * fabs(sine);
  bound[half] = b * fabs(cosine) + a * fabs(sine);
}

struct angles {
  const int32_t *positions; /* NULL: nothing is rotated */
  const float *cosine, *sine;
};

static struct angles angles_of(const struct plm_case *c) {
  return (struct angles){plm_operand_i32(c, "positions"), plm_operand_f32(c, "cosine"), plm_operand_f32(c, "sine")};
}

/* The magnitudes [T, 3, H, h] of q and k mix as the values do. */
static void rotate_bounds(double *qkv, const struct angles *angles, uint64_t T, uint32_t H, uint32_t h) {
  const uint32_t half = h / 2;
  for (uint64_t t = 0; t < T; t++)
    for (uint32_t head = 0; head < 2 * H; head++)
      for (uint32_t j = 0; j < half; j++) {
        const uint64_t at = (uint64_t)angles->positions[t] * half + j;
        pair_bound(qkv + (t * 3 * H + head) * h + j, half, angles->cosine[at], angles->sine[at]);
      }
}

void plm_terms_rotary(struct plm_terms *t) {
  const struct plm_op_rotary *p = &t->c->op.u.rotary;
  const uint64_t third = (uint64_t)p->heads * p->head_size;
  const struct angles angles = angles_of(t->c);
  double *qkv = plm_bounds_of(t, "qkv", 2);
  rotate_bounds(qkv, &angles, p->rows.count, p->heads, p->head_size);
  for (uint64_t r = 0; r < p->rows.count; r++)
    for (uint64_t e = 2 * third; e < 3 * third; e++)
      qkv[r * 3 * third + e] = 0; /* v stays as it is */
}

/* ------------------------------------------------------------ attention */

/* One head of one sequence: q, k (rotated), v and their magnitudes, then scores and probabilities. */
struct head {
  uint64_t first, n;
  uint32_t H, h, index;
  double scale;
  int causal;
  const float *qkv;
  struct angles angles;
  double *x[3], *bound[3]; /* [n, h]: q, k, v */
  double *P, *A;           /* [n, n]: scores, later probabilities; sums of |terms| of the scores */
  double *lse;             /* [n] */
  double *memory;
};

static int head_init(struct head *head, uint64_t n) {
  const uint64_t plane = n * head->h;
  head->memory = plm_memory_zeroed((size_t)(6 * plane + 2 * n * n + n), sizeof(double));
  if (!head->memory)
    return PLM_E_NO_MEMORY;
  for (int i = 0; i < 3; i++) {
    head->x[i] = head->memory + (uint64_t)i * plane;
    head->bound[i] = head->memory + (uint64_t)(3 + i) * plane;
  }
  head->P = head->memory + 6 * plane;
  head->A = head->P + n * n;
  head->lse = head->A + n * n;
  return 0;
}

static void head_load(struct head *head) {
  const uint32_t h = head->h, half = h / 2;
  for (uint32_t third = 0; third < 3; third++)
    for (uint64_t i = 0; i < head->n; i++) {
      double *x = head->x[third] + i * h, *bound = head->bound[third] + i * h;
      const float *from = head->qkv + (((head->first + i) * 3 + third) * head->H + head->index) * h;
      for (uint32_t e = 0; e < h; e++) {
        x[e] = from[e];
        bound[e] = plm_term(from[e]);
      }
      for (uint32_t j = 0; j < half && head->angles.positions && third < 2; j++) {
        const uint64_t at = (uint64_t)head->angles.positions[head->first + i] * half + j;
        pair_rotate(x + j, half, head->angles.cosine[at], head->angles.sine[at]);
        pair_bound(bound + j, half, head->angles.cosine[at], head->angles.sine[at]);
      }
    }
}

static uint64_t keys_of(const struct head *head, uint64_t i) { return head->causal ? i + 1 : head->n; }

static void head_scores(struct head *head) {
  const uint64_t n = head->n;
  const uint32_t h = head->h;
  for (uint64_t i = 0; i < n; i++) {
    double *P = head->P + i * n, *A = head->A + i * n, top = -INFINITY, sum = 0;
    for (uint64_t j = 0; j < keys_of(head, i); j++) {
      P[j] = A[j] = 0;
      for (uint32_t e = 0; e < h; e++) {
        P[j] += head->scale * head->x[0][i * h + e] * head->x[1][j * h + e];
        A[j] += fabs(head->scale) * head->bound[0][i * h + e] * head->bound[1][j * h + e];
      }
      top = fmax(top, P[j]);
    }
    for (uint64_t j = 0; j < keys_of(head, i); j++)
      sum += exp(P[j] - top);
    head->lse[i] = top + log(sum);
  }
}

/* Scores become probabilities, by the head's own log-sum or the one given [T, H]. */
static void head_probabilities(struct head *head, const float *lse) {
  const uint64_t n = head->n;
  for (uint64_t i = 0; i < n; i++) {
    const double norm = lse ? lse[(head->first + i) * head->H + head->index] : head->lse[i];
    for (uint64_t j = 0; j < n; j++)
      if (j < keys_of(head, i))
        head->P[i * n + j] = exp(head->P[i * n + j] - norm);
      else
        head->P[i * n + j] = head->A[i * n + j] = 0;
  }
}

static double row_max(const double *row, uint64_t n) {
  double top = 0;
  for (uint64_t j = 0; j < n; j++)
    top = fmax(top, row[j]);
  return top;
}

/* An error of d in a score changes exp by the factor 1 + d, so every probability carries its score's magnitude. */
static void head_forward_bound(const struct head *head, double *o, double *lse) {
  const uint64_t n = head->n;
  for (uint64_t i = 0; i < n; i++) {
    const uint64_t row = (head->first + i) * head->H + head->index;
    const double worst = 1 + 2 * row_max(head->A + i * n, n);
    lse[row] = worst + fabs(head->lse[i]);
    for (uint64_t j = 0; j < keys_of(head, i); j++)
      for (uint32_t e = 0; e < head->h; e++)
        o[row * head->h + e] += (head->P[i * n + j] + PLM_TERM_TINY) * worst * head->bound[2][j * head->h + e];
  }
}

/* What the heads of a case share, and its longest sequence. */
static struct head head_of(const struct plm_case *c, uint32_t heads, uint32_t head_size, float scale) {
  return (struct head){.H = heads,
                       .h = head_size,
                       .scale = scale,
                       .causal = (c->op.flags & PLM_FLAG_CAUSAL) != 0,
                       .qkv = plm_operand_f32(c, "qkv"),
                       .angles = angles_of(c)};
}

static uint64_t longest(const int32_t *offsets, uint32_t sequences) {
  uint64_t n = 1;
  for (uint32_t s = 0; s < sequences; s++)
    if ((uint64_t)(offsets[s + 1] - offsets[s]) > n)
      n = (uint64_t)(offsets[s + 1] - offsets[s]);
  return n;
}

void plm_terms_attention(struct plm_terms *t) {
  const struct plm_op_attention *p = &t->c->op.u.attention;
  const int32_t *offsets = plm_operand_i32(t->c, "offsets");
  const uint64_t n = longest(offsets, p->sequences.count);
  double *o = plm_bounds_of(t, "o", n + p->head_size), *lse = plm_bounds_of(t, "lse", n + p->head_size);
  struct head head = head_of(t->c, p->heads, p->head_size, p->scale);
  t->code = head_init(&head, n);
  for (uint32_t s = 0; s < p->sequences.count && !t->code; s++)
    for (head.index = 0; head.index < head.H; head.index++) {
      head.first = (uint64_t)offsets[s];
      head.n = (uint64_t)(offsets[s + 1] - offsets[s]);
      head_load(&head);
      head_scores(&head);
      head_probabilities(&head, NULL);
      head_forward_bound(&head, o, lse);
    }
  free(head.memory);
}

/* ------------------------------------------------------- attention_grad */

/* Adds the magnitudes of dq_i, dk_j and dv_j that come from the pair (i, j). */
static void pair_grad_bound(const struct head *head, uint64_t i, uint64_t j, double da, double P, const float *d_o,
                            double *dqkv) {
  const uint32_t h = head->h;
  const uint64_t third = (uint64_t)head->H * h, column = (uint64_t)head->index * h;
  double *dq = dqkv + (head->first + i) * 3 * third + column;
  double *dk = dqkv + (head->first + j) * 3 * third + third + column;
  double *dv = dqkv + (head->first + j) * 3 * third + 2 * third + column;
  for (uint32_t e = 0; e < h; e++) {
    dq[e] += fabs(head->scale) * da * head->bound[1][j * h + e];
    dk[e] += fabs(head->scale) * da * head->bound[0][i * h + e];
    dv[e] += P * plm_term(d_o[e]);
  }
}

static void head_grad_bound(const struct head *head, const float *o, const float *lse, const float *d_o, double *dqkv) {
  const uint64_t n = head->n;
  const uint32_t h = head->h;
  for (uint64_t i = 0; i < n; i++) {
    const uint64_t row = (head->first + i) * head->H + head->index;
    double delta = 0;
    for (uint32_t e = 0; e < h; e++)
      delta += plm_term(d_o[row * h + e]) * plm_term(o[row * h + e]);
    for (uint64_t j = 0; j < keys_of(head, i); j++) {
      double dp = 0;
      for (uint32_t e = 0; e < h; e++)
        dp += plm_term(d_o[row * h + e]) * head->bound[2][j * h + e];
      const double P = head->P[i * n + j] * (1 + head->A[i * n + j] + fabs(lse[row])) + PLM_TERM_TINY;
      pair_grad_bound(head, i, j, P * (dp + delta), P, d_o + row * h, dqkv);
    }
  }
}

void plm_terms_attention_grad(struct plm_terms *t) {
  const struct plm_op_attention_grad *p = &t->c->op.u.attention_grad;
  const int32_t *offsets = plm_operand_i32(t->c, "offsets");
  const float *o = plm_operand_f32(t->c, "o"), *lse = plm_operand_f32(t->c, "lse"), *d_o = plm_operand_f32(t->c, "d_o");
  const uint64_t n = longest(offsets, p->sequences.count);
  double *dqkv = plm_bounds_of(t, "dqkv", n + p->head_size);
  struct head head = head_of(t->c, p->heads, p->head_size, p->scale);
  t->code = head_init(&head, n);
  for (uint32_t s = 0; s < p->sequences.count && !t->code; s++)
    for (head.index = 0; head.index < head.H; head.index++) {
      head.first = (uint64_t)offsets[s];
      head.n = (uint64_t)(offsets[s + 1] - offsets[s]);
      head_load(&head);
      head_scores(&head);
      head_probabilities(&head, lse);
      head_grad_bound(&head, o, lse, d_o, dqkv);
    }
  free(head.memory);
  if (!t->code && head.angles.positions)
    rotate_bounds(dqkv, &head.angles, p->rows.count, p->heads, p->head_size);
}
