/*
 * An INI file as entries with line numbers: inih behind a reader of our own, which counts lines, joins continuation
 * lines, and refuses what inih would cut or lose without a word. Internal to study/.
 */
#ifndef PLM_STUDY_INI_READER_H
#define PLM_STUDY_INI_READER_H

#include <stddef.h>

#include "base/error.h"

#define PLM_INI_BYTES_MAX (1024 * 1024)
#define PLM_INI_SECTION_MAX 49 /* inih cuts longer names */
#define PLM_INI_ENTRIES_MAX 4096
#define PLM_INI_COMPLAINTS_MAX 100

/* The complaints about one file, each "FILE:LINE: text", at most PLM_INI_COMPLAINTS_MAX. Borrows both. */
struct plm_ini_complaints {
  const char *path;
  struct plm_errors *errors;
  size_t start; /* errors->count at the start */
  size_t count; /* complaints made, shown or not */
};

void plm_ini_complain(struct plm_ini_complaints *complaints, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts the complaints in the order of their lines. */
void plm_ini_complaints_sort(struct plm_ini_complaints *complaints);

struct plm_ini_entry {
  char *section; /* "" before the first section; PLM_INI_SECTION_BAD under a header that was complained about */
  char *key;
  char *value; /* without comments, continuation lines joined by one blank */
  int line;
};
#define PLM_INI_SECTION_BAD "!"

struct plm_ini_section {
  char *name;
  int line;
};

struct plm_ini {
  struct plm_ini_entry *entries;
  size_t count, capacity;
  struct plm_ini_section *sections; /* every good header, in order; names may repeat */
  size_t section_count, section_capacity;
  int lines; /* in the file, at least 1 */
};

/*
 * Parses text (bytes bytes and a NUL) into *out, which is zeroed by the caller and released by plm_ini_fini whatever is
 * returned. Wrong lines are complained about and left out. PLM_E_DAMAGED: NUL, control characters or invalid UTF-8;
 * PLM_E_NO_MEMORY. A comment starts a line, or follows a value after a blank, with ';' or '#'.
 */
int plm_ini_parse(struct plm_ini *out, const char *text, size_t bytes, struct plm_ini_complaints *complaints,
                  struct plm_error *err);
void plm_ini_fini(struct plm_ini *ini);

/* Length of the valid UTF-8 sequence at text (at most bytes long), 0 when there is none. */
size_t plm_ini_utf8_length(const char *text, size_t bytes);

#endif
