/* The handles that a backend has given out, for the validate layer. */
#ifndef PLM_RUNTIME_HANDLES_H
#define PLM_RUNTIME_HANDLES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum plm_handle_kind { PLM_HANDLE_DEVICE, PLM_HANDLE_QUEUE, PLM_HANDLE_BUFFER, PLM_HANDLE_EVENT };
const char *plm_handle_name(enum plm_handle_kind kind); /* "device", "queue", "buffer", "event" */

struct plm_handle {
  const void *pointer;
  enum plm_handle_kind kind;
  uint32_t alive;     /* 0: destroyed. Events may be given out more than once: how often they are */
  const void *parent; /* the device; of an event its queue */
  uint64_t bytes;     /* of a buffer, without the canary behind it */
  uint64_t number;    /* which of its kind, from 1 */
  int marked;         /* of a buffer: the canary is in place */
  /* Of a buffer: the last op on it and its queue; of a queue: the last op known to be done. */
  uint64_t used, done;
  const void *user;
};

/* Grows; init by zeroing. Entries of destroyed handles stay until their address is given out again. */
struct plm_handles {
  struct plm_handle *items;
  size_t count, capacity;
  uint64_t numbers[4];
};
void plm_handles_fini(struct plm_handles *handles);

/* The entry of a handle, dead or alive; NULL: never seen. Borrowed until the next add. */
struct plm_handle *plm_handles_find(const struct plm_handles *handles, enum plm_handle_kind kind, const void *pointer);

/* A new handle; *out is borrowed until the next add. A live event is counted up. PLM_E_INVALID: another that is given out
 * while it lives, or NULL. */
int plm_handles_add(struct plm_handle **out, struct plm_handles *handles, enum plm_handle_kind kind, const void *pointer,
                    const void *parent, struct plm_error *err);

/* The live entry of a handle that is used in what. PLM_E_INVALID: NULL, unknown, or destroyed. */
int plm_handles_use(struct plm_handle **out, const struct plm_handles *handles, enum plm_handle_kind kind,
                    const void *pointer, const char *what, struct plm_error *err);

#endif
