#include "train/runfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/h5.h"
#include "base/memory.h"
#include "train/record.h"

void plm_run_fini(struct plm_run *run) {
#define X(name) free(run->name);
  PLM_RUN_TEXTS(X)
#undef X
  free(run->ini);
  free(run->resolved_json);
  plm_curve_fini(&run->curve);
  memset(run, 0, sizeof *run);
}

static int put_weights(hid_t file, const struct plm_layout *layout, const float *weights, struct plm_error *err) {
  hid_t group;
  int code = plm_h5_group_create(&group, file, "weights", err);
  if (code)
    return code;
  for (uint32_t i = 0; !code && i < layout->count; i++) {
    const struct plm_tensor *tensor = &layout->tensors[i];
    const float *at = weights + tensor->offset;
    if (tensor->rows == 1)
      code = plm_h5_put_array(group, tensor->name, H5T_NATIVE_FLOAT, at, tensor->cols, 0, NULL, err);
    else
      code = plm_h5_put_matrix(group, tensor->name, H5T_NATIVE_FLOAT, at, tensor->rows, tensor->cols, err);
  }
  H5Gclose(group);
  return code;
}

int plm_run_write(const char *path, const struct plm_run *run, const struct plm_layout *layout, const float *weights,
                  struct plm_error *err) {
  struct plm_h5_writer *writer = NULL;
  char digest[PLM_HASH_TEXT];
  int code = plm_h5_writer_create(&writer, path, 0, err);
  if (code)
    return code;
  hid_t file = plm_h5_writer_file(writer);
  plm_record_digest(digest, run, weights, layout->floats);
  if ((code = plm_record_put(file, PLM_RUN_FORMAT, PLM_RUN_VERSION, run, digest, err)) ||
      (code = put_weights(file, layout, weights, err))) {
    plm_h5_writer_abandon(writer);
    return code;
  }
  return plm_h5_writer_commit(writer, err);
}

/* Reads every tensor of layout into an arena. */
static int get_weights(float **out, hid_t file, const struct plm_layout *layout, struct plm_error *err) {
  hid_t group;
  float *weights = plm_memory_zeroed(layout->floats, sizeof *weights);
  if (!weights)
    return plm_error_memory(err, "reading weights");
  int code = plm_h5_group_open(&group, file, "weights", err);
  if (!code) {
    for (uint32_t i = 0; !code && i < layout->count; i++) {
      const struct plm_tensor *tensor = &layout->tensors[i];
      code = plm_h5_get_array(weights + tensor->offset, group, tensor->name, H5T_NATIVE_FLOAT,
                              (uint64_t)tensor->rows * tensor->cols, err);
    }
    H5Gclose(group);
  }
  if (code)
    free(weights);
  else
    *out = weights;
  return code;
}

/* The shape a run file claims, refused before anything is allocated by it when it cannot be. */
static int shape_of(struct plm_shape *out, const struct plm_run *run, const char *path, struct plm_error *err) {
  const struct plm_run_figures *f = &run->figures;
  if (!(f->layers >= 1 && f->layers <= 65536 && f->width >= 2 && f->width <= 1 << 20 && f->heads >= 1 &&
        f->heads <= f->width) ||
      12.0 * f->layers * f->width * f->width > 1e12)
    return plm_error_set(err, PLM_E_DAMAGED, "\"%s\" claims an impossible shape %gx%gx%g", path, f->layers, f->width,
                         f->heads);
  *out = (struct plm_shape){(uint32_t)f->layers, (uint32_t)f->width, (uint32_t)f->heads};
  return 0;
}

int plm_run_read(struct plm_run *out, float **weights, const char *path, const char *cell_id, struct plm_error *err) {
  struct plm_run run = {0};
  struct plm_layout layout = {0};
  struct plm_shape shape;
  char *stored = NULL;
  float *arena = NULL;
  hid_t file;
  int code = plm_h5_open(&file, path, PLM_RUN_FORMAT, PLM_RUN_VERSION, err);
  if (code)
    return code;
  char digest[PLM_HASH_TEXT];
  if ((code = plm_record_get(&run, &stored, file, path, err)) || (code = shape_of(&shape, &run, path, err)) ||
      (code = plm_layout_init(&layout, shape, (struct plm_scaling){0}, err)) ||
      (code = plm_record_name(err, get_weights(&arena, file, &layout, err), path)))
    goto out;
  plm_record_digest(digest, &run, arena, layout.floats);
  if (strcmp(digest, stored)) {
    code = plm_error_set(err, PLM_E_DAMAGED, "\"%s\" is changed: its content hash is %s, stored is %.40s", path, digest,
                         stored);
  } else if (cell_id && strcmp(cell_id, run.cell_id)) {
    code = plm_error_set(err, PLM_E_DAMAGED, "\"%s\" belongs to cell %s, not %s", path, run.cell_id, cell_id);
  } else {
    *out = run;
    memset(&run, 0, sizeof run);
    if (weights) {
      *weights = arena;
      arena = NULL;
    }
  }
out:
  free(arena);
  free(stored);
  plm_layout_fini(&layout);
  plm_run_fini(&run);
  H5Fclose(file);
  return code;
}
