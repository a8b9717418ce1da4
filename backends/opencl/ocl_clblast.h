/*
 * Matrix products by CLBlast, where the build has it (ocl_clblast.c; else ocl_clblast_none.c): its own parameters for the
 * device, and sets of ours. CLBlast keeps one set per device and process: going to another makes it compile anew (seconds).
 */
#ifndef PLM_OCL_CLBLAST_H
#define PLM_OCL_CLBLAST_H

#include "ocl_linear.h"
#include "plmscale/kernels.h"

/* Implementation 0 is the library as it comes, 1 and up its tuned sets for this kind of device. 0 without CLBlast. */
uint32_t ocl_clblast_count(const struct plm_device *device);
void ocl_clblast_name(uint32_t which, char out[PLM_KERNELS_NAME]);
/* The loaded library's file name with its version ("libclblast.so.1.5.3"), "none". */
const char *ocl_clblast_version(void);
/* Bytes of workspace for a linear op; the largest of all sets, for one may follow another. */
uint64_t ocl_clblast_workspace(const struct plm_device *device, const struct plm_op *op);
int ocl_clblast_run(struct plm_queue *queue, const struct plm_op *op, uint32_t which, struct plm_error *err);

#endif
