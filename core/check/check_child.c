#include "check/check_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What the child tells, in one write each. */
enum { TELL_SUBJECT = 1, TELL_READY, TELL_BEGIN, TELL_END, TELL_DONE };
struct message {
  uint32_t magic, kind;
  uint32_t entry, reserved;
  double seconds;
  union {
    struct plm_check_outcome outcome;
    struct plm_check_subject subject;
  } u;
};
#define MAGIC 0x706c6d63u
_Static_assert(sizeof(struct message) <= PIPE_BUF, "a message is written whole");

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ------------------------------------------------------------ in the child */

int plm_check_must(struct plm_check_outcome *out, int code, const struct plm_error *err, const char *what) {
  if (code)
    plm_check_fail(out, "%s: error %d: %s", what, code, err->text);
  return code;
}

/* Under AddressSanitizer the C library's own count is 0; Debian's gcc comes without the header that declares the other one. */
#if defined(__SANITIZE_ADDRESS__)
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

uint64_t plm_check_heap(void) {
#if defined(__SANITIZE_ADDRESS__)
  return __sanitizer_get_current_allocated_bytes();
#else
  const struct mallinfo2 info = mallinfo2();
  return (uint64_t)info.uordblks + (uint64_t)info.hblkhd;
#endif
}

static void tell(int fd, const struct message *message) {
  ssize_t written;
  do
    written = write(fd, message, sizeof *message);
  while (written < 0 && errno == EINTR);
  if (written != (ssize_t)sizeof *message)
    _exit(126);
}

/* A plugin's text, without control characters; bytes that are not UTF-8 become '?'. */
static void clean(char *text) {
  json_t *valid;
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f)
      *c = '?';
  valid = json_string(text);
  for (char *c = text; *c && !valid; c++)
    if ((unsigned char)*c > 0x7f)
      *c = '?';
  json_decref(valid);
}

static void clean_copy(char *to, size_t room, const char *from) {
  snprintf(to, room, "%s", from ? from : "");
  clean(to);
}

static void tell_end(int fd, uint32_t entry, double seconds, const struct plm_check_outcome *outcome) {
  struct message message = {.magic = MAGIC, .kind = TELL_END, .entry = entry, .seconds = seconds};
  message.u.outcome = *outcome;
  clean(message.u.outcome.text);
  tell(fd, &message);
}

static void tell_subject(int fd, const struct plm_check_rig *rig) {
  struct message message = {.magic = MAGIC, .kind = TELL_SUBJECT};
  struct plm_check_subject *subject = &message.u.subject;
  clean_copy(subject->name, sizeof subject->name, rig->plugin->card->name);
  clean_copy(subject->version, sizeof subject->version, rig->plugin->card->version);
  snprintf(subject->abi, sizeof subject->abi, "%u.%u", rig->plugin->card->abi_major, rig->plugin->card->abi_minor);
  clean_copy(subject->device, sizeof subject->device, rig->info.name);
  clean_copy(subject->device_id, sizeof subject->device_id, rig->info.id);
  clean_copy(subject->vendor, sizeof subject->vendor, rig->info.vendor);
  clean_copy(subject->driver, sizeof subject->driver, rig->info.driver);
  clean_copy(subject->driver_version, sizeof subject->driver_version, rig->info.driver_version);
  tell(fd, &message);
}

static int rig_load(struct plm_check_rig *rig, int fd, struct plm_error *err) {
  const struct plm_check_options *o = rig->options;
  int code = plm_plugin_load(&rig->plugin, o->path, o->settings, o->setting_count, o->threads, err);
  if (!code)
    code = plm_plugin_device(&rig->device, rig->plugin, o->device, err);
  if (!code)
    code = plm_plugin_describe(&rig->info, rig->plugin, rig->device, err);
  if (!code)
    tell_subject(fd, rig);
  return code;
}

