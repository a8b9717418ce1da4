#include "report/figure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_PIXELS 17 /* from one line of text to the next */

const struct plm_figure_kind *plm_figure_kinds(size_t *count) {
  static const struct plm_figure_kind kinds[] = {
      {"isoflop", "Loss against model size at each budget", plm_figure_isoflop},
      {"params", "The best model size against compute", plm_figure_params},
      {"tokens", "The best number of tokens against compute", plm_figure_tokens},
      {"surface", "The fitted loss, and where the runs differ from it", plm_figure_surface},
      {"curves", "Every learning curve", plm_figure_curves},
      {"why", "What moves the answer", plm_figure_why},
      {"holdout", "Would smaller budgets have predicted the larger ones?", plm_figure_holdout},
      {"speed", "Training speed by device", plm_figure_speed},
  };
  *count = sizeof kinds / sizeof *kinds;
  return kinds;
}

void plm_figure_fini(struct plm_figure *figure) {
  plm_text_fini(&figure->data);
  plm_text_fini(&figure->script);
  plm_text_fini(&figure->caption);
  plm_text_fini(&figure->about);
  plm_text_fini(&figure->absent);
}

void plm_figure_begin(struct plm_figure *figure, double width, double height) {
  struct plm_text *s = &figure->script;
  plm_text_add(s, "# %s. Run in this folder: gnuplot %s.gp\n", figure->title, figure->name);
  plm_text_add(s, "set encoding utf8\n");
  plm_text_add(s, "set terminal svg size %.0f,%.0f dynamic noenhanced rounded font 'sans-serif,15' name '%s'\n", width,
               height, figure->name);
  plm_text_add(s, "set output '%s.svg'\n", figure->name);
  plm_text_add(s, "set datafile separator tab\n");
  plm_text_add(s, "unset key\n");
  plm_text_add(s, "set border 3 linewidth 1 linecolor rgb '%s'\n", plm_colour_hex(PLM_MUTED));
  plm_text_add(s, "set tics out nomirror scale 0.5,0.25 textcolor rgb '%s'\n", plm_colour_hex(PLM_INK));
  plm_text_add(s, "set grid xtics ytics back linewidth 1 linecolor rgb '%s'\n", plm_colour_hex(PLM_GRID));
}

void plm_figure_panel(struct plm_figure *figure, const struct plm_panel *p, const char *x_title, const char *y_title) {
  struct plm_text *s = &figure->script;
  plm_text_add(s, "set lmargin at screen %.5f\nset rmargin at screen %.5f\n", p->left / p->width, p->right / p->width);
  plm_text_add(s, "set bmargin at screen %.5f\nset tmargin at screen %.5f\n", 1 - p->bottom / p->height,
               1 - p->top / p->height);
  plm_axis_write(s, &p->x, 'x', (int)fmax(2, (p->right - p->left) / 85));
  plm_axis_write(s, &p->y, 'y', (int)fmax(2, (p->bottom - p->top) / 48));
  plm_text_add(s, "set xlabel '%s' textcolor rgb '%s'\n", x_title, plm_colour_hex(PLM_INK));
  plm_text_add(s, "set ylabel '%s' textcolor rgb '%s'\n", y_title, plm_colour_hex(PLM_INK));
}

void plm_figure_block(struct plm_figure *figure, const char *block, const char *columns) {
  plm_text_add(&figure->data, "%s# %s\n# columns: %s\n", figure->data.length ? "\n\n" : "", block, columns);
}

void plm_figure_plot(struct plm_figure *figure, const char *block, const char *how) {
  struct plm_text *s = &figure->script;
  int first = !s->data || s->length < 1 || s->data[s->length - 1] == '\n';
  plm_text_add(s, "%s'%s.tsv' index '%s' %s notitle", first ? "plot " : ", \\\n  ", figure->name, block, how);
}

const char *plm_figure_word(char out[PLM_FIGURE_WORD], const char *text) {
  size_t used = 0;
  for (const unsigned char *s = (const unsigned char *)text; *s && used < PLM_FIGURE_WORD - 5; s++)
    out[used++] = *s < 0x20 || *s >= 0x7f || *s == '"' || *s == '\'' || *s == '\\' || *s == '`' ? '?' : (char)*s;
  out[used] = 0;
  if (strlen(text) > used)
    strcpy(out + used, "…");
  return out;
}

static int label_order(const void *a, const void *b) {
  const struct plm_label *p = a, *q = b;
  return (p->y > q->y) - (p->y < q->y);
}

void plm_figure_labels(struct plm_figure *figure, struct plm_label *labels, size_t count,
                       const struct plm_panel *panel) {
  double height = panel->bottom - panel->top, *places = count ? calloc(count, sizeof *places) : NULL;
  if (!places) {
    figure->data.exhausted |= count > 0;
    return;
  }
  qsort(labels, count, sizeof *labels, label_order);
  for (size_t i = 0; i < count; i++)
    places[i] = plm_axis_place(&panel->y, labels[i].y);
  plm_axis_spread(places, count, LABEL_PIXELS / height, 0.01, 0.99);
  double edge = plm_axis_value(&panel->x, 1 - 1e-5); /* what is beyond the axis is not drawn */
  plm_figure_block(figure, "leaders", "x, y");
  for (size_t i = 0; i < count; i++)
    plm_text_add(&figure->data, "%.8g\t%.8g\n%.8g\t%.8g\n\n", labels[i].x, labels[i].y, edge,
                 plm_axis_value(&panel->y, places[i]));
  plm_figure_block(figure, "labels", "x, y, text, colour");
  for (size_t i = 0; i < count; i++)
    plm_text_add(&figure->data, "%.8g\t%.8g\t%s\t%u\n", edge, plm_axis_value(&panel->y, places[i]), labels[i].text,
                 plm_colour_number(labels[i].colour));
  char how[120];
  snprintf(how, sizeof how, "using 1:2 with lines linewidth 0.6 linecolor rgb '%s'", plm_colour_hex(PLM_MUTED));
  plm_figure_plot(figure, "leaders", how);
  plm_figure_plot(figure, "labels", "using 1:2:3:4 with labels left offset 0.7,0 textcolor rgb variable");
  free(places);
}
