/* Study files for tests, in a folder that lives as long as the test program. */
#ifndef PLM_STUDY_FIXTURE_H
#define PLM_STUDY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study/study.h"

/* Five lines that make a good study; tests add a sixth. */
#define STUDY_GOOD "[study]\ncorpus = c.h5\n[grid]\ncompute = 1e13\nsizes = 26k\n"

/* Group setup and teardown: makes and removes the folder. */
int study_fixture_setup(void **state);
int study_fixture_teardown(void **state);

/* Path of NAME in the folder, static. */
const char *study_fixture_path(const char *name);

/* Writes study.ini. Returns its path, static. */
const char *study_fixture_write(const char *text, size_t bytes);

/* Reads a text that must be a good study. Released by plm_study_destroy. */
struct plm_study *study_fixture_read(const char *text);

/* The same, expanded for corpus digest "c0ffee" with so many tokens. */
struct plm_study *study_fixture_expand(const char *text, int64_t corpus_tokens);

/* text must be refused with code and exactly these complaints (NULL ends them), each without the path in front: "7:
 * [train] ...". */
void study_fixture_refuse(const char *text, size_t bytes, int code, const char *const *complaints);

#endif
