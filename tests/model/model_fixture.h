/* Sessions and small batches for the tests of whole models. */
#ifndef MODEL_FIXTURE_H
#define MODEL_FIXTURE_H

#include "runtime/session.h"

/* A session of a shape on a backend of the build ("reference", "cpu"). Fails the test on error. */
struct model_rig {
  struct plm_plugin *plugin;
  struct plm_session *session;
};
void model_rig_open(struct model_rig *rig, const char *backend, struct plm_shape shape, uint32_t batch_tokens,
                    uint32_t micro_tokens);
void model_rig_close(struct model_rig *rig);

/* Loss (mean over selected rows) and gradients (layout.floats, owned by the caller) of one batch at params. */
double model_rig_gradients(struct model_rig *rig, const float *params, const struct plm_batch *batch, float **grads);

/* A batch of sequences of these lengths (with <cls> and <eos>) with random residues and 20 % of them selected, 80/10/10. */
void model_batch_random(struct plm_batch *out, const uint32_t *lengths, uint32_t count, uint64_t seed);

/* Random parameters, every tensor of std, gains around 1: nothing is zero, so that every gradient counts. */
float *model_params_random(const struct plm_layout *layout, uint64_t seed, double std);

#endif
