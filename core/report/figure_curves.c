/* All learning curves against compute, and the lowest loss that any of them has at each. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "report/figure.h"

#define CURVE_STEPS 300
#define STEPS_MIN 20
#define ENVELOPE_STEPS 240
#define SKIP 0.01 /* share of a run at its start that is not drawn: warm-up, above everything else */
#define LABELS_MAX 12

/* The curve of a run as it is drawn: about CURVE_STEPS values, evenly spaced in the logarithm of the step. */
struct curve {
  double params, compute; /* of the run; compute at its end */
  size_t count;
  double x[CURVE_STEPS], loss[CURVE_STEPS];
};

/* Mean loss over the rows of 5 % of the steps to either side, fewer after it at the end: a last step by itself is noise. */
static double smoothed(const struct plm_curve *c, const double *sums, const double *rows, size_t i) {
  size_t half = i / 20 + 1, low = i > half ? i - half : 0, high = i + half + 1 < c->steps ? i + half + 1 : c->steps;
  return (sums[high] - sums[low]) / (rows[high] - rows[low]);
}

static int curve_fill(struct curve *out, const struct plm_run *run, struct plm_error *err) {
  const struct plm_curve *c = &run->curve;
  size_t first = (size_t)(SKIP * (double)c->steps), last = SIZE_MAX;
  *out = (struct curve){.params = run->figures.n_layers_only, .compute = run->figures.flops_6nd};
  if (c->steps < STEPS_MIN || strcmp(run->status, "done") != 0)
    return 0;
  double *sums = plm_memory_zeroed(c->steps + 1, 2 * sizeof *sums), *rows = sums + c->steps + 1;
  if (!sums)
    return plm_error_memory(err, "the learning curves");
  for (size_t i = 0; i < c->steps; i++) {
    double n = c->columns[PLM_CURVE_MASKED][i];
    rows[i + 1] = rows[i] + n;
    sums[i + 1] = sums[i] + (n > 0 ? n * c->columns[PLM_CURVE_LOSS_MASK][i] : 0);
  }
  for (size_t k = 0; k < CURVE_STEPS; k++) {
    size_t i = first + (size_t)(expm1(log((double)(c->steps - first)) * (double)k / (CURVE_STEPS - 1)) + 0.5);
    i = i < c->steps ? i : c->steps - 1;
    double loss = smoothed(c, sums, rows, i), tokens = c->columns[PLM_CURVE_TOKENS][i];
    if (i == last || !isfinite(loss) || !(tokens > 0))
      continue;
    last = i;
    out->x[out->count] = 6 * out->params * tokens;
    out->loss[out->count++] = loss;
  }
  free(sums);
  return 0;
}

/* The sizes of the runs, ascending; owned by the caller. */
static double *sizes_list(const struct curve *curves, size_t runs, size_t *count) {
  double *sizes = plm_memory_zeroed(runs, sizeof *sizes);
  for (size_t i = 0; sizes && i < runs; i++)
    sizes[i] = curves[i].params;
  *count = 0;
  if (!sizes)
    return NULL;
  plm_points_distinct(sizes, runs); /* sorts */
  for (size_t i = 0; i < runs; i++)
    if (*count == 0 || sizes[i] - sizes[*count - 1] > 1e-9 * sizes[i])
      sizes[(*count)++] = sizes[i];
  return sizes;
}

static size_t size_index(const double *sizes, size_t count, double params) {
  size_t i = 0;
  while (i + 1 < count && params > sizes[i] * (1 + 1e-9))
    i++;
  return i;
}

/* Loss of a curve at a compute, interpolated in its logarithm; NAN outside. */
static double curve_loss(const struct curve *c, double compute) {
  for (size_t i = 1; i < c->count; i++)
    if (c->x[i - 1] <= compute && compute <= c->x[i] && c->x[i] > c->x[i - 1])
      return c->loss[i - 1] + (c->loss[i] - c->loss[i - 1]) * log(compute / c->x[i - 1]) / log(c->x[i] / c->x[i - 1]);
  return (double)NAN;
}

static void curves_write(struct plm_figure *out, const struct curve *curves, size_t runs, const double *sizes,
                         size_t count) {
  plm_figure_block(out, "curves", "C in FLOP, smoothed training loss in nats, colour; one run after the other");
  for (size_t r = 0; r < runs; r++) {
    unsigned colour = plm_colour_number(plm_colour_ramp(size_index(sizes, count, curves[r].params), count));
    for (size_t i = 0; i < curves[r].count; i++)
      plm_text_add(&out->data, "%.6g\t%.6g\t%u\n", curves[r].x[i], curves[r].loss[i], colour);
    plm_text_add(&out->data, "\n");
  }
  plm_figure_plot(out, "curves", "using 1:2:3 with lines linewidth 1.2 linecolor rgb variable");
}

