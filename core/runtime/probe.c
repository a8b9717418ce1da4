#include "runtime/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"

#define ANSWER_BYTES_MAX (1u << 20)

/* ------------------------------------------------------------ in the child */

/* A plugin's text as JSON, NULL as null; bytes that are not UTF-8 or would steer a terminal become '?'. */
static json_t *foreign_text(const char *text) {
  json_t *json;
  char *clean;
  if (!text)
    return json_null();
  clean = strdup(text);
  if (!clean)
    return NULL;
  for (char *c = clean; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f)
      *c = '?';
  json = json_string(clean);
  if (!json) {
    for (char *c = clean; *c; c++)
      if ((unsigned char)*c > 0x7f)
        *c = '?';
    json = json_string(clean);
  }
  free(clean);
  return json;
}

static json_t *option_json(const struct plm_option *option) {
  static const char *const types[] = {"", "text", "integer", "real", "boolean"};
  return json_pack("{s:o, s:s, s:o, s:f, s:f, s:o}", "name", foreign_text(option->name), "type", types[option->type],
                   "default", foreign_text(option->default_value), "minimum", option->minimum, "maximum",
                   option->maximum, "help", foreign_text(option->help));
}

/* The options were checked by the load, so they can be read as declared. */
static int options_put(json_t *object, const struct plm_plugin_card *card) {
  json_t *array = json_array();
  int failed = !array || json_object_set_new(object, "options", array);
  for (uint32_t i = 0; i < card->option_count && !failed; i++) {
    struct plm_option option;
    plm_table_copy(&option, sizeof option, (const char *)card->options + (size_t)i * card->option_stride);
    failed = json_array_append_new(array, option_json(&option));
  }
  return failed ? -1 : 0;
}

static int card_put(json_t *object, const struct plm_plugin_card *card) {
  char abi[32];
  snprintf(abi, sizeof abi, "%u.%u", card->abi_major, card->abi_minor);
  if (json_object_set_new(object, "plugin", foreign_text(card->name)) ||
      json_object_set_new(object, "version", foreign_text(card->version)) ||
      json_object_set_new(object, "license", foreign_text(card->license)) ||
      json_object_set_new(object, "vendor", foreign_text(card->vendor)) ||
      json_object_set_new(object, "url", foreign_text(card->url)) ||
      json_object_set_new(object, "compiler", foreign_text(card->compiler)) ||
      json_object_set_new(object, "abi", json_string(abi)))
    return -1;
  return options_put(object, card);
}

static json_t *device_json(const struct plm_device_info *info) {
  const char *kind = info->kind == PLM_DEVICE_CPU ? "cpu" : info->kind == PLM_DEVICE_GPU ? "gpu" : "other";
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:I, s:I}", "id", foreign_text(info->id), "name",
                   foreign_text(info->name), "driver", foreign_text(info->driver), "driver_version",
                   foreign_text(info->driver_version), "vendor", foreign_text(info->vendor), "kind", kind,
                   "compute_units", (json_int_t)info->compute_units, "memory_bytes", (json_int_t)info->memory_bytes,
                   "buffer_bytes_max", (json_int_t)info->buffer_bytes_max);
}

static int devices_put(json_t *object, const struct plm_plugin *plugin, struct plm_error *err) {
  json_t *array = json_array();
  uint32_t count = 0;
  int code = plm_plugin_device_count(&count, plugin, err);
  if (!array)
    return plm_error_memory(err, "device list");
  for (uint32_t i = 0; i < count && !code; i++) {
    struct plm_device_info info;
    code = plm_plugin_describe(&info, plugin, i, err);
    if (!code && json_array_append_new(array, device_json(&info)))
      code = plm_error_memory(err, "device list");
  }
  if (!code && json_object_set(object, "devices", array))
    code = plm_error_memory(err, "device list");
  json_decref(array);
  return code;
}

