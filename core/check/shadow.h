/*
 * Shadow: a second backend that does every op over again, from the same inputs, and is compared with the first one's outputs by
 * the error model. The first op that disagrees fails with PLM_E_WRONG, its inputs kept as a case. Later ops go on from the tested
 * backend's numbers, so that errors do not add up.
 *
 * It stands over a loaded plugin as a layer does (runtime/layer.h), outside of all layers: what they change is compared. Slow:
 * all operands of every op travel to the host and through the second backend.
 */
#ifndef PLM_CHECK_SHADOW_H
#define PLM_CHECK_SHADOW_H

#include "check/case.h"
#include "runtime/plugin.h"

struct plm_shadow_options {
  const char *tested, *shadow; /* as the user named them, NAME[:DEVICE]; both borrowed until plm_shadow_remove */
  const char *case_path;       /* where the inputs of the op that disagrees are kept; borrowed too */
};

/*
 * Puts the shadow over plugin->backend, which must have no device open; side is the second backend's, open, and is borrowed.
 * PLM_E_USAGE: there is one in this process already.
 */
int plm_shadow_install(struct plm_plugin *plugin, const struct plm_side *side, const struct plm_shadow_options *options,
                       struct plm_error *err);

/* What it compared so far. */
struct plm_shadow_count {
  uint64_t ops;
  double worst; /* largest error, in units of what is allowed */
};
struct plm_shadow_count plm_shadow_counted(void);

/* Takes it off again; nothing to do when it is not there. */
void plm_shadow_remove(struct plm_plugin *plugin);

#endif
