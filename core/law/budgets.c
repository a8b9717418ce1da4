#include "law/budgets.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "law/least_squares.h"

#define SAME_BUDGET 1.02 /* largest over smallest compute of a group: within 1 % of its middle */
#define SAME_COST 0.02

static int value_order(double a, double b) { return (a > b) - (a < b); }

static int point_order(const void *a, const void *b) {
  const struct plm_point *p = a, *q = b;
  int order = value_order(p->budget, q->budget);
  if (!order)
    order = value_order(p->params, q->params);
  if (!order)
    order = value_order(p->tokens, q->tokens);
  if (!order)
    order = value_order(p->unique, q->unique);
  if (!order)
    order = value_order(p->loss, q->loss);
  if (!order)
    order = value_order((double)p->seed, (double)q->seed);
  return order;
}

/* Points without a budget first, by compute. */
static int gather_order(const void *a, const void *b) {
  const struct plm_point *p = a, *q = b;
  int order = value_order(p->budget > 0, q->budget > 0);
  return order ? order : value_order(p->compute, q->compute);
}

void plm_budgets_assign(struct plm_points *points) {
  struct plm_point *p = points->items;
  size_t count = points->count, open = 0;
  if (count == 0)
    return;
  qsort(p, count, sizeof *p, gather_order);
  while (open < count && p[open].budget == 0)
    open++;
  for (size_t start = 0, end; start < open; start = end) {
    double first = p[start].compute, sum = 0;
    for (end = start; end < open && p[end].compute <= SAME_BUDGET * first; end++)
      sum += log(p[end].compute / first);
    for (size_t i = start; i < end; i++)
      p[i].budget = first * exp(sum / (double)(end - start));
  }
  qsort(p, count, sizeof *p, point_order);
}

size_t plm_budgets_end(const struct plm_point *points, size_t count, size_t start) {
  size_t end = start;
  while (end < count && points[end].budget == points[start].budget)
    end++;
  return end;
}

static double largest_miss(const struct plm_cost *cost, const struct plm_points *points) {
  double miss = 0;
  for (size_t i = 0; i < points->count; i++) {
    const struct plm_point *p = &points->items[i];
    miss = fmax(miss, fabs(cost->scale * pow(p->params, cost->exponent) * p->tokens / p->compute - 1));
  }
  return miss;
}

/* log(C/D) on log N, centred on the mean of log N. One size only: the exponent is taken as 1. */
static int cost_regress(struct plm_cost *out, const struct plm_points *points, struct plm_error *err) {
  size_t n = points->count;
  double *x = plm_memory_zeroed(n, (3 + PLM_LEAST_SQUARES_COLUMNS + 1) * sizeof *x);
  if (!x)
    return plm_error_memory(err, "the compute of a token");
  double *one = x + n, *y = x + 2 * n, mean = 0, c[2] = {0, 1}, residual;
  for (size_t i = 0; i < n; i++)
    mean += log(points->items[i].params) / (double)n;
  for (size_t i = 0; i < n; i++) {
    one[i] = 1;
    x[i] = log(points->items[i].params) - mean;
    y[i] = log(points->items[i].compute / points->items[i].tokens);
    c[0] += y[i] / (double)n;
  }
  plm_least_squares(c, &residual, (const double *const[]){one, x}, 2, y, n, y + n);
  free(x);
  out->exponent = c[1];
  out->scale = exp(c[0] - c[1] * mean);
  return 0;
}

int plm_cost_fit(struct plm_cost *out, const struct plm_points *points, struct plm_error *err) {
  struct plm_cost cost = {.scale = 6, .exponent = 1};
  cost.miss = largest_miss(&cost, points);
  if (cost.miss > SAME_COST) {
    int code = cost_regress(&cost, points, err);
    if (code)
      return code;
    cost.miss = largest_miss(&cost, points);
  }
  if (!(cost.exponent > 0) || !(cost.scale > 0) || !isfinite(cost.scale))
    return plm_error_set(
        err, PLM_E_DAMAGED,
        "compute: C/(6 N D) is not 1, and C/D goes as N^%.3g; it has to grow with N: is a column wrong?",
        cost.exponent);
  *out = cost;
  return 0;
}

double plm_cost_tokens(const struct plm_cost *cost, double compute, double params) {
  return exp(log(compute) - log(cost->scale) - cost->exponent * log(params));
}
