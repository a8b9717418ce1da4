#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "law/misfit.h"
#include "report/axis.h"
#include "report/html.h"
#include "report/published.h"

#define INTERVAL_WIDE 0.3 /* of the exponent: wider than this and it tells sublinear growth from hardly any no more */
#define BUDGETS_SPAN 10   /* less says little about an exponent */
#define MANY_EPOCHS 1.05

const char *plm_words_interval(char out[PLM_WORDS_NUMBER], const struct plm_interval *interval, int count) {
  char low[PLM_AXIS_TEXT], high[PLM_AXIS_TEXT];
  *out = 0;
  if (interval->known && count)
    snprintf(out, PLM_WORDS_NUMBER, "%.20s to %.20s", plm_axis_count_text(low, interval->low),
             plm_axis_count_text(high, interval->high));
  else if (interval->known)
    snprintf(out, PLM_WORDS_NUMBER, "%.3f to %.3f", interval->low, interval->high);
  return out;
}

static const char *with_interval(char out[PLM_WORDS_NUMBER], const char *value, const struct plm_interval *interval,
                                 int count) {
  char range[PLM_WORDS_NUMBER];
  plm_words_interval(range, interval, count);
  snprintf(out, PLM_WORDS_NUMBER, interval->known ? "%.20s (95 %%: %.60s)" : "%.20s", value, range);
  return out;
}

const char *plm_words_exponent(char out[PLM_WORDS_NUMBER], double value, const struct plm_interval *interval) {
  char text[32];
  snprintf(text, sizeof text, "%.3f", value);
  return with_interval(out, text, interval, 0);
}

const char *plm_words_count(char out[PLM_WORDS_NUMBER], double value, const struct plm_interval *interval) {
  char text[PLM_AXIS_TEXT];
  return with_interval(out, plm_axis_count_text(text, value), interval, 1);
}

/* ------------------------------------------------------------ judgements, shared by paragraph and list */

struct judgement {
  const struct plm_optimum *best;
  const struct plm_fit *low, *high; /* estimators with the lowest and the highest N_opt */
  size_t answers;                   /* estimators with one */
  double spread;                    /* decades between them */
  int interior, smallest;           /* best size within the sizes trained at its budget; at or below the smallest */
  double sizes_low, sizes_high;     /* those */
  int wide;                         /* the interval of a is known and wide */
  double moved;                     /* the largest single move of `why`, decades; NAN when not known */
  size_t missing;                   /* cells that are in no fit */
  double budget_low, budget_high;
};

static void sizes_at(struct judgement *j, const struct plm_facts *facts) {
  j->sizes_low = INFINITY;
  j->sizes_high = 0;
  for (size_t i = 0; i < facts->points.count; i++) {
    const struct plm_point *p = &facts->points.items[i];
    if (fabs(p->budget - j->best->compute) > 1e-6 * j->best->compute)
      continue;
    j->sizes_low = fmin(j->sizes_low, p->params);
    j->sizes_high = fmax(j->sizes_high, p->params);
  }
  if (j->sizes_high == 0) { /* runs that share no budget: the whole range */
    j->sizes_low = facts->law->params_min;
    j->sizes_high = facts->law->params_max;
  }
  j->interior = j->best->params > j->sizes_low && j->best->params < j->sizes_high;
  j->smallest = j->best->params <= j->sizes_low;
}

static struct judgement judge(const struct plm_facts *facts) {
  struct judgement j = {.best = plm_facts_best(facts), .moved = (double)NAN};
  j.answers = plm_facts_spread(facts, &j.low, &j.high);
  if (j.answers)
    j.spread = log10(j.high->optimum[facts->at].params / j.low->optimum[facts->at].params);
  if (j.best)
    sizes_at(&j, facts);
  j.wide = facts->main && facts->main->a_interval.known &&
           facts->main->a_interval.high - facts->main->a_interval.low > INTERVAL_WIDE;
  if (facts->why && facts->why->single_count && isfinite(facts->why->rows[1].moved))
    j.moved = fabs(facts->why->rows[1].moved);
  if (facts->points.count) { /* sorted by budget */
    j.budget_low = facts->points.items[0].budget;
    j.budget_high = facts->points.items[facts->points.count - 1].budget;
  }
  j.missing = facts->cell_count - facts->state_counts[PLM_CELL_DONE];
  return j;
}

