#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "cli/cli.h"
#include "law/bootstrap.h"
#include "law/law.h"
#include "law/law_file.h"
#include "law/points_csv.h"
#include "law/study_points.h"
#include "law/surface.h"
#include "study/study.h"

#define SCHEMA "plmscale.predict/1"
#define SEED 1
#define DEVICES_MAX 16

struct arguments {
  const char *source, *law, *compute, *estimator, *bootstrap;
  int json, more;
};

static const struct argp_option OPTIONS[] = {
    {"compute", 'c', "COMPUTE", 0, "the budget in FLOP; required", 0},
    {"law", 'l', "LAW.json", 0, "what fit --json wrote, instead of a study or a table; no intervals then", 0},
    {"estimator", 'e', "NAME", 0, "whose answer (default vp)", 0},
    {"bootstrap", 'b', "N", 0, "draws for the intervals (default 200; 0: none)", 0},
    {"json", 'j', NULL, 0, "print " SCHEMA, 0},
    {0}};

/* How fast a device of the study's runs was, by its largest model. */
struct device {
  const char *name; /* borrowed from the runs */
  double params, flops_per_second;
};

struct prediction {
  struct plm_optimum best;
  double beyond; /* C, N or D over the largest measured, whichever is most */
  int has_shape;
  struct plm_shape shape;
  double batch, rate; /* of the study; 0: no study */
  struct device devices[DEVICES_MAX];
  size_t device_count;
};

