/* Who trains a run, on what, checked how: the texts of run.h5 that every process that goes on with the run writes anew. */
#ifndef PLM_TRAIN_PROVENANCE_H
#define PLM_TRAIN_PROVENANCE_H

#include "data/corpus.h"
#include "runtime/session.h"
#include "train/cell.h"
#include "train/runfile.h"

int plm_provenance_note(struct plm_run *run, const struct plm_session *session, const struct plm_corpus *corpus,
                        const struct plm_study *study, const struct plm_cell_options *options, struct plm_error *err);

/*
 * Compares the session's device with the reference (check/self_check.h) unless the study says no or it is the reference
 * itself, and says in run->self_check what came of it. PLM_E_WRONG: the device computes wrong; folder/self_check.h5 has the inputs.
 */
int plm_provenance_check(struct plm_run *run, const struct plm_session *session, const struct plm_study *study,
                         const struct plm_cell_options *options, const char *folder, struct plm_error *err);

#endif
