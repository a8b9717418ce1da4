#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

char *plm_file_temporary(const char *path) {
  return plm_memory_format("%s.tmp.%ld", path, (long)getpid());
}

char *plm_file_join(const char *folder, const char *name) {
  size_t length = strlen(folder);
  return plm_memory_format("%s%s%s", folder, length && folder[length - 1] == '/' ? "" : "/", name);
}

char *plm_file_folder(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash)
    return strdup(".");
  return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

int plm_file_exists(const char *path) {
  struct stat status;
  return stat(path, &status) == 0;
}

static int sync_path(const char *path, int flags, struct plm_error *err) {
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0)
    return plm_error_set_system(err, errno, "file \"%s\"", path);
  int failed = fsync(fd) ? errno : 0;
  close(fd);
  /* Some file systems cannot sync a folder and say so with EINVAL; the rename is then as safe as it gets. */
  if (failed && !((flags & O_DIRECTORY) && failed == EINVAL))
    return plm_error_set_system(err, failed, "cannot sync \"%s\"", path);
  return 0;
}

int plm_file_commit(const char *temporary, const char *path, struct plm_error *err) {
  char *folder = plm_file_folder(path);
  int code = folder ? sync_path(temporary, O_RDONLY, err) : plm_error_memory(err, "naming a folder");
  if (!code && rename(temporary, path))
    code = plm_error_set_system(err, errno, "cannot rename \"%s\" to \"%s\"", temporary, path);
  if (code)
    unlink(temporary);
  else
    code = sync_path(folder, O_RDONLY | O_DIRECTORY, err);
  free(folder);
  return code;
}

static int write_all(int fd, const char *data, size_t bytes) {
  while (bytes) {
    ssize_t written = write(fd, data, bytes);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return errno;
    data += written;
    bytes -= (size_t)written;
  }
  return 0;
}

int plm_file_write_atomic(const char *path, const void *data, size_t bytes, struct plm_error *err) {
  char *temporary = plm_file_temporary(path);
  if (!temporary)
    return plm_error_memory(err, "naming a file");
  int code = 0;
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (fd < 0 && errno == EEXIST && unlink(temporary) == 0) /* left by an earlier process with this number */
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (fd < 0) {
    code = plm_error_set_system(err, errno, "cannot create \"%s\"", temporary);
    goto out;
  }
  int failed = write_all(fd, data, bytes);
  if (close(fd) && !failed)
    failed = errno;
  if (failed) {
    unlink(temporary);
    code = plm_error_set_system(err, failed, "cannot write \"%s\"", path);
    goto out;
  }
  code = plm_file_commit(temporary, path, err);
out:
  free(temporary);
  return code;
}

int plm_file_read(char **out, size_t *bytes, const char *path, size_t bytes_max, struct plm_error *err) {
  int code = 0;
  char *data = NULL;
  struct stat status;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return plm_error_set_system(err, errno, "cannot open \"%s\"", path);
  if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
    code = plm_error_set(err, PLM_E_DAMAGED, "\"%s\" is not a regular file", path);
    goto out;
  }
  if ((uint64_t)status.st_size > bytes_max) {
    code = plm_error_set(err, PLM_E_DAMAGED, "\"%s\" has %lld bytes, more than the %zu allowed here", path,
                         (long long)status.st_size, bytes_max);
    goto out;
  }
  size_t size = (size_t)status.st_size, got = 0;
  data = malloc(size + 1);
  if (!data) {
    code = plm_error_memory(err, "reading a file");
    goto out;
  }
  while (got < size) {
    ssize_t n = read(fd, data + got, size - got);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      code = plm_error_set_system(err, errno, "cannot read \"%s\"", path);
      goto out;
    }
    if (n == 0)
      break;
    got += (size_t)n;
  }
  data[got] = 0;
  *out = data;
  *bytes = got;
  data = NULL;
out:
  free(data);
  close(fd);
  return code;
}

int plm_file_make_folders(const char *path, struct plm_error *err) {
  char *copy = strdup(path);
  if (!copy)
    return plm_error_memory(err, "making a folder");
  int code = 0;
  for (char *p = copy + 1; !code; p++) {
    if (*p && *p != '/')
      continue;
    char end = *p;
    *p = 0;
    struct stat status;
    if (mkdir(copy, 0777) && errno != EEXIST)
      code = plm_error_set_system(err, errno, "cannot make the folder \"%s\"", copy);
    else if (stat(copy, &status) || !S_ISDIR(status.st_mode))
      code = plm_error_set(err, PLM_E_IO, "\"%s\" is in the way: not a folder", copy);
    *p = end;
    if (!end)
      break;
  }
  free(copy);
  return code;
}

int plm_file_program_folder(char **out, struct plm_error *err) {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0)
    return plm_error_set_system(err, errno, "cannot find the running program");
  path[length] = 0;
  char *folder = plm_file_folder(path);
  if (!folder)
    return plm_error_memory(err, "naming a folder");
  *out = folder;
  return 0;
}
