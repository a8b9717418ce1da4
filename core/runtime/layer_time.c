/*
 * time: what every op takes from an empty queue to a finished one. Waiting after each op hides what a backend overlaps, so the
 * sum is more than a step takes without the layer; shares and rates are what it is for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/ops.h"
#include "plmscale/kernels.h"
#include "runtime/layering.h"

struct sums {
  uint64_t calls;
  double rows, seconds, flops, bytes;
};

/* Ops that share a line: same kind, flags and fixed extents, and row counts within a factor of two. */
struct entry {
  struct plm_op key; /* without views and index; the extents are classes */
  struct plm_op last;
  char title[PLM_OP_TEXT];
  char kernel[PLM_KERNELS_NAME];
  struct sums sums;
  struct sums first; /* the first call alone: kernels may be built in it */
};

static struct {
  struct plm_backend next;
  struct plm_device *device;
  const struct plm_kernels_extension *kernels; /* NULL: the backend has none */
  struct entry *items;
  size_t count, capacity;
  struct entry transfers[2]; /* write, read */
} layer;

static void add_sums(struct sums *to, const struct sums *from) {
  to->calls += from->calls;
  to->rows += from->rows;
  to->seconds += from->seconds;
  to->flops += from->flops;
  to->bytes += from->bytes;
}

/* ------------------------------------------------------------ noting */

static uint32_t class_of(uint32_t count) {
  uint32_t class = 1;
  while (class < count && class < 1u << 31)
    class <<= 1;
  return count ? class : 0;
}

static void reduce(struct plm_op *key, const struct plm_op *op) {
  uint32_t count;
  *key = *op;
  struct plm_view *views = plm_op_views(key, &count);
  memset(views, 0, count * sizeof *views);
  struct plm_extent *extents = plm_op_extents(key, &count);
  for (uint32_t i = 0; i < count; i++)
    extents[i].count = class_of(extents[i].count);
  memset(&key->workspace, 0, sizeof key->workspace);
  key->index = 0;
}

static void ask_kernel(struct entry *entry, const struct plm_op *op) {
  struct plm_error ignored = PLM_ERROR_INIT;
  uint32_t which;
  if (!layer.kernels || layer.kernels->chosen(layer.device, op, &which, &ignored) ||
      layer.kernels->name(layer.device, op, which, entry->kernel, &ignored))
    entry->kernel[0] = 0;
  entry->kernel[sizeof entry->kernel - 1] = 0;
}

/* The line of an op, new when it is the first of its like; NULL without memory. */
static struct entry *entry_of(const struct plm_op *op) {
  struct plm_op key;
  void *items = layer.items;
  reduce(&key, op);
  for (size_t i = 0; i < layer.count; i++)
    if (!memcmp(&layer.items[i].key, &key, sizeof key))
      return &layer.items[i];
  if (plm_memory_grow(&items, &layer.capacity, layer.count + 1, sizeof *layer.items))
    return NULL;
  layer.items = items;
  struct entry *entry = &layer.items[layer.count++];
  memset(entry, 0, sizeof *entry);
  entry->key = key;
  plm_op_title(entry->title, op);
  ask_kernel(entry, op);
  return entry;
}

/* Attention's work is in the offsets, which only the device has. */
static double length_squares(struct plm_queue *queue, const struct plm_op *op) {
  const struct plm_view *view = op->kind == PLM_OP_ATTENTION        ? &op->u.attention.offsets
                                : op->kind == PLM_OP_ATTENTION_GRAD ? &op->u.attention_grad.offsets
                                                                    : NULL;
  uint32_t sequences = op->kind == PLM_OP_ATTENTION ? op->u.attention.sequences.count : 0;
  struct plm_error ignored = PLM_ERROR_INIT;
  double sum = 0;
  if (op->kind == PLM_OP_ATTENTION_GRAD)
    sequences = op->u.attention_grad.sequences.count;
  int32_t *offsets = view ? plm_memory_zeroed((size_t)sequences + 1, sizeof *offsets) : NULL;
  if (!offsets)
    return 0;
  if (!layer.next.buffer_read(queue, view->buffer, view->offset, offsets, ((uint64_t)sequences + 1) * 4, &ignored))
    for (uint32_t s = 0; s < sequences; s++)
      sum += (double)(offsets[s + 1] - offsets[s]) * (offsets[s + 1] - offsets[s]);
  free(offsets);
  return sum;
}

