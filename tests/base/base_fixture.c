#include "base_fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

int base_fixture_setup(void **state) {
  (void)state;
  strcpy(folder, "/tmp/plm_base_XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk) {
  (void)status;
  (void)type;
  return walk->level ? remove(path) : 0;
}

void base_fixture_clear(void) {
  assert_int_equal(nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

int base_fixture_teardown(void **state) {
  (void)state;
  base_fixture_clear();
  return rmdir(folder);
}

const char *base_fixture_folder(void) {
  return folder;
}

const char *base_fixture_path(const char *name) {
  static char paths[8][512];
  static int next;
  char *path = paths[next++ % 8];
  assert_in_range(snprintf(path, sizeof paths[0], "%s/%s", folder, name), 1, sizeof paths[0] - 1);
  return path;
}

size_t base_fixture_entries(void) {
  size_t count = 0;
  DIR *entries = opendir(folder);
  assert_non_null(entries);
  for (struct dirent *entry; (entry = readdir(entries));)
    count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
  closedir(entries);
  return count;
}

void base_fixture_write(const char *path, const void *data, size_t bytes) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, bytes, file), bytes);
  assert_int_equal(fclose(file), 0);
}

unsigned char *base_fixture_read(size_t *bytes, const char *path) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  long size = ftell(file);
  assert_true(size >= 0);
  rewind(file);
  unsigned char *data = malloc((size_t)size + 1);
  assert_non_null(data);
  assert_int_equal(fread(data, 1, (size_t)size, file), size);
  fclose(file);
  *bytes = (size_t)size;
  return data;
}

int base_fixture_full_disk(int (*work)(void *context), void *context, size_t bytes) {
  fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    const struct rlimit limit = {bytes, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    _exit(setrlimit(RLIMIT_FSIZE, &limit) ? 255 : work(context));
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 256;
}
