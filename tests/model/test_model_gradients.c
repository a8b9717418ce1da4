/* Gradients of every parameter kind of a whole model against finite differences in doubles, on each backend given. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model_double.h"
#include "model_fixture.h"

static const uint32_t lengths[] = {3, 17, 40, 1 + 2, 29};
#define SEQUENCES (sizeof lengths / sizeof lengths[0])

/* Two elements of every tensor, against central differences: error of order step^2 and 1e-16/step. */
static void check_tensor(const struct plm_layout *layout, const struct plm_tensor *tensor, double *params,
                         const float *grads, const struct plm_batch *batch, double scale) {
  const double step = 1e-5;
  uint64_t floats = (uint64_t)tensor->rows * tensor->cols;
  for (uint32_t k = 0; k < 2; k++) {
    uint64_t at = tensor->offset + plm_rng_word(7, PLM_RNG_TEST, (uint32_t)tensor->offset, k, 0) % floats;
    double kept = params[at];
    params[at] = kept + step;
    double above = model_double_loss(layout, params, batch);
    params[at] = kept - step;
    double below = model_double_loss(layout, params, batch);
    params[at] = kept;
    double slope = (above - below) / (2 * step);
    if (fabs(slope - grads[at]) > 2e-5 * fmax(fabs(slope), scale))
      fail_msg("%s element %llu: gradient %.9g, finite difference %.9g", tensor->name,
               (unsigned long long)(at - tensor->offset), grads[at], slope);
  }
}

static void check_backend(const char *backend, struct plm_shape shape, uint32_t micro_tokens) {
  struct plm_batch batch;
  struct model_rig rig;
  float *grads;
  model_batch_random(&batch, lengths, SEQUENCES, 11);
  model_rig_open(&rig, backend, shape, batch.tokens, micro_tokens ? micro_tokens : batch.tokens);
  const struct plm_layout *layout = &rig.session->model.layout;
  float *params = model_params_random(layout, 5, 0.2);
  double *exact = malloc(layout->floats * sizeof *exact), norm = 0;
  for (uint64_t i = 0; i < layout->floats; i++)
    exact[i] = params[i];
  double loss = model_rig_gradients(&rig, params, &batch, &grads);
  double expected = model_double_loss(layout, exact, &batch);
  assert_true(fabs(loss - expected) < 1e-5 * expected);
  for (uint64_t i = 0; i < layout->floats; i++)
    norm += (double)grads[i] * grads[i];
  double typical = sqrt(norm / (double)layout->floats);
  for (uint32_t i = 0; i < layout->count; i++)
    check_tensor(layout, &layout->tensors[i], exact, grads, &batch, typical);
  free(exact), free(params), free(grads);
  model_rig_close(&rig);
  plm_batch_fini(&batch);
}

static void test_model__reference_gradients_match_finite_differences(void **state) {
  (void)state;
  check_backend("reference", (struct plm_shape){2, 24, 3}, 0);
}

static void test_model__reference_gradients_match_over_micro_batches(void **state) {
  (void)state;
  check_backend("reference", (struct plm_shape){1, 16, 1}, 45);
}

static void test_model__cpu_gradients_match_finite_differences(void **state) {
  (void)state;
  check_backend("cpu", (struct plm_shape){2, 24, 3}, 0);
  check_backend("cpu", (struct plm_shape){3, 40, 5}, 45);
}

/* The error model of a whole step: float32 storage between L layers of sums over T rows. */
static void test_model__cpu_and_reference_gradients_agree(void **state) {
  (void)state;
  struct plm_shape shape = {3, 64, 4};
  uint32_t many[] = {100, 33, 257, 64};
  struct plm_batch batch;
  struct model_rig a, b;
  float *grad_a, *grad_b;
  model_batch_random(&batch, many, 4, 3);
  model_rig_open(&a, "reference", shape, batch.tokens, batch.tokens);
  model_rig_open(&b, "cpu", shape, batch.tokens, 300);
  const struct plm_layout *layout = &a.session->model.layout;
  float *params = model_params_random(layout, 9, 0.1);
  double loss_a = model_rig_gradients(&a, params, &batch, &grad_a);
  double loss_b = model_rig_gradients(&b, params, &batch, &grad_b);
  assert_true(fabs(loss_a - loss_b) < 1e-6 * loss_a);
  for (uint32_t i = 0; i < layout->count; i++) {
    const struct plm_tensor *tensor = &layout->tensors[i];
    double difference = 0, norm = 0;
    for (uint64_t j = tensor->offset; j < tensor->offset + (uint64_t)tensor->rows * tensor->cols; j++) {
      difference += ((double)grad_a[j] - grad_b[j]) * ((double)grad_a[j] - grad_b[j]);
      norm += (double)grad_a[j] * grad_a[j];
    }
    double bound = 6e-8 * sqrt(batch.tokens) * 3 * shape.layers;
    if (sqrt(difference) > bound * sqrt(norm))
      fail_msg("%s: relative difference %.3g, the error model allows %.3g", tensor->name, sqrt(difference / norm), bound);
  }
  free(params), free(grad_a), free(grad_b);
  model_rig_close(&a);
  model_rig_close(&b);
  plm_batch_fini(&batch);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_model__reference_gradients_match_finite_differences),
      cmocka_unit_test(test_model__reference_gradients_match_over_micro_batches),
      cmocka_unit_test(test_model__cpu_gradients_match_finite_differences),
      cmocka_unit_test(test_model__cpu_and_reference_gradients_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
