/* A folder that lives as long as the test program. */
#ifndef PLM_BASE_FIXTURE_H
#define PLM_BASE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

/* Group setup and teardown: makes and removes the folder with all that is in it. */
int base_fixture_setup(void **state);
int base_fixture_teardown(void **state);

/* The folder, and the path of NAME in it; each of the last eight paths stays valid. */
const char *base_fixture_folder(void);
const char *base_fixture_path(const char *name);

/* Number of entries of the folder, hidden ones included. */
size_t base_fixture_entries(void);

/* Removes everything in the folder. */
void base_fixture_clear(void);

/* Writes a file without the code under test. */
void base_fixture_write(const char *path, const void *data, size_t bytes);

/* Reads a file without the code under test; owned by the caller. */
unsigned char *base_fixture_read(size_t *bytes, const char *path);

/* Runs work in a child whose files cannot grow beyond bytes, writes fail with EFBIG. Returns what work returned, at most 255; 256 when the child crashed. */
int base_fixture_full_disk(int (*work)(void *context), void *context, size_t bytes);

#endif
