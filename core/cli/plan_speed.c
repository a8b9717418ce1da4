#include "cli/plan_speed.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/number.h"
#include "runtime/plugin.h"

#define MEASURE_SECONDS "0.3"
#define CHILD_SECONDS 120.0 /* the longest that one benchmark may take */
#define STEP_SECONDS 10.0   /* shapes whose step would take longer are not measured */
#define ARGUMENT_MAX 160

/* A command line being put together; texts are owned. */
struct command {
  char *words[ARGUMENT_MAX + 1];
  size_t count;
  int failed;
};

static void command_add(struct command *command, char *word) {
  if (!word || command->count == ARGUMENT_MAX) {
    command->failed = 1;
    free(word);
  } else {
    command->words[command->count++] = word;
  }
}

static void command_fini(struct command *command) {
  for (size_t i = 0; i < command->count; i++)
    free(command->words[i]);
}

/* The backend's own options of the study, as --set. */
static int command_settings(struct command *command, const struct plm_study *study, const char *device,
                            struct plm_error *err) {
  char *name = NULL, *index = NULL;
  int code = plm_plugin_select(&name, &index, device, err);
  for (size_t i = 0; i < study->backend_option_count && !code; i++) {
    const struct plm_backend_option *option = &study->backend_options[i];
    if (!strcmp(option->backend, name)) {
      command_add(command, strdup("--set"));
      command_add(command, plm_memory_format("%s=%s", option->key, option->value));
    }
  }
  free(index);
  free(name);
  return code;
}

static int command_make(struct command *command, const struct plm_plan_device *device, const struct plm_study *study,
                        struct plm_shape shape, struct plm_error *err) {
  static const char *const fixed[] = {"plmscale", "bench", "--output=json", "--no-peak", "--seconds=" MEASURE_SECONDS};
  const struct plm_config *config = &study->config;
  char text[PLM_SHAPE_TEXT];
  plm_shape_text(text, shape);
  for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
    command_add(command, strdup(fixed[i]));
  command_add(command, plm_memory_format("--shape=%s", text));
  command_add(command, plm_memory_format("--corpus=%s", study->corpus));
  command_add(command, plm_memory_format("--threads=%u", device->threads));
  command_add(command, plm_memory_format("--batch-tokens=%lld", (long long)config->train_batch_tokens));
  command_add(command, plm_memory_format("--length-max=%lld", (long long)config->data_length_max));
  command_add(command, plm_memory_format("--micro-tokens=%lld", (long long)config->run_micro_tokens));
  int code = command_settings(command, study, device->text, err);
  command_add(command, strdup("--"));
  command_add(command, strdup(device->text));
  if (!code && command->failed)
    code = command->count == ARGUMENT_MAX
               ? plm_error_set(err, PLM_E_USAGE, "[backend] section: more than %d options", (ARGUMENT_MAX - 14) / 2)
               : plm_error_memory(err, "starting a benchmark");
  return code;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Runs the command with its output and errors in two files. *status: as waitpid says; *late: it was ended for its time.
 */
static int child_run(int *status, int *late, struct command *command, int output, int errors, struct plm_error *err) {
  pid_t parent = getpid(), child = fork(), ended;
  double deadline = now() + CHILD_SECONDS;
  if (child < 0)
    return plm_error_set_system(err, errno, "cannot start a benchmark");
  if (child == 0) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(errors, STDERR_FILENO) < 0)
      _exit(127);
    execv("/proc/self/exe", command->words);
    _exit(127);
  }
  while ((ended = waitpid(child, status, WNOHANG)) == 0 && now() < deadline) {
    const struct timespec pause = {0, 2000000};
    nanosleep(&pause, NULL);
  }
  *late = ended == 0;
  if (ended == 0) {
    kill(child, SIGKILL);
    while (waitpid(child, status, 0) < 0 && errno == EINTR)
      ;
  }
  return 0;
}

/* The whole of a memory file as text; owned by the caller. */
static int file_text(char **out, int file, struct plm_error *err) {
  struct stat status;
  if (fstat(file, &status))
    return plm_error_set_system(err, errno, "cannot read a benchmark's output");
  char *text = plm_memory_zeroed((size_t)status.st_size + 1, 1);
  if (!text)
    return plm_error_memory(err, "reading a benchmark's output");
  if (pread(file, text, (size_t)status.st_size, 0) != (ssize_t)status.st_size) {
    free(text);
    return plm_error_set(err, PLM_E_IO, "cannot read a benchmark's output");
  }
  *out = text;
  return 0;
}

/* The last line of what a failed child wrote to stderr, without the program's name; changes text. */
static const char *last_line(char *text) {
  size_t length = strlen(text);
  while (length && text[length - 1] == '\n')
    text[--length] = '\0';
  const char *line = strrchr(text, '\n');
  line = line ? line + 1 : text;
  if (!strncmp(line, "plmscale: ", 10))
    line += 10;
  if (!strncmp(line, "error: ", 7))
    line += 7;
  return *line ? line : "it said nothing";
}

