#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/number.h"
#include "cli/cli.h"
#include "law/audit.h"
#include "law/law.h"
#include "law/points_csv.h"

#define SCHEMA "plmscale.audit/1"

struct arguments {
  const char *models, *law, *estimator;
  int json, more;
};

static const struct argp_option OPTIONS[] = {
    {"law", 'l', "LAW.json", 0, "what fit --json wrote; required", 0},
    {"estimator", 'e', "NAME", 0, "whose surface: vp (default), huber, lad, mse, asymmetric", 0},
    {"json", 'j', NULL, 0, "print " SCHEMA, 0},
    {0}};

static error_t argument_take(int key, char *text, struct argp_state *state) {
  struct arguments *a = state->input;
  switch (key) {
  case 'l':
    a->law = text;
    return 0;
  case 'e':
    a->estimator = text;
    return 0;
  case 'j':
    a->json = 1;
    return 0;
  case ARGP_KEY_ARG:
    a->more |= a->models != NULL;
    a->models = text;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Which law it is that judges. */
static void law_print(const struct plm_law_file *law, const struct arguments *a) {
  const struct plm_surface *s = &law->surface;
  printf("by %s of %s, fitted to %s (C %.3g to %.3g):\n", a->estimator, a->law, law->source, law->compute_min,
         law->compute_max);
  printf("  L = %.4g + %.4g/N^%.4g + %.4g/D^%.4g nats, C = %.4g N^%.4g D\n\n", s->E, s->A, s->alpha, s->B, s->beta,
         law->cost.scale, law->cost.exponent);
}

static void table_print(const struct plm_points *models, const struct plm_law_file *law) {
  double furthest = 0;
  printf("  %-22s %8s %8s %10s %8s %9s %10s %11s  %s\n", "model", "N", "D", "C", "loss", "N/N_opt", "same loss",
         "deadweight", "");
  for (size_t i = 0; i < models->count; i++) {
    const struct plm_point *p = &models->items[i];
    char n[32], d[32];
    struct plm_audit a;
    plm_audit_model(&a, law, p->params, p->tokens);
    plm_number_short(n, sizeof n, p->params);
    plm_number_short(d, sizeof d, p->tokens);
    printf("  %-22s %8s %8s %10.3g %8.4f %9.3g %10.3g %9.0f %%  %s%s\n", p->label, n, d, a.compute, a.loss,
           p->params / a.params, a.compute_same, 100 * a.deadweight, plm_audit_verdict(&a, p->params),
           a.beyond > 1 ? " (extrapolated)" : "");
    furthest = fmax(furthest, a.beyond);
  }
  if (furthest > 1)
    printf("\nwarning: the law was measured up to C %.3g, N %.3g, D %.3g; models here are up to %.2g times beyond\n",
           law->compute_max, law->params_max, law->tokens_max, furthest);
}

static json_t *models_json(const struct plm_points *models, const struct plm_law_file *law, const struct arguments *args) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < models->count; i++) {
    const struct plm_point *p = &models->items[i];
    struct plm_audit a;
    plm_audit_model(&a, law, p->params, p->tokens);
    json_t *label = json_string(p->label);
    json_t *row =
        json_pack("{s:o,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:s,s:f}", "model", label ? label : json_string("?"),
                  "params", p->params, "tokens", p->tokens, "compute", a.compute, "loss", a.loss, "params_best",
                  a.params, "tokens_best", a.tokens, "loss_best", a.loss_best, "compute_same_loss", a.compute_same,
                  "deadweight", a.deadweight, "verdict", plm_audit_verdict(&a, p->params), "beyond_measured", a.beyond);
    if (json_array_append_new(out, row)) {
      json_decref(out);
      return NULL;
    }
  }
  const struct plm_surface *s = &law->surface;
  json_t *source = json_string(law->source);
  return json_pack("{s:s,s:{s:s,s:s,s:o,s:{s:f,s:f,s:f,s:f,s:f},s:{s:f,s:f}},s:o}", "schema", SCHEMA, "law", "file",
                   args->law, "estimator", args->estimator, "source", source ? source : json_string("?"), "surface", "E",
                   s->E, "A", s->A, "B", s->B, "alpha", s->alpha, "beta", s->beta, "cost", "scale", law->cost.scale,
                   "exponent", law->cost.exponent, "models", out);
}

int plm_cli_audit(int argc, char **argv, struct plm_error *err) {
  static const struct argp argp = {
      OPTIONS,
      argument_take,
      "MODELS.csv",
      "How far models are from the frontier of a law: the loss it predicts for each, the best size for the same "
      "compute, and the compute at which the best model has the same loss. MODELS.csv has columns name, N, and D or C.",
      NULL,
      NULL,
      NULL};
  struct arguments arguments = {.estimator = PLM_LAW_MAIN};
  struct plm_law_file law;
  struct plm_points models = {0};
  int code = plm_cli_parse(&argp, argc, argv, &arguments, err);
  if (!code && (!arguments.models || arguments.more || !arguments.law))
    code = plm_error_set(err, PLM_E_USAGE, "audit takes one MODELS.csv and --law LAW.json");
  if (!code)
    code = plm_law_file_read(&law, arguments.law, arguments.estimator, err);
  if (!code)
    code = plm_points_read_models(&models, arguments.models, err);
  if (!code && arguments.json)
    code = plm_cli_print_json(models_json(&models, &law, &arguments), err);
  else if (!code) {
    law_print(&law, &arguments);
    table_print(&models, &law);
  }
  plm_points_fini(&models);
  return code;
}
