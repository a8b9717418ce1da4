/* How fast the devices of a plan are: short benchmarks, each in a process of its own, and what follows for other
 * shapes. */
#ifndef PLM_CLI_PLAN_SPEED_H
#define PLM_CLI_PLAN_SPEED_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "study/study.h"

#define PLM_PLAN_POINTS 8

/* A shape and the FLOPs that one token costs it. */
struct plm_plan_shape {
  struct plm_shape shape;
  double flops_per_token;
};

/* A measured shape. */
struct plm_plan_point {
  struct plm_plan_shape shape;
  double tokens_per_s;   /* batch making included */
  uint64_t memory_bytes; /* on the device, workspace included */
};

/* A device as users name it. */
struct plm_plan_device {
  const char *text; /* NAME[:DEVICE]; borrowed */
  uint32_t slots;   /* how often it is named */
  uint32_t threads;
  struct plm_plan_point points[PLM_PLAN_POINTS]; /* ascending FLOPs per token */
  uint32_t count;
  uint64_t cache_bytes; /* as the device says, 0: unknown or not measured */
  char reason[400];     /* why not every shape was measured, or "" */
  double gflops, gbps;  /* of its data sheet, when that is all there is of it (plan_sheet.c); else 0 */
};

/*
 * Measures up to PLM_PLAN_POINTS of the shapes (distinct, ascending FLOPs per token), the smallest and the largest
 * among them, with the study's batches and options. Ends early, with a reason, when a child fails or the next shape
 * would take too long.
 */
int plm_plan_measure(struct plm_plan_device *device, const struct plm_study *study, const struct plm_plan_shape *shapes,
                     size_t count, struct plm_error *err);

/*
 * Tokens per second at these FLOPs per token, of points ascending in them: between points interpolated in logarithms;
 * beyond them at the nearest point's FLOP rate. 0 when there are none.
 */
double plm_plan_rate(const struct plm_plan_point *points, uint32_t count, double flops_per_token);

/* The same of what was measured of a device. */
double plm_plan_tokens_per_s(const struct plm_plan_device *device, double flops_per_token);

#endif
