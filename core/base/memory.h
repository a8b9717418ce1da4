/* Host memory. Running out is an error the caller reports, never an abort. */
#ifndef PLM_BASE_MEMORY_H
#define PLM_BASE_MEMORY_H

#include <stddef.h>

/* count*size zeroed bytes, NULL on overflow or exhaustion. free() releases. count*size = 0 gives one byte. */
void *plm_memory_zeroed(size_t count, size_t size);

/* Grows *array (elements of size bytes, *capacity of them) to at least need elements, doubling. 0, or PLM_E_NO_MEMORY with *array intact. */
int plm_memory_grow(void **array, size_t *capacity, size_t need, size_t size);

/* bytes aligned to 64, NULL when exhausted. free() releases. */
void *plm_memory_aligned(size_t bytes);

/* A formatted string owned by the caller, NULL when exhausted. */
char *plm_memory_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
