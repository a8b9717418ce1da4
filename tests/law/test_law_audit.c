#include <stdio.h>
#include <unistd.h>

#include "law/audit.h"
#include "law/points_csv.h"
#include "law/priors.h"
#include "law/surface.h"
#include "law_fixture.h"

static const struct plm_law_file LAW = {"Hoffmann et al.", {1.69, 406.4, 410.7, 0.34, 0.28}, {6, 1, 0}, 1e21, 1e10, 1e12, 1e18, 1e7, 1e9};

static void test_audit__the_best_model_wastes_nothing(void **state) {
  (void)state;
  for (double c = 1e18; c < 1e23; c *= 10) {
    double n = surface_params(&CHINCHILLA, c);
    struct plm_audit a;
    plm_audit_model(&a, &LAW, n, c / (6 * n));
    assert_close(a.params, n, 1e-9);
    assert_true(fabs(a.deadweight) < 1e-9);
    assert_string_equal(plm_audit_verdict(&a, n), "near the frontier");
  }
}

static void test_audit__same_loss_is_had_at_the_optimum_of_less_compute(void **state) {
  (void)state;
  static const double off[3] = {0.02, 0.5, 30};
  static const char *const verdicts[3] = {"over-trained", "over-trained", "under-trained"};
  for (size_t i = 0; i < 3; i++) {
    double n = off[i] * surface_params(&CHINCHILLA, 1e21);
    struct plm_audit a;
    struct plm_optimum best = {0};
    plm_audit_model(&a, &LAW, n, 1e21 / (6 * n));
    assert_close(a.compute, 1e21, 1e-12);
    assert_true(a.deadweight > 0 && a.deadweight < 1);
    best.compute = a.compute_same;
    plm_surface_optimum(&best, &LAW.surface, &LAW.cost);
    assert_close(best.loss, a.loss, 1e-12);
    assert_string_equal(plm_audit_verdict(&a, n), verdicts[i]);
  }
}

static void test_audit__says_how_far_it_extrapolates(void **state) {
  (void)state;
  struct plm_audit a;
  plm_audit_model(&a, &LAW, 1e9, 1e11);
  assert_true(a.beyond <= 1);
  plm_audit_model(&a, &LAW, 1e6, 5e12);
  assert_close(a.beyond, 5, 1e-12);
  plm_audit_model(&a, &LAW, 1e10, 1e12);
  assert_close(a.beyond, 60, 1e-12);
}

static void test_surface__compute_of_a_size_and_of_a_loss(void **state) {
  (void)state;
  static const struct plm_cost costs[2] = {{6, 1, 0}, {9, 0.95, 0}};
  for (size_t i = 0; i < 2; i++)
    for (double c = 1e17; c < 1e24; c *= 100) {
      struct plm_optimum best = {.compute = c};
      plm_surface_optimum(&best, &LAW.surface, &costs[i]);
      assert_close(plm_surface_compute_of_params(&LAW.surface, &costs[i], best.params), c, 1e-9);
      assert_close(plm_surface_compute_of_loss(&LAW.surface, &costs[i], best.loss), c, 1e-9);
    }
  assert_true(isinf(plm_surface_compute_of_loss(&LAW.surface, &costs[0], LAW.surface.E)));
}

/* The papers' own examples of what their rules give are not at hand: the formulas, worked by hand. */
static void test_priors__are_the_published_rules(void **state) {
  (void)state;
  struct plm_prior p[PLM_PRIORS_MAX];
  assert_int_equal(plm_priors(p, 1e9, 1e11), 3);
  assert_close(p[0].batch, 0.581 * exp(0.571 * 25.328436022934504), 1e-12); /* ln 1e11 */
  assert_close(p[0].rate, 1.797 * exp(-0.713 * 20.72326583694641 + 0.307 * 25.328436022934504), 1e-12);
  assert_close(p[1].batch, 0.2920 * exp(0.3271 * 47.84346132910886), 1e-9); /* ln 6e20 */
  assert_close(p[1].rate, 0.3118 * exp(-0.125 * 47.84346132910886), 1e-9);
  assert_close(p[2].rate, 3e-4, 1e-12);
  assert_true(p[2].batch == 1024 * 1024);
  assert_int_equal(plm_priors(p, 470e6, 1e11), 3);
  assert_close(p[2].rate, 4e-4, 1e-12);
  assert_true(p[2].batch == 512 * 1024);
  assert_int_equal(plm_priors(p, 1.5e7, 1e9), 2); /* below what Cheng et al. trained */
  assert_int_equal(plm_priors(p, 9e6, 1e9), 0);
  assert_int_equal(plm_priors(p, 2e10, 1e12), 2);
}