/* ------------------------------------------------------------ the paragraph */

static const char *reason_of(const struct plm_law *law, const char *estimator) {
  for (size_t i = 0; i < law->failed_count; i++)
    if (!strcmp(law->failed[i].estimator, estimator))
      return law->failed[i].reason;
  return NULL;
}

static void no_law(struct plm_text *out, const struct plm_facts *facts) {
  size_t done = facts->state_counts[PLM_CELL_DONE];
  plm_text_add(out, "<strong>There is no law yet.</strong> ");
  if (!done) {
    plm_text_add(out, "None of the %zu cells of this study is done, so there is nothing to fit. ", facts->cell_count);
  } else {
    plm_text_add(out, "%zu of %zu cells are done, and no estimator could say how the best size grows with compute from them. ",
                 done, facts->cell_count);
    const char *reason = reason_of(facts->law, PLM_LAW_MAIN);
    if (reason) {
      plm_text_add(out, "The main one, <code>%s</code>, says: ", PLM_LAW_MAIN);
      plm_html_add(out, "%s. ", reason);
    }
  }
  plm_text_add(out, "<code>plmscale run</code> trains what is missing; a law needs at least 6 runs, 3 sizes and 3 token "
                    "counts, and an exponent that can be checked needs 3 or more compute budgets.");
}

static void answer_write(struct plm_text *out, const struct plm_facts *facts, const struct judgement *j) {
  const struct plm_fit *fit = facts->main;
  char text[PLM_WORDS_NUMBER], c[PLM_AXIS_TEXT];
  plm_text_add(out, "In this study the best model size grows with compute as <strong>N<sub>opt</sub> ∝ C<sup>a</sup>, a = %s</strong>",
               plm_words_exponent(text, fit->a, &fit->a_interval));
  plm_text_add(out, ", by <code>%s</code>", fit->estimator);
  if (strcmp(fit->estimator, PLM_LAW_MAIN) && facts->misfit > PLM_MISFIT_LARGE)
    plm_text_add(out, ", because the surface of <code>%s</code> misses the runs by %.2g times what seeds explain", PLM_LAW_MAIN,
                 facts->misfit);
  else if (strcmp(fit->estimator, PLM_LAW_MAIN))
    plm_text_add(out, ", because <code>%s</code> allowed no answer", PLM_LAW_MAIN);
  plm_text_add(out, ". ");
  plm_text_add(out, "At the largest budget that it answers, %s FLOP, the best model has <strong>%s</strong> parameters",
               plm_axis_power_text(c, j->best->compute), plm_words_count(text, j->best->params, &j->best->params_interval));
  plm_text_add(out, " and sees <strong>%s</strong> tokens: %s tokens for each parameter",
               plm_words_count(text, j->best->tokens, &j->best->tokens_interval),
               plm_axis_count_text(c, j->best->tokens / j->best->params));
  if (isfinite(j->best->loss))
    plm_text_add(out, ", with a validation loss of %.3f nats over &lt;mask&gt; (perplexity %.2f)", j->best->loss,
                 exp(j->best->loss));
  plm_text_add(out, ". ");
}

