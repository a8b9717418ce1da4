#include "train/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

static struct flock whole_file(void) {
  return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

/* What the holder wrote, as one printable line. */
static void read_holder(char out[PLM_LOCK_HOLDER], int fd) {
  ssize_t got = pread(fd, out, PLM_LOCK_HOLDER - 1, 0);
  out[got > 0 ? got : 0] = 0;
  out[strcspn(out, "\n")] = 0;
  for (char *c = out; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f)
      *c = '?';
  if (!*out)
    snprintf(out, PLM_LOCK_HOLDER, "another process");
}

/* Only for messages, so that a full disk does not keep anybody from working. */
static void write_holder(int fd) {
  char host[65] = "?", when[32], text[PLM_LOCK_HOLDER];
  time_t now = time(NULL);
  struct tm utc;
  gethostname(host, sizeof host - 1);
  gmtime_r(&now, &utc);
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
  int length = snprintf(text, sizeof text, "process %ld on %s since %s\n", (long)getpid(), host, when);
  if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)length, 0) < 0)
    return;
}

int plm_lock_take(int *out, const char *folder, const char *what, const char *which, struct plm_error *err) {
  char holder[PLM_LOCK_HOLDER];
  struct flock range = whole_file();
  char *path = plm_file_join(folder, PLM_LOCK_NAME);
  if (!path)
    return plm_error_memory(err, "taking a lock");
  int code = 0, fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) {
    code = plm_error_set_system(err, errno, "cannot open the lock \"%s\"", path);
  } else if (fcntl(fd, F_OFD_SETLK, &range) == 0) {
    write_holder(fd);
    *out = fd;
  } else if (errno == EAGAIN || errno == EACCES) {
    read_holder(holder, fd);
    code = plm_error_set(err, PLM_E_BUSY, "%s \"%s\": %s works on it", what, which, holder);
  } else {
    code = plm_error_set_system(err, errno, "cannot lock \"%s\"", path);
  }
  if (code && fd >= 0)
    close(fd);
  free(path);
  return code;
}

void plm_lock_release(int lock) {
  if (lock >= 0)
    close(lock);
}

int plm_lock_held(char holder[PLM_LOCK_HOLDER], const char *folder) {
  struct flock range = whole_file();
  char *path = plm_file_join(folder, PLM_LOCK_NAME);
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
  int held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
  if (held && holder)
    read_holder(holder, fd);
  if (fd >= 0)
    close(fd);
  free(path);
  return held;
}
