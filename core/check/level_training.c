/*
 * Level 4: a tiny protein-like model trained by the same host code on the tested backend and on the reference. Both see the very
 * same weights, sequences and masks, so their losses may differ by rounding alone.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "check/check_test.h"
#include "data/alphabet.h"
#include "runtime/session.h"

#define STEPS 16u
#define HALF (STEPS / 2)
#define TOKENS 288u
#define LENGTH_MAX 64u
static const struct plm_shape shape = {.layers = 2, .width = 32, .heads = 2};

/* ---------------------------------------------------------------- batches */

/* Token number i of a sequence: residues follow each other by a rule with noise, so that there is something to learn. */
static int32_t residue(uint64_t seed, uint32_t step, uint32_t sequence, uint32_t i, int32_t before) {
  const uint32_t word = plm_rng_word(seed, PLM_RNG_TEST, 9200 + step, sequence, i);
  const int32_t next = (before - PLM_TOKEN_STANDARD + 3) % 6;
  return PLM_TOKEN_STANDARD + (word % 4 == 0 ? (int32_t)(word / 4 % PLM_STANDARD_COUNT) : next);
}

/* Every seventh residue is selected; of those four in five become <mask>, as in ESM-2. */
static uint32_t add_sequence(struct plm_batch *batch, uint64_t seed, uint32_t step, uint32_t sequence, uint32_t length) {
  const uint32_t first = batch->tokens;
  uint32_t masks = 0;
  int32_t before = PLM_TOKEN_STANDARD;
  for (uint32_t i = 0; i < length; i++) {
    const uint32_t t = first + i;
    batch->position[t] = (int32_t)i;
    batch->token[t] = i == 0 ? PLM_TOKEN_CLS : i + 1 == length ? PLM_TOKEN_EOS
                                                               : (before = residue(seed, step, sequence, i, before));
    if (i == 0 || i + 1 == length || (i + step) % 7)
      continue;
    batch->row[batch->masked] = (int32_t)t;
    batch->target[batch->masked] = batch->token[t];
    batch->mask_weight[batch->masked] = batch->masked % 5 ? 1 : 0;
    if (batch->masked++ % 5) {
      batch->token[t] = PLM_TOKEN_MASK;
      masks++;
    }
  }
  for (uint32_t t = first; t < first + length; t++)
    batch->scale[t] =
        batch->token[t] == PLM_TOKEN_MASK ? 0 : (float)((1 - 0.15 * 0.8) / (1 - (double)masks / length));
  batch->mask_count += masks;
  return length;
}

static void fill_batch(struct plm_batch *batch, uint64_t seed, uint32_t step) {
  batch->tokens = batch->sequences = batch->masked = batch->mask_count = batch->length_max = 0;
  batch->length_squares = 0;
  batch->offset[0] = 0;
  const uint32_t tokens = TOKENS - plm_rng_word(seed, PLM_RNG_TEST, 9301, step, 0) % 90; /* no two steps are alike */
  while (batch->tokens + 3 <= tokens) {
    uint32_t length = 3 + plm_rng_word(seed, PLM_RNG_TEST, 9300, step, batch->sequences) % (LENGTH_MAX - 2);
    length = length < tokens - batch->tokens ? length : tokens - batch->tokens;
    batch->tokens += add_sequence(batch, seed, step, batch->sequences, length);
    batch->offset[++batch->sequences] = (int32_t)batch->tokens;
    batch->length_max = length > batch->length_max ? length : batch->length_max;
    batch->length_squares += (double)length * length;
  }
}

/* ------------------------------------------------------------------- runs */

/* A model on one side, and the state that it can be moved with. */
struct trainee {
  struct plm_session *session;
  struct plm_batch batch;
  float *params, *moment1, *moment2; /* on the host */
  double loss[STEPS];
};

/*
 * Not the usual 1e-8: Adam makes full steps of gradients that are rounding alone, whose sign is anybody's, and the losses of two
 * right backends would drift apart as much as those of a wrong one.
 */