static int rig_open(struct plm_check_rig *rig, struct plm_error *err) {
  int code = plm_plugin_load(&rig->reference, rig->options->reference, NULL, 0, 1, err);
  if (!code)
    code = plm_side_open(&rig->oracle, &rig->reference->backend, 0, err);
  if (!code)
    code = plm_side_open(&rig->tested, &rig->plugin->backend, rig->device, err);
  return code;
}

static void run_entry(const struct plm_check_plan *plan, struct plm_check_rig *rig, uint32_t i, int fd) {
  struct message begin = {.magic = MAGIC, .kind = TELL_BEGIN, .entry = i};
  struct plm_check_outcome outcome = {.status = PLM_CHECK_PASSED};
  struct plm_error err = PLM_ERROR_INIT;
  struct plm_guard guard;
  const double start = now();
  tell(fd, &begin);
  plm_guard_take(&guard);
  const struct plm_plugin *before = rig->plugin;
  plan->tests[i]->run(&outcome, rig, &plan->entries[i]);
  if (!before && rig->plugin) /* level 0 makes its own */
    tell_subject(fd, rig);
  if (plm_guard_check(&guard, "the case", &err))
    plm_check_fail(&outcome, "%s", err.text);
  tell_end(fd, i, now() - start, &outcome);
}

/* Lets go of what was opened; a crash here is the last case's. */
static void rig_close(struct plm_check_rig *rig) {
  if (rig->tested.backend)
    plm_side_close(&rig->tested);
  if (rig->oracle.backend)
    plm_side_close(&rig->oracle);
}

static void child_work(const struct plm_check_options *options, const struct plm_check_plan *plan, uint32_t first,
                       uint32_t end, int fd) {
  struct plm_check_rig rig = {.options = options};
  struct plm_error err = PLM_ERROR_INIT;
  struct message message = {.magic = MAGIC, .kind = TELL_READY};
  enum plm_check_need need = PLM_NEED_FILE;
  int code = 0;
  for (uint32_t i = first; i < end; i++)
    need = plan->tests[i]->need > need ? plan->tests[i]->need : need;
  if (need >= PLM_NEED_PLUGIN)
    code = rig_load(&rig, fd, &err);
  if (!code && need >= PLM_NEED_SIDES)
    code = rig_open(&rig, &err);
  message.u.outcome.status = code ? PLM_CHECK_FAILED : PLM_CHECK_PASSED;
  snprintf(message.u.outcome.text, sizeof message.u.outcome.text, "%.500s", err.text);
  tell(fd, &message);
  for (uint32_t i = first; i < end && !code; i++)
    run_entry(plan, &rig, i, fd);
  rig_close(&rig);
  message.kind = TELL_DONE;
  tell(fd, &message);
}

/* A group of its own, so that what a driver starts ends with it; its life is bound to the parent's. */
static void child_become(int fd, pid_t parent) {
  static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGINT};
  const struct rlimit no_core = {0, 0};
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  setpgid(0, 0);
  setrlimit(RLIMIT_CORE, &no_core);
  /* Sanitizers and other tools catch signals; a crash must look like one from outside. */
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    signal(numbers[i], SIG_DFL);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
      prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
    _exit(125);
}

/* ----------------------------------------------------------- in the parent */

struct watch {
  struct plm_check_child_end *out;
  struct plm_check_plan *plan;
  struct plm_check_subject *subject;
  uint32_t end;
  double timeout;
  int ready;
};

static void take_message(struct watch *watch, const struct message *message) {
  struct plm_check_child_end *out = watch->out;
  switch (message->kind) {
  case TELL_SUBJECT:
    *watch->subject = message->u.subject;
    break;
  case TELL_READY:
    watch->ready = 1;
    out->setup = message->u.outcome.status == PLM_CHECK_FAILED;
    if (out->setup)
      memcpy(out->text, message->u.outcome.text, sizeof out->text);
    break;
  case TELL_BEGIN:
    out->begun = 1;
    break;
  case TELL_END:
    if (message->entry != out->next)
      break;
    watch->plan->entries[out->next].outcome = message->u.outcome;
    watch->plan->entries[out->next].seconds = message->seconds;
    watch->plan->entries[out->next].state = PLM_CHECK_RAN;
    out->next++;
    out->begun = 0;
    break;
  case TELL_DONE:
    out->finished = 1;
  }
}

