#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "cli/cli.h"
#include "cli/predict.h"
#include "law/law_file.h"
#include "law/points_csv.h"
#include "law/surface.h"

#define SEED 1

enum option_key { KEY_SHEET = 1000, KEY_SHARE, KEY_PARAMS, KEY_LOSS };

static const struct argp_option OPTIONS[] = {
    {"compute", 'c', "COMPUTE", 0, "the budget in FLOP; or one of the next two", 0},
    {"params", KEY_PARAMS, "N", 0, "instead: the budget for which N parameters are best", 0},
    {"loss", KEY_LOSS, "NATS", 0, "instead: the budget whose best model has this loss", 0},
    {"law", 'l', "LAW.json", 0, "what fit --json wrote, instead of a study or a table; no intervals then", 0},
    {"estimator", 'e', "NAME", 0, "whose answer (default vp)", 0},
    {"bootstrap", 'b', "N", 0, "draws for the intervals (default 200; 0: none)", 0},
    {"backend", 'B', "NAME[:DEVICE]", 0, "of a study: the time on this device too, by a short measurement of the shape", 0},
    {"threads", 't', "N", 0, "CPU threads of that measurement (default: [run] threads, or one a CPU)", 0},
    {"sheet", KEY_SHEET, "NAME=GFLOPS,GBPS", 0, "of a study: the time on a device that is not here, by its data sheet", 0},
    {"sheet-share", KEY_SHARE, "FRACTION", 0, "How much of the speed that a sheet allows is reached (0.5)", 0},
    {"json", 'j', NULL, 0, "print " PREDICT_SCHEMA, 0},
    {0}};

static error_t device_take(int key, char *text, struct argp_state *state, struct plan_request *request) {
  struct plm_error why = PLM_ERROR_INIT;
  if (request->backend_count + request->sheet_count == PREDICT_DEVICES_MAX / 2)
    argp_error(state, "--backend and --sheet: given more than %d times", PREDICT_DEVICES_MAX / 2);
  if (key == 'B')
    request->backends[request->backend_count++] = text;
  else if (plan_sheet_parse(&request->sheets[request->sheet_count++], text, &why))
    argp_error(state, "%s", why.text);
  return 0;
}

