/* Which points share a compute budget, and what a token costs at a given size. */
#ifndef PLM_LAW_BUDGETS_H
#define PLM_LAW_BUDGETS_H

#include "law/points.h"

/*
 * Gives every point a budget and sorts the points by it (then N, D, unique tokens, loss, seed, so that the order of the input does not
 * matter). Points without one are gathered by compute: those within 1 % of the middle of their group share its
 * geometric mean. A planned budget is kept as it is.
 */
void plm_budgets_assign(struct plm_points *points);

/* The end of the run of points that share the budget of points[start]; points sorted by plm_budgets_assign. */
size_t plm_budgets_end(const struct plm_point *points, size_t count, size_t start);

/* Training compute as C = scale * N^exponent * D. */
struct plm_cost {
  double scale, exponent;
  double miss; /* largest relative miss over the points */
};

/*
 * Exactly 6 N D when every point's C is within 2 % of that, else by least squares of log(C/D) on log N.
 * PLM_E_DAMAGED when the compute of a token does not grow with N: then no size is optimal, and a column is wrong.
 */
int plm_cost_fit(struct plm_cost *out, const struct plm_points *points, struct plm_error *err);

/* D = C / (scale N^exponent). */
double plm_cost_tokens(const struct plm_cost *cost, double compute, double params);

#endif
