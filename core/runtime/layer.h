/*
 * Layers: what can stand between the host and the table of a loaded plugin. A layer that is not asked for is not in the call
 * path. They are asked for by text, NAME or NAME:ARGUMENT, as in --layer:
 *   trace[:FILE]              one line a call, on the log or appended to FILE: op, shape, views, code, microseconds
 *   validate[:strict]         handles, ranges, overlaps, events, workspace; buffers get canaries. A breach is PLM_E_INVALID.
 *                             strict: the canaries are looked at after every op
 *   time                      waits for every op; a table at the end: time, calls, GFLOP/s, GB/s, share, kernel
 *   fault:CALL@N=KIND[,..]    makes the N-th call of a slot (from 1) fail: KIND is a code (DEVICE_LOST), hang or crash; of
 *                             op_run also wrong (one number of its result is changed) or nan
 * The slots of a table carry no context, so a layer keeps the table below it in a state of its own and can stand over one
 * plugin at a time in a process.
 */
#ifndef PLM_RUNTIME_LAYER_H
#define PLM_RUNTIME_LAYER_H

#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "runtime/plugin.h"

/* Reads the texts without putting anything in place. PLM_E_USAGE: an unknown layer, a bad argument, one layer twice. */
int plm_layers_check(const char *const *texts, size_t count, struct plm_error *err);

/*
 * Puts them over plugin->backend, the first one outermost: it sees a call before the others do. Before any device is opened.
 * PLM_E_USAGE as plm_layers_check, or when a layer stands over another plugin; PLM_E_IO: a trace file that cannot be written.
 */
int plm_layers_install(struct plm_plugin *plugin, const char *const *texts, size_t count, struct plm_error *err);

/*
 * When all is closed: writes what the layers of plugin have to say (the table of `time`) to out. PLM_E_INVALID: `validate`
 * found a breach that no call could return, such as a leak at device_close.
 */
int plm_layers_finish(const struct plm_plugin *plugin, FILE *out, struct plm_error *err);

/* Takes the layers off plugin; none is fine. plm_plugin_destroy does it too. */
void plm_layers_remove(struct plm_plugin *plugin);

#endif
