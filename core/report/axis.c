#include "report/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct plm_axis plm_axis_empty(enum plm_axis_kind kind) { return (struct plm_axis){kind, INFINITY, -INFINITY}; }

static int is_log(const struct plm_axis *axis) { return axis->kind != PLM_AXIS_LINEAR; }

void plm_axis_cover(struct plm_axis *axis, double value) {
  if (!isfinite(value) || (is_log(axis) && value <= 0))
    return;
  axis->low = fmin(axis->low, value);
  axis->high = fmax(axis->high, value);
}

void plm_axis_pad(struct plm_axis *axis, double below, double above) {
  if (axis->low > axis->high) { /* nothing to show: any range will do */
    axis->low = 1;
    axis->high = 2;
  } else if (is_log(axis)) {
    double span = log(axis->high / axis->low);
    span = span > 1e-6 ? span : log(4);
    axis->low *= exp(-below * span);
    axis->high *= exp(above * span);
  } else {
    double span = axis->high - axis->low, least = 1e-6 * fmax(fabs(axis->high), 1e-3);
    span = span > least ? span : 0.1 * fmax(fabs(axis->high), 1e-3);
    axis->low -= below * span;
    axis->high += above * span;
  }
}

double plm_axis_place(const struct plm_axis *axis, double value) {
  return is_log(axis) ? log(value / axis->low) / log(axis->high / axis->low)
                      : (value - axis->low) / (axis->high - axis->low);
}

double plm_axis_value(const struct plm_axis *axis, double place) {
  return is_log(axis) ? axis->low * exp(place * log(axis->high / axis->low))
                      : axis->low + place * (axis->high - axis->low);
}

/* ------------------------------------------------------------ texts of numbers */

const char *plm_axis_count_text(char out[PLM_AXIS_TEXT], double value) {
  static const char *const units[] = {"", "k", "M", "B", "T"};
  int unit = 0;
  while (unit < 4 && fabs(value) >= 999.5) {
    value /= 1000;
    unit++;
  }
  if (fabs(value) >= 999.5 || (value != 0 && fabs(value) < 0.01))
    snprintf(out, PLM_AXIS_TEXT, "%.2g%s", value, units[unit]);
  else
    snprintf(out, PLM_AXIS_TEXT, "%.3g%s", value, units[unit]);
  return out;
}

static size_t superscript(char *out, size_t size, int number) {
  static const char *const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  char plain[16];
  size_t used = 0;
  snprintf(plain, sizeof plain, "%d", number);
  for (const char *c = plain; *c && used + 4 < size; c++)
    used += (size_t)snprintf(out + used, size - used, "%s", *c == '-' ? "⁻" : digits[*c - '0']);
  return used;
}

const char *plm_axis_power_text(char out[PLM_AXIS_TEXT], double value) {
  int exponent = (int)floor(log10(value) + 1e-9);
  double mantissa = value / pow(10, exponent);
  size_t used = 0;
  if (mantissa > 9.995) {
    mantissa = 1;
    exponent++;
  }
  if (mantissa < 1.005)
    used = (size_t)snprintf(out, PLM_AXIS_TEXT, "10");
  else
    used = (size_t)snprintf(out, PLM_AXIS_TEXT, "%.3g\u00a0×\u00a010", mantissa);
  superscript(out + used, PLM_AXIS_TEXT - used, exponent);
  return out;
}

static const char *factor_text(char out[PLM_AXIS_TEXT], double value) {
  if (value >= 0.999)
    snprintf(out, PLM_AXIS_TEXT, "× %.3g", value);
  else
    snprintf(out, PLM_AXIS_TEXT, "÷ %.3g", 1 / value);
  return out;
}

static const char *tick_text(char out[PLM_AXIS_TEXT], const struct plm_axis *axis, double value) {
  return axis->kind == PLM_AXIS_COUNT ? plm_axis_count_text(out, value) : plm_axis_power_text(out, value);
}

/* ------------------------------------------------------------ ticks */