static error_t argument_take(int key, char *text, struct argp_state *state) {
  struct arguments *a = state->input;
  switch (key) {
  case 'c':
    a->compute = text;
    return 0;
  case 'l':
    a->law = text;
    return 0;
  case 'e':
    a->estimator = text;
    return 0;
  case 'b':
    a->bootstrap = text;
    return 0;
  case 'j':
    a->json = 1;
    return 0;
  case ARGP_KEY_ARG:
    a->more |= a->source != NULL;
    a->source = text;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static double beyond(const struct plm_optimum *o, double compute, double params, double tokens) {
  return fmax(o->compute / compute, fmax(o->params / params, o->tokens / tokens));
}

static int from_file(struct prediction *out, const struct arguments *a, double compute, struct plm_error *err) {
  struct plm_law_file law;
  int code = plm_law_file_read(&law, a->law, a->estimator, err);
  if (code)
    return code;
  out->best = (struct plm_optimum){.compute = compute};
  plm_surface_optimum(&out->best, &law.surface, &law.cost);
  out->beyond = beyond(&out->best, law.compute_max, law.params_max, law.tokens_max);
  return 0;
}

static int from_points(struct prediction *out, struct plm_points *points, const struct arguments *a, double compute,
                       size_t draws, struct plm_error *err) {
  struct plm_law_options options = {
      .estimators = a->estimator, .draws = draws, .seed = SEED, .at = &compute, .at_count = 1};
  struct plm_law *law = NULL;
  int code = plm_law_fit(&law, points, a->source, &options, err);
  if (code)
    return code;
  if (law->fit_count == 0) {
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "%s: no law could be fitted; %s", a->source,
                         law->failed_count ? law->failed[0].reason : "there are no points");
  } else {
    const struct plm_fit *fit = &law->fits[0];
    for (size_t i = 0; i < fit->optimum_count; i++)
      if (fabs(fit->optimum[i].compute - compute) <= 1e-9 * compute)
        out->best = fit->optimum[i];
    if (!out->best.known)
      code =
          plm_error_set(err, PLM_E_UNSUPPORTED, "%s: %s has no answer at %.4g FLOP", a->source, a->estimator, compute);
    else
      out->beyond = beyond(&out->best, law->compute_max, law->params_max, law->tokens_max);
  }
  plm_law_destroy(law);
  return code;
}

static void devices_find(struct prediction *out, const struct plm_study_runs *runs) {
  for (size_t i = 0; i < runs->count; i++) {
    const struct plm_run *run = &runs->runs[i];
    const struct plm_run_figures *f = &run->figures;
    size_t d = 0;
    while (d < out->device_count && strcmp(out->devices[d].name, run->device_name))
      d++;
    if (strcmp(run->status, "done") || !(f->seconds > 0) || d == DEVICES_MAX ||
        (d < out->device_count && out->devices[d].params >= f->n_layers_only))
      continue;
    out->device_count += d == out->device_count;
    out->devices[d] = (struct device){run->device_name, f->n_layers_only, f->flops_6nd / f->seconds};
  }
}

/* What the study's file says of batch and learning rate. */
static int study_use(struct prediction *out, uint32_t *head_size, const char *ini, struct plm_error *err) {
  struct plm_study *study = NULL;
  int code = plm_cli_study_read(&study, ini, err);
  if (code)
    return code;
  *head_size = (uint32_t)study->config.model_head_size;
  out->batch = (double)study->config.train_batch_tokens;
  out->rate = plm_study_peak_rate(&study->config, out->best.params);
  plm_study_destroy(study);
  return 0;
}

/* Where no study says one: wider heads for larger models, as published ones have. */
static uint32_t usual_head_size(double params) { return params < 1e6 ? 16 : params < 1e8 ? 32 : 64; }

static int is_study(const char *path) {
  size_t length = strlen(path);
  return length > 4 && !strcmp(path + length - 4, ".ini");
}

static int predict(struct prediction *out, struct plm_study_runs *runs, const struct arguments *a, double compute,
                   size_t draws, struct plm_error *err) {
  const struct plm_points_choice usual = {PLM_POINTS_VALID_MASK, PLM_POINTS_LAYERS, PLM_POINTS_6ND};
  struct plm_points points = {0};
  struct plm_error inner = PLM_ERROR_INIT;
  uint32_t head_size = 0;
  int code;
  if (a->law) {
    code = from_file(out, a, compute, err);
  } else {
    if (!is_study(a->source))
      code = plm_points_read_csv(&points, a->source, err);
    else if (!(code = plm_study_runs_read(runs, a->source, err)))
      code = plm_points_from_runs(&points, runs, &usual, err);
    if (!code)
      code = from_points(out, &points, a, compute, draws, err);
    if (!code && is_study(a->source)) {
      devices_find(out, runs);
      code = study_use(out, &head_size, a->source, err);
    }
  }
  plm_points_fini(&points);
  if (!code)
    out->has_shape = !plm_shape_for_params(&out->shape, out->best.params,
                                           head_size ? head_size : usual_head_size(out->best.params), &inner);
  return code;
}

static void range_print(const struct plm_interval *interval) {
  char low[32], high[32];
  if (interval->known) {
    plm_number_short(low, sizeof low, interval->low);
    plm_number_short(high, sizeof high, interval->high);
    printf("  (95 %%: %s to %s)", low, high);
  }
  putchar('\n');
}

static void prediction_print(const struct prediction *p, const struct arguments *a) {
  char text[PLM_SHAPE_TEXT], number[32];
  printf("at %.4g FLOP, by %s:\n", p->best.compute, a->estimator);
  plm_number_short(number, sizeof number, p->best.params);
  printf("  N_opt   %s", number);
  range_print(&p->best.params_interval);
  plm_number_short(number, sizeof number, p->best.tokens);
  printf("  D_opt   %s", number);
  range_print(&p->best.tokens_interval);
  if (isfinite(p->best.loss)) {
    printf("  loss    %.4f", p->best.loss);
    if (p->best.loss_interval.known)
      printf("  (95 %%: %.4f to %.4f)", p->best.loss_interval.low, p->best.loss_interval.high);
    putchar('\n');
  }
  if (p->has_shape) {
    plm_shape_text(text, p->shape);
    plm_number_short(number, sizeof number, (double)plm_shape_params_layers(p->shape));
    printf("  shape   %s (%s parameters in its layers)\n", text, number);
  } else {
    printf("  shape   none is near: the size is beyond what layers and heads make\n");
  }
  if (p->batch > 0)
    printf("  batch   %.0f tokens, %.4g steps; peak learning rate %.3g (of the study's [train])\n", p->batch,
           ceil(p->best.tokens / p->batch), p->rate);
  for (size_t i = 0; i < p->device_count; i++) {
    plm_number_duration(number, sizeof number, p->best.compute / p->devices[i].flops_per_second);
    printf("  time    %s on %s, at the rate of the largest model it trained here\n", number, p->devices[i].name);
  }
  if (p->beyond > 1)
    printf("warning: extrapolated: %.3g times beyond the largest C, N or D measured\n", p->beyond);
}

static json_t *interval_json(const struct plm_interval *interval) {
  return interval->known ? json_pack("[f,f]", interval->low, interval->high) : json_null();
}

static json_t *prediction_json(const struct prediction *p, const struct arguments *a) {
  char text[PLM_SHAPE_TEXT] = "";
  json_t *devices = json_array();
  if (p->has_shape)
    plm_shape_text(text, p->shape);
  for (size_t i = 0; i < p->device_count; i++) {
    json_t *name = json_string(p->devices[i].name);
    json_array_append_new(devices, json_pack("{s:o,s:f}", "device", name ? name : json_string("?"), "seconds",
                                             p->best.compute / p->devices[i].flops_per_second));
  }
  return json_pack("{s:s,s:s,s:f,s:f,s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:f}", "schema", SCHEMA, "estimator",
                   a->estimator, "compute", p->best.compute, "params", p->best.params, "tokens", p->best.tokens, "loss",
                   isfinite(p->best.loss) ? json_real(p->best.loss) : json_null(), "params_interval",
                   interval_json(&p->best.params_interval), "tokens_interval", interval_json(&p->best.tokens_interval),
                   "loss_interval", interval_json(&p->best.loss_interval), "shape",
                   p->has_shape ? json_string(text) : json_null(), "batch_tokens",
                   p->batch > 0 ? json_real(p->batch) : json_null(), "lr",
                   p->batch > 0 ? json_real(p->rate) : json_null(), "devices", devices, "beyond_measured", p->beyond);
}

static int arguments_check(double *compute, int64_t *draws, const struct arguments *a, struct plm_error *err) {
  int code;
  if (a->more || !a->compute || !a->source == !a->law)
    return plm_error_set(err, PLM_E_USAGE, "predict takes --compute and one of STUDY.ini, POINTS.csv, --law LAW.json");
  if ((code = plm_number_real(compute, a->compute, err)) ||
      (a->bootstrap && (code = plm_number_integer(draws, a->bootstrap, err))))
    return code;
  if (!(*compute > 0))
    return plm_error_set(err, PLM_E_USAGE, "--compute %s: must be above 0", a->compute);
  if (!plm_estimator_find(a->estimator))
    return plm_error_set(err, PLM_E_USAGE, "estimator \"%.40s\" is unknown; `plmscale fit --help` lists them",
                         a->estimator);
  return 0;
}

int plm_cli_predict(int argc, char **argv, struct plm_error *err) {
  static const struct argp argp = {
      OPTIONS,
      argument_take,
      "[STUDY.ini|POINTS.csv]",
      "The best model for a budget: size, tokens and loss with their intervals, a shape, and "
      "of a study its batch, learning rate and the time on each device it ran on.",
      NULL,
      NULL,
      NULL};
  struct arguments arguments = {.estimator = PLM_LAW_MAIN};
  struct prediction prediction = {0};
  struct plm_study_runs runs = {0};
  double compute = 0;
  int64_t draws = 200;
  int code = plm_cli_parse(&argp, argc, argv, &arguments, err);
  if (!code)
    code = arguments_check(&compute, &draws, &arguments, err);
  if (!code)
    code = predict(&prediction, &runs, &arguments, compute, (size_t)draws, err);
  if (!code && arguments.json)
    code = plm_cli_print_json(prediction_json(&prediction, &arguments), err);
  else if (!code)
    prediction_print(&prediction, &arguments);
  plm_study_runs_fini(&runs);
  return code;
}
