/*
 * Finding out what a plugin file is. A driver may crash or hang when it is merely looked at, so this happens in a child
 * process: the parent runs the program again as "probe PATH" and reads one JSON object from it.
 */
#ifndef PLM_RUNTIME_PROBE_H
#define PLM_RUNTIME_PROBE_H

#include <jansson.h>

#include "base/error.h"
#include "runtime/plugin.h"

/* What became of a candidate. */
#define PLM_OUTCOME_ACCEPTED "accepted" /* loaded, started, its devices listed */
#define PLM_OUTCOME_REFUSED "refused"   /* not a plugin for this host, or it says that it cannot work here */
#define PLM_OUTCOME_SKIPPED "skipped"   /* not tried: unsafe permissions, a name that was found before, missing */
#define PLM_OUTCOME_CRASHED "crashed"   /* killed by a signal of its own making */
#define PLM_OUTCOME_TIMEOUT "timeout"   /* no answer in time */
#define PLM_OUTCOME_FAILED "failed"     /* ended without a usable answer */

/*
 * Probes one candidate in a child that may take seconds. *out is a new object, owned by the caller, with path, name,
 * outcome, reason ("" when accepted), devices (array), and for a plugin whose card could be read: plugin (its own
 * name), version, license, vendor, url, compiler, abi ("1.0"), options (array). A candidate marked skipped is not
 * tried. quiet: what the plugin prints is dropped, else it goes to stderr. Fails only when no child can be started.
 * Call from one thread.
 */
int plm_probe_run(json_t **out, const struct plm_candidate *candidate, double seconds, int quiet,
                  struct plm_error *err);

/* The child's part: loads path in this process and writes the object on stdout; the plugin's own output goes to stderr.
 */
int plm_probe_answer(const char *path, struct plm_error *err);

#endif
