/* How far each single choice moves the best size: a tornado. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/figure.h"

#define BARS_MAX 24
#define BAR_PIXELS 25

static size_t bars_find(const struct plm_why_row **out, const struct plm_why *why, size_t *all) {
  size_t count = 0;
  *all = 0;
  for (size_t i = 1; why && i <= why->single_count; i++) { /* sorted, the largest first */
    const struct plm_why_row *row = &why->rows[i];
    if (!isfinite(row->moved))
      continue;
    if (count < BARS_MAX)
      out[count++] = row;
    ++*all;
  }
  return count;
}

static void bars_write(struct plm_figure *out, const struct plm_why *why, const struct plm_why_row *const *bars,
                       size_t count, const struct plm_panel *panel) {
  char chosen[64];
  plm_figure_block(out, "bars", "x, y, x low, x high, y low, y high, colour");
  for (size_t i = 0; i < count; i++) {
    double factor = pow(10, bars[i]->moved), y = -(double)i;
    enum plm_colour colour = fabs(bars[i]->moved) > PLM_LAW_DISAGREEMENT ? PLM_VERMILLION : PLM_MAIN;
    plm_text_add(&out->data, "%.6g\t%.6g\t%.6g\t%.6g\t%.6g\t%.6g\t%u\n", factor, y, fmin(1, factor), fmax(1, factor),
                 y - 0.32, y + 0.32, plm_colour_number(colour));
  }
  plm_figure_block(out, "names", "x, y, what was chosen otherwise");
  for (size_t i = 0; i < count; i++) {
    plm_why_chosen(chosen, sizeof chosen, why, bars[i], (enum plm_why_choice)bars[i]->single);
    plm_text_add(&out->data, "%.6g\t%.6g\t%s: %s\n", panel->x.low * (1 + 1e-4), -(double)i, /* not a digit outside the range */
                 plm_why_choice_name((enum plm_why_choice)bars[i]->single), chosen);
  }
  plm_figure_block(out, "values", "x, y, factor and exponent");
  for (size_t i = 0; i < count; i++) {
    double factor = pow(10, bars[i]->moved);
    plm_text_add(&out->data, "%.6g\t%.6g\t%s %.2f", fmax(1, factor), -(double)i, factor >= 1 ? "×" : "÷",
                 factor >= 1 ? factor : 1 / factor);
    plm_text_add(&out->data, bars[i]->has_exponents ? ",  a = %.3f\n" : "\n", bars[i]->a);
  }
}

static void script_write(struct plm_figure *out, const struct plm_panel *panel) {
  struct plm_text *s = &out->script;
  char how[200];
  plm_text_add(s, "unset ytics\nset border 1\nset grid xtics noytics\nset ylabel ''\n");
  plm_text_add(s, "set style fill solid 1 noborder\n");
  plm_text_add(s, "set arrow 1 from 1, graph 0 to 1, graph 1 nohead front linewidth 1.5 linecolor rgb '%s'\n",
               plm_colour_hex(PLM_INK));
  for (int side = -1, number = 2; side <= 1; side += 2, number++) {
    double at = pow(10, side * PLM_LAW_DISAGREEMENT);
    if (at > panel->x.low && at < panel->x.high)
      plm_text_add(s,
                   "set arrow %d from %.6g, graph 0 to %.6g, graph 1 nohead back linewidth 1.2 dashtype 2 linecolor rgb '%s'\n",
                   number, at, at, plm_colour_hex(PLM_MUTED));
  }
  plm_figure_plot(out, "bars", "using 1:2:3:4:5:6:7 with boxxyerror linecolor rgb variable");
  snprintf(how, sizeof how, "using 1:2:3 with labels right offset -0.8,0 textcolor rgb '%s'", plm_colour_hex(PLM_INK));
  plm_figure_plot(out, "names", how);
  snprintf(how, sizeof how, "using 1:2:3 with labels left offset 0.7,0 textcolor rgb '%s'", plm_colour_hex(PLM_INK));
  plm_figure_plot(out, "values", how);
}

static void caption_write(struct plm_figure *out, const struct plm_why *why, size_t shown, size_t all) {
  char n[PLM_AXIS_TEXT], c[PLM_AXIS_TEXT];
  plm_text_add(&out->caption,
               "Each bar changes one thing about the usual choices (<code>%s</code>, N of the layers, C = 6 N D, validation "
               "loss over &lt;mask&gt;, all budgets and seeds), which give N<sub>opt</sub> = %s at %s FLOP. Broken lines "
               "mark a factor of two to either side; bars beyond are orange. ",
               PLM_LAW_MAIN, plm_axis_count_text(n, why->rows[0].params), plm_axis_power_text(c, why->compute));
  if (shown < all)
    plm_text_add(&out->caption, "The %zu largest of %zu are shown. ", shown, all);
  plm_text_add(&out->caption, "Counting N another way changes what N<sub>opt</sub> means, so part of such a bar is the "
                              "definition itself.");
  plm_text_add(&out->about, "A tornado of %zu single choices and how far each moves the best model size.", shown);
}

int plm_figure_why(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err) {
  const struct plm_why_row *bars[BARS_MAX];
  size_t all, count = bars_find(bars, facts->why, &all);
  (void)err;
  if (!count) {
    plm_text_add(&out->absent, "It needs the usual choices (%s) and another one to both give a best size", PLM_LAW_MAIN);
    if (!facts->why)
      plm_text_add(&out->absent, ": %s", facts->why_absent);
    else if (!facts->why->rows[0].fitted)
      plm_text_add(&out->absent, "; the usual ones allow no fit: %s", facts->why->rows[0].reason);
    plm_text_add(&out->absent, ".");
    return 0;
  }
  struct plm_panel panel = {.width = 920, .left = 250, .right = 760, .top = 10,
                            .x = plm_axis_empty(PLM_AXIS_FACTOR), .y = plm_axis_empty(PLM_AXIS_LINEAR)};
  panel.bottom = panel.top + BAR_PIXELS * (double)count + 10;
  panel.height = panel.bottom + 70;
  plm_axis_cover(&panel.x, 0.8);
  plm_axis_cover(&panel.x, 1.25);
  for (size_t i = 0; i < count; i++)
    plm_axis_cover(&panel.x, pow(10, bars[i]->moved));
  plm_axis_pad(&panel.x, 0.03, 0.03);
  panel.y.low = -(double)count + 0.4;
  panel.y.high = 0.6;
  plm_figure_begin(out, panel.width, panel.height);
  plm_figure_panel(out, &panel, "best size against that of the usual choices", "");
  bars_write(out, facts->why, bars, count, &panel);
  script_write(out, &panel);
  caption_write(out, facts->why, count, all);
  return 0;
}
