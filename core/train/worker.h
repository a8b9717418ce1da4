/*
 * Workers: one place where one cell at a time is trained, on one device. A device named twice has two. A worker whose device fails
 * again and again, or cannot be used at all, is taken out of use, so that it does not spoil the cells that are left.
 */
#ifndef PLM_TRAIN_WORKER_H
#define PLM_TRAIN_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "train/child.h"

#define PLM_WORKER_STRIKES 2 /* device failures in a row before it counts as lost */

struct plm_worker {
  char *device;           /* NAME[:DEVICE] */
  int strikes;            /* device failures in a row */
  int lost;               /* out of use */
  struct plm_child child; /* child.pid is 0 when it is free */
  size_t cell;            /* what the child trains */
};

struct plm_workers {
  struct plm_worker *items;
  size_t count;
};

/*
 * One worker for each device of the lists; every list is NAME[:DEVICE], comma-separated. PLM_E_USAGE: an empty element, or no
 * device at all. Owned by the caller; plm_workers_fini takes zeroed ones.
 */
int plm_workers_init(struct plm_workers *out, const char *const *lists, size_t count, struct plm_error *err);
void plm_workers_fini(struct plm_workers *workers);

/* CPU threads for each worker when nobody said: this process's cores divided by the workers, at least 1. */
uint32_t plm_workers_threads(const struct plm_workers *workers);

/* 1 when this end was the device's doing: it crashed, hung, was lost or did not answer. */
int plm_worker_blames_device(const struct plm_child_end *end);

/*
 * Notes how a child ended. Returns 1 when that takes the worker out of use: a device failure for the second time in a row,
 * or a device that cannot be used as asked for (PLM_E_USAGE, PLM_E_ABI) or computes wrong (PLM_E_WRONG).
 */
int plm_worker_note(struct plm_worker *worker, const struct plm_child_end *end);

#endif
