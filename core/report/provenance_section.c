#include <stdio.h>
#include <string.h>

#include "report/html.h"
#include "report/page.h"

/* ------------------------------------------------------------ who trained */

static void training_write(struct plm_text *out, const struct plm_run *run, size_t number, size_t cells) {
  plm_text_add(out, "<h3>[%zu] ", number);
  plm_html_add(out, "%s on %s", run->backend, run->device_name);
  plm_text_add(out, "</h3>\n<table class=\"facts\"><tbody>\n");
  plm_html_fact(out, "cells", "%zu", cells);
  plm_html_fact(out, "backend", "%s %s", run->backend, run->backend_version);
  plm_html_fact(out, "its file", "%s", run->backend_path);
  plm_html_fact(out, "SHA-256", "%s", run->backend_sha256);
  plm_html_fact(out, "device", "%s (%s)", run->device_name, run->device_id);
  plm_html_fact(out, "driver", "%s %s", run->driver, run->driver_version);
  plm_html_fact(out, "host", "%s", run->host_name);
  plm_html_fact(out, "precision", "%s%s", run->precision,
                run->figures.deterministic > 0 ? ", deterministic" : ", not deterministic");
  plm_html_fact(out, "self-check", "%s", run->self_check[0] ? run->self_check : "none on record");
  plm_html_fact(out, "layers", "%s", run->backend_layers[0] ? run->backend_layers : "none");
  plm_html_fact(out, "kernels from", "%s", run->kernels_source[0] ? run->kernels_source : "the backend, which has no choice");
  plm_html_fact(out, "ops lowered", "%s", run->lowered_ops[0] ? run->lowered_ops : "none");
  plm_text_add(out, "</tbody></table>\n");
}

static void trainings_write(struct plm_text *out, const struct plm_study_runs *runs) {
  for (size_t number = 1, found = 1; found; number++) {
    const struct plm_run *first = NULL;
    found = 0;
    for (size_t i = 0; i < runs->count; i++)
      if (plm_facts_training(runs, &runs->runs[i]) == number) {
        first = found++ ? first : &runs->runs[i];
      }
    if (found)
      training_write(out, first, number, found);
  }
}

/* ------------------------------------------------------------ the commands */

/* One word of a shell's command line. */
static void shell_word(struct plm_text *out, const char *text) {
  static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+,:=@%";
  if (*text && *text != '-' && strspn(text, safe) == strlen(text)) {
    plm_html_escape(out, text);
    return;
  }
  plm_html_escape(out, "'");
  for (char one[2] = {0}; (one[0] = *text); text++)
    plm_html_escape(out, *text == '\'' ? "'\\''" : one);
  plm_html_escape(out, "'");
}

static void backends_write(struct plm_text *out, const struct plm_study_runs *runs) {
  for (size_t i = 0; i < runs->count; i++) {
    size_t k = 0;
    while (strcmp(runs->runs[k].backend, runs->runs[i].backend) != 0)
      k++;
    if (k < i)
      continue;
    plm_text_add(out, " --backend ");
    shell_word(out, runs->runs[i].backend);
  }
}

static void commands_write(struct plm_text *out, const struct plm_page *page) {
  const struct plm_facts *facts = page->facts;
  const char *ini = facts->study->path;
  plm_text_add(out, "<h3>To make it again</h3>\n<pre>cmake --preset release &amp;&amp; cmake --build --preset release    "
                    "# plmscale " PLM_VERSION ", from its sources\n");
  plm_text_add(out, "plmscale data info ");
  shell_word(out, facts->study->corpus);
  plm_text_add(out, "    # digest %s\nplmscale run ", facts->corpus.digest);
  shell_word(out, ini);
  backends_write(out, &facts->runs);
  plm_text_add(out, "\nplmscale fit ");
  shell_word(out, ini);
  plm_text_add(out, " --bootstrap %zu\nplmscale report ", facts->options.draws);
  shell_word(out, ini);
  plm_text_add(out, " --bootstrap %zu -o ", facts->options.draws);
  shell_word(out, page->path);
  plm_text_add(out, "</pre>\n");
}

void plm_page_provenance(struct plm_text *out, const struct plm_page *page) {
  const struct plm_facts *facts = page->facts;
  const struct plm_corpus_facts *corpus = &facts->corpus;
  plm_text_add(out, "<section id=\"provenance\"><h2>Where the numbers come from</h2>\n<table class=\"facts\"><tbody>\n");
  plm_html_fact(out, "plmscale", "%s", PLM_VERSION);
  plm_html_fact(out, "study file", "%s", facts->study->path);
  plm_html_fact(out, "results", "%s", facts->study->folder);
  plm_html_fact(out, "corpus", "%s", facts->study->corpus);
  plm_html_fact(out, "corpus digest", "%s", corpus->digest);
  plm_html_fact(out, "training split", "%llu sequences, %llu residues; %lld tokens in one pass, cropped to %lld",
                (unsigned long long)corpus->sequences[0], (unsigned long long)corpus->residues[0],
                (long long)corpus->epoch_tokens, (long long)facts->study->config.data_length_max);
  plm_html_fact(out, "validation split", "%llu sequences, %llu residues", (unsigned long long)corpus->sequences[1],
                (unsigned long long)corpus->residues[1]);
  plm_html_fact(out, "bootstrap", "%zu draws, seed %llu", facts->options.draws, (unsigned long long)facts->options.seed);
  plm_text_add(out, "</tbody></table>\n");
  trainings_write(out, &facts->runs);
  commands_write(out, page);
  plm_text_add(out, "<h3>The study file</h3>\n<pre class=\"ini\">");
  plm_html_escape(out, facts->study->text);
  plm_text_add(out, "</pre>\n</section>\n");
}
