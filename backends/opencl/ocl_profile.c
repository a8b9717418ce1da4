/* Option profile: the device's own time for every kernel, summed over a queue's life, said in the log at its end. */
#include <inttypes.h>
#include <stdlib.h>

#include "opencl.h"

#define LINES 128

struct ocl_profile {
  uint32_t count;
  struct line {
    const char *what;
    uint64_t launches, nanoseconds;
  } lines[LINES];
};

static struct line *line_of(struct ocl_profile *profile, const char *what) {
  for (uint32_t i = 0; i < profile->count; i++)
    if (profile->lines[i].what == what)
      return &profile->lines[i];
  if (profile->count == LINES)
    return &profile->lines[LINES - 1]; /* more kernels than there are: the last line takes them */
  profile->lines[profile->count].what = what;
  return &profile->lines[profile->count++];
}

void ocl_profile_add(struct plm_queue *queue, const struct ocl_flight *flight) {
  struct plm_error ignored = {.struct_size = sizeof ignored};
  cl_ulong begin = 0, end = 0;
  if (!queue->device->profile)
    return;
  if (!queue->profile)
    queue->profile = ocl_allocate(queue->device->host, sizeof *queue->profile, "profile", &ignored);
  if (!queue->profile || clGetEventProfilingInfo(flight->event, CL_PROFILING_COMMAND_START, sizeof begin, &begin, NULL) ||
      clGetEventProfilingInfo(flight->event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL))
    return;
  struct line *line = line_of(queue->profile, flight->what);
  line->launches++;
  line->nanoseconds += end > begin ? end - begin : 0;
}

static int by_time(const void *a, const void *b) {
  const struct line *x = a, *y = b;
  return x->nanoseconds < y->nanoseconds ? 1 : x->nanoseconds > y->nanoseconds ? -1 : 0;
}

void ocl_profile_print(const struct plm_queue *queue) {
  struct ocl_profile *profile = queue->profile;
  uint64_t all = 0;
  if (!profile)
    return;
  qsort(profile->lines, profile->count, sizeof *profile->lines, by_time);
  for (uint32_t i = 0; i < profile->count; i++)
    all += profile->lines[i].nanoseconds;
  for (uint32_t i = 0; i < profile->count; i++) {
    const struct line *line = &profile->lines[i];
    ocl_log(queue->device->host, PLM_LOG_INFO, "profile: %5.1f %% %9.3f ms %7" PRIu64 " launches %8.1f us each  %s",
            all ? 100.0 * (double)line->nanoseconds / (double)all : 0.0, (double)line->nanoseconds * 1e-6, line->launches,
            (double)line->nanoseconds * 1e-3 / (double)line->launches, line->what);
  }
}