static void test_law_file__is_what_fit_wrote(void **state) {
  (void)state;
  const double budgets[3] = {1e19, 1e20, 1e21};
  struct plm_points points = {0};
  struct plm_law_file file;
  struct plm_error err = PLM_ERROR_INIT;
  char path[] = "/tmp/plmscale-law-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  isoflop_add(&points, &CHINCHILLA, budgets, 3, 6, 4, 0);
  struct plm_law *law = law_of(&points, "parabola,vp", 0);
  json_t *json = plm_law_json(law);
  assert_non_null(json);
  assert_int_equal(json_dumpfd(json, fd, 0), 0);
  close(fd);
  assert_int_equal(plm_law_file_read(&file, path, "vp", &err), 0);
  const struct plm_surface *s = &law->fits[1].surface;
  assert_true(file.surface.E == s->E && file.surface.A == s->A && file.surface.B == s->B &&
              file.surface.alpha == s->alpha && file.surface.beta == s->beta);
  assert_string_equal(file.source, "test");
  assert_true(file.cost.scale == 6 && file.cost.exponent == 1);
  assert_true(file.compute_max == law->compute_max && file.params_max == law->params_max &&
              file.tokens_max == law->tokens_max);
  assert_true(file.compute_min == law->compute_min && file.params_min == law->params_min &&
              file.tokens_min == law->tokens_min);
  assert_int_equal(plm_law_file_read(&file, path, "parabola", &err), PLM_E_USAGE);
  assert_non_null(strstr(err.text, "is not a surface"));
  json_object_set_new(json, "schema", json_string("plmscale.fit/1"));
  assert_int_equal(json_dump_file(json, path, 0), 0);
  assert_int_equal(plm_law_file_read(&file, path, "vp", &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "plmscale.fit/1"));
  unlink(path);
  assert_int_equal(plm_law_file_read(&file, path, "vp", &err), PLM_E_IO);
  json_decref(json);
  plm_law_destroy(law);
  plm_points_fini(&points);
}

static void test_models__take_compute_for_tokens(void **state) {
  (void)state;
  char path[] = "/tmp/plmscale-models-XXXXXX";
  int fd = mkstemp(path);
  static const char text[] = "name,N,D,C,source\nA 1,1e9,2e10,,x\nB,1e9,,6e21,x\n", wrong[] = "name,N\nA,1e9\n";
  struct plm_points models = {0};
  struct plm_error err = PLM_ERROR_INIT;
  assert_true(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
  assert_int_equal(plm_points_read_models(&models, path, &err), 0);
  assert_int_equal(models.count, 2);
  assert_string_equal(models.items[0].label, "A 1");
  assert_true(models.items[0].tokens == 2e10);
  assert_close(models.items[1].tokens, 1e12, 1e-12);
  assert_true(ftruncate(fd, 0) == 0 && pwrite(fd, wrong, sizeof wrong - 1, 0) == (ssize_t)sizeof wrong - 1);
  assert_int_equal(plm_points_read_models(&models, path, &err), PLM_E_DAMAGED);
  assert_non_null(strstr(err.text, "no column D (tokens) and no column C (compute)"));
  close(fd);
  unlink(path);
  plm_points_fini(&models);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_audit__the_best_model_wastes_nothing),
      cmocka_unit_test(test_audit__same_loss_is_had_at_the_optimum_of_less_compute),
      cmocka_unit_test(test_audit__says_how_far_it_extrapolates),
      cmocka_unit_test(test_surface__compute_of_a_size_and_of_a_loss),
      cmocka_unit_test(test_priors__are_the_published_rules),
      cmocka_unit_test(test_law_file__is_what_fit_wrote),
      cmocka_unit_test(test_models__take_compute_for_tokens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
