/* Files that are there whole or not at all. */
#ifndef PLM_BASE_FILE_H
#define PLM_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Writes path.tmp.<pid> (0666 less umask, O_EXCL|O_NOFOLLOW), fsync, rename to path, fsync of the folder. On failure the temporary is removed. */
int plm_file_write_atomic(const char *path, const void *data, size_t bytes, struct plm_error *err);

/* The temporary name for path ("path.tmp.<pid>"), owned by the caller; NULL when out of memory. */
char *plm_file_temporary(const char *path);

/* For a temporary that was written by other means: fsync, rename to path, fsync of the folder. On failure temporary is removed. */
int plm_file_commit(const char *temporary, const char *path, struct plm_error *err);

/* Reads a regular file of at most bytes_max bytes. *out is owned by the caller, has a NUL after its last byte. Larger: PLM_E_DAMAGED. */
int plm_file_read(char **out, size_t *bytes, const char *path, size_t bytes_max, struct plm_error *err);

/* 1 when path exists. */
int plm_file_exists(const char *path);

/* Makes a folder and its parents. An existing folder is fine. */
int plm_file_make_folders(const char *path, struct plm_error *err);

/* folder/name, owned by the caller; NULL when out of memory. */
char *plm_file_join(const char *folder, const char *name);

/* The folder part of path ("." when it has none), owned by the caller; NULL when out of memory. */
char *plm_file_folder(const char *path);

/* Absolute path of the running program's folder, owned by the caller. */
int plm_file_program_folder(char **out, struct plm_error *err);

#endif
