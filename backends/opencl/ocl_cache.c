/*
 * The cache of program binaries: one file for each key, written whole under another name and then renamed, so that
 * processes may share the folder. A binary is code that runs as the user: files of others count as none.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "opencl.h"

#define BYTES_MAX ((uint64_t)256 << 20)

static const char magic[8] = "PLMOCL1\n";

/* A file: this, the key, the binary. */
struct header {
  char magic[8];
  uint64_t key_bytes, binary_bytes;
  uint64_t checksum; /* of key and binary */
};

/* FNV-1a. */
static uint64_t hash(uint64_t h, const void *data, size_t bytes) {
  const unsigned char *p = data;
  for (size_t i = 0; i < bytes; i++)
    h = (h ^ p[i]) * 0x100000001b3ull;
  return h;
}

#define HASH_BEGIN 0xcbf29ce484222325ull

static int make_path(char *out, size_t room, const struct plm_device *device, const char *key, const char *ending) {
  const int used = snprintf(out, room, "%s/%016" PRIx64 "%s", device->cache_folder,
                            hash(HASH_BEGIN, key, strlen(key)), ending);
  return used > 0 && (size_t)used < room;
}

/* ---------------------------------------------------------------- the folder */

/* All folders on the way, as the user's alone where they are new. */
static int make_folders(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    const int failed = mkdir(path, 0700) && errno != EEXIST;
    *slash = '/';
    if (failed)
      return 0;
  }
  return !mkdir(path, 0700) || errno == EEXIST;
}

char *ocl_cache_folder(const struct plm_host *host) {
  char path[PATH_MAX];
  const char *asked = host->option(host->context, "cache_path"), *base = getenv("XDG_CACHE_HOME");
  const char *home = getenv("HOME"), *ending = "/plmscale/opencl";
  if (!strcmp(host->option(host->context, "cache"), "0"))
    return NULL;
  if (asked[0])
    base = asked, ending = "";
  else if (!base || base[0] != '/')
    base = home, ending = "/.cache/plmscale/opencl";
  if (!base || base[0] != '/') {
    ocl_log(host, PLM_LOG_INFO, "no cache of kernels: \"%s\" is not an absolute path", base ? base : "");
    return NULL;
  }
  const int used = snprintf(path, sizeof path, "%s%s", base, ending);
  if (used < 0 || (size_t)used >= sizeof path || !make_folders(path) || access(path, R_OK | W_OK | X_OK)) {
    ocl_log(host, PLM_LOG_INFO, "no cache of kernels: folder \"%s\": %s", path, strerror(errno));
    return NULL;
  }
  return ocl_text(host, path);
}

/* ---------------------------------------------------------------- reading */

/* Opens a file that belongs to this user and that nobody else may write; its size. -1 when there is none such. */
static int open_own(const char *path, uint64_t *bytes) {
  struct stat status;
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0)
    return -1;
  if (fstat(file, &status) || !S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022) ||
      status.st_size < 0) {
    close(file);
    return -1;
  }
  *bytes = (uint64_t)status.st_size;
  return file;
}

static int read_all(int file, void *out, uint64_t bytes) {
  for (uint64_t done = 0; done < bytes;) {
    const ssize_t got = read(file, (char *)out + done, bytes - done);
    if (got <= 0 && !(got < 0 && errno == EINTR))
      return 0;
    done += got > 0 ? (uint64_t)got : 0;
  }
  return 1;
}

/* The binary behind header and key, NULL when anything is not as it was stored. */
static void *read_entry(const struct plm_device *device, int file, uint64_t file_bytes, const char *key, size_t *bytes) {
  struct plm_error ignored = {.struct_size = sizeof ignored};
  struct header header;
  const uint64_t key_bytes = strlen(key);
  if (file_bytes < sizeof header + key_bytes || file_bytes > BYTES_MAX || !read_all(file, &header, sizeof header) ||
      memcmp(header.magic, magic, sizeof magic) != 0 || header.key_bytes != key_bytes ||
      header.binary_bytes != file_bytes - sizeof header - key_bytes || header.binary_bytes == 0)
    return NULL;
  char *data = ocl_allocate(device->host, key_bytes + header.binary_bytes, "cache entry", &ignored);
  if (!data)
    return NULL;
  if (!read_all(file, data, key_bytes + header.binary_bytes) || memcmp(data, key, key_bytes) != 0 ||
      hash(HASH_BEGIN, data, key_bytes + header.binary_bytes) != header.checksum) {
    ocl_release(device->host, data);
    return NULL;
  }
  memmove(data, data + key_bytes, header.binary_bytes);
  *bytes = header.binary_bytes;
  return data;
}

void *ocl_cache_load(const struct plm_device *device, const char *key, size_t *bytes) {
  char path[PATH_MAX];
  uint64_t file_bytes;
  if (!device->cache_folder || !make_path(path, sizeof path, device, key, ".bin"))
    return NULL;
  const int file = open_own(path, &file_bytes);
  if (file < 0)
    return NULL;
  void *binary = read_entry(device, file, file_bytes, key, bytes);
  close(file);
  if (!binary)
    ocl_log(device->host, PLM_LOG_INFO, "cache entry \"%s\" is damaged or of another build: it is made anew", path);
  return binary;
}

/* ---------------------------------------------------------------- writing */

static int write_all(int file, const void *data, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t put = write(file, (const char *)data + done, bytes - done);
    if (put <= 0 && !(put < 0 && errno == EINTR))
      return 0;
    done += put > 0 ? (size_t)put : 0;
  }
  return 1;
}

/* Three pieces as one whole new file. */
static int replace_file(const char *path, const void *const pieces[3], const size_t bytes[3]) {
  char temporary[PATH_MAX + 16];
  snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
  const int file = mkstemp(temporary);
  if (file < 0)
    return 0;
  int ok = 1;
  for (int i = 0; i < 3; i++)
    ok = ok && write_all(file, pieces[i], bytes[i]);
  ok = !close(file) && ok;
  if (ok && !rename(temporary, path))
    return 1;
  const int why = errno;
  unlink(temporary);
  errno = why;
  return 0;
}

void ocl_cache_store(const struct plm_device *device, const char *key, const void *binary, size_t bytes) {
  char path[PATH_MAX];
  struct header header = {.key_bytes = strlen(key), .binary_bytes = bytes};
  if (!device->cache_folder || bytes == 0 || bytes > BYTES_MAX / 2 || !make_path(path, sizeof path, device, key, ".bin"))
    return;
  memcpy(header.magic, magic, sizeof magic);
  header.checksum = hash(hash(HASH_BEGIN, key, header.key_bytes), binary, bytes);
  const void *const pieces[3] = {&header, key, binary};
  const size_t sizes[3] = {sizeof header, header.key_bytes, bytes};
  if (!replace_file(path, pieces, sizes))
    ocl_log(device->host, PLM_LOG_INFO, "cache entry \"%s\" cannot be written: %s", path, strerror(errno));
}

int ocl_cache_log(const struct plm_device *device, const char *key, const char *text, char *path, size_t room) {
  if (!device->cache_folder || !make_path(path, room, device, key, ".log"))
    return 0;
  const void *const pieces[3] = {key, "\n", text};
  const size_t sizes[3] = {strlen(key), 1, strlen(text)};
  return replace_file(path, pieces, sizes);
}
