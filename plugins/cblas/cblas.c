/* The plugin: its card, one device that is the host's memory, buffers, queues. Ops are behind ops_query and ops_run. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cblas_ops.h"

static const struct plm_host *host;

/* ---------------------------------------------------------------- device */

static int device_count(uint32_t *out, struct plm_error *err) {
  (void)err;
  *out = 1;
  return PLM_OK;
}

static int check_device(uint32_t index, struct plm_error *err) {
  if (index == 0)
    return PLM_OK;
  return plm_rules_error(err, PLM_E_INVALID, NULL, "device %" PRIu32 ": there is only device 0", index);
}

static int device_info(uint32_t index, struct plm_device_info *out, struct plm_error *err) {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  struct plm_device_info info = {.struct_size = sizeof info,
                                 .kind = PLM_DEVICE_CPU,
                                 .compute_units = host->threads(host->context),
                                 .id = "cblas:0",
                                 .name = "host memory, matrix products by CBLAS",
                                 .vendor = "plmscale",
                                 .driver = "cblas"};
  const int code = check_device(index, err);
  if (code)
    return code;
  if (pages > 0 && page > 0)
    info.memory_bytes = (uint64_t)pages * (uint64_t)page;
  snprintf(info.driver_version, sizeof info.driver_version, "%s",
           openblas_get_config ? openblas_get_config() : "a CBLAS without a version");
  plm_table_copy(out, out->struct_size, &info);
  return PLM_OK;
}

static int no_memory(const char *what, uint64_t bytes, struct plm_error *err) {
  return plm_rules_error(err, PLM_E_NO_MEMORY, NULL, "%s: no memory for %" PRIu64 " bytes", what, bytes);
}

static void device_close(struct plm_device *device) {
  if (device)
    device->host->release(device->host->context, device);
}

static int device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  struct plm_device *device;
  const int code = check_device(index, err);
  if (code)
    return code;
  device = host->allocate(host->context, sizeof *device);
  if (!device)
    return no_memory("device", sizeof *device, err);
  device->host = host;
  if (openblas_set_num_threads)
    openblas_set_num_threads((int)host->threads(host->context));
  *out = device;
  return PLM_OK;
}

/* --------------------------------------------------------------- buffers */

static int buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                         struct plm_error *err) {
  const struct plm_host *h = device->host;
  struct plm_buffer *buffer;
  const int code = plm_rules_new_buffer(bytes, SIZE_MAX / 2, kind, err);
  if (code)
    return code;
  buffer = h->allocate(h->context, sizeof *buffer);
  if (!buffer)
    return no_memory("buffer", sizeof *buffer, err);
  buffer->device = device;
  buffer->bytes = bytes;
  buffer->data = h->allocate(h->context, bytes);
  if (!buffer->data) {
    h->release(h->context, buffer);
    return no_memory("buffer", bytes, err);
  }
  *out = buffer;
  return PLM_OK;
}

static void buffer_destroy(struct plm_buffer *buffer) {
  if (!buffer)
    return;
  const struct plm_host *h = buffer->device->host;
  h->release(h->context, buffer->data);
  h->release(h->context, buffer);
}

static int buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                        uint64_t bytes, struct plm_error *err) {
  const int code = plm_rules_range(buffer->bytes, offset, bytes, "buffer_write", err);
  (void)queue;
  if (!code && bytes > 0)
    memcpy(buffer->data + offset, data, (size_t)bytes);
  return code;
}

static int buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                       struct plm_error *err) {
  const int code = plm_rules_range(buffer->bytes, offset, bytes, "buffer_read", err);
  (void)queue;
  if (!code && bytes > 0)
    memcpy(data, buffer->data + offset, (size_t)bytes);
  return code;
}

/* ---------------------------------------------------------------- queues */

static int queue_create(struct plm_device *device, struct plm_queue **out, struct plm_error *err) {
  struct plm_queue *queue = device->host->allocate(device->host->context, sizeof *queue);
  if (!queue)
    return no_memory("queue", sizeof *queue, err);
  queue->device = device;
  *out = queue;
  return PLM_OK;
}

static void queue_destroy(struct plm_queue *queue) {
  if (queue)
    queue->device->host->release(queue->device->host->context, queue);
}

/* An op has run, or failed, when op_run returns: there is nothing to wait for. */
static int queue_finish(struct plm_queue *queue, struct plm_error *err) {
  (void)queue;
  (void)err;
  return PLM_OK;
}

/* ------------------------------------------------------------------ card */

static const struct plm_backend table = {
    .struct_size = sizeof table,
    .device_count = device_count,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .queue_create = queue_create,
    .queue_destroy = queue_destroy,
    .queue_finish = queue_finish,
    .buffer_write = buffer_write,
    .buffer_read = buffer_read,
    .op_query = ops_query,
    .op_run = ops_run,
};

static int start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  (void)err;
  host = given;
  return plm_backend_publish(out, &table);
}

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {
  static const struct plm_plugin_card card = {
      PLM_CARD_BUILD, .name = "cblas", .version = "1.0", .license = "", .vendor = "plmscale", .compiler = PLM_COMPILER,
      .start = start};
  return &card;
}
