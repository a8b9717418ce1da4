/*
 * The one error idiom: int (0 is success) and a struct plm_error that the function that
 * first knows the cause fills; nobody above overwrites it.
 */
#ifndef PLM_BASE_ERROR_H
#define PLM_BASE_ERROR_H

#include <stdarg.h>
#include <stdint.h>

#include "plmscale/backend.h"

/* The host's own codes, beyond the ABI's. plm_error_exit_code maps all of them. */
#define PLM_E_USAGE 101    /* wrong command line or configuration: exit code 2 */
#define PLM_E_DAMAGED 102  /* damaged or unsupported input: exit code 4 */
#define PLM_E_IO 103       /* the system refused a read or write: exit code 1 */
#define PLM_E_STOPPED 104  /* stopped on request with a valid checkpoint: exit code 75 */
#define PLM_E_DIVERGED 105 /* a loss or gradient is not finite */
#define PLM_E_CELLS 106    /* finished, but some cells failed: exit code 3 */
#define PLM_E_BUSY 107     /* another process works on it */
#define PLM_E_WRONG 108    /* a device computes wrong */

/* An error struct ready to be filled. */
#define PLM_ERROR_INIT {sizeof(struct plm_error), 0, 0, 0, 0, {0}}

/* Fills *err (err may be NULL) with code and one formatted line; returns code. Control characters in the text become '?'. */
int plm_error_set(struct plm_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As plm_error_set with PLM_E_IO (PLM_E_NO_MEMORY for ENOMEM), native_code = number, and ": <strerror>" appended. */
int plm_error_set_system(struct plm_error *err, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Out of memory while doing what. Returns PLM_E_NO_MEMORY. */
int plm_error_memory(struct plm_error *err, const char *what);

/* "DEVICE_LOST" for PLM_E_DEVICE_LOST, of the ABI's codes and the host's; "?" for any other number. */
const char *plm_error_name(int code);

/* The process exit code for an error code: 0, 1, 2, 3, 4 or 75. A plugin that does not fit (PLM_E_ABI) is input that cannot be used: 4. */
int plm_error_exit_code(int code);

/*
 * A collector for checks that go on after the first error (the INI reader). Init by zeroing;
 * owned by the caller; plm_errors_fini releases it.
 */
struct plm_errors {
  char **lines;
  size_t count, capacity;
};
/* Appends one formatted line. Returns PLM_E_USAGE always, so that a caller can say return plm_errors_add(...). */
int plm_errors_add(struct plm_errors *errors, const char *format, ...) __attribute__((format(printf, 2, 3)));
void plm_errors_fini(struct plm_errors *errors);

/*
 * The candidate nearest to word by edit distance, NULL when none is near (distance over a third of
 * the length, at least 2). candidates: count strings, borrowed.
 */
const char *plm_error_nearest(const char *word, const char *const *candidates, size_t count);

#endif
