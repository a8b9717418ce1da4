#include <math.h>

#include "law/why.h"

static json_t *real_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *interval_json(const struct plm_interval *interval) {
  return interval->known ? json_pack("[f,f]", interval->low, interval->high) : json_null();
}

static json_t *row_json(const struct plm_why *why, const struct plm_why_row *row) {
  json_t *chosen = json_object();
  char text[64];
  for (int c = 0; c < PLM_WHY_CHOICES; c++) {
    plm_why_chosen(text, sizeof text, why, row, (enum plm_why_choice)c);
    json_object_set_new(chosen, plm_why_choice_name((enum plm_why_choice)c), json_string(text));
  }
  json_t *changed = row->single >= 0    ? json_string(plm_why_choice_name((enum plm_why_choice)row->single))
                    : row->single == -1 ? json_string("nothing")
                                        : json_string("several");
  return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "choices", chosen, "changed", changed, "a",
                   real_or_null(row->has_exponents ? row->a : (double)NAN), "a_interval",
                   interval_json(&row->a_interval), "params", real_or_null(row->params), "moved",
                   real_or_null(row->moved), "refused", row->fitted ? json_null() : json_string(row->reason));
}

static json_t *plateau_json(const struct plm_plateau *p) {
  if (!p->known)
    return json_pack("{s:s}", "refused", p->reason);
  return json_pack("{s:f,s:o,s:b,s:f,s:f,s:o,s:f}", "E", p->E, "E_interval", interval_json(&p->E_interval), "needed",
                   p->needed, "reducible", p->reducible, "sigma", p->sigma, "seen_from", real_or_null(p->seen_from),
                   "compute_max", p->compute_max);
}

json_t *plm_why_json(const struct plm_why *why) {
  json_t *rows = json_array();
  for (size_t i = 0; rows && i < why->row_count; i++)
    if (json_array_append_new(rows, row_json(why, &why->rows[i]))) {
      json_decref(rows);
      rows = NULL;
    }
  json_t *source = json_string(why->source);
  return json_pack("{s:s,s:o,s:f,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "schema", PLM_WHY_SCHEMA, "source",
                   source ? source : json_null(), "compute", why->compute, "fitted", (json_int_t)why->fitted,
                   "params_min", real_or_null(why->params_min), "params_max", real_or_null(why->params_max), "a_min",
                   real_or_null(why->a_min), "a_max", real_or_null(why->a_max), "plateau", plateau_json(&why->plateau),
                   "rows", rows);
}