static double patience(const struct watch *watch) {
  const uint32_t at = watch->out->next < watch->end ? watch->out->next : watch->end - 1;
  const double factor = watch->plan->tests[at]->patience;
  return watch->timeout * (factor > 0 ? factor : 1);
}

/* Takes messages until the pipe closes or the child is silent for too long. Returns 1 on silence. */
static int listen_to(struct watch *watch, int fd) {
  double deadline = now() + patience(watch);
  for (;;) {
    struct pollfd ready = {fd, POLLIN, 0};
    struct message message;
    const double left = deadline - now();
    const int polled = left > 0 ? poll(&ready, 1, (int)fmin(left * 1000 + 1, 1e6)) : 0;
    if (polled < 0 && errno == EINTR)
      continue;
    if (polled == 0 && now() < deadline)
      continue;
    if (polled == 0)
      return 1;
    const ssize_t got = read(fd, &message, sizeof message);
    if (got < 0 && errno == EINTR)
      continue;
    if (got != (ssize_t)sizeof message || message.magic != MAGIC)
      return 0;
    take_message(watch, &message);
    deadline = now() + patience(watch);
  }
}

/* Where it was, in words. */
static const char *whereabouts(const struct watch *watch) {
  if (!watch->ready)
    return "while the plugin was loaded and its device opened";
  if (watch->out->begun)
    return "";
  return watch->out->next == watch->end ? "when its queue and device were closed" : "between two cases";
}

static void describe_end(struct watch *watch, int status, int silent) {
  struct plm_check_child_end *out = watch->out;
  const char *where = whereabouts(watch), *space = where[0] ? " " : "";
  if (out->finished || out->setup)
    return;
  out->hung = silent;
  if (silent)
    snprintf(out->text, sizeof out->text, "no answer within %g s%s%s (hang)", patience(watch), space, where);
  else if (WIFSIGNALED(status))
    snprintf(out->text, sizeof out->text, "killed by SIG%s%s%s",
             sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?", space, where);
  else
    snprintf(out->text, sizeof out->text, "ended the process with exit code %d%s%s", WEXITSTATUS(status), space, where);
  if (!watch->ready)
    out->setup = 1;
}

/* The child's status. One whose pipe is closed may take a moment to end, no more. */
static int child_reap(pid_t child, int at_once) {
  const double deadline = now() + (at_once ? 0 : 5);
  const struct timespec pause = {0, 2000000};
  int status = 0;
  pid_t ended;
  while ((ended = waitpid(child, &status, WNOHANG)) == 0 && now() < deadline)
    nanosleep(&pause, NULL);
  kill(-child, SIGKILL); /* what a driver left running ends too */
  if (ended == 0) {
    kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
      ;
  }
  return status;
}

int plm_check_child_run(struct plm_check_child_end *out, const struct plm_check_options *options,
                        struct plm_check_plan *plan, uint32_t first, uint32_t end, struct plm_check_subject *subject,
                        struct plm_error *err) {
  struct watch watch = {out, plan, subject, end, options->timeout, 0};
  const pid_t parent = getpid();
  int ends[2];
  *out = (struct plm_check_child_end){.next = first};
  if (pipe2(ends, O_CLOEXEC))
    return plm_error_set_system(err, errno, "check: no pipe");
  fflush(NULL); /* or the child would write what is buffered a second time */
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    child_become(ends[1], parent);
    child_work(options, plan, first, end, ends[1]);
    _exit(0);
  }
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return plm_error_set_system(err, errno, "check: no child process");
  }
  const int silent = listen_to(&watch, ends[0]);
  close(ends[0]);
  describe_end(&watch, child_reap(child, silent || out->finished), silent);
  return 0;
}
