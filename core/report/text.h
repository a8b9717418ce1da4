/*
 * A growing text. Running out of memory is remembered: later additions do nothing, and whoever uses the text asks once, at
 * the end (plm_text_check). Init by zeroing; owned by the caller; plm_text_fini releases it.
 */
#ifndef PLM_REPORT_TEXT_H
#define PLM_REPORT_TEXT_H

#include <stdarg.h>
#include <stddef.h>

#include "base/error.h"

struct plm_text {
  char *data; /* NUL after the last byte; NULL while empty */
  size_t length, capacity;
  int exhausted;
};

void plm_text_add(struct plm_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void plm_text_add_format(struct plm_text *text, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
void plm_text_add_bytes(struct plm_text *text, const char *data, size_t bytes);

/* PLM_E_NO_MEMORY when an addition failed; what: "the page". */
int plm_text_check(const struct plm_text *text, const char *what, struct plm_error *err);
void plm_text_fini(struct plm_text *text);

#endif
