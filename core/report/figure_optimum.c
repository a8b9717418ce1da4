/* N_opt and D_opt against compute: the main estimator with its band, the others, and published exponents. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/figure.h"
#include "report/published.h"

#define LABELS_MAX 32

/* Which of the two is drawn. */
struct quantity {
  int tokens;
  const char *symbol, *axis;
};

static double value_of(const struct quantity *q, const struct plm_optimum *o) { return q->tokens ? o->tokens : o->params; }

static const struct plm_interval *interval_of(const struct quantity *q, const struct plm_optimum *o) {
  return q->tokens ? &o->tokens_interval : &o->params_interval;
}

static double published_exponent(const struct quantity *q, const struct plm_published *p) { return q->tokens ? p->b : p->a; }

/* Of the measured budgets and the range of the line. */
static void panel_fit(struct plm_panel *panel, const struct quantity *q, const struct plm_facts *facts) {
  const struct plm_fit *line = &facts->line->fits[0];
  const struct plm_optimum *best = plm_facts_best(facts);
  size_t count;
  const struct plm_published *published = plm_published(&count);
  for (size_t i = 0; i < line->optimum_count; i++)
    plm_axis_cover(&panel->x, line->optimum[i].compute);
  for (size_t f = 0; f < facts->law->fit_count; f++)
    for (size_t i = 0; i < facts->law->fits[f].optimum_count; i++)
      if (facts->law->fits[f].optimum[i].known)
        plm_axis_cover(&panel->y, value_of(q, &facts->law->fits[f].optimum[i]));
  for (size_t i = 0; i < line->optimum_count; i++)
    if (line->optimum[i].known)
      plm_axis_cover(&panel->y, value_of(q, &line->optimum[i]));
  for (size_t i = 0; i < facts->main->optimum_count; i++)
    if (facts->main->optimum[i].known && interval_of(q, &facts->main->optimum[i])->known) {
      plm_axis_cover(&panel->y, interval_of(q, &facts->main->optimum[i])->low);
      plm_axis_cover(&panel->y, interval_of(q, &facts->main->optimum[i])->high);
    }
  for (size_t i = 0; i < count; i++)
    plm_axis_cover(&panel->y, value_of(q, best) * pow(panel->x.low / best->compute, published_exponent(q, &published[i])));
  plm_axis_pad(&panel->y, 0.06, 0.06);
}

static void band_write(struct plm_figure *out, const struct quantity *q, const struct plm_fit *line) {
  int any = 0;
  for (size_t i = 0; i < line->optimum_count; i++) {
    const struct plm_optimum *o = &line->optimum[i];
    if (!o->known || !interval_of(q, o)->known)
      continue;
    if (!any++)
      plm_figure_block(out, "band", "C in FLOP, low, high (95 %)");
    plm_text_add(&out->data, "%.8g\t%.8g\t%.8g\n", o->compute, interval_of(q, o)->low, interval_of(q, o)->high);
  }
  char how[120];
  snprintf(how, sizeof how, "using 1:2:3 with filledcurves fillcolor rgb '%s'", plm_colour_hex(PLM_BAND));
  if (any)
    plm_figure_plot(out, "band", how);
}

static void label_add(struct plm_label *labels, size_t *count, double x, double y, enum plm_colour colour,
                      const char *text) {
  if (*count == LABELS_MAX)
    return;
  labels[*count] = (struct plm_label){.x = x, .y = y, .colour = colour};
  snprintf(labels[*count].text, sizeof labels[*count].text, "%.60s", text);
  ++*count;
}

/* Published slopes through this study's own optimum. */
static void published_write(struct plm_figure *out, const struct quantity *q, const struct plm_facts *facts,
                            const struct plm_panel *panel, struct plm_label *labels, size_t *label_count) {
  const struct plm_optimum *best = plm_facts_best(facts);
  size_t count;
  const struct plm_published *table = plm_published(&count);
  char text[64];
  plm_figure_block(out, "published", "C in FLOP, published slope through the optimum of this study");
  for (size_t i = 0; i < count; i++) {
    double exponent = published_exponent(q, &table[i]), y = 0;
    for (int k = 0; k < 2; k++) {
      double c = k ? panel->x.high : panel->x.low;
      y = value_of(q, best) * pow(c / best->compute, exponent);
      plm_text_add(&out->data, "%.8g\t%.8g\n", c, y);
    }
    plm_text_add(&out->data, "\n");
    snprintf(text, sizeof text, "slope %.3g %s", exponent, table[i].name);
    label_add(labels, label_count, panel->x.high, y, PLM_VERMILLION, text);
  }
  char how[120];
  snprintf(how, sizeof how, "using 1:2 with lines linewidth 1.3 dashtype 2 linecolor rgb '%s'",
           plm_colour_hex(PLM_VERMILLION));
  plm_figure_plot(out, "published", how);
}

