#include "report/tables.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "report/axis.h"
#include "report/html.h"
#include "report/words.h"

static void table_begin(struct plm_text *out, const char *id, const char *title, const char *const *columns) {
  plm_text_add(out, "<section id=\"%s\"><h2>%s</h2>\n<div class=\"scroll\"><table><thead><tr>", id, title);
  for (; *columns; columns++)
    plm_text_add(out, "<th scope=\"col\"%s>%s</th>", **columns == '#' ? " class=\"n\"" : "",
                 **columns == '#' ? *columns + 1 : *columns);
  plm_text_add(out, "</tr></thead>\n<tbody>\n");
}

static void table_end(struct plm_text *out, const char *note) {
  plm_text_add(out, "</tbody></table></div>\n");
  if (note && *note)
    plm_text_add(out, "<p class=\"note\">%s</p>\n", note);
  plm_text_add(out, "</section>\n");
}

static void count_cell(struct plm_text *out, double value) {
  char text[PLM_AXIS_TEXT];
  if (isfinite(value))
    plm_html_cell(out, "n", "%s", plm_axis_count_text(text, value));
  else
    plm_html_cell(out, "n", "–");
}

static void power_cell(struct plm_text *out, double value) {
  char text[PLM_AXIS_TEXT];
  plm_html_cell(out, "n", "%s", plm_axis_power_text(text, value));
}

static void loss_cell(struct plm_text *out, double value) {
  if (isfinite(value))
    plm_html_cell(out, "n", "%.4f", value);
  else
    plm_html_cell(out, "n", "–");
}

/* A number with its interval below. */
static void ranged_cell(struct plm_text *out, const char *value, const struct plm_interval *interval, int count) {
  char range[PLM_WORDS_NUMBER];
  plm_text_add(out, "<td class=\"n\">");
  plm_html_escape(out, value);
  if (*plm_words_interval(range, interval, count))
    plm_text_add(out, "<span class=\"range\">%s</span>", range);
  plm_text_add(out, "</td>");
}

static void counted_cell(struct plm_text *out, int known, double value, const struct plm_interval *interval) {
  static const struct plm_interval none = {0};
  char text[PLM_AXIS_TEXT];
  ranged_cell(out, known ? plm_axis_count_text(text, value) : "–", known ? interval : &none, 1);
}

static void exponent_cell(struct plm_text *out, int known, double value, const struct plm_interval *interval) {
  static const struct plm_interval none = {0};
  char text[32];
  snprintf(text, sizeof text, "%.3f", value);
  ranged_cell(out, known ? text : "–", known ? interval : &none, 0);
}

/* ------------------------------------------------------------ estimators */

/* The largest measured budget that any estimator answers; -1 when there is none. */
static long largest_answered(const struct plm_law *law) {
  long largest = -1;
  for (size_t f = 0; f < law->fit_count; f++)
    for (size_t i = 0; i < law->fits[f].optimum_count; i++)
      if (law->fits[f].optimum[i].known && (long)i > largest)
        largest = (long)i;
  return largest;
}

static void estimator_row(struct plm_text *out, const struct plm_fit *fit, long at, int main) {
  const struct plm_estimator *estimator = plm_estimator_find(fit->estimator);
  const struct plm_optimum none = {0}, *o = at >= 0 && (size_t)at < fit->optimum_count ? &fit->optimum[at] : &none;
  plm_text_add(out, main ? "<tr class=\"main\">" : "<tr>");
  plm_text_add(out, "<th scope=\"row\"><code>%s</code></th>", fit->estimator);
  plm_html_cell(out, NULL, "%s", estimator->summary);
  plm_html_cell(out, "n", "%zu", fit->points);
  exponent_cell(out, fit->has_exponents, fit->a, &fit->a_interval);
  exponent_cell(out, fit->has_exponents, fit->b, &fit->b_interval);
  counted_cell(out, o->known, o->params, &o->params_interval);
  counted_cell(out, o->known, o->tokens, &o->tokens_interval);
  loss_cell(out, o->known ? o->loss : (double)NAN);
  plm_text_add(out, "</tr>\n");
}

