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
    int ranged = isfinite(o->params_low);
    json_t *range = ranged ? json_pack("[f,f]", o->params_low, o->params_high) : json_null();
    json_t *row =
        json_pack("{s:f,s:f,s:f,s:o,s:o,s:b}", "compute", o->compute, "params", o->params, "tokens", o->tokens, "loss",
                  real_or_null(o->loss), "params_interval", range, "extrapolated", o->extrapolated);
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

static json_t *params_json(const struct plm_fit *fit) {
  if (!fit->has_surface)
    return json_object();
  return json_pack("{s:f,s:f,s:f,s:f,s:f}", "E", fit->E, "A", fit->A, "B", fit->B, "alpha", fit->alpha, "beta",
                   fit->beta);
}

static json_t *fit_json(const struct plm_fit *fit) {
  double a = fit->has_exponents ? fit->a : (double)NAN, b = fit->has_exponents ? fit->b : (double)NAN;
  return json_pack("{s:s,s:o,s:f,s:I,s:o,s:o,s:o,s:o,s:I,s:I,s:o,s:o,s:o}", "estimator", fit->estimator, "params",
                   params_json(fit), "objective", fit->objective, "points", (json_int_t)fit->points, "a",
                   real_or_null(a), "b", real_or_null(b), "a_interval", interval_json(&fit->a_interval), "b_interval",
                   interval_json(&fit->b_interval), "draws", (json_int_t)fit->draws, "draws_done",
                   (json_int_t)fit->draws_done, "optimum", optima_json(fit), "notes", notes_json(&fit->notes),
                   "refused", refused_json(fit));
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

static json_t *left_out_json(const struct plm_points *points) {
  json_t *out = json_array();
  for (size_t i = 0; out && i < points->left_out_count; i++)
    if (json_array_append_new(out, json_pack("{s:o,s:o}", "label", text_json(points->left_out[i].label), "rule",
                                             text_json(points->left_out[i].rule)))) {
      json_decref(out);
      out = NULL;
    }
  return out;
}

json_t *plm_law_json(const struct plm_law *law) {
  json_t *cost = law->points->count == 0
                     ? json_null()
                     : json_pack("{s:f,s:f}", "scale", law->cost.scale, "exponent", law->cost.exponent);
  return json_pack("{s:s,s:o,s:I,s:o,s:o,s:o,s:o,s:o}", "schema", PLM_LAW_SCHEMA, "source", text_json(law->source),
                   "points_used", (json_int_t)law->points->count, "points_left_out", left_out_json(law->points), "cost",
                   cost, "fits", fits_json(law), "failed", failed_json(law), "warnings", notes_json(&law->warnings));
}