/* What speaks against the answer, as clauses of one sentence. */
static size_t doubts_write(struct plm_text *out, const struct plm_facts *facts, const struct judgement *j) {
  size_t count = 0;
#define DOUBT(...)                            \
  do {                                        \
    plm_text_add(out, "%s", count++ ? "; " : ""); \
    plm_text_add(out, __VA_ARGS__);           \
  } while (0)
  if (j->answers > 1 && j->spread > PLM_LAW_DISAGREEMENT)
    DOUBT("estimators disagree about the best size by a factor of %.2g (%.2f decades)", pow(10, j->spread), j->spread);
  if (j->answers < 2)
    DOUBT("no other estimator has an answer there");
  if (!strcmp(facts->main->estimator, PLM_LAW_MAIN) && facts->misfit > PLM_MISFIT_LARGE)
    DOUBT("the fitted surface misses the runs by %.2g times what seeds explain", facts->misfit);
  if (j->wide)
    DOUBT("the interval of the exponent spans %.2f", facts->main->a_interval.high - facts->main->a_interval.low);
  if (!facts->main->a_interval.known)
    DOUBT("there is no interval of the exponent");
  if (!j->interior)
    DOUBT("the optimum lies at or beyond the %s size that was trained there", j->smallest ? "smallest" : "largest");
  if (j->best->extrapolated)
    DOUBT("its optimum lies outside what was measured");
  if (j->moved > PLM_LAW_DISAGREEMENT)
    DOUBT("a single choice of how to fit and count moves the best size that <code>%s</code> gives by a factor of %.2g", PLM_LAW_MAIN,
          pow(10, j->moved));
  if (j->budget_high < BUDGETS_SPAN * j->budget_low)
    DOUBT("the budgets span only a factor of %.3g", j->budget_high / j->budget_low);
#undef DOUBT
  return count;
}

static void verdict_write(struct plm_text *out, const struct plm_facts *facts, const struct judgement *j) {
  struct plm_text doubts = {0};
  size_t count = doubts_write(&doubts, facts, j);
  out->exhausted |= doubts.exhausted;
  if (count && doubts.data)
    plm_text_add(out, "<strong>How far to trust it:</strong> with care: %s. ", doubts.data);
  else
    plm_text_add(out,
                 "<strong>How far to trust it:</strong> nothing here speaks against it within the measured range: %zu "
                 "estimators agree on the best size within %.2f decades, and it lies between sizes that were trained. ",
                 j->answers, j->spread);
  plm_text_fini(&doubts);
  if (j->missing)
    plm_text_add(out, "%zu of %zu cells are not in the fit. ", j->missing, facts->cell_count);
  plm_text_add(out, "Budgets of %s to ", plm_axis_power_text((char[PLM_AXIS_TEXT]){0}, j->budget_low));
  plm_text_add(out, "%s FLOP were measured; whatever is said beyond them is extrapolation.",
               plm_axis_power_text((char[PLM_AXIS_TEXT]){0}, j->budget_high));
}

void plm_words_answer(struct plm_text *out, const struct plm_facts *facts) {
  struct judgement j = judge(facts);
  plm_text_add(out, "<p class=\"lead\">");
  if (!facts->main) {
    no_law(out, facts);
  } else {
    answer_write(out, facts, &j);
    verdict_write(out, facts, &j);
  }
  plm_text_add(out, "</p>\n");
}

/* ------------------------------------------------------------ the list */

static void item_begin(struct plm_text *out, int good) {
  plm_text_add(out, "<li class=\"%s\"><span class=\"mark\" aria-label=\"%s\">%s</span> ", good ? "good" : "care",
               good ? "speaks for it" : "take care", good ? "✓" : "!");
}

static void item_end(struct plm_text *out) { plm_text_add(out, "</li>\n"); }

