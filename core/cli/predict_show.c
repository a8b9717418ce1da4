#include <math.h>
#include <stdio.h>

#include "base/number.h"
#include "cli/predict.h"
#include "law/misfit.h"

static const char *short_text(char out[32], double value) {
  plm_number_short(out, 32, value);
  return out;
}

static void range_print(const struct plm_interval *interval) {
  char low[32], high[32];
  if (interval->known)
    printf("  (95 %%: %s to %s)", short_text(low, interval->low), short_text(high, interval->high));
  putchar('\n');
}

static void optimum_print(const struct plm_optimum *o) {
  char number[32];
  printf("  N_opt   %s", short_text(number, o->params));
  range_print(&o->params_interval);
  printf("  D_opt   %s", short_text(number, o->tokens));
  range_print(&o->tokens_interval);
  if (!isfinite(o->loss))
    return;
  printf("  loss    %.4f", o->loss);
  if (o->loss_interval.known)
    printf("  (95 %%: %.4f to %.4f)", o->loss_interval.low, o->loss_interval.high);
  putchar('\n');
}

static void model_print(const struct prediction *p) {
  char text[PLM_SHAPE_TEXT], n[32], d[32];
  if (p->has_shape) {
    plm_shape_text(text, p->shape);
    printf("  shape   %s (%s parameters in its layers), on %s tokens for the same compute\n", text,
           short_text(n, (double)plm_shape_params_layers(p->shape)), short_text(d, p->tokens));
  } else {
    printf("  shape   none is near: the size is beyond what layers and heads make\n");
  }
  if (p->epochs > 0)
    printf("  data    %.3g passes over the study's corpus\n", p->epochs);
  if (p->batch > 0)
    printf("  batch   %.0f tokens, %.4g steps; peak learning rate %.3g (of the study's [train])\n", p->batch,
           ceil(p->tokens / p->batch), p->rate);
  for (size_t i = 0; i < p->prior_count; i++)
    printf("  prior   batch %s tokens, peak learning rate %.2g (%s)\n", short_text(d, p->priors[i].batch),
           p->priors[i].rate, p->priors[i].source);
}

static void device_print(const struct predict_device *d) {
  char time[32] = "not known";
  if (isfinite(d->seconds))
    plm_number_duration(time, sizeof time, d->seconds);
  printf("  time    %s on %s", time, d->name);
  if (d->threads)
    printf(", %u thread%s", d->threads, d->threads == 1 ? "" : "s");
  if (*d->basis == 'e')
    printf(": extrapolated, at the FLOP/s of the %s shape it trained, which takes %.3g times as much a token\n",
           d->ratio > 1 ? "largest" : "smallest", 1 / d->ratio);
  else
    printf(": %s\n", *d->basis == 'i'   ? "between the shapes it trained"
                     : *d->basis == 'm' ? "this shape, measured now"
                                        : "by its data sheet, not measured");
}

double predict_outside(const struct predict_range *range) {
  return fmax(1, fmax(range->value / range->high, range->low / range->value));
}

static void warnings_print(const struct prediction *p) {
  const char *before = "warning: extrapolated: ";
  for (int i = 0; i < 3; i++) {
    const struct predict_range *r = &p->ranges[i];
    int above = r->value > r->high;
    if (!(predict_outside(r) > 1 + 1e-6))
      continue;
    printf("%s%s is %.3g times %s the %.3g measured", before, r->name, predict_outside(r), above ? "beyond" : "below",
           above ? r->high : r->low);
    before = ", ";
  }
  if (*before == ',')
    putchar('\n');
  if (p->misfit > PLM_MISFIT_LARGE)
    printf("warning: the surface misses the runs by %.2g times what seeds explain, which no interval here says; see "
           "`plmscale fit`, and --estimator parabola at measured budgets\n",
           p->misfit);
  if (p->epochs > fmax(1, p->epochs_measured) * 1.01)
    printf("warning: %.3g passes over the corpus, the runs made at most %.3g: a token seen again is worth less (estimator "
           "repeat)\n",
           p->epochs, p->epochs_measured);
}

void predict_print(const struct prediction *p, const struct predict_arguments *a) {
  printf("at %.4g FLOP, by %s:\n", p->best.compute, a->estimator);
  optimum_print(&p->best);
  model_print(p);
  for (size_t i = 0; i < p->device_count; i++)
    device_print(&p->devices[i]);
  warnings_print(p);
}

static json_t *interval_json(const struct plm_interval *interval) {
  return interval->known ? json_pack("[f,f]", interval->low, interval->high) : json_null();
}

static json_t *positive_json(double value) { return value > 0 && isfinite(value) ? json_real(value) : json_null(); }

static json_t *devices_json(const struct prediction *p) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < p->device_count; i++) {
    const struct predict_device *d = &p->devices[i];
    json_t *name = json_string(d->name);
    json_array_append_new(
        out, json_pack("{s:o,s:o,s:o,s:o,s:s,s:f}", "device", name ? name : json_string("?"), "threads",
                       d->threads ? json_integer((json_int_t)d->threads) : json_null(), "tokens_per_second",
                       positive_json(d->tokens_per_s), "seconds", positive_json(d->seconds), "basis", d->basis,
                       "flops_over_trained", d->ratio));
  }
  return out;
}

static json_t *priors_json(const struct prediction *p) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < p->prior_count; i++)
    json_array_append_new(out, json_pack("{s:s,s:f,s:f}", "source", p->priors[i].source, "batch_tokens",
                                         p->priors[i].batch, "lr", p->priors[i].rate));
  return out;
}

json_t *predict_json(const struct prediction *p, const struct predict_arguments *a) {
  const struct plm_optimum *o = &p->best;
  char text[PLM_SHAPE_TEXT] = "";
  if (p->has_shape)
    plm_shape_text(text, p->shape);
  return json_pack("{s:s,s:s,s:f,s:f,s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:f}", "schema", PREDICT_SCHEMA,
                   "estimator", a->estimator, "compute", o->compute, "params", o->params, "tokens", o->tokens, "loss",
                   isfinite(o->loss) ? json_real(o->loss) : json_null(), "params_interval",
                   interval_json(&o->params_interval), "tokens_interval", interval_json(&o->tokens_interval),
                   "loss_interval", interval_json(&o->loss_interval), "shape",
                   p->has_shape ? json_string(text) : json_null(), "shape_tokens", positive_json(p->tokens), "epochs",
                   positive_json(p->epochs), "flops_per_token", positive_json(p->flops_per_token), "batch_tokens",
                   positive_json(p->batch), "lr", positive_json(p->rate), "priors", priors_json(p), "devices",
                   devices_json(p), "misfit", positive_json(p->misfit), "beyond_measured", p->beyond);
}
