/*
 * An in-order queue. Every command leaves an event in a ring; as the host looks, events that are done are taken off its
 * front, and the first that failed becomes the queue's sticky error, with its op. So an error that shows late still
 * names who caused it, a time-out names what hangs, and the host is never more than OCL_FLIGHTS commands ahead.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "opencl.h"
#include "plmscale/op_rules.h"

#define STAGING_ONE ((uint64_t)1 << 20)  /* larger writes wait for the device instead of being copied */
#define STAGING_ALL ((uint64_t)32 << 20) /* copies under way */
#define RETIRE_AT 256                    /* commands after which the host looks what is done */

static double now(const struct plm_queue *queue) {
  return queue->device->host->clock(queue->device->host->context);
}

/* ---------------------------------------------------------------- commands under way */

static void fail_sticky(struct plm_queue *queue, const struct plm_error *err) {
  if (queue->sticky.code == PLM_OK)
    queue->sticky = *err;
}

static void retire_front(struct plm_queue *queue, cl_int status) {
  struct ocl_flight *f = &queue->flights[queue->first];
  if (status < 0) {
    const struct plm_op op = {.kind = f->op_kind, .index = f->op_index};
    struct plm_error err = {.struct_size = sizeof err};
    ocl_fail(&err, queue->device, f->op_kind ? &op : NULL, f->what, status, "%s failed on the device", f->what);
    fail_sticky(queue, &err);
  }
  ocl_profile_add(queue, f);
  clReleaseEvent(f->event);
  queue->staging_bytes -= f->staging_bytes;
  ocl_release(queue->device->host, f->staging);
  queue->first = (queue->first + 1) % OCL_FLIGHTS;
  queue->count--;
}

/* Takes what is done off the front; how many. */
static uint32_t retire(struct plm_queue *queue) {
  uint32_t done = 0;
  while (queue->count > 0) {
    cl_int status = CL_QUEUED;
    const cl_int code = clGetEventInfo(queue->flights[queue->first].event, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                       sizeof status, &status, NULL);
    if (code)
      status = code; /* the driver has lost the event: as good as a failed command */
    if (status > CL_COMPLETE)
      break;
    retire_front(queue, status);
    done++;
  }
  return done;
}

static int time_out(struct plm_queue *queue, double seconds, struct plm_error *err) {
  const struct ocl_flight *f = &queue->flights[queue->first];
  const struct plm_op op = {.kind = f->op_kind, .index = f->op_index};
  queue->is_stuck = 1;
  return plm_rules_error(err, PLM_E_TIMEOUT, f->op_kind ? &op : NULL,
                         "device \"%s\": %s is not done after %.0f s (option timeout_seconds), %" PRIu32
                         " commands are waiting",
                         queue->device->name, f->what, seconds, queue->count);
}

/* ---------------------------------------------------------------- waiting */

#define SPIN_SECONDS 20e-6 /* small reads are done by then */
#define LOOK_SECONDS 0.25  /* how often a waiting host looks for progress */

/* In a thread of the driver's. */
static void CL_CALLBACK on_done(cl_event event, cl_int status, void *data) {
  struct ocl_alarm *alarm = data;
  (void)event;
  (void)status;
  pthread_mutex_lock(&alarm->lock);
  alarm->rung++;
  pthread_cond_signal(&alarm->ring);
  pthread_mutex_unlock(&alarm->lock);
}

/*
 * Sleeps until the event ends, but not for long. An alarm that was set and has not rung yet is waited for again, so
 * there is one at a time. Drivers that cannot call back are looked at now and then.
 */
static void sleep_until(struct plm_queue *queue, cl_event event, double seconds) {
  struct ocl_alarm *alarm = &queue->alarm;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  const double end = (double)until.tv_sec + 1e-9 * (double)until.tv_nsec + seconds;
  until.tv_sec = (time_t)end;
  until.tv_nsec = (long)((end - (double)until.tv_sec) * 1e9);
  pthread_mutex_lock(&alarm->lock);
  if (alarm->rung == alarm->set) {
    pthread_mutex_unlock(&alarm->lock); /* the callback may come at once, in this thread */
    if (clSetEventCallback(event, CL_COMPLETE, on_done, alarm)) {
      nanosleep(&(struct timespec){0, 200000}, NULL);
      return;
    }
    pthread_mutex_lock(&alarm->lock);
    alarm->set++;
  }
  while (alarm->rung != alarm->set && !pthread_cond_timedwait(&alarm->ring, &alarm->lock, &until)) {
  }
  pthread_mutex_unlock(&alarm->lock);
}

