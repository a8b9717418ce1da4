/* What run.h5 and checkpoint.h5 have in common: figures, texts, configuration, curve and evaluations. */
#ifndef PLM_TRAIN_RECORD_H
#define PLM_TRAIN_RECORD_H

#include <hdf5.h>

#include "train/runfile.h"

/* XXH3-128 over the cell's id, curve, evaluations and floats parameters (not timing): equal runs have equal digests. */
void plm_record_digest(char out[PLM_HASH_TEXT], const struct plm_run *run, const float *params, uint64_t floats);

/* Writes format, figures, texts, config, curve, evaluations, timing and the digest. */
int plm_record_put(hid_t file, const char *format, int64_t version, const struct plm_run *run, const char *digest,
                   struct plm_error *err);

/* Reads them into a zeroed run (released by the caller also on failure). *digest: owned by the caller. */
int plm_record_get(struct plm_run *run, char **digest, hid_t file, const char *path, struct plm_error *err);

/* Puts the file's name in front of the message of a code that is not 0; returns code. For what is read after the record. */
int plm_record_name(struct plm_error *err, int code, const char *path);

#endif
