/* What the estimators would have said of budgets they had not seen. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/figure.h"

#define ROW_PIXELS 27

struct side {
  const char *blocks[2]; /* leave one out, rollout */
  double (*value)(const struct plm_holdout *h);
};

static double ratio_of(const struct plm_holdout *h) { return h->refused[0] ? (double)NAN : h->params / h->params_all; }
static double miss_of(const struct plm_holdout *h) { return h->refused[0] ? (double)NAN : h->loss_rms; }

/* The fits that have an answer for some budget that was held out. */
static size_t rows_find(const struct plm_fit **out, const struct plm_law *law) {
  size_t count = 0;
  for (size_t f = 0; f < law->fit_count; f++)
    for (size_t i = 0; i < law->fits[f].holdout_count; i++)
      if (isfinite(ratio_of(&law->fits[f].holdouts[i])) || isfinite(miss_of(&law->fits[f].holdouts[i]))) {
        out[count++] = &law->fits[f];
        break;
      }
  return count;
}

static size_t kept_most(const struct plm_fit *const *rows, size_t count) {
  size_t most = 2;
  for (size_t r = 0; r < count; r++)
    for (size_t i = 0; i < rows[r]->holdout_count; i++)
      if (rows[r]->holdouts[i].rollout && rows[r]->holdouts[i].budgets_kept > most)
        most = rows[r]->holdouts[i].budgets_kept;
  return most;
}

static void side_write(struct plm_figure *out, const struct side *side, const struct plm_fit *const *rows, size_t count,
                       struct plm_axis *x) {
  size_t most = kept_most(rows, count), written;
  for (int rollout = 0; rollout < 2; rollout++) {
    written = 0;
    for (size_t r = 0; r < count; r++)
      for (size_t i = 0; i < rows[r]->holdout_count; i++) {
        const struct plm_holdout *h = &rows[r]->holdouts[i];
        double value = side->value(h);
        if (h->rollout != rollout || !isfinite(value) || value <= 0)
          continue;
        if (!written++)
          plm_figure_block(out, side->blocks[rollout], "value, row, colour, budget held out in FLOP, budgets kept");
        enum plm_colour colour = rollout ? plm_colour_ramp(h->budgets_kept - 2, most - 1) : PLM_MUTED;
        plm_axis_cover(x, value);
        plm_text_add(&out->data, "%.6g\t%.6g\t%u\t%.6g\t%zu\n", value, -(double)r - (rollout ? -0.13 : 0.17),
                     plm_colour_number(colour), h->budget, h->budgets_kept);
      }
  }
}

static int has_block(const struct plm_figure *out, const char *block) {
  char line[40];
  snprintf(line, sizeof line, "# %s\n", block);
  return out->data.data && strstr(out->data.data, line) != NULL;
}

static void side_plot(struct plm_figure *out, const struct side *side) {
  if (has_block(out, side->blocks[0]))
    plm_figure_plot(out, side->blocks[0], "using 1:2:3 with points pointtype 6 pointsize 0.8 linewidth 1.4 linecolor rgb variable");
  if (has_block(out, side->blocks[1]))
    plm_figure_plot(out, side->blocks[1], "using 1:2:3 with points pointtype 7 pointsize 0.95 linecolor rgb variable");
}

static void line_at(struct plm_figure *out, int number, double x, int dashed) {
  plm_text_add(&out->script,
               "set arrow %d from %.6g, graph 0 to %.6g, graph 1 nohead back linewidth 1.4 dashtype %d linecolor rgb '%s'\n",
               number, x, x, dashed ? 2 : 1, plm_colour_hex(dashed ? PLM_MUTED : PLM_INK));
}

