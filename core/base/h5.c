#include "base/h5.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define CHUNK_BYTES (256u << 10)
#define IMAGE_INCREMENT ((size_t)1 << 20)
#define DOCUMENT_MAX ((uint64_t)64 << 20)

struct plm_h5_writer {
  hid_t file;
  char *path;
  char *temporary;
};

static herr_t innermost(unsigned n, const H5E_error2_t *entry, void *context) {
  const char **text = context;
  (void)n;
  if (entry->desc && *entry->desc)
    *text = entry->desc;
  return 0;
}

int plm_h5_fail(struct plm_error *err, int code, const char *format, ...) {
  char message[PLM_ERROR_TEXT / 2];
  const char *reason = NULL;
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, innermost, &reason);
  plm_error_set(err, code, reason ? "%s: %s" : "%s", message, reason);
  H5Eclear2(H5E_DEFAULT);
  return code;
}

int plm_h5_start(struct plm_error *err) {
  static int started;
  if (started)
    return 0;
  /* H5dont_atexit: after a failed write the library's exit handler crashes; H5PL: no filters from the environment. */
  if (H5dont_atexit() < 0 || H5open() < 0 || H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 ||
      H5PLset_loading_state(0) < 0 || H5Lunregister(H5L_TYPE_EXTERNAL) < 0)
    return plm_error_set(err, PLM_E_INTERNAL, "the HDF5 library does not start");
  started = 1;
  return 0;
}

int plm_h5_writer_create(struct plm_h5_writer **out, const char *path, int on_disk, struct plm_error *err) {
  int code = plm_h5_start(err);
  if (code)
    return code;
  struct plm_h5_writer *writer = plm_memory_zeroed(1, sizeof *writer);
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (writer) {
    writer->file = H5I_INVALID_HID;
    writer->path = strdup(path);
    writer->temporary = plm_file_temporary(path);
  }
  if (!writer || !writer->path || !writer->temporary) {
    code = plm_error_memory(err, "creating an HDF5 file");
  } else if (access < 0 || H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) < 0 ||
             H5Pset_file_locking(access, 0, 1) < 0 ||
             (!on_disk && H5Pset_fapl_core(access, IMAGE_INCREMENT, 1) < 0)) {
    code = plm_h5_fail(err, PLM_E_IO, "cannot prepare \"%s\"", path);
  } else {
    writer->file = H5Fcreate(writer->temporary, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (writer->file < 0)
      code = plm_h5_fail(err, PLM_E_IO, "cannot create \"%s\"", path);
  }
  if (access >= 0)
    H5Pclose(access);
  if (code)
    plm_h5_writer_abandon(writer);
  else
    *out = writer;
  return code;
}

hid_t plm_h5_writer_file(const struct plm_h5_writer *writer) {
  return writer->file;
}

void plm_h5_writer_abandon(struct plm_h5_writer *writer) {
  if (!writer)
    return;
  if (writer->file >= 0)
    H5Fclose(writer->file);
  if (writer->temporary)
    unlink(writer->temporary);
  free(writer->temporary);
  free(writer->path);
  free(writer);
}

int plm_h5_writer_commit(struct plm_h5_writer *writer, struct plm_error *err) {
  int code = 0;
  if (H5Fget_obj_count(writer->file, H5F_OBJ_ALL) != 1) {
    code = plm_error_set(err, PLM_E_INTERNAL, "\"%s\" has open objects at commit", writer->path);
  } else {
    herr_t closed = H5Fclose(writer->file);
    writer->file = H5I_INVALID_HID;
    if (closed < 0)
      code = plm_h5_fail(err, PLM_E_IO, "cannot write \"%s\"", writer->path);
    else
      code = plm_file_commit(writer->temporary, writer->path, err);
  }
  plm_h5_writer_abandon(writer);
  return code;
}

