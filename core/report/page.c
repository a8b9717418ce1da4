#include "report/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "report/html.h"
#include "report/tables.h"
#include "report/words.h"

/* Nothing may be loaded, run or sent, whatever a text from outside should smuggle in. */
#define POLICY "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

static void head_write(struct plm_text *out, const struct plm_page *page) {
  plm_text_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta http-equiv=\"Content-Security-Policy\" content=\"" POLICY "\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
  plm_html_add(out, "%s: scaling report", page->facts->study->config.study_name);
  plm_text_add(out, "</title>\n");
  plm_page_style(out);
  plm_text_add(out, "</head>\n<body>\n<main>\n");
}

static void title_write(struct plm_text *out, const struct plm_page *page) {
  const struct plm_facts *facts = page->facts;
  char date[32];
  time_t now = time(NULL);
  struct tm utc;
  gmtime_r(&now, &utc);
  strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &utc);
  plm_text_add(out, "<header><p class=\"kind\">Compute-optimal protein language models</p>\n<h1>");
  plm_html_add(out, "%s", facts->study->config.study_name);
  plm_text_add(out, "</h1>\n<p class=\"made\">%zu of %zu models trained · written by plmscale " PLM_VERSION " on %s</p></header>\n",
               facts->state_counts[PLM_CELL_DONE], facts->cell_count, date);
}

static void card(struct plm_text *out, const char *what, const char *value, const char *below) {
  plm_text_add(out, "<div class=\"card\"><span class=\"what\">%s</span><span class=\"value\">", what);
  plm_html_escape(out, value);
  plm_text_add(out, "</span><span class=\"below\">");
  plm_html_escape(out, below);
  plm_text_add(out, "</span></div>\n");
}

static const char *below_text(char out[PLM_WORDS_NUMBER], const struct plm_interval *interval, int count) {
  char range[PLM_WORDS_NUMBER];
  plm_words_interval(range, interval, count);
  snprintf(out, PLM_WORDS_NUMBER, interval->known ? "95 %%: %.80s" : "no interval", range);
  return out;
}

/* The figures to remember. */
static void cards_write(struct plm_text *out, const struct plm_facts *facts) {
  const struct plm_optimum *best = plm_facts_best(facts);
  char value[PLM_WORDS_NUMBER], below[PLM_WORDS_NUMBER], text[PLM_AXIS_TEXT];
  if (!best)
    return;
  plm_text_add(out, "<div class=\"cards\">\n");
  snprintf(value, sizeof value, "%.3f", facts->main->a);
  card(out, "a, of N<sub>opt</sub> ∝ C<sup>a</sup>", value, below_text(below, &facts->main->a_interval, 0));
  card(out, "parameters, N<sub>opt</sub>", plm_axis_count_text(text, best->params), below_text(below, &best->params_interval, 1));
  card(out, "tokens, D<sub>opt</sub>", plm_axis_count_text(text, best->tokens), below_text(below, &best->tokens_interval, 1));
  card(out, "tokens per parameter", plm_axis_count_text(text, best->tokens / best->params), "D over N at the optimum");
  card(out, "at a budget of", plm_axis_power_text(text, best->compute), "FLOP, the largest answered");
  plm_text_add(out, "</div>\n");
}

static void figure_write(struct plm_text *out, const struct plm_page *page, const struct plm_drawn *drawn, int *number) {
  const struct plm_figure *figure = &drawn->figure;
  if (!drawn->svg.length) {
    plm_text_add(out, "<section class=\"absent\" id=\"figure-%s\"><h3>%s</h3><p>Not drawn. ", figure->name, figure->title);
    plm_html_add(out, "%s", figure->absent.data ? figure->absent.data : "");
    plm_text_add(out, "</p></section>\n");
    return;
  }
  plm_text_add(out, "<figure id=\"figure-%s\"><h3>%d. %s</h3>\n<div class=\"plot\">", figure->name, ++*number, figure->title);
  plm_text_add_bytes(out, drawn->svg.data, drawn->svg.length);
  plm_text_add(out, "</div>\n<figcaption>");
  if (figure->caption.data)
    plm_text_add_bytes(out, figure->caption.data, figure->caption.length);
  plm_text_add(out, " <span class=\"files\">");
  plm_html_add(out, "%s/%s.tsv, .gp", page->figures_folder, figure->name);
  plm_text_add(out, "</span></figcaption></figure>\n");
}

static void foot_write(struct plm_text *out) {
  plm_text_add(out, "<footer><p>N: parameters of the layers, without embedding and head. D: tokens processed. C = 6&thinsp;N&thinsp;D. "
                    "Loss: mean over masked positions of the validation set, nats; perplexity is its exponential. How each "
                    "estimator works, and what is known of its bias: docs/laws.md of plmscale.</p></footer>\n"
                    "</main>\n</body>\n</html>\n");
}

void plm_page_write(struct plm_text *out, const struct plm_page *page) {
  int number = 0;
  head_write(out, page);
  title_write(out, page);
  plm_text_add(out, "<section id=\"answer\">\n");
  plm_words_answer(out, page->facts);
  cards_write(out, page->facts);
  plm_words_trust(out, page->facts);
  plm_text_add(out, "</section>\n<section id=\"figures\"><h2>Figures</h2>\n");
  for (size_t i = 0; i < page->drawn_count; i++)
    figure_write(out, page, &page->drawn[i], &number);
  plm_text_add(out, "</section>\n");
  plm_tables_budgets(out, page->facts);
  plm_tables_estimators(out, page->facts);
  plm_tables_choices(out, page->facts);
  plm_tables_left_out(out, page->facts);
  plm_tables_cells(out, page->facts);
  plm_page_provenance(out, page);
  foot_write(out);
}