/* Until at most left commands are under way. PLM_E_TIMEOUT when none of them ends for timeout_seconds. */
static int wait_until(struct plm_queue *queue, uint32_t left, struct plm_error *err) {
  const double limit = queue->device->timeout_seconds;
  const double look = limit > 0 && limit < LOOK_SECONDS ? limit : LOOK_SECONDS;
  if (queue->count <= left)
    return PLM_OK;
  const cl_int code = clFlush(queue->handle);
  if (code)
    return ocl_fail(err, queue->device, NULL, NULL, code, "clFlush");
  for (double since = now(queue); queue->count > left;) {
    if (retire(queue)) {
      since = now(queue);
      continue;
    }
    const double waited = now(queue) - since;
    if (limit > 0 && waited > limit)
      return time_out(queue, waited, err);
    if (waited > SPIN_SECONDS) {
      const uint32_t last = (queue->first + queue->count - left - 1) % OCL_FLIGHTS;
      sleep_until(queue, queue->flights[last].event, look);
    }
  }
  return PLM_OK;
}

int ocl_queue_room(struct plm_queue *queue, struct plm_error *err) {
  if (queue->count >= RETIRE_AT && queue->count % RETIRE_AT == 0)
    retire(queue);
  return queue->count < OCL_FLIGHTS ? PLM_OK : wait_until(queue, OCL_FLIGHTS - RETIRE_AT, err);
}

static struct ocl_flight *note(struct plm_queue *queue, cl_event event, const char *what) {
  struct ocl_flight *f = &queue->flights[(queue->first + queue->count++) % OCL_FLIGHTS];
  *f = (struct ocl_flight){.event = event, .what = what};
  return f;
}

void ocl_queue_note(struct plm_queue *queue, cl_event event, const struct plm_op *op, const char *what) {
  struct ocl_flight *f = note(queue, event, what);
  f->op_kind = op ? op->kind : 0;
  f->op_index = op ? op->index : 0;
}

/* ---------------------------------------------------------------- create, destroy, finish */

static int write_faults(struct plm_queue *queue, struct plm_error *err) {
  static const int32_t none[4] = {0};
  const cl_int code =
      clEnqueueWriteBuffer(queue->handle, queue->faults, CL_TRUE, 0, sizeof none, none, 0, NULL, NULL);
  return code ? ocl_fail(err, queue->device, NULL, NULL, code, "clEnqueueWriteBuffer of the fault word") : PLM_OK;
}

static int open_queue(struct plm_queue *queue, struct plm_error *err) {
  struct plm_device *device = queue->device;
  cl_int code;
  const cl_command_queue_properties properties = device->profile ? CL_QUEUE_PROFILING_ENABLE : 0;
  queue->flights = ocl_allocate(device->host, OCL_FLIGHTS * sizeof *queue->flights, "queue", err);
  if (!queue->flights)
    return PLM_E_NO_MEMORY;
  queue->handle = clCreateCommandQueue(device->context, device->id, properties, &code);
  if (code)
    return ocl_fail(err, device, NULL, NULL, code, "clCreateCommandQueue");
  queue->faults = clCreateBuffer(device->context, CL_MEM_READ_WRITE, 4 * sizeof(int32_t), NULL, &code);
  if (code)
    return ocl_fail(err, device, NULL, NULL, code, "clCreateBuffer of the fault word");
  return write_faults(queue, err);
}

int ocl_queue_create(struct plm_device *device, struct plm_queue **out, struct plm_error *err) {
  struct plm_queue *queue = ocl_allocate(device->host, sizeof *queue, "queue", err);
  if (!queue)
    return PLM_E_NO_MEMORY;
  pthread_condattr_t monotonic;
  queue->device = device;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&queue->alarm.lock, NULL);
  pthread_cond_init(&queue->alarm.ring, &monotonic);
  pthread_condattr_destroy(&monotonic);
  queue->sticky.struct_size = sizeof queue->sticky;
  const int code = open_queue(queue, err);
  if (code)
    ocl_queue_destroy(queue);
  else
    *out = queue;
  return code;
}

