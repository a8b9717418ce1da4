#include "law/law_file.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "law/law.h"

static json_t *row_find(const json_t *root, const char *list, const char *estimator) {
  json_t *rows = json_object_get(root, list), *row;
  size_t i;
  json_array_foreach(rows, i, row) {
    const char *name = json_string_value(json_object_get(row, "estimator"));
    if (name && !strcmp(name, estimator))
      return row;
  }
  return NULL;
}

/* key of object as a finite number at or above low; *bad is set when it is not. */
static double number_get(const json_t *object, const char *key, double low, const char **bad) {
  const json_t *value = json_object_get(object, key);
  double number = json_is_number(value) ? json_number_value(value) : (double)NAN;
  if (!isfinite(number) || number < low)
    *bad = key;
  return number;
}

static double range_end(const json_t *root, const char *key, size_t end, const char **bad) {
  const json_t *value = json_array_get(json_object_get(json_object_get(root, "range"), key), end);
  if (!json_is_number(value) || !(json_number_value(value) > 0))
    *bad = key;
  return json_number_value(value);
}

static int law_take(struct plm_law_file *out, const json_t *root, const char *path, const char *estimator,
                    struct plm_error *err) {
  const char *schema = json_string_value(json_object_get(root, "schema")), *bad = NULL;
  const json_t *fit = row_find(root, "fits", estimator);
  if (!schema || strcmp(schema, PLM_LAW_SCHEMA))
    return plm_error_set(err, PLM_E_DAMAGED, "%s: schema \"%.40s\" is not %s; write the file with fit --json", path,
                         schema ? schema : "", PLM_LAW_SCHEMA);
  if (!fit) {
    const char *reason = json_string_value(json_object_get(row_find(root, "failed", estimator), "reason"));
    return plm_error_set(err, PLM_E_USAGE, "%s: no fit of \"%.40s\"%s%.300s", path, estimator, reason ? ": " : "",
                         reason ? reason : "");
  }
  const json_t *params = json_object_get(fit, "params"), *cost = json_object_get(root, "cost");
  struct plm_law_file law = {0};
  law.surface.E = number_get(params, "E", 0, &bad);
  law.surface.A = number_get(params, "A", 1e-300, &bad);
  law.surface.B = number_get(params, "B", 1e-300, &bad);
  law.surface.alpha = number_get(params, "alpha", 1e-9, &bad);
  law.surface.beta = number_get(params, "beta", 1e-9, &bad);
  if (bad || json_object_get(params, "R_D"))
    return plm_error_set(err, PLM_E_USAGE, "%s: \"%.40s\" is not a surface E + A/N^alpha + B/D^beta (%s)", path,
                         estimator, bad ? bad : "R_D");
  law.cost.scale = number_get(cost, "scale", 1e-300, &bad);
  law.cost.exponent = number_get(cost, "exponent", 1e-9, &bad);
  law.compute_min = range_end(root, "compute", 0, &bad);
  law.compute_max = range_end(root, "compute", 1, &bad);
  law.params_min = range_end(root, "params", 0, &bad);
  law.params_max = range_end(root, "params", 1, &bad);
  law.tokens_min = range_end(root, "tokens", 0, &bad);
  law.tokens_max = range_end(root, "tokens", 1, &bad);
  if (bad)
    return plm_error_set(err, PLM_E_DAMAGED, "%s: %s is missing or impossible", path, bad);
  const char *source = json_string_value(json_object_get(root, "source"));
  snprintf(law.source, sizeof law.source, "%s", source ? source : "?");
  *out = law;
  return 0;
}

int plm_law_file_read(struct plm_law_file *out, const char *path, const char *estimator, struct plm_error *err) {
  json_error_t reason;
  json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &reason);
  if (!root)
    return plm_error_set(err, reason.line < 0 ? PLM_E_IO : PLM_E_DAMAGED, "%s: %.200s", path, reason.text);
  int code = law_take(out, root, path, estimator, err);
  json_decref(root);
  return code;
}