static error_t argument_take(int key, char *text, struct argp_state *state) {
  struct predict_arguments *a = state->input;
  switch (key) {
  case 'c':
    a->compute = text;
    return 0;
  case KEY_PARAMS:
    a->params = text;
    return 0;
  case KEY_LOSS:
    a->loss = text;
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
  case 'B':
  case KEY_SHEET:
    return device_take(key, text, state, &a->request);
  case KEY_SHARE:
    if (plm_number_real(&a->request.share, text, NULL) || !(a->request.share > 0 && a->request.share <= 1))
      argp_error(state, "--sheet-share \"%s\": must be a number above 0, at most 1", text);
    return 0;
  case 't':
    if (plm_number_integer(&a->request.threads, text, NULL) || a->request.threads < 1 || a->request.threads > 4096)
      argp_error(state, "--threads \"%s\": must be a number from 1 to 4096", text);
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

/* What is asked for: a budget, or what a budget has to give. */
struct question {
  double compute, params, loss; /* one of them, the others 0 */
  size_t draws;
};

/* The budget, by a surface where it is not given. */
static int compute_find(double *out, const struct question *q, const struct plm_surface *surface,
                        const struct plm_cost *cost, const char *estimator, struct plm_error *err) {
  *out = q->compute;
  if (q->compute > 0)
    return 0;
  if (!surface)
    return plm_error_set(err, PLM_E_USAGE, "--params and --loss need a surface (vp, huber, lad, mse, asymmetric); %s is none",
                         estimator);
  *out = q->params > 0 ? plm_surface_compute_of_params(surface, cost, q->params)
                       : plm_surface_compute_of_loss(surface, cost, q->loss);
  if (isinf(*out) && !(q->params > 0))
    return plm_error_set(err, PLM_E_UNSUPPORTED, "a loss of %.6g is never reached: by %s the floor E is %.6g", q->loss,
                         estimator, surface->E);
  if (!(*out > 1 && *out < 1e60))
    return plm_error_set(err, PLM_E_UNSUPPORTED, "by %s that takes %.3g FLOP, which is no budget", estimator, *out);
  return 0;
}

static int from_file(struct prediction *out, const struct predict_arguments *a, const struct question *q,
                     struct plm_error *err) {
  struct plm_law_file law;
  double compute;
  int code = plm_law_file_read(&law, a->law, a->estimator, err);
  if (code || (code = compute_find(&compute, q, &law.surface, &law.cost, a->estimator, err)))
    return code;
  out->best = (struct plm_optimum){.compute = compute};
  plm_surface_optimum(&out->best, &law.surface, &law.cost);
  out->cost = law.cost;
  out->ranges[0] = (struct predict_range){"C", compute, law.compute_min, law.compute_max};
  out->ranges[1] = (struct predict_range){"N_opt", out->best.params, law.params_min, law.params_max};
  out->ranges[2] = (struct predict_range){"D_opt", out->best.tokens, law.tokens_min, law.tokens_max};
  return 0;
}

/* One estimator's law of the points; *out is owned by the caller. */
static int law_fit(struct plm_law **out, struct plm_points *points, const struct predict_arguments *a, double compute,
                   size_t draws, struct plm_error *err) {
  struct plm_law_options options = {
      .estimators = a->estimator, .draws = draws, .seed = SEED, .at = &compute, .at_count = compute > 0};
  struct plm_law *law = NULL;
  int code = plm_law_fit(&law, points, a->source, &options, err);
  if (!code && law->fit_count == 0)
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "%s: no law could be fitted; %s", a->source,
                         law->failed_count ? law->failed[0].reason : "there are no points");
  if (code)
    plm_law_destroy(law);
  else
    *out = law;
  return code;
}

static int points_compute(double *out, struct plm_points *points, const struct predict_arguments *a,
                          const struct question *q, struct plm_error *err) {
  struct plm_law *law = NULL;
  if (q->compute > 0) {
    *out = q->compute;
    return 0;
  }
  int code = law_fit(&law, points, a, 0, 0, err);
  if (!code)
    code = compute_find(out, q, law->fits[0].has_surface ? &law->fits[0].surface : NULL, &law->cost, a->estimator, err);
  plm_law_destroy(law);
  return code;
}

static int from_points(struct prediction *out, struct plm_points *points, const struct predict_arguments *a,
                       const struct question *q, struct plm_error *err) {
  struct plm_law *law = NULL;
  double compute = 0;
  int code = points_compute(&compute, points, a, q, err);
  if (code || (code = law_fit(&law, points, a, compute, q->draws, err)))
    return code;
  const struct plm_fit *fit = &law->fits[0];
  for (size_t i = 0; i < fit->optimum_count; i++)
    if (fabs(fit->optimum[i].compute - compute) <= 1e-9 * compute)
      out->best = fit->optimum[i];
  if (!out->best.known)
    code = plm_error_set(err, PLM_E_UNSUPPORTED, "%s: %s has no answer at %.4g FLOP", a->source, a->estimator, compute);
  out->misfit = isnan(fit->misfit) ? 0 : fit->misfit;
  out->cost = law->cost;
  out->ranges[0] = (struct predict_range){"C", compute, law->compute_min, law->compute_max};
  out->ranges[1] = (struct predict_range){"N_opt", out->best.params, law->params_min, law->params_max};
  out->ranges[2] = (struct predict_range){"D_opt", out->best.tokens, law->tokens_min, law->tokens_max};
  plm_law_destroy(law);
  return code;
}

/* Where no study says one: wider heads for larger models, as published ones have. */
static uint32_t usual_head_size(double params) { return params < 1e6 ? 16 : params < 1e8 ? 32 : 64; }

/* Small models leave large gaps between widths of whole heads: heads are halved until a shape is near. */
static void shape_find(struct prediction *out, uint32_t head_size) {
  struct plm_error inner = PLM_ERROR_INIT;
  if (!head_size)
    head_size = usual_head_size(out->best.params);
  for (; !out->has_shape && head_size >= 4 && head_size % 2 == 0; head_size /= 2)
    out->has_shape = !plm_shape_for_params(&out->shape, out->best.params, head_size, &inner);
  out->tokens = out->has_shape ? plm_cost_tokens(&out->cost, out->best.compute,
                                                 (double)plm_shape_params_layers(out->shape))
                               : out->best.tokens;
}

/*
 * Of a study whose rates a sweep gave: between the sizes that were trained on a straight line in log N and log rate, beyond them
 * the nearest one's; the rule's where nothing was.
 */
static double swept_rate(const struct plm_study_runs *runs, double params, double rule) {
  const struct plm_run_figures *below = NULL, *above = NULL;
  for (size_t i = 0; i < runs->count; i++) {
    const struct plm_run_figures *f = &runs->runs[i].figures;
    if (f->n_layers_only <= params && (!below || f->n_layers_only > below->n_layers_only))
      below = f;
    if (f->n_layers_only >= params && (!above || f->n_layers_only < above->n_layers_only))
      above = f;
  }
  if (!below || !above || below->n_layers_only == above->n_layers_only)
    return below ? below->lr : above ? above->lr : rule;
  double share = log(params / below->n_layers_only) / log(above->n_layers_only / below->n_layers_only);
  return below->lr * pow(above->lr / below->lr, share);
}

/* What the study says of batch, learning rate, corpus and devices. */
static int study_use(struct prediction *out, const struct plm_study_runs *runs, const struct predict_arguments *a,
                     struct plm_error *err) {
  struct plan plan = {.request = &a->request};
  int code = plm_cli_study_read(&plan.study, a->source, err);
  if (!code)
    code = plm_corpus_open(&plan.corpus, plan.study->corpus, err);
  if (!code) {
    const struct plm_config *config = &plan.study->config;
    plan_corpus(&plan.means, plan.corpus, config->data_length_max);
    shape_find(out, (uint32_t)config->model_head_size);
    out->batch = (double)config->train_batch_tokens;
    out->rate = plm_study_peak_rate(config, out->best.params);
    if (!strcmp(config->train_lr, "sweep"))
      out->rate = swept_rate(runs, out->best.params, out->rate);
    for (size_t i = 0; i < runs->count; i++)
      out->epochs_measured = fmax(out->epochs_measured, runs->runs[i].figures.epochs);
    out->epochs = out->tokens / plan.means.epoch_tokens;
    if (out->has_shape)
      code = predict_times(out, runs, &plan, err);
  }
  plm_corpus_close(plan.corpus);
  plm_study_destroy(plan.study);
  return code;
}

static int is_study(const char *path) {
  size_t length = path ? strlen(path) : 0;
  return length > 4 && !strcmp(path + length - 4, ".ini");
}

static int points_read(struct plm_points *out, struct plm_study_runs *runs, const char *source, struct plm_error *err) {
  const struct plm_points_choice usual = {PLM_POINTS_VALID_MASK, PLM_POINTS_LAYERS, PLM_POINTS_6ND};
  if (!is_study(source))
    return plm_points_read_csv(out, source, err);
  int code = plm_study_runs_read(runs, source, err);
  return code ? code : plm_points_from_runs(out, runs, &usual, err);
}

static int predict(struct prediction *out, const struct predict_arguments *a, const struct question *q,
                   struct plm_error *err) {
  struct plm_study_runs runs = {0};
  struct plm_points points = {0};
  int code = a->law ? 0 : points_read(&points, &runs, a->source, err);
  if (!code)
    code = a->law ? from_file(out, a, q, err) : from_points(out, &points, a, q, err);
  if (!code && is_study(a->source))
    code = study_use(out, &runs, a, err);
  else if (!code)
    shape_find(out, 0);
  out->beyond = 1;
  for (int i = 0; !code && i < 3; i++)
    out->beyond = fmax(out->beyond, predict_outside(&out->ranges[i]));
  /* Where the study's own rule was tried there is nothing better. */
  if (!code && (!(out->batch > 0) || out->beyond > 1 + 1e-6))
    out->prior_count = plm_priors(out->priors, out->best.params, out->best.tokens);
  plm_points_fini(&points);
  plm_study_runs_fini(&runs);
  return code;
}

static int number_read(double *out, const char *option, const char *text, struct plm_error *err) {
  int code = text ? plm_number_real(out, text, err) : 0;
  if (!code && text && !(*out > 0 && isfinite(*out)))
    return plm_error_set(err, PLM_E_USAGE, "--%s %s: must be above 0", option, text);
  return code;
}

static int arguments_check(struct question *out, const struct predict_arguments *a, struct plm_error *err) {
  int64_t draws = 200;
  int code;
  if (a->more || !a->compute + !a->params + !a->loss != 2 || !a->source == !a->law)
    return plm_error_set(err, PLM_E_USAGE,
                         "predict takes one of --compute, --params, --loss and one of STUDY.ini, POINTS.csv, --law LAW.json");
  if ((code = number_read(&out->compute, "compute", a->compute, err)) ||
      (code = number_read(&out->params, "params", a->params, err)) ||
      (code = number_read(&out->loss, "loss", a->loss, err)) ||
      (a->bootstrap && (code = plm_number_integer(&draws, a->bootstrap, err))))
    return code;
  if (!plm_estimator_find(a->estimator))
    return plm_error_set(err, PLM_E_USAGE, "estimator \"%.40s\" is unknown; `plmscale fit --help` lists them",
                         a->estimator);
  if (!is_study(a->source) && a->request.backend_count + a->request.sheet_count)
    return plm_error_set(err, PLM_E_USAGE, "--backend and --sheet need a study: its corpus and batch make the time");
  out->draws = (size_t)draws;
  return 0;
}

int plm_cli_predict(int argc, char **argv, struct plm_error *err) {
  static const struct argp argp = {
      OPTIONS,
      argument_take,
      "[STUDY.ini|POINTS.csv]",
      "The best model for a budget: size, tokens and loss with their intervals, a shape, batch and learning rate, and of "
      "a study the time on each device it ran on.",
      NULL,
      NULL,
      NULL};
  struct predict_arguments arguments = {.estimator = PLM_LAW_MAIN, .request.share = 0.5};
  struct prediction prediction = {0};
  struct question question = {0};
  int code = plm_cli_parse(&argp, argc, argv, &arguments, err);
  if (!code)
    code = arguments_check(&question, &arguments, err);
  if (!code)
    code = predict(&prediction, &arguments, &question, err);
  if (!code && arguments.json)
    code = plm_cli_print_json(predict_json(&prediction, &arguments), err);
  else if (!code)
    predict_print(&prediction, &arguments);
  return code;
}