/* Every other estimator, joined from budget to budget. */
static void others_write(struct plm_figure *out, const struct quantity *q, const struct plm_facts *facts,
                         struct plm_label *labels, size_t *label_count) {
  int any = 0;
  for (size_t f = 0; f < facts->law->fit_count; f++) {
    const struct plm_fit *fit = &facts->law->fits[f];
    const struct plm_optimum *last = NULL;
    for (size_t i = 0; fit != facts->main && i < fit->optimum_count; i++) {
      if (!fit->optimum[i].known)
        continue;
      if (!any++)
        plm_figure_block(out, "others", "C in FLOP, optimum; one estimator after the other");
      last = &fit->optimum[i];
      plm_text_add(&out->data, "%.8g\t%.8g\n", last->compute, value_of(q, last));
    }
    if (last) {
      plm_text_add(&out->data, "\n");
      label_add(labels, label_count, last->compute, value_of(q, last), PLM_MUTED, fit->estimator);
    }
  }
  char how[160];
  snprintf(how, sizeof how, "using 1:2 with linespoints linewidth 1 pointtype 6 pointsize 0.5 linecolor rgb '%s'",
           plm_colour_hex(PLM_MUTED));
  if (any)
    plm_figure_plot(out, "others", how);
}

static void main_write(struct plm_figure *out, const struct quantity *q, const struct plm_facts *facts,
                       struct plm_label *labels, size_t *label_count) {
  const struct plm_fit *line = &facts->line->fits[0];
  const struct plm_optimum *last = NULL;
  char how[160], text[64];
  plm_figure_block(out, "line", "C in FLOP, optimum by the main estimator");
  for (size_t i = 0; i < line->optimum_count; i++)
    if (line->optimum[i].known) {
      last = &line->optimum[i];
      plm_text_add(&out->data, "%.8g\t%.8g\n", last->compute, value_of(q, last));
    }
  plm_figure_block(out, "optima", "C in FLOP, optimum at the measured budgets, low, high (95 %)");
  for (size_t i = 0; i < facts->main->optimum_count; i++) {
    const struct plm_optimum *o = &facts->main->optimum[i];
    const struct plm_interval *interval = interval_of(q, o);
    if (o->known)
      plm_text_add(&out->data, "%.8g\t%.8g\t%.8g\t%.8g\n", o->compute, value_of(q, o),
                   interval->known ? interval->low : value_of(q, o), interval->known ? interval->high : value_of(q, o));
  }
  snprintf(how, sizeof how, "using 1:2 with lines linewidth 2.4 linecolor rgb '%s'", plm_colour_hex(PLM_MAIN));
  plm_figure_plot(out, "line", how);
  snprintf(how, sizeof how,
           "using 1:2:3:4 with yerrorbars pointtype 7 pointsize 0.9 linewidth 1.6 linecolor rgb '%s'",
           plm_colour_hex(PLM_MAIN));
  plm_figure_plot(out, "optima", how);
  snprintf(text, sizeof text, "slope %.3f %s", q->tokens ? facts->main->b : facts->main->a, facts->main->estimator);
  if (last)
    label_add(labels, label_count, last->compute, value_of(q, last), PLM_MAIN, text);
}

static void caption_write(struct plm_figure *out, const struct quantity *q, const struct plm_facts *facts) {
  size_t count;
  const struct plm_published *table = plm_published(&count);
  plm_text_add(&out->caption,
               "Blue: %s by <code>%s</code>%s. Grey: every other estimator, where it has an answer. Broken lines: "
               "published exponents of %s; only their slope is theirs, each is drawn through this study's optimum at its "
               "largest budget. ",
               q->symbol, facts->main->estimator,
               facts->options.draws ? ", with its 95&nbsp;% bootstrap interval where there is one" : "",
               q->tokens ? "D<sub>opt</sub>" : "N<sub>opt</sub>");
  for (size_t i = 0; i < count; i++)
    plm_text_add(&out->caption, q->tokens ? "%s%.3g: %s" : "%s%.3g: %s (%s)", i ? "; " : "",
                 published_exponent(q, &table[i]), q->tokens ? table[i].name : table[i].source, table[i].what);
  plm_text_add(&out->caption, q->tokens ? ". Their sources are named under the best model size." : ".");
  plm_text_add(&out->about, "%s against compute: slope %.3f by %s, beside published slopes.",
               q->tokens ? "Optimal tokens" : "Optimal size", q->tokens ? facts->main->b : facts->main->a,
               facts->main->estimator);
}

static int optimum_draw(struct plm_figure *out, const struct quantity *q, const struct plm_facts *facts) {
  struct plm_panel panel = {.width = 920, .height = 490, .left = 96, .right = 690, .top = 16, .bottom = 420,
                            .x = plm_axis_empty(PLM_AXIS_POWER), .y = plm_axis_empty(PLM_AXIS_COUNT)};
  struct plm_label labels[LABELS_MAX];
  size_t count = 0;
  if (!facts->main || !facts->line || !facts->line->fit_count) {
    plm_text_add(&out->absent, "It needs a law with exponents, and no estimator could be fitted to these runs.");
    return 0;
  }
  panel_fit(&panel, q, facts);
  plm_figure_begin(out, panel.width, panel.height);
  plm_figure_panel(out, &panel, "compute C = 6 N D, FLOP", q->axis);
  band_write(out, q, &facts->line->fits[0]);
  published_write(out, q, facts, &panel, labels, &count);
  others_write(out, q, facts, labels, &count);
  main_write(out, q, facts, labels, &count);
  plm_figure_labels(out, labels, count, &panel);
  caption_write(out, q, facts);
  return 0;
}

int plm_figure_params(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err) {
  const struct quantity q = {0, "N<sub>opt</sub>", "best model size, parameters"};
  (void)err;
  return optimum_draw(out, &q, facts);
}

int plm_figure_tokens(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err) {
  const struct quantity q = {1, "D<sub>opt</sub>", "best number of tokens"};
  (void)err;
  return optimum_draw(out, &q, facts);
}