static void estimators_item(struct plm_text *out, const struct plm_facts *facts, const struct judgement *j) {
  char c[PLM_AXIS_TEXT], n[PLM_AXIS_TEXT];
  if (!j->answers)
    return;
  item_begin(out, j->answers > 1 && j->spread <= PLM_LAW_DISAGREEMENT);
  if (j->answers == 1) {
    plm_text_add(out, "<b>Estimators.</b> Only <code>%s</code> has an answer at %s FLOP, so nothing checks it.",
                 j->low->estimator, plm_axis_power_text(c, j->best->compute));
  } else {
    plm_text_add(out, "<b>Estimators.</b> %zu have an answer at %s FLOP; they lie within %.2f decades: ", j->answers,
                 plm_axis_power_text(c, j->best->compute), j->spread);
    plm_text_add(out, "%s by <code>%s</code> to ", plm_axis_count_text(n, j->low->optimum[facts->at].params),
                 j->low->estimator);
    plm_text_add(out, "%s by <code>%s</code>.", plm_axis_count_text(n, j->high->optimum[facts->at].params),
                 j->high->estimator);
  }
  if (facts->law->failed_count)
    plm_text_add(out, " %zu could not be fitted (reasons below).", facts->law->failed_count);
  item_end(out);
}

static void interval_item(struct plm_text *out, const struct plm_facts *facts, const struct judgement *j) {
  const struct plm_fit *fit = facts->main;
  size_t count, within = 0;
  const struct plm_published *table = plm_published(&count);
  const struct plm_interval *interval = &fit->a_interval;
  item_begin(out, interval->known && !j->wide);
  if (!interval->known) {
    plm_text_add(out, "<b>Interval.</b> There is none: %s.",
                 facts->options.draws ? "too few bootstrap draws allowed a fit" : "no bootstrap was asked for");
    item_end(out);
    return;
  }
  plm_text_add(out, "<b>Interval.</b> 95&nbsp;%% of %zu bootstrap draws gave a between %.3f and %.3f. ", fit->draws_done,
               interval->low, interval->high);
  for (size_t i = 0; i < count; i++) {
    int inside = table[i].a >= interval->low && table[i].a <= interval->high;
    plm_text_add(out, "%s%.3g (%s) lies %s", i ? ", " : "", table[i].a, table[i].name,
                 inside ? "inside" : table[i].a < interval->low ? "below" : "above");
    within += (size_t)inside;
  }
  if (within == count)
    plm_text_add(out, ": this study cannot tell them apart");
  plm_text_add(out, ". It does not say that the law itself, or the learning rates, are right.");
  item_end(out);
}

static void form_item(struct plm_text *out, const struct plm_facts *facts) {
  if (!(facts->misfit > 0))
    return;
  item_begin(out, facts->misfit <= PLM_MISFIT_LARGE);
  plm_text_add(out, "<b>Form.</b> The surface E + A/N<sup>α</sup> + B/D<sup>β</sup> misses the runs by %.2g times what other seeds "
                    "would change",
               facts->misfit);
  plm_text_add(out, facts->misfit > PLM_MISFIT_LARGE
                        ? ": these runs do not have its shape. Profiles take none for granted at a measured budget; beyond the "
                          "budgets nothing can be said."
                        : ", as a right form would.");
  item_end(out);
}

static void interior_item(struct plm_text *out, const struct plm_facts *facts, const struct judgement *j) {
  char n[3][PLM_AXIS_TEXT];
  size_t refused = 0, budgets = 0;
  for (size_t f = 0; f < facts->law->fit_count; f++)
    if (!strcmp(facts->law->fits[f].estimator, "parabola")) {
      refused = facts->law->fits[f].refused_count;
      for (size_t i = 0; i < facts->law->fits[f].optimum_count; i++)
        budgets += facts->law->fits[f].optimum[i].known != 0;
      budgets += refused;
    }
  item_begin(out, j->interior && !j->best->extrapolated && !refused);
  plm_text_add(out, "<b>Range.</b> The best size at the largest budget, %s, lies %s the sizes that were trained there, %s to %s.",
               plm_axis_count_text(n[0], j->best->params), j->interior ? "between" : "at the edge of or outside",
               plm_axis_count_text(n[1], j->sizes_low), plm_axis_count_text(n[2], j->sizes_high));
  if (j->best->extrapolated)
    plm_text_add(out, " It is an extrapolation: compute, size or tokens are outside what was measured.");
  if (budgets)
    plm_text_add(out, " %zu of %zu budgets have a minimum between their smallest and largest size.", budgets - refused,
                 budgets);
  plm_text_add(out, " The budgets span a factor of %.3g.", j->budget_high / j->budget_low);
  item_end(out);
}

