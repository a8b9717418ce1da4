#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/h5.h"
#include "base/log.h"
#include "base/memory.h"
#include "train/record.h"

/* Above this the file is written straight to the temporary: an image in memory would double the need. */
#define IMAGE_MAX ((uint64_t)256 << 20)

static const char *const generations[] = {"checkpoint.h5", "checkpoint.previous.h5"};

void plm_checkpoint_fini(struct plm_checkpoint *checkpoint) {
  plm_run_fini(&checkpoint->run);
  free(checkpoint->params);
  free(checkpoint->moment1);
  free(checkpoint->moment2);
  free(checkpoint->cursor);
  memset(checkpoint, 0, sizeof *checkpoint);
}

/* The record's digest covers the parameters; this one adds both moments and the cursor. */
static void state_digest(char out[PLM_HASH_TEXT], const struct plm_checkpoint *c) {
  char parts[4][PLM_HASH_TEXT];
  memset(parts, 0, sizeof parts);
  plm_record_digest(parts[0], &c->run, c->params, c->floats);
  plm_hash_text(parts[1], c->moment1, c->floats * sizeof(float));
  plm_hash_text(parts[2], c->moment2, c->floats * sizeof(float));
  plm_hash_text(parts[3], c->cursor, c->cursor_count * sizeof *c->cursor);
  plm_hash_text(out, parts, sizeof parts);
}

static int put_state(hid_t file, const struct plm_checkpoint *c, struct plm_error *err) {
  char digest[PLM_HASH_TEXT];
  hid_t group;
  state_digest(digest, c);
  int code = plm_record_put(file, PLM_CHECKPOINT_FORMAT, PLM_CHECKPOINT_VERSION, &c->run, digest, err);
  if (!code)
    code = plm_h5_put_array(file, "cursor", H5T_NATIVE_INT64, c->cursor, c->cursor_count, 1, NULL, err);
  if (code || (code = plm_h5_group_create(&group, file, "arena", err)))
    return code;
  if (!(code = plm_h5_put_array(group, "params", H5T_NATIVE_FLOAT, c->params, c->floats, 0, NULL, err)) &&
      !(code = plm_h5_put_array(group, "moment1", H5T_NATIVE_FLOAT, c->moment1, c->floats, 0, NULL, err)))
    code = plm_h5_put_array(group, "moment2", H5T_NATIVE_FLOAT, c->moment2, c->floats, 0, NULL, err);
  H5Gclose(group);
  return code;
}

/* previous: where the file that is there now goes, NULL: it is replaced. */
static int save(const char *path, const char *previous, const struct plm_checkpoint *checkpoint, struct plm_error *err) {
  struct plm_h5_writer *writer = NULL;
  int code = plm_h5_writer_create(&writer, path, 3 * checkpoint->floats * sizeof(float) > IMAGE_MAX, err);
  if (code)
    return code;
  code = put_state(plm_h5_writer_file(writer), checkpoint, err);
  if (!code && previous && rename(path, previous) && errno != ENOENT)
    code = plm_error_set_system(err, errno, "cannot rename \"%s\"", path);
  if (!code)
    return plm_h5_writer_commit(writer, err);
  plm_h5_writer_abandon(writer);
  return code;
}

int plm_checkpoint_save(const char *path, const struct plm_checkpoint *checkpoint, struct plm_error *err) {
  return save(path, NULL, checkpoint, err);
}

int plm_checkpoint_write(const char *folder, const struct plm_checkpoint *checkpoint, struct plm_error *err) {
  char *path = plm_file_join(folder, generations[0]), *previous = plm_file_join(folder, generations[1]);
  int code = path && previous ? save(path, previous, checkpoint, err) : plm_error_memory(err, "naming a checkpoint");
  free(path);
  free(previous);
  return code;
}

