/* The draws of the bootstrap (bootstrap.h): which points, with which noise. */
#ifndef PLM_LAW_RESAMPLE_H
#define PLM_LAW_RESAMPLE_H

#include "law/bootstrap.h"

/* Shared by all draws; read only once made. */
struct plm_strata {
  size_t *order;  /* the points, strata after each other */
  size_t *starts; /* of the strata in order, and the end */
  size_t *sizes;  /* of the stratum of each point */
  size_t *kin;    /* the number of each point's size and seed (noise.h) */
  size_t count;
};

int plm_strata_create(struct plm_strata *out, const struct plm_fit_task *task, struct plm_error *err);
void plm_strata_destroy(struct plm_strata *strata);

/* Room for one draw at a time. */
struct plm_sample {
  struct plm_point *points; /* of the draw, in the order of the task */
  uint32_t *times;          /* how often each point of the task was drawn */
  float *normal;            /* one for each point of the draw */
  float *common;            /* one for each size and seed */
};

int plm_sample_create(struct plm_sample *out, size_t points, struct plm_error *err);
void plm_sample_destroy(struct plm_sample *sample);

/* Draw number draw into sample; returns how many points it has. */
size_t plm_sample_draw(struct plm_sample *sample, const struct plm_strata *strata, const struct plm_fit_task *task,
                       enum plm_resample resample, const struct plm_bootstrap *bootstrap, uint32_t draw);

#endif
