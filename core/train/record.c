#include "train/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/h5.h"
#include "base/memory.h"

#define STEPS_MAX ((uint64_t)1 << 32)

int plm_record_name(struct plm_error *err, int code, const char *path) {
  if (code && err) {
    struct plm_error inner = *err;
    plm_error_set(err, code, "\"%s\": %.800s", path, inner.text);
  }
  return code;
}

void plm_record_digest(char out[PLM_HASH_TEXT], const struct plm_run *run, const float *params, uint64_t floats) {
  char parts[PLM_CURVE_COLUMNS + 3][PLM_HASH_TEXT];
  memset(parts, 0, sizeof parts);
  for (int c = 0; c < PLM_CURVE_COLUMNS; c++)
    plm_hash_text(parts[c], run->curve.columns[c], run->curve.steps * sizeof(double));
  plm_hash_text(parts[PLM_CURVE_COLUMNS], run->curve.evaluations,
                run->curve.evaluation_count * sizeof *run->curve.evaluations);
  plm_hash_text(parts[PLM_CURVE_COLUMNS + 1], params, floats * sizeof *params);
  plm_hash_text(parts[PLM_CURVE_COLUMNS + 2], run->cell_id, strlen(run->cell_id));
  plm_hash_text(out, parts, sizeof parts);
}

