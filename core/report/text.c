#include "report/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Room for bytes more and a NUL. */
static int room(struct plm_text *text, size_t bytes) {
  void *data = text->data;
  if (text->exhausted || plm_memory_grow(&data, &text->capacity, text->length + bytes + 1, 1)) {
    text->exhausted = 1;
    return 0;
  }
  text->data = data;
  return 1;
}

void plm_text_add_bytes(struct plm_text *text, const char *data, size_t bytes) {
  if (!room(text, bytes))
    return;
  memcpy(text->data + text->length, data, bytes);
  text->length += bytes;
  text->data[text->length] = 0;
}

void plm_text_add_format(struct plm_text *text, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  if (length >= 0 && room(text, (size_t)length)) {
    vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    text->length += (size_t)length;
  }
  text->exhausted |= length < 0;
  va_end(again);
}

void plm_text_add(struct plm_text *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  plm_text_add_format(text, format, args);
  va_end(args);
}

int plm_text_check(const struct plm_text *text, const char *what, struct plm_error *err) {
  return text->exhausted ? plm_error_memory(err, what) : 0;
}

void plm_text_fini(struct plm_text *text) {
  free(text->data);
  *text = (struct plm_text){0};
}
