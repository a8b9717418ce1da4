#include "train/worker.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

static int add_worker(struct plm_workers *workers, const char *device, size_t length, const char *list,
                      struct plm_error *err) {
  void *items = workers->items;
  size_t capacity = workers->count;
  while (length && (*device == ' ' || *device == '\t'))
    device++, length--;
  while (length && (device[length - 1] == ' ' || device[length - 1] == '\t'))
    length--;
  if (!length)
    return plm_error_set(err, PLM_E_USAGE, "devices \"%s\": an empty element; NAME[:DEVICE], comma-separated, is right",
                         list);
  if (plm_memory_grow(&items, &capacity, workers->count + 1, sizeof *workers->items))
    return plm_error_memory(err, "reading the devices");
  workers->items = items;
  struct plm_worker *worker = &workers->items[workers->count];
  memset(worker, 0, sizeof *worker);
  worker->device = strndup(device, length);
  if (!worker->device)
    return plm_error_memory(err, "reading the devices");
  workers->count++;
  return 0;
}

int plm_workers_init(struct plm_workers *out, const char *const *lists, size_t count, struct plm_error *err) {
  struct plm_workers workers = {0};
  int code = 0;
  for (size_t i = 0; i < count && !code; i++) {
    const char *at = lists[i];
    for (;;) {
      size_t length = strcspn(at, ",");
      code = add_worker(&workers, at, length, lists[i], err);
      if (code || !at[length])
        break;
      at += length + 1;
    }
  }
  if (!code && workers.count == 0)
    code = plm_error_set(err, PLM_E_USAGE, "no device to train on: give --backend NAME[:DEVICE] or [run] devices");
  if (code)
    plm_workers_fini(&workers);
  else
    *out = workers;
  return code;
}

void plm_workers_fini(struct plm_workers *workers) {
  for (size_t i = 0; i < workers->count; i++)
    free(workers->items[i].device);
  free(workers->items);
  memset(workers, 0, sizeof *workers);
}

uint32_t plm_workers_threads(const struct plm_workers *workers) {
  cpu_set_t cores;
  long count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : sysconf(_SC_NPROCESSORS_ONLN);
  long each = count / (long)workers->count;
  return each > 1 ? (uint32_t)each : 1;
}

int plm_worker_blames_device(const struct plm_child_end *end) {
  return end->outcome == PLM_CHILD_CRASHED || end->outcome == PLM_CHILD_HUNG ||
         (end->outcome == PLM_CHILD_FAILED && (end->code == PLM_E_DEVICE_LOST || end->code == PLM_E_TIMEOUT));
}

int plm_worker_note(struct plm_worker *worker, const struct plm_child_end *end) {
  int unusable = end->outcome == PLM_CHILD_FAILED &&
                 (end->code == PLM_E_USAGE || end->code == PLM_E_ABI || end->code == PLM_E_WRONG);
  worker->strikes = plm_worker_blames_device(end) ? worker->strikes + 1 : 0;
  if (unusable || worker->strikes >= PLM_WORKER_STRIKES)
    worker->lost = 1;
  return worker->lost;
}
