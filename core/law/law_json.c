#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "law/law.h"

/* The helpers return a new reference or NULL; jansson's _new setters take NULL for a failure, so one check at the end
 * is enough. */

static json_t *real_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

/* Labels and paths come from outside: what is not UTF-8 keeps its ASCII, other bytes become '?'. */
static json_t *text_json(const char *text) {
  json_t *out = json_string(text);
  if (out)
    return out;
  char *copy = plm_memory_format("%s", text);
  for (char *c = copy; copy && *c; c++)
    if (*c & 0x80)
      *c = '?';
  if (copy)
    out = json_string(copy);
  free(copy);
  return out;
}

static json_t *interval_json(const struct plm_interval *interval) {
  return interval->known ? json_pack("[f,f]", interval->low, interval->high) : json_null();
}

static json_t *notes_json(const struct plm_notes *notes) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < notes->count; i++)
    if (json_array_append_new(out, text_json(notes->lines[i]))) {
      json_decref(out);
      out = NULL;
    }
  return out;
}

static json_t *optima_json(const struct plm_fit *fit) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < fit->optimum_count; i++) {
    const struct plm_optimum *o = &fit->optimum[i];
    if (!o->known)
      continue;
    json_t *row = json_pack("{s:f,s:f,s:f,s:o,s:o,s:o,s:o,s:b}", "compute", o->compute, "params", o->params, "tokens",
                            o->tokens, "loss", real_or_null(o->loss), "params_interval",
                            interval_json(&o->params_interval), "tokens_interval", interval_json(&o->tokens_interval),
                            "loss_interval", interval_json(&o->loss_interval), "extrapolated", o->extrapolated);
    if (json_array_append_new(out, row)) {
      json_decref(out);
      out = NULL;
    }
  }
  return out;
}

static json_t *refused_json(const struct plm_fit *fit) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < fit->refused_count; i++)
    if (json_array_append_new(
            out, json_pack("{s:f,s:s}", "budget", fit->refused[i].budget, "reason", fit->refused[i].reason))) {
      json_decref(out);
      out = NULL;
    }
  return out;
}

/* intervals: of the parameters, instead of their values. */
static json_t *params_json(const struct plm_fit *fit, int intervals) {
  json_t *out = json_object();
  for (size_t i = 0; out && i < fit->param_count; i++) {
    const struct plm_parameter *p = &fit->params[i];
    if (json_object_set_new(out, p->name, intervals ? interval_json(&p->interval) : real_or_null(p->value))) {
      json_decref(out);
      out = NULL;
    }
  }
  return out;
}

static json_t *basins_json(const struct plm_fit *fit) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < fit->basin_count; i++) {
    const struct plm_basin *b = &fit->basins[i];
    json_t *row =
        json_pack("{s:f,s:I,s:o,s:o,s:o,s:o,s:o}", "objective", b->objective, "starts", (json_int_t)b->starts, "E",
                  real_or_null(b->surface.E), "A", real_or_null(b->surface.A), "B", real_or_null(b->surface.B), "alpha",
                  real_or_null(b->surface.alpha), "beta", real_or_null(b->surface.beta));
    if (json_array_append_new(out, row)) {
      json_decref(out);
      out = NULL;
    }
  }
  return out;
}

static json_t *holdouts_json(const struct plm_fit *fit) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < fit->holdout_count; i++) {
    const struct plm_holdout *h = &fit->holdouts[i];
    json_t *refused = h->refused[0] ? text_json(h->refused) : json_null();
    json_t *row =
        json_pack("{s:s,s:f,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "kind", h->rollout ? "rollout" : "leave_one_out", "budget",
                  h->budget, "budgets_kept", (json_int_t)h->budgets_kept, "points_held", (json_int_t)h->points_held,
                  "refused", refused, "params", real_or_null(h->params), "params_all", real_or_null(h->params_all),
                  "loss_rms", real_or_null(h->loss_rms), "loss_bias", real_or_null(h->loss_bias));
    if (json_array_append_new(out, row)) {
      json_decref(out);
      out = NULL;
    }
  }
  return out;
}

static json_t *left_out_json(const struct plm_point_left_out *rows, size_t count) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < count; i++)
    if (json_array_append_new(
            out, json_pack("{s:o,s:o}", "label", text_json(rows[i].label), "rule", text_json(rows[i].rule)))) {
      json_decref(out);
      out = NULL;
    }
  return out;
}

static json_t *fit_json(const struct plm_fit *fit) {
  double a = fit->has_exponents ? fit->a : (double)NAN, b = fit->has_exponents ? fit->b : (double)NAN;
  const struct plm_estimator *estimator = plm_estimator_find(fit->estimator);
  return json_pack("{s:s,s:o,s:o,s:f,s:s,s:o,s:I,s:o,s:o,s:o,s:o,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "estimator",
                   fit->estimator, "params", params_json(fit, 0), "params_interval", params_json(fit, 1), "objective",
                   fit->objective, "objective_is", estimator ? estimator->objective : "", "misfit",
                   real_or_null(fit->misfit), "points",
                   (json_int_t)fit->points, "a", real_or_null(a), "b", real_or_null(b), "a_interval",
                   interval_json(&fit->a_interval), "b_interval", interval_json(&fit->b_interval), "draws",
                   (json_int_t)fit->draws, "draws_done", (json_int_t)fit->draws_done, "optimum", optima_json(fit),
                   "basins", basins_json(fit), "holdouts", holdouts_json(fit), "notes", notes_json(&fit->notes),
                   "refused", refused_json(fit), "points_left_out", left_out_json(fit->left_out, fit->left_out_count));
}

static json_t *fits_json(const struct plm_law *law) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < law->fit_count; i++)
    if (json_array_append_new(out, fit_json(&law->fits[i]))) {
      json_decref(out);
      out = NULL;
    }
  return out;
}

static json_t *failed_json(const struct plm_law *law) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < law->failed_count; i++)
    if (json_array_append_new(
            out, json_pack("{s:s,s:s}", "estimator", law->failed[i].estimator, "reason", law->failed[i].reason))) {
      json_decref(out);
      out = NULL;
    }
  return out;
}

static json_t *range_json(const struct plm_law *law) {
  return json_pack("{s:[f,f],s:[f,f],s:[f,f]}", "compute", law->compute_min, law->compute_max, "params",
                   law->params_min, law->params_max, "tokens", law->tokens_min, law->tokens_max);
}

json_t *plm_law_json(const struct plm_law *law) {
  const struct plm_points *points = law->points;
  json_t *cost = points->count == 0 ? json_null()
                                    : json_pack("{s:f,s:f}", "scale", law->cost.scale, "exponent", law->cost.exponent);
  json_t *noise = law->noise.freedom == 0 ? json_null()
                                          : json_pack("{s:f,s:I,s:f,s:s}", "sigma", law->noise.sigma, "freedom",
                                                      (json_int_t)law->noise.freedom, "shared", law->noise.shared,
                                                      "source", law->noise.source);
  return json_pack("{s:s,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "schema", PLM_LAW_SCHEMA, "source",
                   text_json(law->source), "points_used", (json_int_t)points->count, "points_left_out",
                   left_out_json(points->left_out, points->left_out_count), "cost", cost, "range",
                   points->count ? range_json(law) : json_null(), "noise", noise, "fits", fits_json(law), "failed",
                   failed_json(law), "warnings", notes_json(&law->warnings));
}
