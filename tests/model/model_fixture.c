#include "model_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

void model_rig_open(struct model_rig *rig, const char *backend, struct plm_shape shape, uint32_t batch_tokens,
                    uint32_t micro_tokens) {
  struct plm_error err = PLM_ERROR_INIT;
  char path[4096];
  snprintf(path, sizeof path, "%s/%s.so", PLM_TEST_BACKENDS, backend);
  if (plm_plugin_load(&rig->plugin, path, NULL, 0, 2, &err))
    fail_msg("%s", err.text);
  struct plm_session_options options = {.shape = shape,
                                        .optimizer = {0.9f, 0.98f, 1e-8f, 0.01f, 1},
                                        .batch_tokens = batch_tokens,
                                        .length_max = micro_tokens < batch_tokens ? micro_tokens : batch_tokens,
                                        .micro_tokens = micro_tokens,
                                        .log_capacity = 4};
  if (plm_session_open(&rig->session, rig->plugin, 0, &options, &err))
    fail_msg("%s", err.text);
}

void model_rig_close(struct model_rig *rig) {
  plm_session_close(rig->session);
  plm_plugin_destroy(rig->plugin);
}

double model_rig_gradients(struct model_rig *rig, const float *params, const struct plm_batch *batch, float **grads) {
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_session *s = rig->session;
  struct plm_step_schedule schedule = {.rate = 1e-3f, .correction1 = 0.1f, .correction2 = 0.02f,
                                       .loss_scale = (float)(1.0 / batch->masked)};
  struct plm_step_record record;
  *grads = malloc(s->model.layout.floats * sizeof(float));
  float *zero = calloc(s->model.layout.floats, sizeof(float));
  if (plm_session_write(s, PLM_SLOT_PARAMS, params, &err) || plm_session_write(s, PLM_SLOT_MOMENT1, zero, &err) ||
      plm_session_write(s, PLM_SLOT_MOMENT2, zero, &err) || plm_session_begin(s, &schedule, &err) ||
      plm_session_accumulate(s, batch, &err) || plm_session_read(s, PLM_SLOT_GRADS, *grads, &err) ||
      plm_session_update(s, &err) || plm_session_records(s, &record, 0, 1, &err))
    fail_msg("%s", err.text);
  free(zero);
  assert_true(record.finite == 1);
  return record.loss_all / batch->masked;
}

static void mask_rows(struct plm_batch *b, uint32_t begin, uint32_t end, uint64_t seed) {
  double masks = 0;
  for (uint32_t t = begin + 1; t + 1 < end; t++) {
    if (plm_rng_uniform(seed, PLM_RNG_TEST, 1, t, 0) >= 0.2 && t != begin + 1)
      continue;
    double kind = plm_rng_uniform(seed, PLM_RNG_TEST, 1, t, 1);
    b->row[b->masked] = (int32_t)t;
    b->target[b->masked] = b->token[t];
    b->mask_weight[b->masked] = kind < 0.8;
    if (kind < 0.8) {
      b->token[t] = 32;
      b->mask_count++;
      masks++;
    } else if (kind < 0.9) {
      b->token[t] = 4 + (int32_t)(plm_rng_word(seed, PLM_RNG_TEST, 1, t, 2) % 20);
    }
    b->masked++;
  }
  for (uint32_t t = begin; t < end; t++)
    b->scale[t] = b->token[t] == 32 ? 0 : (float)(0.88 / (1 - masks / (end - begin)));
}

void model_batch_random(struct plm_batch *out, const uint32_t *lengths, uint32_t count, uint64_t seed) {
  struct plm_error err = PLM_ERROR_INIT;
  uint32_t tokens = 0;
  for (uint32_t s = 0; s < count; s++)
    tokens += lengths[s];
  if (plm_batch_init(out, tokens, &err))
    fail_msg("%s", err.text);
  for (uint32_t s = 0, at = 0; s < count; s++) {
    out->offset[s] = (int32_t)at;
    for (uint32_t i = 0; i < lengths[s]; i++) {
      uint32_t residue = 4 + plm_rng_word(seed, PLM_RNG_TEST, 0, at + i, 0) % 21;
      out->token[at + i] = i == 0 ? 0 : i + 1 == lengths[s] ? 2 : (int32_t)residue;
      out->position[at + i] = (int32_t)i;
    }
    mask_rows(out, at, at + lengths[s], seed);
    at += lengths[s];
    out->offset[s + 1] = (int32_t)at;
    out->length_squares += (double)lengths[s] * lengths[s];
    if (lengths[s] > out->length_max)
      out->length_max = lengths[s];
  }
  out->tokens = tokens;
  out->sequences = count;
}

float *model_params_random(const struct plm_layout *layout, uint64_t seed, double std) {
  float *params = calloc(layout->floats, sizeof *params);
  for (uint32_t i = 0; i < layout->count; i++) {
    const struct plm_tensor *tensor = &layout->tensors[i];
    uint64_t floats = (uint64_t)tensor->rows * tensor->cols;
    plm_rng_normal(params + tensor->offset, floats, (float)std, seed, PLM_RNG_TEST, 100 + i, 0);
    for (uint64_t j = 0; tensor->init == PLM_INIT_ONE && j < floats; j++)
      params[tensor->offset + j] += 1;
  }
  return params;
}
