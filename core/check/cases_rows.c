/* Cases of fill, embed, embed_grad, layer_norm, layer_norm_grad, gather_rows .. record. */
#include <math.h>

#include "check/family.h"

static struct plm_extent tokens_of(uint32_t count) { return (struct plm_extent){count, PLM_EXTENT_TOKENS}; }
static struct plm_extent masked_of(uint32_t count) { return (struct plm_extent){count, PLM_EXTENT_MASKED}; }

static const struct {
  uint32_t count;
  float value;
} fills[] = {{1, 0}, {7, -1.5f}, {0, 0}, {64, -1.5f}, {1031, 0}, {100003, -1.5f}, {33, NAN}, {65, -INFINITY}};

static void shape_fill(struct plm_case *c, uint32_t variant) {
  struct plm_op_fill *p = &c->op.u.fill;
  p->count = fills[variant].count;
  p->value = fills[variant].value;
  plm_family_label(c, "%llu of %g", (unsigned long long)p->count, (double)p->value);
}

/* ---------------------------------------------------------- rows by id */

static const struct {
  uint32_t tokens, vocabulary, width;
} tables[] = {{1, 1, 1}, {5, 33, 7}, {0, 33, 8}, {257, 33, 20}, {64, 33, 64}, {31, 2, 67}, {300, 7, 3}, {4099, 33, 320}, {70001, 33, 3}};
#define TABLES PLM_COUNT(tables)
#define TABLE_HOSTILE 3u /* 257 tokens, V=33, D=20 */

static void label_table(struct plm_case *c, uint32_t variant) {
  plm_family_label(c, "T=%u V=%u D=%u", tables[variant].tokens, tables[variant].vocabulary, tables[variant].width);
}

static void shape_embed(struct plm_case *c, uint32_t variant) {
  struct plm_op_embed *p = &c->op.u.embed;
  p->rows = tokens_of(tables[variant].tokens);
  p->vocabulary = tables[variant].vocabulary;
  p->width = tables[variant].width;
  label_table(c, variant);
}

static void shape_embed_grad(struct plm_case *c, uint32_t variant) {
  struct plm_op_embed_grad *p = &c->op.u.embed_grad;
  p->rows = tokens_of(tables[variant].tokens);
  p->vocabulary = tables[variant].vocabulary;
  p->width = tables[variant].width;
  label_table(c, variant);
}

/* Some scales are 0, as at <mask>. */
static void fill_table(struct plm_case *c, uint32_t variant) {
  float *scale = plm_operand_f32(c, "scale");
  for (uint32_t t = 0; t < tables[variant].tokens; t += 5)
    scale[t] = 0;
  plm_family_ids(c, "tokens", tables[variant].vocabulary);
}

static const struct {
  uint32_t rows, source, width;
} picks[] = {{1, 1, 1}, {3, 17, 5}, {0, 9, 4}, {39, 257, 20}, {64, 64, 64}, {7, 300, 67}, {0, 1, 1}, {611, 4099, 320}, {66001, 70001, 2}};
#define PICKS PLM_COUNT(picks)
#define PICK_HOSTILE 4u /* all 64 rows of 64: the planted value is among them */

static void shape_gather_rows(struct plm_case *c, uint32_t variant) {
  struct plm_op_gather_rows *p = &c->op.u.gather_rows;
  p->rows = masked_of(picks[variant].rows);
  p->source = tokens_of(picks[variant].source);
  p->width = picks[variant].width;
  plm_family_label(c, "%u of %u rows of %u", p->rows.count, p->source.count, p->width);
}

static void shape_scatter_rows(struct plm_case *c, uint32_t variant) {
  struct plm_op_scatter_rows *p = &c->op.u.scatter_rows;
  p->rows = masked_of(picks[variant].rows);
  p->target = tokens_of(picks[variant].source);
  p->width = picks[variant].width;
  plm_family_label(c, "%u to %u rows of %u", p->rows.count, p->target.count, p->width);
}

