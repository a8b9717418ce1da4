#include "train/merge.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/h5.h"
#include "base/memory.h"
#include "train/cell_folder.h"
#include "train/runfile.h"

/* Above this the file is written straight to its temporary: an image in memory would cost too much. */
#define IMAGE_MAX ((uint64_t)256 << 20)
#define STEP_BYTES ((PLM_CURVE_COLUMNS + 1) * sizeof(double))

/* The finished runs, without their curves, and where they lie. */
struct merge {
  struct plm_run *runs;
  char **paths;
  size_t count;
  uint64_t steps; /* of all curves */
};

static void merge_fini(struct merge *merge) {
  for (size_t i = 0; i < merge->count; i++) {
    plm_run_fini(&merge->runs[i]);
    free(merge->paths[i]);
  }
  free(merge->runs);
  free(merge->paths);
}

static int add_run(struct merge *merge, const struct plm_study *study, const struct plm_cell *cell,
                   struct plm_error *err) {
  struct plm_run *run = &merge->runs[merge->count];
  char *folder = plm_cell_folder(study, cell);
  char *path = folder ? plm_file_join(folder, "run.h5") : NULL;
  int code = path ? 0 : plm_error_memory(err, "merging a study");
  free(folder);
  if (code || !plm_file_exists(path) || (code = plm_run_read(run, NULL, path, cell->id, err))) {
    free(path);
    return code;
  }
  merge->steps += run->curve.steps;
  plm_curve_fini(&run->curve);
  merge->paths[merge->count++] = path;
  return 0;
}

static int read_runs(struct merge *merge, const struct plm_study *study, struct plm_error *err) {
  int code = 0;
  merge->runs = plm_memory_zeroed(study->cell_count, sizeof *merge->runs);
  merge->paths = plm_memory_zeroed(study->cell_count, sizeof *merge->paths);
  if (!merge->runs || !merge->paths)
    return plm_error_memory(err, "merging a study");
  for (size_t i = 0; i < study->cell_count && !code; i++)
    if (!study->cells[i].refused)
      code = add_run(merge, study, &study->cells[i], err);
  return code;
}

