/* Jobs that do not depend on each other, over threads. */
#ifndef PLM_LAW_WORKERS_H
#define PLM_LAW_WORKERS_H

#include <stddef.h>

#include "base/error.h"

#define PLM_WORKERS_MAX 256

/* The CPUs this process may use, at most PLM_WORKERS_MAX. */
unsigned plm_workers_default(void);

/*
 * Calls job(index, worker, context, err) for index 0 .. count-1, each once, on up to threads threads (0 and 1: on this
 * one alone); worker is below threads and no two jobs at a time have the same. After an error no new job starts; the
 * error of the lowest index that failed is returned. Jobs write only to what is theirs by index or worker, so that the
 * result does not depend on threads.
 */
int plm_workers_run(unsigned threads, size_t count,
                    int (*job)(size_t index, unsigned worker, void *context, struct plm_error *err), void *context,
                    struct plm_error *err);

#endif