static void fill_picks(struct plm_case *c, uint32_t variant) { plm_family_ascending(c, "index", picks[variant].source); }

/* ---------------------------------------------------------- layer_norm */

static const struct {
  uint32_t rows, width;
  float offset, spread; /* of x: a large mean finds variances computed as a difference of squares */
} norms[] = {{1, 1, 0, 1},    {3, 7, 0, 1},      {0, 8, 0, 1},      {257, 20, 0, 1}, {64, 64, 0, 1},      {17, 67, 0, 30},
             {5, 320, 1000, 1}, {13, 1031, 10, 1}, {4, 33, 3, 0},   {9, 129, 0, 0.001f}, {1031, 320, 0, 1}, {70001, 4, 0, 1}};
#define NORMS PLM_COUNT(norms)
#define NORM_HOSTILE 5u /* 17x67 */
#define EPSILON 1e-5f

static void shape_layer_norm(struct plm_case *c, uint32_t variant) {
  struct plm_op_layer_norm *p = &c->op.u.layer_norm;
  p->rows = tokens_of(norms[variant].rows);
  p->width = norms[variant].width;
  p->epsilon = EPSILON;
  plm_family_label(c, "%ux%u mean %g spread %g", p->rows.count, p->width, (double)norms[variant].offset,
                   (double)norms[variant].spread);
}

static void fill_layer_norm(struct plm_case *c, uint32_t variant) {
  plm_family_spread(c, "x", norms[variant % NORMS].spread, norms[variant % NORMS].offset);
}

/* The second round accumulates. */
static void shape_layer_norm_grad(struct plm_case *c, uint32_t variant) {
  struct plm_op_layer_norm_grad *p = &c->op.u.layer_norm_grad;
  const uint32_t shape = variant % NORMS;
  c->op.flags = variant / NORMS ? PLM_FLAG_ACCUMULATE : 0;
  p->rows = tokens_of(norms[shape].rows);
  p->width = norms[shape].width;
  plm_family_label(c, "%ux%u mean %g spread %g%s", p->rows.count, p->width, (double)norms[shape].offset,
                   (double)norms[shape].spread, c->op.flags ? " accumulate" : "");
}

/* mean and rstd as the forward op leaves them. */
static void fill_layer_norm_grad(struct plm_case *c, uint32_t variant) {
  const uint32_t D = norms[variant % NORMS].width;
  float *means = plm_operand_f32(c, "mean"), *rstds = plm_operand_f32(c, "rstd");
  fill_layer_norm(c, variant);
  for (uint32_t r = 0; r < norms[variant % NORMS].rows; r++) {
    const float *x = plm_operand_f32(c, "x") + (uint64_t)r * D;
    double mean = 0, variance = 0;
    for (uint32_t d = 0; d < D; d++)
      mean += x[d] / (double)D;
    for (uint32_t d = 0; d < D; d++)
      variance += (x[d] - mean) * (x[d] - mean) / D;
    means[r] = (float)mean;
    rstds[r] = (float)(1 / sqrt(variance + (double)EPSILON));
  }
}

/* ---------------------------------------------------------- loss */

static const struct {
  uint32_t rows, vocabulary;
  float spread;
} losses[] = {{1, 1, 1}, {5, 33, 1}, {0, 33, 1}, {39, 33, 10}, {257, 33, 3}, {7, 67, 100}, {3, 300, 1}, {1031, 33, 2}, {70001, 3, 1}};
#define LOSSES PLM_COUNT(losses)
#define LOSS_HOSTILE 3u /* 39x33 */

/* Rounds: loss only, with gradient, gradient in place. */
static void shape_softmax_loss(struct plm_case *c, uint32_t variant) {
  static const char *const rounds[] = {"", " gradient", " gradient in place"};
  struct plm_op_softmax_loss *p = &c->op.u.softmax_loss;
  const uint32_t shape = variant % LOSSES;
  c->op.flags = variant / LOSSES ? PLM_FLAG_GRADIENT : 0;
  p->rows = masked_of(losses[shape].rows);
  p->vocabulary = losses[shape].vocabulary;
  plm_family_label(c, "%ux%u spread %g%s", p->rows.count, p->vocabulary, (double)losses[shape].spread,
                   rounds[variant / LOSSES]);
}