#define EPSILON 1e-5f

static int trainee_open(struct trainee *t, const struct plm_plugin *plugin, uint32_t device, uint32_t micro,
                        struct plm_error *err) {
  const struct plm_session_options options = {
      .shape = shape,
      .optimizer = {.beta1 = 0.9f, .beta2 = 0.98f, .epsilon = EPSILON, .weight_decay = 0.01f, .clip = 1},
      .batch_tokens = TOKENS,
      .length_max = LENGTH_MAX,
      .micro_tokens = micro,
      .log_capacity = STEPS};
  int code = plm_session_open(&t->session, plugin, device, &options, err);
  if (!code)
    code = plm_batch_init(&t->batch, TOKENS, err);
  if (code)
    return code;
  const size_t floats = (size_t)t->session->model.layout.floats;
  t->params = plm_memory_zeroed(floats, sizeof(float));
  t->moment1 = plm_memory_zeroed(floats, sizeof(float));
  t->moment2 = plm_memory_zeroed(floats, sizeof(float));
  return t->params && t->moment1 && t->moment2 ? 0 : plm_error_memory(err, "a tiny model");
}

static void trainee_close(struct trainee *t) {
  plm_session_close(t->session);
  plm_batch_fini(&t->batch);
  free(t->params);
  free(t->moment1);
  free(t->moment2);
  *t = (struct trainee){0};
}

/* Host state to the device. */
static int trainee_put(struct trainee *t, struct plm_error *err) {
  int code = plm_session_write(t->session, PLM_SLOT_PARAMS, t->params, err);
  if (!code)
    code = plm_session_write(t->session, PLM_SLOT_MOMENT1, t->moment1, err);
  return code ? code : plm_session_write(t->session, PLM_SLOT_MOMENT2, t->moment2, err);
}

static int trainee_get(struct trainee *t, struct plm_error *err) {
  int code = plm_session_read(t->session, PLM_SLOT_PARAMS, t->params, err);
  if (!code)
    code = plm_session_read(t->session, PLM_SLOT_MOMENT1, t->moment1, err);
  return code ? code : plm_session_read(t->session, PLM_SLOT_MOMENT2, t->moment2, err);
}

static int trainee_begin(struct trainee *t, uint64_t seed, struct plm_error *err) {
  plm_layout_weights(t->params, &t->session->model.layout, seed, 0);
  return trainee_put(t, err);
}

static int train_step(struct trainee *t, uint64_t seed, uint32_t step, struct plm_error *err) {
  fill_batch(&t->batch, seed, step);
  const struct plm_step_schedule schedule = {.rate = 4e-3f,
                                             .correction1 = (float)(1 - pow(0.9, step + 1.0)),
                                             .correction2 = (float)(1 - pow(0.98, step + 1.0)),
                                             .loss_scale = (float)(1.0 / t->batch.masked),
                                             .index = (int32_t)step};
  int code = plm_session_begin(t->session, &schedule, err);
  if (!code)
    code = plm_session_accumulate(t->session, &t->batch, err);
  return code ? code : plm_session_update(t->session, err);
}

/* Steps first .. end-1 from the device's state on; the losses come back at the end. */
static int train(struct trainee *t, uint64_t seed, uint32_t first, uint32_t end, struct plm_error *err) {
  struct plm_step_record records[STEPS];
  int code = 0;
  for (uint32_t step = first; step < end && !code; step++)
    code = train_step(t, seed, step, err);
  if (!code)
    code = plm_session_records(t->session, records, first, end - first, err);
  for (uint32_t step = first; step < end && !code; step++) {
    fill_batch(&t->batch, seed, step);
    t->loss[step] = records[step - first].loss_all / (double)t->batch.masked;
  }
  return code;
}

/* ------------------------------------------------------------------ bands */

/*
 * What a loss after step updates may be off by. It is a mean over rows, whose errors are independent and each of the size that
 * the error model gives a short sum, times up to a few where a row's variance is near epsilon and layer_norm amplifies it; every
 * update carries the difference on and adds as much again as a quarter of it. Half precision is off by 100 times as much.
 */
