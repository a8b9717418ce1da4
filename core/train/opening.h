/* A backend as a study names and sets it, loaded. */
#ifndef PLM_TRAIN_OPENING_H
#define PLM_TRAIN_OPENING_H

#include "runtime/plugin.h"
#include "study/study.h"

/*
 * text: NAME[:DEVICE] or PATH.so[:DEVICE]. The settings of [backend NAME] go to it. *out is owned by the caller, untouched on
 * failure; *device is the index of the device that was meant.
 */
int plm_opening_load(struct plm_plugin **out, uint32_t *device, const char *text, const struct plm_study *study,
                     uint32_t threads, struct plm_error *err);

#endif