static void place_softmax_loss(struct plm_case *c, uint32_t variant) {
  if (variant / LOSSES == 2)
    plm_family_in_place(c, "dlogits", "logits");
}

static void fill_softmax_loss(struct plm_case *c, uint32_t variant) {
  plm_family_spread(c, "logits", losses[variant % LOSSES].spread, 0);
  plm_family_ids(c, "targets", losses[variant % LOSSES].vocabulary);
}

static const uint32_t sums[] = {1, 7, 0, 64, 257, 70001};
#define SUMS PLM_COUNT(sums)
#define SUM_HOSTILE (4u + 2 * SUMS) /* 257 weighted */

/* Rounds: plain, accumulate, weighted, both. */
static void shape_reduce_sum(struct plm_case *c, uint32_t variant) {
  struct plm_op_reduce_sum *p = &c->op.u.reduce_sum;
  c->op.flags = variant / SUMS & 1 ? PLM_FLAG_ACCUMULATE : 0;
  p->rows = masked_of(sums[variant % SUMS]);
  p->weights.bytes = variant / SUMS >> 1;
  plm_family_label(c, "%u%s%s", p->rows.count, p->weights.bytes ? " weighted" : "",
                   c->op.flags ? " accumulate" : "");
}

static const struct {
  uint32_t count, capacity;
  int32_t index;
} records[] = {{1, 1, 0}, {3, 16, 5}, {3, 16, 16}, {5, 7, 1000003}, {8, 1, 2147483647}};
#define RECORDS PLM_COUNT(records)

static void shape_record(struct plm_case *c, uint32_t variant) {
  struct plm_op_record *p = &c->op.u.record;
  p->count = records[variant].count;
  p->capacity = records[variant].capacity;
  plm_family_label(c, "%u values to row %u of %u", p->count, (uint32_t)records[variant].index % p->capacity,
                   p->capacity);
}

static void fill_record(struct plm_case *c, uint32_t variant) { plm_operand_i32(c, "index")[0] = records[variant].index; }

/* ---------------------------------------------------------- optimizer */

static const struct {
  uint32_t count;
  float norm_max, spread, planted; /* planted: put in the middle when not 0 */
} gradients[] = {{1, 1, 1, 0},      {33, 0, 1, 0},         {1000, 1, 0.001f, 0}, {100003, 1, 1, 0},
                 {0, 1, 1, 0},      {257, 1, 1, INFINITY}, {300, 0, 1, NAN},     {64, 1, 0, 0},
                 {513, 5, 1e9f, 0}, {31, 1, 1, -INFINITY}, {1000003, 1, 0.01f, 0}};
#define GRADIENTS PLM_COUNT(gradients)

static void shape_grad_norm(struct plm_case *c, uint32_t variant) {
  struct plm_op_grad_norm *p = &c->op.u.grad_norm;
  p->count = gradients[variant].count;
  p->norm_max = gradients[variant].norm_max;
  plm_family_label(c, "%llu norm_max %g spread %g planted %g", (unsigned long long)p->count, (double)p->norm_max,
                   (double)gradients[variant].spread, (double)gradients[variant].planted);
}

static void fill_grad_norm(struct plm_case *c, uint32_t variant) {
  plm_family_spread(c, "grads", gradients[variant].spread, 0);
  if (gradients[variant].planted != 0)
    plm_operand_f32(c, "grads")[gradients[variant].count / 2] = gradients[variant].planted;
}

static const struct {
  uint32_t count, step;
  float finite, clip, decay;
} updates[] = {{1, 1, 1, 1, 0.01f},   {33, 2, 1, 0.25f, 0},        {1031, 1000, 1, 1, 0.1f},
               {257, 3, 0, 0, 0.01f}, {65537, 10, 1, 0.5f, 0.01f}, {0, 1, 1, 1, 0.01f}};
