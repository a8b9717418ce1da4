/* TensorBoard event files: append-only records of scalars. A torn last record is harmless to readers. */
#ifndef PLM_TRAIN_EVENTS_H
#define PLM_TRAIN_EVENTS_H

#include <stdint.h>

#include "base/error.h"

struct plm_events;

/* Creates folder/events.out.tfevents.<unix>.<host>.<pid> with the version record. Owned by the caller; close takes NULL. */
int plm_events_create(struct plm_events **out, const char *folder, struct plm_error *err);

/* One scalar at a step, wall time now. tag: "train/loss_mask" .. */
int plm_events_scalar(struct plm_events *events, const char *tag, int64_t step, double value, struct plm_error *err);

/* Writes what is buffered. */
int plm_events_flush(struct plm_events *events, struct plm_error *err);
void plm_events_close(struct plm_events *events);

#endif
