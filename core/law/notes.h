/* A growing list of one-line remarks. Init by zeroing; owned by the caller; plm_notes_fini releases it. */
#ifndef PLM_LAW_NOTES_H
#define PLM_LAW_NOTES_H

#include <stddef.h>

#include "base/error.h"

struct plm_notes {
  char **lines;
  size_t count, capacity;
};

/* Appends one formatted line. 0, or PLM_E_NO_MEMORY. (err stands before the format, which has to be last.) */
int plm_notes_add(struct plm_notes *notes, struct plm_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void plm_notes_fini(struct plm_notes *notes);

#endif