#define UPDATES PLM_COUNT(updates)
#define UPDATE_HOSTILE 1u /* 33 */

static void shape_adamw(struct plm_case *c, uint32_t variant) {
  struct plm_op_adamw *p = &c->op.u.adamw;
  p->count = updates[variant].count;
  p->beta1 = 0.9f;
  p->beta2 = 0.98f;
  p->epsilon = 1e-8f;
  p->decay = updates[variant].decay;
  p->rate_scale = 0.5f;
  plm_family_label(c, "%llu step %u finite %g clip %g", (unsigned long long)p->count, updates[variant].step,
                   (double)updates[variant].finite, (double)updates[variant].clip);
}

static void fill_adamw(struct plm_case *c, uint32_t variant) {
  float *v = plm_operand_f32(c, "v"), *control = plm_operand_f32(c, "control");
  float *schedule = plm_operand_f32(c, "schedule");
  for (uint32_t i = 0; i < updates[variant].count; i++)
    v[i] = fabsf(v[i]);
  control[1] = updates[variant].finite;
  control[2] = updates[variant].clip;
  schedule[0] = 1e-3f;
  schedule[1] = (float)(1 - pow((double)c->op.u.adamw.beta1, updates[variant].step));
  schedule[2] = (float)(1 - pow((double)c->op.u.adamw.beta2, updates[variant].step));
}

const struct plm_family plm_families_rows[] = {
    {PLM_OP_FILL, PLM_COUNT(fills), shape_fill, NULL, NULL, 0, 0, 0, {{0}}},
    {PLM_OP_EMBED, TABLES, shape_embed, NULL, fill_table, TABLE_HOSTILE, 1, 0, {{"table", 0}, {"scale", 0}}},
    {PLM_OP_EMBED_GRAD, TABLES, shape_embed_grad, NULL, fill_table, TABLE_HOSTILE, 1, 0, {{"dy", 0}, {"dtable", 0}}},
    {PLM_OP_LAYER_NORM, NORMS, shape_layer_norm, NULL, fill_layer_norm, NORM_HOSTILE, 1, 0, {{"x", 0}, {"gamma", 0}}},
    {PLM_OP_LAYER_NORM_GRAD, 2 * NORMS, shape_layer_norm_grad, NULL, fill_layer_norm_grad, NORM_HOSTILE,
     2, NORMS, {{"dy", 0}, {"x", 0}}},
    {PLM_OP_GATHER_ROWS, PICKS, shape_gather_rows, NULL, fill_picks, PICK_HOSTILE, 1, 0, {{"x", 0}}},
    {PLM_OP_SCATTER_ROWS, PICKS, shape_scatter_rows, NULL, fill_picks, PICK_HOSTILE, 1, 0, {{"x", 0}}},
    {PLM_OP_SOFTMAX_LOSS, 3 * LOSSES, shape_softmax_loss, place_softmax_loss, fill_softmax_loss, LOSS_HOSTILE,
     3, LOSSES, {{"logits", 0}}},
    {PLM_OP_REDUCE_SUM, 4 * SUMS, shape_reduce_sum, NULL, NULL, SUM_HOSTILE, 2, SUMS, {{"x", 0}, {"weights", 0}}},
    {PLM_OP_GRAD_NORM, GRADIENTS, shape_grad_norm, NULL, fill_grad_norm, 0, 1, 0, {{"grads", 0}}},
    {PLM_OP_ADAMW, UPDATES, shape_adamw, NULL, fill_adamw, UPDATE_HOSTILE, 1, 0, {{"grads", 0}, {"m", 0}}},
    {PLM_OP_RECORD, RECORDS, shape_record, NULL, fill_record, 1, 1, 0, {{"x", 0}}},
};
const uint32_t plm_families_rows_count = PLM_COUNT(plm_families_rows);
