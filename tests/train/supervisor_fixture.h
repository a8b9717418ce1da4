/* A small study in a folder of its own, with runs that were never trained, for tests of what stands around training. */
#ifndef PLM_TESTS_SUPERVISOR_FIXTURE_H
#define PLM_TESTS_SUPERVISOR_FIXTURE_H

#include "study/study.h"

#define FIXTURE_CELLS 4
#define FIXTURE_DIGEST "00112233445566778899aabbccddeeff"

struct supervisor_fixture {
  char folder[40];
  char program[64]; /* stands for plmscale: acts as the device it is given is called */
  struct plm_study *study;
};

/* cmocka setup and teardown; *state is a struct supervisor_fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Writes a valid run of cell index to path. loss: its validation loss over <mask>. */
void fixture_write_run(const struct supervisor_fixture *f, size_t index, const char *path, double loss,
                       const char *status);

/* NAME.study/cells/ID/name of cell index, in a static buffer for each of the last four calls. */
const char *fixture_path(const struct supervisor_fixture *f, size_t index, const char *name);

/* Writes text to a file. */
void fixture_write(const char *path, const char *text);

#endif
