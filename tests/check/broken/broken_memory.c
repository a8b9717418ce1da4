/* Level 1: what is wrong with devices, buffers and queues. */
#include <fcntl.h>
#include <signal.h>

#include "broken.h"

static int open_exits_device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  (void)index;
  (void)out;
  (void)err;
  exit(3);
}
BROKEN_SLOT(open_exits, device_open)

static int closed;
static void open_once_device_close(struct plm_device *device) {
  closed = device != NULL;
  right.device_close(device);
}
static int open_once_device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  return closed ? ref_fail(err, PLM_E_DEVICE_LOST, NULL, "device %u: gone", index) : right.device_open(index, out, err);
}
void arm_open_once(struct broken *self) {
  self->table.device_open = open_once_device_open;
  self->table.device_close = open_once_device_close;
}

static void leaks_host_buffer_destroy(struct plm_buffer *buffer) { broken_host->release(broken_host->context, buffer); }
BROKEN_SLOT(leaks_host, buffer_destroy)

#define LEAK_BYTES ((size_t)64 << 10)
static void leaks_heap_buffer_destroy(struct plm_buffer *buffer) {
  static void *volatile last; /* keeps the compiler from taking the allocation out */
  last = malloc(LEAK_BYTES);
  if (last)
    memset(last, 1, LEAK_BYTES);
  right.buffer_destroy(buffer);
}
BROKEN_SLOT(leaks_heap, buffer_destroy)

static int leaks_files_queue_create(struct plm_device *device, struct plm_queue **out, struct plm_error *err) {
  return open("/dev/null", O_RDONLY | O_CLOEXEC) < 0 ? ref_fail(err, PLM_E_INTERNAL, NULL, "/dev/null does not open")
                                                     : right.queue_create(device, out, err);
}
BROKEN_SLOT(leaks_files, queue_create)

static void destroy_null_buffer_destroy(struct plm_buffer *buffer) {
  if (!buffer)
    raise(SIGSEGV);
  right.buffer_destroy(buffer);
}
BROKEN_SLOT(destroy_null, buffer_destroy)

static int touches_out_buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                                     struct plm_error *err) {
  const int code = right.buffer_create(device, bytes, kind, out, err);
  if (code)
    *out = NULL;
  return code;
}
BROKEN_SLOT(touches_out, buffer_create)

static int read_range_buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data,
                                  uint64_t bytes, struct plm_error *err) {
  right.buffer_read(queue, buffer, offset, data, bytes, err);
  return PLM_OK;
}
BROKEN_SLOT(read_range, buffer_read)

static int read_offset_buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data,
                                   uint64_t bytes, struct plm_error *err) {
  return right.buffer_read(queue, buffer, offset / 64 * 64, data, bytes, err);
}
BROKEN_SLOT(read_offset, buffer_read)

static int write_spills_buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset,
                                     const void *data, uint64_t bytes, struct plm_error *err) {
  const int code = right.buffer_write(queue, buffer, offset, data, bytes, err);
  if (code == PLM_OK && bytes > 0 && buffer->bytes - offset - bytes >= 4)
    memset(buffer->data + offset + bytes, 0xee, 4);
  return code;
}
BROKEN_SLOT(write_spills, buffer_write)

static int huge_succeeds_buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind,
                                       struct plm_buffer **out, struct plm_error *err) {
  return right.buffer_create(device, bytes >> 40 ? 64 : bytes, kind, out, err);
}
BROKEN_SLOT(huge_succeeds, buffer_create)
