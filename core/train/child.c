#include "train/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define REPORT_FD 3
#define FREE_FD 10 /* descriptors of ours stay clear of those the child gets */
#define LOG_TAIL 4096
#define EXIT_STOPPED 75
#define EXIT_NO_EXEC 127

const char *plm_child_outcome_name(enum plm_child_outcome outcome) {
  static const char *const names[] = {"done", "stopped", "busy", "error", "crashed", "hung", "killed"};
  return names[outcome];
}

double plm_child_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ------------------------------------------------------------ starting one */

/* The argument vector: borrowed texts in an owned array; threads is the text of a number. */
static char **make_arguments(const struct plm_child_options *options, const char *threads) {
  enum { FIXED = 11 };
  const char *fixed[FIXED] = {"plmscale",
                              "run-cell",
                              options->study,
                              options->cell_id,
                              "--backend",
                              options->device,
                              "--threads",
                              threads,
                              "--report-fd",
                              "3",
                              NULL};
  size_t used = FIXED - 1, count = options->setting_count + options->layer_count + 1;
  const char **arguments = plm_memory_zeroed(FIXED + 2 * count, sizeof *arguments);
  if (!arguments)
    return NULL;
  memcpy(arguments, fixed, sizeof fixed);
  for (size_t i = 0; i < options->setting_count; i++) {
    arguments[used++] = "--set";
    arguments[used++] = options->settings[i];
  }
  for (size_t i = 0; i < options->layer_count; i++) {
    arguments[used++] = "--layer";
    arguments[used++] = options->layers[i];
  }
  if (options->shadow) {
    arguments[used++] = "--shadow";
    arguments[used++] = options->shadow;
  }
  union {
    const char **texts;
    char **argv; /* exec does not write to them, whatever its prototype says */
  } vector = {arguments};
  return vector.argv;
}

/* Opens the log for appending, notes who starts, and says where the child's own output will start. */
static int open_log(off_t *start, const char *path, const struct plm_child_options *options, struct plm_error *err) {
  char when[32];
  time_t now = time(NULL);
  struct tm utc;
  int opened = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
  int fd = opened < 0 ? -1 : fcntl(opened, F_DUPFD_CLOEXEC, FREE_FD);
  if (fd < 0)
    plm_error_set_system(err, errno, "cannot open \"%s\"", path);
  if (opened >= 0)
    close(opened);
  if (fd < 0)
    return -1;
  gmtime_r(&now, &utc);
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
  dprintf(fd, "--- %s %s, %u threads\n", when, options->device, options->threads);
  *start = lseek(fd, 0, SEEK_END);
  return fd;
}

/* Between fork and exec: only what may be called there. The signals are blocked until the parent's handlers are off. */
static void become(const char *program, char **arguments, int report, int log, pid_t parent) {
  static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
  static const char failed[] = "plmscale: error: the child process cannot be set up\n";
  const struct rlimit no_core = {0, 0};
  int null = open("/dev/null", O_RDONLY);
  setpgid(0, 0);
  setrlimit(RLIMIT_CORE, &no_core);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    signal(numbers[i], SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0 &&
      dup2(report, REPORT_FD) >= 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent)
    execv(program, arguments);
  if (write(log, failed, sizeof failed - 1) < 0)
    _exit(EXIT_NO_EXEC);
  _exit(EXIT_NO_EXEC);
}

/* Forks with all signals blocked: a request to stop that comes before exec must end the child, not be forgotten by it. */
static pid_t fork_blocked(const char *program, char **arguments, int report, int log) {
  sigset_t all, before;
  pid_t parent = getpid();
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_t child = fork();
  if (child == 0)
    become(program, arguments, report, log, parent);
  int number = errno;
  sigprocmask(SIG_SETMASK, &before, NULL);
  errno = number;
  return child;
}

