#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "study/study.h"

static error_t parse_argument(int key, char *argument, struct argp_state *state) {
  const char **path = state->input;
  if (key != ARGP_KEY_ARG || *path)
    return ARGP_ERR_UNKNOWN;
  *path = argument;
  return 0;
}

static const struct argp init_argp = {
    .parser = parse_argument,
    .args_doc = "[FILE]",
    .doc =
        "Write a commented study file with every option, to FILE (never over an existing one) or the standard output."};

/* O_EXCL, so that a file that appears meanwhile is not lost either. What was begun and failed is removed. */
static int write_new(const char *path, const char *text, struct plm_error *err) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0 && errno == EEXIST)
    return plm_error_set(err, PLM_E_USAGE, "\"%s\" exists, it is not overwritten", path);
  if (fd < 0)
    return plm_error_set_system(err, errno, "cannot create \"%s\"", path);
  size_t left = strlen(text);
  int failure = 0;
  while (left > 0 && !failure) {
    ssize_t written = write(fd, text, left);
    if (written < 0 && errno != EINTR)
      failure = errno;
    if (written > 0) {
      text += written;
      left -= (size_t)written;
    }
  }
  if (!failure && fsync(fd))
    failure = errno;
  if (close(fd) && !failure)
    failure = errno;
  if (!failure)
    return 0;
  unlink(path);
  return plm_error_set_system(err, failure, "cannot write \"%s\"", path);
}

int plm_cli_init(int argc, char **argv, struct plm_error *err) {
  const char *path = NULL;
  int code = plm_cli_parse(&init_argp, argc, argv, &path, err);
  if (code)
    return code;
  char *text = plm_study_template();
  if (!text)
    return plm_error_memory(err, "writing a study file");
  if (path)
    code = write_new(path, text, err);
  else if (fputs(text, stdout) == EOF || fflush(stdout))
    code = plm_error_set(err, PLM_E_IO, "cannot write to the standard output");
  free(text);
  return code;
}
