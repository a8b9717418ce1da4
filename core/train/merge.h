/* study.h5: what the finished cells of a study came to, in one file for h5py, pandas and xarray. */
#ifndef PLM_TRAIN_MERGE_H
#define PLM_TRAIN_MERGE_H

#include <stddef.h>

#include "base/error.h"
#include "study/study.h"

#define PLM_STUDY_FORMAT "plmscale-study"
#define PLM_STUDY_VERSION 1

/*
 * Writes FOLDER/study.h5, whole or not at all, from the run.h5 of every cell that has one (each is verified). Layout: root
 * attributes (format, format_version, tool_version, created_utc, study, config_sha256, corpus_digest); config (ini,
 * resolved_json); summary: cell_id and one dataset for each of PLM_RUN_TEXTS and PLM_RUN_FIGURES, all of one length, in the
 * order of the cells; cells/ID: the figures and texts as attributes, curve, evaluation and timing as in run.h5.
 * *cells (may be NULL): how many there are in it.
 */
int plm_merge_study(const struct plm_study *study, const char *corpus_digest, size_t *cells, struct plm_error *err);

#endif