int plm_h5_open(hid_t *out, const char *path, const char *format, int64_t version, struct plm_error *err) {
  int code = plm_h5_start(err);
  if (code)
    return code;
  struct stat status;
  if (access(path, R_OK) || stat(path, &status))
    return plm_error_set_system(err, errno, "cannot open \"%s\"", path);
  if (!S_ISREG(status.st_mode)) /* a fifo would keep us waiting */
    return plm_error_set(err, PLM_E_DAMAGED, "\"%s\" is not a regular file", path);
  hid_t access_list = H5Pcreate(H5P_FILE_ACCESS);
  int prepared = access_list >= 0 && H5Pset_file_locking(access_list, 0, 1) >= 0;
  hid_t file = prepared ? H5Fopen(path, H5F_ACC_RDONLY, access_list) : H5I_INVALID_HID;
  if (access_list >= 0)
    H5Pclose(access_list);
  if (!prepared)
    return plm_h5_fail(err, PLM_E_IO, "cannot prepare \"%s\"", path);
  if (file < 0)
    return plm_h5_fail(err, PLM_E_DAMAGED, "\"%s\" is not a whole HDF5 file", path);
  char *found = NULL;
  int64_t found_version = 0;
  struct plm_error inner = PLM_ERROR_INIT;
  if (plm_h5_get_text(&found, file, "format", &inner) || strcmp(found, format))
    code = plm_error_set(err, PLM_E_DAMAGED, "\"%s\" is not a %s file (its format attribute is %s%s%s)", path, format,
                         found ? "\"" : "", found ? found : "missing", found ? "\"" : "");
  else if (plm_h5_get_integer(&found_version, file, "format_version", &inner) || found_version < 1 ||
           found_version > version)
    code = plm_error_set(err, PLM_E_DAMAGED, "\"%s\" has %s version %lld, this program reads 1 to %lld", path, format,
                         (long long)found_version, (long long)version);
  free(found);
  if (code)
    H5Fclose(file);
  else
    *out = file;
  return code;
}

int plm_h5_put_format(hid_t file, const char *format, int64_t version, struct plm_error *err) {
  char created[32];
  time_t now = time(NULL);
  struct tm utc;
  gmtime_r(&now, &utc);
  strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &utc);
  int code = plm_h5_put_text(file, "format", format, err);
  if (!code)
    code = plm_h5_put_integer(file, "format_version", version, err);
  if (!code)
    code = plm_h5_put_text(file, "tool_version", "plmscale " PLM_VERSION, err);
  if (!code)
    code = plm_h5_put_text(file, "created_utc", created, err);
  return code;
}

/* A failed write: what is the kind of thing, under parent. The library's own name for the file comes last, for asking clears the reason. */
static int write_failed(struct plm_error *err, hid_t parent, const char *what, const char *name) {
  char file[PLM_ERROR_TEXT / 2] = "";
  int code = plm_h5_fail(err, PLM_E_IO, "cannot write %s \"%s\"", what, name);
  if (H5Fget_name(parent, file, sizeof file) > 0 && err) {
    struct plm_error inner = *err;
    plm_error_set(err, code, "\"%s\": %.400s", file, inner.text);
  }
  H5Eclear2(H5E_DEFAULT);
  return code;
}

int plm_h5_group_create(hid_t *out, hid_t parent, const char *name, struct plm_error *err) {
  hid_t links = H5Pcreate(H5P_LINK_CREATE);
  if (links < 0 || H5Pset_create_intermediate_group(links, 1) < 0)
    return write_failed(err, parent, "group", name);
  hid_t group = H5Gcreate2(parent, name, links, H5P_DEFAULT, H5P_DEFAULT);
  H5Pclose(links);
  if (group < 0)
    return write_failed(err, parent, "group", name);
  *out = group;
  return 0;
}

int plm_h5_group_open(hid_t *out, hid_t parent, const char *name, struct plm_error *err) {
  hid_t group = H5Gopen2(parent, name, H5P_DEFAULT);
  if (group < 0)
    return plm_h5_fail(err, PLM_E_DAMAGED, "group \"%s\" is missing", name);
  *out = group;
  return 0;
}