static void caption_write(struct plm_figure *out, const struct plm_facts *facts, double noise) {
  plm_text_add(&out->caption,
               "Left: the best size predicted for a budget that was held out, over the one from all points. Right: how far "
               "the losses there are missed, for estimators that predict them%s. Full dots: rollout, the largest budget "
               "predicted from the 2, 3, … smallest ones%s. Rings: each budget in turn predicted from all others. ",
               noise > 0 ? "; the broken line is the noise of a run" : "",
               ", the lighter the more of them");
  for (size_t f = 0; f < facts->law->fit_count; f++) {
    const struct plm_fit *fit = &facts->law->fits[f];
    size_t refused = 0;
    for (size_t i = 0; i < fit->holdout_count; i++)
      refused += fit->holdouts[i].refused[0] != 0;
    if (refused)
      plm_text_add(&out->caption, "<code>%s</code> refused %zu of %zu. ", fit->estimator, refused, fit->holdout_count);
  }
  plm_text_add(&out->about, "Predictions for budgets held out, by estimator: size predicted over size from all points, "
                            "and error of the loss.");
}

int plm_figure_holdout(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err) {
  const struct side sizes = {{"sizes_one_out", "sizes_rollout"}, ratio_of},
                    losses = {{"losses_one_out", "losses_rollout"}, miss_of};
  const struct plm_fit *rows[32];
  size_t count = rows_find(rows, facts->law);
  struct plm_panel left = {.width = 920, .left = 110, .right = 490, .top = 10, .x = plm_axis_empty(PLM_AXIS_FACTOR)};
  char how[120];
  (void)err;
  if (!count) {
    plm_text_add(&out->absent, "It needs finished runs at 3 or more compute budgets, and an estimator that still has an "
                               "answer when one of them is held out.");
    return 0;
  }
  left.bottom = left.top + ROW_PIXELS * (double)count + 8;
  left.height = left.bottom + 70;
  left.y = (struct plm_axis){PLM_AXIS_LINEAR, -(double)count + 0.4, 0.6};
  struct plm_panel right = left;
  right.left = 530;
  right.right = 900;
  right.x = plm_axis_empty(PLM_AXIS_COUNT);
  double loss = 0;
  for (size_t i = 0; i < facts->points.count; i++)
    loss += facts->points.items[i].loss / (double)facts->points.count;
  double noise = facts->law->noise.freedom ? facts->law->noise.sigma * loss : 0;
  plm_axis_cover(&left.x, 0.8);
  plm_axis_cover(&left.x, 1.25);
  plm_axis_cover(&right.x, noise);
  side_write(out, &sizes, rows, count, &left.x);
  side_write(out, &losses, rows, count, &right.x);
  plm_axis_pad(&left.x, 0.06, 0.06);
  plm_axis_pad(&right.x, 0.08, 0.08);
  plm_figure_block(out, "names", "x, row, estimator, colour");
  for (size_t r = 0; r < count; r++)
    plm_text_add(&out->data, "%.6g\t%.6g\t%s\t%u\n", left.x.low, -(double)r, rows[r]->estimator,
                 plm_colour_number(rows[r] == facts->main ? PLM_MAIN : PLM_INK));
  plm_figure_begin(out, left.width, left.height);
  plm_text_add(&out->script, "set multiplot\n");
  plm_figure_panel(out, &left, "predicted over fitted best size", "");
  plm_text_add(&out->script, "unset ytics\nset border 1\nset grid xtics noytics\nset ylabel ''\n");
  line_at(out, 1, 1, 0);
  side_plot(out, &sizes);
  snprintf(how, sizeof how, "using 1:2:3:4 with labels right offset -0.8,0 textcolor rgb variable");
  plm_figure_plot(out, "names", how);
  plm_text_add(&out->script, "\nunset arrow\n");
  if (has_block(out, losses.blocks[0]) || has_block(out, losses.blocks[1])) {
    plm_figure_panel(out, &right, "loss missed by, nats (root mean square)", "");
    plm_text_add(&out->script, "unset ytics\n");
    if (noise > 0)
      line_at(out, 1, noise, 1);
    side_plot(out, &losses);
    plm_text_add(&out->script, "\n");
  }
  plm_text_add(&out->script, "unset multiplot");
  caption_write(out, facts, noise);
  return 0;
}
