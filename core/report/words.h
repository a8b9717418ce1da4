/* The answer and how far to trust it, in plain words, each sentence by a rule from the facts. */
#ifndef PLM_REPORT_WORDS_H
#define PLM_REPORT_WORDS_H

#include "report/facts.h"
#include "report/text.h"

/* HTML: one paragraph, the answer and the verdict on it; without a law, that there is none and why. */
void plm_words_answer(struct plm_text *out, const struct plm_facts *facts);

/* HTML: a list of what speaks for and against the answer. */
void plm_words_trust(struct plm_text *out, const struct plm_facts *facts);

/* "0.124 (95 %: 0.029 to 0.391)", plain text; without an interval the value alone. */
#define PLM_WORDS_NUMBER 96
const char *plm_words_exponent(char out[PLM_WORDS_NUMBER], double value, const struct plm_interval *interval);

/* "3.59k (95 %: 2.82k to 4.39k)" likewise. */
const char *plm_words_count(char out[PLM_WORDS_NUMBER], double value, const struct plm_interval *interval);

/* "0.029 to 0.391", "2.82k to 4.39k"; "" when it is not known. */
const char *plm_words_interval(char out[PLM_WORDS_NUMBER], const struct plm_interval *interval, int count);

#endif
