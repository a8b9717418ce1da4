/*
 * HDF5 as this project uses it: files are built whole in memory (or in a temporary file), in the
 * 1.10 format with Fletcher32 on chunked data, and put in place atomically. Call from one thread.
 * Every function returns 0 or fills err; messages name the file and the object.
 * Errors of the library's own stack become part of the message; nothing is printed by it.
 */
#ifndef PLM_BASE_H5_H
#define PLM_BASE_H5_H

#include <hdf5.h>
#include <stdint.h>

#include "base/error.h"

/* Once per process, before any other call here: no atexit, no filter plugins, no external links, quiet errors. Idempotent. */
int plm_h5_start(struct plm_error *err);

/*
 * A file being written as path.tmp.<pid>: in memory and out in one go at commit, or, on_disk, piece by piece (for what is too
 * large to hold twice). Opaque, owned by the caller. commit: closes, fsync, rename; abandon: removes every trace. Either
 * releases the handle; abandon takes NULL. (Not by H5Fget_file_image: 1.10.8 clears the superblock's status flags in the
 * image without renewing its checksum, and nothing can open it.)
 */
struct plm_h5_writer;
int plm_h5_writer_create(struct plm_h5_writer **out, const char *path, int on_disk, struct plm_error *err);
hid_t plm_h5_writer_file(const struct plm_h5_writer *writer);
int plm_h5_writer_commit(struct plm_h5_writer *writer, struct plm_error *err);
void plm_h5_writer_abandon(struct plm_h5_writer *writer);

/* Opens for reading, file locking off. Not HDF5, cut short or damaged: PLM_E_DAMAGED. Checks root attributes format = format
 * (text) and format_version <= version. Close with H5Fclose. */
int plm_h5_open(hid_t *out, const char *path, const char *format, int64_t version, struct plm_error *err);

/* Writes root attributes format, format_version, tool_version and created_utc. */
int plm_h5_put_format(hid_t file, const char *format, int64_t version, struct plm_error *err);

/* Groups: made with intermediate groups; close with H5Gclose. */
int plm_h5_group_create(hid_t *out, hid_t parent, const char *name, struct plm_error *err);
int plm_h5_group_open(hid_t *out, hid_t parent, const char *name, struct plm_error *err);

/* Attributes: fixed-length UTF-8 text, float64, int64. get_text: *out owned by the caller. Absent or of another type: PLM_E_DAMAGED. */
int plm_h5_put_text(hid_t object, const char *name, const char *text, struct plm_error *err);
int plm_h5_put_real(hid_t object, const char *name, double value, struct plm_error *err);
int plm_h5_put_integer(hid_t object, const char *name, int64_t value, struct plm_error *err);
int plm_h5_get_text(char **out, hid_t object, const char *name, struct plm_error *err);
int plm_h5_get_real(double *out, hid_t object, const char *name, struct plm_error *err);
int plm_h5_get_integer(int64_t *out, hid_t object, const char *name, struct plm_error *err);

/* 1-D datasets of the given native memory type (H5T_NATIVE_FLOAT, _DOUBLE, _INT64, _UINT8 ..), stored little-endian, chunked with
 * shuffle, deflate 4 (compress != 0) and Fletcher32. units may be NULL. count may be 0. */
int plm_h5_put_array(hid_t parent, const char *name, hid_t type, const void *data, uint64_t count, int compress,
                     const char *units, struct plm_error *err);
/* A 1-D dataset of count texts, fixed-length UTF-8 padded with NUL to the longest. count may be 0. */
int plm_h5_put_texts(hid_t parent, const char *name, const char *const *texts, uint64_t count, struct plm_error *err);
/* A rows x cols dataset, row-major, with Fletcher32. */
int plm_h5_put_matrix(hid_t parent, const char *name, hid_t type, const void *data, uint64_t rows, uint64_t cols,
                      struct plm_error *err);
/* Number of elements of a 1-D or 2-D dataset. */
int plm_h5_array_length(uint64_t *out, hid_t parent, const char *name, struct plm_error *err);
/* Reads a 1-D or 2-D dataset of exactly count elements into data, converted to type. */
int plm_h5_get_array(void *data, hid_t parent, const char *name, hid_t type, uint64_t count, struct plm_error *err);
/* Long text (INI, JSON) as a uint8-free string dataset, readable by h5py as bytes. */
int plm_h5_put_document(hid_t parent, const char *name, const char *text, struct plm_error *err);
int plm_h5_get_document(char **out, hid_t parent, const char *name, struct plm_error *err);

/* Fills err from the library's error stack: message, then ": <innermost description>". Returns PLM_E_IO, or PLM_E_DAMAGED when reading. */
int plm_h5_fail(struct plm_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
