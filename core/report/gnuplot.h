/* Running gnuplot: no shell, no start-up files, no terminal, an end to its patience. */
#ifndef PLM_REPORT_GNUPLOT_H
#define PLM_REPORT_GNUPLOT_H

#include "base/error.h"

#define PLM_GNUPLOT_SECONDS 60

/* The gnuplot of PATH, owned by the caller. PLM_E_UNSUPPORTED, naming the package, when there is none. */
int plm_gnuplot_find(char **out, struct plm_error *err);

/*
 * Runs `program -d script` with folder as current directory; script is a file name in it. PLM_E_IO when it cannot be started,
 * PLM_E_INTERNAL with what it said when it fails, when it warns (a script of ours that warns is wrong) or when it takes
 * longer than seconds and is killed.
 */
int plm_gnuplot_run(const char *program, const char *folder, const char *script, double seconds,
                    struct plm_error *err);

#endif
