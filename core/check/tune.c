#include "check/tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "check/case_shaped.h"
#include "check/operands.h"
#include "model/ops.h"

#define ROUNDS_MIN 3u
#define ROUNDS_MAX 25u
#define BLOCK_SECONDS 0.004 /* ops between two readings of the clock */
#define BLOCK_OPS 64u
#define HOPELESS 3.0 /* times the fastest: not timed any more */
#define MARGIN 0.98  /* the standard one stays unless another takes less than this part of its time */
#define WORK 2e7     /* multiply-adds that the reference does for a comparison */
#define SEED 7u

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ------------------------------------------------------------ the list of ops */

void plm_tuning_fini(struct plm_tuning *tuning) {
  for (uint32_t i = 0; i < tuning->count; i++)
    free(tuning->ops[i].candidates);
  free(tuning->ops);
  memset(tuning, 0, sizeof *tuning);
}

int plm_tuning_add(struct plm_tuning *tuning, const struct plm_op *op, uint32_t uses, struct plm_error *err) {
  void *ops = tuning->ops;
  for (uint32_t i = 0; i < tuning->count; i++)
    if (!memcmp(&tuning->ops[i].op, op, sizeof *op)) {
      tuning->ops[i].uses += uses;
      return 0;
    }
  if (plm_memory_grow(&ops, &tuning->capacity, (size_t)tuning->count + 1, sizeof *tuning->ops))
    return plm_error_memory(err, "listing the ops to tune");
  tuning->ops = ops;
  tuning->ops[tuning->count++] = (struct plm_tune_op){.op = *op, .uses = uses};
  return 0;
}

/* ------------------------------------------------------------ one op on the device */

/* An op on buffers of its own, for timing. */
struct bench {
  const struct plm_tune_options *options;
  struct plm_tune_op *t;
  struct plm_case *c;
  struct plm_op op; /* bound */
  struct plm_buffer *data, *ids, *workspace;
  uint64_t workspace_bytes;
  double *samples; /* [count][ROUNDS_MAX] */
  uint32_t *rounds, *block;
};

/* Sequences as proteins are long, as many as the rows hold. */
static struct plm_case_shape shape_of(const struct plm_op *op) {
  static const uint32_t usual[] = {352, 190, 514, 96, 271, 143, 402, 68, 230, 311};
  struct plm_case_shape shape = {0};
  struct plm_op copy = *op;
  uint32_t count;
  const struct plm_extent *extents = plm_op_extents(&copy, &count);
  if (count < 2) {
    shape.rows = extents[0].count;
    return shape;
  }
  const uint32_t most = op->kind == PLM_OP_ATTENTION_GRAD ? op->u.attention_grad.length_max : op->u.attention.length_max;
  uint32_t left = extents[0].count;
  while (left && shape.sequences < PLM_SHAPED_SEQUENCES && shape.sequences < extents[1].count) {
    uint32_t length = usual[shape.sequences % (sizeof usual / sizeof *usual)];
    length = length < most ? length : most;
    length = length < left ? length : left;
    shape.lengths[shape.sequences++] = length;
    left -= length;
  }
  return shape;
}

static double squares_of(const struct plm_case_shape *shape) {
  double sum = 0;
  for (uint32_t s = 0; s < shape->sequences; s++)
    sum += (double)shape->lengths[s] * shape->lengths[s];
  return sum;
}

/* Buffers for floats and for ids with the case's contents, every operand at a multiple of 64 bytes. */
static int bind(struct bench *b, struct plm_error *err) {
  const struct plm_side *side = b->options->tested;
  uint64_t ends[2] = {0, 0};
  b->op = b->c->op;
  for (uint32_t k = 0; k < b->c->count; k++) {
    const struct plm_operand *operand = &b->c->operands[k];
    uint64_t *end = &ends[operand->type == PLM_TYPE_I32];
    *plm_operand_view(operand, &b->op) =
        (struct plm_view){.offset = *end, .bytes = operand->count * 4, .type = operand->type};
    *end += (operand->count * 4 + 63) / 64 * 64;
  }
  int code = side->backend->buffer_create(side->device, ends[0] + 64, PLM_BUFFER_DEVICE, &b->data, err);
  if (!code)
    code = side->backend->buffer_create(side->device, ends[1] + 64, PLM_BUFFER_UPLOAD, &b->ids, err);
  for (uint32_t k = 0; k < b->c->count && !code; k++) {
    const struct plm_operand *operand = &b->c->operands[k];
    struct plm_view *view = plm_operand_view(operand, &b->op);
    view->buffer = operand->type == PLM_TYPE_I32 ? b->ids : b->data;
    code = side->backend->buffer_write(side->queue, view->buffer, view->offset, operand->data, view->bytes, err);
  }
  return code;
}

