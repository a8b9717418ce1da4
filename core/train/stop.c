#include "train/stop.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define ONE_REQUEST 0.5 /* seconds */

static volatile sig_atomic_t requests;
static enum plm_stop_second on_second;
static struct timespec first; /* touched by the handler only */

static void request(int number) {
  int saved = errno;
  struct timespec now;
  (void)number;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (requests == 0) {
    first = now;
    requests = 1;
  } else if ((double)(now.tv_sec - first.tv_sec) + 1e-9 * (double)(now.tv_nsec - first.tv_nsec) >= ONE_REQUEST) {
    if (on_second == PLM_STOP_EXITS)
      _exit(1);
    if (on_second == PLM_STOP_COUNTS)
      requests = 2;
  }
  errno = saved;
}

int plm_stop_install(const volatile sig_atomic_t **out, enum plm_stop_second second, struct plm_error *err) {
  static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
  struct sigaction action = {.sa_handler = request, .sa_flags = SA_RESTART};
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigemptyset(&action.sa_mask);
  sigemptyset(&ignore.sa_mask);
  on_second = second;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    sigaddset(&action.sa_mask, numbers[i]);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (sigaction(numbers[i], &action, NULL))
      return plm_error_set_system(err, errno, "cannot handle signal %d", numbers[i]);
  if (sigaction(SIGPIPE, &ignore, NULL))
    return plm_error_set_system(err, errno, "cannot ignore SIGPIPE");
  *out = &requests;
  return 0;
}