static void choices_item(struct plm_text *out, const struct plm_facts *facts, const struct judgement *j) {
  char chosen[64];
  if (!isfinite(j->moved))
    return;
  const struct plm_why_row *row = &facts->why->rows[1];
  plm_why_chosen(chosen, sizeof chosen, facts->why, row, (enum plm_why_choice)row->single);
  item_begin(out, j->moved <= PLM_LAW_DISAGREEMENT);
  plm_text_add(out, "<b>Choices.</b> Of the usual ones (<code>%s</code>, validation loss over &lt;mask&gt; ..) the single one that "
                    "moves the best size most when made otherwise is ",
               PLM_LAW_MAIN);
  plm_html_add(out, "%s (%s)", plm_why_choice_name((enum plm_why_choice)row->single), chosen);
  plm_text_add(out, ": by a factor of %.2g. Over all %zu combinations of choices that give one it lies between ",
               pow(10, j->moved), facts->why->fitted);
  plm_text_add(out, "%s and ", plm_axis_count_text(chosen, facts->why->params_min));
  plm_text_add(out, "%s", plm_axis_count_text(chosen, facts->why->params_max));
  if (facts->why->a_max >= facts->why->a_min)
    plm_text_add(out, ", a between %.2f and %.2f", facts->why->a_min, facts->why->a_max);
  plm_text_add(out, ".");
  item_end(out);
}

static void rollout_item(struct plm_text *out, const struct plm_facts *facts) {
  const struct plm_holdout *last = NULL;
  char n[2][PLM_AXIS_TEXT], c[PLM_AXIS_TEXT];
  for (size_t i = 0; i < facts->main->holdout_count; i++)
    if (facts->main->holdouts[i].rollout)
      last = &facts->main->holdouts[i];
  if (!last)
    return;
  plm_axis_power_text(c, last->budget);
  if (last->refused[0] || !isfinite(last->params) || !isfinite(last->params_all)) {
    item_begin(out, 0);
    plm_text_add(out, "<b>Prediction.</b> From the %zu smaller budgets alone the best size at %s FLOP could not be predicted",
                 last->budgets_kept, c);
    if (last->refused[0])
      plm_html_add(out, ": %s", last->refused);
    plm_text_add(out, ".");
    item_end(out);
    return;
  }
  double decades = fabs(log10(last->params / last->params_all));
  item_begin(out, decades <= PLM_LAW_DISAGREEMENT);
  plm_text_add(out, "<b>Prediction.</b> The %zu smaller budgets alone would have put the best size at %s FLOP at %s; all "
                    "together say %s, %.2f decades away.",
               last->budgets_kept, c, plm_axis_count_text(n[0], last->params), plm_axis_count_text(n[1], last->params_all),
               decades);
  if (isfinite(last->loss_rms))
    plm_text_add(out, " The losses there would have been missed by %.4f&nbsp;nats.", last->loss_rms);
  item_end(out);
}