/* What each estimator says about itself, and why the others have nothing to say. */
static void notes_write(struct plm_text *out, const struct plm_law *law) {
  int any = law->failed_count > 0 || law->warnings.count > 0;
  for (size_t f = 0; f < law->fit_count; f++)
    any |= law->fits[f].notes.count || law->fits[f].refused_count;
  if (!any)
    return;
  plm_text_add(out, "<h3>What the estimators say about themselves</h3>\n<ul class=\"notes\">\n");
  for (size_t i = 0; i < law->warnings.count; i++) {
    plm_text_add(out, "<li><b>Warning:</b> ");
    plm_html_add(out, "%s", law->warnings.lines[i]);
    plm_text_add(out, "</li>\n");
  }
  for (size_t i = 0; i < law->failed_count; i++) {
    plm_text_add(out, "<li><code>%s</code> could not be fitted: ", law->failed[i].estimator);
    plm_html_add(out, "%s", law->failed[i].reason);
    plm_text_add(out, "</li>\n");
  }
  for (size_t f = 0; f < law->fit_count; f++) {
    const struct plm_fit *fit = &law->fits[f];
    for (size_t i = 0; i < fit->refused_count; i++) {
      plm_text_add(out, "<li><code>%s</code> refuses the budget of %.4g FLOP: ", fit->estimator, fit->refused[i].budget);
      plm_html_add(out, "%s", fit->refused[i].reason);
      plm_text_add(out, "</li>\n");
    }
    for (size_t i = 0; i < fit->notes.count; i++) {
      plm_text_add(out, "<li><code>%s</code>: ", fit->estimator);
      plm_html_add(out, "%s", fit->notes.lines[i]);
      plm_text_add(out, "</li>\n");
    }
  }
  plm_text_add(out, "</ul>\n");
}

static void parameters_write(struct plm_text *out, const struct plm_fit *fit) {
  if (!fit || !fit->param_count)
    return;
  plm_text_add(out, "<p class=\"note\">Parameters of <code>%s</code>:", fit->estimator);
  for (size_t i = 0; i < fit->param_count; i++) {
    const struct plm_parameter *p = &fit->params[i];
    plm_text_add(out, "%s %s = %.5g", i ? "," : "", p->name, p->value);
    if (p->interval.known)
      plm_text_add(out, " (95&nbsp;%%: %.4g to %.4g)", p->interval.low, p->interval.high);
  }
  plm_text_add(out, ". <code>plmscale fit --json</code> has all of them unrounded.</p>\n");
}

void plm_tables_estimators(struct plm_text *out, const struct plm_facts *facts) {
  const struct plm_law *law = facts->law;
  long at = largest_answered(law);
  char title[2][160] = {"#N<sub>opt</sub>", "#D<sub>opt</sub>"}, power[PLM_AXIS_TEXT];
  if (at >= 0)
    for (int i = 0; i < 2; i++)
      snprintf(title[i], sizeof title[i], "#%s at %s FLOP", i ? "D<sub>opt</sub>" : "N<sub>opt</sub>",
               plm_axis_power_text(power, law->fits[0].optimum[at].compute));
  const char *const columns[] = {"estimator", "what it is", "#runs", "#a, N<sub>opt</sub> ∝ C<sup>a</sup>",
                                 "#b, D<sub>opt</sub> ∝ C<sup>b</sup>", title[0], title[1], "#loss there", NULL};
  if (!law->fit_count && !law->failed_count)
    return;
  table_begin(out, "estimators", "The estimators side by side", columns);
  for (size_t f = 0; f < law->fit_count; f++)
    estimator_row(out, &law->fits[f], at, &law->fits[f] == facts->main);
  if (!law->fit_count)
    plm_text_add(out, "<tr><td colspan=\"8\">No estimator could be fitted.</td></tr>\n");
  plm_text_add(out, "</tbody></table></div>\n<p class=\"note\">Below a number its 95&nbsp;%% bootstrap interval, where there "
                    "is one. The marked row is the one that the answer above is from.</p>\n");
  parameters_write(out, facts->main);
  notes_write(out, law);
  plm_text_add(out, "</section>\n");
}

