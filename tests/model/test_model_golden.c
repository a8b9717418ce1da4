/* The whole model against golden.h5, which an independent PyTorch forward and backward wrote (tests/golden/make_golden.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/h5.h"
#include "model_fixture.h"

#define TOLERANCE 1e-5

static hid_t open_golden(void) {
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_h5_start(&err), 0);
  hid_t file = H5Fopen(PLM_TEST_GOLDEN, H5F_ACC_RDONLY, H5P_DEFAULT);
  assert_true(file >= 0);
  return file;
}

static uint64_t length_of(hid_t file, const char *name) {
  struct plm_error err = PLM_ERROR_INIT;
  uint64_t count;
  if (plm_h5_array_length(&count, file, name, &err))
    fail_msg("%s", err.text);
  return count;
}

static void read_into(void *out, hid_t file, const char *name, hid_t type, uint64_t count) {
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_h5_get_array(out, file, name, type, count, &err))
    fail_msg("%s: %s", name, err.text);
}


static const struct {
  const char *key;
  int tensor;
  uint32_t part, parts;
} layer_keys[] = {
    {"attention.self.query.weight", PLM_QKV_W, 0, 3},
    {"attention.self.key.weight", PLM_QKV_W, 1, 3},
    {"attention.self.value.weight", PLM_QKV_W, 2, 3},
    {"attention.self.query.bias", PLM_QKV_B, 0, 3},
    {"attention.self.key.bias", PLM_QKV_B, 1, 3},
    {"attention.self.value.bias", PLM_QKV_B, 2, 3},
    {"attention.output.dense.weight", PLM_OUT_W, 0, 1},
    {"attention.output.dense.bias", PLM_OUT_B, 0, 1},
    {"attention.LayerNorm.weight", PLM_LN1_G, 0, 1},
    {"attention.LayerNorm.bias", PLM_LN1_B, 0, 1},
    {"intermediate.dense.weight", PLM_UP_W, 0, 1},
    {"intermediate.dense.bias", PLM_UP_B, 0, 1},
    {"output.dense.weight", PLM_DOWN_W, 0, 1},
    {"output.dense.bias", PLM_DOWN_B, 0, 1},
    {"LayerNorm.weight", PLM_LN2_G, 0, 1},
    {"LayerNorm.bias", PLM_LN2_B, 0, 1},
};
static const struct {
  const char *key;
  int tensor;
} top_keys[] = {
    {"esm.embeddings.word_embeddings.weight", PLM_EMBED_W},
    {"esm.encoder.emb_layer_norm_after.weight", PLM_FINAL_G},
    {"esm.encoder.emb_layer_norm_after.bias", PLM_FINAL_B},
    {"lm_head.dense.weight", PLM_HEAD_W},
    {"lm_head.dense.bias", PLM_HEAD_B},
    {"lm_head.layer_norm.weight", PLM_HEAD_LN_G},
    {"lm_head.layer_norm.bias", PLM_HEAD_LN_B},
    {"lm_head.bias", PLM_LOGIT_B},
};

/* Calls visit for every tensor of the golden file. */
static void each_tensor(const struct plm_layout *layout,
                        void (*visit)(void *context, const char *key, uint64_t offset, uint64_t floats), void *context) {
  char key[128];
  for (size_t i = 0; i < sizeof top_keys / sizeof top_keys[0]; i++) {
    const struct plm_tensor *t = plm_layout_top(layout, (enum plm_top_tensor)top_keys[i].tensor);
    visit(context, top_keys[i].key, t->offset, (uint64_t)t->rows * t->cols);
  }
  for (uint32_t l = 0; l < layout->shape.layers; l++)
    for (size_t i = 0; i < sizeof layer_keys / sizeof layer_keys[0]; i++) {
      const struct plm_tensor *t = plm_layout_layer(layout, l, (enum plm_layer_tensor)layer_keys[i].tensor);
      uint64_t part = (uint64_t)t->rows * t->cols / layer_keys[i].parts;
      snprintf(key, sizeof key, "esm.encoder.layer.%u.%s", l, layer_keys[i].key);
      visit(context, key, t->offset + part * layer_keys[i].part, part);
    }
}

struct arena {
  hid_t file;
  float *floats;
  uint64_t visited;
};

static void load_weight(void *context, const char *key, uint64_t offset, uint64_t floats) {
  struct arena *a = context;
  char name[160];
  snprintf(name, sizeof name, "weights/%s", key);
  read_into(a->floats + offset, a->file, name, H5T_NATIVE_FLOAT, floats);
  a->visited += floats;
}

