/*
 * The colours of the page and its figures. gnuplot gets the value for white paper; in the page the same colour is a CSS
 * variable, so that figures follow a dark screen. Lines and points: Okabe and Ito 2008; ramps rise in lightness and run from
 * blue to red (ColorBrewer RdBu), so that no pair of them rests on red against green.
 */
#ifndef PLM_REPORT_COLOURS_H
#define PLM_REPORT_COLOURS_H

#include <stddef.h>

#include "report/text.h"

enum plm_colour {
  PLM_PAPER,
  PLM_INK,
  PLM_MUTED, /* axes, what stands back */
  PLM_GRID,
  PLM_MAIN, /* the estimator to believe, this study */
  PLM_BAND, /* its interval, where it is an area */
  PLM_SKY,
  PLM_GREEN,
  PLM_ORANGE,
  PLM_VERMILLION,
  PLM_PURPLE,
  PLM_BELOW_FAR, /* residuals: measured below the fit .. above it */
  PLM_BELOW,
  PLM_NEAR,
  PLM_ABOVE,
  PLM_ABOVE_FAR,
  PLM_RAMP, /* the first of PLM_RAMP_STEPS, small to large */
  PLM_COLOURS = PLM_RAMP + 9
};
#define PLM_RAMP_STEPS 9

/* "#0072b2", static. */
const char *plm_colour_hex(enum plm_colour colour);

/* The value for a data file's column that is read with `lc rgb variable`. */
unsigned plm_colour_number(enum plm_colour colour);

/* The step of the ramp for number index of count, spread over all of it. */
enum plm_colour plm_colour_ramp(size_t index, size_t count);

/* "var(--main)" of a value (0xrrggbb), static; NULL when it is none of ours. */
const char *plm_colour_variable(unsigned value);

/* The variables as CSS declarations, for white paper or a dark screen. */
void plm_colour_css(struct plm_text *out, int dark);

#endif
