/*
 * HTML from texts that nobody vouches for: study names, paths, what drivers said. Everything goes through plm_html_add;
 * plm_text_add is for markup of our own. What is no UTF-8, and characters that HTML does not allow, become U+FFFD.
 */
#ifndef PLM_REPORT_HTML_H
#define PLM_REPORT_HTML_H

#include "report/text.h"

/* The text with & < > " ' and ` escaped: good in an element and between double quotes. */
void plm_html_escape(struct plm_text *out, const char *text);

/* A formatted text, escaped. */
void plm_html_add(struct plm_text *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* <td> or, with a class of our own, <td class="...">: one cell of a table with an escaped text. */
void plm_html_cell(struct plm_text *out, const char *class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* <th scope="row">name</th><td>value</td> in a row, for lists of facts. */
void plm_html_fact(struct plm_text *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
