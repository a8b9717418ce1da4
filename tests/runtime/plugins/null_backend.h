/*
 * A complete backend without arithmetic: one device of host memory that refuses every op. The plugins of this folder
 * are this one with one thing wrong (or unusual) each, said in their first line.
 */
#ifndef PLM_TEST_NULL_BACKEND_H
#define PLM_TEST_NULL_BACKEND_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <plmscale/backend.h>

struct plm_device {
  uint32_t index;
};
struct plm_queue {
  struct plm_device *device;
};
struct plm_buffer {
  uint64_t bytes;
  unsigned char *data;
};

static const struct plm_host *host;

static inline int fail(struct plm_error *err, int code, const char *text) {
  err->code = code;
  snprintf(err->text, sizeof err->text, "%s", text);
  return code;
}

static inline const char *option_or(const char *name, const char *otherwise) {
  const char *value = host->option(host->context, name);
  return value ? value : otherwise;
}

static inline int null_device_count(uint32_t *out, struct plm_error *err) {
  (void)err;
  *out = (uint32_t)strtoul(option_or("devices", "1"), NULL, 10);
  return PLM_OK;
}

static inline int null_device_info(uint32_t index, struct plm_device_info *out, struct plm_error *err) {
  struct plm_device_info info;
  (void)err;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  info.kind = PLM_DEVICE_OTHER;
  info.compute_units = 1;
  info.memory_bytes = 1 << 20;
  snprintf(info.id, sizeof info.id, "null-%u 0000:0%u:00.0", index, index);
  snprintf(info.name, sizeof info.name, "%s number %u", option_or("label", "Null device"), index);
  snprintf(info.vendor, sizeof info.vendor, "nobody");
  snprintf(info.driver, sizeof info.driver, "null");
  snprintf(info.driver_version, sizeof info.driver_version, "share=%s loud=%s threads=%u", option_or("share", "-"),
           option_or("loud", "-"), host->threads(host->context));
  plm_table_copy(out, out->struct_size, &info);
  return PLM_OK;
}

static inline int null_device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  struct plm_device *device = host->allocate(host->context, sizeof *device);
  if (!device)
    return fail(err, PLM_E_NO_MEMORY, "device: out of memory");
  device->index = index;
  *out = device;
  return PLM_OK;
}

static inline void null_device_close(struct plm_device *device) { host->release(host->context, device); }

static inline int null_buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                                     struct plm_error *err) {
  struct plm_buffer *buffer = host->allocate(host->context, sizeof *buffer);
  (void)device;
  (void)kind;
  if (!buffer)
    return fail(err, PLM_E_NO_MEMORY, "buffer: out of memory");
  buffer->bytes = bytes;
  buffer->data = host->allocate(host->context, bytes);
  if (!buffer->data) {
    host->release(host->context, buffer);
    return fail(err, PLM_E_NO_MEMORY, "buffer: out of memory");
  }
  *out = buffer;
  return PLM_OK;
}

static inline void null_buffer_destroy(struct plm_buffer *buffer) {
  if (!buffer)
    return;
  host->release(host->context, buffer->data);
  host->release(host->context, buffer);
}

static inline int null_queue_create(struct plm_device *device, struct plm_queue **out, struct plm_error *err) {
  struct plm_queue *queue = host->allocate(host->context, sizeof *queue);
  if (!queue)
    return fail(err, PLM_E_NO_MEMORY, "queue: out of memory");
  queue->device = device;
  *out = queue;
  return PLM_OK;
}

static inline void null_queue_destroy(struct plm_queue *queue) { host->release(host->context, queue); }

static inline int null_queue_finish(struct plm_queue *queue, struct plm_error *err) {
  (void)queue;
  (void)err;
  return PLM_OK;
}

static inline int in_range(const struct plm_buffer *buffer, uint64_t offset, uint64_t bytes) {
  return offset <= buffer->bytes && bytes <= buffer->bytes - offset;
}

static inline int null_buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset,
                                    const void *data, uint64_t bytes, struct plm_error *err) {
  (void)queue;
  if (!in_range(buffer, offset, bytes))
    return fail(err, PLM_E_INVALID, "buffer_write: past the end");
  if (bytes)
    memcpy(buffer->data + offset, data, bytes);
  return PLM_OK;
}

static inline int null_buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data,
                                   uint64_t bytes, struct plm_error *err) {
  (void)queue;
  if (!in_range(buffer, offset, bytes))
    return fail(err, PLM_E_INVALID, "buffer_read: past the end");
  if (bytes)
    memcpy(data, buffer->data + offset, bytes);
  return PLM_OK;
}

static inline int null_op_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                                struct plm_error *err) {
  struct plm_verdict verdict;
  (void)device;
  (void)err;
  memset(&verdict, 0, sizeof verdict);
  verdict.struct_size = sizeof verdict;
  verdict.status = PLM_VERDICT_UNSUPPORTED;
  verdict.reason = PLM_REASON_UNKNOWN_OP;
  snprintf(verdict.text, sizeof verdict.text, "%s: this backend computes nothing", plm_op_name(op->kind));
  plm_table_copy(out, out->struct_size, &verdict);
  return PLM_OK;
}

static inline int null_op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  (void)queue;
  err->op_kind = op->kind;
  return fail(err, PLM_E_UNSUPPORTED, "op: this backend computes nothing");
}

static inline struct plm_backend null_table(void) {
  struct plm_backend table;
  memset(&table, 0, sizeof table);
  table.struct_size = sizeof table;
  table.device_count = null_device_count;
  table.device_info = null_device_info;
  table.device_open = null_device_open;
  table.device_close = null_device_close;
  table.buffer_create = null_buffer_create;
  table.buffer_destroy = null_buffer_destroy;
  table.queue_create = null_queue_create;
  table.queue_destroy = null_queue_destroy;
  table.queue_finish = null_queue_finish;
  table.buffer_write = null_buffer_write;
  table.buffer_read = null_buffer_read;
  table.op_query = null_op_query;
  table.op_run = null_op_run;
  return table;
}

static inline int null_start(const struct plm_host *given, struct plm_backend *out, struct plm_error *err) {
  const struct plm_backend table = null_table();
  (void)err;
  host = given;
  return plm_backend_publish(out, &table);
}

#define NULL_CARD(name, options, option_count, start)                                                                  \
  {                                                                                                                    \
    PLM_CARD_BUILD, name, "1.0", "MIT", "plmscale tests", NULL, PLM_COMPILER, options, option_count,                   \
        sizeof(struct plm_option), start                                                                               \
  }

/* The entry function of a plugin that alters the good card by the statements given. */
#define ENTRY(...)                                                                                                     \
  const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {                                                               \
    static struct plm_plugin_card card = NULL_CARD("altered", NULL, 0, null_start);                                    \
    __VA_ARGS__                                                                                                        \
    return &card;                                                                                                      \
  }

/* The entry function of a plugin whose start is the function given. */
#define ENTRY_START(function)                                                                                          \
  const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {                                                               \
    static const struct plm_plugin_card card = NULL_CARD("altered", NULL, 0, function);                                \
    return &card;                                                                                                      \
  }

#endif
