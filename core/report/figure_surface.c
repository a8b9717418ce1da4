/* The fitted surface L(N, D) as contours, the runs on it, and how far each lies off. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "law/surface.h"
#include "report/figure.h"

#define CONTOUR_STEPS 160
#define CONTOURS 9

static const struct plm_fit *surface_fit(const struct plm_facts *facts) {
  const struct plm_fit *found = NULL;
  for (size_t i = 0; i < facts->law->fit_count; i++) {
    const struct plm_fit *fit = &facts->law->fits[i];
    if (fit->has_surface && (!found || fit == facts->main || !strcmp(fit->estimator, PLM_LAW_MAIN)))
      found = fit;
  }
  return found;
}

/* What a residual is held against, nats: the noise of a run, or the scatter of the residuals themselves. */
static double scale_of(const struct plm_facts *facts, const struct plm_surface *surface) {
  double squares = 0, loss = 0;
  for (size_t i = 0; i < facts->points.count; i++) {
    const struct plm_point *p = &facts->points.items[i];
    double r = p->loss - plm_surface_loss(surface, p->params, p->tokens);
    squares += r * r;
    loss += p->loss;
  }
  double count = (double)facts->points.count;
  return facts->law->noise.freedom && facts->law->noise.sigma > 0 ? facts->law->noise.sigma * loss / count
                                                                   : sqrt(squares / count);
}

static enum plm_colour residual_colour(double residual, double scale) {
  double r = residual / scale;
  return r < -2 ? PLM_BELOW_FAR : r < -1 ? PLM_BELOW : r <= 1 ? PLM_NEAR : r <= 2 ? PLM_ABOVE : PLM_ABOVE_FAR;
}

/* D at which a model of that size has that loss: the surface solved for D. NAN when no D is enough. */
static double contour_tokens(const struct plm_surface *s, double loss, double params) {
  double rest = loss - s->E - s->A * pow(params, -s->alpha);
  return rest > 0 ? pow(s->B / rest, 1 / s->beta) : (double)NAN;
}

static int contour_write(struct plm_figure *out, const struct plm_surface *s, double loss, const struct plm_panel *panel,
                         struct plm_label *label) {
  int any = 0;
  for (int k = 0; k <= CONTOUR_STEPS; k++) {
    double params = plm_axis_value(&panel->x, (double)k / CONTOUR_STEPS), tokens = contour_tokens(s, loss, params);
    if (!(tokens >= panel->y.low && tokens <= panel->y.high))
      continue;
    plm_text_add(&out->data, "%.7g\t%.7g\n", params, tokens);
    *label = (struct plm_label){.x = params, .y = tokens, .colour = PLM_MUTED};
    any = k;
  }
  plm_text_add(&out->data, "\n");
  return any == CONTOUR_STEPS; /* only those that reach the right have room for a label */
}

static size_t contours_write(struct plm_figure *out, const struct plm_facts *facts, const struct plm_surface *s,
                             const struct plm_panel *panel, struct plm_label *labels) {
  double least = INFINITY, most = -INFINITY;
  for (size_t i = 0; i < facts->points.count; i++) {
    double loss = plm_surface_loss(s, facts->points.items[i].params, facts->points.items[i].tokens);
    least = fmin(least, loss);
    most = fmax(most, loss);
  }
  least = fmin(least, plm_surface_loss(s, panel->x.high, panel->y.high));
  double raw = fmax((most - least) / CONTOURS, 1e-6), unit = pow(10, floor(log10(raw)));
  double step = unit * (raw / unit <= 1 ? 1 : raw / unit <= 2 ? 2 : raw / unit <= 5 ? 5 : 10);
  int decimals = (int)fmax(0, -floor(log10(step) + 1e-9));
  size_t count = 0;
  plm_figure_block(out, "contours", "N, D of one loss; one contour after the other");
  for (double level = step * ceil(least / step); level <= most && count < 2 * CONTOURS; level += step) {
    if (!contour_write(out, s, level, panel, &labels[count]))
      continue;
    snprintf(labels[count].text, sizeof labels[count].text, "%.*f nats", decimals, level);
    count++;
  }
  char how[120];
  snprintf(how, sizeof how, "using 1:2 with lines linewidth 1.3 linecolor rgb '%s'", plm_colour_hex(PLM_MUTED));
  plm_figure_plot(out, "contours", how);
  return count;
}

/* The best model at each compute, within the picture. */
static void path_write(struct plm_figure *out, const struct plm_facts *facts, const struct plm_surface *s,
                       const struct plm_panel *panel) {
  struct plm_optimum last = {0};
  int any = 0;
  for (int k = 0; k <= 60; k++) {
    double low = facts->law->compute_min / 30, high = facts->law->compute_max * 30;
    struct plm_optimum o = {.compute = low * pow(high / low, k / 60.0)};
    plm_surface_optimum(&o, s, &facts->law->cost);
    if (!(o.params >= panel->x.low && o.params <= panel->x.high && o.tokens >= panel->y.low && o.tokens <= panel->y.high))
      continue;
    if (!any++)
      plm_figure_block(out, "path", "N_opt, D_opt along compute");
    last = o;
    plm_text_add(&out->data, "%.7g\t%.7g\n", o.params, o.tokens);
  }
  char how[120];
  snprintf(how, sizeof how, "using 1:2 with lines linewidth 2.4 linecolor rgb '%s'", plm_colour_hex(PLM_MAIN));
  if (!any)
    return;
  plm_figure_plot(out, "path", how);
  plm_figure_block(out, "path_name", "x, y, text");
  plm_text_add(&out->data, "%.7g\t%.7g\tbest model\n", last.params, last.tokens);
  snprintf(how, sizeof how, "using 1:2:3 with labels left offset 0.4,0.6 textcolor rgb '%s'", plm_colour_hex(PLM_MAIN));
  plm_figure_plot(out, "path_name", how);
}