/* A pipe whose ends are above FREE_FD; the reading one does not block. */
static int open_pipe(int ends[2], struct plm_error *err) {
  int low[2];
  if (pipe2(low, O_CLOEXEC))
    return plm_error_set_system(err, errno, "no pipe for a child process");
  for (int i = 0; i < 2; i++) {
    ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, FREE_FD);
    close(low[i]);
  }
  if (ends[0] >= 0 && ends[1] >= 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
    return 0;
  int number = errno;
  for (int i = 0; i < 2; i++)
    if (ends[i] >= 0)
      close(ends[i]);
  return plm_error_set_system(err, number, "no pipe for a child process");
}

int plm_child_start(struct plm_child *out, const struct plm_child_options *options, struct plm_error *err) {
  struct plm_child child = {.fd = -1};
  const char *program = options->program ? options->program : "/proc/self/exe";
  char threads[16];
  int ends[2] = {-1, -1}, log = -1, code = 0;
  snprintf(threads, sizeof threads, "%u", options->threads);
  char **arguments = make_arguments(options, threads);
  child.log_path = plm_file_join(options->folder, "log.txt");
  if (!arguments || !child.log_path) {
    code = plm_error_memory(err, "starting a child process");
    goto out;
  }
  if ((code = open_pipe(ends, err)))
    goto out;
  if ((log = open_log(&child.log_start, child.log_path, options, err)) < 0) {
    code = PLM_E_IO;
    goto out;
  }
  child.pid = fork_blocked(program, arguments, ends[1], log);
  if (child.pid < 0) {
    code = plm_error_set_system(err, errno, "no child process for cell %s", options->cell_id);
    goto out;
  }
  setpgid(child.pid, child.pid); /* here as well: whoever is first; later it fails and is not needed */
  child.fd = ends[0];
  child.started = child.heard = plm_child_clock();
  *out = child;
  child.log_path = NULL;
out:
  if (log >= 0)
    close(log);
  if (ends[1] >= 0)
    close(ends[1]);
  if (code && ends[0] >= 0)
    close(ends[0]);
  free(child.log_path);
  free(arguments);
  return code;
}

/* ------------------------------------------------------------ listening */

void plm_child_take_line(struct plm_child *child, const char *line) {
  int code, text = 0;
  if (plm_report_parse(&child->progress, line)) {
    child->reports++;
  } else if (!strcmp(line, "end done") || !strcmp(line, "end diverged")) {
    child->said_end = 1;
  } else if (sscanf(line, "error %d %n", &code, &text) == 1 && text > 0 && code != 0) {
    child->error_code = code;
    snprintf(child->error, sizeof child->error, "%s", line + text);
  } else {
    return;
  }
  child->heard = plm_child_clock();
}

/* Bytes become lines; what is too long for one is dropped up to its newline. */
static void take_bytes(struct plm_child *child, const char *data, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    if (data[i] == '\n') {
      child->line[child->used] = 0;
      if (!child->skipping)
        plm_child_take_line(child, child->line);
      child->used = 0;
      child->skipping = 0;
    } else if (child->used + 1 < sizeof child->line) {
      child->line[child->used++] = data[i];
    } else {
      child->skipping = 1;
    }
  }
}

void plm_child_listen(struct plm_child *child) {
  char data[4096];
  while (child->fd >= 0) {
    ssize_t got = read(child->fd, data, sizeof data);
    if (got > 0) {
      take_bytes(child, data, (size_t)got);
      continue;
    }
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return;
    close(child->fd);
    child->fd = -1;
  }
}

/* ------------------------------------------------------------ its end */

/* The last line that this child wrote into its log, "" when there is none. */
static void last_word(char out[PLM_ERROR_TEXT], const struct plm_child *child) {
  char tail[LOG_TAIL + 1];
  int fd = child->log_path ? open(child->log_path, O_RDONLY | O_CLOEXEC) : -1;
  off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
  off_t start = end - LOG_TAIL > child->log_start ? end - LOG_TAIL : child->log_start;
  ssize_t got = fd < 0 || end <= start ? 0 : pread(fd, tail, (size_t)(end - start), start);
  if (fd >= 0)
    close(fd);
  *out = 0;
  while (got > 0 && (tail[got - 1] == '\n' || tail[got - 1] == ' '))
    got--;
  if (got <= 0)
    return;
  tail[got] = 0;
  const char *newline = strrchr(tail, '\n'), *word = newline ? newline + 1 : tail;
  static const char *const prefixes[] = {"plmscale: ", "error: "};
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
    if (!strncmp(word, prefixes[i], strlen(prefixes[i])))
      word += strlen(prefixes[i]);
  snprintf(out, PLM_ERROR_TEXT, "%.300s", word);
  for (char *c = out; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f)
      *c = '?';
}

