#include "law/workers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/memory.h"

struct crew {
  size_t count;
  int (*job)(size_t index, unsigned worker, void *context, struct plm_error *err);
  void *context;
  atomic_size_t next;
  atomic_int failed;
};

struct worker {
  struct crew *crew;
  unsigned number;
  pthread_t thread;
  int code;
  size_t index; /* of the job that failed */
  struct plm_error err;
};

unsigned plm_workers_default(void) {
  cpu_set_t set;
  int count = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
  return count < 1 ? 1 : count > PLM_WORKERS_MAX ? PLM_WORKERS_MAX : (unsigned)count;
}

static void *worker_main(void *argument) {
  struct worker *worker = argument;
  struct crew *crew = worker->crew;
  while (!worker->code && !atomic_load(&crew->failed)) {
    size_t index = atomic_fetch_add(&crew->next, 1);
    if (index >= crew->count)
      break;
    worker->code = crew->job(index, worker->number, crew->context, &worker->err);
    worker->index = index;
  }
  if (worker->code)
    atomic_store(&crew->failed, 1);
  return NULL;
}

int plm_workers_run(unsigned threads, size_t count,
                    int (*job)(size_t index, unsigned worker, void *context, struct plm_error *err), void *context,
                    struct plm_error *err) {
  struct crew crew = {.count = count, .job = job, .context = context};
  threads = threads < 1 ? 1 : threads > PLM_WORKERS_MAX ? PLM_WORKERS_MAX : threads;
  if (threads > count)
    threads = count ? (unsigned)count : 1;
  struct worker *workers = plm_memory_zeroed(threads, sizeof *workers);
  if (!workers)
    return plm_error_memory(err, "the threads of a fit");
  for (unsigned i = 0; i < threads; i++)
    workers[i] = (struct worker){.crew = &crew, .number = i, .err = PLM_ERROR_INIT};
  /* A thread that cannot be had is no error: the others do its jobs, this one at the least. */
  unsigned started = 1;
  while (started < threads && !pthread_create(&workers[started].thread, NULL, worker_main, &workers[started]))
    started++;
  worker_main(&workers[0]);
  const struct worker *failed = NULL;
  for (unsigned i = 0; i < started; i++) {
    if (i > 0)
      pthread_join(workers[i].thread, NULL);
    if (workers[i].code && (!failed || workers[i].index < failed->index))
      failed = &workers[i];
  }
  int code = failed ? failed->code : 0;
  if (failed && err)
    *err = failed->err;
  free(workers);
  return code;
}