static void plateau_item(struct plm_text *out, const struct plm_facts *facts) {
  char c[PLM_AXIS_TEXT];
  if (!facts->why)
    return;
  const struct plm_plateau *p = &facts->why->plateau;
  if (!p->known) {
    item_begin(out, 0);
    plm_text_add(out, "<b>Plateau.</b> Not tested: ");
    plm_html_add(out, "%s.", p->reason);
    item_end(out);
    return;
  }
  int seen = isfinite(p->seen_from) && p->seen_from <= p->compute_max;
  int shaped = !(facts->misfit > PLM_MISFIT_LARGE);
  item_begin(out, p->E_interval.known && shaped);
  plm_text_add(out, "<b>Plateau.</b> The fitted floor of the loss is %.3f&nbsp;nats", p->E);
  if (p->E_interval.known)
    plm_text_add(out, " (95&nbsp;%%: %.3f to %.3f); %s. ", p->E_interval.low, p->E_interval.high,
                 p->needed ? "these runs need a floor" : "these runs do not need a floor, the interval reaches zero");
  else
    plm_text_add(out, "; without an interval nothing follows from it. ");
  plm_text_add(out, "The best model at the largest budget is %.3f&nbsp;nats above it", p->reducible);
  if (isfinite(p->seen_from))
    plm_text_add(out, "; within the noise of a run it would be from %s FLOP on, which %s measured",
                 plm_axis_power_text(c, p->seen_from), seen ? "was" : "was not");
  plm_text_add(out, ".%s", shaped ? "" : " All of this is of a surface whose shape these runs do not have, so it says little.");
  item_end(out);
}

static void cells_item(struct plm_text *out, const struct plm_facts *facts, const struct judgement *j) {
  item_begin(out, !j->missing);
  plm_text_add(out, "<b>Cells.</b> %zu of %zu are done and in the fit", facts->state_counts[PLM_CELL_DONE],
               facts->cell_count);
  for (int state = 0; state < PLM_CELL_STATES; state++)
    if (state != PLM_CELL_DONE && facts->state_counts[state])
      plm_text_add(out, ", %zu %s", facts->state_counts[state], plm_cell_state_name((enum plm_cell_state)state));
  plm_text_add(out, j->missing ? " (listed below)." : ".");
  if (facts->sweep_count)
    plm_text_add(out, " Besides, %zu small runs of learning-rate sweeps gave each size its peak rate; they are in no fit.",
                 facts->sweep_count);
  item_end(out);
}

static void data_item(struct plm_text *out, const struct plm_facts *facts) {
  size_t repeated = 0;
  double most = 0;
  for (size_t i = 0; i < facts->runs.count; i++) {
    const struct plm_run *run = &facts->runs.runs[i];
    if (strcmp(run->status, "done"))
      continue;
    most = fmax(most, run->figures.epochs);
    repeated += run->figures.epochs > MANY_EPOCHS;
  }
  if (most == 0)
    return;
  item_begin(out, !repeated);
  if (repeated)
    plm_text_add(out, "<b>Data.</b> %zu runs pass over the corpus more than once, up to %.3g times; the laws for a single "
                      "pass do not hold for them.",
                 repeated, most);
  else
    plm_text_add(out, "<b>Data.</b> No run passes over the corpus more than once.");
  item_end(out);
}

static void noise_item(struct plm_text *out, const struct plm_facts *facts) {
  const struct plm_noise *noise = &facts->law->noise;
  if (!noise->freedom)
    return;
  int replicates = !strcmp(noise->source, "seed replicates");
  item_begin(out, replicates);
  plm_text_add(out, "<b>Noise.</b> Another seed would move a loss by about %.2g&nbsp;%% (%s, %zu degrees of freedom).",
               100 * noise->sigma, noise->source, noise->freedom);
  if (noise->shared > 0)
    plm_text_add(out, " Runs of one size and seed share luck: their correlation across budgets is %.2f, and is in the intervals.",
                 noise->shared);
  if (!replicates)
    plm_text_add(out, " That is a guess from how the runs scatter about the fit: too few of them are replicates with other seeds.");
  item_end(out);
}

void plm_words_trust(struct plm_text *out, const struct plm_facts *facts) {
  struct judgement j = judge(facts);
  plm_text_add(out, "<ul class=\"trust\">\n");
  if (facts->main) {
    estimators_item(out, facts, &j);
    form_item(out, facts);
    interval_item(out, facts, &j);
    interior_item(out, facts, &j);
    choices_item(out, facts, &j);
    rollout_item(out, facts);
    plateau_item(out, facts);
  }
  noise_item(out, facts);
  data_item(out, facts);
  cells_item(out, facts, &j);
  plm_text_add(out, "</ul>\n");
}