static void envelope_write(struct plm_figure *out, const struct curve *curves, size_t runs,
                           const struct plm_panel *panel) {
  int any = 0;
  for (int k = 0; k < ENVELOPE_STEPS; k++) {
    double compute = plm_axis_value(&panel->x, (double)k / (ENVELOPE_STEPS - 1)), lowest = INFINITY;
    for (size_t r = 0; r < runs; r++)
      lowest = fmin(lowest, curve_loss(&curves[r], compute)); /* fmin passes NAN over */
    if (!isfinite(lowest))
      continue;
    if (!any++)
      plm_figure_block(out, "envelope", "C in FLOP, lowest loss of any run");
    plm_text_add(&out->data, "%.6g\t%.6g\n", compute, lowest);
  }
  char how[120];
  snprintf(how, sizeof how, "using 1:2 with lines linewidth 3 linecolor rgb '%s'", plm_colour_hex(PLM_INK));
  if (any)
    plm_figure_plot(out, "envelope", how);
}

/* x covers all; y the losses at the ends of the runs, and as much again above them: what comes before is the same descent. */
static void panel_fit(struct plm_panel *panel, const struct curve *curves, size_t runs) {
  double least = INFINITY, end = -INFINITY, most = -INFINITY;
  for (size_t r = 0; r < runs; r++) {
    for (size_t i = 0; i < curves[r].count; i++) {
      plm_axis_cover(&panel->x, curves[r].x[i]);
      least = fmin(least, curves[r].loss[i]);
      most = fmax(most, curves[r].loss[i]);
    }
    if (curves[r].count)
      end = fmax(end, curves[r].loss[curves[r].count - 1]);
  }
  plm_axis_cover(&panel->y, least);
  plm_axis_cover(&panel->y, fmin(most, end + (end - least)));
  plm_axis_pad(&panel->x, 0.02, 0.03);
  plm_axis_pad(&panel->y, 0.06, 0.02);
}

/* A size is named where its longest run ends. */
static void labels_write(struct plm_figure *out, const struct curve *curves, size_t runs, const double *sizes,
                         size_t count, const struct plm_panel *panel) {
  struct plm_label labels[LABELS_MAX];
  size_t every = (count + LABELS_MAX - 1) / LABELS_MAX, used = 0;
  char text[PLM_AXIS_TEXT];
  for (size_t s = 0; s < count; s += every) {
    const struct curve *longest = NULL;
    for (size_t r = 0; r < runs; r++)
      if (size_index(sizes, count, curves[r].params) == s && (!longest || curves[r].compute > longest->compute))
        longest = &curves[r];
    if (!longest)
      continue;
    labels[used] = (struct plm_label){.x = longest->x[longest->count - 1],
                                      .y = fmin(longest->loss[longest->count - 1], panel->y.high),
                                      .colour = plm_colour_ramp(s, count)};
    snprintf(labels[used++].text, sizeof labels->text, "N = %s", plm_axis_count_text(text, sizes[s]));
  }
  plm_figure_labels(out, labels, used, panel);
}

static int curves_draw(struct plm_figure *out, const struct plm_facts *facts, const struct curve *curves, size_t runs,
                       struct plm_error *err) {
  struct plm_panel panel = {.width = 920, .height = 490, .left = 96, .right = 800, .top = 16, .bottom = 420,
                            .x = plm_axis_empty(PLM_AXIS_POWER), .y = plm_axis_empty(PLM_AXIS_LINEAR)};
  size_t count;
  double *sizes = sizes_list(curves, runs, &count);
  if (!sizes)
    return plm_error_memory(err, "the sizes of the runs");
  panel_fit(&panel, curves, runs);
  plm_figure_begin(out, panel.width, panel.height);
  plm_figure_panel(out, &panel, "compute so far, FLOP", "training loss over <mask>, smoothed, nats");
  curves_write(out, curves, runs, sizes, count);
  envelope_write(out, curves, runs, &panel);
  labels_write(out, curves, runs, sizes, count, &panel);
  plm_text_add(&out->caption,
               "Training loss of %zu runs, a mean over 5&nbsp;%% of the steps to either side, coloured by model size. The "
               "black line is the lowest loss that any run has at each compute. The first hundredth of each run is left "
               "out%s.",
               runs,
               facts->study->config.train_schedule == PLM_SCHEDULE_CONSTANT
                   ? ""
                   : "; before its end a run with a falling learning rate is worse than one that was made to end there");
  plm_text_add(&out->about, "Training loss against compute of %zu runs, with their lower envelope.", runs);
  free(sizes);
  return 0;
}

int plm_figure_curves(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err) {
  struct curve *curves = plm_memory_zeroed(facts->runs.count, sizeof *curves);
  size_t runs = 0;
  int code = curves ? 0 : plm_error_memory(err, "the learning curves");
  for (size_t r = 0; !code && r < facts->runs.count; r++) {
    code = curve_fill(&curves[runs], &facts->runs.runs[r], err);
    runs += !code && curves[runs].count > 1;
  }
  if (!code && !runs)
    plm_text_add(&out->absent, "It needs a finished run of at least %d optimizer steps; this study has none.", STEPS_MIN);
  else if (!code)
    code = curves_draw(out, facts, curves, runs, err);
  free(curves);
  return code;
}
