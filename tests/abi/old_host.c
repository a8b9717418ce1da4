/*
 * A host of ABI 1.0, for plugins of later minors: old_host PLUGIN.so. Every struct that crosses has exactly the size it
 * had in 1.0 and ends where a page begins that nobody may touch, so a plugin that reads or writes a field of later
 * minors dies of it. Uses libc and the layout of 1.0 alone, nothing of today's host.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "layout_v1.h"

/* As layout_v1.h has them. */
#define ERROR_BYTES 1024u
#define OP_BYTES 504u
#define VERDICT_BYTES 136u
#define HOST_BYTES 72u
#define INFO_BYTES 488u
#define BACKEND_BYTES 160u
#define CARD_BYTES 112u

#define COUNT 37u

static struct plm_error *err;

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(1);
}

/* Zeroed bytes, a multiple of 8, that end at a page without access. Never released. */
static void *at_the_edge(size_t bytes) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  unsigned char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory + page, page, PROT_NONE))
    die("no memory");
  memset(memory + page - bytes, 0, bytes);
  *(uint64_t *)(void *)(memory + page - bytes) = bytes;
  return memory + page - bytes;
}

static void log_line(void *context, uint32_t level, const char *text) {
  (void)context;
  if (level <= PLM_LOG_WARN)
    fprintf(stderr, "%s\n", text);
}

static void *allocate(void *context, uint64_t bytes) {
  (void)context;
  return aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
}

static void release(void *context, void *memory) {
  (void)context;
  free(memory);
}

static uint32_t threads(void *context) {
  (void)context;
  return 1;
}

static double seconds(void *context) {
  (void)context;
  return 0;
}

/* The defaults of what the plugin declares: context is its card. */
static const char *option(void *context, const char *name) {
  const struct plm_plugin_card *card = context;
  for (uint32_t i = 0; i < card->option_count; i++) {
    const struct plm_option *o =
        (const void *)((const char *)(const void *)card->options + (size_t)i * card->option_stride);
    if (strcmp(o->name, name) == 0)
      return o->default_value;
  }
  return NULL;
}

static struct plm_plugin_card *card_read(const char *path) {
  plm_plugin_entry_fn entry;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *symbol = library ? dlsym(library, PLM_PLUGIN_ENTRY_NAME) : NULL;
  struct plm_plugin_card *copy = malloc(CARD_BYTES);
  if (!symbol || !copy)
    die("%s: %s", path, dlerror());
  memcpy(&entry, &symbol, sizeof entry);
  const struct plm_plugin_card *card = entry();
  if (card->magic != PLM_PLUGIN_MAGIC || card->struct_size < CARD_BYTES || card->abi_major != 1)
    die("%s: not a card of ABI 1", path);
  memcpy(copy, card, CARD_BYTES);
  return copy;
}

static const struct plm_backend *backend_start(struct plm_plugin_card *card) {
  struct plm_host *host = at_the_edge(HOST_BYTES);
  struct plm_backend *backend = at_the_edge(BACKEND_BYTES);
  const struct plm_host services = {HOST_BYTES, 1, 0, card, log_line, option, allocate, release, threads, seconds};
  memcpy(host, &services, HOST_BYTES);
  if (card->start(host, backend, err))
    die("start: %s", err->text);
  if (backend->struct_size != BACKEND_BYTES)
    die("start left a table of %llu bytes in room for %u", (unsigned long long)backend->struct_size, BACKEND_BYTES);
  return backend;
}

static void must(int code, const char *what) {
  if (code)
    die("%s: code %d: %s", what, code, err->text);
}

/* x = value, then y += x as ADD. */
static void ops_run(const struct plm_backend *b, struct plm_device *device, struct plm_queue *queue) {
  struct plm_op *op = at_the_edge(OP_BYTES);
  struct plm_verdict *verdict = at_the_edge(VERDICT_BYTES);
  struct plm_buffer *x, *y;
  float data[COUNT];
  for (uint32_t i = 0; i < COUNT; i++)
    data[i] = (float)i;
  must(b->buffer_create(device, sizeof data, PLM_BUFFER_DEVICE, &x, err), "buffer_create");
  must(b->buffer_create(device, sizeof data, PLM_BUFFER_UPLOAD, &y, err), "buffer_create");
  must(b->buffer_write(queue, y, 0, data, sizeof data, err), "buffer_write");
  op->type = PLM_TYPE_F32;
  op->kind = PLM_OP_FILL;
  op->u.fill = (struct plm_op_fill){{x, 0, sizeof data, PLM_TYPE_F32, 0}, COUNT, 0.5f, 0};
  must(b->op_query(device, op, verdict, err), "op_query");
  if (verdict->status != PLM_VERDICT_SUPPORTED || verdict->struct_size != VERDICT_BYTES)
    die("fill: status %u, %llu bytes: %s", verdict->status, (unsigned long long)verdict->struct_size, verdict->text);
  must(b->op_run(queue, op, err), "fill");
  op->kind = PLM_OP_ADD;
  op->u.add = (struct plm_op_add){{x, 0, sizeof data, PLM_TYPE_F32, 0}, {y, 0, sizeof data, PLM_TYPE_F32, 1},
                                  {y, 0, sizeof data, PLM_TYPE_F32, 1}, {1, 0}, COUNT, 0};
  must(b->op_run(queue, op, err), "add");
  must(b->queue_finish(queue, err), "queue_finish");
  must(b->buffer_read(queue, y, 0, data, sizeof data, err), "buffer_read");
  for (uint32_t i = 0; i < COUNT; i++)
    if (data[i] != (float)i + 0.5f)
      die("fill and add: element %u is %g, not %g", i, (double)data[i], i + 0.5);
  op->kind = PLM_OP_BODY; /* far beyond any minor */
  must(b->op_query(device, op, verdict, err), "op_query");
  if (verdict->status != PLM_VERDICT_UNSUPPORTED)
    die("an unknown op is not declined");
  if (b->op_run(queue, op, err) != PLM_E_UNSUPPORTED || !err->text[0])
    die("an unknown op runs");
  b->buffer_destroy(y);
  b->buffer_destroy(x);
}

int main(int argc, char **argv) {
  struct plm_device_info *info = at_the_edge(INFO_BYTES);
  struct plm_device *device;
  struct plm_queue *queue;
  uint32_t count = 0;
  if (argc != 2)
    die("usage: old_host PLUGIN.so");
  err = at_the_edge(ERROR_BYTES);
  struct plm_plugin_card *card = card_read(argv[1]);
  const struct plm_backend *b = backend_start(card);
  must(b->device_count(&count, err), "device_count");
  if (count == 0)
    die("no device");
  must(b->device_info(0, info, err), "device_info");
  if (info->struct_size != INFO_BYTES || !info->id[0])
    die("device_info left %llu bytes, id \"%s\"", (unsigned long long)info->struct_size, info->id);
  must(b->device_open(0, &device, err), "device_open");
  must(b->queue_create(device, &queue, err), "queue_create");
  ops_run(b, device, queue);
  b->queue_destroy(queue);
  b->device_close(device);
  printf("%s of ABI %u.%u runs in a host of ABI 1.0 on %s\n", card->name, card->abi_major, card->abi_minor, info->id);
  fflush(stdout);
  _exit(0); /* drivers may crash in their exit handlers */
}
