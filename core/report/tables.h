/* The tables of the report, as HTML; each is a whole <section>, or nothing when it has no rows. */
#ifndef PLM_REPORT_TABLES_H
#define PLM_REPORT_TABLES_H

#include "report/facts.h"
#include "report/text.h"

void plm_tables_estimators(struct plm_text *out, const struct plm_facts *facts);
void plm_tables_budgets(struct plm_text *out, const struct plm_facts *facts);
void plm_tables_choices(struct plm_text *out, const struct plm_facts *facts);
void plm_tables_left_out(struct plm_text *out, const struct plm_facts *facts);
void plm_tables_cells(struct plm_text *out, const struct plm_facts *facts);

#endif
