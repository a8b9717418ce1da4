#include "report/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

#define SAID_MAX 600 /* bytes of what it said that go into a message */

static int is_program(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

int plm_gnuplot_find(char **out, struct plm_error *err) {
  const char *at = getenv("PATH");
  for (const char *end; at; at = *end ? end + 1 : NULL) {
    end = strchrnul(at, ':');
    if (*at != '/') /* an empty or relative entry is the current folder, which is not to be trusted */
      continue;
    char *path = plm_memory_format("%.*s/gnuplot", (int)(end - at), at);
    if (!path)
      return plm_error_memory(err, "looking for gnuplot");
    if (is_program(path)) {
      *out = path;
      return 0;
    }
    free(path);
  }
  return plm_error_set(err, PLM_E_UNSUPPORTED,
                       "figures need gnuplot, which is not in PATH: install the package gnuplot-nox");
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* In the child. Everything it may say goes to said. */
static void become(const char *program, const char *folder, const char *script, int said) {
  char *const arguments[] = {(char[]){"gnuplot"}, (char[]){"-d"}, strdup(script), NULL};
  int nothing = open("/dev/null", O_RDONLY);
  setpgid(0, 0);
  setenv("LC_ALL", "C.UTF-8", 1);
  unsetenv("GNUTERM");
  unsetenv("DISPLAY");
  if (nothing >= 0 && dup2(nothing, 0) >= 0 && dup2(said, 1) >= 0 && dup2(said, 2) >= 0 && chdir(folder) == 0)
    execv(program, arguments);
  dprintf(said, "cannot start %s: %s", program, strerror(errno));
  _exit(127);
}

/* Everything from the pipe until it closes, the first SAID_MAX - 1 bytes kept. 0 when the deadline came first. */
static int listen_until(char said[SAID_MAX], int fd, double deadline) {
  size_t used = 0;
  char rest[512];
  for (;;) {
    double left = deadline - now();
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int found = left > 0 ? poll(&ready, 1, (int)(1000 * left) + 1) : 0;
    if (found < 0 && errno == EINTR)
      continue;
    if (found <= 0)
      return 0;
    ssize_t got = read(fd, rest, sizeof rest);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return 1;
    size_t take = (size_t)got < SAID_MAX - 1 - used ? (size_t)got : SAID_MAX - 1 - used;
    memcpy(said + used, rest, take);
    used += take;
    said[used] = 0;
  }
}

int plm_gnuplot_run(const char *program, const char *folder, const char *script, double seconds,
                    struct plm_error *err) {
  char said[SAID_MAX] = "";
  int pipes[2], status = 0;
  if (pipe2(pipes, O_CLOEXEC))
    return plm_error_set_system(err, errno, "cannot make a pipe for gnuplot");
  pid_t pid = fork();
  if (pid == 0)
    become(program, folder, script, pipes[1]);
  int failed = errno;
  close(pipes[1]);
  if (pid < 0) {
    close(pipes[0]);
    return plm_error_set_system(err, failed, "cannot start gnuplot");
  }
  int ended = listen_until(said, pipes[0], now() + seconds);
  close(pipes[0]);
  if (!ended) {
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL); /* before it has its own group */
  }
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  if (!ended)
    return plm_error_set(err, PLM_E_INTERNAL, "gnuplot was stopped after %.0f s at \"%s\"", seconds, script);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !said[0])
    return 0;
  const char *text = said + strspn(said, "\n ");
  return plm_error_set(err, PLM_E_INTERNAL, "gnuplot failed at \"%s\": %s", script, *text ? text : "it said nothing");
}
