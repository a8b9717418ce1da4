#include "law/notes.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

int plm_notes_add(struct plm_notes *notes, struct plm_error *err, const char *format, ...) {
  void *lines = notes->lines;
  if (plm_memory_grow(&lines, &notes->capacity, notes->count + 1, sizeof *notes->lines))
    return plm_error_memory(err, "a note of a fit");
  notes->lines = lines;
  va_list arguments;
  va_start(arguments, format);
  char *line = NULL;
  int length = vasprintf(&line, format, arguments);
  va_end(arguments);
  if (length < 0)
    return plm_error_memory(err, "a note of a fit");
  notes->lines[notes->count++] = line;
  return 0;
}

void plm_notes_fini(struct plm_notes *notes) {
  for (size_t i = 0; i < notes->count; i++)
    free(notes->lines[i]);
  free(notes->lines);
  *notes = (struct plm_notes){0};
}