/* ------------------------------------------------------------ budgets */

void plm_tables_budgets(struct plm_text *out, const struct plm_facts *facts) {
  static const char *const columns[] = {"#budget, FLOP", "#N<sub>opt</sub>", "#D<sub>opt</sub>", "#tokens per parameter",
                                        "#loss", "#perplexity", "by the other estimators: N<sub>opt</sub>", NULL};
  const struct plm_fit *fit = facts->main;
  char text[PLM_AXIS_TEXT];
  if (!fit)
    return;
  table_begin(out, "budgets", "The best model at each budget", columns);
  for (size_t i = 0; i < fit->optimum_count; i++) {
    const struct plm_optimum *o = &fit->optimum[i];
    plm_text_add(out, "<tr>");
    power_cell(out, o->compute);
    counted_cell(out, o->known, o->params, &o->params_interval);
    counted_cell(out, o->known, o->tokens, &o->tokens_interval);
    count_cell(out, o->known ? o->tokens / o->params : (double)NAN);
    loss_cell(out, o->known ? o->loss : (double)NAN);
    if (o->known && isfinite(o->loss))
      plm_html_cell(out, "n", "%.2f", exp(o->loss));
    else
      plm_html_cell(out, "n", "–");
    plm_text_add(out, "<td>%s", o->extrapolated ? "<b>extrapolated</b> " : "");
    for (size_t f = 0, any = 0; f < facts->law->fit_count; f++) {
      const struct plm_fit *other = &facts->law->fits[f];
      if (other != fit && other->optimum[i].known)
        plm_text_add(out, "%s%s&nbsp;%s", any++ ? ", " : "", other->estimator,
                     plm_axis_count_text(text, other->optimum[i].params));
    }
    plm_text_add(out, "</td></tr>\n");
  }
  plm_text_add(out, "</tbody></table></div>\n<p class=\"note\">By <code>%s</code>; below a number its 95&nbsp;%% bootstrap interval, where "
                    "there is one. Loss in nats over &lt;mask&gt;.</p></section>\n",
               fit->estimator);
}

/* ------------------------------------------------------------ choices */

void plm_tables_choices(struct plm_text *out, const struct plm_facts *facts) {
  static const char *const columns[] = {"choice", "taken as", "#a", "#N<sub>opt</sub>", "#decades moved", "", NULL};
  const struct plm_why *why = facts->why;
  char chosen[64];
  if (!why)
    return;
  table_begin(out, "choices", "One choice at a time", columns);
  for (size_t i = 0; i <= why->single_count; i++) {
    const struct plm_why_row *row = &why->rows[i];
    snprintf(chosen, sizeof chosen, "the usual choices");
    if (row->single >= 0)
      plm_why_chosen(chosen, sizeof chosen, why, row, (enum plm_why_choice)row->single);
    plm_text_add(out, row->single == -1 ? "<tr class=\"main\">" : "<tr>");
    plm_html_cell(out, NULL, "%s", row->single >= 0 ? plm_why_choice_name((enum plm_why_choice)row->single) : "");
    plm_html_cell(out, NULL, "%s", chosen);
    exponent_cell(out, row->has_exponents, row->a, &row->a_interval);
    count_cell(out, row->params);
    if (isfinite(row->moved))
      plm_html_cell(out, "n", "%+.2f", row->moved);
    else
      plm_html_cell(out, "n", "–");
    plm_html_cell(out, NULL, "%s", !row->fitted ? row->reason : isfinite(row->params) ? "" : "no best size at this budget");
    plm_text_add(out, "</tr>\n");
  }
  table_end(out, "Below an exponent its 95&nbsp;% interval. <code>plmscale why --json</code> has every combination.");
}

