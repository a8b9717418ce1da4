/* A case as a file: /op (the op's bytes, views unbound), one dataset an operand, and words for people. */
#include <stdlib.h>
#include <string.h>

#include "base/h5.h"
#include "base/memory.h"
#include "check/operands.h"

#define FORMAT "plmscale case"
#define FORMAT_VERSION 1

static int put_operand(hid_t file, const struct plm_operand *operand, struct plm_error *err) {
  hid_t group;
  int code = plm_h5_group_create(&group, file, operand->name, err);
  if (code)
    return code;
  code = plm_h5_put_integer(group, "alias", operand->alias, err);
  if (!code)
    code = plm_h5_put_integer(group, "shift", (int64_t)operand->shift, err);
  if (!code && operand->alias < 0)
    code = plm_h5_put_array(group, "before", operand->type == PLM_TYPE_I32 ? H5T_NATIVE_INT32 : H5T_NATIVE_FLOAT,
                            operand->data, operand->count, 1, NULL, err);
  H5Gclose(group);
  return code;
}

static int put_case(hid_t file, const struct plm_case *c, const char *note, struct plm_error *err) {
  int code = plm_h5_put_format(file, FORMAT, FORMAT_VERSION, err);
  if (!code)
    code = plm_h5_put_text(file, "op", plm_op_name(c->op.kind), err);
  if (!code)
    code = plm_h5_put_text(file, "label", c->label, err);
  if (!code)
    code = plm_h5_put_text(file, "note", note ? note : "", err);
  if (!code)
    code = plm_h5_put_integer(file, "optional_flags", c->optional_flags, err);
  if (!code)
    code = plm_h5_put_array(file, "op", H5T_NATIVE_UINT8, &c->op, sizeof c->op, 0, NULL, err);
  for (uint32_t k = 0; k < c->count && !code; k++)
    code = put_operand(file, &c->operands[k], err);
  return code;
}

int plm_case_save(const struct plm_case *c, const char *path, const char *note, struct plm_error *err) {
  struct plm_h5_writer *writer = NULL;
  int code = plm_h5_start(err);
  if (!code)
    code = plm_h5_writer_create(&writer, path, 0, err);
  if (code)
    return code;
  code = put_case(plm_h5_writer_file(writer), c, note, err);
  if (!code)
    return plm_h5_writer_commit(writer, err);
  plm_h5_writer_abandon(writer);
  return code;
}

/* -------------------------------------------------------------- reading */

static int damaged(const char *path, const char *what, struct plm_error *err) {
  return plm_error_set(err, PLM_E_DAMAGED, "case \"%s\": %s", path, what);
}

static int get_place(struct plm_case *c, uint32_t k, hid_t file, const char *path, struct plm_error *err) {
  struct plm_operand *operand = &c->operands[k];
  int64_t alias, shift;
  hid_t group;
  int code = plm_h5_group_open(&group, file, operand->name, err);
  if (code)
    return code;
  code = plm_h5_get_integer(&alias, group, "alias", err);
  if (!code)
    code = plm_h5_get_integer(&shift, group, "shift", err);
  H5Gclose(group);
  if (code)
    return code;
  if (alias < -1 || alias >= (int64_t)k || shift < 0 || shift >= 64 || shift % operand->align % 64 ||
      (alias >= 0 && (c->operands[alias].count != operand->count || c->operands[alias].alias >= 0)))
    return damaged(path, "an operand is in a place that it cannot have", err);
  operand->alias = (int32_t)alias;
  operand->shift = (uint64_t)shift;
  return 0;
}

static int get_contents(const struct plm_operand *operand, hid_t file, struct plm_error *err) {
  hid_t group;
  if (operand->alias >= 0)
    return 0;
  int code = plm_h5_group_open(&group, file, operand->name, err);
  if (code)
    return code;
  code = plm_h5_get_array(operand->data, group, "before",
                          operand->type == PLM_TYPE_I32 ? H5T_NATIVE_INT32 : H5T_NATIVE_FLOAT, operand->count, err);
  H5Gclose(group);
  return code;
}

static int get_case(struct plm_case *c, hid_t file, const char *path, struct plm_error *err) {
  char *label = NULL;
  int64_t optional;
  int code = plm_h5_get_array(&c->op, file, "op", H5T_NATIVE_UINT8, sizeof c->op, err);
  if (!code)
    code = plm_h5_get_integer(&optional, file, "optional_flags", err);
  if (!code)
    code = plm_h5_get_text(&label, file, "label", err);
  if (code)
    return code;
  strncpy(c->label, label, sizeof c->label - 1);
  free(label);
  c->optional_flags = (uint32_t)optional;
  if (c->op.struct_size != sizeof c->op)
    return damaged(path, "its op has another size than this version's", err);
  code = plm_operands_list(c, err);
  for (uint32_t k = 0; k < c->count && !code; k++)
    code = get_place(c, k, file, path, err);
  if (!code)
    code = plm_operands_allocate(c, err);
  for (uint32_t k = 0; k < c->count && !code; k++)
    code = get_contents(&c->operands[k], file, err);
  return code;
}

int plm_case_load(struct plm_case **out, const char *path, struct plm_error *err) {
  hid_t file;
  int code = plm_h5_start(err);
  if (!code)
    code = plm_h5_open(&file, path, FORMAT, FORMAT_VERSION, err);
  if (code)
    return code;
  struct plm_case *c = plm_memory_zeroed(1, sizeof *c);
  code = c ? get_case(c, file, path, err) : plm_error_memory(err, "a conformance case");
  H5Fclose(file);
  if (code)
    plm_case_destroy(c);
  else
    *out = c;
  return code;
}
