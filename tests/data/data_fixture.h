/* Scratch files, compressed files and corpora made of real proteins for the tests of core/data. */
#ifndef PLM_TESTS_DATA_FIXTURE_H
#define PLM_TESTS_DATA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "data/corpus_build.h"

/* cmocka group set-up and tear-down: a folder of its own, removed with all in it. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* The full path of name in the folder; in a ring of 16 static buffers. */
const char *fixture_path(const char *name);

/* Writes a file; returns its path. */
const char *fixture_write(const char *name, const void *data, size_t bytes);
const char *fixture_text(const char *name, const char *text);
/* The same packed by a libarchive filter ("gzip", "xz" ..). append adds a member to the file. */
const char *fixture_pack(const char *name, const char *filter, const void *data, size_t bytes, int append);
/* The whole file, owned by the caller. */
char *fixture_read(const char *path, size_t *bytes);
/* Files in the folder whose name contains part. */
int fixture_count(const char *part);

/* The FASTA file of 100 real proteins. */
const char *fixture_proteins(void);

/* A FASTA file of count different sequences: the real ones with a few residues exchanged, named p0, p1 .. */
const char *fixture_mutants(const char *name, size_t count);

/* Options for one input, filters and splits as in the program. */
struct plm_corpus_build_options fixture_options(const char *const *input, const char *output);

/* Builds, which must succeed. */
struct plm_corpus_counts fixture_build(const struct plm_corpus_build_options *options, char digest[PLM_HASH_TEXT]);

#endif
