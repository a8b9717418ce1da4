/* Loss against model size, a curve for each compute budget (Hoffmann et al. 2022, approach 2). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/figure.h"

#define STEPS 60

/* The points of one budget, of at least 3 sizes; from first to end in facts->points. */
struct budget {
  size_t first, end;
  const struct plm_optimum *minimum; /* of its parabola; NULL when that was refused */
  double curvature;
  enum plm_colour colour;
};

static size_t sizes_count(const struct plm_point *points, size_t first, size_t end) {
  double sizes[512];
  size_t count = 0;
  for (size_t i = first; i < end && count < 512; i++)
    sizes[count++] = points[i].params;
  return plm_points_distinct(sizes, count);
}

static const struct plm_fit *parabola_of(const struct plm_law *law) {
  for (size_t i = 0; i < law->fit_count; i++)
    if (!strcmp(law->fits[i].estimator, "parabola"))
      return &law->fits[i];
  return NULL;
}

static const struct plm_optimum *minimum_at(const struct plm_fit *fit, double budget) {
  for (size_t i = 0; fit && i < fit->optimum_count; i++)
    if (fit->optimum[i].known && isfinite(fit->optimum[i].loss) &&
        fabs(fit->optimum[i].compute - budget) <= 1e-9 * budget)
      return &fit->optimum[i];
  return NULL;
}

/* The fitted parabola has its vertex at the minimum, so that what is left of it by least squares is one number. */
static double curvature_find(const struct plm_point *points, const struct budget *b) {
  double top = 0, below = 0;
  for (size_t i = b->first; i < b->end; i++) {
    double x = log(points[i].params / b->minimum->params), square = x * x;
    top += points[i].weight * square * (points[i].loss - b->minimum->loss);
    below += points[i].weight * square * square;
  }
  return below > 0 ? top / below : 0;
}

static size_t budgets_find(struct budget *out, size_t most, const struct plm_facts *facts) {
  const struct plm_point *points = facts->points.items;
  const struct plm_fit *fit = parabola_of(facts->law);
  size_t count = 0;
  for (size_t first = 0, end; first < facts->points.count && count < most; first = end) {
    end = plm_budgets_end(points, facts->points.count, first);
    if (sizes_count(points, first, end) < 3)
      continue;
    out[count] = (struct budget){.first = first, .end = end, .minimum = minimum_at(fit, points[first].budget)};
    if (out[count].minimum)
      out[count].curvature = curvature_find(points, &out[count]);
    count++;
  }
  for (size_t i = 0; i < count; i++)
    out[i].colour = plm_colour_ramp(i, count);
  return count;
}

static double parabola_loss(const struct budget *b, double params) {
  double x = log(params / b->minimum->params);
  return b->minimum->loss + b->curvature * x * x;
}

/* The drawn line of one budget: its parabola, or, when there is none, its points joined. */
static void line_write(struct plm_figure *out, const struct plm_point *points, const struct budget *b) {
  unsigned colour = plm_colour_number(b->colour);
  double low = points[b->first].params, high = points[b->end - 1].params;
  if (!b->minimum) {
    for (size_t i = b->first; i < b->end; i++)
      plm_text_add(&out->data, "%.8g\t%.8g\t%u\n", points[i].params, points[i].loss, colour);
  } else {
    for (int k = 0; k <= STEPS; k++) {
      double params = low * pow(high / low, (double)k / STEPS);
      plm_text_add(&out->data, "%.8g\t%.8g\t%u\n", params, parabola_loss(b, params), colour);
    }
  }
  plm_text_add(&out->data, "\n");
}

static void lines_write(struct plm_figure *out, const struct plm_point *points, const struct budget *budgets,
                        size_t count, int fitted) {
  size_t written = 0;
  for (size_t i = 0; i < count; i++)
    written += (budgets[i].minimum != NULL) == fitted;
  if (!written)
    return;
  plm_figure_block(out, fitted ? "parabolas" : "joined", "N, loss in nats, colour");
  for (size_t i = 0; i < count; i++)
    if ((budgets[i].minimum != NULL) == fitted)
      line_write(out, points, &budgets[i]);
  plm_figure_plot(out, fitted ? "parabolas" : "joined",
                  fitted ? "using 1:2:3 with lines linewidth 2 linecolor rgb variable"
                         : "using 1:2:3 with lines linewidth 1 dashtype 2 linecolor rgb variable");
}

static void points_write(struct plm_figure *out, const struct plm_point *points, const struct budget *budgets,
                         size_t count) {
  plm_figure_block(out, "runs", "N, loss in nats, colour, C in FLOP, D, seed");
  for (size_t i = 0; i < count; i++)
    for (size_t k = budgets[i].first; k < budgets[i].end; k++)
      plm_text_add(&out->data, "%.8g\t%.8g\t%u\t%.8g\t%.8g\t%llu\n", points[k].params, points[k].loss,
                   plm_colour_number(budgets[i].colour), points[k].compute, points[k].tokens,
                   (unsigned long long)points[k].seed);
  plm_figure_plot(out, "runs", "using 1:2:3 with points pointtype 7 pointsize 0.75 linecolor rgb variable");
}