/* Why there is no result, "" when there is one. */
static void child_judge(char *reason, size_t size, int status, int late, char *errors) {
  *reason = '\0';
  if (late)
    snprintf(reason, size, "no answer within %g s", CHILD_SECONDS);
  else if (WIFSIGNALED(status))
    snprintf(reason, size, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
  else if (!WIFEXITED(status) || WEXITSTATUS(status))
    snprintf(reason, size, "%s", last_line(errors));
}

static int answer_read(struct plm_plan_device *device, struct plm_plan_shape shape, const char *text) {
  json_error_t where;
  json_t *answer = json_loads(text, 0, &where);
  const json_t *result = json_array_get(json_object_get(answer, "results"), 0);
  double tokens = json_number_value(json_object_get(result, "tokens"));
  double seconds = json_number_value(json_object_get(result, "seconds")) +
                   json_number_value(json_object_get(result, "batch_seconds"));
  int good = tokens > 0 && seconds > 0;
  if (good) {
    device->cache_bytes = (uint64_t)json_integer_value(json_object_get(result, "cache_bytes"));
    device->points[device->count++] =
        (struct plm_plan_point){.shape = shape,
                                .tokens_per_s = tokens / seconds,
                                .memory_bytes = (uint64_t)json_integer_value(json_object_get(result, "memory_bytes"))};
  }
  json_decref(answer);
  return good;
}

/* One more point, or device->reason. Fails only for what is wrong here, not in the child. */
static int measure_shape(struct plm_plan_device *device, const struct plm_study *study, struct plm_plan_shape shape,
                         struct plm_error *err) {
  struct command command = {0};
  char *answer = NULL, *said = NULL;
  int status = 0, late = 0, errors = -1, output = memfd_create("answer", MFD_CLOEXEC);
  int code = command_make(&command, device, study, shape.shape, err);
  if (!code && output >= 0)
    errors = memfd_create("errors", MFD_CLOEXEC);
  if (!code && errors < 0)
    code = plm_error_set_system(err, errno, "cannot make a file in memory");
  if (!code && !(code = child_run(&status, &late, &command, output, errors, err)) &&
      !(code = file_text(&answer, output, err)) && !(code = file_text(&said, errors, err))) {
    child_judge(device->reason, sizeof device->reason, status, late, said);
    if (!*device->reason && !answer_read(device, shape, answer))
      snprintf(device->reason, sizeof device->reason, "the benchmark ended without a result");
  }
  free(said);
  free(answer);
  if (errors >= 0)
    close(errors);
  if (output >= 0)
    close(output);
  command_fini(&command);
  return code;
}

int plm_plan_measure(struct plm_plan_device *device, const struct plm_study *study, const struct plm_plan_shape *shapes,
                     size_t count, struct plm_error *err) {
  size_t points = count < PLM_PLAN_POINTS ? count : PLM_PLAN_POINTS;
  for (size_t i = 0; i < points && !*device->reason; i++) {
    const struct plm_plan_shape *next = &shapes[points > 1 ? i * (count - 1) / (points - 1) : 0];
    double rate = plm_plan_tokens_per_s(device, next->flops_per_token);
    if (rate > 0 && (double)study->config.train_batch_tokens / rate > STEP_SECONDS) {
      char shape[PLM_SHAPE_TEXT];
      plm_shape_text(shape, next->shape);
      snprintf(device->reason, sizeof device->reason,
               "%s and larger would take over %g s a step, their time is extrapolated", shape, STEP_SECONDS);
      break;
    }
    int code = measure_shape(device, study, *next, err);
    if (code)
      return code;
  }
  return 0;
}

double plm_plan_rate(const struct plm_plan_point *points, uint32_t count, double flops_per_token) {
  uint32_t after = 0;
  if (!count)
    return 0;
  while (after < count && points[after].shape.flops_per_token < flops_per_token)
    after++;
  if (after == 0 || after == count) {
    const struct plm_plan_point *nearest = &points[after ? after - 1 : 0];
    return nearest->tokens_per_s * nearest->shape.flops_per_token / flops_per_token;
  }
  const struct plm_plan_point *low = &points[after - 1], *high = &points[after];
  double span = log(high->shape.flops_per_token / low->shape.flops_per_token);
  double share = log(flops_per_token / low->shape.flops_per_token) / span;
  return low->tokens_per_s * pow(high->tokens_per_s / low->tokens_per_s, share);
}

double plm_plan_tokens_per_s(const struct plm_plan_device *device, double flops_per_token) {
  return plm_plan_rate(device->points, device->count, flops_per_token);
}
