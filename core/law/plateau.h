/* Is there a floor of the loss in these points, and where could it be seen? */
#ifndef PLM_LAW_PLATEAU_H
#define PLM_LAW_PLATEAU_H

#include "law/noise.h"

struct plm_plateau {
  int known; /* 0: reason says why there is no answer, the rest is void */
  char reason[240];
  double E; /* vp's floor, nats */
  struct plm_interval E_interval;
  double reducible;   /* loss of the best model at the largest budget, less E */
  double sigma;       /* of a run's loss there, nats; 0 when not known */
  double seen_from;   /* compute at which the best loss is within 2 sigma of E; NAN when sigma is not known */
  double compute_max; /* largest budget measured */
  int needed;         /* the interval of E keeps off 0 by more than rounding */
};

/* fit: vp's, with intervals, of a task whose largest compute with an optimum is the largest budget; NULL when it was
 * refused, for reason. */
void plm_plateau_judge(struct plm_plateau *out, const struct plm_fit *fit, const char *reason,
                       const struct plm_cost *cost, const struct plm_noise *noise, double compute_max);

#endif