static void release(struct bench *b) {
  const struct plm_backend *backend = b->options->tested->backend;
  struct plm_error ignored = PLM_ERROR_INIT;
  backend->queue_finish(b->options->tested->queue, &ignored);
  backend->buffer_destroy(b->workspace);
  backend->buffer_destroy(b->ids);
  backend->buffer_destroy(b->data);
  plm_case_destroy(b->c);
  free(b->samples);
  free(b->rounds);
  free(b->block);
}

/* Makes op_run take an implementation, with the workspace that it wants. */
static int take(struct bench *b, uint32_t which, struct plm_error *err) {
  const struct plm_side *side = b->options->tested;
  struct plm_verdict verdict;
  int code = b->options->kernels->choose(side->device, &b->t->op, which, 0, err);
  if (!code)
    code = plm_case_query(&verdict, b->c, side, err);
  if (!code && verdict.status != PLM_VERDICT_SUPPORTED)
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "op_query declines it: %s", verdict.text);
  if (code)
    return code;
  if (verdict.workspace_bytes > b->workspace_bytes) {
    if ((code = side->backend->queue_finish(side->queue, err)))
      return code;
    side->backend->buffer_destroy(b->workspace);
    b->workspace = NULL;
    b->workspace_bytes = 0;
    if ((code = side->backend->buffer_create(side->device, verdict.workspace_bytes, PLM_BUFFER_DEVICE, &b->workspace, err)))
      return code;
    b->workspace_bytes = verdict.workspace_bytes;
  }
  b->op.workspace = (struct plm_view){
      .buffer = b->workspace, .bytes = verdict.workspace_bytes, .type = PLM_TYPE_F32};
  return 0;
}

/* Runs the op count times and waits. */
static int run(double *seconds, const struct bench *b, uint32_t count, struct plm_error *err) {
  const struct plm_side *side = b->options->tested;
  double start = now();
  int code = 0;
  for (uint32_t i = 0; i < count && !code; i++)
    code = side->backend->op_run(side->queue, &b->op, err);
  if (!code)
    code = side->backend->queue_finish(side->queue, err);
  *seconds = now() - start;
  return code;
}

/* ------------------------------------------------------------ right or wrong */

/* What one implementation fails with is its own affair, unless the device is gone. */
static int fatal(int code) { return code == PLM_E_DEVICE_LOST || code == PLM_E_TIMEOUT || code >= PLM_E_USAGE; }

static void failed(struct plm_tune_candidate *candidate, const struct plm_error *err) {
  candidate->state = PLM_TUNE_FAILED;
  snprintf(candidate->text, sizeof candidate->text, "%.250s", err->text);
}

static int compare(struct bench *b, struct plm_tune_candidate *candidate, struct plm_error *err) {
  struct plm_result got = {0};
  struct plm_judgement judgement = {0};
  struct plm_verdict verdict;
  int code = plm_case_query(&verdict, b->c, b->options->tested, err);
  if (!code)
    code = plm_case_run(&got, b->c, b->options->tested, &verdict, err);
  if (code) {
    if (fatal(code))
      return code;
    failed(candidate, err);
    return 0;
  }
  code = plm_case_confirm_part(&judgement, b->c, &got, b->options->reference, WORK, err);
  candidate->worst = judgement.worst;
  if (!code && (got.damage[0] || judgement.wrong)) {
    candidate->state = PLM_TUNE_WRONG;
    snprintf(candidate->text, sizeof candidate->text, "%s", got.damage[0] ? got.damage : judgement.text);
  }
  plm_result_fini(&got);
  return code;
}

