/* The page: one HTML file that loads nothing, and forbids it. */
#ifndef PLM_REPORT_PAGE_H
#define PLM_REPORT_PAGE_H

#include "report/facts.h"
#include "report/figure.h"
#include "report/text.h"

/* A figure with the <svg> that came of it; empty where figure.absent says why there is none. */
struct plm_drawn {
  struct plm_figure figure;
  struct plm_text svg;
};

struct plm_page {
  const struct plm_facts *facts;
  const struct plm_drawn *drawn;
  size_t drawn_count;
  const char *path;           /* where the page will be, as the user gave it */
  const char *figures_folder; /* name of the folder beside it */
};

void plm_page_write(struct plm_text *out, const struct plm_page *page);

/* The <style> element. */
void plm_page_style(struct plm_text *out);

/* Where the numbers come from, and the commands that make them again: a whole <section>. */
void plm_page_provenance(struct plm_text *out, const struct plm_page *page);

#endif
