#include "law/newton.h"

#include <math.h>
#include <string.h>

#define LAMBDA_MIN 1e-14
#define LAMBDA_MAX 1e16

typedef double matrix[PLM_NEWTON_DIMENSIONS * PLM_NEWTON_DIMENSIONS];

/* Solves (hessian + lambda diagonal) step = -gradient over the free variables, by Cholesky. 0: not positive definite.
 */
static int step_solve(double *step, const struct plm_newton *newton, const double *gradient, const double *hessian,
                      double lambda, const int *is_free) {
  size_t n = newton->dimensions;
  matrix l;
  double largest = 0;
  for (size_t i = 0; i < n; i++)
    largest = fmax(largest, fabs(hessian[i * n + i]));
  for (size_t i = 0; i < n; i++) {
    step[i] = is_free[i] ? -gradient[i] : 0;
    for (size_t j = 0; j <= i; j++) {
      double sum = is_free[i] && is_free[j] ? hessian[i * n + j] : i == j;
      if (i == j && is_free[i])
        sum += lambda * fmax(fabs(hessian[i * n + i]), 1e-12 * largest);
      double full = fabs(sum);
      for (size_t k = 0; k < j; k++)
        sum -= l[i * n + k] * l[j * n + k];
      if (i == j && !(sum > 1e-15 * full && sum > 0))
        return 0;
      l[i * n + j] = i == j ? sqrt(sum) : sum / l[j * n + j];
    }
  }
  for (size_t i = 0; i < n; i++) {
    for (size_t k = 0; k < i; k++)
      step[i] -= l[i * n + k] * step[k];
    step[i] /= l[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; k++)
      step[i] -= l[k * n + i] * step[k];
    step[i] /= l[i * n + i];
  }
  return 1;
}

/* Variables that the gradient pushes out of the box are not free. */
static void free_find(int *is_free, const struct plm_newton *newton, const double *x, const double *gradient) {
  for (size_t i = 0; i < newton->dimensions; i++)
    is_free[i] =
        !newton->low || !((x[i] <= newton->low[i] && gradient[i] > 0) || (x[i] >= newton->high[i] && gradient[i] < 0));
}

/* x + step, in the box; returns the largest move relative to x. */
static double step_take(double *out, const struct plm_newton *newton, const double *x, const double *step) {
  double moved = 0;
  for (size_t i = 0; i < newton->dimensions; i++) {
    out[i] = x[i] + step[i];
    if (newton->low)
      out[i] = fmin(fmax(out[i], newton->low[i]), newton->high[i]);
    moved = fmax(moved, fabs(out[i] - x[i]) / (1 + fabs(x[i])));
  }
  return moved;
}

double plm_newton_minimise(const struct plm_newton *newton, double *x) {
  double gradient[PLM_NEWTON_DIMENSIONS], step[PLM_NEWTON_DIMENSIONS], trial[PLM_NEWTON_DIMENSIONS], lambda = 1e-6;
  matrix hessian;
  int is_free[PLM_NEWTON_DIMENSIONS];
  double value = newton->value(gradient, hessian, x, newton->context);
  for (size_t i = 0; isfinite(value) && i < newton->iterations; i++) {
    double next = INFINITY, moved = 0;
    free_find(is_free, newton, x, gradient);
    for (; lambda <= LAMBDA_MAX; lambda = fmax(8 * lambda, 1e-8)) {
      if (!step_solve(step, newton, gradient, hessian, lambda, is_free))
        continue;
      moved = step_take(trial, newton, x, step);
      next = newton->value(NULL, NULL, trial, newton->context);
      if (next < value || moved < 1e-15)
        break;
    }
    if (!(next < value))
      break;
    double gain = value - next;
    memcpy(x, trial, newton->dimensions * sizeof *x);
    value = newton->value(gradient, hessian, x, newton->context);
    lambda = lambda <= LAMBDA_MIN ? 0 : lambda / 8;
    if (gain <= 1e-15 * fabs(value) && moved < 1e-8)
      break;
  }
  return value;
}
