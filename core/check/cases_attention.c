/* Cases of rotary, attention and attention_grad. */
#include <math.h>

#include "check/family.h"

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
    {"proteins of one residue", 4, 24, 5, {3, 3, 3, 3, 3}, 1},
    {"a protein of 1024 residues", 1, 24, 2, {1026, 3}, 1},
    {"head of 4", 20, 4, 2, {130, 61}, 1},
};
#define PACKINGS PLM_COUNT(packings)
#define PACKING_HOSTILE 7u /* head of 6: the middle sequence is hit, the others stay clean */

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

/* A table longer than any sequence: its end is not where the positions end. */
static uint32_t packing_table(const struct packing *s) { return packing_longest(s) + 3; }

static void fill_offsets(const struct plm_case *c, const struct packing *s) {
  int32_t *offsets = plm_operand_i32(c, "offsets");
  for (uint32_t i = 0; i < s->sequences; i++)
    offsets[i + 1] = offsets[i] + (int32_t)s->lengths[i];
}

static void fill_angles(const struct plm_case *c, const struct packing *s) {
  const uint32_t half = s->head_size / 2, rows = packing_table(s);
  int32_t *at = plm_operand_i32(c, "positions");
  float *cosine = plm_operand_f32(c, "cosine"), *sine = plm_operand_f32(c, "sine");
  if (!at)
    return;
  for (uint32_t i = 0, t = 0; i < s->sequences; i++)
    for (uint32_t k = 0; k < s->lengths[i]; k++)
      at[t++] = (int32_t)k;
  for (uint32_t p = 0; p < rows; p++)
    for (uint32_t j = 0; j < half; j++) {
      const double angle = p * pow(10000, -2.0 * j / s->head_size);
      cosine[p * half + j] = (float)cos(angle);
      sine[p * half + j] = (float)sin(angle);
    }
}

/* ---------------------------------------------------------------- rotary */

static void shape_rotary(struct plm_case *c, uint32_t variant) {
  struct plm_op_rotary *p = &c->op.u.rotary;
  const struct packing *s = &packings[variant % PACKINGS];
  c->op.flags = variant / PACKINGS ? PLM_FLAG_INVERSE : 0;
  p->rows = (struct plm_extent){packing_tokens(s), PLM_EXTENT_TOKENS};
  p->heads = s->heads;
  p->head_size = s->head_size;
  p->table_rows = packing_table(s);
  plm_family_label(c, "%s%s", s->name, c->op.flags ? " inverse" : "");
}

static void fill_rotary(struct plm_case *c, uint32_t variant) {
  fill_angles(c, &packings[variant % PACKINGS]);
}

/* ------------------------------------------------------------- attention */

static const uint32_t attention_flags[] = {0, PLM_FLAG_ROTARY, PLM_FLAG_CAUSAL, PLM_FLAG_CAUSAL | PLM_FLAG_ROTARY};
#define ATTENTIONS (PLM_COUNT(attention_flags) * PACKINGS)

static void label_attention(struct plm_case *c, const struct packing *s) {
  plm_family_label(c, "%s%s%s", s->name, c->op.flags & PLM_FLAG_ROTARY ? " rotary" : "",
                   c->op.flags & PLM_FLAG_CAUSAL ? " causal" : "");
}

static void shape_attention(struct plm_case *c, uint32_t variant) {
  struct plm_op_attention *p = &c->op.u.attention;
  const struct packing *s = &packings[variant % PACKINGS];
  c->op.flags = c->optional_flags = attention_flags[variant / PACKINGS];
  p->rows = (struct plm_extent){packing_tokens(s), PLM_EXTENT_TOKENS};
  p->sequences = (struct plm_extent){s->sequences, PLM_EXTENT_SEQUENCES};
  p->heads = s->heads;
  p->head_size = s->head_size;
  p->length_max = packing_longest(s);
  p->table_rows = packing_table(s);
  p->scale = (float)(1 / sqrt(s->head_size));
  label_attention(c, s);
}

static void fill_attention(struct plm_case *c, uint32_t variant) {
  const struct packing *s = &packings[variant % PACKINGS];
  plm_family_spread(c, "qkv", s->spread, 0);
  fill_offsets(c, s);
  fill_angles(c, s);
}

