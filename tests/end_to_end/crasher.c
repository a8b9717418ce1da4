/* A backend that takes every op and dies of the first one, as a driver does: compiled by test_devices.py from the ABI header alone. */
#include <stdlib.h>
#include <string.h>

#include <plmscale/backend.h>

struct plm_device {
  int unused;
};
struct plm_queue {
  int unused;
};
struct plm_buffer {
  unsigned char *data;
};

static struct plm_device the_device;
static struct plm_queue the_queue;

static int crasher_count(uint32_t *out, struct plm_error *err) {
  (void)err;
  *out = 1;
  return PLM_OK;
}

static int crasher_info(uint32_t index, struct plm_device_info *out, struct plm_error *err) {
  struct plm_device_info info;
  (void)index;
  (void)err;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  info.kind = PLM_DEVICE_OTHER;
  info.compute_units = 1;
  strcpy(info.id, "crasher:0");
  strcpy(info.name, "crasher");
  strcpy(info.driver, "crasher");
  plm_table_copy(out, out->struct_size, &info);
  return PLM_OK;
}

static int crasher_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  (void)index;
  (void)err;
  *out = &the_device;
  return PLM_OK;
}

static void crasher_close(struct plm_device *device) { (void)device; }

static int crasher_buffer(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                          struct plm_error *err) {
  struct plm_buffer *buffer = malloc(sizeof *buffer);
  (void)device;
  (void)kind;
  (void)err;
  if (!buffer)
    return PLM_E_NO_MEMORY;
  buffer->data = calloc(1, bytes);
  if (!buffer->data) {
    free(buffer);
    return PLM_E_NO_MEMORY;
  }
  *out = buffer;
  return PLM_OK;
}

static void crasher_buffer_destroy(struct plm_buffer *buffer) {
  if (buffer)
    free(buffer->data);
  free(buffer);
}

static int crasher_queue(struct plm_device *device, struct plm_queue **out, struct plm_error *err) {
  (void)device;
  (void)err;
  *out = &the_queue;
  return PLM_OK;
}

static void crasher_queue_destroy(struct plm_queue *queue) { (void)queue; }

static int crasher_finish(struct plm_queue *queue, struct plm_error *err) {
  (void)queue;
  (void)err;
  return PLM_OK;
}

static int crasher_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                         uint64_t bytes, struct plm_error *err) {
  (void)queue;
  (void)err;
  memcpy(buffer->data + offset, data, bytes);
  return PLM_OK;
}

static int crasher_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                        struct plm_error *err) {
  (void)queue;
  (void)err;
  memcpy(data, buffer->data + offset, bytes);
  return PLM_OK;
}

static int crasher_query(struct plm_device *device, const struct plm_op *op, struct plm_verdict *out,
                         struct plm_error *err) {
  struct plm_verdict verdict;
  (void)device;
  (void)op;
  (void)err;
  memset(&verdict, 0, sizeof verdict);
  verdict.struct_size = sizeof verdict;
  verdict.status = PLM_VERDICT_SUPPORTED;
  verdict.deterministic = 1;
  plm_table_copy(out, out->struct_size, &verdict);
  return PLM_OK;
}

/* SIGILL: sanitizers leave it alone. */
static int crasher_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  (void)queue;
  (void)op;
  (void)err;
  __builtin_trap();
}

static int crasher_start(const struct plm_host *host, struct plm_backend *out, struct plm_error *err) {
  struct plm_backend table;
  (void)host;
  (void)err;
  memset(&table, 0, sizeof table);
  table.struct_size = sizeof table;
  table.device_count = crasher_count;
  table.device_info = crasher_info;
  table.device_open = crasher_open;
  table.device_close = crasher_close;
  table.buffer_create = crasher_buffer;
  table.buffer_destroy = crasher_buffer_destroy;
  table.queue_create = crasher_queue;
  table.queue_destroy = crasher_queue_destroy;
  table.queue_finish = crasher_finish;
  table.buffer_write = crasher_write;
  table.buffer_read = crasher_read;
  table.op_query = crasher_query;
  table.op_run = crasher_run;
  return plm_backend_publish(out, &table);
}

const struct plm_plugin_card *PLM_PLUGIN_ENTRY(void) {
  static const struct plm_plugin_card card = {
      PLM_CARD_BUILD, "crasher", "1.0", "MIT", "plmscale tests", NULL, PLM_COMPILER, NULL, 0, sizeof(struct plm_option),
      crasher_start};
  return &card;
}