/* Names, compares and warms up every implementation. */
static int compare_all(struct bench *b, struct plm_error *err) {
  struct plm_tune_op *t = b->t;
  for (uint32_t which = 0; which < t->count; which++) {
    struct plm_tune_candidate *candidate = &t->candidates[which];
    struct plm_error said = PLM_ERROR_INIT;
    double seconds;
    int code = b->options->kernels->name(b->options->tested->device, &t->op, which, candidate->name, err);
    candidate->name[sizeof candidate->name - 1] = 0;
    if (code)
      return code;
    if ((code = take(b, which, &said)) && !fatal(code))
      failed(candidate, &said);
    else if (!code && !(code = compare(b, candidate, &said)) && candidate->state == PLM_TUNE_RIGHT)
      code = run(&seconds, b, 1, &said);
    if (code && fatal(code)) {
      plm_error_set(err, code, "%s, implementation \"%s\": %.700s", plm_op_name(t->op.kind), candidate->name, said.text);
      return code;
    }
    if (code)
      failed(candidate, &said);
  }
  return 0;
}

/* ------------------------------------------------------------ how fast */

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(double *samples, uint32_t count) {
  qsort(samples, count, sizeof *samples, ascending);
  return count % 2 ? samples[count / 2] : (samples[count / 2 - 1] + samples[count / 2]) / 2;
}

/* One block of every implementation that is still in the race, in turns: what slows the machine down slows all of them. */
static int round_of_all(struct bench *b, struct plm_error *err) {
  for (uint32_t which = 0; which < b->t->count; which++) {
    struct plm_tune_candidate *candidate = &b->t->candidates[which];
    double seconds = 0;
    if (candidate->state != PLM_TUNE_RIGHT)
      continue;
    int code = take(b, which, err);
    if (!code)
      code = run(&seconds, b, b->block[which], err);
    if (code && fatal(code))
      return code;
    if (code) {
      failed(candidate, err);
      continue;
    }
    b->samples[which * ROUNDS_MAX + b->rounds[which]++] = seconds / b->block[which];
    if (b->rounds[which] == 1 && seconds < BLOCK_SECONDS)
      b->block[which] = seconds * BLOCK_OPS > BLOCK_SECONDS ? (uint32_t)(BLOCK_SECONDS / seconds) : BLOCK_OPS;
  }
  return 0;
}

static double least_of(const struct bench *b, uint32_t which) {
  double least = INFINITY;
  for (uint32_t r = 0; r < b->rounds[which]; r++)
    least = fmin(least, b->samples[which * ROUNDS_MAX + r]);
  return least;
}

/* By the best of the first rounds: one slow round may be the machine's. */
static void drop_hopeless(struct bench *b) {
  double fastest = INFINITY;
  for (uint32_t which = 0; which < b->t->count; which++)
    fastest = fmin(fastest, least_of(b, which));
  for (uint32_t which = 0; which < b->t->count; which++)
    if (b->t->candidates[which].state == PLM_TUNE_RIGHT && least_of(b, which) > HOPELESS * fastest)
      b->t->candidates[which].state = PLM_TUNE_SLOW;
}

static int time_all(struct bench *b, double seconds, struct plm_error *err) {
  double start = now();
  for (uint32_t round = 0; round < ROUNDS_MAX && (round < ROUNDS_MIN || now() - start < seconds); round++) {
    int code = round_of_all(b, err);
    if (code)
      return code;
    if (round + 1 == ROUNDS_MIN)
      drop_hopeless(b);
  }
  for (uint32_t which = 0; which < b->t->count; which++) {
    struct plm_tune_candidate *candidate = &b->t->candidates[which];
    double *samples = &b->samples[which * ROUNDS_MAX];
    const uint32_t count = b->rounds[which];
    if (!count)
      continue;
    candidate->seconds = median(samples, count);
    candidate->spread = (samples[count - 1 - count / 4] - samples[count / 4]) / candidate->seconds; /* sorted by now */
  }
  return 0;
}