/* A queue that hangs is left as it is: to release it may hang too, and the process is about to end. */
void ocl_queue_destroy(struct plm_queue *queue) {
  struct plm_error ignored = {.struct_size = sizeof ignored};
  if (!queue)
    return;
  const struct plm_host *host = queue->device->host;
  if (queue->is_stuck || wait_until(queue, 0, &ignored)) {
    ocl_log(host, PLM_LOG_WARN, "device \"%s\": a queue that does not end is left behind", queue->device->name);
    return;
  }
  ocl_profile_print(queue);
  if (queue->faults)
    clReleaseMemObject(queue->faults);
  if (queue->handle)
    clReleaseCommandQueue(queue->handle);
  pthread_cond_destroy(&queue->alarm.ring);
  pthread_mutex_destroy(&queue->alarm.lock);
  ocl_release(host, queue->profile);
  ocl_release(host, queue->flights);
  ocl_release(host, queue);
}

/* What kernels reported about the host's data since the last look becomes a failure like any other. */
static int collect_faults(struct plm_queue *queue, struct plm_error *err) {
  int32_t fault[4] = {0};
  cl_event event;
  const cl_int code =
      clEnqueueReadBuffer(queue->handle, queue->faults, CL_FALSE, 0, sizeof fault, fault, 0, NULL, &event);
  if (code)
    return ocl_fail(err, queue->device, NULL, NULL, code, "clEnqueueReadBuffer of the fault word");
  note(queue, event, "buffer_read");
  int failed = wait_until(queue, 0, err);
  if (failed)
    return failed;
  queue->may_fault = 0;
  if (!fault[0])
    return PLM_OK;
  struct plm_error said = {.struct_size = sizeof said};
  ocl_fault_error(&said, fault);
  fail_sticky(queue, &said);
  return write_faults(queue, err);
}

int ocl_queue_finish(struct plm_queue *queue, struct plm_error *err) {
  int code = ocl_queue_room(queue, err);
  if (!code)
    code = queue->may_fault ? collect_faults(queue, err) : wait_until(queue, 0, err);
  if (code || queue->sticky.code == PLM_OK)
    return code;
  plm_table_copy(err, err->struct_size, &queue->sticky);
  queue->sticky.code = PLM_OK;
  return err->code;
}

/* ---------------------------------------------------------------- copies */

int ocl_buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                     uint64_t bytes, struct plm_error *err) {
  const struct plm_host *host = queue->device->host;
  void *staging = NULL;
  cl_event event;
  int code = plm_rules_range(buffer->bytes, offset, bytes, "buffer_write", err);
  if (code || bytes == 0)
    return code;
  code = ocl_queue_room(queue, err);
  if (code)
    return code;
  if (bytes <= STAGING_ONE && queue->staging_bytes + bytes <= STAGING_ALL)
    staging = host->allocate(host->context, bytes);
  if (staging)
    memcpy(staging, data, bytes);
  const cl_int failed = clEnqueueWriteBuffer(queue->handle, buffer->memory, CL_FALSE, offset, bytes,
                                             staging ? staging : data, 0, NULL, &event);
  if (failed) {
    ocl_release(host, staging);
    return ocl_fail(err, queue->device, NULL, NULL, failed, "clEnqueueWriteBuffer of %" PRIu64 " bytes", bytes);
  }
  struct ocl_flight *f = note(queue, event, "buffer_write");
  f->staging = staging;
  f->staging_bytes = staging ? bytes : 0;
  queue->staging_bytes += f->staging_bytes;
  return staging ? PLM_OK : wait_until(queue, 0, err);
}

int ocl_buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                    struct plm_error *err) {
  cl_event event;
  int code = plm_rules_range(buffer->bytes, offset, bytes, "buffer_read", err);
  if (code || bytes == 0)
    return code;
  code = ocl_queue_room(queue, err);
  if (code)
    return code;
  const cl_int failed =
      clEnqueueReadBuffer(queue->handle, buffer->memory, CL_FALSE, offset, bytes, data, 0, NULL, &event);
  if (failed)
    return ocl_fail(err, queue->device, NULL, NULL, failed, "clEnqueueReadBuffer of %" PRIu64 " bytes", bytes);
  note(queue, event, "buffer_read");
  code = wait_until(queue, 0, err);
  if (!code && queue->sticky.code) { /* queue_finish will say it too */
    plm_table_copy(err, err->struct_size, &queue->sticky);
    code = err->code;
  }
  return code;
}
