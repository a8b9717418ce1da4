/* What a corpus file holds, for people and for other programs. */
#ifndef PLM_DATA_CORPUS_INFO_H
#define PLM_DATA_CORPUS_INFO_H

#include "base/error.h"

/*
 * Opens and checks the corpus, and describes it as JSON, schema plmscale.corpus/1: digest, format_version,
 * tool_version, created_utc, rules, options, sources, counts, and per split sequences, residues, tokens (with <cls> and
 * <eos>), length quantiles and composition. *out: a new reference, owned by the caller.
 */
struct json_t;
int plm_corpus_describe(struct json_t **out, const char *path, struct plm_error *err);

#endif