static void choose(struct plm_tune_op *t) {
  t->winner = t->count;
  for (uint32_t which = 0; which < t->count; which++)
    if (t->candidates[which].state == PLM_TUNE_RIGHT &&
        (t->winner == t->count || t->candidates[which].seconds < t->candidates[t->winner].seconds))
      t->winner = which;
  if (t->winner < t->count && t->candidates[t->standard].state == PLM_TUNE_RIGHT &&
      t->candidates[t->winner].seconds > MARGIN * t->candidates[t->standard].seconds)
    t->winner = t->standard;
}

/* What there is to choose from and what is taken now, and the op's work. */
static int look_at(struct plm_tune_op *t, const struct plm_tune_options *options, struct plm_error *err) {
  const struct plm_case_shape shape = shape_of(&t->op);
  struct plm_extents extents = plm_op_extents_now(&t->op);
  extents.length_squares = squares_of(&shape);
  t->flops = plm_op_flops(&t->op, &extents);
  struct plm_extent *sequences = plm_op_extents(&t->op, &(uint32_t){0}) + 1;
  if (shape.sequences)
    sequences->count = shape.sequences;
  int code = options->kernels->count(options->tested->device, &t->op, &t->count, err);
  if (!code)
    code = options->kernels->chosen(options->tested->device, &t->op, &t->standard, err);
  if (code)
    return code;
  if (t->count == 0 || t->standard >= t->count)
    return plm_error_set(err, PLM_E_INVALID, "x_kernels: %s has %u implementations and takes number %u",
                         plm_op_name(t->op.kind), t->count, t->standard);
  t->candidates = plm_memory_zeroed(t->count, sizeof *t->candidates);
  return t->candidates ? 0 : plm_error_memory(err, "tuning an op");
}

static int tune_op(struct bench *b, double seconds, struct plm_error *err) {
  const struct plm_tune_options *options = b->options;
  struct plm_tune_op *t = b->t;
  const struct plm_case_shape shape = shape_of(&t->op);
  int code;
  b->samples = plm_memory_zeroed((size_t)t->count * ROUNDS_MAX, sizeof *b->samples);
  b->rounds = plm_memory_zeroed(t->count, sizeof *b->rounds);
  b->block = plm_memory_zeroed(t->count, sizeof *b->block);
  if (!b->samples || !b->rounds || !b->block)
    return plm_error_memory(err, "tuning an op");
  for (uint32_t which = 0; which < t->count; which++)
    b->block[which] = 1;
  if ((code = plm_case_shaped(&b->c, &t->op, &shape, SEED, options->tested, err)) || (code = bind(b, err)) ||
      (code = compare_all(b, err)) || (code = time_all(b, seconds, err)))
    return code;
  choose(t);
  const uint32_t taken = t->winner < t->count ? t->winner : t->standard;
  return options->kernels->choose(options->tested->device, &t->op, taken,
                                  t->winner < t->count ? t->candidates[taken].seconds : 0, err);
}

/* Fewest FLOPs first: of ops whose rows the backend takes for one class, the dearest has the last word. */
static uint32_t next_op(const struct plm_tuning *tuning, const unsigned char *done) {
  uint32_t next = tuning->count;
  for (uint32_t i = 0; i < tuning->count; i++)
    if (!done[i] && (next == tuning->count || tuning->ops[i].flops < tuning->ops[next].flops))
      next = i;
  return next;
}

int plm_tune_run(struct plm_tuning *tuning, const struct plm_tune_options *options, struct plm_error *err) {
  unsigned char *done = plm_memory_zeroed(tuning->count, 1);
  int code = done ? 0 : plm_error_memory(err, "tuning");
  for (uint32_t i = 0; i < tuning->count && !code; i++)
    code = look_at(&tuning->ops[i], options, err);
  for (uint32_t n = 0; n < tuning->count && !code; n++) {
    const uint32_t i = next_op(tuning, done);
    struct bench bench = {.options = options, .t = &tuning->ops[i]};
    done[i] = 1;
    if (options->progress)
      options->progress(options->context, tuning, n, i);
    code = tune_op(&bench, options->seconds / tuning->count, err);
    release(&bench);
  }
  free(done);
  return code;
}