/* ------------------------------------------------------------ cells */

static void shape_cell(struct plm_text *out, const struct plm_cell *cell) {
  char text[PLM_SHAPE_TEXT];
  plm_shape_text(text, cell->shape);
  plm_html_cell(out, NULL, "%s", cell->shape.layers ? text : "–");
}

void plm_tables_left_out(struct plm_text *out, const struct plm_facts *facts) {
  static const char *const columns[] = {"cell", "shape", "#N", "#tokens", "#seed", "state", "reason", NULL};
  if (facts->state_counts[PLM_CELL_DONE] == facts->cell_count)
    return;
  table_begin(out, "left-out", "Cells that are in no fit", columns);
  for (size_t i = 0; i < facts->cell_count; i++) {
    const struct plm_cell_facts *cell = &facts->cells[i];
    const char *why = plm_facts_left_out(cell);
    if (!why)
      continue;
    plm_text_add(out, "<tr><th scope=\"row\"><code>%s</code></th>", cell->cell->id);
    shape_cell(out, cell->cell);
    count_cell(out, (double)cell->cell->n_layers_only);
    count_cell(out, (double)cell->cell->tokens);
    plm_html_cell(out, "n", "%llu", (unsigned long long)cell->cell->seed);
    plm_html_cell(out, NULL, "%s", plm_cell_state_name(cell->standing.state));
    plm_html_cell(out, "said", "%s%s%s", why, cell->standing.reason[0] ? ": " : "", cell->standing.reason);
    plm_text_add(out, "</tr>\n");
  }
  table_end(out, "");
}

static void run_cells(struct plm_text *out, const struct plm_study_runs *runs, const struct plm_run *run) {
  const struct plm_run_figures *f = &run->figures;
  char time[48];
  plm_number_duration(time, sizeof time, f->seconds);
  count_cell(out, f->tokens);
  plm_html_cell(out, "n", "%.3g", f->epochs);
  plm_html_cell(out, "n", "%.3g", f->flops_6nd);
  plm_html_cell(out, "n", "%.3g", f->flops_exact);
  plm_html_cell(out, "n", "%.3g", f->lr);
  plm_html_cell(out, "n", "%.0f", f->seed);
  plm_text_add(out, "<td class=\"n\">%.4f<span class=\"range\">± %.4f</span></td>", f->valid_loss_mask,
               f->valid_loss_mask_error);
  loss_cell(out, f->valid_loss_all);
  loss_cell(out, f->train_loss_mask);
  plm_html_cell(out, "n", "%s", time);
  plm_html_cell(out, NULL, "%s [%zu]", run->backend, plm_facts_training(runs, run));
}

void plm_tables_cells(struct plm_text *out, const struct plm_facts *facts) {
  static const char *const columns[] = {"cell",    "shape",   "#N",        "#D",   "#epochs", "#6 N D",
                                        "#exact FLOP", "#lr", "#seed", "#loss, &lt;mask&gt;", "#loss, all selected",
                                        "#training, &lt;mask&gt;", "#time", "trained by", NULL};
  if (!facts->runs.count)
    return;
  table_begin(out, "cells", "Every finished cell", columns);
  for (size_t i = 0; i < facts->cell_count; i++) {
    const struct plm_cell_facts *cell = &facts->cells[i];
    if (!cell->run)
      continue;
    plm_text_add(out, cell->standing.state == PLM_CELL_DONE ? "<tr>" : "<tr class=\"out\">");
    plm_text_add(out, "<th scope=\"row\"><code>%s</code></th>", cell->cell->id);
    shape_cell(out, cell->cell);
    count_cell(out, cell->run->figures.n_layers_only);
    run_cells(out, &facts->runs, cell->run);
    plm_text_add(out, "</tr>\n");
  }
  table_end(out, "Losses in nats at the end of the run; ± is the standard error over the sequences of the validation set. "
                 "N counts the parameters of the layers. Diverged runs are struck out and in no fit. [1] is "
                 "explained under “Where the numbers come from”.");
}
