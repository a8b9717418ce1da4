/* Axes of figures: ranges that cover the data, ticks that people would choose, labels that do not lie on each other. */
#ifndef PLM_REPORT_AXIS_H
#define PLM_REPORT_AXIS_H

#include "report/text.h"

enum plm_axis_kind {
  PLM_AXIS_LINEAR,
  PLM_AXIS_COUNT,  /* logarithmic, "300k", "1.5M" */
  PLM_AXIS_POWER,  /* logarithmic, "10^12", "2 x 10^11" with superscripts */
  PLM_AXIS_FACTOR, /* logarithmic, "÷ 2", "× 1", "× 2" */
};

/* Empty (low > high) until it covers something. */
struct plm_axis {
  enum plm_axis_kind kind;
  double low, high;
};

struct plm_axis plm_axis_empty(enum plm_axis_kind kind);

/* Widens the range to value; what an axis of that kind cannot show (NaN, not above 0 on a logarithm) is passed over. */
void plm_axis_cover(struct plm_axis *axis, double value);

/* Widens the range by that share of itself at either end; a range of one value becomes one around it. */
void plm_axis_pad(struct plm_axis *axis, double below, double above);

/* 0 at low, 1 at high; and back. */
double plm_axis_place(const struct plm_axis *axis, double value);
double plm_axis_value(const struct plm_axis *axis, double place);

/* "set logscale x", "set xrange", "set xtics": which is 'x' or 'y'. ticks: about how many have labels. */
void plm_axis_write(struct plm_text *script, const struct plm_axis *axis, char which, int ticks);

/* "3k", "1.5M", "20B" as axes and labels say counts; "2 x 10^11" with superscripts; out has PLM_AXIS_TEXT bytes. */
#define PLM_AXIS_TEXT 48
const char *plm_axis_count_text(char out[PLM_AXIS_TEXT], double value);
const char *plm_axis_power_text(char out[PLM_AXIS_TEXT], double value);

/* Moves count places (of labels, ascending) as little as needed to lie gap apart and within low .. high if they fit. */
void plm_axis_spread(double *places, size_t count, double gap, double low, double high);

#endif