/* Factors to either side of 1, by how far the axis goes. */
static void ticks_factor(struct plm_text *script, const struct plm_axis *axis, char which) {
  static const double NEAR[] = {1.1, 1.2, 1.3, 1.4, 1.5}, MIDDLE[] = {1.25, 1.5, 2, 2.5, 3, 4},
                      FAR[] = {2, 5, 10, 20, 50, 100}, FARTHEST[] = {1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
  double reach = fmax(axis->high, 1 / axis->low);
  const double *ticks = reach < 1.6 ? NEAR : reach < 4.5 ? MIDDLE : reach < 120 ? FAR : FARTHEST;
  char text[PLM_AXIS_TEXT];
  plm_text_add(script, "set %ctics ('%s' 1 0", which, factor_text(text, 1));
  for (int i = 0; i < (ticks == NEAR ? 5 : 6); i++) {
    if (ticks[i] <= axis->high)
      plm_text_add(script, ", '%s' %.6g 0", factor_text(text, ticks[i]), ticks[i]);
    if (1 / ticks[i] >= axis->low)
      plm_text_add(script, ", '%s' %.6g 0", factor_text(text, 1 / ticks[i]), 1 / ticks[i]);
  }
  plm_text_add(script, ")\n");
}

/* The ticks of a decade that have labels, by how much room there is. */
struct decade {
  int count;
  double at[8];
};
static const struct decade DECADES[] = {{7, {1, 1.5, 2, 3, 4, 5, 7}}, {3, {1, 2, 5}}, {2, {1, 3}}, {1, {1}}};
#define DECADE_KINDS (sizeof DECADES / sizeof *DECADES)

/* Labelled ticks within the range; the lists that are too long for ticks labels are passed over. */
static struct decade decade_choose(const struct plm_axis *axis, int ticks, int *every) {
  int first = (int)floor(log10(axis->low)), last = (int)ceil(log10(axis->high));
  *every = 1;
  for (size_t k = 0; k < DECADE_KINDS; k++) {
    int found = 0;
    for (int e = first; e <= last; e++)
      for (int i = 0; i < DECADES[k].count; i++) {
        double value = DECADES[k].at[i] * pow(10, e);
        found += value >= axis->low && value <= axis->high;
      }
    if (found <= ticks)
      return DECADES[k];
  }
  *every = (last - first + ticks - 1) / ticks;
  return DECADES[DECADE_KINDS - 1];
}

static int is_labelled(const struct decade *decade, double mantissa) {
  for (int i = 0; i < decade->count; i++)
    if (fabs(decade->at[i] - mantissa) < 1e-9)
      return 1;
  return 0;
}

static void ticks_log(struct plm_text *script, const struct plm_axis *axis, char which, int ticks) {
  int every, first = (int)floor(log10(axis->low)), last = (int)ceil(log10(axis->high)), begun = 0;
  struct decade decade = decade_choose(axis, ticks, &every);
  char text[PLM_AXIS_TEXT];
  plm_text_add(script, "set %ctics (", which);
  for (int e = first; e <= last; e++) {
    for (double m = 1; m < 10; m += m < 2 ? 0.5 : 1) {
      double value = m * pow(10, e);
      int labelled = is_labelled(&decade, m) && (e - first) % every == 0;
      if (value < axis->low * (1 - 1e-9) || value > axis->high * (1 + 1e-9) || (m == 1.5 && !labelled))
        continue;
      plm_text_add(script, "%s'%s' %.6g %d", begun ? ", " : "", labelled ? tick_text(text, axis, value) : "", value,
                   !labelled);
      begun = 1;
    }
  }
  plm_text_add(script, ")\n");
}

static double nice_step(double raw) {
  double unit = pow(10, floor(log10(raw)));
  return unit * (raw / unit <= 1 ? 1 : raw / unit <= 2 ? 2 : raw / unit <= 5 ? 5 : 10);
}

/* Less than a factor of 2.5: even steps, as on a linear axis. */
static void ticks_log_narrow(struct plm_text *script, const struct plm_axis *axis, char which, int ticks) {
  double step = nice_step((axis->high - axis->low) / (ticks < 5 ? ticks : 5));
  char text[PLM_AXIS_TEXT];
  int begun = 0;
  plm_text_add(script, "set %ctics (", which);
  for (double value = step * ceil(axis->low / step); value <= axis->high; value += step)
    plm_text_add(script, "%s'%s' %.8g 0", begun++ ? ", " : "", tick_text(text, axis, value), value);
  plm_text_add(script, ")\n");
}

static void ticks_linear(struct plm_text *script, const struct plm_axis *axis, char which, int ticks) {
  double step = nice_step((axis->high - axis->low) / ticks);
  int decimals = (int)fmax(0, -floor(log10(step) + 1e-9));
  plm_text_add(script, "set format %c '%%.%df'\nset %ctics %.10g\n", which, decimals, which, step);
}

void plm_axis_write(struct plm_text *script, const struct plm_axis *axis, char which, int ticks) {
  plm_text_add(script, is_log(axis) ? "set logscale %c\n" : "unset logscale %c\n", which);
  plm_text_add(script, "set %crange [%.10g:%.10g]\n", which, axis->low, axis->high);
  if (axis->kind == PLM_AXIS_FACTOR)
    ticks_factor(script, axis, which);
  else if (is_log(axis) && axis->high < 2.5 * axis->low)
    ticks_log_narrow(script, axis, which, ticks);
  else
    (is_log(axis) ? ticks_log : ticks_linear)(script, axis, which, ticks);
}

/* ------------------------------------------------------------ labels */

void plm_axis_spread(double *places, size_t count, double gap, double low, double high) {
  if (count == 0)
    return;
  if (gap * (double)(count - 1) > high - low)
    gap = count > 1 ? (high - low) / (double)(count - 1) : 0;
  /* Blocks of labels that touch share their mean displacement: the least squares answer, by pooling neighbours. */
  for (int pass = 0; pass < 200; pass++) {
    double moved = 0;
    for (size_t i = 1; i < count; i++) {
      double lack = gap - (places[i] - places[i - 1]);
      if (lack > 1e-9) {
        places[i - 1] -= lack / 2;
        places[i] += lack / 2;
        moved = fmax(moved, lack);
      }
    }
    places[0] = fmax(places[0], low);
    places[count - 1] = fmin(places[count - 1], high);
    if (moved < 1e-6)
      break;
  }
  for (size_t i = 1; i < count; i++) /* what is left over */
    places[i] = fmax(places[i], places[i - 1] + gap * (1 - 1e-6));
}
