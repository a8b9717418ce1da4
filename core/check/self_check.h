/*
 * A look at a device before it trains: every distinct matrix op of the model, at nearly its real size and at a few rows, against
 * the reference. A tuned kernel that is wrong on this driver is found here, within a second or two, and not in a loss curve.
 */
#ifndef PLM_CHECK_SELF_CHECK_H
#define PLM_CHECK_SELF_CHECK_H

#include "check/case.h"
#include "model/program.h"

struct plm_self_check_options {
  const char *device;    /* as the user named it, NAME[:DEVICE]: for the message */
  const char *case_path; /* where the inputs of a wrong op are kept */
  uint32_t masked;       /* masked rows of a usual micro-batch, 0: not known */
};

struct plm_self_check {
  uint32_t cases;
  double worst; /* largest error, in units of what the error model allows */
  double seconds;
};

/*
 * tested: the model's own device, with a queue. PLM_E_WRONG: it computes wrong; the message has the op, its shape, the value, what
 * is expected and allowed, and the line that replays it. Other codes: what the backend failed with.
 */
int plm_self_check_run(struct plm_self_check *out, const struct plm_model *model, const struct plm_side *tested,
                       const struct plm_side *reference, const struct plm_self_check_options *options,
                       struct plm_error *err);

#endif
