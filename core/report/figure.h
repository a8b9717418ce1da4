/*
 * A figure on its way to the page: the numbers (NAME.tsv, blocks that begin with "# block"), the gnuplot script that draws
 * them (NAME.gp), and what is said about it. Texts from outside stand in the data only, never in a script, cleaned by
 * plm_figure_word; scripts put text in single quotes, and enhanced text is off.
 */
#ifndef PLM_REPORT_FIGURE_H
#define PLM_REPORT_FIGURE_H

#include "report/axis.h"
#include "report/colours.h"
#include "report/facts.h"
#include "report/text.h"

struct plm_figure {
  const char *name;  /* static; of the files, and of the element in the page */
  const char *title; /* static */
  struct plm_text data, script;
  struct plm_text caption; /* HTML */
  struct plm_text about;   /* plain text for who cannot see it */
  struct plm_text absent;  /* plain text: which data it lacks; not empty: there is no figure */
};

/* The figures of the report, in its order. make fills *out, which is zeroed but for name and title. */
struct plm_figure_kind {
  const char *name, *title;
  int (*make)(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err);
};
const struct plm_figure_kind *plm_figure_kinds(size_t *count);

void plm_figure_fini(struct plm_figure *figure);

/* The part of the picture that the axes span, in pixels from its left and top; and what the axes show. */
struct plm_panel {
  double width, height; /* of the whole picture */
  double left, right, top, bottom;
  struct plm_axis x, y;
};

/* Terminal, output, fonts, border, grid: the same for all. */
void plm_figure_begin(struct plm_figure *figure, double width, double height);

/* Margins, axes and their titles (static texts of ours, no quotes in them). */
void plm_figure_panel(struct plm_figure *figure, const struct plm_panel *panel, const char *x_title,
                      const char *y_title);

/* Begins a block of the data: plot 'NAME.tsv' index 'block'. */
void plm_figure_block(struct plm_figure *figure, const char *block, const char *columns);

/* "'NAME.tsv' index 'block'" into the script, after ", \" when it is not the first of its plot command. */
void plm_figure_plot(struct plm_figure *figure, const char *block, const char *how);

/* A text from outside as one word of the data: no tabs, quotes, backslashes or control characters, cut to some length. */
#define PLM_FIGURE_WORD 48
const char *plm_figure_word(char out[PLM_FIGURE_WORD], const char *text);

/* What is written beside the end of a line. */
struct plm_label {
  double x, y; /* the end of the line, in the units of the axes */
  enum plm_colour colour;
  char text[64];
};

/* Labels right of the panel, as near to the ends of their lines as they can stand without touching, with leaders: blocks
 * "leaders" and "labels" and their plot commands. Sorts the labels. */
void plm_figure_labels(struct plm_figure *figure, struct plm_label *labels, size_t count,
                       const struct plm_panel *panel);

int plm_figure_isoflop(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err);
int plm_figure_curves(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err);
int plm_figure_surface(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err);
int plm_figure_params(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err);
int plm_figure_tokens(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err);
int plm_figure_why(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err);
int plm_figure_holdout(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err);
int plm_figure_speed(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err);

#endif