static double band(double loss, uint32_t step) { return ldexp(128 + 32.0 * step, -24) * (1 + fabs(loss)); }

/* Of a single number at the end of a forward pass: nothing is averaged. */
static double band_single(double value) { return ldexp(1024, -24) * (1 + fabs(value)); }

static void judge_losses(struct plm_check_outcome *out, const double *got, const double *expected, uint32_t first,
                         const char *what) {
  for (uint32_t step = first; step < STEPS; step++) {
    const double allowed = band(expected[step], step);
    out->worst = fmax(out->worst, fabs(got[step] - expected[step]) / allowed);
    if (!(fabs(got[step] - expected[step]) <= allowed)) {
      plm_check_fail(out, "%s: the loss of step %" PRIu32 " is %.7f, on the reference %.7f, allowed difference %.2g", what,
                     step + 1, got[step], expected[step], allowed);
      return;
    }
  }
}

/* Both sides at once: what most tests here begin with. */
struct couple {
  struct trainee tested, reference;
};

static int couple_open(struct plm_check_outcome *out, struct couple *c, struct plm_check_rig *rig, uint32_t micro) {
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_check_must(out, trainee_open(&c->tested, rig->plugin, rig->device, micro, &err), &err, "the tested side"))
    return 1;
  return plm_check_must(out, trainee_open(&c->reference, rig->reference, 0, TOKENS, &err), &err, "the reference");
}

static void couple_close(struct couple *c) {
  trainee_close(&c->reference);
  trainee_close(&c->tested);
}

static int run_from_start(struct plm_check_outcome *out, struct trainee *t, uint64_t seed, uint32_t end,
                          const char *what) {
  struct plm_error err = PLM_ERROR_INIT;
  return plm_check_must(out, trainee_begin(t, seed, &err), &err, what) ||
         plm_check_must(out, train(t, seed, 0, end, &err), &err, what);
}

/* ------------------------------------------------------------------ tests */

/* The tested plugin with a host before it that declines all fused flags, so that training runs on required ops alone. */
static const struct plm_backend *behind;

static int query_required(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                          struct plm_error *err) {
  if (!(op->flags & (PLM_FLAG_BIAS | PLM_FLAG_GELU | PLM_FLAG_RESIDUAL | PLM_FLAG_ROTARY)))
    return behind->op_query(device, op, out, err);
  out->status = PLM_VERDICT_UNSUPPORTED;
  out->reason = PLM_REASON_FLAG;
  snprintf(out->text, sizeof out->text, "fused ops are left out on purpose");
  return PLM_OK;
}

/* variant 0: whole batches; 1: in micro-batches, which must add up to the same; 2: these, by required ops alone. */
static void test_trajectory(struct plm_check_outcome *out, struct plm_check_rig *rig,
                            const struct plm_check_entry *entry) {
  struct couple c = {0};
  struct plm_check_rig lowered = *rig;
  struct plm_plugin plugin = *rig->plugin;
  if (entry->variant == 2) {
    behind = &rig->plugin->backend;
    plugin.backend.op_query = query_required;
    lowered.plugin = &plugin;
  }
  if (!couple_open(out, &c, &lowered, entry->variant ? 100 : TOKENS) &&
      !run_from_start(out, &c.tested, entry->seed, STEPS, "training on the tested side") &&
      !run_from_start(out, &c.reference, entry->seed, STEPS, "training on the reference")) {
    const double *loss = c.tested.loss;
    judge_losses(out, loss, c.reference.loss, 0, "training");
    if (!(loss[STEPS - 1] < 0.9 * loss[0]))
      plm_check_fail(out, "the loss does not fall: %.4f in step 1, %.4f in step %u", loss[0], loss[STEPS - 1], STEPS);
    if (out->status == PLM_CHECK_PASSED)
      snprintf(out->text, sizeof out->text, "loss %.4f to %.4f in %u steps, largest difference %.2g of the band; lowered: %.200s",
               loss[0], loss[STEPS - 1], STEPS, out->worst,
               c.tested.session->model.lowered ? c.tested.session->model.lowered_text : "nothing");
  }
  couple_close(&c);
}