/* Loads and describes. A refusal is an answer, not a failure: NULL only without memory. */
static json_t *describe(const char *path) {
  struct plm_error said = PLM_ERROR_INIT;
  struct plm_plugin *plugin = NULL;
  json_t *object = json_object();
  int failed, code = plm_plugin_load(&plugin, path, NULL, 0, 0, &said);
  failed = !object;
  if (!code && !failed) {
    failed = card_put(object, plugin->card);
    if (!failed)
      code = devices_put(object, plugin, &said);
  }
  failed = failed ||
           json_object_set_new(object, "outcome", json_string(code ? PLM_OUTCOME_REFUSED : PLM_OUTCOME_ACCEPTED)) ||
           json_object_set_new(object, "reason", code ? foreign_text(said.text) : json_string(""));
  plm_plugin_destroy(plugin);
  if (failed) {
    json_decref(object);
    return NULL;
  }
  return object;
}

static void signals_reset(void) {
  static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGINT};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    signal(numbers[i], SIG_DFL);
}

int plm_probe_answer(const char *path, struct plm_error *err) {
  json_t *object;
  int failed, answer = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  FILE *stream;
  /* Sanitizers and other tools catch signals; a crash must look like one from outside. */
  signals_reset();
  plm_log_level_set(PLM_LOG_DEBUG); /* whoever lists backends verbosely wants to know what a driver left out */
  if (answer < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
    return plm_error_set_system(err, errno, "probe \"%s\": cannot set the answer apart from the plugin's output", path);
  object = describe(path);
  if (!object) {
    close(answer);
    return plm_error_memory(err, "probe");
  }
  stream = fdopen(answer, "w");
  failed = !stream || json_dumpf(object, stream, JSON_COMPACT | JSON_PRESERVE_ORDER);
  failed = (stream ? fclose(stream) : close(answer)) || failed;
  json_decref(object);
  return failed ? plm_error_set(err, PLM_E_IO, "probe \"%s\": cannot write the answer", path) : 0;
}

/* ----------------------------------------------------------- in the parent */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Between fork and exec. A group of its own, so that what it starts ends with it; its life is bound to ours. */
static void child_become(const char *path, int answer, int quiet, pid_t parent) {
  static char program[] = "/proc/self/exe", name[] = "plmscale", verb[] = "probe";
  const struct rlimit no_core = {0, 0};
  char *copy = strdup(path), *arguments[] = {name, verb, copy, NULL};
  int null = open("/dev/null", O_RDWR);
  setpgid(0, 0);
  setrlimit(RLIMIT_CORE, &no_core);
  if (!copy || null < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
    _exit(127);
  if (dup2(null, STDIN_FILENO) < 0 || dup2(answer, STDOUT_FILENO) < 0 || (quiet && dup2(null, STDERR_FILENO) < 0))
    _exit(127);
  execv(program, arguments);
  _exit(127);
}

/* Reads until the end, the limit or the deadline. *timed_out says which ended it; the text is owned by the caller. */
static int answer_read(char **out, size_t *bytes, int *timed_out, int fd, double deadline, struct plm_error *err) {
  char *text = NULL;
  size_t used = 0, capacity = 0;
  *timed_out = 0;
  for (;;) {
    struct pollfd ready = {fd, POLLIN, 0};
    double left = deadline - now();
    void *grown = text;
    ssize_t got;
    int polled;
    if (plm_memory_grow(&grown, &capacity, used + 4096, 1)) {
      free(text);
      return plm_error_memory(err, "probe answer");
    }
    text = grown;
    polled = left > 0 ? poll(&ready, 1, (int)(left * 1000) + 1) : 0;
    if (polled < 0 && errno == EINTR)
      continue;
    if (polled == 0)
      *timed_out = 1;
    got = polled > 0 ? read(fd, text + used, 4096) : 0;
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0 || used + (size_t)got > ANSWER_BYTES_MAX)
      break;
    used += (size_t)got;
  }
  *out = text;
  *bytes = used;
  return 0;
}

/* Starts the child; its answer comes from *answer. */
static int child_start(pid_t *out, int *answer, const char *path, int quiet, struct plm_error *err) {
  int ends[2];
  pid_t child, parent = getpid();
  if (pipe2(ends, O_CLOEXEC))
    return plm_error_set_system(err, errno, "probe \"%s\": no pipe", path);
  child = fork();
  if (child == 0)
    child_become(path, ends[1], quiet, parent);
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return plm_error_set_system(err, errno, "probe \"%s\": no child process", path);
  }
  *out = child;
  *answer = ends[0];
  return 0;
}