/* Parameters, both moments and the cursor into arrays of their own. */
static int get_arenas(struct plm_checkpoint *c, hid_t file, struct plm_error *err) {
  hid_t arena;
  int code = plm_h5_array_length(&c->cursor_count, file, "cursor", err);
  if (code)
    return code;
  c->params = plm_memory_zeroed(c->floats, sizeof(float));
  c->moment1 = plm_memory_zeroed(c->floats, sizeof(float));
  c->moment2 = plm_memory_zeroed(c->floats, sizeof(float));
  if (c->cursor_count < (uint64_t)1 << 28)
    c->cursor = plm_memory_zeroed(c->cursor_count, sizeof *c->cursor);
  if (!c->params || !c->moment1 || !c->moment2 || !c->cursor)
    return plm_error_memory(err, "reading a checkpoint");
  if ((code = plm_h5_group_open(&arena, file, "arena", err)))
    return code;
  if (!(code = plm_h5_get_array(c->params, arena, "params", H5T_NATIVE_FLOAT, c->floats, err)) &&
      !(code = plm_h5_get_array(c->moment1, arena, "moment1", H5T_NATIVE_FLOAT, c->floats, err)) &&
      !(code = plm_h5_get_array(c->moment2, arena, "moment2", H5T_NATIVE_FLOAT, c->floats, err)))
    code = plm_h5_get_array(c->cursor, file, "cursor", H5T_NATIVE_INT64, c->cursor_count, err);
  H5Gclose(arena);
  return code;
}

static int get_state(struct plm_checkpoint *c, hid_t file, const char *path, const char *cell_id, struct plm_error *err) {
  char *stored = NULL, digest[PLM_HASH_TEXT];
  int code = plm_record_get(&c->run, &stored, file, path, err);
  if (code)
    goto out;
  if (strcmp(c->run.cell_id, cell_id)) {
    code = plm_error_set(err, PLM_E_DAMAGED, "\"%s\" belongs to cell %s, not %s", path, c->run.cell_id, cell_id);
    goto out;
  }
  if ((code = plm_record_name(err, get_arenas(c, file, err), path)))
    goto out;
  state_digest(digest, c);
  if (strcmp(digest, stored))
    code = plm_error_set(err, PLM_E_DAMAGED, "\"%s\" is changed: its content hash is %s, stored is %.40s", path, digest,
                         stored);
out:
  free(stored);
  return code;
}

int plm_checkpoint_load(struct plm_checkpoint *out, const char *path, const char *cell_id, uint64_t floats,
                        struct plm_error *err) {
  struct plm_checkpoint checkpoint = {.floats = floats};
  hid_t file;
  int code = plm_h5_open(&file, path, PLM_CHECKPOINT_FORMAT, PLM_CHECKPOINT_VERSION, err);
  if (code)
    return code;
  code = get_state(&checkpoint, file, path, cell_id, err);
  H5Fclose(file);
  if (code)
    plm_checkpoint_fini(&checkpoint);
  else
    *out = checkpoint;
  return code;
}

int plm_checkpoint_read(struct plm_checkpoint *out, int *found, const char *folder, const char *cell_id, uint64_t floats,
                        struct plm_error *err) {
  int code = 0, damaged = 0;
  *found = 0;
  for (int g = 0; g < 2 && !*found; g++) {
    char *path = plm_file_join(folder, generations[g]);
    if (!path)
      return plm_error_memory(err, "naming a checkpoint");
    if (plm_file_exists(path)) {
      code = plm_checkpoint_load(out, path, cell_id, floats, err);
      *found = !code;
      if (code) {
        damaged = 1;
        plm_log(PLM_LOG_WARN, "%s", err->text);
      } else if (damaged) {
        plm_log(PLM_LOG_WARN, "going on from the older checkpoint \"%s\" (step %.0f)", path, out->run.figures.steps);
      }
    }
    free(path);
    if (code == PLM_E_NO_MEMORY || code == PLM_E_IO)
      return code;
  }
  if (damaged && !*found)
    return plm_error_set(err, PLM_E_DAMAGED, "no checkpoint in \"%s\" can be read; remove them to start the cell anew", folder);
  return 0;
}

void plm_checkpoint_remove(const char *folder) {
  for (int g = 0; g < 2; g++) {
    char *path = plm_file_join(folder, generations[g]);
    if (path)
      unlink(path);
    free(path);
  }
}