static void move_state(struct trainee *to, const struct trainee *from) {
  const size_t bytes = (size_t)from->session->model.layout.floats * sizeof(float);
  memcpy(to->params, from->params, bytes);
  memcpy(to->moment1, from->moment1, bytes);
  memcpy(to->moment2, from->moment2, bytes);
}

/* variant 0: begun on tested, resumed on the reference; 1: the other way. The yardstick is the reference alone. */
static void test_resume(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct couple c = {0};
  struct trainee alone = {0};
  struct plm_error err = PLM_ERROR_INIT;
  struct trainee *begun = entry->variant ? &c.reference : &c.tested, *resumed = entry->variant ? &c.tested : &c.reference;
  const char *what = entry->variant ? "resuming on tested what the reference began"
                                    : "resuming on the reference what tested began";
  if (!couple_open(out, &c, rig, TOKENS) &&
      !plm_check_must(out, trainee_open(&alone, rig->reference, 0, TOKENS, &err), &err, "the reference") &&
      !run_from_start(out, &alone, entry->seed, STEPS, "training on the reference") &&
      !run_from_start(out, begun, entry->seed, HALF, what) &&
      !plm_check_must(out, trainee_get(begun, &err), &err, what)) {
    move_state(resumed, begun);
    if (!plm_check_must(out, trainee_put(resumed, &err), &err, what) &&
        !plm_check_must(out, train(resumed, entry->seed, HALF, STEPS, &err), &err, what))
      judge_losses(out, resumed->loss, alone.loss, HALF, what);
  }
  trainee_close(&alone);
  couple_close(&c);
}

static int same_state(const struct trainee *a, const struct trainee *b) {
  const size_t bytes = (size_t)a->session->model.layout.floats * sizeof(float);
  return !memcmp(a->params, b->params, bytes) && !memcmp(a->moment1, b->moment1, bytes) &&
         !memcmp(a->moment2, b->moment2, bytes);
}

/*
 * The tested side twice, the second time through a checkpoint in the middle and a new session: the same bits, when all of its ops
 * call themselves deterministic.
 */
static void test_repeat(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  struct trainee once = {0}, half = {0}, rest = {0};
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_check_must(out, trainee_open(&once, rig->plugin, rig->device, TOKENS, &err), &err, "a session") ||
      plm_check_must(out, trainee_open(&half, rig->plugin, rig->device, TOKENS, &err), &err, "a second session") ||
      run_from_start(out, &once, entry->seed, STEPS, "training") ||
      run_from_start(out, &half, entry->seed, HALF, "training again") ||
      plm_check_must(out, trainee_get(&once, &err), &err, "reading the state") ||
      plm_check_must(out, trainee_get(&half, &err), &err, "reading the state") ||
      plm_check_must(out, trainee_open(&rest, rig->plugin, rig->device, TOKENS, &err), &err, "a third session"))
    goto out;
  move_state(&rest, &half);
  if (plm_check_must(out, trainee_put(&rest, &err), &err, "writing the state") ||
      plm_check_must(out, train(&rest, entry->seed, HALF, STEPS, &err), &err, "resuming") ||
      plm_check_must(out, trainee_get(&rest, &err), &err, "reading the state"))
    goto out;
  judge_losses(out, rest.loss, once.loss, HALF, "a resumed run against an uninterrupted one");
  if (once.session->model.deterministic && !same_state(&once, &rest))
    plm_check_fail(out, "a run that was interrupted and resumed ends with other bits than one that was not, though every op says "
                        "that it is deterministic");
  if (out->status == PLM_CHECK_PASSED && !once.session->model.deterministic)
    snprintf(out->text, sizeof out->text, "not every op is deterministic, so bits were not compared");
out:
  trainee_close(&rest);
  trainee_close(&half);
  trainee_close(&once);
}