static uint32_t rows_of(const struct plm_op *op) {
  struct plm_op copy = *op;
  uint32_t count;
  const struct plm_extent *extents = plm_op_extents(&copy, &count);
  return count ? extents[0].count : 0;
}

static int op_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err) {
  struct plm_extents now = plm_op_extents_now(op);
  int code = layer.next.queue_finish(queue, err);
  if (code)
    return code;
  now.length_squares = length_squares(queue, op);
  double start = plm_layer_clock();
  if ((code = layer.next.op_run(queue, op, err)) || (code = layer.next.queue_finish(queue, err)))
    return code;
  double seconds = plm_layer_clock() - start;
  struct entry *entry = entry_of(op);
  if (!entry)
    return plm_error_memory(err, "timing ops");
  const struct sums one = {1, rows_of(op), seconds, plm_op_flops(op, &now), plm_op_bytes(op, &now)};
  entry->last = *op;
  add_sums(entry->first.calls ? &entry->sums : &entry->first, &one);
  return 0;
}

static int program_run(struct plm_queue *queue, const struct plm_op *ops, uint32_t count, uint32_t *failed,
                       struct plm_error *err) {
  return plm_layer_loop(op_run, queue, ops, count, failed, err);
}

static void note_transfer(struct entry *entry, double start, uint64_t bytes) {
  const struct sums one = {1, 0, plm_layer_clock() - start, 0, (double)bytes};
  add_sums(&entry->sums, &one);
}

static int buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                        uint64_t bytes, struct plm_error *err) {
  int code = layer.next.queue_finish(queue, err);
  double start = plm_layer_clock();
  if (code || (code = layer.next.buffer_write(queue, buffer, offset, data, bytes, err)) ||
      (code = layer.next.queue_finish(queue, err)))
    return code;
  note_transfer(&layer.transfers[0], start, bytes);
  return 0;
}

static int buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                       struct plm_error *err) {
  int code = layer.next.queue_finish(queue, err);
  double start = plm_layer_clock();
  if (code || (code = layer.next.buffer_read(queue, buffer, offset, data, bytes, err)))
    return code;
  note_transfer(&layer.transfers[1], start, bytes);
  return 0;
}

static int device_open(uint32_t index, struct plm_device **out, struct plm_error *err) {
  int code = layer.next.device_open(index, out, err);
  if (!code)
    layer.device = *out;
  return code;
}

/* ------------------------------------------------------------ the tables */

static int slower_first(const void *a, const void *b) {
  const struct entry *x = a, *y = b;
  if (x->sums.seconds != y->sums.seconds)
    return x->sums.seconds < y->sums.seconds ? 1 : -1;
  return strcmp(x->title, y->title);
}

/* "123.4", or "-" where there is nothing to divide. */
static const char *rate(char out[24], double work, double seconds) {
  if (work > 0 && seconds > 0)
    snprintf(out, 24, "%.1f", work / seconds / 1e9);
  else
    snprintf(out, 24, "-");
  return out;
}

static void print_row(FILE *out, const struct entry *entry, const char *shape, double total) {
  char flops[24], bytes[24], name[2 * PLM_OP_TEXT + 4];
  const struct sums *sums = &entry->sums;
  snprintf(name, sizeof name, "%s%s%s", entry->title, *shape ? " " : "", shape);
  fprintf(out, "| %-52s | %8llu | %10.2f | %6.1f %% | %10.1f | %8s | %7s |%s%s%s\n", name,
          (unsigned long long)sums->calls, sums->seconds * 1e3, 100 * sums->seconds / total,
          sums->seconds * 1e6 / (double)sums->calls, rate(flops, sums->flops, sums->seconds),
          rate(bytes, sums->bytes, sums->seconds), *shape && layer.kernels ? " " : "",
          *shape && layer.kernels ? (entry->kernel[0] ? entry->kernel : "-") : "",
          *shape && layer.kernels ? " |" : "");
}