static int put_attribute(hid_t object, const char *name, hid_t file_type, hid_t memory_type, const void *value,
                         struct plm_error *err) {
  hid_t space = H5Screate(H5S_SCALAR);
  hid_t attribute = space < 0 ? -1 : H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
  int failed = attribute < 0 || H5Awrite(attribute, memory_type, value) < 0;
  if (attribute >= 0 && H5Aclose(attribute) < 0)
    failed = 1;
  if (space >= 0)
    H5Sclose(space);
  return failed ? write_failed(err, object, "attribute", name) : 0;
}

/* A fixed-length UTF-8 type of bytes bytes (at least one), padded with NUL. */
static hid_t text_type(size_t bytes) {
  hid_t type = H5Tcopy(H5T_C_S1);
  if (type >= 0 && (H5Tset_size(type, bytes ? bytes : 1) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0 ||
                    H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

int plm_h5_put_text(hid_t object, const char *name, const char *text, struct plm_error *err) {
  hid_t type = text_type(strlen(text));
  if (type < 0)
    return write_failed(err, object, "attribute", name);
  int code = put_attribute(object, name, type, type, text, err);
  H5Tclose(type);
  return code;
}

int plm_h5_put_real(hid_t object, const char *name, double value, struct plm_error *err) {
  return put_attribute(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value, err);
}

int plm_h5_put_integer(hid_t object, const char *name, int64_t value, struct plm_error *err) {
  return put_attribute(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value, err);
}

static int open_attribute(hid_t *out, hid_t *type, hid_t object, const char *name, H5T_class_t wanted,
                          struct plm_error *err) {
  hid_t attribute = H5Aexists(object, name) > 0 ? H5Aopen(object, name, H5P_DEFAULT) : -1;
  if (attribute < 0) {
    H5Eclear2(H5E_DEFAULT);
    return plm_error_set(err, PLM_E_DAMAGED, "attribute \"%s\" is missing", name);
  }
  hid_t space = H5Aget_space(attribute);
  hid_t found = H5Aget_type(attribute);
  int good = found >= 0 && H5Tget_class(found) == wanted && space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
  if (space >= 0)
    H5Sclose(space);
  if (!good) {
    if (found >= 0)
      H5Tclose(found);
    H5Aclose(attribute);
    return plm_error_set(err, PLM_E_DAMAGED, "attribute \"%s\" has the wrong type", name);
  }
  *out = attribute;
  *type = found;
  return 0;
}

int plm_h5_get_text(char **out, hid_t object, const char *name, struct plm_error *err) {
  hid_t attribute, type;
  int code = open_attribute(&attribute, &type, object, name, H5T_STRING, err);
  if (code)
    return code;
  char *text = NULL;
  size_t bytes = H5Tget_size(type);
  if (H5Tis_variable_str(type) > 0 || bytes > (1u << 20)) {
    code = plm_error_set(err, PLM_E_DAMAGED, "attribute \"%s\" is not a fixed-length string", name);
  } else if (!(text = plm_memory_zeroed(bytes + 1, 1))) {
    code = plm_error_memory(err, "reading an attribute");
  } else if (H5Aread(attribute, type, text) < 0) {
    code = plm_h5_fail(err, PLM_E_DAMAGED, "cannot read attribute \"%s\"", name);
    free(text);
  } else {
    *out = text;
  }
  H5Tclose(type);
  H5Aclose(attribute);
  return code;
}

static int get_number(void *out, hid_t object, const char *name, H5T_class_t wanted, hid_t memory_type,
                      struct plm_error *err) {
  hid_t attribute, type;
  int code = open_attribute(&attribute, &type, object, name, wanted, err);
  if (code)
    return code;
  if (H5Aread(attribute, memory_type, out) < 0)
    code = plm_h5_fail(err, PLM_E_DAMAGED, "cannot read attribute \"%s\"", name);
  H5Tclose(type);
  H5Aclose(attribute);
  return code;
}

int plm_h5_get_real(double *out, hid_t object, const char *name, struct plm_error *err) {
  return get_number(out, object, name, H5T_FLOAT, H5T_NATIVE_DOUBLE, err);
}

int plm_h5_get_integer(int64_t *out, hid_t object, const char *name, struct plm_error *err) {
  return get_number(out, object, name, H5T_INTEGER, H5T_NATIVE_INT64, err);
}

/* The little-endian file type for a native memory type. */
static hid_t little_endian(hid_t native) {
  hid_t type = H5Tcopy(native);
  if (type >= 0 && H5Tget_order(type) == H5T_ORDER_BE && H5Tset_order(type, H5T_ORDER_LE) < 0) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

/* Chunks of about CHUNK_BYTES: whole rows, at least one. */
static hid_t array_layout(int rank, const hsize_t *extents, size_t size, int compress) {
  hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
  hsize_t chunk[2] = {CHUNK_BYTES / size, rank > 1 ? extents[1] : 1};
  if (rank > 1)
    chunk[0] = chunk[1] < chunk[0] ? chunk[0] / chunk[1] : 1;
  if (chunk[0] > extents[0])
    chunk[0] = extents[0];
  if (chunk[0] == 0)
    chunk[0] = 1;
  if (layout >= 0 && extents[0] > 0 &&
      (H5Pset_chunk(layout, rank, chunk) < 0 ||
       (compress && (H5Pset_shuffle(layout) < 0 || H5Pset_deflate(layout, 4) < 0)) || H5Pset_fletcher32(layout) < 0)) {
    H5Pclose(layout);
    return -1;
  }
  return layout;
}

static int put_dataset(hid_t parent, const char *name, hid_t type, const void *data, int rank, const hsize_t *extents,
                       int compress, const char *units, struct plm_error *err) {
  int code = 0;
  hid_t space = H5Screate_simple(rank, extents, NULL);
  hid_t layout = array_layout(rank, extents, H5Tget_size(type), compress);
  hid_t stored = little_endian(type);
  hid_t set = -1;
  if (space >= 0 && layout >= 0 && stored >= 0)
    set = H5Dcreate2(parent, name, stored, space, H5P_DEFAULT, layout, H5P_DEFAULT);
  if (set < 0 || (extents[0] && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0))
    code = write_failed(err, parent, "dataset", name);
  if (!code && units)
    code = plm_h5_put_text(set, "units", units, err);
  if (set >= 0 && H5Dclose(set) < 0 && !code)
    code = write_failed(err, parent, "dataset", name);
  if (stored >= 0)
    H5Tclose(stored);
  if (layout >= 0)
    H5Pclose(layout);
  if (space >= 0)
    H5Sclose(space);
  return code;
}

int plm_h5_put_array(hid_t parent, const char *name, hid_t type, const void *data, uint64_t count, int compress,
                     const char *units, struct plm_error *err) {
  hsize_t extent = count;
  return put_dataset(parent, name, type, data, 1, &extent, compress, units, err);
}

int plm_h5_put_texts(hid_t parent, const char *name, const char *const *texts, uint64_t count, struct plm_error *err) {
  size_t width = 1;
  for (uint64_t i = 0; i < count; i++)
    if (strlen(texts[i]) > width)
      width = strlen(texts[i]);
  char *cells = plm_memory_zeroed(count, width);
  if (!cells)
    return plm_error_memory(err, "writing texts");
  for (uint64_t i = 0; i < count; i++)
    memcpy(cells + i * width, texts[i], strlen(texts[i]));
  int code = 0;
  hid_t type = text_type(width);
  if (type < 0)
    code = write_failed(err, parent, "dataset", name);
  else
    code = plm_h5_put_array(parent, name, type, cells, count, 0, NULL, err);
  if (type >= 0)
    H5Tclose(type);
  free(cells);
  return code;
}

int plm_h5_put_matrix(hid_t parent, const char *name, hid_t type, const void *data, uint64_t rows, uint64_t cols,
                      struct plm_error *err) {
  hsize_t extents[2] = {rows, cols};
  return put_dataset(parent, name, type, data, 2, extents, 0, NULL, err);
}

static int open_array(hid_t *out, uint64_t *count, hid_t parent, const char *name, struct plm_error *err) {
  hid_t set = H5Lexists(parent, name, H5P_DEFAULT) > 0 ? H5Dopen2(parent, name, H5P_DEFAULT) : -1;
  if (set < 0)
    return plm_h5_fail(err, PLM_E_DAMAGED, "dataset \"%s\" is missing", name);
  hid_t space = H5Dget_space(set);
  hsize_t extents[2] = {0, 1};
  int rank = space < 0 ? 0 : H5Sget_simple_extent_ndims(space);
  hsize_t product = 0;
  int good = (rank == 1 || rank == 2) && H5Sget_simple_extent_dims(space, extents, NULL) == rank &&
             !__builtin_mul_overflow(extents[0], extents[1], &product);
  if (space >= 0)
    H5Sclose(space);
  if (!good) {
    H5Dclose(set);
    return plm_error_set(err, PLM_E_DAMAGED, "dataset \"%s\" has neither one nor two dimensions", name);
  }
  *out = set;
  *count = product;
  return 0;
}

int plm_h5_array_length(uint64_t *out, hid_t parent, const char *name, struct plm_error *err) {
  hid_t set;
  int code = open_array(&set, out, parent, name, err);
  if (!code)
    H5Dclose(set);
  return code;
}

int plm_h5_get_array(void *data, hid_t parent, const char *name, hid_t type, uint64_t count, struct plm_error *err) {
  hid_t set;
  uint64_t found;
  int code = open_array(&set, &found, parent, name, err);
  if (code)
    return code;
  hid_t stored = H5Dget_type(set);
  if (found != count)
    code = plm_error_set(err, PLM_E_DAMAGED, "dataset \"%s\" has %llu elements, expected %llu", name,
                         (unsigned long long)found, (unsigned long long)count);
  else if (stored < 0 || H5Tget_class(stored) != H5Tget_class(type))
    code = plm_error_set(err, PLM_E_DAMAGED, "dataset \"%s\" has the wrong type", name);
  else if (count && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
    code = plm_h5_fail(err, PLM_E_DAMAGED, "cannot read dataset \"%s\"", name);
  if (stored >= 0)
    H5Tclose(stored);
  H5Dclose(set);
  return code;
}

int plm_h5_put_document(hid_t parent, const char *name, const char *text, struct plm_error *err) {
  hid_t type = text_type(strlen(text));
  hid_t space = H5Screate(H5S_SCALAR);
  hid_t set = type < 0 || space < 0 ? -1 : H5Dcreate2(parent, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  int failed = set < 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0;
  if (set >= 0 && H5Dclose(set) < 0)
    failed = 1;
  if (space >= 0)
    H5Sclose(space);
  if (type >= 0)
    H5Tclose(type);
  return failed ? write_failed(err, parent, "document", name) : 0;
}

int plm_h5_get_document(char **out, hid_t parent, const char *name, struct plm_error *err) {
  hid_t set = H5Lexists(parent, name, H5P_DEFAULT) > 0 ? H5Dopen2(parent, name, H5P_DEFAULT) : -1;
  if (set < 0)
    return plm_h5_fail(err, PLM_E_DAMAGED, "\"%s\" is missing", name);
  int code = 0;
  char *text = NULL;
  hid_t type = H5Dget_type(set);
  hid_t space = H5Dget_space(set);
  size_t bytes = type < 0 ? 0 : H5Tget_size(type);
  if (type < 0 || space < 0 || H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) > 0 ||
      H5Sget_simple_extent_npoints(space) != 1 || bytes > DOCUMENT_MAX)
    code = plm_error_set(err, PLM_E_DAMAGED, "\"%s\" is not a text of fixed length", name);
  else if (!(text = plm_memory_zeroed(bytes + 1, 1)))
    code = plm_error_memory(err, "reading a document");
  else if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0)
    code = plm_h5_fail(err, PLM_E_DAMAGED, "cannot read \"%s\"", name);
  if (code)
    free(text);
  else
    *out = text;
  if (space >= 0)
    H5Sclose(space);
  if (type >= 0)
    H5Tclose(type);
  H5Dclose(set);
  return code;
}
