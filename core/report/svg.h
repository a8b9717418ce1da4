/*
 * What gnuplot drew, made fit for a page: only elements and attributes that draw, no script, no reference but to the
 * figure itself, ids with the figure's name before them, our colours as CSS variables, a title and a description that
 * screen readers find.
 */
#ifndef PLM_REPORT_SVG_H
#define PLM_REPORT_SVG_H

#include "report/text.h"

struct plm_svg_about {
  const char *name;        /* of the figure: letters, digits, '-'; unique in the page */
  const char *title;       /* plain texts; escaped here */
  const char *description;
};

/* Appends the <svg> element. PLM_E_DAMAGED, naming what, for anything that is not on the list of what may be drawn. */
int plm_svg_inline(struct plm_text *out, const char *svg, const struct plm_svg_about *about, struct plm_error *err);

#endif