/* Columns of the summary: the cell ids, then every text, then every figure. */
static int put_summary(hid_t group, const struct merge *merge, struct plm_error *err) {
  const char **texts = plm_memory_zeroed(merge->count, sizeof *texts);
  double *values = plm_memory_zeroed(merge->count, sizeof *values);
  int code = texts && values ? 0 : plm_error_memory(err, "merging a study");
  for (size_t i = 0; i < merge->count && !code; i++)
    texts[i] = merge->runs[i].cell_id;
  if (!code)
    code = plm_h5_put_texts(group, "cell_id", texts, merge->count, err);
#define X(name)                                                                                                        \
  for (size_t i = 0; i < merge->count && !code; i++)                                                                   \
    texts[i] = merge->runs[i].name;                                                                                    \
  if (!code)                                                                                                           \
    code = plm_h5_put_texts(group, #name, texts, merge->count, err);
  PLM_RUN_TEXTS(X)
#undef X
#define X(name, units)                                                                                                 \
  for (size_t i = 0; i < merge->count && !code; i++)                                                                   \
    values[i] = merge->runs[i].figures.name;                                                                           \
  if (!code)                                                                                                           \
    code = plm_h5_put_array(group, #name, H5T_NATIVE_DOUBLE, values, merge->count, 0, *(units) ? (units) : NULL, err);
  PLM_RUN_FIGURES(X)
#undef X
  free(texts);
  free(values);
  return code;
}

static int copy_groups(hid_t to, const char *path, struct plm_error *err) {
  static const char *const groups[] = {"curve", "evaluation", "timing"};
  hid_t file;
  int code = plm_h5_open(&file, path, PLM_RUN_FORMAT, PLM_RUN_VERSION, err);
  if (code)
    return code;
  for (size_t i = 0; i < sizeof groups / sizeof *groups && !code; i++)
    if (H5Ocopy(file, groups[i], to, groups[i], H5P_DEFAULT, H5P_DEFAULT) < 0)
      code = plm_h5_fail(err, PLM_E_IO, "cannot copy \"%s\" of \"%s\"", groups[i], path);
  H5Fclose(file);
  return code;
}

static int put_cell(hid_t cells, const struct plm_run *run, const char *path, struct plm_error *err) {
  hid_t group;
  int code = plm_h5_group_create(&group, cells, run->cell_id, err);
  if (code)
    return code;
#define X(name)                                                                                                        \
  if (!code)                                                                                                           \
    code = plm_h5_put_text(group, #name, run->name, err);
  PLM_RUN_TEXTS(X)
#undef X
#define X(name, units)                                                                                                 \
  if (!code)                                                                                                           \
    code = plm_h5_put_real(group, #name, run->figures.name, err);
  PLM_RUN_FIGURES(X)
#undef X
  if (!code)
    code = copy_groups(group, path, err);
  H5Gclose(group);
  return code;
}

static int put_identity(hid_t file, const struct plm_study *study, const char *corpus_digest, struct plm_error *err) {
  struct plm_sha256 *sha;
  char sha256[PLM_SHA256_TEXT];
  int code = plm_sha256_create(&sha, err);
  if (code)
    return code;
  if ((code = plm_sha256_update(sha, study->text, strlen(study->text), err)))
    plm_sha256_destroy(sha);
  else
    code = plm_sha256_finish(sha, sha256, err);
  if (code || (code = plm_h5_put_format(file, PLM_STUDY_FORMAT, PLM_STUDY_VERSION, err)) ||
      (code = plm_h5_put_text(file, "study", study->config.study_name, err)) ||
      (code = plm_h5_put_text(file, "config_sha256", sha256, err)))
    return code;
  return plm_h5_put_text(file, "corpus_digest", corpus_digest, err);
}

static int put_config(hid_t file, const struct plm_study *study, const char *corpus_digest, struct plm_error *err) {
  json_t *json = plm_study_json(study, corpus_digest);
  char *text = json ? json_dumps(json, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
  hid_t group;
  json_decref(json);
  if (!text)
    return plm_error_memory(err, "merging a study");
  int code = plm_h5_group_create(&group, file, "config", err);
  if (!code) {
    if (!(code = plm_h5_put_document(group, "ini", study->text, err)))
      code = plm_h5_put_document(group, "resolved_json", text, err);
    H5Gclose(group);
  }
  free(text);
  return code;
}

static int put_runs(hid_t file, const struct merge *merge, struct plm_error *err) {
  hid_t group;
  int code = plm_h5_group_create(&group, file, "summary", err);
  if (code)
    return code;
  code = put_summary(group, merge, err);
  H5Gclose(group);
  if (code || (code = plm_h5_group_create(&group, file, "cells", err)))
    return code;
  for (size_t i = 0; i < merge->count && !code; i++)
    code = put_cell(group, &merge->runs[i], merge->paths[i], err);
  H5Gclose(group);
  return code;
}

int plm_merge_study(const struct plm_study *study, const char *corpus_digest, size_t *cells, struct plm_error *err) {
  struct merge merge = {0};
  struct plm_h5_writer *writer = NULL;
  char *path = plm_file_join(study->folder, "study.h5");
  int code = path ? read_runs(&merge, study, err) : plm_error_memory(err, "merging a study");
  if (!code)
    code = plm_h5_writer_create(&writer, path, merge.steps * STEP_BYTES > IMAGE_MAX, err);
  if (!code) {
    hid_t file = plm_h5_writer_file(writer);
    if ((code = put_identity(file, study, corpus_digest, err)) ||
        (code = put_config(file, study, corpus_digest, err)) || (code = put_runs(file, &merge, err)))
      plm_h5_writer_abandon(writer);
    else
      code = plm_h5_writer_commit(writer, err);
  }
  if (!code && cells)
    *cells = merge.count;
  merge_fini(&merge);
  free(path);
  return code;
}
