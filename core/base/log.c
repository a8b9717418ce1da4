#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plmscale/backend.h"

#define PLAIN_INTERVAL 10.0
#define BAR_INTERVAL 0.1

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t level_shown = PLM_LOG_INFO;
static int progress_mode = PLM_PROGRESS_AUTO;
static int bar_up;
static double last_progress = -1e9;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void clear_bar(void) {
  if (bar_up)
    fputs("\r\033[K", stderr);
  bar_up = 0;
}

void plm_log_level_set(uint32_t level) {
  level_shown = level;
}

void plm_log(uint32_t level, const char *format, ...) {
  static const char *const words[] = {"", "error: ", "warning: ", "", "debug: "};
  if (level > level_shown)
    return;
  char text[2048];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  pthread_mutex_lock(&lock);
  clear_bar();
  fprintf(stderr, "plmscale: %s%s\n", level <= PLM_LOG_DEBUG ? words[level] : "", text);
  fflush(stderr);
  pthread_mutex_unlock(&lock);
}

void plm_log_progress_mode(int mode) {
  progress_mode = mode;
}

void plm_log_progress(const char *text, int force) {
  int mode = progress_mode;
  if (mode == PLM_PROGRESS_AUTO)
    mode = isatty(STDERR_FILENO) ? PLM_PROGRESS_BAR : PLM_PROGRESS_PLAIN;
  if (mode == PLM_PROGRESS_NONE)
    return;
  pthread_mutex_lock(&lock);
  double time = now();
  double interval = mode == PLM_PROGRESS_BAR ? BAR_INTERVAL : PLAIN_INTERVAL;
  if (!text) {
    clear_bar();
    last_progress = -1e9;
  } else if (force || time - last_progress >= interval) {
    last_progress = time;
    if (mode == PLM_PROGRESS_BAR) {
      fprintf(stderr, "\r\033[K%s", text);
      bar_up = 1;
    } else {
      fprintf(stderr, "plmscale: %s\n", text);
    }
    fflush(stderr);
  }
  pthread_mutex_unlock(&lock);
}

void plm_log_bar(char *out, int width, double fraction) {
  double bounded = fraction > 1 ? 1 : fraction > 0 ? fraction : 0;
  int filled = (int)(bounded * width + 0.5);
  out[0] = '[';
  memset(out + 1, '#', (size_t)filled);
  memset(out + 1 + filled, '-', (size_t)(width - filled));
  out[width + 1] = ']';
  out[width + 2] = 0;
}