static void say(struct plm_child_end *out, enum plm_child_outcome outcome, int code, const char *what,
                const char *word) {
  struct plm_error said = PLM_ERROR_INIT;
  plm_error_set(&said, code ? code : PLM_E_INTERNAL, *word ? "%s: %s" : "%s", what, word);
  out->outcome = outcome;
  out->code = code;
  memcpy(out->text, said.text, sizeof out->text);
}

static void judge_signal(struct plm_child_end *out, const struct plm_child *child, int number, const char *word) {
  char what[80];
  const char *name = sigabbrev_np(number);
  if (child->hung) {
    snprintf(what, sizeof what, "hung: no sign of life for %.0f s", plm_child_clock() - child->heard);
    say(out, PLM_CHILD_HUNG, PLM_E_TIMEOUT, what, word);
  } else if (child->killed) {
    say(out, PLM_CHILD_KILLED, PLM_E_STOPPED, "killed on request", "");
  } else if (number == SIGTERM || number == SIGINT || number == SIGUSR1) {
    snprintf(what, sizeof what, "ended by SIG%s before it could write a checkpoint", name);
    say(out, PLM_CHILD_STOPPED, PLM_E_STOPPED, what, "");
  } else {
    snprintf(what, sizeof what, "crashed with SIG%s%s", name ? name : "?",
             number == SIGKILL ? " (did the memory run out?)" : "");
    say(out, PLM_CHILD_CRASHED, PLM_E_INTERNAL, what, word);
  }
}

void plm_child_judge(struct plm_child_end *out, const struct plm_child *child, int status) {
  char word[PLM_ERROR_TEXT], what[80];
  last_word(word, child);
  if (WIFSIGNALED(status)) {
    judge_signal(out, child, WTERMSIG(status), word);
    return;
  }
  int left = WEXITSTATUS(status);
  if (left == 0 && child->said_end) {
    say(out, PLM_CHILD_DONE, 0, "done", "");
  } else if (left == EXIT_STOPPED) {
    say(out, PLM_CHILD_STOPPED, PLM_E_STOPPED, "stopped from outside, with a checkpoint", "");
  } else if (child->error_code) {
    say(out, child->error_code == PLM_E_BUSY ? PLM_CHILD_BUSY : PLM_CHILD_FAILED, child->error_code, child->error, "");
  } else {
    snprintf(what, sizeof what, left ? "left with code %d without a reason" : "left without an end", left);
    say(out, PLM_CHILD_FAILED, PLM_E_INTERNAL, what, word);
  }
}

int plm_child_reap(struct plm_child_end *out, struct plm_child *child) {
  int status;
  pid_t ended = waitpid(child->pid, &status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR))
    return 0;
  /* Its last words may be in the pipe yet. Then no more is waited for: something it started could keep the pipe open. */
  plm_child_listen(child);
  if (ended > 0)
    plm_child_judge(out, child, status);
  else
    say(out, PLM_CHILD_FAILED, PLM_E_INTERNAL, "the child process was lost sight of", strerror(errno));
  if (child->fd >= 0)
    close(child->fd);
  kill(-child->pid, SIGKILL);
  free(child->log_path);
  memset(child, 0, sizeof *child);
  child->fd = -1;
  return 1;
}

void plm_child_stop(const struct plm_child *child) {
  if (child->pid > 0)
    kill(child->pid, SIGTERM);
}

void plm_child_kill(struct plm_child *child) {
  if (child->pid <= 0)
    return;
  child->killed = !child->hung;
  kill(-child->pid, SIGKILL);
}