/*
 * How far got is expected times a factor: rounding errors cancel in the slope of a line through thousands of numbers, and what is left
 * is what every op does in the same direction, though each alone is within what it may be off by.
 */
static double bias_of(const float *got, const float *expected, uint32_t count) {
  double products = 0, squares = 0;
  for (uint32_t i = 0; i < count; i++) {
    products += (double)got[i] * expected[i];
    squares += (double)expected[i] * expected[i];
  }
  return products / squares - 1;
}
#define BIAS_MAX 0x1p-20

/* The evaluation program on trained weights: losses of rows and logits, each by itself and all together. */
static void test_evaluate(struct plm_check_outcome *out, struct plm_check_rig *rig, const struct plm_check_entry *entry) {
  static float losses[2][TOKENS], logits[2][TOKENS * PLM_TOKEN_COUNT];
  struct couple c = {0};
  struct plm_error err = PLM_ERROR_INIT;
  struct trainee *sides[2] = {&c.tested, &c.reference};
  if (couple_open(out, &c, rig, TOKENS) || run_from_start(out, &c.reference, entry->seed, 4, "training on the reference") ||
      plm_check_must(out, trainee_get(&c.reference, &err), &err, "reading the state"))
    goto out;
  move_state(&c.tested, &c.reference);
  if (plm_check_must(out, trainee_put(&c.tested, &err), &err, "writing the state"))
    goto out;
  for (int i = 0; i < 2; i++) {
    fill_batch(&sides[i]->batch, entry->seed, 1000);
    if (plm_check_must(out, plm_session_evaluate(sides[i]->session, &sides[i]->batch, losses[i], logits[i], &err), &err,
                       "evaluating") ||
        plm_check_must(out, plm_session_finish(sides[i]->session, &err), &err, "evaluating"))
      goto out;
  }
  for (uint32_t m = 0; m < c.tested.batch.masked; m++)
    if (!(fabs((double)losses[0][m] - losses[1][m]) <= band_single(losses[1][m])))
      plm_check_fail(out, "the loss of row %" PRIu32 " is %.7f, on the reference %.7f", m, (double)losses[0][m],
                     (double)losses[1][m]);
  for (uint32_t i = 0; i < c.tested.batch.masked * PLM_TOKEN_COUNT; i++)
    if (!(fabs((double)logits[0][i] - logits[1][i]) <= band_single(logits[1][i])))
      plm_check_fail(out, "logit %" PRIu32 " of row %" PRIu32 " is %.7f, on the reference %.7f", i % PLM_TOKEN_COUNT,
                     i / PLM_TOKEN_COUNT, (double)logits[0][i], (double)logits[1][i]);
  const double bias = bias_of(logits[0], logits[1], c.tested.batch.masked * PLM_TOKEN_COUNT);
  if (!(fabs(bias) <= BIAS_MAX))
    plm_check_fail(out, "the logits as a whole are the reference's times %.9f, allowed are 1 +- %.2g: each op is off in the same "
                        "direction", 1 + bias, BIAS_MAX);
  if (out->status == PLM_CHECK_PASSED)
    snprintf(out->text, sizeof out->text, "logits as a whole differ by a factor of 1 + %.1e from the reference", bias);
out:
  couple_close(&c);
}

#define TEST(name, variants, run, what) {4, name, variants, PLM_NEED_SIDES, 0, 3, what, run}

const struct plm_check_test plm_check_tests_training[] = {
    TEST("trajectory", 3, test_trajectory, "losses stay within the band and fall (0 whole batches, 1 micro-batches, 2 required ops)"),
    TEST("resume", 2, test_resume, "a checkpoint moves between backends (0 tested to reference, 1 back)"),
    TEST("repeat", 1, test_repeat, "interrupted and resumed: the same bits"),
    TEST("evaluate", 1, test_evaluate, "losses and logits of trained weights"),
};
const uint32_t plm_check_tests_training_count = sizeof plm_check_tests_training / sizeof *plm_check_tests_training;