static void print_head(FILE *out, const char *what, int kernels) {
  fprintf(out, "| %-52s | %8s | %10s | %8s | %10s | %8s | %7s |%s\n", what, "calls", "ms", "share", "us a call",
          "GFLOP/s", "GB/s", kernels ? " kernel |" : "");
  fprintf(out,
          "|:-----------------------------------------------------|---------:|-----------:|---------:|-----------:|"
          "---------:|--------:|%s\n",
          kernels ? ":-------|" : "");
}

/* Adds up the lines of one title; NULL without memory. */
static struct entry *sum_by_title(size_t *count) {
  struct entry *sums = plm_memory_zeroed(layer.count + 2, sizeof *sums);
  *count = 0;
  for (size_t i = 0; i < layer.count && sums; i++) {
    const struct entry *entry = &layer.items[i];
    size_t at = 0;
    while (at < *count && strcmp(sums[at].title, entry->title))
      at++;
    if (at == *count)
      memcpy(sums[(*count)++].title, entry->title, sizeof entry->title);
    add_sums(&sums[at].sums, &entry->sums);
  }
  for (int i = 0; i < 2 && sums; i++)
    if (layer.transfers[i].sums.calls) {
      sums[*count] = layer.transfers[i];
      snprintf(sums[(*count)++].title, PLM_OP_TEXT, "(buffer_%s)", i ? "read" : "write");
    }
  return sums;
}

/* The shape of a line, with the mean of its row counts. */
static void shape_of(char out[PLM_OP_TEXT], const struct entry *entry) {
  struct plm_op mean = entry->last;
  uint32_t count;
  struct plm_extent *extents = plm_op_extents(&mean, &count);
  if (count)
    extents[0].count = (uint32_t)(entry->sums.rows / (double)entry->sums.calls + 0.5);
  plm_op_shape(out, &mean);
}

/* First calls are left out, but for those of lines that have no other; returns the seconds of what is left out. */
static double settle_first_calls(void) {
  double seconds = 0;
  for (size_t i = 0; i < layer.count; i++)
    if (layer.items[i].sums.calls)
      seconds += layer.items[i].first.seconds;
    else
      layer.items[i].sums = layer.items[i].first;
  return seconds;
}

static void report(FILE *out) {
  size_t count;
  double first = settle_first_calls(), total = 0;
  struct entry *sums = sum_by_title(&count);
  if (!sums)
    return;
  for (size_t i = 0; i < count; i++)
    total += sums[i].sums.seconds;
  if (total > 0) {
    qsort(sums, count, sizeof *sums, slower_first);
    print_head(out, "op", 0);
    for (size_t i = 0; i < count; i++)
      print_row(out, &sums[i], "", total);
    fprintf(out, "\n");
    if (layer.count)
      qsort(layer.items, layer.count, sizeof *layer.items, slower_first);
    print_head(out, "op and shape (mean rows)", layer.kernels != NULL);
    for (size_t i = 0; i < layer.count; i++) {
      char shape[PLM_OP_TEXT];
      shape_of(shape, &layer.items[i]);
      print_row(out, &layer.items[i], shape, total);
    }
    fprintf(out,
            "\ntime: %.3f s in all, each op waited for, warm-up and evaluation included; the first calls of each shape, in "
            "which kernels may be built, took another %.3f s\n",
            total, first);
  }
  free(sums);
}

static void take_off(void) {
  free(layer.items);
  memset(&layer, 0, sizeof layer);
}

static int configure(const char *argument, struct plm_error *err) {
  take_off();
  if (argument)
    return plm_error_set(err, PLM_E_USAGE, "layer \"time\": takes no argument, got \"%.40s\"", argument);
  return 0;
}

static int install(struct plm_backend *table, struct plm_error *err) {
  (void)err;
  layer.next = *table;
  layer.kernels = table->extension(PLM_KERNELS_EXTENSION, PLM_KERNELS_VERSION);
  table->device_open = device_open;
  table->buffer_write = buffer_write;
  table->buffer_read = buffer_read;
  table->op_run = op_run;
  table->program_run = program_run;
  return 0;
}

const struct plm_layer plm_layer_time = {
    .name = "time", .configure = configure, .install = install, .report = report, .remove = take_off};