static int put_figures(hid_t file, const struct plm_run *run, struct plm_error *err) {
  const struct plm_run_figures *f = &run->figures;
  int code = plm_h5_put_text(file, "cell_id", run->cell_id, err);
#define X(name, units) \
  if (!code)           \
    code = plm_h5_put_real(file, #name, f->name, err);
  PLM_RUN_FIGURES(X)
#undef X
#define X(name) \
  if (!code)    \
    code = plm_h5_put_text(file, #name, run->name ? run->name : "", err);
  PLM_RUN_TEXTS(X)
#undef X
  return code;
}

static int put_curve(hid_t file, const struct plm_curve *curve, struct plm_error *err) {
  hid_t group;
  int code = plm_h5_group_create(&group, file, "curve", err);
  if (code)
    return code;
  for (int c = 0; !code && c < PLM_CURVE_COLUMNS; c++)
    code = plm_h5_put_array(group, plm_curve_name(c), H5T_NATIVE_DOUBLE, curve->columns[c], curve->steps, 1,
                            plm_curve_units(c), err);
  H5Gclose(group);
  if (code || (code = plm_h5_group_create(&group, file, "timing", err)))
    return code;
  code = plm_h5_put_array(group, "seconds", H5T_NATIVE_DOUBLE, curve->seconds, curve->steps, 1, "s", err);
  H5Gclose(group);
  return code;
}

static int put_evaluations(hid_t file, const struct plm_curve *curve, struct plm_error *err) {
  hid_t group;
  double *column = plm_memory_zeroed(curve->evaluation_count, sizeof *column);
  if (!column)
    return plm_error_memory(err, "writing evaluations");
  int code = plm_h5_group_create(&group, file, "evaluation", err);
  if (!code) {
    for (int c = 0; !code && c < PLM_EVALUATION_COLUMNS; c++) {
      for (size_t i = 0; i < curve->evaluation_count; i++)
        column[i] = ((const double *)&curve->evaluations[i])[c];
      code = plm_h5_put_array(group, plm_evaluation_name(c), H5T_NATIVE_DOUBLE, column, curve->evaluation_count, 0,
                              NULL, err);
    }
    H5Gclose(group);
  }
  free(column);
  return code;
}

static int put_config(hid_t file, const struct plm_run *run, struct plm_error *err) {
  hid_t group;
  int code = plm_h5_group_create(&group, file, "config", err);
  if (code)
    return code;
  code = plm_h5_put_document(group, "ini", run->ini, err);
  if (!code)
    code = plm_h5_put_document(group, "resolved_json", run->resolved_json, err);
  H5Gclose(group);
  return code;
}

int plm_record_put(hid_t file, const char *format, int64_t version, const struct plm_run *run, const char *digest,
                   struct plm_error *err) {
  int code = plm_h5_put_format(file, format, version, err);
  if (!code)
    code = plm_h5_put_text(file, "content_xxh3", digest, err);
  if (!code)
    code = put_figures(file, run, err);
  if (!code)
    code = put_config(file, run, err);
  if (!code)
    code = put_curve(file, &run->curve, err);
  return code ? code : put_evaluations(file, &run->curve, err);
}

/* What came with later versions of the format: as if empty in older files. */
static int get_newer(struct plm_run *run, hid_t file, struct plm_error *err) {
  int64_t version = 1;
  int code = plm_h5_get_integer(&version, file, "format_version", err);
#define X(name, units)      \
  if (!code && version >= 3) \
    code = plm_h5_get_real(&run->figures.name, file, #name, err);
  PLM_RUN_FIGURES_3(X)
#undef X
#define GET(name, since)                                    \
  if (!code && version >= (since))                          \
    code = plm_h5_get_text(&run->name, file, #name, err);   \
  else if (!code && !(run->name = strdup("")))              \
    code = plm_error_memory(err, "reading a run");
#define X(name) GET(name, 2)
  PLM_RUN_TEXTS_2(X)
#undef X
#define X(name) GET(name, 3)
  PLM_RUN_TEXTS_3(X)
#undef X
#define X(name) GET(name, 4)
  PLM_RUN_TEXTS_4(X)
#undef X
#undef GET
  return code;
}

static int get_figures(struct plm_run *run, hid_t file, struct plm_error *err) {
  struct plm_run_figures *f = &run->figures;
  char *id = NULL;
  int code = plm_h5_get_text(&id, file, "cell_id", err);
  if (code)
    return code;
  snprintf(run->cell_id, sizeof run->cell_id, "%s", id);
  free(id);
#define X(name, units) \
  if (!code)           \
    code = plm_h5_get_real(&f->name, file, #name, err);
  PLM_RUN_FIGURES_1(X)
#undef X
#define X(name) \
  if (!code)    \
    code = plm_h5_get_text(&run->name, file, #name, err);
  PLM_RUN_TEXTS_1(X)
#undef X
  return code ? code : get_newer(run, file, err);
}

static int get_curve(struct plm_curve *curve, hid_t file, struct plm_error *err) {
  hid_t group;
  uint64_t steps;
  int code = plm_h5_group_open(&group, file, "curve", err);
  if (code)
    return code;
  code = plm_h5_array_length(&steps, group, plm_curve_name(0), err);
  if (!code && steps > STEPS_MAX)
    code = plm_error_set(err, PLM_E_DAMAGED, "the curve claims %llu steps", (unsigned long long)steps);
  if (!code)
    code = plm_curve_reserve(curve, steps, err);
  for (int c = 0; !code && c < PLM_CURVE_COLUMNS; c++)
    code = plm_h5_get_array(curve->columns[c], group, plm_curve_name(c), H5T_NATIVE_DOUBLE, steps, err);
  H5Gclose(group);
  if (code || (code = plm_h5_group_open(&group, file, "timing", err)))
    return code;
  code = plm_h5_get_array(curve->seconds, group, "seconds", H5T_NATIVE_DOUBLE, steps, err);
  H5Gclose(group);
  if (!code)
    curve->steps = steps;
  return code;
}

static int get_evaluations(struct plm_curve *curve, hid_t file, struct plm_error *err) {
  hid_t group;
  uint64_t count;
  double *column = NULL;
  int code = plm_h5_group_open(&group, file, "evaluation", err);
  if (code)
    return code;
  code = plm_h5_array_length(&count, group, plm_evaluation_name(0), err);
  if (!code && count > STEPS_MAX)
    code = plm_error_set(err, PLM_E_DAMAGED, "the file claims %llu evaluations", (unsigned long long)count);
  if (!code && !(column = plm_memory_zeroed(count, sizeof *column)))
    code = plm_error_memory(err, "reading evaluations");
  for (uint64_t i = 0; !code && i < count; i++)
    code = plm_curve_add_evaluation(curve, &(struct plm_evaluation){0}, err);
  for (int c = 0; !code && c < PLM_EVALUATION_COLUMNS; c++) {
    code = plm_h5_get_array(column, group, plm_evaluation_name(c), H5T_NATIVE_DOUBLE, count, err);
    for (uint64_t i = 0; !code && i < count; i++)
      ((double *)&curve->evaluations[i])[c] = column[i];
  }
  free(column);
  H5Gclose(group);
  return code;
}

static int get_config(struct plm_run *run, hid_t file, struct plm_error *err) {
  hid_t group;
  int code = plm_h5_group_open(&group, file, "config", err);
  if (code)
    return code;
  code = plm_h5_get_document(&run->ini, group, "ini", err);
  if (!code)
    code = plm_h5_get_document(&run->resolved_json, group, "resolved_json", err);
  H5Gclose(group);
  return code;
}

int plm_record_get(struct plm_run *run, char **digest, hid_t file, const char *path, struct plm_error *err) {
  int code = plm_h5_get_text(digest, file, "content_xxh3", err);
  if (!code)
    code = get_figures(run, file, err);
  if (!code)
    code = get_config(run, file, err);
  if (!code)
    code = get_curve(&run->curve, file, err);
  if (!code)
    code = get_evaluations(&run->curve, file, err);
  return plm_record_name(err, code, path);
}