static void check_gradient(void *context, const char *key, uint64_t offset, uint64_t floats) {
  struct arena *a = context;
  char name[160];
  float *expected = malloc(floats * sizeof *expected);
  double largest = 0;
  snprintf(name, sizeof name, "grads/%s", key);
  read_into(expected, a->file, name, H5T_NATIVE_FLOAT, floats);
  for (uint64_t i = 0; i < floats; i++)
    largest = fmax(largest, fabs(expected[i]));
  for (uint64_t i = 0; i < floats; i++)
    if (fabs((double)a->floats[offset + i] - expected[i]) > TOLERANCE * fmax(largest, 1e-3))
      fail_msg("%s[%llu]: %.9g, PyTorch has %.9g", key, (unsigned long long)i, a->floats[offset + i], expected[i]);
  free(expected);
  a->visited += floats;
}

static void load_batch(struct plm_batch *out, hid_t file) {
  struct plm_error err = PLM_ERROR_INIT;
  uint64_t t = length_of(file, "batch/tokens"), m = length_of(file, "batch/rows");
  assert_int_equal(plm_batch_init(out, (uint32_t)t, &err), 0);
  out->tokens = (uint32_t)t;
  out->masked = (uint32_t)m;
  out->sequences = (uint32_t)length_of(file, "batch/offsets") - 1;
  read_into(out->token, file, "batch/tokens", H5T_NATIVE_INT32, t);
  read_into(out->position, file, "batch/positions", H5T_NATIVE_INT32, t);
  read_into(out->scale, file, "batch/scale", H5T_NATIVE_FLOAT, t);
  read_into(out->offset, file, "batch/offsets", H5T_NATIVE_INT32, out->sequences + 1);
  read_into(out->row, file, "batch/rows", H5T_NATIVE_INT32, m);
  read_into(out->target, file, "batch/targets", H5T_NATIVE_INT32, m);
  read_into(out->mask_weight, file, "batch/is_mask", H5T_NATIVE_FLOAT, m);
  for (uint32_t s = 0; s < out->sequences; s++) {
    uint32_t length = (uint32_t)(out->offset[s + 1] - out->offset[s]);
    out->length_max = length > out->length_max ? length : out->length_max;
    out->length_squares += (double)length * length;
  }
}

static void check_logits(struct model_rig *rig, const struct plm_batch *batch, hid_t file) {
  struct plm_error err = PLM_ERROR_INIT;
  size_t count = (size_t)batch->masked * PLM_VOCABULARY;
  float *logits = malloc(count * sizeof *logits), *expected = malloc(count * sizeof *expected);
  float *loss = malloc(batch->masked * sizeof *loss), *expected_loss = malloc(batch->masked * sizeof *loss);
  if (plm_session_evaluate(rig->session, batch, loss, logits, &err))
    fail_msg("%s", err.text);
  read_into(expected, file, "out/logits", H5T_NATIVE_FLOAT, count);
  read_into(expected_loss, file, "out/row_loss", H5T_NATIVE_FLOAT, batch->masked);
  for (size_t i = 0; i < count; i++)
    assert_true(fabs(logits[i] - expected[i]) <= TOLERANCE * fmax(1, fabs(expected[i])));
  for (uint32_t i = 0; i < batch->masked; i++)
    assert_true(fabs(loss[i] - expected_loss[i]) <= TOLERANCE * fmax(1, fabs(expected_loss[i])));
  free(logits), free(expected), free(loss), free(expected_loss);
}

static void check_backend(const char *backend) {
  struct plm_batch batch = {0};
  struct model_rig rig;
  hid_t file = open_golden();
  load_batch(&batch, file);
  model_rig_open(&rig, backend, (struct plm_shape){2, 24, 3}, batch.tokens, batch.tokens);
  const struct plm_layout *layout = &rig.session->model.layout;
  struct arena weights = {file, calloc(layout->floats, sizeof(float)), 0};
  each_tensor(layout, load_weight, &weights);
  assert_int_equal(weights.visited, plm_shape_params_total(layout->shape));
  struct arena grads = {file, NULL, 0};
  double loss = model_rig_gradients(&rig, weights.floats, &batch, &grads.floats);
  float expected;
  read_into(&expected, file, "out/loss", H5T_NATIVE_FLOAT, 1);
  assert_true(fabs(loss - expected) < TOLERANCE * expected);
  each_tensor(layout, check_gradient, &grads);
  assert_int_equal(grads.visited, plm_shape_params_total(layout->shape));
  /* The update moved the weights; the logits belong to those of the file. */
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_session_write(rig.session, PLM_SLOT_PARAMS, weights.floats, &err), 0);
  check_logits(&rig, &batch, file);
  free(weights.floats), free(grads.floats);
  model_rig_close(&rig);
  plm_batch_fini(&batch);
  H5Fclose(file);
}

static void test_model__golden_case_on_reference(void **state) {
  (void)state;
  check_backend("reference");
}

static void test_model__golden_case_on_cpu(void **state) {
  (void)state;
  check_backend("cpu");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_model__golden_case_on_reference),
      cmocka_unit_test(test_model__golden_case_on_cpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