/* Waits until the deadline for the child to end, then ends it and all it started. */
static int child_end(pid_t child, double deadline) {
  int status = 0;
  pid_t ended;
  while ((ended = waitpid(child, &status, WNOHANG)) == 0 && now() < deadline) {
    const struct timespec pause = {0, 2000000};
    nanosleep(&pause, NULL);
  }
  kill(-child, SIGKILL);
  if (ended == 0)
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
      ;
  return status;
}

static json_t *without_answer(const char *outcome, char *reason) {
  json_t *object = reason ? json_pack("{s:s, s:s}", "outcome", outcome, "reason", reason) : NULL;
  free(reason);
  return object;
}

/* The child's end and answer as an object with outcome and reason; NULL without memory. */
static json_t *judge(int status, int timed_out, double seconds, const char *text, size_t bytes) {
  const char *outcome;
  json_error_t where;
  json_t *object;
  if (timed_out)
    return without_answer(PLM_OUTCOME_TIMEOUT, plm_memory_format("no answer within %g s", seconds));
  if (WIFSIGNALED(status))
    return without_answer(PLM_OUTCOME_CRASHED,
                          plm_memory_format("killed by SIG%s while it was loaded or asked for its devices",
                                            sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?"));
  if (!WIFEXITED(status) || WEXITSTATUS(status))
    return without_answer(PLM_OUTCOME_FAILED,
                          plm_memory_format("the probing process ended with code %d", WEXITSTATUS(status)));
  if (bytes == 0)
    return without_answer(PLM_OUTCOME_FAILED, plm_memory_format("ended the process without an answer (called exit?)"));
  object = json_loadb(text, bytes, 0, &where);
  outcome = json_string_value(json_object_get(object, "outcome"));
  if (outcome && json_is_string(json_object_get(object, "reason")) &&
      (!strcmp(outcome, PLM_OUTCOME_ACCEPTED) || !strcmp(outcome, PLM_OUTCOME_REFUSED)))
    return object;
  json_decref(object);
  return without_answer(PLM_OUTCOME_FAILED,
                        plm_memory_format("wrote into the answer of the probe (%zu bytes that are not it)", bytes));
}

static int probe_child(json_t **out, const char *path, double seconds, int quiet, struct plm_error *err) {
  double deadline = now() + seconds;
  char *text = NULL;
  size_t bytes = 0;
  int answer = -1, status, timed_out = 0, code;
  pid_t child = 0;
  code = child_start(&child, &answer, path, quiet, err);
  if (code)
    return code;
  code = answer_read(&text, &bytes, &timed_out, answer, deadline, err);
  /* A child that has answered may take a moment to end; one that went past its deadline may not. */
  status = child_end(child, timed_out ? 0 : deadline);
  close(answer);
  if (!code) {
    *out = judge(status, timed_out, seconds, text, bytes);
    code = *out ? 0 : plm_error_memory(err, "probe");
  }
  free(text);
  return code;
}

int plm_probe_run(json_t **out, const struct plm_candidate *candidate, double seconds, int quiet,
                  struct plm_error *err) {
  json_t *head, *found = NULL;
  int code = 0;
  if (candidate->skipped)
    found = json_pack("{s:s, s:o}", "outcome", PLM_OUTCOME_SKIPPED, "reason", foreign_text(candidate->skipped));
  else
    code = probe_child(&found, candidate->path, seconds, quiet, err);
  if (code)
    return code;
  head = json_pack("{s:o, s:o}", "path", foreign_text(candidate->path), "name", foreign_text(candidate->name));
  if (!head || !found || json_object_update(head, found) ||
      (!json_object_get(head, "devices") && json_object_set_new(head, "devices", json_array()))) {
    json_decref(head);
    json_decref(found);
    return plm_error_memory(err, "probe");
  }
  json_decref(found);
  *out = head;
  return 0;
}