static double low_of(const struct plm_interval *interval, double value) { return interval->known ? interval->low : value; }
static double high_of(const struct plm_interval *interval, double value) { return interval->known ? interval->high : value; }

static void minima_write(struct plm_figure *out, const struct budget *budgets, size_t count) {
  size_t written = 0;
  for (size_t i = 0; i < count; i++)
    written += budgets[i].minimum != NULL;
  if (!written)
    return;
  plm_figure_block(out, "minima", "N_opt, loss, N_opt low, high (95 %), loss low, high (95 %)");
  for (size_t i = 0; i < count; i++) {
    const struct plm_optimum *m = budgets[i].minimum;
    if (m)
      plm_text_add(&out->data, "%.8g\t%.8g\t%.8g\t%.8g\t%.8g\t%.8g\n", m->params, m->loss,
                   low_of(&m->params_interval, m->params), high_of(&m->params_interval, m->params),
                   low_of(&m->loss_interval, m->loss), high_of(&m->loss_interval, m->loss));
  }
  char how[200];
  snprintf(how, sizeof how,
           "using 1:2:3:4:5:6 with xyerrorbars pointtype 13 pointsize 1.3 linewidth 1.6 linecolor rgb '%s'",
           plm_colour_hex(PLM_VERMILLION));
  plm_figure_plot(out, "minima", how);
}

static void panel_fit(struct plm_panel *panel, const struct plm_point *points, const struct budget *budgets,
                      size_t count) {
  for (size_t i = 0; i < count; i++) {
    for (size_t k = budgets[i].first; k < budgets[i].end; k++) {
      plm_axis_cover(&panel->x, points[k].params);
      plm_axis_cover(&panel->y, points[k].loss);
    }
    if (budgets[i].minimum)
      plm_axis_cover(&panel->y, budgets[i].minimum->loss);
  }
  plm_axis_pad(&panel->x, 0.05, 0.04);
  plm_axis_pad(&panel->y, 0.08, 0.05);
}

static void labels_write(struct plm_figure *out, const struct plm_point *points, const struct budget *budgets,
                         size_t count, const struct plm_panel *panel) {
  struct plm_label labels[64];
  char text[PLM_AXIS_TEXT];
  for (size_t i = 0; i < count; i++) {
    const struct plm_point *last = &points[budgets[i].end - 1];
    labels[i] = (struct plm_label){.x = last->params,
                                   .y = budgets[i].minimum ? parabola_loss(&budgets[i], last->params) : last->loss,
                                   .colour = budgets[i].colour};
    labels[i].y = fmin(fmax(labels[i].y, panel->y.low), panel->y.high);
    snprintf(labels[i].text, sizeof labels[i].text, "%s FLOP", plm_axis_power_text(text, last->budget));
  }
  plm_figure_labels(out, labels, count, panel);
}

static void caption_write(struct plm_figure *out, const struct plm_facts *facts, const struct budget *budgets,
                          size_t count) {
  size_t minima = 0, bars = 0;
  for (size_t i = 0; i < count; i++) {
    minima += budgets[i].minimum != NULL;
    bars += budgets[i].minimum && budgets[i].minimum->params_interval.known;
  }
  plm_text_add(&out->caption, "Each dot is a trained model, each curve the parabola through the models of one compute "
                              "budget. ");
  if (minima)
    plm_text_add(&out->caption, "Diamonds are the minima of the parabolas%s. ",
                 bars ? ", bars their 95&nbsp;% bootstrap intervals in size and in loss" : "; there are no intervals");
  if (minima < count)
    plm_text_add(&out->caption,
                 "%zu of %zu budgets %s no minimum between the smallest and the largest size: their points are joined by "
                 "a broken line, and they say nothing about the best size. ",
                 count - minima, count, count - minima == 1 ? "has" : "have");
  plm_text_add(&out->about, "Validation loss against model size for %zu compute budgets, %zu runs, %zu minima.", count,
               facts->points.count, minima);
}

int plm_figure_isoflop(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err) {
  struct budget budgets[64];
  size_t count = budgets_find(budgets, 64, facts);
  struct plm_panel panel = {.width = 920, .height = 490, .left = 96, .right = 780, .top = 16, .bottom = 420,
                            .x = plm_axis_empty(PLM_AXIS_COUNT), .y = plm_axis_empty(PLM_AXIS_LINEAR)};
  (void)err;
  if (!count) {
    plm_text_add(&out->absent, "It needs a compute budget with finished runs of at least 3 sizes; this study has none.");
    return 0;
  }
  panel_fit(&panel, facts->points.items, budgets, count);
  plm_figure_begin(out, panel.width, panel.height);
  plm_figure_panel(out, &panel, "model size N, parameters of the layers", "validation loss over <mask>, nats");
  lines_write(out, facts->points.items, budgets, count, 1);
  lines_write(out, facts->points.items, budgets, count, 0);
  points_write(out, facts->points.items, budgets, count);
  minima_write(out, budgets, count);
  labels_write(out, facts->points.items, budgets, count, &panel);
  caption_write(out, facts, budgets, count);
  return 0;
}