static void shape_attention_grad(struct plm_case *c, uint32_t variant) {
  struct plm_op_attention_grad *p = &c->op.u.attention_grad;
  const struct packing *s = &packings[variant % PACKINGS];
  c->op.flags = c->optional_flags = attention_flags[variant / PACKINGS];
  p->rows = (struct plm_extent){packing_tokens(s), PLM_EXTENT_TOKENS};
  p->sequences = (struct plm_extent){s->sequences, PLM_EXTENT_SEQUENCES};
  p->heads = s->heads;
  p->head_size = s->head_size;
  p->length_max = packing_longest(s);
  p->table_rows = packing_table(s);
  p->scale = (float)(1 / sqrt(s->head_size));
  label_attention(c, s);
}

/* One row of q or k of a head, rotated when the case says so. */
static void load_rotated(double *out, const struct plm_case *c, const struct packing *s, const float *from, uint32_t t) {
  const uint32_t h = s->head_size, half = h / 2;
  const int32_t *positions = plm_operand_i32(c, "positions");
  for (uint32_t j = 0; j < half; j++) {
    const uint32_t at = positions ? (uint32_t)positions[t] * half + j : 0;
    const double cosine = positions ? plm_operand_f32(c, "cosine")[at] : 1;
    const double sine = positions ? plm_operand_f32(c, "sine")[at] : 0;
    out[j] = from[j] * cosine - from[j + half] * sine;
    out[j + half] = from[j + half] * cosine + from[j] * sine;
  }
}

struct row {
  uint32_t t, first, keys, head; /* query token; the keys it sees */
};

/* The op's inputs o and lse for one query, as the forward pass leaves them. */
static void forward_row(const struct plm_case *c, const struct packing *s, const struct row *row, double *scores) {
  const uint32_t h = s->head_size, H = s->heads;
  const float *qkv = plm_operand_f32(c, "qkv");
  float *o = plm_operand_f32(c, "o") + ((uint64_t)row->t * H + row->head) * h;
  double q[128], k[128], sum[128] = {0}, top = -INFINITY, total = 0;
  load_rotated(q, c, s, qkv + ((uint64_t)row->t * 3 * H + row->head) * h, row->t);
  for (uint32_t j = 0; j < row->keys; j++) {
    load_rotated(k, c, s, qkv + (((uint64_t)row->first + j) * 3 * H + H + row->head) * h, row->first + j);
    scores[j] = 0;
    for (uint32_t e = 0; e < h; e++)
      scores[j] += c->op.u.attention_grad.scale * q[e] * k[e];
    top = fmax(top, scores[j]);
  }
  for (uint32_t j = 0; j < row->keys; j++) {
    const float *v = qkv + (((uint64_t)row->first + j) * 3 * H + 2 * H + row->head) * h;
    const double weight = exp(scores[j] - top);
    total += weight;
    for (uint32_t e = 0; e < h; e++)
      sum[e] += weight * v[e];
  }
  plm_operand_f32(c, "lse")[(uint64_t)row->t * H + row->head] = (float)(top + log(total));
  for (uint32_t e = 0; e < h; e++)
    o[e] = (float)(sum[e] / total);
}

static void fill_attention_grad(struct plm_case *c, uint32_t variant) {
  const struct packing *s = &packings[variant % PACKINGS];
  double scores[1026];
  plm_family_spread(c, "qkv", s->spread, 0);
  fill_offsets(c, s);
  fill_angles(c, s);
  struct row row = {0};
  for (uint32_t i = 0; i < s->sequences; row.first += s->lengths[i++])
    for (uint32_t k = 0; k < s->lengths[i]; k++)
      for (row.head = 0; row.head < s->heads; row.head++) {
        row.t = row.first + k;
        row.keys = c->op.flags & PLM_FLAG_CAUSAL ? k + 1 : s->lengths[i];
        forward_row(c, s, &row, scores);
      }
}

const struct plm_family plm_families_attention[] = {
    {PLM_OP_ROTARY, 2 * PACKINGS, shape_rotary, NULL, fill_rotary, PACKING_HOSTILE, 2, PACKINGS, {{"qkv", 1}, {"qkv", 3}}},
    {PLM_OP_ATTENTION, ATTENTIONS, shape_attention, NULL, fill_attention, PACKING_HOSTILE, PLM_COUNT(attention_flags),
     PACKINGS, {{"qkv", 1}, {"qkv", 2}, {"qkv", 3}}},
    /* Not under CAUSAL: whether 0 * NaN of a pair that is hidden reaches a gradient is left to tiles. */
    {PLM_OP_ATTENTION_GRAD, ATTENTIONS, shape_attention_grad, NULL, fill_attention_grad, PACKING_HOSTILE, 2, PACKINGS,
     {{"qkv", 1}, {"qkv", 3}, {"d_o", 0}}},
};
const uint32_t plm_families_attention_count = PLM_COUNT(plm_families_attention);
