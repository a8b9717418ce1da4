/* What `plmscale predict` answers: the best model for a budget, what it takes to train it, and how far that is a guess. */
#ifndef PLM_CLI_PREDICT_H
#define PLM_CLI_PREDICT_H

#include <jansson.h>

#include "cli/plan.h"
#include "law/law.h"
#include "law/priors.h"
#include "law/study_points.h"

#define PREDICT_DEVICES_MAX 64
#define PREDICT_SCHEMA "plmscale.predict/1"

struct predict_arguments {
  const char *source, *law, *compute, *params, *loss, *estimator, *bootstrap;
  struct plan_request request; /* devices to ask besides those of the runs */
  int json, more;
};

/* The time on one device. */
struct predict_device {
  char name[200];
  uint32_t threads;    /* 0: does not apply */
  double tokens_per_s; /* 0: not known */
  double seconds;
  const char *basis; /* static: "interpolated", "extrapolated", "measured", "sheet" */
  double ratio;      /* extrapolated: FLOPs a token over those of the nearest shape that it trained */
};

/* One of C, N_opt, D_opt, and what was measured of it. */
struct predict_range {
  const char *name;
  double value, low, high;
};

struct prediction {
  struct plm_optimum best;
  double misfit; /* of the surface (law/misfit.h); 0: not known */
  struct predict_range ranges[3];
  double beyond; /* the largest factor by which one of them is outside what was measured; 1 inside */
  struct plm_cost cost;
  int has_shape;
  struct plm_shape shape;
  double tokens; /* that the shape sees for the same compute; D_opt without a shape */
  struct plm_prior priors[PLM_PRIORS_MAX];
  size_t prior_count;
  /* Of a study, else 0. */
  double batch, rate;
  double flops_per_token; /* exact, of the shape on the study's corpus */
  double epochs;          /* tokens over those of the corpus */
  double epochs_measured; /* most of a run */
  struct predict_device devices[PREDICT_DEVICES_MAX];
  size_t device_count;
};

/* The factor by which a value is outside its range; 1 inside. */
double predict_outside(const struct predict_range *range);

/*
 * The devices of the done runs, and those of arguments->request, measured here or by their sheets. plan has the study and
 * the means of its corpus.
 */
int predict_times(struct prediction *out, const struct plm_study_runs *runs, struct plan *plan, struct plm_error *err);

void predict_print(const struct prediction *prediction, const struct predict_arguments *arguments);

/* NULL when out of memory. */
json_t *predict_json(const struct prediction *prediction, const struct predict_arguments *arguments);

#endif
