/* A report of a study: an HTML page, and beside it a folder with the data and the gnuplot scripts of its figures. */
#ifndef PLM_REPORT_REPORT_WRITE_H
#define PLM_REPORT_REPORT_WRITE_H

#include "report/facts.h"

/*
 * Writes path (report.html) and its folder (report.figures), everything first under temporary names: when it fails, an
 * earlier report is as it was. Files of other names in that folder stay. facts are as gathered; gnuplot is the program.
 * *figures (may be NULL): how many were drawn. PLM_E_USAGE for a path that cannot be a file, PLM_E_IO, PLM_E_INTERNAL and
 * PLM_E_DAMAGED (gnuplot.h, svg.h).
 */
int plm_report_write(const char *path, const struct plm_facts *facts, const char *gnuplot, size_t *figures,
                     struct plm_error *err);

/* STUDY's folder/report.html; owned by the caller, NULL when out of memory. */
char *plm_report_default_path(const struct plm_facts *facts);

#endif
