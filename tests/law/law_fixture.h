/* Points on known surfaces, for the tests of the laws. */
#ifndef PLM_TESTS_LAW_FIXTURE_H
#define PLM_TESTS_LAW_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "law/law.h"

struct surface {
  double E, A, B, alpha, beta;
};

/* Hoffmann et al. 2022. */
static const struct surface CHINCHILLA = {1.69, 406.4, 410.7, 0.34, 0.28};

static inline double surface_loss(const struct surface *s, double n, double d) {
  return s->E + s->A * pow(n, -s->alpha) + s->B * pow(d, -s->beta);
}

/* N_opt at 6 N D = compute. */
static inline double surface_params(const struct surface *s, double compute) {
  double sum = s->alpha + s->beta;
  return pow(s->alpha * s->A / (s->beta * s->B), 1 / sum) * pow(compute / 6, s->beta / sum);
}

static inline void point_add(struct plm_points *points, double n, double d, double loss) {
  struct plm_point p = {.params = n, .tokens = d, .compute = 6 * n * d, .loss = loss, .weight = 1};
  assert_int_equal(plm_points_add(points, &p, NULL), 0);
}

/* budgets x sizes points, sizes evenly spaced in the logarithm from N_opt/spread to N_opt*spread, with noise of that
 * deviation. */
static inline void isoflop_add(struct plm_points *points, const struct surface *s, const double *budgets, size_t count,
                               size_t sizes, double spread, float noise) {
  for (size_t i = 0; i < count; i++) {
    float *normal = calloc(sizes, sizeof *normal);
    assert_non_null(normal);
    plm_rng_normal(normal, sizes, noise, 11, PLM_RNG_TEST, (uint32_t)i, 0);
    for (size_t j = 0; j < sizes; j++) {
      double n = surface_params(s, budgets[i]) * pow(spread, 2.0 * (double)j / (double)(sizes - 1) - 1);
      double d = budgets[i] / (6 * n);
      point_add(points, n, d, surface_loss(s, n, d) + (double)normal[j]);
    }
    free(normal);
  }
}

/* Sizes 1e6 to 1e10 times token counts 1e8 to 1e12. */
static inline void grid_points_add(struct plm_points *points, const struct surface *s, size_t sizes, size_t tokens) {
  for (size_t i = 0; i < sizes; i++)
    for (size_t j = 0; j < tokens; j++) {
      double n = 1e6 * pow(1e4, (double)i / (double)(sizes - 1)), d = 1e8 * pow(1e4, (double)j / (double)(tokens - 1));
      point_add(points, n, d, surface_loss(s, n, d));
    }
}

/* Fits, or fails the test. */
static inline struct plm_law *law_of(struct plm_points *points, const char *estimators, size_t draws) {
  struct plm_law_options options = {.estimators = estimators, .draws = draws, .seed = 1};
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_law *law = NULL;
  if (plm_law_fit(&law, points, "test", &options, &err))
    fail_msg("%s", err.text);
  return law;
}

static inline void assert_close(double got, double wanted, double relative) {
  if (!(fabs(got - wanted) <= relative * fabs(wanted)))
    fail_msg("%.17g is not %.17g within %g", got, wanted, relative);
}

static inline int notes_have(const struct plm_notes *notes, const char *text) {
  for (size_t i = 0; i < notes->count; i++)
    if (strstr(notes->lines[i], text))
      return 1;
  return 0;
}

#endif