static void runs_write(struct plm_figure *out, const struct plm_facts *facts, const struct plm_surface *s, double scale) {
  char how[160];
  plm_figure_block(out, "runs", "N, D, colour, loss, measured less fitted in nats");
  for (size_t i = 0; i < facts->points.count; i++) {
    const struct plm_point *p = &facts->points.items[i];
    double residual = p->loss - plm_surface_loss(s, p->params, p->tokens);
    plm_text_add(&out->data, "%.7g\t%.7g\t%u\t%.7g\t%.4g\n", p->params, p->tokens,
                 plm_colour_number(residual_colour(residual, scale)), p->loss, residual);
  }
  snprintf(how, sizeof how, "using 1:2 with points pointtype 7 pointsize 1.25 linecolor rgb '%s'", plm_colour_hex(PLM_INK));
  plm_figure_plot(out, "runs", how);
  plm_figure_plot(out, "runs", "using 1:2:3 with points pointtype 7 pointsize 1.0 linecolor rgb variable");
}

static void caption_write(struct plm_figure *out, const struct plm_facts *facts, const struct plm_fit *fit, double scale) {
  static const struct {
    const char *variable, *text;
  } swatches[] = {{"below-far", "more than twice that below"}, {"below", "once to twice below"}, {"near", "within"},
                  {"above", "once to twice above"}, {"above-far", "more than twice above"}};
  double squares = 0, worst = 0;
  for (size_t i = 0; i < facts->points.count; i++) {
    const struct plm_point *p = &facts->points.items[i];
    double r = p->loss - plm_surface_loss(&fit->surface, p->params, p->tokens);
    squares += r * r;
    worst = fmax(worst, fabs(r));
  }
  plm_text_add(&out->caption,
               "Contours of the loss by <code>%s</code>, E + A/N<sup>α</sup> + B/D<sup>β</sup>. Dots are the runs, coloured "
               "by measured less fitted loss, in units of %.4f&nbsp;nats (%s):",
               fit->estimator, scale,
               facts->law->noise.freedom ? "the noise of a run" : "the root mean square of these differences");
  for (size_t i = 0; i < sizeof swatches / sizeof *swatches; i++)
    plm_text_add(&out->caption, " <span class=\"key\"><i style=\"background:var(--%s)\"></i>%s</span>", swatches[i].variable,
                 swatches[i].text);
  plm_text_add(&out->caption, " Blue line: the best model at each compute by this surface. The fit misses the runs by %.4f&nbsp;nats "
                              "(root mean square), at most by %.4f.",
               sqrt(squares / (double)facts->points.count), worst);
  if (facts->main && facts->main != fit)
    plm_text_add(&out->caption, " The answer above is not from it but from <code>%s</code>.", facts->main->estimator);
  plm_text_add(&out->about, "Contours of fitted loss over model size and tokens, with %zu runs coloured by residual.",
               facts->points.count);
}

int plm_figure_surface(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err) {
  const struct plm_fit *fit = surface_fit(facts);
  struct plm_panel panel = {.width = 920, .height = 540, .left = 96, .right = 800, .top = 32, .bottom = 470,
                            .x = plm_axis_empty(PLM_AXIS_COUNT), .y = plm_axis_empty(PLM_AXIS_COUNT)};
  struct plm_label labels[2 * CONTOURS];
  (void)err;
  if (!fit) {
    plm_text_add(&out->absent, "It needs a fitted surface of loss over N and D, and no estimator of one could be fitted.");
    return 0;
  }
  for (size_t i = 0; i < facts->points.count; i++) {
    plm_axis_cover(&panel.x, facts->points.items[i].params);
    plm_axis_cover(&panel.y, facts->points.items[i].tokens);
  }
  plm_axis_pad(&panel.x, 0.06, 0.06);
  plm_axis_pad(&panel.y, 0.06, 0.06);
  double scale = scale_of(facts, &fit->surface);
  scale = scale > 0 ? scale : 1e-12;
  plm_figure_begin(out, panel.width, panel.height);
  plm_figure_panel(out, &panel, "model size N, parameters of the layers", "tokens D");
  size_t count = contours_write(out, facts, &fit->surface, &panel, labels);
  path_write(out, facts, &fit->surface, &panel);
  runs_write(out, facts, &fit->surface, scale);
  plm_figure_labels(out, labels, count, &panel);
  caption_write(out, facts, fit, scale);
  return 0;
}
