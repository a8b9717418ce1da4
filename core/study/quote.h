/* How values of a study file look in messages and documents. Internal to study/. */
#ifndef PLM_STUDY_QUOTE_H
#define PLM_STUDY_QUOTE_H

#define PLM_QUOTE_TEXT 72
#define PLM_NUMBER_TEXT 32

/* text in double quotes, cut at a character's end with "..." when it is longer than 60 bytes. Returns out. */
const char *plm_quote(char out[PLM_QUOTE_TEXT], const char *text);

/* The shortest form a user would write: 64, 0.9999999, 1e9. Returns out. */
const char *plm_quote_number(char out[PLM_NUMBER_TEXT], double value);

#endif
