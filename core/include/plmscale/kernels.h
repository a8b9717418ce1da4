/*
 * plmscale/kernels.h: the optional extension "x_kernels", for backends that have more than one implementation of an op
 * (a library, kernels of their own, tile sizes). The host lists them, times them (`plmscale tune`), makes the backend keep
 * the best ones in a profile, and records in every run file which ones ran.
 *
 * Experimental, as the x_ says: outside the promise of docs/abi.md. A backend without it works all the same.
 */
#ifndef PLMSCALE_KERNELS_H
#define PLMSCALE_KERNELS_H

#include "plmscale/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PLM_KERNELS_EXTENSION "x_kernels"
#define PLM_KERNELS_VERSION 1u
#define PLM_KERNELS_NAME 96 /* bytes of an implementation's name with its NUL */

/*
 * An implementation is named by its place among those the device has for an op: 0 .. count-1. Ops with the same kind,
 * flags, fixed extents and class of row count (the backend decides how wide a class is) share one choice. Views need not
 * be bound. All calls follow the rules of backend.h: one thread at a time, PLM_OK or a code with *err filled.
 */
struct plm_kernels_extension {
  uint64_t struct_size;
  /* How many implementations the device has for this op at these extents; 1 when there is no choice. */
  int (*count)(struct plm_device *device, const struct plm_op *op, uint32_t *out, struct plm_error *err);
  /* The name of one, as it stands in run files and profiles: "own 8x32 kc256", "clblast", "clblast tuned 2". */
  int (*name)(struct plm_device *device, const struct plm_op *op, uint32_t which, char out[PLM_KERNELS_NAME],
              struct plm_error *err);
  /* Which one op_run takes now. */
  int (*chosen)(struct plm_device *device, const struct plm_op *op, uint32_t *out, struct plm_error *err);
  /*
   * Makes op_run take this one from now on, for as long as the device is open. op_query must be asked again: the
   * workspace may differ. seconds: what the host measured, kept in the profile; 0 when it only tries.
   */
  int (*choose)(struct plm_device *device, const struct plm_op *op, uint32_t which, double seconds,
                struct plm_error *err);
  /*
   * Writes every choice that choose was given with seconds > 0, merged into what the profile holds already, as a whole new
   * file. path: where, NULL for the user's own place. *used: where it was written, borrowed until the next call.
   */
  int (*save)(struct plm_device *device, const char *path, const char **used, struct plm_error *err);
  /* Where the choices that hold now came from: "default", or the profile's path. Borrowed until the device is closed. */
  const char *(*source)(struct plm_device *device);
};

#ifdef __cplusplus
}
#endif

#endif
