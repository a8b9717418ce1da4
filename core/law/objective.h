/* The objectives of the parametric fits with their first and second derivatives. */
#ifndef PLM_LAW_OBJECTIVE_H
#define PLM_LAW_OBJECTIVE_H

#include "law/parametric.h"

#define PLM_OBJECTIVE_UNKNOWNS 5 /* e, a, b, alpha, beta of parametric.h, N and D in units of their geometric means */
#define PLM_OBJECTIVE_LN_E_MIN (-60.0) /* an E of 0 has no logarithm */

struct plm_objective_data {
  struct plm_objective objective;
  size_t rows;
  double *ln_n, *ln_d, *ln_loss, *loss, *weight; /* [rows]; ln_n and ln_d less their means */
  double mean_n, mean_d;
};

int plm_objective_data_create(struct plm_objective_data *out, const struct plm_objective *objective,
                              const struct plm_fit_task *task, struct plm_error *err);
void plm_objective_data_destroy(struct plm_objective_data *data);

/*
 * The objective at x. gradient [5] and hessian [25] (lower triangle) may be NULL. mu: how far from 0 an absolute value
 * is rounded off (r^2/(2 mu) within, |r| - mu/2 beyond); 0 is the objective itself, without second derivatives. May be
 * INFINITY.
 */
double plm_objective_evaluate(double *gradient, double *hessian, const double *x, const struct plm_objective_data *data,
                              double mu);

/* ln L of every row at x. */
void plm_objective_predict(double *out, const double *x, const struct plm_objective_data *data);

struct plm_surface plm_objective_surface(const double *x, const struct plm_objective_data *data);
void plm_objective_unknowns(double *x, const struct plm_surface *surface, const struct plm_objective_data *data);

#endif
