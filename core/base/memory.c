#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

void *plm_memory_zeroed(size_t count, size_t size) {
  return count && size ? calloc(count, size) : calloc(1, 1);
}

int plm_memory_grow(void **array, size_t *capacity, size_t need, size_t size) {
  if (need <= *capacity)
    return 0;
  size_t larger = *capacity ? *capacity : 16;
  while (larger < need) {
    if (larger > SIZE_MAX / 2)
      return PLM_E_NO_MEMORY;
    larger *= 2;
  }
  size_t bytes;
  if (__builtin_mul_overflow(larger, size, &bytes))
    return PLM_E_NO_MEMORY;
  void *grown = realloc(*array, bytes);
  if (!grown)
    return PLM_E_NO_MEMORY;
  *array = grown;
  *capacity = larger;
  return 0;
}

void *plm_memory_aligned(size_t bytes) {
  if (bytes > SIZE_MAX - 63)
    return NULL;
  size_t whole = (bytes + 63) / 64 * 64;
  return aligned_alloc(64, whole ? whole : 64);
}

char *plm_memory_format(const char *format, ...) {
  char *text = NULL;
  va_list args;
  va_start(args, format);
  int length = vasprintf(&text, format, args);
  va_end(args);
  return length < 0 ? NULL : text;
}
